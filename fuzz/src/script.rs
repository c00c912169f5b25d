//! Drives a session like a worker does, with a simulated network and clock.

use std::io::IoSlice;
use std::time::Duration;

use framewire::ErrorKind;
use framewire::internals::buffer::Segment;
use framewire::internals::clock::Instant;
use framewire::internals::session::inbound::Scratch;
use framewire::internals::session::keepalive::PingSettings;
use framewire::internals::session::lanes::{Lane, Lanes, Outcome, Waiting};
use framewire::internals::session::sending::MAX_SLICES;
use framewire::internals::session::{MessageType, Outbox, Session, SessionEvent, Settings};
use framewire::internals::wire::response::{ResponseHead, ResponseHeaders};
use framewire::internals::wire::upgrade::{UpgradeRequest, accept_for, key_from};
use framewire::internals::wire::url::Url;

use super::input::Pieces;

pub const NONCE: [u8; 16] = *b"the sample nonce";

/// Two lanes share what the first leaves.
pub const LANES: [Lane; 3] = [
    Lane { priority: 0, weight: 1, max_bytes: 4096 },
    Lane { priority: 1, weight: 1, max_bytes: 0 },
    Lane { priority: 1, weight: 3, max_bytes: 0 },
];

pub fn request() -> UpgradeRequest {
    UpgradeRequest::new(Url::parse("ws://game.example/play").expect("valid URL"))
}

pub fn settings() -> Settings {
    Settings {
        max_message_size: 1 << 20,
        close_timeout: Duration::from_secs(5),
        pings: PingSettings {
            enabled: false,
            frequency: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
        },
        compression: None,
        extensions: Vec::new(),
    }
}

/// The response that accepts the request of [`NONCE`].
pub fn switching(extensions: &str) -> Vec<u8> {
    let accept = accept_for(&key_from(NONCE));
    let mut text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if !extensions.is_empty() {
        text.push_str(&format!("Sec-WebSocket-Extensions: {extensions}\r\n"));
    }
    (text + "\r\n").into_bytes()
}

/// An owned session event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Opened,
    Message(MessageType, Vec<u8>),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool, payload: Vec<u8> },
    Pong(Vec<u8>),
    Refused { kind: ErrorKind, status: Option<u16>, body: Vec<u8> },
    Closed(u16, String),
    Failed(ErrorKind),
}

impl Event {
    pub fn is_terminal(&self) -> bool {
        matches!(self, Event::Refused { .. } | Event::Closed(..) | Event::Failed(_))
    }
}

pub struct Driver {
    pub session: Session,
    pub outbox: Outbox,
    pub now: Instant,
    /// Whether fragments are delivered one by one.
    pub stream: bool,
    pub events: Vec<Event>,
    /// Bytes written since the upgrade request.
    pub wire: Vec<u8>,
    /// The number of bytes that can be written before the network blocks.
    pub network_capacity: usize,
    /// Data after the upgrade is not processed.
    pub stop_when_open: bool,
    /// The game has unprocessed events: a close frame for a violation is sent after what it still sends.
    pub defer_close: bool,
    /// Such a close frame is pending.
    pub close_deferred: bool,
    /// Payload bytes that were queued, and those that `wrote` reported as written.
    pub queued: usize,
    pub written: usize,
    /// Of messages with a tag, in the order in which they occurred.
    pub outcomes: Vec<(u64, Outcome)>,
    scratch: Scratch,
    keys: u32,
}

impl Driver {
    /// Creates a session whose request was written and not answered.
    pub fn new(settings: &Settings) -> Self {
        let session = Session::new(settings, request(), NONCE).expect("out of memory");
        let mut driver = Self::of(session, settings);
        driver.flush(Pieces::Whole);
        let request = std::mem::take(&mut driver.wire);
        assert!(request.starts_with(b"GET /play HTTP/1.1\r\n") && request.ends_with(b"\r\n\r\n"));
        driver
    }

    /// Like [`new`](Self::new), on an HTTP/2 stream: [`head_received`](Self::head_received) passes the head of
    /// the response.
    pub fn over_http2(settings: &Settings) -> Self {
        let (session, connect) = Session::over_http2(settings, request()).expect("out of memory");
        assert_eq!((connect.secure, connect.authority.as_str()), (false, "game.example"));
        assert!(connect.fields.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
        let mut driver = Self::of(session, settings);
        driver.flush(Pieces::Whole);
        assert!(driver.wire.is_empty(), "the request is not part of the stream");
        driver
    }

    fn of(session: Session, settings: &Settings) -> Self {
        let mut outbox = Outbox::default();
        // Messages sent before the connection is open are queued.
        outbox.hold(settings.compression.as_ref().map(|config| config.min_size_to_compress as u32));
        Self {
            session,
            outbox,
            now: Instant::now(),
            stream: false,
            events: Vec::new(),
            wire: Vec::new(),
            network_capacity: usize::MAX,
            stop_when_open: false,
            defer_close: false,
            close_deferred: false,
            queued: 0,
            written: 0,
            outcomes: Vec::new(),
            scratch: None,
            keys: 0,
        }
    }

    /// Passes the response head of HTTP/2.
    pub fn head_received(&mut self, status: u16, extensions: &str) {
        if self.session.awaits_head() {
            let mut headers = ResponseHeaders::default();
            if !extensions.is_empty() {
                headers.push("sec-websocket-extensions", extensions);
            }
            self.session.head_received(ResponseHead { status, reason: String::new(), version: 1, headers });
            self.process();
        }
    }

    pub fn is_open(&self) -> bool {
        self.events.first() == Some(&Event::Opened)
    }

    /// Receives bytes from the peer; the socket is drained after each piece.
    pub fn feed(&mut self, bytes: &[u8], mut pieces: Pieces) {
        let mut scratch = self.scratch.take();
        for piece in pieces.cut(bytes) {
            let mut left = piece;
            while !left.is_empty() && self.wants_events() {
                let mut count = 0;
                for target in self.session.targets(&mut scratch).expect("out of memory") {
                    let part = target.len().min(left.len());
                    target[..part].copy_from_slice(&left[..part]);
                    left = &left[part..];
                    count += part;
                }
                assert!(count > 0, "no buffer space for received bytes");
                self.session.received(count, &mut scratch, self.now);
                self.process();
            }
            self.session.settle(&mut scratch);
        }
        self.scratch = scratch;
    }

    fn process(&mut self) {
        while self.wants_events() {
            let event = match self.session.next(self.stream, self.now) {
                SessionEvent::Idle => return,
                event => owned(event),
            };
            self.record(event);
        }
    }

    fn wants_events(&self) -> bool {
        !self.stop_when_open || !self.is_open()
    }

    fn record(&mut self, event: Option<Event>) {
        let Some(event) = event else { return };
        assert!(!self.is_over(), "{event:?} after {:?}", self.events.last());
        assert_eq!(event.is_terminal(), self.session.is_done(), "{event:?}");
        let is_first = self.events.is_empty();
        match &event {
            Event::Opened => {
                assert!(is_first, "second open event");
                self.outbox.release(self.session.message_encoding());
            }
            Event::Failed(_) => self.close_deferred = self.defer_close && self.session.hold_close(),
            Event::Refused { .. } => {}
            event => assert!(!is_first, "{event:?} before the open event"),
        }
        self.events.push(event);
    }

    pub fn is_over(&self) -> bool {
        self.events.last().is_some_and(Event::is_terminal)
    }

    /// The peer ends its side of the stream.
    pub fn end(&mut self) {
        let event = owned(self.session.ended(None));
        self.record(event);
        assert!(self.session.is_done());
    }

    pub fn cancel_handshake(&mut self) {
        let event = owned(self.session.cancel_handshake());
        self.record(event);
    }

    /// The game has processed all events: sends a deferred close frame.
    pub fn release_close(&mut self) {
        if std::mem::take(&mut self.close_deferred) {
            self.session.release_close(&mut self.outbox, self.now);
        }
    }

    /// Advances the clock and runs expired timers in order.
    pub fn advance(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut turns = 0;
        while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let event = owned(self.session.handle_timeout(self.now));
            self.record(event);
            self.flush(Pieces::Whole);
            turns += 1;
            assert!(turns < 100_000, "the deadline does not advance");
        }
        self.now = until;
    }

    /// Returns whether a caller may send: not after a close frame.
    pub fn may_send(&self) -> bool {
        !self.outbox.is_closed() && (!self.is_over() || self.close_deferred)
    }

    pub fn send(&mut self, message_type: MessageType, payload: &[u8], fragment_size: usize, how: Send) {
        let keys = &mut self.keys;
        let mut keys = || next_key(keys);
        match how {
            Send::Copied => self.outbox.push(message_type, payload, fragment_size, &mut keys),
            Send::Uncompressed => {
                self.outbox.push_uncompressed(message_type, payload, fragment_size, &mut keys)
            }
            Send::Owned | Send::Shared => {
                let segment = Segment::copy_of(payload).expect("out of memory");
                let shared = (how == Send::Shared).then(|| segment.clone());
                let done = self.outbox.push_segment(message_type, segment, fragment_size, &mut keys);
                assert!(
                    shared.is_none_or(|shared| shared.as_slice() == payload),
                    "a shared segment was modified"
                );
                done
            }
        }
        .expect("out of memory");
        self.queued += payload.len();
    }

    pub fn uses_lanes(&self) -> bool {
        self.outbox.lanes.is_some()
    }

    /// Returns whether the lane accepted the message.
    pub fn send_in_lane(&mut self, lane: usize, message: Waiting) -> bool {
        let new = || Box::new(Lanes::new(&LANES).expect("they are valid"));
        match self.outbox.lanes.get_or_insert_with(new).push(lane, message, usize::MAX) {
            Ok(pushed) => {
                self.queued = self.queued + pushed.added - pushed.dropped;
                true
            }
            Err(_) => false,
        }
    }

    /// Takes what begins now from the queue, and drops what has expired.
    fn take_queued(&mut self) {
        self.queued -= self.session.take_from(&mut self.outbox, self.now);
        if let Some(lanes) = &mut self.outbox.lanes {
            self.queued -= lanes.sweep(self.now);
        }
    }

    fn collect_outcomes(&mut self) {
        let mut ended = Vec::new();
        self.session.take_ended(&mut ended);
        let Some(lanes) = &mut self.outbox.lanes else { return assert!(ended.is_empty()) };
        for (begun, is_written) in ended {
            if is_written { lanes.sent(begun) } else { lanes.lost(begun) }
        }
        lanes.take_outcomes(&mut self.outcomes);
    }

    /// The connection is over: what was not written is lost.
    pub fn lose_messages(&mut self) {
        self.session.lose_messages();
        self.collect_outcomes();
        self.outbox.close();
        self.collect_outcomes();
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let keys = &mut self.keys;
        self.outbox.push_close(code, reason, &mut || next_key(keys)).expect("out of memory");
    }

    /// Writes until the network blocks, in the given piece sizes.
    pub fn flush(&mut self, pieces: Pieces) {
        self.write(pieces);
        self.collect_outcomes();
    }

    fn write(&mut self, mut pieces: Pieces) {
        let mut idle_rounds = 0;
        loop {
            self.take_queued();
            if !self.session.has_to_write() {
                return;
            }
            let keys = &mut self.keys;
            self.session.prepare(&mut || next_key(keys)).expect("no extension fails to encode");
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.session.gather(&mut slices);
            let ready: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            if ready == 0 {
                if !self.session.has_to_write() {
                    // The game's close frame, which the one for a violation replaces.
                    assert!(self.close_deferred, "pending data was not prepared");
                    return;
                }
                // Compression is limited per call, so some calls produce nothing.
                idle_rounds += 1;
                assert!(idle_rounds < 2000, "pending data is never prepared");
                continue;
            }
            let taken = pieces.next(ready).min(self.network_capacity);
            if taken == 0 {
                self.session.write_blocked(self.now);
                return;
            }
            let mut left = taken;
            for slice in &slices[..count] {
                let part = left.min(slice.len());
                self.wire.extend_from_slice(&slice[..part]);
                left -= part;
            }
            if self.network_capacity != usize::MAX {
                self.network_capacity -= taken;
            }
            self.written += self.session.wrote(taken).payload;
            assert!(self.written <= self.queued, "more was written than was queued");
        }
    }
}

/// How a message is passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Send {
    Copied,
    Uncompressed,
    /// As a segment that only the library references.
    Owned,
    /// As a segment with another reference.
    Shared,
}

/// Returns deterministic masking keys that differ from frame to frame.
fn next_key(count: &mut u32) -> [u8; 4] {
    *count += 1;
    count.wrapping_mul(0x9E37_79B9).to_be_bytes()
}

fn owned(event: SessionEvent<'_>) -> Option<Event> {
    Some(match event {
        SessionEvent::Idle | SessionEvent::Progress => return None,
        SessionEvent::Opened { .. } => Event::Opened,
        SessionEvent::Refused { error, head, body } => {
            Event::Refused { kind: error.kind, status: head.map(|head| head.status), body }
        }
        SessionEvent::Message { message_type, payload } => {
            assert_eq!(payload.segment().as_slice(), payload.bytes());
            Event::Message(message_type, payload.bytes().to_vec())
        }
        SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
            assert_eq!(payload.segment().as_slice(), payload.bytes());
            Event::Fragment { message_type, is_first, is_final, payload: payload.bytes().to_vec() }
        }
        SessionEvent::Encoded { .. } => unreachable!("no extension here is external"),
        SessionEvent::Pong(payload) => Event::Pong(payload.bytes().to_vec()),
        SessionEvent::Closed { code, reason } => Event::Closed(code, reason),
        SessionEvent::Failed(error) => {
            assert!(!error.message.is_empty());
            Event::Failed(error.kind)
        }
    })
}
