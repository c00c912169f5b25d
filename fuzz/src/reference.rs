//! A simple reference decoder of RFC 6455.

use framewire::internals::session::MessageType;
use framewire::internals::wire::Violation;
use framewire::internals::wire::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1, RSV2, RSV3, write_header};

use super::utf8::may_become_valid;

/// An event caused by one frame of the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Message(MessageType, Vec<u8>),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool, payload: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

/// Decodes what a client receives from the bytes of a server that negotiated no extension.
pub fn read_server(
    mut wire: &[u8],
    max_message_size: usize,
    stream: bool,
) -> (Vec<Received>, Option<Violation>) {
    let mut received = Vec::new();
    // Type and payload of the incomplete message.
    let mut message: Option<(MessageType, Vec<u8>)> = None;
    loop {
        let (header, length) = match read_header(wire) {
            Ok(Some(found)) => found,
            Ok(None) => return (received, None),
            Err(violation) => return (received, Some(violation)),
        };
        if let Err(violation) =
            check(&header, message.as_ref().map(|(_, bytes)| bytes.len()), max_message_size)
        {
            return (received, Some(violation));
        }
        wire = &wire[length..];
        let expected = header.payload_len as usize;
        let payload = &wire[..expected.min(wire.len())];
        let whole = payload.len() == expected;
        wire = &wire[payload.len()..];

        let is_first = header.opcode != Opcode::Continuation;
        let message_type = match header.opcode {
            Opcode::Ping | Opcode::Pong | Opcode::Close if !whole => return (received, None),
            Opcode::Ping => {
                received.push(Received::Ping(payload.to_vec()));
                continue;
            }
            Opcode::Pong => {
                received.push(Received::Pong(payload.to_vec()));
                continue;
            }
            Opcode::Close => {
                received.push(Received::Close(payload.to_vec()));
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
            return (received, Some(Violation::InvalidUtf8));
        }
        if !whole {
            return (received, None);
        }
        let all =
            if header.fin { message.take().map(|(_, all)| all).unwrap_or_default() } else { Vec::new() };
        if stream && !(is_first && header.fin) {
            let payload = payload.to_vec();
            received.push(Received::Fragment { message_type, is_first, is_final: header.fin, payload });
        } else if header.fin {
            received.push(Received::Message(message_type, all));
        }
    }
}

/// Parses a frame header (section 5.2) byte by byte; reports the first violation.
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
    let (mut length, min) = match width {
        0 => (u64::from(second), 0),
        2 => (0, 126),
        _ => (0, 65_536),
    };
    for index in 0..width {
        let Some(&byte) = wire.get(2 + index) else { return Ok(None) };
        if width == 8 && index == 0 && byte & 0x80 != 0 {
            return Err(Violation::LengthTopBit);
        }
        length = length << 8 | u64::from(byte);
        // The remaining bytes cannot make the length large enough.
        let later = width - 1 - index;
        let largest = length << (8 * later) | ((1_u64 << (8 * later)) - 1);
        if largest < min {
            return Err(Violation::LengthNotMinimal);
        }
    }
    Ok(Some((FrameHeader { fin, rsv, opcode, mask: None, payload_len: length }, 2 + width)))
}

/// Checks section 5.4 and the size limit; `buffered` is the size of the incomplete message, if any.
fn check(header: &FrameHeader, buffered: Option<usize>, max_message_size: usize) -> Result<(), Violation> {
    match header.opcode {
        Opcode::Close if header.payload_len == 1 => return Err(Violation::CloseLength),
        Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        Opcode::Continuation if buffered.is_none() => return Err(Violation::UnexpectedContinuation),
        Opcode::Text | Opcode::Binary if buffered.is_some() => return Err(Violation::ExpectedContinuation),
        _ => {}
    }
    if u128::from(header.payload_len) + buffered.unwrap_or(0) as u128 > max_message_size as u128 {
        return Err(Violation::MessageTooLarge { limit: max_message_size });
    }
    Ok(())
}

/// A frame sent by a client, unmasked.
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

/// Parses the complete frames that a client sent; returns the bytes of an incomplete one too. Asserts
/// the requirements of RFC 6455 for each.
pub fn read_client(mut wire: &[u8]) -> (Vec<Sent>, &[u8]) {
    let mut frames = Vec::new();
    loop {
        let [first, second, rest @ ..] = wire else { return (frames, wire) };
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
        assert!(second & 0x80 != 0, "client frames are masked (section 5.1)");
        assert!(matches!(opcode, 0..=2 | 8..=10), "opcode {opcode}");
        let short = second & 0x7F;
        assert!(opcode < 8 || (fin && short <= 125 && rsv == 0), "invalid control frame (section 5.5)");
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
        assert!(
            width == 0 || length >= if width == 2 { 126 } else { 65_536 },
            "length is not minimally encoded"
        );
        let (key, rest) = rest[width..].split_at(4);
        let length = usize::try_from(length).expect("frame length exceeds usize");
        if rest.len() < length {
            return (frames, wire);
        }
        let (masked, rest) = rest.split_at(length);
        let payload = masked.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect();
        frames.push(Sent { fin, rsv, opcode, payload });
        wire = rest;
    }
}

/// Builds a server frame with an arbitrary first byte.
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
