//! The session as a whole, driven by a script of bytes from the peer, calls of the game, a network
//! that blocks, and time.
//!
//! Every script is played twice, with the peer's bytes cut in different places: what is told and
//! what is sent must be the same.

use std::sync::Arc;
use std::time::Duration;

use framewire::internals::buffer::{self, Segment};
use framewire::internals::limits::{MAX_FRAGMENT_SIZE, MIN_FRAGMENT_SIZE, READ_SIZE, WRITE_BLOCK_SIZE};
use framewire::internals::session::extension::{Extension, Piece};
use framewire::internals::session::keepalive::PingSettings;
use framewire::internals::session::{MessageType, Settings};
use framewire::internals::wire::deflate::{DeflateConfig, DeflateParams, Deflater, Inflater, Status};
use framewire::internals::wire::frame::{RSV1, RSV2};

use super::input::{Input, Pieces};
use super::plain::{self, CLOSE, PING, PONG, Sent};
use super::script::{self, Driver, Send, Told, switching};

/// Bytes that one script may feed, and that it may send.
const MOST: usize = 512 << 10;
const XOR_KEY: u8 = 0x5A;

/// Flags, what was agreed on, a seed, then the script.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let agreed = Agreed::read(&mut input);
    let seed = input.byte();
    let first = play(&agreed, input.clone(), Pieces::Whole);
    let second = play(&agreed, input, if seed == 0 { Pieces::Single } else { Pieces::random(seed) });
    if agreed.compression {
        // Of several things that are wrong with a compressed message, what comes out first
        // depends on how much is decompressed at a time.
        let (first_told, second_told) = (without_kind(&first.told), without_kind(&second.told));
        assert_eq!(second_told, first_told);
    } else if agreed.opens {
        assert_eq!(second.told, first.told);
    }
    if second.told == first.told {
        assert!(second.wire == first.wire, "what is sent depends on how the received bytes were cut");
    }
}

/// What the connection is like from the start.
struct Agreed {
    settings: Settings,
    /// The server's answer is a good one; otherwise it is in the script.
    opens: bool,
    compression: bool,
    client_takeover: bool,
    server_takeover: bool,
    xor: bool,
    http2: bool,
}

impl Agreed {
    fn read(input: &mut Input) -> Self {
        let flags = input.byte();
        let mut settings = script::settings();
        settings.max_message_size = input.one_of([1 << 20, 70_000, 1000, 125, 1, 0]);
        let compression = flags & 2 != 0;
        let (client_takeover, server_takeover) = (flags & 4 == 0, flags & 8 == 0);
        settings.compression = compression.then(|| DeflateConfig {
            level: 1 + u32::from(flags >> 7) * 5,
            min_size_to_compress: 16,
            ..DeflateConfig::default()
        });
        let xor = flags & 16 != 0;
        if xor {
            settings.extensions.push(Arc::new(Xor));
        }
        settings.pings.enabled = flags & 32 != 0;
        let (opens, http2) = (flags & 1 == 0, flags & 64 != 0);
        Self { settings, opens, compression, client_takeover, server_takeover, xor, http2 }
    }

    fn extensions(&self) -> String {
        let mut elements = Vec::new();
        if self.xor {
            elements.push("x-xor".to_owned());
        }
        if self.compression {
            let mut element = "permessage-deflate".to_owned();
            if !self.client_takeover {
                element.push_str("; client_no_context_takeover");
            }
            if !self.server_takeover {
                element.push_str("; server_no_context_takeover");
            }
            elements.push(element);
        }
        elements.join(", ")
    }

    fn params(&self) -> DeflateParams {
        DeflateParams {
            client_no_context_takeover: !self.client_takeover,
            server_no_context_takeover: !self.server_takeover,
            client_max_window_bits: 15,
            server_max_window_bits: 15,
        }
    }

    fn marks(&self) -> u8 {
        (if self.compression { RSV1 } else { 0 }) | if self.xor { RSV2 } else { 0 }
    }
}

/// Inverts bits of the messages whose first byte is odd.
struct Xor;

impl Extension for Xor {
    fn rsv(&self) -> u8 {
        RSV2
    }
    fn offer(&self) -> Option<String> {
        Some("x-xor".into())
    }
    fn accept(&self, element: &str) -> Result<(), String> {
        if element == "x-xor" { Ok(()) } else { Err("parameters".into()) }
    }
    fn mark(&self, piece: Piece) -> Result<u8, String> {
        Ok(if piece.message_type == MessageType::Binary { RSV2 } else { 0 })
    }
    fn encode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        if piece.rsv & RSV2 == 0 {
            return Ok(None);
        }
        Segment::copy_of(&xor(payload)).map(Some).map_err(|_| "no memory".into())
    }
    fn decode(&self, _: Piece, payload: &[u8]) -> Result<Option<Segment>, String> {
        if payload.first() == Some(&0) {
            return Err("a payload that it does not like".into());
        }
        Segment::copy_of(&xor(payload)).map(Some).map_err(|_| "no memory".into())
    }
}

fn xor(payload: &[u8]) -> Vec<u8> {
    payload.iter().map(|byte| byte ^ XOR_KEY).collect()
}

struct Outcome {
    told: Vec<Told>,
    wire: Vec<u8>,
}

/// The script as it is played: what was done, and what must come of it.
struct Play<'a> {
    agreed: &'a Agreed,
    driver: Driver,
    cut: Pieces,
    /// What the peer has sent since the upgrade.
    fed: Vec<u8>,
    /// Messages that the game has sent, in order.
    sent: Vec<(MessageType, Vec<u8>)>,
    pings: Vec<Vec<u8>>,
    /// The peer's compressor.
    deflater: Deflater,
    /// Fragments were passed on for some of the time.
    streamed: bool,
    /// Nobody listens any more.
    left: bool,
    /// And nothing keeps what was queued from being sent all the same.
    drains: bool,
}

fn play(agreed: &Agreed, mut input: Input, cut: Pieces) -> Outcome {
    buffer::trim();
    let before = buffer::stats().bytes_in_use as usize;
    let mut play = Play {
        agreed,
        driver: if agreed.http2 {
            Driver::over_http2(&agreed.settings)
        } else {
            Driver::new(&agreed.settings)
        },
        cut,
        fed: Vec::new(),
        sent: Vec::new(),
        pings: Vec::new(),
        deflater: Deflater::new(&agreed.params(), 6),
        streamed: false,
        left: false,
        drains: false,
    };
    if agreed.opens {
        match agreed.http2 {
            true => play.driver.answered(200, &agreed.extensions()),
            false => play.driver.feed(&switching(&agreed.extensions()), cut),
        }
        assert_eq!(play.driver.told, [Told::Opened]);
    }
    while !input.is_empty() && play.fed.len() < MOST && play.driver.queued < MOST {
        play.step(&mut input);
        let used = buffer::stats().bytes_in_use as usize - before;
        assert!(used <= play.most_used(), "{used} bytes are in use");
    }
    play.check_received();
    play.check_sent();
    play.end();
    let Play { driver, .. } = play;
    let (told, wire) = (driver.told.clone(), driver.wire.clone());
    drop(driver);
    assert_eq!(buffer::stats().bytes_in_use as usize, before, "a block is lost");
    Outcome { told, wire }
}

impl Play<'_> {
    fn step(&mut self, input: &mut Input) {
        match input.byte() % 22 {
            0 => {
                let bytes = input.counted();
                self.feed(bytes);
            }
            // Frames, so that not every byte must be guessed.
            1..=3 => {
                let first = input.byte();
                let frame = plain::server_frame(first, input.counted());
                self.feed(&frame);
            }
            4 => {
                let first = input.byte();
                let payload = vec![input.byte(); usize::from(input.two()) * 2];
                self.feed(&plain::server_frame(first, &payload));
            }
            5 => {
                let (first, times) = (input.byte(), input.byte());
                let payload = self.compressed(&input.counted().repeat(times.into()));
                self.feed(&plain::server_frame(first, &payload));
            }
            6 => {
                let payload = [&input.two().to_be_bytes(), input.counted()].concat();
                self.feed(&plain::server_frame(0x80 | CLOSE, &payload));
            }
            7..=9 => self.send(input),
            10 if self.driver.may_send() && self.driver.is_open() => {
                let (code, reason) = (input.one_of([1000, 1001, 3000, 4999]), input.counted());
                self.driver.close(code, &String::from_utf8_lossy(reason));
            }
            11 => {
                let payload = input.counted();
                if self.driver.is_open() {
                    self.pings.push(payload[..payload.len().min(125)].to_vec());
                }
                self.driver.session.ping(payload);
            }
            12 => {
                // The network may have taken nothing for too long.
                self.drains = false;
                self.driver.pass(Duration::from_millis(input.two().into()));
            }
            13 => {
                let takes = usize::from(input.two());
                self.driver.network_takes = if takes & 1 == 0 { usize::MAX } else { takes / 2 };
            }
            14 => self.driver.flush(Pieces::random(input.byte())),
            15 => {
                self.driver.stream = input.flag();
                self.streamed |= self.driver.stream;
            }
            16 => {
                let pings = PingSettings {
                    enabled: input.flag(),
                    frequency: Duration::from_millis(10 + u64::from(input.two())),
                    patience: Duration::from_millis(10 + u64::from(input.two())),
                };
                self.driver.session.set_pings(pings, self.driver.now);
            }
            17 => self.driver.session.set_reading(input.flag(), self.driver.now),
            18 => self.driver.cancel_handshake(),
            19 => self.driver.behind = input.flag(),
            20 => self.driver.catch_up(),
            21 => match input.byte() {
                0 => {
                    self.drains = false;
                    self.driver.end();
                }
                1 if !self.driver.is_over() => {
                    self.driver.session.leave(&mut self.driver.outbox);
                    self.left = true;
                }
                2 if self.driver.is_open() && !self.driver.is_over() && !self.left => {
                    self.driver.session.leave_when_sent(&mut self.driver.outbox, self.driver.now);
                    (self.left, self.drains) = (true, true);
                }
                3 => self.driver.session.probe(self.driver.now),
                // The process slept.
                4 => {
                    let away = Duration::from_millis(input.two().into());
                    self.driver.now += away;
                    self.driver.session.forgive(away, self.driver.now);
                }
                5 => {
                    let status = input.one_of([200, 299, 101, 199, 301, 403, 503]);
                    self.driver.answered(status, &self.agreed.extensions());
                }
                _ => self.driver.flush(Pieces::Whole),
            },
            _ => {}
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        // Nobody reads; over HTTP/2 not before the head of the answer has come either.
        if self.left || self.driver.session.awaits_head() {
            return;
        }
        self.fed.extend_from_slice(bytes);
        let cut = match self.cut {
            // Large ones are not worth the time.
            Pieces::Single if bytes.len() > 4096 => Pieces::random(0),
            cut => cut,
        };
        self.driver.feed(bytes, cut);
    }

    fn compressed(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() + plain.len() / 8 + 64];
        let step = self.deflater.step(plain, &mut out, true);
        assert_eq!((step.consumed, step.status), (plain.len(), Status::Done));
        out.truncate(step.produced);
        out
    }

    fn send(&mut self, input: &mut Input) {
        let flags = input.byte();
        let how = [Send::Copied, Send::Uncompressed, Send::Given, Send::Shared][usize::from(flags & 3)];
        let fragment_size = [MAX_FRAGMENT_SIZE, MIN_FRAGMENT_SIZE, 125, 1000][usize::from(flags >> 2 & 3)];
        let times = if flags & 32 != 0 { usize::from(input.byte()) } else { 1 };
        let times = if flags & 64 != 0 { times * 8 } else { times };
        let bytes = input.counted();
        let (message_type, payload) = if flags & 16 != 0 {
            (MessageType::Text, String::from_utf8_lossy(bytes).repeat(times).into_bytes())
        } else {
            (MessageType::Binary, bytes.repeat(times))
        };
        if self.driver.may_send() && !self.left {
            self.driver.send(message_type, &payload, fragment_size, how);
            self.sent.push((message_type, payload));
        }
    }

    /// What the blocks in use may come to, of which there are a few whatever happens.
    fn most_used(&self) -> usize {
        let limit = self.agreed.settings.max_message_size;
        let waiting = self.driver.queued - self.driver.written.min(self.driver.queued);
        // A small message may have a block of its own, and a byte of payload a frame of its own.
        8 * (READ_SIZE + WRITE_BLOCK_SIZE)
            + 6 * limit.min(self.fed.len() * 1032)
            + 4 * waiting
            + self.sent.len() * 1024
    }

    /// What the game was told is what the plain reading of the peer's bytes comes to, as far as
    /// the connection lasted.
    fn check_received(&self) {
        if !self.agreed.opens || self.agreed.marks() != 0 {
            return;
        }
        let (expected, _) = plain::read_server(&self.fed, self.agreed.settings.max_message_size, false);
        let mut messages = Vec::new();
        let mut pongs = Vec::new();
        let mut begun: Option<Vec<u8>> = None;
        for told in &self.driver.told {
            match told {
                Told::Message(message_type, payload) => messages.push((*message_type, payload.clone())),
                Told::Fragment { message_type, is_first, is_final, payload } => {
                    assert_eq!(*is_first, begun.is_none());
                    begun.get_or_insert_default().extend_from_slice(payload);
                    if *is_final {
                        messages.push((*message_type, begun.take().unwrap_or_default()));
                    }
                }
                Told::Pong(payload) => pongs.push(payload.clone()),
                _ => {}
            }
        }
        let mut wanted_messages = Vec::new();
        let (mut wanted_pongs, mut pings) = (Vec::new(), Vec::new());
        for told in expected {
            match told {
                plain::Told::Message(message_type, payload) => wanted_messages.push((message_type, payload)),
                plain::Told::Pong(payload) => wanted_pongs.push(payload),
                plain::Told::Ping(payload) => pings.push(payload),
                plain::Told::Close(_) => break,
                plain::Told::Fragment { .. } => {}
            }
        }
        assert!(wanted_messages.starts_with(&messages), "{messages:?} of {wanted_messages:?}");
        assert!(wanted_pongs.starts_with(&pongs));
        if !self.driver.session.is_done() {
            assert_eq!(messages.len(), wanted_messages.len());
            assert_eq!(pongs.len(), wanted_pongs.len());
            assert_eq!(self.driver.session.messages_received() as usize, messages.len());
            assert_eq!(self.driver.session.pongs_received() as usize, pongs.len());
            assert!(self.driver.session.frames_received() >= self.driver.session.messages_received());
        }
        let answers = self.frames().0.into_iter().filter(|frame| frame.opcode == PONG);
        let mut left = pings.iter();
        for answer in answers {
            assert!(left.any(|ping| *ping == answer.payload), "a pong that answers no ping");
        }
    }

    fn frames(&self) -> (Vec<Sent>, &[u8]) {
        plain::read_client(&self.driver.wire)
    }

    /// What is on the wire is what the game has sent, in order, up to some point.
    fn check_sent(&mut self) {
        if !self.driver.is_open() {
            return assert!(self.driver.wire.is_empty(), "something was sent before it was open");
        }
        // All of it, if nothing stops it.
        self.driver.network_takes = usize::MAX;
        self.driver.flush(Pieces::Whole);
        self.driver.catch_up();
        self.driver.flush(Pieces::Whole);
        let (frames, rest) = self.frames();
        assert!(self.driver.session.is_done() || rest.is_empty(), "half a frame");
        let mut inflater = Inflater::new(&DeflateParams {
            server_no_context_takeover: !self.agreed.client_takeover,
            ..self.agreed.params()
        });
        let mut received = Vec::new();
        let mut message: Option<(Sent, Vec<u8>)> = None;
        let (mut pings, mut closed) = (self.pings.iter(), false);
        for frame in frames {
            assert!(!closed, "something follows the close frame");
            match frame.opcode {
                CLOSE => {
                    closed = true;
                    check_close(&frame.payload);
                    continue;
                }
                // Those of the session's own hold a number.
                PING => {
                    let is_own = frame.payload.len() == 8 && self.driver.session.pings_sent() > 0;
                    assert!(pings.clone().any(|ping| *ping == frame.payload) || is_own, "a ping of nobody's");
                    if !is_own {
                        pings.find(|ping| **ping == frame.payload);
                    }
                    continue;
                }
                PONG => continue,
                _ => {}
            }
            assert_eq!(frame.opcode == 0, message.is_some(), "section 5.4");
            assert!(frame.rsv & !self.agreed.marks() == 0 && (frame.opcode != 0 || frame.rsv == 0));
            let (fin, payload) = (frame.fin, frame.payload.clone());
            message.get_or_insert((frame, Vec::new())).1.extend(payload);
            if fin && let Some((first, payload)) = message.take() {
                let expected = self.sent.get(received.len()).map_or(0, |(_, payload)| payload.len());
                received.push(self.decoded(&first, payload, &mut inflater, expected));
            }
        }
        assert!(self.sent.starts_with(&received), "{received:?} of {:?}", self.sent);
        assert!(self.driver.session.queued_payload() <= self.driver.queued - self.driver.written);
        if !self.driver.session.is_done() || self.drains {
            assert_eq!(received.len(), self.sent.len());
            assert_eq!(self.driver.written, self.driver.queued);
        }
    }

    fn decoded(
        &self,
        first: &Sent,
        payload: Vec<u8>,
        inflater: &mut Inflater,
        expected: usize,
    ) -> (MessageType, Vec<u8>) {
        let mut payload = payload;
        if first.rsv & RSV1 != 0 {
            let mut plain = vec![0; expected + 1];
            let step = inflater.step(&payload, &mut plain, true).expect("what we compress decompresses");
            assert_eq!(step.status, Status::Done);
            plain.truncate(step.produced);
            payload = plain;
        }
        if first.rsv & RSV2 != 0 {
            payload = xor(&payload);
        }
        (if first.opcode == 1 { MessageType::Text } else { MessageType::Binary }, payload)
    }

    /// Nothing can make a connection that is over say or send more.
    fn end(&mut self) {
        if !self.left && !self.driver.is_over() {
            self.driver.end();
            assert!(self.driver.is_over(), "an end that nobody was told of");
        }
        self.driver.flush(Pieces::Whole);
        let (told, wire) = (self.driver.told.len(), self.driver.wire.len());
        let noise = [plain::server_frame(0x81, b"late"), plain::server_frame(0x89, b"late"), vec![0xFF; 40]];
        self.driver.session.ping(b"late");
        self.driver.feed(&noise.concat(), Pieces::Whole);
        self.driver.cancel_handshake();
        self.driver.pass(Duration::from_secs(3600));
        self.driver.end();
        self.driver.flush(Pieces::Whole);
        assert_eq!((self.driver.told.len(), self.driver.wire.len()), (told, wire), "{:?}", self.driver.told);
        assert_eq!(
            self.driver.told.iter().filter(|told| told.is_terminal()).count(),
            usize::from(!self.left)
        );
        assert_eq!(self.driver.session.deadline(), None);
        assert!(!self.driver.session.has_to_write());
    }
}

/// Section 7.4: a code that may be sent, and a reason in UTF-8.
fn check_close(payload: &[u8]) {
    if let Some((code, reason)) = payload.split_at_checked(2) {
        let code = u16::from_be_bytes([code[0], code[1]]);
        assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "{code}");
        assert!(std::str::from_utf8(reason).is_ok());
    } else {
        assert!(payload.is_empty(), "half a code");
    }
}

fn without_kind(told: &[Told]) -> Vec<Told> {
    let plain = |told: &Told| match told {
        Told::Failed(_) => Told::Failed(framewire::ErrorKind::Protocol),
        other => other.clone(),
    };
    told.iter().map(plain).collect()
}
