//! A session driven as a worker drives it, with a network and a clock that obey.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use framewire::ErrorKind;
use framewire::internals::buffer::Segment;
use framewire::internals::session::inbound::Scratch;
use framewire::internals::session::keepalive::PingSettings;
use framewire::internals::session::sending::MAX_SLICES;
use framewire::internals::session::{MessageType, Outbox, Session, SessionEvent, Settings};
use framewire::internals::wire::response::{ResponseHead, ResponseHeaders};
use framewire::internals::wire::upgrade::{UpgradeRequest, accept_for, key_from};
use framewire::internals::wire::url::Url;

use super::input::Pieces;

pub const NONCE: [u8; 16] = *b"the sample nonce";

pub fn request() -> UpgradeRequest {
    UpgradeRequest::new(Url::parse("ws://game.example/play").expect("a URL"))
}

pub fn settings() -> Settings {
    Settings {
        max_message_size: 1 << 20,
        close_timeout: Duration::from_secs(5),
        pings: PingSettings {
            enabled: false,
            frequency: Duration::from_secs(1),
            patience: Duration::from_secs(2),
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

/// What the game would be told, with bytes of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Opened,
    Message(MessageType, Vec<u8>),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool, payload: Vec<u8> },
    Pong(Vec<u8>),
    Refused { kind: ErrorKind, status: Option<u16>, body: Vec<u8> },
    Closed(u16, String),
    Failed(ErrorKind),
}

impl Told {
    pub fn is_terminal(&self) -> bool {
        matches!(self, Told::Refused { .. } | Told::Closed(..) | Told::Failed(_))
    }
}

pub struct Driver {
    pub session: Session,
    pub outbox: Outbox,
    pub now: Instant,
    /// Whether somebody wants fragments one by one.
    pub stream: bool,
    pub told: Vec<Told>,
    /// What the network took since the upgrade request.
    pub wire: Vec<u8>,
    /// What the network takes before it blocks.
    pub network_takes: usize,
    /// Nothing behind the upgrade is looked at.
    pub until_open: bool,
    /// The game is behind: a close frame for a violation waits for what it still sends.
    pub behind: bool,
    /// Such a close frame waits.
    pub held: bool,
    /// Payload bytes that were queued, and those that `wrote` has given back.
    pub queued: usize,
    pub written: usize,
    scratch: Scratch,
    keys: u32,
}

impl Driver {
    /// The request is on the wire, and nothing has been answered.
    pub fn new(settings: &Settings) -> Self {
        let session = Session::new(settings, request(), NONCE).expect("there is memory");
        let mut driver = Self::of(session, settings);
        driver.flush(Pieces::Whole);
        let request = std::mem::take(&mut driver.wire);
        assert!(request.starts_with(b"GET /play HTTP/1.1\r\n") && request.ends_with(b"\r\n\r\n"));
        driver
    }

    /// The same on a stream of HTTP/2, whose head comes by [`answered`](Self::answered).
    pub fn over_http2(settings: &Settings) -> Self {
        let (session, connect) = Session::over_http2(settings, request()).expect("there is memory");
        assert_eq!((connect.secure, connect.authority.as_str()), (false, "game.example"));
        assert!(connect.fields.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
        let mut driver = Self::of(session, settings);
        driver.flush(Pieces::Whole);
        assert!(driver.wire.is_empty(), "the request goes outside of the stream");
        driver
    }

    fn of(session: Session, settings: &Settings) -> Self {
        let mut outbox = Outbox::default();
        // What is sent before it is open waits.
        outbox.hold(settings.compression.as_ref().map(|config| config.min_size_to_compress as u32));
        Self {
            session,
            outbox,
            now: Instant::now(),
            stream: false,
            told: Vec::new(),
            wire: Vec::new(),
            network_takes: usize::MAX,
            until_open: false,
            behind: false,
            held: false,
            queued: 0,
            written: 0,
            scratch: None,
            keys: 0,
        }
    }

    /// The head of the answer comes over HTTP/2.
    pub fn answered(&mut self, status: u16, extensions: &str) {
        if self.session.awaits_head() {
            let mut headers = ResponseHeaders::default();
            if !extensions.is_empty() {
                headers.push("sec-websocket-extensions", extensions);
            }
            self.session.answered(ResponseHead { status, reason: String::new(), version: 1, headers });
            self.look();
        }
    }

    pub fn is_open(&self) -> bool {
        self.told.first() == Some(&Told::Opened)
    }

    /// The peer's bytes arrive, and after each piece the socket has run dry.
    pub fn feed(&mut self, bytes: &[u8], mut pieces: Pieces) {
        let mut scratch = self.scratch.take();
        for piece in pieces.cut(bytes) {
            let mut left = piece;
            while !left.is_empty() && self.looks() {
                let mut count = 0;
                for target in self.session.targets(&mut scratch).expect("there is memory") {
                    let part = target.len().min(left.len());
                    target[..part].copy_from_slice(&left[..part]);
                    left = &left[part..];
                    count += part;
                }
                assert!(count > 0, "there must always be room for another byte");
                self.session.received(count, &mut scratch, self.now);
                self.look();
            }
            self.session.settle(&mut scratch);
        }
        self.scratch = scratch;
    }

    fn look(&mut self) {
        while self.looks() {
            let told = match self.session.next(self.stream, self.now) {
                SessionEvent::Idle => return,
                event => owned(event),
            };
            self.tell(told);
        }
    }

    fn looks(&self) -> bool {
        !self.until_open || !self.is_open()
    }

    fn tell(&mut self, told: Option<Told>) {
        let Some(told) = told else { return };
        assert!(!self.is_over(), "{told:?} after {:?}", self.told.last());
        assert_eq!(told.is_terminal(), self.session.is_done(), "{told:?}");
        let is_first = self.told.is_empty();
        match &told {
            Told::Opened => {
                assert!(is_first, "opened twice");
                self.outbox.release(self.session.treatment());
            }
            Told::Failed(_) => self.held = self.behind && self.session.hold_close(),
            Told::Refused { .. } => {}
            told => assert!(!is_first, "{told:?} before it was open"),
        }
        self.told.push(told);
    }

    pub fn is_over(&self) -> bool {
        self.told.last().is_some_and(Told::is_terminal)
    }

    /// The peer ends its side of the stream.
    pub fn end(&mut self) {
        let told = owned(self.session.ended(None));
        self.tell(told);
        assert!(self.session.is_done());
    }

    pub fn cancel_handshake(&mut self) {
        let told = owned(self.session.cancel_handshake());
        self.tell(told);
    }

    /// The game has come to the violation.
    pub fn catch_up(&mut self) {
        if std::mem::take(&mut self.held) {
            self.session.last_words(&mut self.outbox, self.now);
        }
    }

    /// Time passes; what falls due happens at its time.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut turns = 0;
        while let Some(due) = self.session.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let told = owned(self.session.handle_timeout(self.now));
            self.tell(told);
            self.flush(Pieces::Whole);
            turns += 1;
            assert!(turns < 100_000, "a deadline that never moves on");
        }
        self.now = until;
    }

    /// As a caller may: not behind a close frame.
    pub fn may_send(&self) -> bool {
        !self.outbox.is_closed() && (!self.is_over() || self.held)
    }

    pub fn send(&mut self, message_type: MessageType, payload: &[u8], fragment_size: usize, how: Send) {
        let keys = &mut self.keys;
        let mut keys = || next_key(keys);
        match how {
            Send::Copied => self.outbox.push(message_type, payload, fragment_size, &mut keys),
            Send::Uncompressed => {
                self.outbox.push_uncompressed(message_type, payload, fragment_size, &mut keys)
            }
            Send::Given | Send::Shared => {
                let segment = Segment::copy_of(payload).expect("there is memory");
                let shared = (how == Send::Shared).then(|| segment.clone());
                let done = self.outbox.push_segment(message_type, segment, fragment_size, &mut keys);
                assert!(shared.is_none_or(|shared| shared.as_slice() == payload), "masked under our hands");
                done
            }
        }
        .expect("there is memory");
        self.queued += payload.len();
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let keys = &mut self.keys;
        self.outbox.push_close(code, reason, &mut || next_key(keys)).expect("there is memory");
    }

    /// Writes all that the network takes, in such pieces.
    pub fn flush(&mut self, mut pieces: Pieces) {
        self.session.take_from(&mut self.outbox, self.now);
        let mut in_vain = 0;
        while self.session.has_to_write() {
            let keys = &mut self.keys;
            self.session.prepare(&mut || next_key(keys)).expect("no extension of ours fails here");
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.session.gather(&mut slices);
            let ready: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            if ready == 0 {
                if !self.session.has_to_write() {
                    // The game's own close frame, which one for a violation takes the place of.
                    assert!(self.held, "something to write that does not come");
                    return;
                }
                // What is compressed takes its time, but not for ever.
                in_vain += 1;
                assert!(in_vain < 2000, "something to write, and nothing to be written");
                continue;
            }
            let taken = pieces.next(ready).min(self.network_takes);
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
            self.written += self.session.wrote(taken).payload;
            assert!(self.written <= self.queued, "more was written than was queued");
        }
    }
}

/// How a message is handed over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Send {
    Copied,
    Uncompressed,
    /// A segment that is the library's from then on.
    Given,
    /// One whose bytes somebody else looks at.
    Shared,
}

/// Keys that differ from frame to frame and come again in the next run.
fn next_key(count: &mut u32) -> [u8; 4] {
    *count += 1;
    count.wrapping_mul(0x9E37_79B9).to_be_bytes()
}

fn owned(event: SessionEvent<'_>) -> Option<Told> {
    Some(match event {
        SessionEvent::Idle | SessionEvent::Again => return None,
        SessionEvent::Opened { .. } => Told::Opened,
        SessionEvent::Refused { error, head, body } => {
            Told::Refused { kind: error.kind, status: head.map(|head| head.status), body }
        }
        SessionEvent::Message { message_type, payload } => {
            assert_eq!(payload.segment().as_slice(), payload.bytes());
            Told::Message(message_type, payload.bytes().to_vec())
        }
        SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
            assert_eq!(payload.segment().as_slice(), payload.bytes());
            Told::Fragment { message_type, is_first, is_final, payload: payload.bytes().to_vec() }
        }
        SessionEvent::Pong(payload) => Told::Pong(payload.bytes().to_vec()),
        SessionEvent::Closed { code, reason } => Told::Closed(code, reason),
        SessionEvent::Failed(error) => {
            assert!(!error.message.is_empty());
            Told::Failed(error.kind)
        }
    })
}
