//! RFC 6455 by the letter, slow and plain, to hold the fast code against.

use framewire::internals::session::MessageType;
use framewire::internals::wire::Violation;
use framewire::internals::wire::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1, RSV2, RSV3, write_header};

use super::utf8::may_become_valid;

/// What one frame of the peer's leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Message(MessageType, Vec<u8>),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool, payload: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

/// What a client is told of the bytes of a server that negotiated no extension.
pub fn read_server(mut wire: &[u8], max_message_size: usize, stream: bool) -> (Vec<Told>, Option<Violation>) {
    let mut told = Vec::new();
    // Type and payload of the message that has begun and not ended.
    let mut message: Option<(MessageType, Vec<u8>)> = None;
    loop {
        let (header, length) = match read_header(wire) {
            Ok(Some(found)) => found,
            Ok(None) => return (told, None),
            Err(violation) => return (told, Some(violation)),
        };
        if let Err(violation) =
            check(&header, message.as_ref().map(|(_, bytes)| bytes.len()), max_message_size)
        {
            return (told, Some(violation));
        }
        wire = &wire[length..];
        let expected = header.payload_len as usize;
        let payload = &wire[..expected.min(wire.len())];
        let whole = payload.len() == expected;
        wire = &wire[payload.len()..];

        let is_first = header.opcode != Opcode::Continuation;
        let message_type = match header.opcode {
            Opcode::Ping | Opcode::Pong | Opcode::Close if !whole => return (told, None),
            Opcode::Ping => {
                told.push(Told::Ping(payload.to_vec()));
                continue;
            }
            Opcode::Pong => {
                told.push(Told::Pong(payload.to_vec()));
                continue;
            }
            Opcode::Close => {
                told.push(Told::Close(payload.to_vec()));
                continue;
            }
            Opcode::Text => MessageType::Text,
            Opcode::Binary => MessageType::Binary,
            Opcode::Continuation => message.as_ref().map_or(MessageType::Binary, |(own, _)| *own),
        };
        let (_, all) = message.get_or_insert((message_type, Vec::new()));
        all.extend_from_slice(payload);
        let complete = header.fin && whole;
        let good = if complete { std::str::from_utf8(all).is_ok() } else { may_become_valid(all) };
        if message_type == MessageType::Text && !good {
            return (told, Some(Violation::InvalidUtf8));
        }
        if !whole {
            return (told, None);
        }
        let all =
            if header.fin { message.take().map(|(_, all)| all).unwrap_or_default() } else { Vec::new() };
        if stream && !(is_first && header.fin) {
            let payload = payload.to_vec();
            told.push(Told::Fragment { message_type, is_first, is_final: header.fin, payload });
        } else if header.fin {
            told.push(Told::Message(message_type, all));
        }
    }
}

/// Section 5.2, one byte after the other: the first one that breaks a rule counts.
pub fn read_header(wire: &[u8]) -> Result<Option<(FrameHeader, usize)>, Violation> {
    let Some(&first) = wire.first() else { return Ok(None) };
    let (fin, rsv) = (first & 0x80 != 0, first >> 4 & 7);
    if rsv != 0 {
        return Err(Violation::ReservedBits(rsv & (RSV1 | RSV2 | RSV3)));
    }
    let opcode = Opcode::from_u8(first & 15).ok_or(Violation::ReservedOpcode(first & 15))?;
    if opcode.is_control() && !fin {
        return Err(Violation::FragmentedControl);
    }
    let Some(&second) = wire.get(1) else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err(Violation::MaskedFrame);
    }
    if opcode.is_control() && second > 125 {
        return Err(Violation::ControlTooLong);
    }
    let width = match second {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let (mut length, least) = match width {
        0 => (u64::from(second), 0),
        2 => (0, 126),
        _ => (0, 65_536),
    };
    for at in 0..width {
        let Some(&byte) = wire.get(2 + at) else { return Ok(None) };
        if width == 8 && at == 0 && byte & 0x80 != 0 {
            return Err(Violation::LengthTopBit);
        }
        length = length << 8 | u64::from(byte);
        // What no later byte can make up for.
        let later = width - 1 - at;
        let largest = length << (8 * later) | ((1_u64 << (8 * later)) - 1);
        if largest < least {
            return Err(Violation::LengthNotMinimal);
        }
    }
    Ok(Some((FrameHeader { fin, rsv, opcode, mask: None, payload_len: length }, 2 + width)))
}

/// Section 5.4, and the limit; `begun` is the size of the message that the frame may continue.
fn check(header: &FrameHeader, begun: Option<usize>, max_message_size: usize) -> Result<(), Violation> {
    match header.opcode {
        Opcode::Close if header.payload_len == 1 => return Err(Violation::CloseLength),
        Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        Opcode::Continuation if begun.is_none() => return Err(Violation::UnexpectedContinuation),
        Opcode::Text | Opcode::Binary if begun.is_some() => return Err(Violation::ExpectedContinuation),
        _ => {}
    }
    if u128::from(header.payload_len) + begun.unwrap_or(0) as u128 > max_message_size as u128 {
        return Err(Violation::MessageTooLarge { limit: max_message_size });
    }
    Ok(())
}

/// A frame of a client's, unmasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub fin: bool,
    pub rsv: u8,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

pub const CLOSE: u8 = Opcode::Close as u8;
pub const PING: u8 = Opcode::Ping as u8;
pub const PONG: u8 = Opcode::Pong as u8;

/// The whole frames that a client sent, and what is left of an unfinished one. Asserts what
/// RFC 6455 asks of each.
pub fn read_client(mut wire: &[u8]) -> (Vec<Sent>, &[u8]) {
    let mut frames = Vec::new();
    loop {
        let [first, second, rest @ ..] = wire else { return (frames, wire) };
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
        assert!(second & 0x80 != 0, "a client masks (section 5.1)");
        assert!(matches!(opcode, 0..=2 | 8..=10), "opcode {opcode}");
        let short = second & 0x7F;
        assert!(opcode < 8 || (fin && short <= 125 && rsv == 0), "a control frame (section 5.5)");
        let width = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < width + 4 {
            return (frames, wire);
        }
        let length = match width {
            0 => u64::from(short),
            _ => rest[..width].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        assert!(width == 0 || length >= if width == 2 { 126 } else { 65_536 }, "the shortest form");
        let (key, rest) = rest[width..].split_at(4);
        let length = usize::try_from(length).expect("no frame of ours is that long");
        if rest.len() < length {
            return (frames, wire);
        }
        let (masked, rest) = rest.split_at(length);
        let payload = masked.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
        frames.push(Sent { fin, rsv, opcode, payload });
        wire = rest;
    }
}

/// A frame as a server sends it, with whatever the fuzzer wants in its first byte.
pub fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        fin: true,
        rsv: 0,
        opcode: Opcode::Binary,
        mask: None,
        payload_len: payload.len() as u64,
    };
    let mut head = [0; MAX_HEADER];
    let length = write_header(&mut head, &header);
    head[0] = first;
    [&head[..length], payload].concat()
}
