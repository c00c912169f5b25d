//! Test harness: a driver in place of the worker, a scripted peer, and a network that splits data.

use std::io::IoSlice;
use std::time::Duration;

use crate::buffer::Segment;
use crate::clock::Instant;
use crate::error::Error;
pub use crate::random::Random;
use crate::session::inbound::Scratch;
use crate::session::keepalive::PingSettings;
use crate::session::sending::MAX_SLICES;
use crate::session::{MaskKeys, MessageType, Outbox, Session, SessionEvent, Settings};
use crate::wire::upgrade::{UpgradeRequest, accept_for, key_from};
use crate::wire::url::Url;

pub const NONCE: [u8; 16] = *b"the sample nonce";

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

pub const PINGS_OFF: PingSettings =
    PingSettings { enabled: false, frequency: Duration::from_secs(1), timeout: Duration::from_secs(2) };

/// An event, with an own copy of its data.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Opened,
    Message(MessageType, Vec<u8>),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool, payload: Vec<u8> },
    Pong(Vec<u8>),
    Refused { error: Error, status: Option<u16>, body: Vec<u8> },
    Closed(u16, String),
    Failed(Error),
}

impl Event {
    pub fn is_terminal(&self) -> bool {
        matches!(self, Event::Refused { .. } | Event::Closed(..) | Event::Failed(_))
    }
}

/// How the network splits data.
#[derive(Clone, Debug)]
pub enum Pieces {
    Whole,
    Random(Random),
    Single,
}

impl Pieces {
    pub fn all() -> [Pieces; 4] {
        [Pieces::Whole, Pieces::Random(Random::new(1)), Pieces::Random(Random::new(2)), Pieces::Single]
    }

    pub fn next(&mut self, left: usize) -> usize {
        match self {
            Pieces::Whole => left,
            Pieces::Random(random) => random.length().clamp(1, left.max(1)),
            Pieces::Single => 1,
        }
    }
}

/// Mask keys that never repeat, so that tests can check that each frame has its own.
#[derive(Default)]
pub struct Keys(pub u32);

impl MaskKeys for Keys {
    fn next_key(&mut self) -> [u8; 4] {
        self.0 += 1;
        self.0.wrapping_mul(0x9E37_79B9).to_be_bytes()
    }
}

/// A frame sent by the client, decoded by RFC 6455 section 5.2.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub fin: bool,
    /// The reserved bits, at their position in the header.
    pub rsv: u8,
    pub opcode: u8,
    pub key: [u8; 4],
    pub payload: Vec<u8>,
}

/// Decodes the frames in `wire`; returns them and the rest of an unfinished one.
pub fn decode(wire: &[u8]) -> (Vec<Sent>, &[u8]) {
    decode_with(wire, 0)
}

fn decode_with(mut wire: &[u8], allowed_rsv: u8) -> (Vec<Sent>, &[u8]) {
    let mut frames = Vec::new();
    loop {
        let (mut at, start) = (2, wire);
        if wire.len() < at {
            return (frames, start);
        }
        let (first, second) = (wire[0], wire[1]);
        let rsv = first & 0x70;
        assert_eq!(rsv & !allowed_rsv, 0, "reserved bits");
        assert_eq!(second & 0x80, 0x80, "a client masks (section 5.1)");
        let width = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if wire.len() < at + width + 4 {
            return (frames, start);
        }
        let length = if width == 0 {
            u64::from(second & 0x7F)
        } else {
            wire[at..at + width].iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
        };
        match width {
            2 => assert!(length > 125, "shortest form"),
            8 => assert!(length > 65_535, "shortest form"),
            _ => {}
        }
        at += width;
        let key = [wire[at], wire[at + 1], wire[at + 2], wire[at + 3]];
        at += 4;
        let length = length as usize;
        if wire.len() < at + length {
            return (frames, start);
        }
        let payload =
            wire[at..at + length].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect::<Vec<_>>();
        let opcode = first & 0x0F;
        if opcode >= 8 {
            assert!(first & 0x80 != 0 && length <= 125, "control frames (section 5.5)");
        }
        frames.push(Sent { fin: first & 0x80 != 0, rsv, opcode, key, payload });
        wire = &wire[at + length..];
    }
}

/// Builds a frame as a server sends it.
pub fn frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(fin, opcode, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

pub fn header(fin: bool, opcode: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![if fin { 0x80 } else { 0 } | opcode];
    match length {
        0..=125 => bytes.push(length as u8),
        126..=65_535 => {
            bytes.push(126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

pub fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    frame(true, CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// Returns the response that accepts the request of [`NONCE`].
pub fn switching() -> Vec<u8> {
    let accept = accept_for(&key_from(NONCE));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

pub fn settings() -> Settings {
    Settings {
        max_message_size: 16 << 20,
        close_timeout: Duration::from_secs(5),
        pings: PINGS_OFF,
        compression: None,
        extensions: Vec::new(),
    }
}

/// Drives a session like a worker does.
pub struct Driver {
    pub session: Session,
    pub outbox: Outbox,
    pub keys: Keys,
    pub now: Instant,
    pub start: Instant,
    /// Whether fragments are delivered individually.
    pub stream: bool,
    pub events: Vec<Event>,
    /// All bytes written since the upgrade request.
    pub wire: Vec<u8>,
    /// Payload bytes that `wrote` has returned.
    pub payload_written: usize,
    /// Retained segments of messages, with a copy of their contents.
    pub kept: Option<Vec<(Segment, Vec<u8>)>>,
    scratch: Scratch,
    /// The bytes that can be written before the network blocks.
    pub network_takes: usize,
}

impl Driver {
    /// Returns a session that has sent the request.
    pub fn connecting(settings: &Settings) -> Driver {
        let request = UpgradeRequest::new(Url::parse("ws://game.example/play").unwrap());
        let now = Instant::now();
        let mut driver = Driver {
            session: Session::new(settings, request, NONCE).unwrap(),
            outbox: Outbox::default(),
            keys: Keys::default(),
            now,
            start: now,
            stream: false,
            events: Vec::new(),
            wire: Vec::new(),
            payload_written: 0,
            kept: None,
            scratch: None,
            network_takes: usize::MAX,
        };
        driver.flush();
        let request = String::from_utf8(std::mem::take(&mut driver.wire)).unwrap();
        assert!(request.starts_with("GET /play HTTP/1.1\r\nHost: game.example\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n"), "{request}");
        driver
    }

    /// Returns an open session.
    pub fn with(settings: &Settings) -> Driver {
        let mut driver = Driver::connecting(settings);
        driver.feed(&switching(), &mut Pieces::Whole);
        assert_eq!(std::mem::take(&mut driver.events), [Event::Opened]);
        driver
    }

    pub fn open() -> Driver {
        Driver::with(&settings())
    }

    /// Receives bytes of the peer; the socket is drained after each piece.
    pub fn feed(&mut self, bytes: &[u8], pieces: &mut Pieces) {
        let mut scratch = self.scratch.take();
        self.feed_with(bytes, pieces, &mut scratch);
        self.scratch = scratch;
    }

    /// Like [`feed`](Self::feed), with a shared scratch block.
    pub fn feed_with(&mut self, mut bytes: &[u8], pieces: &mut Pieces, scratch: &mut Scratch) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(pieces.next(bytes.len()).min(bytes.len()));
            self.arrive(piece, scratch);
            self.session.settle(scratch);
            bytes = rest;
        }
    }

    fn arrive(&mut self, mut piece: &[u8], scratch: &mut Scratch) {
        while !piece.is_empty() {
            let mut count = 0;
            for target in self.session.targets(scratch).unwrap() {
                let part = target.len().min(piece.len());
                target[..part].copy_from_slice(&piece[..part]);
                piece = &piece[part..];
                count += part;
            }
            assert!(count > 0, "there must always be space for another byte");
            self.session.received(count, scratch, self.now);
            self.collect_events();
        }
    }

    fn collect_events(&mut self) {
        loop {
            let event = match self.session.next(self.stream, self.now) {
                SessionEvent::Idle => return,
                SessionEvent::Progress => continue,
                event => {
                    if let (Some(kept), SessionEvent::Message { payload, .. }) = (&mut self.kept, &event) {
                        kept.push((payload.segment(), payload.bytes().to_vec()));
                    }
                    owned(event)
                }
            };
            self.record(event);
        }
    }

    fn record(&mut self, event: Option<Event>) {
        if let Some(event) = event {
            assert!(!self.events.iter().any(Event::is_terminal), "{event:?} after {:?}", self.events.last());
            assert_eq!(event.is_terminal(), self.session.is_done());
            self.events.push(event);
        }
    }

    /// Ends the stream, with or without an error.
    pub fn end(&mut self, error: Option<Error>) {
        let event = owned(self.session.ended(error));
        self.record(event);
    }

    /// Advances the clock and runs the timeouts that become due.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut turns = 0;
        while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let event = owned(self.session.handle_timeout(self.now));
            self.record(event);
            self.flush();
            turns += 1;
            assert!(turns < 100_000, "a deadline without progress");
        }
        self.now = until;
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn send(&mut self, message_type: MessageType, payload: &[u8], fragment_size: usize) {
        self.outbox.push(message_type, payload, fragment_size, &mut self.keys).unwrap();
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        self.outbox.push_close(code, reason, &mut self.keys).unwrap();
    }

    /// Writes until the network blocks.
    pub fn flush(&mut self) {
        self.flush_in(&mut Pieces::Whole);
    }

    /// Writes until the network blocks; returns the payload bytes of messages that have expired.
    pub fn flush_in(&mut self, pieces: &mut Pieces) -> usize {
        let expired = self.session.take_from(&mut self.outbox, self.now);
        let mut idle_turns = 0;
        while self.session.has_to_write() {
            self.session.prepare(&mut self.keys).unwrap();
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.session.gather(&mut slices);
            let ready: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            if ready == 0 {
                // Compression is limited per call, but must make progress.
                idle_turns += 1;
                assert!(idle_turns < 2000, "queued data, but no progress");
                continue;
            }
            assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
            let taken = pieces.next(ready).min(ready).min(self.network_takes);
            if taken == 0 {
                self.session.write_blocked(self.now);
                return expired;
            }
            let mut left = taken;
            for slice in &slices[..count] {
                let part = left.min(slice.len());
                self.wire.extend_from_slice(&slice[..part]);
                left -= part;
            }
            if self.network_takes != usize::MAX {
                self.network_takes -= taken;
            }
            self.payload_written += self.session.wrote(taken).payload;
        }
        expired
    }

    /// Returns the complete frames that were sent.
    pub fn sent(&self) -> Vec<Sent> {
        decode(&self.wire).0
    }

    /// Like [`sent`](Self::sent), with reserved bits of an extension.
    pub fn sent_with(&self, allowed_rsv: u8) -> Vec<Sent> {
        decode_with(&self.wire, allowed_rsv).0
    }

    /// Returns the last frame, which must be the only close frame.
    pub fn sent_close(&self) -> (u16, String) {
        let (frames, rest) = decode(&self.wire);
        assert!(rest.is_empty(), "nothing follows the close frame");
        assert_eq!(frames.iter().filter(|frame| frame.opcode == CLOSE).count(), 1, "{:?}", self.events);
        let close = frames.last().unwrap();
        assert_eq!(close.opcode, CLOSE);
        match &close.payload[..] {
            [] => (1005, String::new()),
            [high, low, reason @ ..] => {
                (u16::from_be_bytes([*high, *low]), String::from_utf8(reason.to_vec()).unwrap())
            }
            [_] => panic!("half a status code"),
        }
    }

    /// Returns the terminal event, after checking that nothing produces further events or data.
    pub fn over(&mut self) -> Event {
        self.flush();
        let terminal = self.events.last().cloned().expect("no event");
        assert!(terminal.is_terminal(), "{terminal:?}");
        let (events, wire) = (self.events.len(), self.wire.len());
        self.send(MessageType::Text, b"too late", 1000);
        self.session.ping(b"too late");
        let noise =
            [frame(true, TEXT, b"late"), frame(true, PING, b"late"), close_frame(1000, ""), vec![0xFF; 99]];
        self.feed(&noise.concat(), &mut Pieces::Whole);
        self.pass(Duration::from_secs(3600));
        self.flush();
        self.end(None);
        self.feed(&noise.concat(), &mut Pieces::Single);
        self.pass(Duration::from_secs(3600));
        self.end(Some(Error::new(crate::error::ErrorKind::Reset, crate::error::Phase::Open, "lost")));
        self.flush();
        assert_eq!((self.events.len(), self.wire.len()), (events, wire), "{:?}", self.events);
        assert!(self.session.is_done());
        assert_eq!(self.session.deadline(), None);
        assert!(!self.session.has_to_write());
        assert_eq!(self.session.held_bytes(), 0, "no buffers after the end");
        terminal
    }
}

fn owned(event: SessionEvent<'_>) -> Option<Event> {
    Some(match event {
        SessionEvent::Idle | SessionEvent::Progress => return None,
        SessionEvent::Opened { .. } => Event::Opened,
        SessionEvent::Refused { error, head, body } => {
            Event::Refused { error, status: head.map(|head| head.status), body }
        }
        SessionEvent::Message { message_type, payload } => {
            let bytes = payload.bytes().to_vec();
            assert_eq!(payload.segment().as_slice(), bytes);
            Event::Message(message_type, bytes)
        }
        SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
            let bytes = payload.bytes().to_vec();
            assert_eq!(payload.segment().as_slice(), bytes);
            Event::Fragment { message_type, is_first, is_final, payload: bytes }
        }
        SessionEvent::Encoded { .. } => unreachable!("no extension here is external"),
        SessionEvent::Pong(payload) => Event::Pong(payload.bytes().to_vec()),
        SessionEvent::Closed { code, reason } => Event::Closed(code, reason),
        SessionEvent::Failed(error) => Event::Failed(error),
    })
}
