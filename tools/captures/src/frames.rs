//! Frames (RFC 6455 section 5) and messages, inflated (RFC 7692).

use std::io::Cursor;
use std::time::Duration;

use flate2::{Decompress, FlushDecompress, Status};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use crate::Side;

/// Larger messages, also after inflating, are reported and skipped.
pub const MAX_MESSAGE: usize = 64 << 20;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The end of every compressed message, which is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A frame as it was sent, without its mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub is_final: bool,
    /// The reserved bits, RSV1 as 4. It marks compressed messages.
    pub rsv: u8,
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    /// Unmasked; compressed if the message is.
    pub payload: Vec<u8>,
}

/// A text or binary message, inflated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Since the start of the session, when the last byte was captured.
    pub time: Duration,
    pub from: Side,
    pub is_text: bool,
    pub is_compressed: bool,
    pub payload: Vec<u8>,
}

/// The negotiated permessage-deflate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    pub client_no_context_takeover: bool,
    pub server_no_context_takeover: bool,
}

/// The result of parsing the start of a stream.
pub enum Parsed {
    /// A frame, and its length in bytes.
    Frame(Frame, usize),
    Incomplete,
    Invalid(String),
}

impl Frame {
    /// Parses the frame at the start of a stream. A payload is copied when all of it is there.
    pub(crate) fn parse(bytes: &[u8]) -> Parsed {
        let mut cursor = Cursor::new(bytes);
        let (header, length) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Parsed::Incomplete,
            Err(_) => return Parsed::Invalid(format!("reserved opcode {}", bytes[0] & 15)),
        };
        let start = cursor.position() as usize;
        if start != header.len(length) {
            return Parsed::Invalid(format!("the length {length} is not encoded in the fewest bytes"));
        }
        let opcode = u8::from(header.opcode);
        if opcode >= CLOSE && (length > 125 || !header.is_final) {
            return Parsed::Invalid("a control frame that is fragmented or longer than 125 bytes".to_owned());
        }
        if length > MAX_MESSAGE as u64 {
            return Parsed::Invalid(format!("a frame of {length} bytes"));
        }
        let end = start + length as usize;
        let Some(payload) = bytes.get(start..end) else { return Parsed::Incomplete };
        let mut payload = payload.to_vec();
        if let Some(key) = header.mask {
            apply_mask(&mut payload, key);
        }
        let rsv = u8::from(header.rsv1) << 2 | u8::from(header.rsv2) << 1 | u8::from(header.rsv3);
        Parsed::Frame(Self { is_final: header.is_final, rsv, opcode, mask: header.mask, payload }, end)
    }

    /// Returns the bytes that were sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = FrameHeader {
            is_final: self.is_final,
            rsv1: self.rsv & 4 != 0,
            rsv2: self.rsv & 2 != 0,
            rsv3: self.rsv & 1 != 0,
            opcode: OpCode::from(self.opcode),
            mask: self.mask,
        };
        let mut bytes = Vec::with_capacity(self.payload.len() + 14);
        header.format(self.payload.len() as u64, &mut bytes).expect("a vector accepts all bytes");
        let start = bytes.len();
        bytes.extend_from_slice(&self.payload);
        if let Some(key) = self.mask {
            apply_mask(&mut bytes[start..], key);
        }
        bytes
    }

    /// Returns the code, 1005 for none, and the reason of a close frame.
    pub fn close(&self) -> Option<(u16, String)> {
        if self.opcode != CLOSE {
            return None;
        }
        let Some((code, reason)) = self.payload.split_first_chunk() else {
            return Some((1005, String::new()));
        };
        Some((u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned()))
    }
}

fn apply_mask(bytes: &mut [u8], key: [u8; 4]) {
    for (byte, key) in bytes.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

impl Compression {
    /// Parses the Sec-WebSocket-Extensions of a response.
    pub(crate) fn negotiated(extensions: &str) -> Option<Self> {
        let mut params = extensions.split(',').map(|extension| extension.split(';').map(str::trim));
        let params =
            params.find_map(|mut words| (words.next() == Some("permessage-deflate")).then_some(words))?;
        let mut compression = Self::default();
        for param in params {
            compression.client_no_context_takeover |=
                param.eq_ignore_ascii_case("client_no_context_takeover");
            compression.server_no_context_takeover |=
                param.eq_ignore_ascii_case("server_no_context_takeover");
        }
        Some(compression)
    }
}

/// Puts the messages of one side together.
pub struct Assembler {
    from: Side,
    /// `None` without compression, and after a message that could not be inflated.
    inflater: Option<Decompress>,
    no_context_takeover: bool,
    message: Option<Message>,
    is_too_large: bool,
}

impl Assembler {
    pub fn new(from: Side, compression: Option<Compression>) -> Self {
        let no_context_takeover = compression.is_some_and(|negotiated| match from {
            Side::Client => negotiated.client_no_context_takeover,
            Side::Server => negotiated.server_no_context_takeover,
        });
        // The largest window inflates what a smaller one compressed.
        let inflater = compression.map(|_| Decompress::new(false));
        Self { from, inflater, no_context_takeover, message: None, is_too_large: false }
    }

    /// Adds a frame. Returns a message, or why it cannot be decoded, at the final frame of each.
    pub fn add(&mut self, frame: &Frame, time: Duration) -> Option<Result<Message, String>> {
        match frame.opcode {
            TEXT | BINARY => {
                let (from, is_compressed) = (self.from, frame.rsv & 4 != 0);
                let payload = Vec::new();
                self.is_too_large = false;
                self.message =
                    Some(Message { time, from, is_text: frame.opcode == TEXT, is_compressed, payload });
            }
            CONTINUATION => {}
            _ => return None,
        }
        if let Some(message) = &mut self.message {
            self.is_too_large |= message.payload.len() + frame.payload.len() > MAX_MESSAGE;
            if self.is_too_large {
                message.payload = Vec::new();
            } else {
                message.payload.extend_from_slice(&frame.payload);
            }
        }
        if !frame.is_final {
            return None;
        }
        let Some(mut message) = self.message.take() else {
            return Some(Err("a continuation frame without a message".to_owned()));
        };
        if self.is_too_large {
            // With context takeover, later messages refer to this one.
            self.inflater = None;
            return Some(Err(too_large()));
        }
        message.time = time;
        if message.is_compressed {
            match self.inflate(&message.payload) {
                Ok(payload) => message.payload = payload,
                Err(problem) => {
                    self.inflater = None;
                    return Some(Err(problem));
                }
            }
        }
        Some(Ok(message))
    }

    fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>, String> {
        let Some(inflater) = &mut self.inflater else {
            return Err("a compressed message that cannot be inflated".to_owned());
        };
        if self.no_context_takeover {
            inflater.reset(false);
        }
        let mut inflated = Vec::new();
        // A final block ends a stream, not the message (RFC 7692 section 7.2.3.4). The tail is only for a
        // stream that has begun: at a boundary it would begin another one.
        let (mut rest, mut tail, mut at_boundary) = (compressed, &TAIL[..], true);
        loop {
            let in_tail = rest.is_empty() && !at_boundary;
            let input = if in_tail { &mut tail } else { &mut rest };
            inflated.reserve(input.len().clamp(1 << 10, 1 << 20));
            let (read, written) = (inflater.total_in(), inflated.len());
            let status = inflater.decompress_vec(input, &mut inflated, FlushDecompress::Sync);
            let status = status.map_err(|error| format!("a compressed message is damaged: {error}"))?;
            let consumed = (inflater.total_in() - read) as usize;
            *input = &input[consumed..];
            at_boundary &= consumed == 0;
            if status == Status::StreamEnd {
                inflater.reset(false);
                (tail, at_boundary) = (&TAIL, true);
            }
            if inflated.len() > MAX_MESSAGE {
                return Err(too_large());
            }
            if inflated.len() == inflated.capacity() {
                continue;
            }
            if rest.is_empty() && (at_boundary || tail.is_empty()) {
                return Ok(inflated);
            }
            if consumed == 0 && inflated.len() == written {
                return Err("a compressed message is damaged".to_owned());
            }
        }
    }
}

fn too_large() -> String {
    format!("a message of more than {} MiB is skipped", MAX_MESSAGE >> 20)
}
