//! The worker, the network and the peer, as plain as they can be.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use crate::buffer::Segment;
use crate::error::Error;
use crate::session::inbound::Scratch;
use crate::session::liveness::PingSettings;
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
    PingSettings { enabled: false, frequency: Duration::from_secs(1), patience: Duration::from_secs(2) };

/// What the game would be told, with bytes of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Opened,
    Message(MessageType, Vec<u8>),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool, payload: Vec<u8> },
    Pong(Vec<u8>),
    Refused { error: Error, status: Option<u16>, body: Vec<u8> },
    Closed(u16, String),
    Failed(Error),
}

impl Told {
    pub fn is_terminal(&self) -> bool {
        matches!(self, Told::Refused { .. } | Told::Closed(..) | Told::Failed(_))
    }
}

/// How the network cuts what it carries.
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

/// Repeatable chance (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Mostly short, sometimes long: every magnitude up to 2^17 is as likely as any other.
    pub fn length(&mut self) -> usize {
        let magnitude = self.below(18);
        self.below(1 << magnitude)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub fn text(&mut self, length: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < length {
            text.push(['a', 'ß', '水', '🎲', '\0'][self.below(5)]);
        }
        text.into_bytes()
    }
}

/// Mask keys that never repeat, so that a test can see whether each frame asked for its own.
#[derive(Default)]
pub struct Keys(pub u32);

impl MaskKeys for Keys {
    fn next_key(&mut self) -> [u8; 4] {
        self.0 += 1;
        self.0.wrapping_mul(0x9E37_79B9).to_be_bytes()
    }
}

/// A frame that our side sent, read by the letter of RFC 6455 section 5.2.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub fin: bool,
    /// The reserved bits, where the header has them.
    pub rsv: u8,
    pub opcode: u8,
    pub key: [u8; 4],
    pub payload: Vec<u8>,
}

/// The frames in `wire`, and what is left of an unfinished one.
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

/// A frame as a server sends it.
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

/// The response that accepts the request of [`NONCE`].
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

/// A session, driven as a worker drives it.
pub struct Driver {
    pub session: Session,
    pub outbox: Outbox,
    pub keys: Keys,
    pub now: Instant,
    pub start: Instant,
    /// Whether somebody wants fragments one by one.
    pub stream: bool,
    pub told: Vec<Told>,
    /// All that the network took of ours since the upgrade request.
    pub wire: Vec<u8>,
    /// Payload bytes that `wrote` has given back.
    pub payload_written: usize,
    /// Segments of messages that the game keeps, with what they held when it got them.
    pub kept: Option<Vec<(Segment, Vec<u8>)>>,
    scratch: Scratch,
    /// What the network takes before it blocks.
    pub network_takes: usize,
}

impl Driver {
    /// The request is on the wire, and nothing has been answered.
    pub fn asked(settings: &Settings) -> Driver {
        let request = UpgradeRequest::new(Url::parse("ws://game.example/play").unwrap());
        let now = Instant::now();
        let mut driver = Driver {
            session: Session::new(settings, request, NONCE).unwrap(),
            outbox: Outbox::default(),
            keys: Keys::default(),
            now,
            start: now,
            stream: false,
            told: Vec::new(),
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

    /// Open, with nothing received beyond the upgrade.
    pub fn with(settings: &Settings) -> Driver {
        let mut driver = Driver::asked(settings);
        driver.feed(&switching(), &mut Pieces::Whole);
        assert_eq!(std::mem::take(&mut driver.told), [Told::Opened]);
        driver
    }

    pub fn open() -> Driver {
        Driver::with(&settings())
    }

    /// The peer's bytes arrive, and after each piece the socket has run dry.
    pub fn feed(&mut self, bytes: &[u8], pieces: &mut Pieces) {
        let mut scratch = self.scratch.take();
        self.feed_with(bytes, pieces, &mut scratch);
        self.scratch = scratch;
    }

    /// The same with a scratch block that others use as well.
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
            assert!(count > 0, "there must always be room for another byte");
            self.session.received(count, scratch, self.now);
            self.look();
        }
    }

    fn look(&mut self) {
        loop {
            let told = match self.session.next(self.stream, self.now) {
                SessionEvent::Idle => return,
                SessionEvent::Again => continue,
                event => {
                    if let (Some(kept), SessionEvent::Message { payload, .. }) = (&mut self.kept, &event) {
                        kept.push((payload.segment(), payload.bytes().to_vec()));
                    }
                    owned(event)
                }
            };
            self.tell(told);
        }
    }

    fn tell(&mut self, told: Option<Told>) {
        if let Some(told) = told {
            assert!(!self.told.iter().any(Told::is_terminal), "{told:?} after {:?}", self.told.last());
            assert_eq!(told.is_terminal(), self.session.is_done());
            self.told.push(told);
        }
    }

    /// The end of the stream, or its loss.
    pub fn end(&mut self, error: Option<Error>) {
        let told = owned(self.session.ended(error));
        self.tell(told);
    }

    /// Time passes; what falls due happens at its time.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut turns = 0;
        while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let told = owned(self.session.handle_timeout(self.now));
            self.tell(told);
            self.flush();
            turns += 1;
            assert!(turns < 100_000, "a deadline that never moves on");
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

    /// Writes all that the network takes.
    pub fn flush(&mut self) {
        self.flush_in(&mut Pieces::Whole);
    }

    pub fn flush_in(&mut self, pieces: &mut Pieces) {
        self.session.take_from(&mut self.outbox, self.now);
        let mut in_vain = 0;
        while self.session.has_to_write() {
            self.session.prepare(&mut self.keys).unwrap();
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.session.gather(&mut slices);
            let ready: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            if ready == 0 {
                // What is compressed takes its time, but not for ever.
                in_vain += 1;
                assert!(in_vain < 2000, "something to write, and nothing to be written");
                continue;
            }
            assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
            let taken = pieces.next(ready).min(ready).min(self.network_takes);
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
            if self.network_takes != usize::MAX {
                self.network_takes -= taken;
            }
            self.payload_written += self.session.wrote(taken).payload;
        }
    }

    /// The whole frames that were sent.
    pub fn sent(&self) -> Vec<Sent> {
        decode(&self.wire).0
    }

    /// The same where an extension uses a reserved bit.
    pub fn sent_with(&self, allowed_rsv: u8) -> Vec<Sent> {
        decode_with(&self.wire, allowed_rsv).0
    }

    /// The last frame, which must be the only close frame.
    pub fn sent_close(&self) -> (u16, String) {
        let (frames, rest) = decode(&self.wire);
        assert!(rest.is_empty(), "nothing follows the close frame");
        assert_eq!(frames.iter().filter(|frame| frame.opcode == CLOSE).count(), 1, "{:?}", self.told);
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

    /// The one terminal event was told, and nothing can make the session say or send more.
    pub fn over(&mut self) -> Told {
        self.flush();
        let terminal = self.told.last().cloned().expect("nothing was told");
        assert!(terminal.is_terminal(), "{terminal:?}");
        let (told, wire) = (self.told.len(), self.wire.len());
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
        assert_eq!((self.told.len(), self.wire.len()), (told, wire), "{:?}", self.told);
        assert!(self.session.is_done());
        assert_eq!(self.session.deadline(), None);
        assert!(!self.session.has_to_write());
        assert_eq!(self.session.held_bytes(), 0, "nothing is kept for a connection that is over");
        terminal
    }
}

fn owned(event: SessionEvent<'_>) -> Option<Told> {
    Some(match event {
        SessionEvent::Idle | SessionEvent::Again => return None,
        SessionEvent::Opened { .. } => Told::Opened,
        SessionEvent::Refused { error, head, body } => {
            Told::Refused { error, status: head.map(|head| head.status), body }
        }
        SessionEvent::Message { message_type, payload } => {
            let bytes = payload.bytes().to_vec();
            assert_eq!(payload.segment().as_slice(), bytes);
            Told::Message(message_type, bytes)
        }
        SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
            let bytes = payload.bytes().to_vec();
            assert_eq!(payload.segment().as_slice(), bytes);
            Told::Fragment { message_type, is_first, is_final, payload: bytes }
        }
        SessionEvent::Pong(payload) => Told::Pong(payload.bytes().to_vec()),
        SessionEvent::Closed { code, reason } => Told::Closed(code, reason),
        SessionEvent::Failed(error) => Told::Failed(error),
    })
}
