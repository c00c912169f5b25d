//! The peer receives what callers queue, however little is written at a time.

use std::io::IoSlice;
use std::time::Duration;

use super::peer::*;
use crate::buffer::Segment;
use crate::session::MessageType::{self, Binary, Text};
use crate::session::Outbox;
use crate::session::sending::{MAX_SLICES, Sending};

/// Joins frames to messages and checks the fragmentation.
fn messages(frames: &[Sent], fragment_sizes: &[usize]) -> Vec<(u8, Vec<u8>)> {
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut is_open = false;
    for frame in frames.iter().filter(|frame| frame.opcode < 8) {
        assert_eq!(frame.opcode == CONTINUATION, is_open);
        if !is_open {
            messages.push((frame.opcode, Vec::new()));
        }
        let limit = fragment_sizes[messages.len() - 1];
        let message = messages.last_mut().unwrap();
        message.1.extend_from_slice(&frame.payload);
        is_open = !frame.fin;
        assert!(frame.payload.len() <= limit);
        assert!(frame.fin || frame.payload.len() == limit, "all but the last fragment have the full size");
        assert!(frame.fin || !frame.payload.is_empty());
        assert!(frame.opcode != CONTINUATION || !frame.payload.is_empty(), "no empty last fragment");
    }
    assert!(!is_open);
    messages
}

fn opcode(message_type: MessageType) -> u8 {
    if message_type == Text { TEXT } else { BINARY }
}

#[test]
fn copies_segments_and_pings_arrive_in_order_with_partial_writes() {
    for seed in 0..80 {
        let mut random = Random::new(500 + seed);
        let mut driver = Driver::open();
        let (mut expected, mut fragment_sizes, mut total) = (Vec::new(), Vec::new(), 0);
        let mut kept = Vec::new();
        for _ in 0..1 + random.below(40) {
            let length = random.below(300_000) >> random.below(19);
            let payload = random.bytes(length);
            let message_type = if random.one_in(2) { Text } else { Binary };
            let size = (16 + random.length()).min(100_000);
            match random.below(3) {
                0 => driver.send(message_type, &payload, size),
                shared => {
                    let segment = Segment::copy_of(&payload).unwrap();
                    if shared == 1 {
                        kept.push((segment.clone(), payload.clone()));
                    }
                    driver.outbox.push_segment(message_type, segment, size, &mut driver.keys).unwrap();
                }
            }
            total += payload.len();
            expected.push((opcode(message_type), payload));
            fragment_sizes.push(size);
            if random.one_in(3) {
                driver.network_takes = random.length();
                driver.flush_in(&mut Pieces::Random(random.clone()));
            }
            if random.one_in(5) {
                driver.session.ping(b"ping");
            }
        }
        driver.network_takes = usize::MAX;
        driver.flush_in(&mut Pieces::Random(random));
        let frames = driver.sent();
        assert!(messages(&frames, &fragment_sizes) == expected, "seed {seed}");
        assert_eq!(driver.payload_written, total);
        assert!(driver.outbox.is_empty() && !driver.session.has_to_write());
        let keys: std::collections::HashSet<_> = frames.iter().map(|frame| frame.key).collect();
        assert_eq!(keys.len(), frames.len(), "each frame has its own mask key");
        let data = frames.iter().filter(|frame| frame.opcode < 8).count();
        let pings = frames.iter().filter(|frame| frame.opcode == PING).count();
        assert_eq!((driver.outbox.frames, driver.outbox.messages), (data as u64, expected.len() as u64));
        assert_eq!(driver.session.pings_sent(), pings as u64);
        for (segment, payload) in kept {
            assert_eq!(segment.as_slice(), payload, "shared data is not masked in place");
        }
    }
}

#[test]
fn fragmentation_is_correct_around_size_boundaries() {
    for size in [16, 17, 125, 126, 127, 1000, 65_535, 65_536, 100_000] {
        for length in [0, 1, size - 1, size, size + 1, 2 * size - 1, 2 * size, 2 * size + 1, 5 * size + 3] {
            let payload: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let mut driver = Driver::open();
            driver.send(Binary, &payload, size);
            let segment = Segment::copy_of(&payload).unwrap();
            driver.outbox.push_segment(Text, segment, size, &mut driver.keys).unwrap();
            driver.flush();
            let frames = driver.sent();
            let expected = [(BINARY, payload.clone()), (TEXT, payload)];
            assert!(messages(&frames, &[size, size]) == expected, "{length} by {size}");
            assert_eq!(frames.len() as u64, driver.outbox.frames);
            assert_eq!(frames.len(), 2 * length.div_ceil(size).max(1));
        }
    }
}

#[test]
fn message_that_fills_block_exactly_fits() {
    // Around 65,536 bytes with headers, alone and after others in the block.
    for size in [32_767, 30_000, 100_000] {
        for length in 65_490..65_540 {
            for before in [None, Some(3000), Some(65_400)] {
                let mut driver = Driver::open();
                let mut expected = Vec::new();
                let lengths = before.map_or(vec![length], |before| vec![10, before, length - before]);
                for length in lengths {
                    driver.send(Binary, &vec![length as u8; length], size);
                    expected.push((BINARY, vec![length as u8; length]));
                }
                driver.flush();
                assert!(messages(&driver.sent(), &[size; 3]) == expected, "{length} by {size}");
            }
        }
    }
}

#[test]
fn writes_may_stop_at_any_byte() {
    let queue = |driver: &mut Driver| {
        driver.send(Text, b"first", 1000);
        driver.send(Binary, &[7; 40], 16);
        let segment = Segment::copy_of(&[9; 50]).unwrap();
        driver.outbox.push_segment(Binary, segment, 20, &mut driver.keys).unwrap();
        driver.session.ping(b"ping");
        driver.send(Text, b"", 16);
        driver.close(1000, "bye");
    };
    let mut whole = Driver::open();
    queue(&mut whole);
    whole.flush();
    assert_eq!(whole.payload_written, 95);
    for cut in 1..whole.wire.len() {
        let mut driver = Driver::open();
        queue(&mut driver);
        driver.network_takes = cut;
        driver.flush();
        assert_eq!(driver.wire.len(), cut);
        driver.network_takes = usize::MAX;
        driver.flush();
        assert_eq!(driver.wire, whole.wire, "cut at {cut}");
        assert_eq!(driver.payload_written, 95);
    }
    let mut single = Driver::open();
    queue(&mut single);
    single.flush_in(&mut Pieces::Single);
    assert_eq!(single.wire, whole.wire);
}

#[test]
fn pong_is_sent_between_fragments_of_large_message() {
    for by_segment in [false, true] {
        let mut driver = Driver::open();
        let payload = vec![5; 8 << 20];
        if by_segment {
            let segment = Segment::copy_of(&payload).unwrap();
            driver.outbox.push_segment(Binary, segment, 32_767, &mut driver.keys).unwrap();
        } else {
            driver.send(Binary, &payload, 32_767);
        }
        driver.network_takes = 100_000;
        driver.flush();
        driver.feed(&frame(true, PING, b"quick"), &mut Pieces::Whole);
        driver.network_takes = usize::MAX;
        driver.flush();
        let frames = driver.sent();
        let at = frames.iter().position(|frame| frame.opcode == PONG).unwrap();
        let before: usize = frames[..at].iter().map(|frame| frame.payload.len()).sum();
        assert!(before < 600_000, "the pong came after {before} bytes");
        assert!(messages(&frames, &[32_767]) == [(BINARY, payload)]);
    }
}

#[test]
fn ping_flood_is_answered_within_bounds_with_newest() {
    let mut driver = Driver::open();
    driver.network_takes = 0;
    for n in 0..100_000u32 {
        driver.feed(&frame(true, PING, &n.to_be_bytes()), &mut Pieces::Whole);
        if n % 10 == 0 {
            driver.session.ping(b"ours");
            driver.flush();
        }
    }
    driver.network_takes = usize::MAX;
    driver.flush();
    let frames = driver.sent();
    assert!(driver.wire.len() < 300 << 10, "{} bytes waited", driver.wire.len());
    let pongs: Vec<_> = frames.iter().filter(|frame| frame.opcode == PONG).collect();
    assert_eq!(pongs.last().unwrap().payload, 99_999u32.to_be_bytes());
    assert!(pongs.windows(2).all(|pair| pair[0].payload < pair[1].payload), "in order");
    assert!(frames.iter().any(|frame| frame.opcode == PING));
}

#[test]
fn message_with_small_fragments_is_prepared_in_bounded_steps() {
    let mut driver = Driver::open();
    let segment = Segment::copy_of(&vec![1; 1 << 20]).unwrap();
    driver.outbox.push_segment(Binary, segment, 16, &mut driver.keys).unwrap();
    driver.network_takes = 0;
    for _ in 0..100 {
        driver.flush();
    }
    assert!(driver.keys.0 < 100, "{} frames were prepared for a network that takes none", driver.keys.0);
    driver.network_takes = usize::MAX;
    driver.flush();
    assert_eq!(driver.sent().len(), (1 << 20) / 16);
}

#[test]
fn written_dropped_and_pending_bytes_add_up() {
    for seed in 0..200 {
        let mut random = Random::new(900 + seed);
        let mut keys = Keys::default();
        let (mut outbox, mut sending) = (Outbox::default(), Sending::default());
        let (mut pushed, mut written, mut wire) = (0, 0, Vec::new());
        for _ in 0..random.below(20) {
            let length = random.length() * 4;
            let payload = random.bytes(length);
            let size = 16 + random.length();
            if random.one_in(2) {
                outbox.push(Binary, &payload, size, &mut keys).unwrap();
            } else {
                outbox.push_segment(Binary, Segment::copy_of(&payload).unwrap(), size, &mut keys).unwrap();
            }
            pushed += payload.len();
            if random.one_in(2) {
                outbox.take(sending.entries());
            }
            sending.prepare(&mut keys).unwrap();
            write(&mut sending, random.length(), &mut wire, &mut written);
        }
        outbox.take(sending.entries());
        let dropped = sending.discard();
        while !sending.is_empty() {
            sending.prepare(&mut keys).unwrap();
            write(&mut sending, 1 << 20, &mut wire, &mut written);
        }
        assert_eq!(written + dropped, pushed, "seed {seed}");
        let (frames, rest) = decode(&wire);
        assert!(rest.is_empty(), "a partly written frame is completed");
        assert_eq!(frames.iter().map(|frame| frame.payload.len()).sum::<usize>(), written);
    }
}

fn write(sending: &mut Sending, limit: usize, wire: &mut Vec<u8>, written: &mut usize) {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let count = sending.gather(&mut slices);
    let mut bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
    bytes.truncate(limit);
    wire.extend_from_slice(&bytes);
    *written += sending.wrote(bytes.len()).payload;
}

#[test]
fn progress_below_session_is_not_a_stall() {
    // As with TLS, which accepts bytes before they are written.
    let mut driver = Driver::open();
    driver.session.write_blocked(driver.now);
    assert!(driver.session.deadline().is_some());
    driver.session.wrote(0);
    assert_eq!(driver.session.deadline(), None);
}

#[test]
fn stalled_write_ends_connection_after_timeout() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 1000], 1000);
    driver.network_takes = 0;
    driver.flush();
    driver.pass(Duration::from_millis(19_999));
    assert_eq!(driver.events, []);
    driver.network_takes = 10;
    driver.flush();
    driver.pass(Duration::from_millis(19_999));
    assert_eq!(driver.events, [], "ten bytes count as progress");
    driver.pass(Duration::from_millis(1));
    let Event::Failed(error) = driver.over() else { panic!("not failed") };
    assert_eq!(error.kind, crate::error::ErrorKind::TimedOut);
    assert!(error.retriable);
}
