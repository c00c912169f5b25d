//! The connection while it lives: bytes from the stream to the session and back, and what the
//! session makes of them to the game.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::callbacks::Inside;
use super::super::counters::add;
use super::super::delivery;
use super::super::event::{EventKind, Frame};
use super::super::lock;
use super::super::masks;
use super::super::socket::{Shared, Socket, State};
use super::super::transport::Transport;
use super::super::worker::Context;
use super::ending::Terminal;
use super::{Attempt, Fate, Stage};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{READS_PER_TURN, WRITES_PER_TURN};
use crate::net::stream::{ReadOutcome, WriteOutcome};
use crate::session::SessionEvent;
use crate::session::sending::MAX_SLICES;

impl Attempt {
    /// Reads, looks, writes; publishes what the game is to know.
    pub(super) fn live(&mut self, context: &mut Context) -> Fate {
        // Before the deadlines: what waits in the socket shows that the peer is alive.
        self.read(context);
        if std::mem::take(&mut self.in_haste)
            && let Stage::Live { session, .. } = &mut self.stage
        {
            let refused = Terminal::of(session.give_up_opening());
            self.terminal(refused, context);
        }
        // No deadline comes before the timer that is set.
        if self.is_awake()
            && self.timer.is_none_or(|timer| context.now >= timer)
            && let Stage::Live { session, .. } = &mut self.stage
            && session.deadline().is_some_and(|deadline| context.now >= deadline)
        {
            let terminal = Terminal::of(session.handle_timeout(context.now));
            self.terminal(terminal, context);
        }
        self.end_if_due(context);
        self.write(context);
        if let Some(Socket(socket)) = &self.socket {
            context.publish(socket);
        }
        self.wait_while_it_moves(context);
        self.fate(context)
    }

    pub(super) fn fate(&self, context: &Context) -> Fate {
        if self.socket.is_some() {
            return Fate::GoesOn;
        }
        let Stage::Live { session, stream } = &self.stage else { return Fate::Over };
        let silent = !session.has_to_write() && !stream.wants_write();
        // While the library stops nobody waits for the server, but for one that reads what was queued.
        if context.stopping && silent && self.draining.is_none() { Fate::Over } else { Fate::GoesOn }
    }

    fn read(&mut self, context: &mut Context) {
        if self.held.is_some() {
            return;
        }
        if std::mem::take(&mut self.unseen) {
            self.set_reading(true, context);
            if !self.look(context) {
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
                    stream.read_vectored(&mut slices[..used])
                }
                Err(_) => {
                    let message = "the allocator has no memory to read into";
                    self.fail_live(Error::new(ErrorKind::Internal, Phase::Open, message), context);
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
                    if !self.look(context) {
                        return;
                    }
                }
                Ok(ReadOutcome::WouldBlock) => self.readable = false,
                Ok(ReadOutcome::Eof { .. }) => {
                    self.readable = false;
                    self.give_up_draining();
                    let Stage::Live { session, .. } = &mut self.stage else { return };
                    let terminal = Terminal::of(session.ended(None));
                    self.terminal(terminal, context);
                    self.stop_lingering();
                    return;
                }
                Err(error) => {
                    self.readable = false;
                    self.fail_live(error, context);
                    return;
                }
            }
        }
        context.turn_again(self.key);
    }

    /// Over HTTP/2 the answer to the request comes before the bytes, and in its own way. False while
    /// there is none.
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
                self.in_haste = self.is_in_haste(&head);
                let Stage::Live { session, .. } = &mut self.stage else { return false };
                session.answered(head);
                self.look(context)
            }
            Err(error) => {
                // Whether it goes on is seen by what the turn ends with.
                let _ = self.unanswered(error, context);
                false
            }
        }
    }

    /// Passes on what the received bytes hold. False when reading is to stop for now.
    fn look(&mut self, context: &mut Context) -> bool {
        let Some(Socket(socket)) = self.socket.clone() else {
            if let Stage::Live { session, .. } = &mut self.stage {
                let _ = session.next(false, context.now);
            }
            return true;
        };
        let polls = socket.polls();
        let limit = socket.hub.event_queue_bytes;
        let waiting = socket.mailbox.charge();
        let handle = Socket(socket.clone());
        let mut got_message = false;
        // Callbacks of messages, one after the other: entered once for all of them.
        let _inside = Inside::enter();
        let keep_reading = loop {
            if polls && waiting + context.batch_charge >= limit {
                break self.pause(&socket, context);
            }
            if socket.is_destroyed() {
                break false;
            }
            if socket.callbacks_version() != self.callbacks_version {
                self.callbacks_version = socket.callbacks_version();
                self.callbacks = socket.callbacks();
            }
            let stream_frames = socket.wants_frames(&self.callbacks);
            let Stage::Live { session, stream } = &mut self.stage else { break false };
            match session.next(stream_frames, context.now) {
                SessionEvent::Idle => break true,
                SessionEvent::Again => {}
                SessionEvent::Message { message_type, payload } => {
                    got_message = true;
                    if polls {
                        context.collect_message(message_type, &payload);
                    } else {
                        let segment = || payload.segment();
                        delivery::show(&handle, &self.callbacks, message_type, payload.bytes(), segment);
                    }
                }
                SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
                    got_message = true;
                    let payload = payload.segment();
                    let frame = Frame { opcode: message_type, is_first, is_final, payload };
                    self.tell(EventKind::IncompleteFrame(frame), context);
                }
                SessionEvent::Pong(payload) => {
                    let payload = payload.segment();
                    let latency = session.latency();
                    if let Some(latency) = latency {
                        socket.latency_us.store(latency.as_micros() as i64, Ordering::Relaxed);
                    }
                    self.tell(EventKind::Pong(payload), context);
                }
                SessionEvent::Opened { accepted, head } => {
                    let version = stream.http_version();
                    self.deadline = None;
                    self.take_cookies(&socket, &head);
                    self.time(context.now, |counters| &counters.upgrade_us);
                    {
                        let mut facts = lock(&socket.facts);
                        facts.protocol = accepted.protocol.unwrap_or_default().into();
                        facts.extensions = accepted.extensions.into();
                        facts.head = Some(head);
                        facts.http_version = version;
                    }
                    if !self.opened(&socket) {
                        break false;
                    }
                    if self.retries.is_retrying() {
                        add(&socket.counters.reconnects, 1);
                    }
                    self.retries.succeeded();
                    self.fallback_is_over();
                    self.tell(EventKind::Open, context);
                }
                event => {
                    let terminal = Terminal::of(event);
                    self.came_to(terminal, context);
                    break self.held.is_none();
                }
            }
        };
        if got_message {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            socket.last_message_us.store(now.as_micros() as u64, Ordering::Relaxed);
        }
        self.count(&socket);
        if self.socket.is_some() {
            context.publish(&socket);
        }
        keep_reading
    }

    /// The socket is open from now on, unless the caller has given up meanwhile.
    fn opened(&mut self, socket: &Arc<Shared>) -> bool {
        let Stage::Live { stream, session } = &mut self.stage else { return false };
        stream.set_phase(Phase::Open);
        let mut to_worker = lock(&socket.to_worker);
        if to_worker.wishes.as_ref().is_some_and(|wishes| wishes.cancel.is_some()) || socket.is_destroyed() {
            return false;
        }
        if to_worker.holds {
            to_worker.outbox.release(session.treatment());
        } else {
            to_worker.outbox.reset(session.treatment());
            socket.buffered.store(0, Ordering::Relaxed);
        }
        socket.set_state(State::Open);
        true
    }

    /// The game is behind: the network waits.
    fn pause(&mut self, socket: &Arc<Shared>, context: &mut Context) -> bool {
        self.unseen = true;
        self.set_reading(false, context);
        context.publish(socket);
        if !socket.pause() {
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
        if let Some(Socket(socket)) = &self.socket {
            let mut to_worker = lock(&socket.to_worker);
            let outbox = &mut to_worker.outbox;
            if !outbox.is_empty() || outbox.is_closed() {
                session.take_from(outbox, context.now);
            }
            self.base.count_sent(socket, outbox, session);
        }
        let mut failure = None;
        for _ in 0..WRITES_PER_TURN {
            if !self.writable || !session.has_to_write() {
                break;
            }
            if let Err(error) = session.prepare(&mut masks::next_key) {
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
                    let wrote = session.wrote(n);
                    if let Some(Socket(socket)) = &self.socket {
                        socket.buffered.fetch_sub(wrote.payload, Ordering::Relaxed);
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
        if failure.is_none() && self.writable && session.has_to_write() {
            context.turn_again(self.key);
        }
        if failure.is_none() && stream.wants_write() {
            match stream.flush() {
                // Bytes that were stuck below the session have moved.
                Ok(true) => drop(session.wrote(0)),
                Ok(false) => {
                    self.writable = false;
                    session.write_blocked(context.now);
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            self.fail_write(error, context);
        }
    }

    /// A write failed. What the server had sent before may explain it, so that is read first.
    fn fail_write(&mut self, error: Error, context: &mut Context) {
        self.writable = false;
        if self.readable && self.socket.is_some() {
            self.read(context);
        }
        self.fail_live(error, context);
    }
}
