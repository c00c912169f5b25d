//! Compares the frame decoder with a reference decoder, and with itself for other split positions.

use framewire::internals::buffer::{self, Segment};
use framewire::internals::limits::{MAX_MESSAGE_SIZE_CEILING, READ_SIZE};
use framewire::internals::session::inbound::{Inbound, Item, ReceiveError, Scratch};
use framewire::internals::wire::Violation;
use framewire::internals::wire::deflate::{DeflateParams, Inflater};
use framewire::internals::wire::frame::{
    MAX_HEADER, header_len, parse_header, parse_server_header, write_header,
};

use super::input::{Input, Pieces};
use super::reference::{self, Received};

/// The maximum expansion of deflate (RFC 1951: 258 bytes for two bits).
const LARGEST_RATIO: usize = 1032;

struct Settings {
    max_message_size: usize,
    stream: bool,
    compressed: bool,
    takeover: bool,
    settle: bool,
}

/// Input: flags, an index of the size limit, a seed of the split positions, then the server's bytes.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let settings = Settings {
        stream: flags & 1 != 0,
        compressed: flags & 2 != 0,
        takeover: flags & 4 == 0,
        settle: flags & 8 == 0,
        max_message_size: input.one_of([MAX_MESSAGE_SIZE_CEILING, 70_000, 1000, 125, 1, 0]),
    };
    let seed = input.byte();
    let wire = input.rest();
    check_headers(wire);

    let whole = read(wire, &settings, Pieces::Whole);
    if !settings.compressed {
        let expected = reference::read_server(wire, settings.max_message_size, settings.stream);
        assert_eq!(whole, expected);
    }
    for pieces in [Pieces::Single, Pieces::random(seed)] {
        let (decoded, violation) = read(wire, &settings, pieces);
        assert_eq!(decoded, whole.0, "{pieces:?}");
        if settings.compressed {
            // Which of several errors in a compressed message is found first depends on the step size.
            assert_eq!(violation.is_some(), whole.1.is_some(), "{pieces:?}");
        } else {
            assert_eq!(violation, whole.1, "{pieces:?}");
        }
    }
}

/// Checks that header parsing agrees with the reference and that headers are encoded as they were read.
fn check_headers(wire: &[u8]) {
    for end in 0..=wire.len().min(MAX_HEADER) {
        assert_eq!(parse_server_header(&wire[..end], 0), reference::read_header(&wire[..end]));
    }
    if let Ok(Some((header, length))) = parse_header(wire) {
        let mut out = [0; MAX_HEADER];
        assert_eq!(write_header(&mut out, &header), length);
        assert_eq!(out[..length], wire[..length]);
        assert_eq!(header_len(header.payload_len as usize, header.mask.is_some()), length);
    }
}

fn read(wire: &[u8], settings: &Settings, mut pieces: Pieces) -> (Vec<Received>, Option<Violation>) {
    // Otherwise blocks cached by earlier runs would count as in use.
    buffer::trim();
    let before = buffer::stats().bytes_in_use as usize;
    let mut inbound = Inbound::new(settings.max_message_size);
    if settings.compressed {
        inbound.set_inflater(Box::new(Inflater::new(&DeflateParams {
            client_no_context_takeover: false,
            server_no_context_takeover: !settings.takeover,
            client_max_window_bits: 15,
            server_max_window_bits: 15,
        })));
    }
    let (mut decoded, mut end) = (Vec::new(), None);
    let (mut scratch, mut arrived) = (Scratch::None, 0);
    'wire: for mut piece in pieces.cut(wire) {
        while !piece.is_empty() {
            let mut count = 0;
            for target in inbound.targets(&mut scratch).expect("out of memory") {
                let part = target.len().min(piece.len());
                target[..part].copy_from_slice(&piece[..part]);
                piece = &piece[part..];
                count += part;
            }
            assert!(count > 0, "no buffer space for received bytes");
            arrived += count;
            inbound.received(count, &mut scratch);
            loop {
                match inbound.next(settings.stream) {
                    Ok(Item::NeedMore) => break,
                    Ok(item) => decoded.extend(owned(item)),
                    Err(ReceiveError::Violation(violation)) => {
                        end = Some(violation);
                        break 'wire;
                    }
                    Err(ReceiveError::OutOfMemory) => panic!("out of memory"),
                }
            }
            let most = match settings.compressed {
                true => (arrived * LARGEST_RATIO).min(settings.max_message_size),
                false => arrived,
            };
            let used = buffer::stats().bytes_in_use as usize - before;
            assert!(used <= 4 * (READ_SIZE + most), "{used} bytes in use for {arrived} received");
        }
        if settings.settle {
            inbound.settle(&mut scratch);
        }
    }
    inbound.abandon();
    drop(scratch);
    assert_eq!(buffer::stats().bytes_in_use as usize, before, "a block leaked");
    (decoded, end)
}

fn owned(item: Item<'_>) -> Option<Received> {
    let copy = |bytes: &[u8], segment: Segment| {
        assert_eq!(segment.as_slice(), bytes);
        bytes.to_vec()
    };
    Some(match item {
        Item::NeedMore => return None,
        Item::Message { message_type, payload, .. } => {
            Received::Message(message_type, copy(payload.bytes(), payload.segment()))
        }
        Item::Fragment { message_type, is_first, is_final, payload, .. } => {
            let payload = copy(payload.bytes(), payload.segment());
            Received::Fragment { message_type, is_first, is_final, payload }
        }
        Item::Ping(payload) => Received::Ping(payload.bytes().to_vec()),
        Item::Pong(payload) => Received::Pong(payload.bytes().to_vec()),
        Item::Close(payload) => Received::Close(payload.bytes().to_vec()),
    })
}
