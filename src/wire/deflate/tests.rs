mod oracle;

use super::*;
use crate::wire::extensions::parse_extensions;
use crate::wire::violation::Violation;

const PLAIN: DeflateParams = DeflateParams {
    client_no_context_takeover: false,
    server_no_context_takeover: false,
    client_max_window_bits: 15,
    server_max_window_bits: 15,
};

const NO_TAKEOVER: DeflateParams =
    DeflateParams { client_no_context_takeover: true, server_no_context_takeover: true, ..PLAIN };

/// Compresses one message with input and output slices of the given sizes.
fn compress(deflater: &mut Deflater, message: &[u8], in_size: usize, out_size: usize) -> Vec<u8> {
    let (mut rest, mut compressed, mut out) = (message, Vec::new(), vec![0xEE; out_size]);
    for _ in 0..10_000_000 {
        let piece = &rest[..rest.len().min(in_size)];
        let step = deflater.step(piece, &mut out, piece.len() == rest.len());
        rest = &rest[step.consumed..];
        compressed.extend_from_slice(&out[..step.produced]);
        if step.status == Status::Done {
            assert!(rest.is_empty());
            return compressed;
        }
    }
    panic!("no end in sight");
}

fn decompress(
    inflater: &mut Inflater,
    message: &[u8],
    in_size: usize,
    out_size: usize,
) -> Result<Vec<u8>, Violation> {
    let (mut rest, mut plain, mut out) = (message, Vec::new(), vec![0xEE; out_size]);
    for _ in 0..10_000_000 {
        let piece = &rest[..rest.len().min(in_size)];
        let step = inflater.step(piece, &mut out, piece.len() == rest.len())?;
        rest = &rest[step.consumed..];
        plain.extend_from_slice(&out[..step.produced]);
        if step.status == Status::Done {
            assert!(rest.is_empty());
            return Ok(plain);
        }
    }
    panic!("no end in sight");
}

fn inflate_all(message: &[u8]) -> Result<Vec<u8>, Violation> {
    decompress(&mut Inflater::new(&PLAIN), message, usize::MAX, 4096)
}

/// Pseudorandom bytes below `spread`; 256 does not compress, smaller values do.
fn noise(length: usize, spread: u64, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length).map(|_| (next() % spread) as u8 + b' ').collect()
}

fn messages() -> Vec<Vec<u8>> {
    let text = "{\"type\":\"position\",\"player\":42,\"x\":1.25,\"y\":-3.5}";
    let mut messages = vec![
        Vec::new(),
        b"x".to_vec(),
        b"Hello".to_vec(),
        Vec::new(),
        Vec::new(),
        text.into(),
        text.into(),
        vec![0; 100_000],
        noise(70_000, 200, 1),
        noise(70_000, 4, 2),
        text.repeat(1000).into(),
        noise(300, 10, 3),
    ];
    for length in 1..40 {
        messages.push(noise(length, 20, length as u64));
    }
    messages
}

#[test]
fn rfc_examples_are_decompressed() {
    let hello: [&[u8]; 5] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        // The third without the byte that section 7.2.3.4 adds: tolerated.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for example in hello {
        for (in_size, out_size) in [(usize::MAX, 100), (1, 1), (usize::MAX, 5), (2, 3), (3, 1)] {
            let mut inflater = Inflater::new(&PLAIN);
            for _ in 0..2 {
                assert_eq!(decompress(&mut inflater, example, in_size, out_size), Ok(b"Hello".to_vec()));
            }
        }
    }
    // Section 7.2.3.2: the second message refers to the first.
    let mut inflater = Inflater::new(&PLAIN);
    assert_eq!(decompress(&mut inflater, hello[0], 100, 100), Ok(b"Hello".to_vec()));
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(decompress(&mut inflater, &second, 100, 100), Ok(b"Hello".to_vec()));
    assert_eq!(inflate_all(&second), Err(Violation::CorruptDeflate));
    // Section 7.2.3.6, and a message without even that byte.
    assert_eq!(inflate_all(&[0x00]), Ok(vec![]));
    assert_eq!(inflate_all(&[]), Ok(vec![]));
}

#[test]
fn rfc_examples_are_produced() {
    let mut deflater = Deflater::new(&PLAIN, 6);
    assert_eq!(compress(&mut deflater, b"Hello", 100, 100), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    assert_eq!(compress(&mut deflater, b"Hello", 100, 100), [0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(compress(&mut deflater, b"", 100, 100), [0x00]);
    assert_eq!(compress(&mut deflater, b"", 100, 100), [0x00]);
    let mut deflater = Deflater::new(&NO_TAKEOVER, 6);
    for _ in 0..3 {
        assert_eq!(compress(&mut deflater, b"Hello", 100, 100), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
    }
}

#[test]
fn messages_round_trip_at_every_level_and_window() {
    let messages = messages();
    for params in [PLAIN, NO_TAKEOVER] {
        for level in 0..=9 {
            for bits in [8, 9, 12, 15] {
                let params =
                    DeflateParams { client_max_window_bits: bits, server_max_window_bits: bits, ..params };
                let (mut deflater, mut inflater) = (Deflater::new(&params, level), Inflater::new(&params));
                for message in &messages {
                    let compressed = compress(&mut deflater, message, usize::MAX, 8192);
                    let plain = decompress(&mut inflater, &compressed, usize::MAX, 8192);
                    assert!(plain.as_ref() == Ok(message), "level {level}, window {bits}");
                    deflater.release_if_idle();
                    inflater.release_if_idle();
                }
            }
        }
    }
}

#[test]
fn message_does_not_depend_on_slice_sizes() {
    for (in_size, out_size) in [(1, Deflater::MIN_OUT), (1, 5000), (7, 17), (5000, 16), (usize::MAX, 19)] {
        let (mut deflater, mut inflater) = (Deflater::new(&PLAIN, 6), Inflater::new(&PLAIN));
        for message in messages() {
            let compressed = compress(&mut deflater, &message, in_size, out_size);
            let plain = decompress(&mut inflater, &compressed, out_size, in_size.clamp(1, 5000));
            assert!(plain == Ok(message), "{in_size} {out_size}");
        }
    }
}

#[test]
fn end_of_message_is_found_at_every_output_size() {
    // Some of these end a flush exactly at the end of the output.
    let message = noise(200, 60, 9);
    for out_size in Deflater::MIN_OUT..300 {
        let (mut deflater, mut inflater) = (Deflater::new(&PLAIN, 6), Inflater::new(&PLAIN));
        for _ in 0..3 {
            let compressed = compress(&mut deflater, &message, usize::MAX, out_size);
            assert!(!compressed.ends_with(&TAIL));
            assert_eq!(decompress(&mut inflater, &compressed, 1, out_size).as_ref(), Ok(&message));
        }
    }
}

#[test]
fn flush_may_follow_without_input() {
    let (mut deflater, mut out) = (Deflater::new(&PLAIN, 6), [0; 100]);
    assert_eq!(deflater.step(b"", &mut out, false).status, Status::NeedsInput);
    let first = deflater.step(b"Hello", &mut out, false);
    assert_eq!((first.consumed, first.status), (5, Status::NeedsInput));
    let mut compressed = out[..first.produced].to_vec();
    let second = deflater.step(b"", &mut out, true);
    assert_eq!((second.consumed, second.status), (0, Status::Done));
    compressed.extend_from_slice(&out[..second.produced]);
    assert_eq!(inflate_all(&compressed), Ok(b"Hello".to_vec()));
}

#[test]
fn server_with_256_byte_window_can_decompress() {
    // Repetitions at every distance around the limit, in data without other matches.
    let mut message = Vec::new();
    for distance in (240..270).chain((270..600).step_by(30)) {
        message.extend(noise(distance, 256 - 32, distance as u64));
        let start = message.len() - distance;
        message.extend_from_within(start..start + 60);
    }
    message.extend("a line of text that comes again and again. ".repeat(100).bytes());
    for level in 0..=9 {
        for bits in 8..=11 {
            let params = DeflateParams { client_max_window_bits: bits, ..PLAIN };
            let mut compressed = compress(&mut Deflater::new(&params, level), &message, usize::MAX, 4096);
            compressed.extend(TAIL);
            let (plain, farthest) = oracle::inflate(&compressed);
            assert!(plain == message, "level {level}");
            assert!(farthest <= 1 << bits, "level {level}, window {bits}: {farthest}");
            // Cross-check: a larger window is used.
            assert!(level == 0 || bits < 10 || farthest > 256, "level {level}, window {bits}: {farthest}");
        }
    }
}

#[test]
fn decompression_bomb_output_is_bounded() {
    let bomb = compress(&mut Deflater::new(&PLAIN, 9), &vec![0; 16 << 20], usize::MAX, 4096);
    assert!(bomb.len() < 17_000);
    let (mut inflater, mut out, mut rest, mut total) = (Inflater::new(&PLAIN), vec![1; 4096], &bomb[..], 0);
    loop {
        let step = inflater.step(rest, &mut out, true).unwrap();
        assert!(out[..step.produced].iter().all(|byte| *byte == 0));
        rest = &rest[step.consumed..];
        total += step.produced;
        if step.status == Status::Done {
            break;
        }
        assert_eq!(step.status, Status::NeedsOutput);
    }
    assert_eq!(total, 16 << 20);
}

#[test]
fn corrupt_data_is_violation_and_never_hangs() {
    // A reserved block type, a stored block whose lengths disagree, a reference before the start.
    for corrupt in [&[0x07u8][..], &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48], &[0xf2, 0x00, 0x11, 0x00]] {
        assert_eq!(inflate_all(corrupt), Err(Violation::CorruptDeflate), "{corrupt:02x?}");
    }
    assert_eq!(Violation::CorruptDeflate.close_code(), 1007);

    let good = compress(&mut Deflater::new(&PLAIN, 6), &noise(3000, 30, 5), usize::MAX, 4096);
    let mut refused = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        refused += usize::from(inflate_all(&bad).is_err());
        let cut = decompress(&mut Inflater::new(&PLAIN), &good[..at], 1, 7);
        assert!(cut.is_err() || cut.is_ok_and(|plain| plain.len() <= 3000 + TAIL.len()));
    }
    assert!(refused > 0);
    for seed in 0..2000 {
        // Any result is fine, but it must terminate.
        let _ = inflate_all(&noise(40, 223, seed));
    }
}

#[test]
fn idle_codec_without_context_takeover_frees_memory() {
    let (mut deflater, mut inflater) = (Deflater::new(&NO_TAKEOVER, 6), Inflater::new(&NO_TAKEOVER));
    assert!(!deflater.is_allocated() && !inflater.is_allocated());
    let mut out = [0; 100];
    assert_eq!(deflater.step(b"Hel", &mut out, false).status, Status::NeedsInput);
    deflater.release_if_idle();
    assert!(deflater.is_allocated(), "a message is under way");
    assert_eq!(deflater.step(b"lo", &mut out, true).status, Status::Done);
    deflater.release_if_idle();
    assert!(!deflater.is_allocated());

    assert_eq!(inflater.step(&[0xf2, 0x48], &mut out, false).unwrap().status, Status::NeedsInput);
    inflater.release_if_idle();
    assert!(inflater.is_allocated(), "a message is under way");
    let step = inflater.step(&[0xcd, 0xc9, 0xc9, 0x07, 0x00], &mut out, true).unwrap();
    assert_eq!(step.status, Status::Done);
    inflater.release_if_idle();
    assert!(!inflater.is_allocated());

    let (mut deflater, mut inflater) = (Deflater::new(&PLAIN, 6), Inflater::new(&PLAIN));
    let compressed = compress(&mut deflater, b"Hello", 100, 100);
    decompress(&mut inflater, &compressed, 100, 100).unwrap();
    deflater.release_if_idle();
    inflater.release_if_idle();
    assert!(deflater.is_allocated() && inflater.is_allocated(), "the next message refers to the last");
}

#[test]
fn offer_contains_only_requested_parameters() {
    let config = DeflateConfig::default();
    assert_eq!(config.offer(), "permessage-deflate; client_max_window_bits");
    let config = DeflateConfig {
        client_no_context_takeover: true,
        server_no_context_takeover: true,
        client_max_window_bits: 10,
        server_max_window_bits: 8,
        ..config
    };
    assert_eq!(
        config.offer(),
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover; \
         server_max_window_bits=8; client_max_window_bits=10"
    );
    assert_eq!(config.check(), Ok(()));
    for wrong in [
        DeflateConfig { level: 10, ..config.clone() },
        DeflateConfig { client_max_window_bits: 7, ..config.clone() },
        DeflateConfig { server_max_window_bits: 16, ..config.clone() },
    ] {
        assert!(wrong.check().is_err());
    }
}

fn accept(config: &DeflateConfig, params: &str) -> Result<DeflateParams, String> {
    let response = parse_extensions(&format!("permessage-deflate{params}")).unwrap().remove(0);
    config.accept(&response).map_err(|error| error.to_string())
}

#[test]
fn valid_response_is_accepted() {
    let config = DeflateConfig::default();
    assert_eq!(accept(&config, ""), Ok(PLAIN));
    assert_eq!(accept(&config, "; client_no_context_takeover; server_no_context_takeover"), Ok(NO_TAKEOVER));
    assert_eq!(
        accept(&config, "; server_max_window_bits=8; client_max_window_bits=\"9\""),
        Ok(DeflateParams { client_max_window_bits: 9, server_max_window_bits: 8, ..PLAIN })
    );
    let lean = DeflateConfig {
        client_no_context_takeover: true,
        client_max_window_bits: 10,
        server_max_window_bits: 10,
        ..config
    };
    // Our own promise holds even if the server does not repeat it.
    assert_eq!(
        accept(&lean, ""),
        Ok(DeflateParams { client_no_context_takeover: true, client_max_window_bits: 10, ..PLAIN })
    );
}

#[test]
fn invalid_response_is_rejected_with_reason() {
    let config =
        DeflateConfig { client_max_window_bits: 12, server_max_window_bits: 12, ..Default::default() };
    for (params, words) in [
        ("; foo", "unknown parameter foo"),
        ("; Client_No_Context_Takeover", "unknown parameter"),
        ("; server_no_context_takeover; server_no_context_takeover", "repeats"),
        ("; server_max_window_bits=9; server_max_window_bits=9", "repeats"),
        ("; server_no_context_takeover=1", "must not have a value"),
        ("; client_no_context_takeover=true", "must not have a value"),
        ("; server_max_window_bits", "must have a value"),
        ("; client_max_window_bits", "must have a value"),
        ("; client_max_window_bits=7", "must be 8 to 15"),
        ("; client_max_window_bits=16", "must be 8 to 15"),
        ("; server_max_window_bits=09", "must be 8 to 15"),
        ("; server_max_window_bits=+9", "must be 8 to 15"),
        ("; server_max_window_bits=x", "must be 8 to 15"),
        ("; client_max_window_bits=13", "more than was offered"),
        ("; server_max_window_bits=13", "more than was offered"),
    ] {
        let error = accept(&config, params).unwrap_err();
        assert!(error.contains(words), "{params}: {error}");
    }
    let other = ExtensionParams { name: "x-deflate".into(), params: vec![] };
    assert!(config.accept(&other).is_err());
}
