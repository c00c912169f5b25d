//! The connection after the upgrade request: bytes between transport and session, events to the game.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::context::Context;
use super::state::{Connection, Stage, TurnResult};
use super::terminal::Terminal;
use super::transport::Transport;
use crate::capture::Tap;
use crate::capture::framing::Direction;
use crate::capture::notes::{Note, NoteText};
use crate::clock::{earlier, unix_time};
use crate::engine::shared::callbacks::Wants;
use crate::engine::shared::counters::add;
use crate::engine::shared::event::{EventKind, Frame};
use crate::engine::shared::socket::{Shared, Socket};
use crate::engine::shared::state::State;
use crate::engine::shared::{dispatch, random};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{READS_PER_TURN, WRITES_PER_TURN};
use crate::logging::LogLevel;
use crate::net::stream::{ReadOutcome, WriteOutcome};
use crate::session::sending::MAX_SLICES;
use crate::session::{Session, SessionEvent};
use crate::sync::lock;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::Accepted;

/// How often a candidate checks for room in a full event queue.
const CANDIDATE_PAUSE: Duration = Duration::from_millis(50);

impl Connection {
    /// Reads, processes, writes, and publishes the events.
    pub(super) fn session_turn(&mut self, context: &mut Context) -> TurnResult {
        // Before the deadlines: bytes to read show that the server is alive.
        self.read(context);
        if std::mem::take(&mut self.skip_body)
            && let Stage::Live { session, .. } = &mut self.stage
        {
            let refused = Terminal::of(session.cancel_handshake());
            self.finish_session(refused, context);
        }
        // No deadline is before the timer.
        if self.is_awake()
            && std::mem::take(&mut self.timer_was_due)
            && let Stage::Live { session, .. } = &mut self.stage
            && session.deadline().is_some_and(|deadline| context.now >= deadline)
        {
            let terminal = Terminal::of(session.handle_timeout(context.now));
            self.finish_session(terminal, context);
        }
        self.end_if_due(context);
        self.write(context);
        self.report_outcomes(context);
        if let Some(Socket(socket)) = &self.socket {
            context.publish(socket);
        }
        self.update_drain_deadline(context);
        self.turn_result(context)
    }

    pub(super) fn turn_result(&self, context: &Context) -> TurnResult {
        if self.socket.is_some() {
            return TurnResult::Continue;
        }
        let Stage::Live { session, stream } = &self.stage else { return TurnResult::Finished };
        let is_sent = !session.has_to_write() && !stream.wants_write();
        // While the library stops, only a draining connection waits for its server.
        if context.stopping && is_sent && self.draining.is_none() {
            TurnResult::Finished
        } else {
            TurnResult::Continue
        }
    }

    fn read(&mut self, context: &mut Context) {
        if self.delayed_end.is_some() {
            return;
        }
        if std::mem::take(&mut self.unprocessed) {
            self.set_reading(true, context);
            if !self.process(context) {
                return;
            }
        }
        if !self.read_head(context) {
            return;
        }
        for _ in 0..READS_PER_TURN {
            let Stage::Live { stream, session } = &mut self.stage else { return };
            if !self.readable {
                session.settle(&mut context.scratch);
                return;
            }
            let outcome = match session.targets(&mut context.scratch) {
                Ok([first, second]) => {
                    let mut slices = [IoSliceMut::new(first), IoSliceMut::new(second)];
                    let used = if slices[1].is_empty() { 1 } else { 2 };
                    let outcome = stream.read_vectored(&mut slices[..used]);
                    if let Some(tap) = &mut self.capture
                        && let Ok(ReadOutcome::Data { n, .. }) = outcome
                    {
                        tap.bytes(Direction::Received, &slices[..used], n, Vec::new());
                    }
                    outcome
                }
                Err(_) => {
                    let message = "the allocator has no memory to read into";
                    self.transport_failed(Error::new(ErrorKind::Internal, Phase::Open, message), context);
                    return;
                }
            };
            match outcome {
                Ok(ReadOutcome::Data { n, more }) => {
                    self.readable = more;
                    session.received(n, &mut context.scratch, context.now);
                    if let Some(Socket(socket)) = &self.socket {
                        add(&socket.counters.bytes_received, n as u64);
                    } else if let Some(draining) = &mut self.draining {
                        draining.moved = true;
                    }
                    if !self.process(context) {
                        return;
                    }
                }
                Ok(ReadOutcome::WouldBlock) => self.readable = false,
                Ok(ReadOutcome::Eof { .. }) => {
                    self.readable = false;
                    self.capture_eof();
                    self.stop_draining();
                    let Stage::Live { session, .. } = &mut self.stage else { return };
                    let terminal = Terminal::of(session.ended(None));
                    self.finish_session(terminal, context);
                    self.stop_lingering();
                    return;
                }
                Err(error) => {
                    self.readable = false;
                    self.transport_failed(error, context);
                    return;
                }
            }
        }
        context.turn_again(self.key);
    }

    /// Reads the response to the upgrade request over HTTP/2, where it is not part of the byte stream. False
    /// while there is none.
    fn read_head(&mut self, context: &mut Context) -> bool {
        let Stage::Live { stream: Transport::Shared(stream), session } = &mut self.stage else { return true };
        if !session.awaits_head() {
            return true;
        }
        match stream.head() {
            Ok(None) => {
                self.readable = false;
                false
            }
            Ok(Some(head)) => {
                self.skip_body = self.skips_body(&head);
                self.capture_head(&head);
                let Stage::Live { session, .. } = &mut self.stage else { return false };
                session.head_received(head);
                self.process(context)
            }
            Err(error) => {
                // The end of the turn checks whether the connection continues.
                let _ = self.stream_lost(error, context);
                false
            }
        }
    }

    fn fetch_handler(&mut self, socket: &Shared) {
        let handler;
        (handler, self.wants, self.handler_version) = socket.fetch_handler();
        // In poll mode callbacks run elsewhere, and replaced ones must not be kept here.
        self.handler = handler.filter(|_| !socket.polls());
    }

    /// Delivers what was received. False to stop reading for now.
    fn process(&mut self, context: &mut Context) -> bool {
        let Some(Socket(socket)) = self.socket.clone() else {
            if let Stage::Live { session, .. } = &mut self.stage {
                let _ = session.next(false, context.now);
            }
            return true;
        };
        let polls = socket.polls();
        let limit = socket.ready_list.event_queue_bytes;
        let waiting = socket.event_queue.charge();
        let handle = Socket(socket.clone());
        let mut got_message = false;
        let keep_reading = loop {
            if polls && waiting + context.batch_charge >= limit {
                break self.pause(&socket, context);
            }
            if socket.is_destroyed() {
                break false;
            }
            if socket.handler_version() != self.handler_version {
                self.fetch_handler(&socket);
            }
            let stream_frames = self.wants.has(Wants::FRAMES) || socket.enables_frames();
            let Stage::Live { session, .. } = &mut self.stage else { break false };
            match session.next(stream_frames, context.now) {
                SessionEvent::Idle => break true,
                SessionEvent::Progress => {}
                SessionEvent::Message { message_type, payload } => {
                    got_message = true;
                    if polls {
                        context.collect_message(message_type, &payload);
                    } else if let Some(handler) = self.handler.as_deref() {
                        let (wants, segment) = (self.wants, || payload.segment());
                        dispatch::call_message(
                            &handle,
                            handler,
                            wants,
                            message_type,
                            payload.bytes(),
                            segment,
                        );
                    }
                }
                SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
                    got_message = true;
                    let payload = payload.segment();
                    let frame = Frame { opcode: message_type, is_first, is_final, payload };
                    self.deliver(EventKind::IncompleteFrame(frame), context);
                }
                SessionEvent::Encoded { message_type, rsv, payload } => {
                    got_message = true;
                    let payload = payload.segment();
                    self.deliver(EventKind::Encoded { message_type, rsv, payload }, context);
                }
                SessionEvent::Pong(payload) => {
                    let payload = payload.segment();
                    let latency = session.latency();
                    if let Some(latency) = latency {
                        socket.latency_us.store(latency.as_micros() as i64, Ordering::Relaxed);
                    }
                    self.deliver(EventKind::Pong(payload), context);
                }
                SessionEvent::Opened { accepted, head } => {
                    if let Some(candidate) = &mut self.candidate {
                        candidate.opened = Some((accepted, head));
                        self.unprocessed = true;
                        context.handovers.push(self.key);
                        context.at(context.now, self.key);
                        break false;
                    }
                    if !self.publish_opened(&socket, accepted, head, false, context) {
                        break false;
                    }
                }
                event => {
                    let terminal = Terminal::of(event);
                    self.session_ended(terminal, context);
                    break self.delayed_end.is_none();
                }
            }
        };
        if got_message {
            socket.last_message_us.store(unix_time().as_micros() as u64, Ordering::Relaxed);
        }
        self.count(&socket);
        if self.socket.is_some() {
            context.publish(&socket);
        }
        keep_reading
    }

    /// Stores the results of the handshake, opens the socket and delivers the event. False if the caller has
    /// cancelled or destroyed the socket. `replaces`: it is open, and this connection has replaced another.
    pub(super) fn publish_opened(
        &mut self,
        socket: &Arc<Shared>,
        accepted: Accepted,
        head: ResponseHead,
        replaces: bool,
        context: &mut Context,
    ) -> bool {
        let version = self.http_version();
        self.deadline = None;
        context.timers.cancel(&mut self.timer, self.key);
        self.take_cookies(socket, &head);
        self.time(context.now, |counters| &counters.upgrade_us);
        {
            let mut info = lock(&socket.info);
            if replaces {
                info.reset(&self.request);
            }
            info.protocol = accepted.protocol.unwrap_or_default().into();
            info.extensions = accepted.extensions.into();
            info.responded(head, version);
        }
        if !replaces && !self.opened(socket) {
            return false;
        }
        if let Stage::Live { stream, .. } = &mut self.stage {
            stream.set_phase(Phase::Open);
        }
        if self.retries.is_retrying() {
            add(&socket.counters.reconnects, 1);
        }
        self.retries.succeeded();
        self.confirm_fallback();
        // The caller may have closed or destroyed it in the event before.
        if !replaces || socket.state() == State::Open && !socket.is_destroyed() {
            self.deliver(EventKind::Open, context);
        }
        true
    }

    /// Opens the socket, unless the caller has cancelled or destroyed it.
    fn opened(&mut self, socket: &Arc<Shared>) -> bool {
        let Stage::Live { session, .. } = &self.stage else { return false };
        let mut to_worker = lock(&socket.to_worker);
        if to_worker.commands.as_ref().is_some_and(|commands| commands.cancel.is_some())
            || socket.is_destroyed()
        {
            return false;
        }
        if to_worker.queues_while_connecting {
            to_worker.outbox.release(session.message_encoding());
        } else {
            to_worker.outbox.reset(session.message_encoding());
            socket.buffered.clear();
        }
        socket.set_state(State::Open);
        true
    }

    /// Stops reading until the game has taken events.
    fn pause(&mut self, socket: &Arc<Shared>, context: &mut Context) -> bool {
        self.unprocessed = true;
        self.set_reading(false, context);
        context.publish(socket);
        if !std::mem::replace(&mut self.logged_full_queue, true) {
            let waiting = socket.event_queue.charge();
            self.log(
                LogLevel::Info,
                format_args!(
                    "{waiting} bytes of events wait: nothing more is read until the game takes some of them, with poll \
                     or next_event"
                ),
            );
        }
        if self.candidate.is_some() {
            // Only the connection of the socket is told when events were taken.
            context.at(context.now + CANDIDATE_PAUSE, self.key);
        } else if !socket.pause() {
            context.turn_again(self.key);
        }
        false
    }

    fn set_reading(&mut self, reading: bool, context: &Context) {
        if let Stage::Live { session, .. } = &mut self.stage {
            session.set_reading(reading, context.now);
        }
    }

    fn write(&mut self, context: &mut Context) {
        let Stage::Live { stream, session } = &mut self.stage else { return };
        let mut waits_in_lanes = false;
        let mut expiry = None;
        // A candidate takes nothing: until the handover the messages belong to the connection of the socket.
        if let Some(Socket(socket)) = &self.socket
            && self.candidate.is_none()
        {
            let mut to_worker = lock(&socket.to_worker);
            let outbox = &mut to_worker.outbox;
            if !outbox.is_empty() || outbox.is_closed() || outbox.lanes.is_some() {
                let mut expired = session.take_from(outbox, context.now);
                if let Some(lanes) = &mut outbox.lanes {
                    // Before the session is open, and after its end, it takes nothing.
                    expired += lanes.sweep(context.now);
                    socket.buffered.take_back(expired);
                    waits_in_lanes = session.takes_messages() && !lanes.is_empty();
                    expiry = lanes.expiry();
                    self.expiry = expiry;
                    lanes.take_outcomes(&mut context.outcomes);
                    stream.limit_unsent();
                }
            }
            self.base.count_sent(socket, outbox, session);
        }
        let mut failure = None;
        for _ in 0..WRITES_PER_TURN {
            if !self.writable || !session.has_to_write() {
                break;
            }
            if let Err(error) = session.prepare(&mut random::next_key) {
                failure = Some(error);
                break;
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = session.gather(&mut slices);
            if count == 0 {
                continue;
            }
            match stream.write_vectored(&slices[..count]) {
                Ok(WriteOutcome::Written { n }) => {
                    if let Some(tap) = &mut self.capture {
                        capture_written(tap, session, &slices[..count], n);
                    }
                    let wrote = session.wrote(n);
                    if let Some(Socket(socket)) = &self.socket {
                        socket.buffered.remove(wrote.payload);
                        add(&socket.counters.bytes_sent, n as u64);
                    } else if let Some(draining) = &mut self.draining {
                        draining.moved = true;
                    }
                }
                Ok(WriteOutcome::WouldBlock) => {
                    self.writable = false;
                    session.write_blocked(context.now);
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if failure.is_none() && self.writable && (session.has_to_write() || waits_in_lanes) {
            context.turn_again(self.key);
        }
        if failure.is_none() && stream.needs_flush() {
            let has_records = stream.has_records();
            match stream.flush() {
                // Bytes below the session were sent.
                Ok(true) if has_records => drop(session.wrote(0)),
                Ok(true) => {}
                Ok(false) => {
                    self.writable = false;
                    session.write_blocked(context.now);
                }
                Err(error) => failure = Some(error),
            }
            if let Transport::Own(stream) = stream
                && stream.has_link()
            {
                self.expiry = earlier(expiry, stream.link_deadline());
            }
        }
        if let Some(error) = failure {
            self.fail_write(error, context);
        }
    }

    /// A write failed. Reads first: what the server sent before may explain it.
    fn fail_write(&mut self, error: Error, context: &mut Context) {
        self.writable = false;
        if self.readable && self.socket.is_some() {
            self.read(context);
        }
        self.transport_failed(error, context);
    }
}

/// Records what was written, with the messages of lanes in it.
#[cold]
fn capture_written(tap: &mut Tap, session: &Session, slices: &[IoSlice<'_>], count: usize) {
    let notes = session
        .lane_messages_within(count)
        .map(|(end, begun)| {
            let text = NoteText::Message { lane: begun.lane, tag: begun.tag, waited_us: begun.waited_us };
            Note { end, text }
        })
        .collect();
    tap.bytes(Direction::Sent, slices, count, notes);
}
