//! A whole session, driven by a script of received bytes, calls, a blocking network and time.
//!
//! Every script runs twice with received bytes split in different places: events and sent bytes must
//! be equal.

use std::sync::Arc;
use std::time::Duration;

use framewire::internals::buffer::{self, Segment};
use framewire::internals::limits::{MAX_FRAGMENT_SIZE, MIN_FRAGMENT_SIZE, READ_SIZE, WRITE_BLOCK_SIZE};
use framewire::internals::session::extension::{Extension, Piece};
use framewire::internals::session::keepalive::PingSettings;
use framewire::internals::session::lanes::{Outcome as SendOutcome, Waiting};
use framewire::internals::session::{MessageType, Settings};
use framewire::internals::wire::deflate::{DeflateConfig, DeflateParams, Deflater, Inflater, Status};
use framewire::internals::wire::frame::{RSV1, RSV2};

use super::input::{Input, Pieces};
use super::reference::{self, CLOSE, PING, PONG, Sent};
use super::script::{self, Driver, Event, Send, switching};

/// The maximum number of bytes that one script receives, and that it sends.
const MAX_BYTES: usize = 512 << 10;
const XOR_KEY: u8 = 0x5A;

/// Input: flags, an index of the size limit, a seed of the split positions, then the script.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let negotiated = Negotiated::read(&mut input);
    let seed = input.byte();
    let first = run_script(&negotiated, input.clone(), Pieces::Whole);
    let second =
        run_script(&negotiated, input, if seed == 0 { Pieces::Single } else { Pieces::random(seed) });
    if negotiated.compression {
        // Which of several errors in a compressed message is found first depends on the step size.
        let (first_events, second_events) = (without_kind(&first.events), without_kind(&second.events));
        assert_eq!(second_events, first_events);
    } else if negotiated.opens {
        assert_eq!(second.events, first.events);
    }
    if second.events == first.events {
        assert!(second.wire == first.wire, "sent bytes depend on how received bytes were split");
    }
}

/// Settings and negotiated parameters.
struct Negotiated {
    settings: Settings,
    /// The server accepts the upgrade; otherwise the response is part of the script.
    opens: bool,
    compression: bool,
    client_takeover: bool,
    server_takeover: bool,
    xor: bool,
    http2: bool,
}

impl Negotiated {
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

    fn rsv_bits(&self) -> u8 {
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
            return Err("a rejected payload".into());
        }
        Segment::copy_of(&xor(payload)).map(Some).map_err(|_| "no memory".into())
    }
}

fn xor(payload: &[u8]) -> Vec<u8> {
    payload.iter().map(|byte| byte ^ XOR_KEY).collect()
}

struct InLane {
    lane: usize,
    has_key: bool,
    message_type: MessageType,
    payload: Vec<u8>,
}

/// The size of a tag in hexadecimal digits, so that it can start a text.
const TAG_SIZE: usize = 8;

struct Outcome {
    events: Vec<Event>,
    wire: Vec<u8>,
}

/// A running script, with what was done so far.
struct Run<'a> {
    negotiated: &'a Negotiated,
    driver: Driver,
    cut: Pieces,
    /// Bytes received since the upgrade.
    received_bytes: Vec<u8>,
    /// Messages sent by the game, in order.
    sent: Vec<(MessageType, Vec<u8>)>,
    /// Messages that lanes accepted, after all others. The tag of each is its index plus 1, and starts its payload.
    in_lanes: Vec<InLane>,
    pings: Vec<Vec<u8>>,
    /// The peer's compressor.
    deflater: Deflater,
    /// Fragments were delivered one by one at some time.
    streamed: bool,
    /// The game has dropped the socket: no more events.
    detached: bool,
    /// Queued messages must still be sent completely.
    drains: bool,
}

fn run_script(negotiated: &Negotiated, mut input: Input, cut: Pieces) -> Outcome {
    buffer::trim();
    let before = buffer::stats().bytes_in_use as usize;
    let mut run = Run {
        negotiated,
        driver: if negotiated.http2 {
            Driver::over_http2(&negotiated.settings)
        } else {
            Driver::new(&negotiated.settings)
        },
        cut,
        received_bytes: Vec::new(),
        sent: Vec::new(),
        in_lanes: Vec::new(),
        pings: Vec::new(),
        deflater: Deflater::new(&negotiated.params(), 6),
        streamed: false,
        detached: false,
        drains: false,
    };
    if negotiated.opens {
        match negotiated.http2 {
            true => run.driver.head_received(200, &negotiated.extensions()),
            false => run.driver.feed(&switching(&negotiated.extensions()), cut),
        }
        assert_eq!(run.driver.events, [Event::Opened]);
    }
    while !input.is_empty() && run.received_bytes.len() < MAX_BYTES && run.driver.queued < MAX_BYTES {
        run.step(&mut input);
        let used = buffer::stats().bytes_in_use as usize - before;
        assert!(used <= run.max_used(), "{used} bytes are in use");
    }
    run.check_received();
    run.check_sent();
    run.end();
    let Run { driver, .. } = run;
    let (events, wire) = (driver.events.clone(), driver.wire.clone());
    drop(driver);
    assert_eq!(buffer::stats().bytes_in_use as usize, before, "a block leaked");
    Outcome { events, wire }
}

impl Run<'_> {
    fn step(&mut self, input: &mut Input) {
        match input.byte() % 22 {
            0 => {
                let bytes = input.counted();
                self.feed(bytes);
            }
            // Well-formed frames, so that the fuzzer need not find every byte.
            1..=3 => {
                let first = input.byte();
                let frame = reference::server_frame(first, input.counted());
                self.feed(&frame);
            }
            4 => {
                let first = input.byte();
                let payload = vec![input.byte(); usize::from(input.u16()) * 2];
                self.feed(&reference::server_frame(first, &payload));
            }
            5 => {
                let (first, times) = (input.byte(), input.byte());
                let payload = self.compressed(&input.counted().repeat(times.into()));
                self.feed(&reference::server_frame(first, &payload));
            }
            6 => {
                let payload = [&input.u16().to_be_bytes(), input.counted()].concat();
                self.feed(&reference::server_frame(0x80 | CLOSE, &payload));
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
                // A stalled write may have timed out.
                self.drains = false;
                self.driver.advance(Duration::from_millis(input.u16().into()));
            }
            13 => {
                let takes = usize::from(input.u16());
                self.driver.network_capacity = if takes & 1 == 0 { usize::MAX } else { takes / 2 };
            }
            14 => self.driver.flush(Pieces::random(input.byte())),
            15 => {
                self.driver.stream = input.flag();
                self.streamed |= self.driver.stream;
            }
            16 => {
                let pings = PingSettings {
                    enabled: input.flag(),
                    frequency: Duration::from_millis(10 + u64::from(input.u16())),
                    timeout: Duration::from_millis(10 + u64::from(input.u16())),
                };
                self.driver.session.set_pings(pings, self.driver.now);
            }
            17 => self.driver.session.set_reading(input.flag(), self.driver.now),
            18 => self.driver.cancel_handshake(),
            19 => self.driver.defer_close = input.flag(),
            20 => self.driver.release_close(),
            21 => match input.byte() {
                0 => {
                    self.drains = false;
                    self.driver.end();
                }
                1 if !self.driver.is_over() => {
                    self.driver.session.discard_and_close(&mut self.driver.outbox);
                    self.detached = true;
                }
                2 if self.driver.is_open() && !self.driver.is_over() && !self.detached => {
                    self.driver.session.drain_and_close(&mut self.driver.outbox, self.driver.now);
                    (self.detached, self.drains) = (true, true);
                }
                3 => self.driver.session.probe(self.driver.now),
                6..=40 => self.send_in_lane(input),
                // The process was suspended.
                4 => {
                    let away = Duration::from_millis(input.u16().into());
                    self.driver.now += away;
                    self.driver.session.extend_timeouts(away, self.driver.now);
                }
                5 => {
                    let status = input.one_of([200, 299, 101, 199, 301, 403, 503]);
                    self.driver.head_received(status, &self.negotiated.extensions());
                }
                _ => self.driver.flush(Pieces::Whole),
            },
            _ => {}
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        // Nothing is read after detaching, nor over HTTP/2 before the response head.
        if self.detached || self.driver.session.awaits_head() {
            return;
        }
        self.received_bytes.extend_from_slice(bytes);
        let cut = match self.cut {
            // Large inputs would take too long.
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
        let how = [Send::Copied, Send::Uncompressed, Send::Owned, Send::Shared][usize::from(flags & 3)];
        let fragment_size = [MAX_FRAGMENT_SIZE, MIN_FRAGMENT_SIZE, 125, 1000][usize::from(flags >> 2 & 3)];
        let times = if flags & 32 != 0 { usize::from(input.byte()) } else { 1 };
        let times = if flags & 64 != 0 { times * 8 } else { times };
        let bytes = input.counted();
        let (message_type, payload) = if flags & 16 != 0 {
            (MessageType::Text, String::from_utf8_lossy(bytes).repeat(times).into_bytes())
        } else {
            (MessageType::Binary, bytes.repeat(times))
        };
        if self.driver.may_send() && !self.detached {
            if self.driver.uses_lanes() {
                self.queue(0, 0, None, how == Send::Uncompressed, message_type, &payload, fragment_size);
                return;
            }
            self.driver.send(message_type, &payload, fragment_size, how);
            self.sent.push((message_type, payload));
        }
    }

    /// From the first call on, all messages wait in lanes.
    fn send_in_lane(&mut self, input: &mut Input) {
        let (flags, lane) = (input.byte(), usize::from(input.byte() % 4));
        let key = u64::from(flags & 3);
        let time_to_live = (flags & 4 != 0).then(|| Duration::from_millis(input.u16().into()));
        let fragment_size = if flags & 8 != 0 { MIN_FRAGMENT_SIZE } else { MAX_FRAGMENT_SIZE };
        let payload = input.counted().repeat(if flags & 16 != 0 { usize::from(input.byte()) } else { 1 });
        if self.driver.may_send() && !self.detached {
            let uncompressed = flags & 32 != 0;
            self.queue(lane, key, time_to_live, uncompressed, MessageType::Binary, &payload, fragment_size);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a message")]
    fn queue(
        &mut self,
        lane: usize,
        key: u64,
        time_to_live: Option<Duration>,
        uncompressed: bool,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
    ) {
        let tag = self.in_lanes.len() as u64 + 1;
        let mut tagged = format!("{tag:0TAG_SIZE$x}").into_bytes();
        tagged.extend_from_slice(payload);
        let now = self.driver.now;
        let message = Waiting {
            message_type,
            fragment_size,
            uncompressed,
            rsv: 0,
            payload: Segment::copy_of(&tagged).expect("out of memory"),
            key,
            tag,
            expires: time_to_live.map(|time| now + time),
            queued: now,
        };
        if self.driver.send_in_lane(lane, message) {
            self.in_lanes.push(InLane { lane, has_key: key != 0, message_type, payload: tagged });
        }
    }

    /// Returns the maximum number of bytes in use, including a constant number of blocks.
    fn max_used(&self) -> usize {
        let limit = self.negotiated.settings.max_message_size;
        let waiting = self.driver.queued - self.driver.written.min(self.driver.queued);
        // A small message may use its own block, and a payload byte its own frame.
        8 * (READ_SIZE + WRITE_BLOCK_SIZE)
            + 6 * limit.min(self.received_bytes.len() * 1032)
            + 4 * waiting
            + (self.sent.len() + self.in_lanes.len()) * 1024
    }

    /// Checks that the events agree with the reference decoder, up to the end of the connection.
    fn check_received(&self) {
        if !self.negotiated.opens || self.negotiated.rsv_bits() != 0 {
            return;
        }
        let (expected, _) =
            reference::read_server(&self.received_bytes, self.negotiated.settings.max_message_size, false);
        let mut messages = Vec::new();
        let mut pongs = Vec::new();
        let mut fragments: Option<Vec<u8>> = None;
        for event in &self.driver.events {
            match event {
                Event::Message(message_type, payload) => messages.push((*message_type, payload.clone())),
                Event::Fragment { message_type, is_first, is_final, payload } => {
                    assert_eq!(*is_first, fragments.is_none());
                    fragments.get_or_insert_default().extend_from_slice(payload);
                    if *is_final {
                        messages.push((*message_type, fragments.take().unwrap_or_default()));
                    }
                }
                Event::Pong(payload) => pongs.push(payload.clone()),
                _ => {}
            }
        }
        let mut expected_messages = Vec::new();
        let (mut expected_pongs, mut pings) = (Vec::new(), Vec::new());
        for event in expected {
            match event {
                reference::Received::Message(message_type, payload) => {
                    expected_messages.push((message_type, payload))
                }
                reference::Received::Pong(payload) => expected_pongs.push(payload),
                reference::Received::Ping(payload) => pings.push(payload),
                reference::Received::Close(_) => break,
                reference::Received::Fragment { .. } => {}
            }
        }
        assert!(expected_messages.starts_with(&messages), "{messages:?} of {expected_messages:?}");
        assert!(expected_pongs.starts_with(&pongs));
        if !self.driver.session.is_done() {
            assert_eq!(messages.len(), expected_messages.len());
            assert_eq!(pongs.len(), expected_pongs.len());
            assert_eq!(self.driver.session.messages_received() as usize, messages.len());
            assert_eq!(self.driver.session.pongs_received() as usize, pongs.len());
            assert!(self.driver.session.frames_received() >= self.driver.session.messages_received());
        }
        let replies = self.frames().0.into_iter().filter(|frame| frame.opcode == PONG);
        let mut unanswered = pings.iter();
        for reply in replies {
            assert!(unanswered.any(|ping| *ping == reply.payload), "a pong without a ping");
        }
    }

    fn frames(&self) -> (Vec<Sent>, &[u8]) {
        reference::read_client(&self.driver.wire)
    }

    /// Checks that the sent bytes contain the game's messages in order, up to some point.
    fn check_sent(&mut self) {
        if !self.driver.is_open() {
            return assert!(self.driver.wire.is_empty(), "data was sent before the connection was open");
        }
        // Everything, unless the connection has ended.
        self.driver.network_capacity = usize::MAX;
        self.driver.flush(Pieces::Whole);
        self.driver.release_close();
        self.driver.flush(Pieces::Whole);
        let (frames, rest) = self.frames();
        assert!(self.driver.session.is_done() || rest.is_empty(), "incomplete frame");
        let mut inflater = Inflater::new(&DeflateParams {
            server_no_context_takeover: !self.negotiated.client_takeover,
            ..self.negotiated.params()
        });
        let mut received = Vec::new();
        let mut message: Option<(Sent, Vec<u8>)> = None;
        let (mut pings, mut closed) = (self.pings.iter(), false);
        for frame in frames {
            assert!(!closed, "data after the close frame");
            match frame.opcode {
                CLOSE => {
                    closed = true;
                    check_close(&frame.payload);
                    continue;
                }
                // Keepalive pings contain a number.
                PING => {
                    let is_own = frame.payload.len() == 8 && self.driver.session.pings_sent() > 0;
                    assert!(pings.clone().any(|ping| *ping == frame.payload) || is_own, "an unexpected ping");
                    if !is_own {
                        pings.find(|ping| **ping == frame.payload);
                    }
                    continue;
                }
                PONG => continue,
                _ => {}
            }
            assert_eq!(frame.opcode == 0, message.is_some(), "section 5.4");
            assert!(frame.rsv & !self.negotiated.rsv_bits() == 0 && (frame.opcode != 0 || frame.rsv == 0));
            let (fin, payload) = (frame.fin, frame.payload.clone());
            message.get_or_insert((frame, Vec::new())).1.extend(payload);
            if fin && let Some((first, payload)) = message.take() {
                let expected = match self.sent.get(received.len()) {
                    Some((_, payload)) => payload.len(),
                    // Its tag is known when it is inflated.
                    None => self.in_lanes.iter().map(|message| message.payload.len()).max().unwrap_or(0),
                };
                received.push(self.decoded(&first, payload, &mut inflater, expected));
            }
        }
        let in_lanes = received.split_off(received.len().min(self.sent.len()));
        assert!(self.sent.starts_with(&received), "{received:?} of {:?}", self.sent);
        self.check_lanes(&in_lanes);
        assert!(self.driver.session.queued_payload() <= self.driver.queued - self.driver.written);
        if !self.driver.session.is_done() || self.drains {
            assert_eq!(received.len(), self.sent.len());
            assert_eq!(self.driver.written, self.driver.queued);
        }
    }

    /// Checks the order of the messages of lanes on the wire, and the outcomes so far.
    fn check_lanes(&self, received: &[(MessageType, Vec<u8>)]) {
        let mut tags = Vec::new();
        let mut last = [0; 4];
        for (message_type, payload) in received {
            let digits = payload.get(..TAG_SIZE).and_then(|digits| std::str::from_utf8(digits).ok());
            let tag = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).expect("a tag");
            let message = &self.in_lanes[tag as usize - 1];
            assert_eq!((message_type, payload), (&message.message_type, &message.payload));
            if !message.has_key {
                assert!(tag > last[message.lane], "messages of a lane without a key keep their order");
                last[message.lane] = tag;
            }
            tags.push(tag);
        }
        tags.sort_unstable();
        let of = |outcome| self.driver.outcomes.iter().filter(move |(_, got)| *got == outcome);
        let mut sent: Vec<u64> = of(SendOutcome::Sent).map(|(tag, _)| *tag).collect();
        sent.sort_unstable();
        assert_eq!(sent, tags, "a message was sent if its outcome is that, and once");
    }

    /// Checks that every message of a lane has one outcome.
    fn check_outcomes(&mut self) {
        self.driver.lose_messages();
        let mut tags: Vec<u64> = self.driver.outcomes.iter().map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        assert!(tags.windows(2).all(|pair| pair[0] < pair[1]), "a second outcome: {tags:?}");
        // Nobody is told after destroying the socket.
        if !self.detached {
            assert_eq!(tags.len(), self.in_lanes.len());
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
            let step = inflater.step(&payload, &mut plain, true).expect("compressed data is valid");
            assert_eq!(step.status, Status::Done);
            plain.truncate(step.produced);
            payload = plain;
        }
        if first.rsv & RSV2 != 0 {
            payload = xor(&payload);
        }
        (if first.opcode == 1 { MessageType::Text } else { MessageType::Binary }, payload)
    }

    /// Checks that a finished connection neither reports nor sends anything more.
    fn end(&mut self) {
        if !self.detached && !self.driver.is_over() {
            self.driver.end();
            assert!(self.driver.is_over(), "no terminal event");
        }
        self.driver.flush(Pieces::Whole);
        let (events, wire) = (self.driver.events.len(), self.driver.wire.len());
        let noise =
            [reference::server_frame(0x81, b"late"), reference::server_frame(0x89, b"late"), vec![0xFF; 40]];
        self.driver.session.ping(b"late");
        self.driver.feed(&noise.concat(), Pieces::Whole);
        self.driver.cancel_handshake();
        self.driver.advance(Duration::from_secs(3600));
        self.driver.end();
        self.driver.flush(Pieces::Whole);
        assert_eq!(
            (self.driver.events.len(), self.driver.wire.len()),
            (events, wire),
            "{:?}",
            self.driver.events
        );
        assert_eq!(
            self.driver.events.iter().filter(|event| event.is_terminal()).count(),
            usize::from(!self.detached)
        );
        self.check_outcomes();
        assert_eq!(self.driver.session.deadline(), None);
        assert!(!self.driver.session.has_to_write());
    }
}

/// Checks section 7.4: a code that may be sent, and a reason in UTF-8.
fn check_close(payload: &[u8]) {
    if let Some((code, reason)) = payload.split_at_checked(2) {
        let code = u16::from_be_bytes([code[0], code[1]]);
        assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "{code}");
        assert!(std::str::from_utf8(reason).is_ok());
    } else {
        assert!(payload.is_empty(), "incomplete close code");
    }
}

fn without_kind(events: &[Event]) -> Vec<Event> {
    let plain = |event: &Event| match event {
        Event::Failed(_) => Event::Failed(framewire::ErrorKind::Protocol),
        other => other.clone(),
    };
    events.iter().map(plain).collect()
}
