//! Received messages do not depend on how the network splits the data.

use super::peer::*;
use crate::error::ErrorKind;
use crate::session::MessageType::{self, Binary, Text};
use crate::session::Settings;

/// Feeds the same bytes in all splits and checks that the events are the same.
fn events_of(bytes: &[u8], stream: bool) -> Vec<Event> {
    let mut first: Option<Vec<Event>> = None;
    for mut pieces in Pieces::all() {
        let mut driver = Driver::open();
        driver.stream = stream;
        driver.feed(bytes, &mut pieces);
        match &first {
            Some(first) => assert_eq!(&driver.events, first, "{pieces:?}"),
            None => first = Some(driver.events),
        }
    }
    first.unwrap()
}

fn message(message_type: MessageType, payload: &[u8]) -> Event {
    Event::Message(message_type, payload.to_vec())
}

fn fragment(message_type: MessageType, is_first: bool, is_final: bool, payload: &[u8]) -> Event {
    Event::Fragment { message_type, is_first, is_final, payload: payload.to_vec() }
}

#[test]
fn messages_of_every_length_encoding_are_received() {
    let mut random = Random::new(3);
    let mut wire = Vec::new();
    let mut expected = Vec::new();
    for length in [0, 1, 2, 124, 125, 126, 127, 128, 65_521, 65_522, 65_523, 65_535, 65_536, 65_537, 200_000]
    {
        let payload = random.bytes(length);
        wire.extend(frame(true, BINARY, &payload));
        expected.push(message(Binary, &payload));
        let text = random.text(length);
        wire.extend(frame(true, TEXT, &text));
        expected.push(message(Text, &text));
    }
    assert_eq!(events_of(&wire, false), expected);
    // A message of one frame is never delivered as a fragment.
    assert_eq!(events_of(&wire, true), expected);
}

#[test]
fn fragments_are_assembled_around_control_frames() {
    // Split inside characters.
    let text = "größe".as_bytes();
    let wire = [
        frame(false, TEXT, &text[..3]),
        frame(true, PING, b"between"),
        frame(false, CONTINUATION, b""),
        frame(true, PONG, b"unasked"),
        frame(false, CONTINUATION, &text[3..5]),
        frame(true, CONTINUATION, &text[5..]),
        frame(false, BINARY, b""),
        frame(true, CONTINUATION, b""),
        frame(false, BINARY, b""),
        frame(true, CONTINUATION, b"late"),
        frame(true, TEXT, b""),
    ];
    let pong = Event::Pong(b"unasked".to_vec());
    let assembled = [
        pong.clone(),
        message(Text, text),
        message(Binary, b""),
        message(Binary, b"late"),
        message(Text, b""),
    ];
    assert_eq!(events_of(&wire.concat(), false), assembled);
    let streamed = [
        fragment(Text, true, false, &text[..3]),
        fragment(Text, false, false, b""),
        pong,
        fragment(Text, false, false, &text[3..5]),
        fragment(Text, false, true, &text[5..]),
        fragment(Binary, true, false, b""),
        fragment(Binary, false, true, b""),
        fragment(Binary, true, false, b""),
        fragment(Binary, false, true, b"late"),
        message(Text, b""),
    ];
    assert_eq!(events_of(&wire.concat(), true), streamed);
}

#[test]
fn random_fragmentation_equals_concatenation() {
    for seed in 0..60 {
        let mut random = Random::new(100 + seed);
        let (mut wire, mut assembled, mut streamed) = (Vec::new(), Vec::new(), Vec::new());
        let mut pings = Vec::new();
        for _ in 0..1 + random.below(6) {
            let length = random.below(200_000) >> random.below(17);
            let is_text = random.one_in(2);
            let payload = if is_text { random.text(length) } else { random.bytes(length) };
            let message_type = if is_text { Text } else { Binary };
            let (mut at, mut opcode) = (0, if is_text { TEXT } else { BINARY });
            loop {
                let rest = payload.len() - at;
                let count = if random.one_in(3) { rest } else { random.length().min(rest) };
                let fin = count == rest && !random.one_in(5);
                wire.extend(frame(fin, opcode, &payload[at..at + count]));
                if !fin || opcode == CONTINUATION {
                    let first = opcode != CONTINUATION;
                    streamed.push(fragment(message_type, first, fin, &payload[at..at + count]));
                } else {
                    streamed.push(message(message_type, &payload));
                }
                at += count;
                opcode = CONTINUATION;
                if fin {
                    break;
                }
                if random.one_in(4) {
                    let length = random.below(126);
                    let ping = random.bytes(length);
                    wire.extend(frame(true, PING, &ping));
                    pings.push(ping);
                }
            }
            assembled.push(message(message_type, &payload));
        }
        for (stream, expected) in [(false, &assembled), (true, &streamed)] {
            let single = wire.len() < 20_000;
            for mut pieces in Pieces::all().into_iter().take(if single { 4 } else { 3 }) {
                let mut driver = Driver::open();
                driver.stream = stream;
                driver.feed(&wire, &mut pieces);
                assert!(driver.events == *expected, "seed {seed}, stream {stream}, {pieces:?}");
                driver.flush();
                let pongs: Vec<_> =
                    driver.sent().into_iter().map(|frame| (frame.opcode, frame.payload)).collect();
                let wanted: Vec<_> = pings.iter().take(64).map(|ping| (PONG, ping.clone())).collect();
                assert_eq!(pongs[..wanted.len().min(63)], wanted[..wanted.len().min(63)]);
                assert_eq!(driver.session.frames_received() as usize, streamed.len() + pings.len());
                assert_eq!(driver.session.messages_received() as usize, assembled.len());
            }
        }
    }
}

#[test]
fn fragment_delivery_is_decided_at_start_of_message() {
    let mut driver = Driver::open();
    driver.feed(&frame(false, TEXT, b"as"), &mut Pieces::Single);
    driver.stream = true;
    driver.feed(&frame(true, CONTINUATION, b"sembled"), &mut Pieces::Single);
    driver.feed(&frame(false, TEXT, b"str")[..3], &mut Pieces::Single);
    driver.stream = false;
    driver.feed(&frame(false, TEXT, b"str")[3..], &mut Pieces::Single);
    driver.feed(&frame(true, CONTINUATION, b"eamed"), &mut Pieces::Single);
    driver.feed(&frame(true, TEXT, b"whole"), &mut Pieces::Single);
    let expected = [
        message(Text, b"assembled"),
        fragment(Text, true, false, b"str"),
        fragment(Text, false, true, b"eamed"),
        message(Text, b"whole"),
    ];
    assert_eq!(driver.events, expected);
}

#[test]
fn many_fragments_form_one_message_and_floods_are_bounded() {
    let mut wire = frame(false, BINARY, b"");
    for _ in 0..100_000 {
        wire.extend(frame(false, CONTINUATION, b"x"));
    }
    let mut driver = Driver::open();
    driver.feed(&wire, &mut Pieces::Whole);
    assert_eq!(driver.events, []);
    driver.feed(&frame(true, CONTINUATION, b""), &mut Pieces::Whole);
    assert_eq!(driver.events, [message(Binary, &[b'x'; 100_000])]);

    let mut driver = Driver::with(&Settings { max_message_size: 50_000, ..settings() });
    driver.feed(&wire, &mut Pieces::Whole);
    let Event::Failed(error) = driver.over() else { panic!("not failed") };
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(driver.sent_close().0, 1009);
}

#[test]
fn message_size_limit_is_exact() {
    for limit in [0, 1, 100, 125, 126, 40_000, 65_535, 65_536, 100_000] {
        for (length, fits) in [(limit, true), (limit + 1, false)] {
            let payload = vec![b'x'; length];
            let (head, tail) = payload.split_at(length / 2);
            let whole = frame(true, TEXT, &payload);
            let fragments = [frame(false, TEXT, head), frame(true, CONTINUATION, tail)].concat();
            for (wire, stream) in [(&whole, false), (&fragments, false), (&fragments, true)] {
                for mut pieces in [Pieces::Whole, Pieces::Random(Random::new(5)), Pieces::Single] {
                    let mut driver = Driver::with(&Settings { max_message_size: limit, ..settings() });
                    driver.stream = stream;
                    driver.feed(wire, &mut pieces);
                    assert_eq!(driver.session.messages_received(), u64::from(fits), "{length} of {limit}");
                    assert_eq!(driver.session.is_done(), !fits);
                    if !fits {
                        let Event::Failed(error) = driver.over() else { panic!("{length} of {limit}") };
                        assert_eq!(error.kind, ErrorKind::TooLarge);
                    }
                }
            }
        }
    }
}

/// Returns all violations: the bytes up to the one that causes it, and the close code.
fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let mut breaches: Vec<(&'static str, Vec<u8>, u16)> = vec![
        ("fragmented ping", vec![0x09], 1002),
        ("control too long", vec![0x89, 126], 1002),
        ("masked", vec![0x82, 0x80], 1002),
        ("16-bit length too long", vec![0x82, 126, 0, 125], 1002),
        ("64-bit length too long", vec![0x82, 127, 0, 0, 0, 0, 0, 0], 1002),
        ("top bit", vec![0x82, 127, 0x80], 1002),
        ("continuation of nothing", vec![0x80, 5], 1002),
        ("half a close code", vec![0x88, 1], 1002),
        ("close code 1005", frame(true, CLOSE, &1005u16.to_be_bytes()), 1002),
        ("close code 999", frame(true, CLOSE, &999u16.to_be_bytes()), 1002),
        ("close reason", frame(true, CLOSE, b"\x03\xe8\xff"), 1007),
        ("2^40 bytes", header(true, BINARY, 1 << 40), 1009),
        ("one too many", header(true, TEXT, (16 << 20) + 1), 1009),
        ("new message", [frame(false, TEXT, b"a"), vec![0x81, 3]].concat(), 1002),
        ("after a ping", [frame(true, PING, b"a"), vec![0x83]].concat(), 1002),
        ("sum", [frame(false, BINARY, b"a"), header(false, CONTINUATION, 16 << 20)].concat(), 1009),
        ("bad byte in a frame", [header(true, TEXT, 1000), b"ok\xFF".to_vec()].concat(), 1007),
        ("bad byte in a large frame", [header(true, TEXT, 1 << 20), b"ok\xFF".to_vec()].concat(), 1007),
        ("surrogate in a fragment", [header(false, TEXT, 10), b"\xED\xA0".to_vec()].concat(), 1007),
        (
            "bad byte in a continuation",
            [frame(false, TEXT, b"\xF0\x9F"), header(true, CONTINUATION, 70_000), b"\x8E\x28".to_vec()]
                .concat(),
            1007,
        ),
        ("text breaks off", frame(true, TEXT, b"abc\xE6\xB0"), 1007),
        (
            "fragments break off",
            [frame(false, TEXT, b"\xE6"), frame(true, PING, b""), frame(true, CONTINUATION, b"\xB0")]
                .concat(),
            1007,
        ),
    ];
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        breaches.push(("reserved opcode", vec![0x80 | opcode], 1002));
    }
    for bits in 1..8 {
        breaches.push(("reserved bits", vec![0x82 | bits << 4], 1002));
    }
    breaches
}

#[test]
fn each_violation_is_answered_with_its_code_at_earliest_byte() {
    for (name, bytes, code) in violations() {
        for stream in [false, true] {
            for mut pieces in Pieces::all() {
                let mut driver = Driver::open();
                driver.stream = stream;
                let message_before = frame(true, BINARY, b"before");
                driver.feed(&message_before, &mut Pieces::Whole);
                let (before, last) = bytes.split_at(bytes.len() - 1);
                driver.feed(before, &mut pieces);
                assert!(!driver.session.is_done(), "{name}: too early");
                driver.feed(last, &mut pieces);
                assert!(driver.session.is_done(), "{name}: not seen yet, {pieces:?}");
                let Event::Failed(error) = driver.over() else { panic!("{name}") };
                assert_eq!(driver.sent_close().0, code, "{name}");
                assert_eq!(driver.events[0], message(Binary, b"before"));
                let kind = match code {
                    1007 => ErrorKind::Utf8,
                    1009 => ErrorKind::TooLarge,
                    _ => ErrorKind::Protocol,
                };
                assert_eq!((error.kind, error.retriable), (kind, false), "{name}");
                assert!(driver.sent_close().1.contains("RFC 6455"), "{name}");
            }
        }
    }
}

#[test]
fn pongs_have_payload_of_pings_in_order() {
    for mut pieces in Pieces::all() {
        let mut driver = Driver::open();
        let payloads: Vec<Vec<u8>> = (0..60u8).map(|n| vec![n; usize::from(n) * 2]).collect();
        let wire: Vec<u8> = payloads.iter().flat_map(|payload| frame(true, PING, payload)).collect();
        driver.feed(&wire, &mut pieces);
        driver.flush();
        assert_eq!(driver.events, []);
        let pongs: Vec<_> = driver.sent().into_iter().map(|frame| (frame.opcode, frame.payload)).collect();
        assert_eq!(pongs, payloads.into_iter().map(|payload| (PONG, payload)).collect::<Vec<_>>());
    }
}

#[test]
fn two_sessions_share_a_block_with_retained_segments() {
    let mut random = Random::new(77);
    let mut scratch = None;
    let mut pair = [Driver::open(), Driver::open()];
    pair[0].kept = Some(Vec::new());
    pair[1].kept = Some(Vec::new());
    let mut expected: [Vec<Event>; 2] = [Vec::new(), Vec::new()];
    let mut wires = [Vec::new(), Vec::new()];
    for side in 0..2 {
        for _ in 0..200 {
            let length = random.length();
            let payload = random.bytes(length);
            wires[side].extend(frame(true, BINARY, &payload));
            expected[side].push(message(Binary, &payload));
        }
    }
    let mut at = [0, 0];
    while at[0] < wires[0].len() || at[1] < wires[1].len() {
        let side = random.below(2);
        let count = random.length().min(wires[side].len() - at[side]);
        let piece = &wires[side][at[side]..at[side] + count];
        pair[side].feed_with(piece, &mut Pieces::Whole, &mut scratch);
        at[side] += count;
        if let Some(kept) = &mut pair[side].kept
            && kept.len() > 20
        {
            // Release some segments out of order, so that blocks are reused.
            let (segment, bytes) = kept.swap_remove(random.below(kept.len()));
            assert!(segment.as_slice() == bytes, "a retained segment does not change");
        }
    }
    for (segment, bytes) in pair.iter_mut().flat_map(|driver| driver.kept.take()).flatten() {
        assert!(segment.as_slice() == bytes, "a retained segment does not change");
    }
    for side in 0..2 {
        assert!(pair[side].events == expected[side], "side {side}");
    }
}

#[test]
fn damaged_streams_end_equally_in_all_splits() {
    let (mut ended, mut survived) = (0, 0);
    for seed in 0..1500 {
        let mut random = Random::new(7000 + seed);
        let mut wire = Vec::new();
        for _ in 0..1 + random.below(10) {
            let opcode = [TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE][random.below(6)];
            let length = random.below(300) >> random.below(9);
            let payload = match opcode {
                CLOSE => [&1000u16.to_be_bytes(), &b"bye"[..]].concat(),
                TEXT | CONTINUATION => random.text(length),
                _ => random.bytes(length),
            };
            let fin = opcode >= 8 || random.one_in(2);
            wire.extend(frame(
                fin,
                opcode,
                &payload[..payload.len().min(if opcode >= 8 { 125 } else { 300 })],
            ));
        }
        for _ in 0..random.below(3) {
            let at = random.below(wire.len());
            wire[at] ^= 1 << random.below(8);
        }
        let mut first = None;
        for mut pieces in Pieces::all() {
            let mut driver = Driver::open();
            driver.stream = seed % 2 == 0;
            driver.feed(&wire, &mut pieces);
            let is_done = driver.session.is_done();
            if !is_done {
                driver.end(None);
            }
            let terminal = driver.over();
            let close = is_done.then(|| driver.sent_close().0);
            let kind = if let Event::Failed(error) = &terminal { Some(error.kind) } else { None };
            driver.events.pop();
            let outcome = (driver.events, kind, close);
            match &first {
                Some(first) => assert_eq!(&outcome, first, "seed {seed}, {pieces:?}"),
                None => first = Some(outcome),
            }
            *(if is_done { &mut ended } else { &mut survived }) += 1;
        }
    }
    assert!(ended > 500 && survived > 500, "{ended} ended, {survived} survived");
}
