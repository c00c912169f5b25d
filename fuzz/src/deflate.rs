//! Compression: compressed messages decompress to the original, arbitrary input never exceeds the
//! output buffer, and the step size does not affect the result.

use flate2::{Decompress, FlushDecompress};
use framewire::internals::wire::Violation;
use framewire::internals::wire::deflate::{DeflateParams, Deflater, Inflater, Status};

use super::input::{Input, Pieces};
use super::oracle;

/// The maximum decompressed size that is checked per message.
const MAX_OUTPUT: usize = 64 << 10;
/// Longer streams would take the slow oracle too long.
const MAX_ORACLE_INPUT: usize = 1024;
/// The end of every compressed message, which is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Input: a byte that selects round trip or arbitrary data, then the parameters of that mode.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { round_trip(&mut input) } else { arbitrary(&mut input) }
}

fn params(takeover: bool, window_bits: u8) -> DeflateParams {
    DeflateParams {
        client_no_context_takeover: !takeover,
        server_no_context_takeover: !takeover,
        client_max_window_bits: window_bits,
        server_max_window_bits: 15,
    }
}

/// Decompresses arbitrary bytes in different step sizes; all must agree.
fn arbitrary(input: &mut Input) {
    let takeover = input.flag();
    let seed = input.byte();
    let mut messages = Vec::new();
    while !input.is_empty() && messages.len() < 3 {
        let count = input.u16();
        messages.push(input.bytes(count.into()));
    }
    let inflate_all = |pieces: Pieces, spaces: Pieces| {
        let mut inflater = Inflater::new(&params(takeover, 15));
        let mut results = Vec::new();
        for message in &messages {
            let result = inflate(&mut inflater, message, pieces, spaces);
            let is_over = !matches!(result, Ok(Some(_)));
            results.push(result);
            if is_over {
                break;
            }
            inflater.release_if_idle();
            assert_eq!(inflater.is_allocated(), takeover);
        }
        results
    };
    let whole = inflate_all(Pieces::Whole, Pieces::Whole);
    for (pieces, spaces) in [
        (Pieces::Single, Pieces::Whole),
        (Pieces::random(seed), Pieces::random(seed.wrapping_add(1))),
        (Pieces::Whole, Pieces::random(seed)),
    ] {
        let other = inflate_all(pieces, spaces);
        assert_eq!(other.len(), whole.len(), "{pieces:?}, {spaces:?}");
        for pair in other.iter().zip(&whole) {
            match pair {
                // Larger steps may find an error before the size limit is exceeded.
                (Ok(None), Err(_)) | (Err(_), Ok(None)) => {}
                (other, whole) => assert_eq!(other, whole, "{pieces:?}, {spaces:?}"),
            }
        }
    }
    if let (Some(message), Some(Ok(Some(plain)))) = (messages.first(), whole.first()) {
        other_inflate(message, plain);
    }
}

/// Decompresses a message; `None` if it exceeds [`MAX_OUTPUT`].
fn inflate(
    inflater: &mut Inflater,
    mut message: &[u8],
    mut pieces: Pieces,
    mut spaces: Pieces,
) -> Result<Option<Vec<u8>>, Violation> {
    let mut plain = Vec::new();
    let mut out = vec![0; 4 << 10];
    loop {
        let (piece, rest) = message.split_at(pieces.next(message.len()).min(message.len()));
        message = rest;
        let last = rest.is_empty();
        let mut left = piece;
        loop {
            let space = spaces.next(out.len());
            let step = inflater.step(left, &mut out[..space], last)?;
            assert!(step.consumed <= left.len() && step.produced <= space);
            assert!(
                step.consumed + step.produced > 0 || step.status != Status::NeedsOutput,
                "step without progress that requests another"
            );
            plain.extend_from_slice(&out[..step.produced]);
            if plain.len() > MAX_OUTPUT {
                return Ok(None);
            }
            left = &left[step.consumed..];
            match step.status {
                Status::NeedsOutput => assert_eq!(step.produced, space),
                Status::NeedsInput => {
                    assert!(left.is_empty() && !last);
                    break;
                }
                Status::Done => {
                    assert!(left.is_empty() && last);
                    return Ok(Some(plain));
                }
            }
        }
    }
}

/// Decompresses the message and the tail of RFC 7692 section 7.2.2 with flate2 in one call. The
/// results must be equal up to the first block that ends the stream.
fn other_inflate(message: &[u8], plain: &[u8]) {
    let input = [message, &TAIL].concat();
    let mut out = vec![0; plain.len() + 1];
    let mut other = Decompress::new(false);
    let status = other.decompress(&input, &mut out, FlushDecompress::Sync);
    if message.is_empty() {
        return assert_eq!(plain, b"");
    }
    assert!(status.is_ok(), "{status:?}");
    let produced = other.total_out() as usize;
    assert!(plain.starts_with(&out[..produced]));
    if matches!(status, Ok(flate2::Status::Ok)) {
        assert_eq!(produced, plain.len());
    }
}

fn round_trip(input: &mut Input) {
    let takeover = input.flag();
    let (window_bits, level) = (8 + input.byte() % 8, u32::from(input.byte() % 10));
    let seed = input.byte();
    let (mut spaces, mut pieces) = (Pieces::random(seed), Pieces::random(seed.wrapping_add(1)));
    let mut deflater = Deflater::new(&params(takeover, window_bits), level);
    let mut inflater = Inflater::new(&params(takeover, window_bits));
    let mut stream = Vec::new();
    let mut plain = Vec::new();
    let mut count = 0;
    while !input.is_empty() && count < 4 {
        count += 1;
        let message = repeated(input);
        let sent = deflate(&mut deflater, &message, &mut spaces, &mut pieces);
        if !takeover {
            (stream, plain) = (Vec::new(), Vec::new());
            deflater.release_if_idle();
            assert!(!deflater.is_allocated());
        }
        assert_eq!(inflate(&mut inflater, &sent, pieces, spaces), Ok(Some(message.clone())));
        stream.extend([&sent[..], &TAIL].concat());
        plain.extend(message);
        if stream.len() <= MAX_ORACLE_INPUT {
            let (read, farthest) = oracle::inflate(&stream);
            assert!(read == plain, "decompressed data differs from the original");
            assert!(
                farthest <= 1 << window_bits,
                "distance {farthest} exceeds a window of {window_bits} bits"
            );
        }
    }
}

/// Builds a message of repeated bytes with varying gaps, like typical game data.
fn repeated(input: &mut Input) -> Vec<u8> {
    let times = input.byte() % 24;
    // Up to 2 KiB: inside some windows and outside of others.
    let gap = usize::from(input.byte()) * 8;
    let part = input.counted();
    let mut message = Vec::new();
    for time in 0..times {
        message.extend_from_slice(part);
        message.extend((0..gap).map(|at| (at as u8).wrapping_mul(time) ^ (at >> 3) as u8));
    }
    message.extend_from_slice(part);
    message
}

fn deflate(deflater: &mut Deflater, message: &[u8], spaces: &mut Pieces, pieces: &mut Pieces) -> Vec<u8> {
    let mut sent = Vec::new();
    let mut out = vec![0; 8 << 10];
    let mut left = message;
    let mut end = pieces.next(left.len().max(1)).min(left.len());
    loop {
        let last = end == left.len();
        let space = Deflater::MIN_OUT.max(spaces.next(out.len()));
        let step = deflater.step(&left[..end], &mut out[..space], last);
        assert!(step.consumed <= end && step.produced <= space);
        sent.extend_from_slice(&out[..step.produced]);
        left = &left[step.consumed..];
        end -= step.consumed;
        match step.status {
            Status::NeedsOutput => {}
            Status::NeedsInput => {
                assert!(end == 0 && !last);
                end = pieces.next(left.len().max(1)).min(left.len());
            }
            Status::Done => {
                assert!(left.is_empty() && last);
                break;
            }
        }
    }
    // Maximum overhead: 5 bytes per stored block, and a block contains more than 64 bytes.
    assert!(sent.len() <= message.len() + message.len() / 64 * 5 + 64, "{} of {}", sent.len(), message.len());
    sent
}
