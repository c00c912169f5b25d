//! One connection of a socket: the browser's WebSocket, its deadlines, and the reconnect policy.
//!
//! ```text
//!      ┌──────── a loss, and retries are left ────────┐
//!      v                                              │
//!   Waiting ──> Connecting ──open──> Open ──close()──> Closing
//!                    └────────────────┴──────────────────┴──> terminal event
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::js::{self, Kind, Limits, Record};
use crate::buffer::{self, Segment, Writer};
use crate::clock::{Instant, unix_time};
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::counters::add;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::event_queue::QueuedEvent;
use crate::engine::shared::inbox::NetworkChange;
use crate::engine::shared::random;
use crate::engine::shared::settings::Settings;
use crate::engine::shared::socket::Shared;
use crate::engine::shared::state::State;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{BROWSER_LANE_AHEAD, READ_SIZE};
use crate::logging::LogLevel;
use crate::session::MessageType;
use crate::session::lanes::Begun;
use crate::session::outbox::{Entry, MessageEncoding};
use crate::session::reconnect::{Retries, Retry};
use crate::sync::lock;
use crate::wire::close::{ABNORMAL, NO_STATUS, NORMAL, parse_close};
use crate::wire::frame::parse_header;
use crate::wire::mask::mask_copy;

/// Messages stay as they are until they are sent: the browser makes the frames.
const WHOLE: MessageEncoding = MessageEncoding { compress_from: None, extended: true };

/// The capacity that an empty batch of events keeps.
const KEEP_CAPACITY: usize = 64;

/// The connection has ended: the terminal event was queued, or the socket was destroyed.
pub struct End;

pub struct Connection {
    /// The number of its WebSocket, for all attempts.
    id: u32,
    socket: Arc<Shared>,
    settings: Settings,
    stage: Stage,
    retries: Retries,
    /// For connecting, then for the closing handshake.
    deadline: Option<Instant>,
    /// Deadlines do not apply while the process is suspended.
    suspended_since: Option<Instant>,
    /// Payload bytes that the browser has accepted and not sent.
    accepted: usize,
    /// When the attempt started.
    started: Instant,
    batch: Vec<QueuedEvent>,
    /// Messages of lanes that the browser has accepted, until they are reported.
    begun: Vec<Begun>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until it is time for the next attempt.
    Waiting(Instant),
    Connecting,
    Open,
    /// The close frame was sent.
    Closing,
}

/// The data of the terminal event.
enum Terminal {
    Closed { code: u16, reason: String },
    Failed(Error),
}

impl Connection {
    pub fn new(id: u32, socket: Arc<Shared>, settings: Settings) -> Self {
        Self {
            id,
            socket,
            settings,
            stage: Stage::Connecting,
            retries: Retries::default(),
            deadline: None,
            suspended_since: None,
            accepted: 0,
            started: Instant::now(),
            batch: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// Starts connecting.
    pub fn start(&mut self) -> Result<(), End> {
        let request = &self.settings.request;
        let url = &request.url;
        self.socket.log(LogLevel::Debug, format_args!("connecting to {url}"));
        self.started = Instant::now();
        self.stage = Stage::Connecting;
        self.deadline = Some(self.started + self.settings.connect_timeout);
        let limits = Limits::new(self.settings.max_message_size, self.socket.ready_list.event_queue_bytes);
        match js::open(self.id, &url.full(), &request.protocols.join(","), &limits) {
            Ok(()) => Ok(()),
            Err(exception) => {
                let exception = exception.replace(&url.full(), &url.to_string());
                let message = format!("the browser refuses to connect to {url}: {exception}");
                let error = Error::new(ErrorKind::Io, Phase::Connect, message).with_retriable(false);
                self.end(Terminal::Failed(error))
            }
        }
    }

    // ------------------------------------------------------------------ commands

    /// Ends at once.
    pub fn cancel(&mut self, reason: &'static str) -> Result<(), End> {
        self.finish(Terminal::Closed { code: ABNORMAL, reason: reason.to_owned() })
    }

    pub fn fail_internally(&mut self, what: &'static str) -> Result<(), End> {
        self.end(Terminal::Failed(Error::new(ErrorKind::Internal, Phase::Open, what)))
    }

    /// Closes the connection of a destroyed socket. The browser sends what it has accepted, then the close frame: that
    /// of the game, if one is queued.
    pub fn destroy(&mut self, mode: DestroyMode) -> Result<(), End> {
        if let (DestroyMode::Drain { .. }, Stage::Open) = (mode, self.stage)
            && let Ok(Some((code, reason))) = self.hand_over(usize::MAX)
        {
            let _ = js::close(self.id, code, &reason);
        }
        let mut to_worker = lock(&self.socket.to_worker);
        to_worker.outbox.close();
        self.socket.set_state(State::Closed);
        self.socket.connection.store(0, Ordering::Relaxed);
        drop(to_worker);
        js::leave(self.id);
        Err(End)
    }

    /// Handles a report of the host. Without pings an open connection cannot be probed.
    pub fn network_changed(&mut self, change: NetworkChange, now: Instant) -> Result<(), End> {
        match change.suspended {
            Some(true) => _ = self.suspended_since.get_or_insert(now),
            Some(false) => {
                if let Some(since) = self.suspended_since.take()
                    && let Some(deadline) = &mut self.deadline
                {
                    *deadline += now.saturating_duration_since(since);
                }
            }
            None => {}
        }
        if change.probe && self.suspended_since.is_none() && matches!(self.stage, Stage::Waiting(_)) {
            self.stage = Stage::Waiting(now);
        }
        Ok(())
    }

    // ------------------------------------------------------------------ turns

    /// Checks the deadlines, and how much the browser has sent.
    pub fn turn(&mut self, now: Instant) -> Result<(), End> {
        self.count_sent();
        if self.socket.uses_lanes() {
            self.send()?;
            self.report_outcomes();
        }
        if self.suspended_since.is_some() {
            return Ok(());
        }
        if let Stage::Waiting(until) = self.stage {
            if now < until {
                return Ok(());
            }
            lock(&self.socket.info).reset(&self.settings.request);
            return self.start();
        }
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        self.deadline = None;
        if self.stage == Stage::Closing {
            let waited = self.settings.close_timeout.as_millis();
            let reason = format!("the server did not respond to the close frame within {waited} ms");
            return self.end(Terminal::Closed { code: ABNORMAL, reason });
        }
        let (url, waited) = (&self.settings.request.url, self.settings.connect_timeout.as_millis());
        let message = format!("the browser did not connect to {url} within {waited} ms");
        self.end(Terminal::Failed(Error::new(ErrorKind::TimedOut, Phase::Connect, message)))
    }

    /// Gives the queued messages to the browser.
    pub fn send(&mut self) -> Result<(), End> {
        if self.stage != Stage::Open {
            return Ok(());
        }
        match self.hand_over(BROWSER_LANE_AHEAD.saturating_sub(js::buffered(self.id))) {
            Ok(None) => {}
            Ok(Some((code, reason))) => {
                self.deadline = Some(Instant::now() + self.settings.close_timeout);
                self.stage = Stage::Closing;
                if let Err(exception) = js::close(self.id, code, &reason) {
                    return self.refused(&exception);
                }
            }
            Err(exception) => return self.refused(&exception),
        }
        self.count_sent();
        self.report_outcomes();
        Ok(())
    }

    fn refused(&mut self, exception: &str) -> Result<(), End> {
        let message = format!("the browser refuses to send: {exception}");
        self.end(Terminal::Failed(Error::new(ErrorKind::Io, Phase::Open, message)))
    }

    /// Gives the queued messages to the browser, of lanes until they have `room` bytes. Returns the close frame that
    /// follows them.
    fn hand_over(&mut self, room: usize) -> Result<Option<(u16, String)>, String> {
        let mut entries = VecDeque::new();
        {
            let outbox = &mut lock(&self.socket.to_worker).outbox;
            outbox.take(&mut entries);
            let expired = outbox.take_from_lanes(&mut entries, room, Instant::now());
            self.socket.buffered.take_back(expired);
        }
        for entry in entries {
            match entry {
                Entry::Plain { message_type, payload, .. } => {
                    js::send(self.id, payload.as_slice(), message_type == MessageType::Text)?;
                    self.accepted += payload.len();
                    add(&self.socket.counters.messages_sent, 1);
                    add(&self.socket.counters.bytes_sent, payload.len() as u64);
                }
                Entry::End(begun) => self.begun.push(begun),
                Entry::Close { frame } => {
                    return Ok(Some(close_of(frame.as_slice())));
                }
                // Made only by the session, which does not run here.
                Entry::Framed { .. } | Entry::Bare { .. } | Entry::Changed { .. } => {}
            }
        }
        Ok(None)
    }

    /// Drops messages of lanes that have expired, and delivers what became of those with tags.
    fn report_outcomes(&mut self) {
        let mut outcomes = Vec::new();
        {
            let outbox = &mut lock(&self.socket.to_worker).outbox;
            let Some(lanes) = &mut outbox.lanes else { return };
            for begun in self.begun.drain(..) {
                lanes.sent(begun);
            }
            self.socket.buffered.take_back(lanes.sweep(Instant::now()));
            lanes.take_outcomes(&mut outcomes);
        }
        let sent = |(tag, outcome)| QueuedEvent::from(EventKind::Sent { tag, outcome });
        self.batch.extend(outcomes.into_iter().map(sent));
        // The queue was charged for them when the messages were accepted.
        self.publish(&mut 0);
    }

    /// Updates the buffered amount with the browser's own.
    fn count_sent(&mut self) {
        if self.accepted > 0 {
            let left = js::buffered(self.id).min(self.accepted);
            self.socket.buffered.remove(self.accepted - left);
            self.accepted = left;
        }
    }

    /// Takes what JavaScript has queued, until the event queue is full.
    pub fn receive(&mut self) -> Result<(), End> {
        let mut block = None;
        let (mut got_message, mut charge) = (false, 0);
        let outcome = loop {
            if self.socket.event_queue.charge() + charge >= self.socket.ready_list.event_queue_bytes {
                self.publish(&mut charge);
                // The game resumes reading when it has taken events.
                if self.socket.pause() {
                    break Ok(());
                }
            }
            let Some(record) = js::peek(self.id) else { break Ok(()) };
            let Some(payload) = self.take(&record, &mut block) else {
                let message = "the allocator has no memory to read into";
                break self.end(Terminal::Failed(Error::new(ErrorKind::Internal, Phase::Open, message)));
            };
            let message_type = match record.kind {
                Kind::Text => MessageType::Text,
                Kind::Binary => MessageType::Binary,
                _ => {
                    self.publish(&mut charge);
                    match self.handle(&record, payload) {
                        Ok(()) => continue,
                        end => break end,
                    }
                }
            };
            got_message = true;
            add(&self.socket.counters.messages_received, 1);
            add(&self.socket.counters.bytes_received, payload.len() as u64);
            let event = QueuedEvent::from(EventKind::message(message_type, payload));
            charge += event.charge();
            self.batch.push(event);
        };
        if got_message {
            self.socket.last_message_us.store(unix_time().as_micros() as u64, Ordering::Relaxed);
        }
        self.publish(&mut charge);
        outcome
    }

    /// Takes a record's payload. Small ones share a block.
    fn take(&self, record: &Record, block: &mut Option<Writer>) -> Option<Segment> {
        if block.as_ref().is_none_or(|block| block.room() < record.len) {
            *block = Some(buffer::take(record.len.max(record.unread.min(READ_SIZE))).ok()?);
        }
        let block = block.as_mut()?;
        let start = block.filled();
        js::take(self.id, record, block);
        Some(if record.len == 0 { Segment::EMPTY } else { block.segment(start, block.filled()) })
    }

    /// Handles a record that is no message.
    fn handle(&mut self, record: &Record, payload: Segment) -> Result<(), End> {
        let text = String::from_utf8_lossy(payload.as_slice());
        let code = u16::try_from(record.code).unwrap_or(ABNORMAL);
        let url = &self.settings.request.url;
        match record.kind {
            Kind::Open => self.opened(&text),
            Kind::Closed if self.stage != Stage::Connecting => {
                self.end(Terminal::Closed { code, reason: text.into_owned() })
            }
            Kind::Closed | Kind::Lost if self.stage == Stage::Connecting => {
                let message = format!(
                    "the browser could not connect to {url} and tells a page no reason; its console may tell it \
                     (the server does not run, its certificate is not valid, it refused the upgrade, or the page \
                     may not connect to it)"
                );
                self.end(Terminal::Failed(Error::new(ErrorKind::Io, Phase::Connect, message)))
            }
            Kind::Closed | Kind::Lost if self.stage == Stage::Closing => {
                let reason = "the server ended the connection without a closing handshake".to_owned();
                self.end(Terminal::Closed { code: ABNORMAL, reason })
            }
            Kind::Closed | Kind::Lost => {
                let what = match code {
                    ABNORMAL | NO_STATUS => String::new(),
                    code => format!(" (close code {code} {text})"),
                };
                let message = format!("the connection to {url} was lost without a closing handshake{what}");
                self.end(Terminal::Failed(Error::new(ErrorKind::Reset, Phase::Open, message)))
            }
            Kind::TooLarge => {
                let message = format!(
                    "the server sent a message of {} bytes, and the limit is {} bytes \
                     (fw_socket_set_max_message_size)",
                    record.code, self.settings.max_message_size
                );
                self.end(Terminal::Failed(Error::new(ErrorKind::TooLarge, Phase::Open, message)))
            }
            Kind::QueueFull => {
                let message = "too many received messages are unread; poll more often, and let the server send \
                               less while the page is hidden";
                let error = Error::new(ErrorKind::TooLarge, Phase::Open, message).with_retriable(true);
                self.end(Terminal::Failed(error))
            }
            Kind::Text | Kind::Binary => Ok(()),
        }
    }

    /// Opens the socket, unless the caller has cancelled or destroyed it.
    fn opened(&mut self, negotiated: &str) -> Result<(), End> {
        let socket = self.socket.clone();
        {
            let mut to_worker = lock(&socket.to_worker);
            if socket.state() != State::Connecting || socket.is_destroyed() {
                return Ok(());
            }
            if to_worker.queues_while_connecting {
                to_worker.outbox.release(WHOLE);
            } else {
                to_worker.outbox.reset(WHOLE);
                socket.buffered.clear();
            }
            socket.set_state(State::Open);
        }
        let (protocol, extensions) = negotiated.split_once('\n').unwrap_or((negotiated, ""));
        {
            let mut info = lock(&socket.info);
            (info.protocol, info.extensions) = (protocol.into(), extensions.into());
        }
        let took = self.started.elapsed().as_micros() as u64;
        socket.counters.connect_us.store(took, Ordering::Relaxed);
        if self.retries.is_retrying() {
            add(&socket.counters.reconnects, 1);
        }
        self.retries.succeeded();
        (self.stage, self.deadline) = (Stage::Open, None);
        self.deliver(EventKind::Open);
        self.send()
    }

    // ------------------------------------------------------------------ events

    fn publish(&mut self, charge: &mut usize) {
        if !self.batch.is_empty() {
            self.socket.publish(&mut self.batch, std::mem::take(charge));
            // What a burst has needed is freed.
            self.batch.shrink_to(KEEP_CAPACITY);
        }
    }

    /// Delivers an event that is not a message, after the messages.
    fn deliver(&mut self, event: EventKind) {
        let event = QueuedEvent::from(event);
        let mut charge = event.charge() + self.batch.iter().map(QueuedEvent::charge).sum::<usize>();
        self.batch.push(event);
        self.publish(&mut charge);
    }

    // ------------------------------------------------------------------ the end

    /// Ends the connection, or reconnects if the settings allow it.
    fn end(&mut self, terminal: Terminal) -> Result<(), End> {
        if let Terminal::Failed(error) = &terminal
            && let Some(settings) = &self.settings.reconnect
            && let Some(retry) = self.retries.after(error, settings, None, random::number())
            && self.detach()
        {
            self.wait(error.clone(), retry);
            return Ok(());
        }
        self.finish(terminal)
    }

    fn wait(&mut self, error: Error, Retry { attempt, delay }: Retry) {
        js::leave(self.id);
        let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        self.socket
            .log(LogLevel::Info, format_args!("{error}; reconnect attempt {attempt} in {delay_ms} ms"));
        self.deadline = None;
        self.stage = Stage::Waiting(Instant::now() + Duration::from_millis(delay_ms.into()));
        self.deliver(EventKind::Reconnecting { error: Box::new(error), attempt, delay_ms });
    }

    /// Releases the WebSocket without a terminal event. False if the caller has closed or destroyed the socket.
    /// Messages that were queued while connecting remain queued; those of a lost connection are dropped.
    fn detach(&mut self) -> bool {
        let socket = &self.socket;
        let mut to_worker = lock(&socket.to_worker);
        if socket.is_destroyed() || socket.state() == State::Closing {
            return false;
        }
        if socket.state() != State::Connecting {
            to_worker.outbox.close();
            socket.buffered.clear();
            to_worker.queue_while_connecting(&self.settings);
        }
        self.accepted = 0;
        socket.paused.store(false, Ordering::Relaxed);
        socket.set_state(State::Connecting);
        drop(to_worker);
        self.report_outcomes();
        true
    }

    /// Delivers the terminal event.
    fn finish(&mut self, terminal: Terminal) -> Result<(), End> {
        js::leave(self.id);
        {
            let mut to_worker = lock(&self.socket.to_worker);
            self.socket.connection_ended(&mut to_worker);
        }
        self.report_outcomes();
        let event = match terminal {
            Terminal::Closed { code, reason } => {
                self.socket.log(LogLevel::Debug, format_args!("closed: {code} {reason}"));
                EventKind::Closed { code, reason: reason.into() }
            }
            Terminal::Failed(error) => {
                self.socket.log(LogLevel::Info, format_args!("{error}"));
                EventKind::Error(Box::new(error))
            }
        };
        self.deliver(event);
        Err(End)
    }
}

/// The code and reason of a close frame, which the outbox has masked.
fn close_of(frame: &[u8]) -> (u16, String) {
    let mut payload = vec![0; frame.len()];
    if let Ok(Some((header, start))) = parse_header(frame)
        && let (Some(key), Some(masked)) = (header.mask, frame.get(start..))
    {
        payload.truncate(masked.len());
        mask_copy(&mut payload, masked, key, 0);
    }
    let (code, reason) = parse_close(&payload).ok().flatten().unwrap_or((NORMAL, ""));
    (code, reason.to_owned())
}
