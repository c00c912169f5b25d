//! permessage-deflate through the session: results equal those without compression.

use super::peer::*;
use crate::buffer::Segment;
use crate::error::ErrorKind;
use crate::limits::COMPRESS_AT_A_TIME;
use crate::session::MessageType::{Binary, Text};
use crate::session::Settings;
use crate::wire::deflate::{DeflateConfig, DeflateParams, Deflater, Inflater, Status};

pub const RSV1: u8 = 0x40;

pub const PARAMS: DeflateParams = DeflateParams {
    client_no_context_takeover: false,
    server_no_context_takeover: false,
    client_max_window_bits: 15,
    server_max_window_bits: 15,
};

pub fn compressing(max_message_size: usize) -> Driver {
    let compression = Some(DeflateConfig::default());
    let mut driver = Driver::connecting(&Settings { max_message_size, compression, ..settings() });
    let mut response = switching();
    response.truncate(response.len() - 2);
    response.extend_from_slice(b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    driver.feed(&response, &mut Pieces::Whole);
    assert_eq!(std::mem::take(&mut driver.events), [Event::Opened]);
    driver.outbox.reset(driver.session.message_encoding());
    driver
}

fn deflate(deflater: &mut Deflater, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; payload.len() * 2 + 1000];
    let step = deflater.step(payload, &mut out, true);
    assert_eq!((step.status, step.consumed), (Status::Done, payload.len()));
    out.truncate(step.produced);
    out
}

pub fn inflate(inflater: &mut Inflater, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 2 << 20];
    let step = inflater.step(payload, &mut out, true).unwrap();
    assert_eq!((step.status, step.consumed), (Status::Done, payload.len()));
    out.truncate(step.produced);
    out
}

/// Builds a frame with RSV1.
fn marked(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(fin, opcode, payload);
    bytes[0] |= RSV1;
    bytes
}

/// Returns data that compresses moderately.
pub fn payload(random: &mut Random, length: usize) -> Vec<u8> {
    if random.one_in(4) {
        return random.bytes(length);
    }
    let words = ["water ", "Füße ", "🎲", "x", "position: "];
    let mut text = Vec::new();
    while text.len() < length {
        text.extend_from_slice(words[random.below(words.len())].as_bytes());
    }
    text
}

#[test]
fn compressed_and_plain_messages_are_received_in_any_fragments() {
    for seed in 0..40 {
        let mut random = Random::new(2000 + seed);
        let mut deflater = Deflater::new(&PARAMS, 6);
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..1 + random.below(8) {
            let length = random.length();
            let payload = payload(&mut random, length);
            let is_compressed = !random.one_in(3);
            let bytes = if is_compressed { deflate(&mut deflater, &payload) } else { payload.clone() };
            let message_type = if std::str::from_utf8(&payload).is_ok() { Text } else { Binary };
            let (mut at, mut first) = (0, true);
            loop {
                let rest = bytes.len() - at;
                let count = if random.one_in(3) { rest } else { random.length().min(rest) };
                let fin = count == rest && !random.one_in(5);
                let opcode = match (first, message_type) {
                    (false, _) => CONTINUATION,
                    (true, Text) => TEXT,
                    (true, Binary) => BINARY,
                };
                let cut = &bytes[at..at + count];
                wire.extend(if first && is_compressed {
                    marked(fin, opcode, cut)
                } else {
                    frame(fin, opcode, cut)
                });
                if random.one_in(3) {
                    wire.extend(frame(true, PING, b"between"));
                }
                at += count;
                first = false;
                if fin {
                    break;
                }
            }
            expected.push(Event::Message(message_type, payload));
        }
        for mut pieces in Pieces::all().into_iter().take(if wire.len() < 20_000 { 4 } else { 3 }) {
            let mut driver = compressing(16 << 20);
            driver.feed(&wire, &mut pieces);
            assert!(driver.events == expected, "seed {seed}, {pieces:?}");
            assert_eq!(driver.session.held_bytes(), 0);

            let mut driver = compressing(16 << 20);
            driver.stream = true;
            driver.feed(&wire, &mut pieces);
            assert!(joined(&driver.events) == expected, "streamed, seed {seed}, {pieces:?}");
        }
    }
}

/// Joins fragments to messages.
fn joined(events: &[Event]) -> Vec<Event> {
    let mut joined = Vec::new();
    let mut so_far = Vec::new();
    for event in events {
        match event {
            Event::Fragment { message_type, is_first, is_final, payload } => {
                assert_eq!(*is_first, so_far.is_empty());
                so_far.push(payload.as_slice());
                if *is_final {
                    joined.push(Event::Message(*message_type, std::mem::take(&mut so_far).concat()));
                }
            }
            whole => {
                assert!(so_far.is_empty());
                joined.push(whole.clone());
            }
        }
    }
    assert!(so_far.is_empty());
    joined
}

#[test]
fn large_message_is_compressed_in_bounded_steps() {
    let mut driver = compressing(16 << 20);
    // Compresses 1000:1, so that hardly any output is ready to write.
    let payload = vec![b'z'; 1 << 20];
    driver.send(Binary, &payload, 1 << 20);
    driver.session.take_from(&mut driver.outbox, driver.now);
    let mut steps = 0;
    while driver.session.compression().0 < payload.len() as u64 {
        let before = driver.session.compression().0;
        driver.session.prepare(&mut driver.keys).unwrap();
        assert!(driver.session.compression().0 - before <= COMPRESS_AT_A_TIME as u64);
        steps += 1;
    }
    assert_eq!(steps, payload.len() / COMPRESS_AT_A_TIME);
    driver.flush();
    let frames = driver.sent_with(RSV1);
    assert_eq!(frames.len(), 1, "no more fragments than necessary");
    assert_eq!(inflate(&mut Inflater::new(&PARAMS), &frames[0].payload), payload);
}

#[test]
fn compressed_messages_round_trip_in_configured_fragment_size() {
    for seed in 0..40 {
        let mut random = Random::new(3000 + seed);
        let mut driver = compressing(16 << 20);
        let (mut expected, mut sizes, mut total) = (Vec::new(), Vec::new(), 0);
        for _ in 0..1 + random.below(12) {
            let length = random.length() * 3;
            let payload = payload(&mut random, length);
            let size = 16 + random.length();
            if random.one_in(2) {
                driver.send(Binary, &payload, size);
            } else {
                let segment = Segment::copy_of(&payload).unwrap();
                driver.outbox.push_segment(Binary, segment, size, &mut driver.keys).unwrap();
            }
            total += payload.len();
            expected.push(payload);
            sizes.push(size);
            driver.network_takes = random.length();
            driver.flush_in(&mut Pieces::Random(random.clone()));
        }
        driver.network_takes = usize::MAX;
        driver.flush_in(&mut Pieces::Random(random));
        assert_eq!(driver.payload_written, total);

        let mut inflater = Inflater::new(&PARAMS);
        let (mut got, mut so_far, mut is_compressed) = (Vec::new(), Vec::new(), false);
        for frame in driver.sent_with(RSV1) {
            assert!(frame.payload.len() <= sizes[got.len()]);
            if frame.opcode != CONTINUATION {
                is_compressed = frame.rsv == RSV1;
            } else {
                assert_eq!(frame.rsv, 0, "only the first frame is marked (RFC 7692 section 6.1)");
            }
            so_far.extend_from_slice(&frame.payload);
            if frame.fin {
                let bytes = std::mem::take(&mut so_far);
                got.push(if is_compressed { inflate(&mut inflater, &bytes) } else { bytes });
                assert_eq!(is_compressed, got.last().unwrap().len() >= 256);
            }
        }
        assert!(so_far.is_empty());
        assert!(got == expected, "seed {seed}");
        let frames = driver.outbox.frames + driver.session.extra_frames_sent();
        assert_eq!(frames as usize, driver.sent_with(RSV1).len());
    }
}

#[test]
fn decompression_stops_at_message_size_limit() {
    let bomb = deflate(&mut Deflater::new(&PARAMS, 9), &vec![0; 30 << 20]);
    assert!(bomb.len() < 100_000);
    for mut pieces in [Pieces::Whole, Pieces::Random(Random::new(9))] {
        for stream in [false, true] {
            let mut driver = compressing(1 << 20);
            driver.stream = stream;
            driver.feed(&marked(true, BINARY, &bomb), &mut pieces);
            let Event::Failed(error) = driver.over() else { panic!("not failed") };
            assert_eq!(error.kind, ErrorKind::TooLarge);
            assert_eq!(driver.sent_close().0, 1009);
        }
    }
    let exact = deflate(&mut Deflater::new(&PARAMS, 9), &vec![0; 1 << 20]);
    let mut driver = compressing(1 << 20);
    driver.feed(&marked(true, BINARY, &exact), &mut Pieces::Single);
    assert!(driver.events == [Event::Message(Binary, vec![0; 1 << 20])]);
}

#[test]
fn each_deflate_violation_is_answered() {
    let garbage = [0xFF; 40];
    let bad_text = deflate(&mut Deflater::new(&PARAMS, 6), b"ok\xFF and more");
    let cut_text = deflate(&mut Deflater::new(&PARAMS, 6), b"ok\xE6\xB0");
    let mut huge = header(true, BINARY, 1 << 40);
    huge[0] |= RSV1;
    let breaches: [(&str, Vec<u8>, u16); 7] = [
        ("a marked ping", marked(true, PING, b""), 1002),
        (
            "a marked continuation",
            [frame(false, TEXT, b"a"), marked(true, CONTINUATION, b"b")].concat(),
            1002,
        ),
        ("RSV2", vec![0xA1], 1002),
        ("no deflate", marked(true, BINARY, &garbage), 1007),
        ("bad text", marked(true, TEXT, &bad_text), 1007),
        ("text that breaks off", marked(true, TEXT, &cut_text), 1007),
        ("2^40 bytes", huge, 1009),
    ];
    for (name, wire, code) in breaches {
        for mut pieces in Pieces::all() {
            let mut driver = compressing(1 << 20);
            driver.feed(&wire, &mut pieces);
            assert!(matches!(driver.over(), Event::Failed(_)), "{name}");
            assert_eq!(driver.sent_close().0, code, "{name}");
        }
    }
}

#[test]
fn endless_empty_blocks_are_bounded() {
    let mut driver = compressing(10_000);
    // Empty stored blocks.
    let nothing = [0x00, 0x00, 0x00, 0xFF, 0xFF].repeat(20);
    driver.feed(&marked(false, BINARY, &nothing), &mut Pieces::Whole);
    for _ in 0..200 {
        driver.feed(&frame(false, CONTINUATION, &nothing), &mut Pieces::Whole);
    }
    assert!(matches!(driver.over(), Event::Failed(error) if error.kind == ErrorKind::TooLarge));
}
