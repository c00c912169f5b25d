//! Frame headers (RFC 6455 section 5.2): strict parsing, with a fast path for common frames.

pub use super::violation::Violation;

/// Frame opcodes (section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    #[inline]
    pub fn is_control(self) -> bool {
        self as u8 >= 8
    }

    #[inline]
    pub fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }
}

pub const RSV1: u8 = 4;
pub const RSV2: u8 = 2;
pub const RSV3: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub fin: bool,
    /// Any of [`RSV1`], [`RSV2`] and [`RSV3`].
    pub rsv: u8,
    pub opcode: Opcode,
    pub mask: Option<[u8; 4]>,
    pub payload_len: u64,
}

/// The size of the longest header: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const MASK: u8 = 0x80;
/// Value of the length field if a 16-bit length follows.
const LENGTH_16: u8 = 126;
/// Value of the length field if a 64-bit length follows.
const LENGTH_64: u8 = 127;

/// Parses the header at the start of `bytes`; returns it with its length, or `None` if more bytes are needed.
///
/// Reports a violation at the byte that causes it, before the header is complete. Does not check reserved
/// bits and masks; [`parse_server_header`] does, for frames from a server.
#[inline]
pub fn parse_header(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, Violation> {
    // Fast path: an unfragmented message of up to 64 KiB.
    if let [first @ (0x81 | 0x82), second, ..] = *bytes {
        let opcode = if first == 0x81 { Opcode::Text } else { Opcode::Binary };
        let whole = |payload_len| FrameHeader { fin: true, rsv: 0, opcode, mask: None, payload_len };
        if second < LENGTH_16 {
            return Ok(Some((whole(u64::from(second)), 2)));
        }
        if let [_, LENGTH_16, high, low, ..] = *bytes {
            let length = u16::from_be_bytes([high, low]);
            if length >= u16::from(LENGTH_16) {
                return Ok(Some((whole(u64::from(length)), 4)));
            }
        }
    }
    parse_any_header(bytes)
}

/// Parses the most common frame from a server: a complete, unfragmented message of up to 64 KiB without
/// reserved bits. Returns opcode, header length and payload length; `None` for all other frames, valid or
/// not, and for incomplete ones.
#[inline]
pub fn parse_unfragmented(bytes: &[u8]) -> Option<(Opcode, usize, usize)> {
    const WHOLE_TEXT: u8 = FIN | Opcode::Text as u8;
    const WHOLE_BINARY: u8 = FIN | Opcode::Binary as u8;
    let (first, head_len, len) = match *bytes {
        [first, len @ 0..LENGTH_16, ..] => (first, 2, usize::from(len)),
        [first, LENGTH_16, high, low, ..] if high > 0 || low >= LENGTH_16 => {
            (first, 4, usize::from(u16::from_be_bytes([high, low])))
        }
        _ => return None,
    };
    if bytes.len() < head_len + len {
        return None;
    }
    match first {
        WHOLE_BINARY => Some((Opcode::Binary, head_len, len)),
        WHOLE_TEXT => Some((Opcode::Text, head_len, len)),
        _ => None,
    }
}

/// Like [`parse_header`], for frames from a server: a mask (section 5.1) and reserved bits outside
/// `allowed_rsv` are violations, reported at the byte that contains them.
#[inline]
pub fn parse_server_header(bytes: &[u8], allowed_rsv: u8) -> Result<Option<(FrameHeader, usize)>, Violation> {
    crate::fault::point("wire.frame");
    if let Some(first) = bytes.first() {
        let unknown = (first >> 4) & 7 & !allowed_rsv;
        if unknown != 0 {
            return Err(Violation::ReservedBits(unknown));
        }
    }
    if bytes.get(1).is_some_and(|second| second & MASK != 0) {
        // Violations in the first byte take precedence, as if it had arrived alone.
        return Err(parse_any_header(&bytes[..1]).err().unwrap_or(Violation::MaskedFrame));
    }
    parse_header(bytes)
}

/// Returns the length of the header of a frame.
#[inline]
pub fn header_len(payload_len: usize, masked: bool) -> usize {
    let length = match payload_len {
        0..=125 => 0,
        126..=0xFFFF => 2,
        _ => 8,
    };
    2 + length + if masked { 4 } else { 0 }
}

/// Writes the header to the start of `out` and returns its length.
#[inline]
pub fn write_header(out: &mut [u8; MAX_HEADER], header: &FrameHeader) -> usize {
    out[0] = (if header.fin { FIN } else { 0 }) | (header.rsv & 7) << 4 | header.opcode as u8;
    let mask = if header.mask.is_some() { MASK } else { 0 };
    let mut at = match header.payload_len {
        length @ 0..=125 => {
            out[1] = mask | length as u8;
            2
        }
        length @ 126..=0xFFFF => {
            out[1] = mask | LENGTH_16;
            out[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        length => {
            out[1] = mask | LENGTH_64;
            out[2..10].copy_from_slice(&length.to_be_bytes());
            10
        }
    };
    if let Some(key) = header.mask {
        out[at..at + 4].copy_from_slice(&key);
        at += 4;
    }
    at
}

/// Parses any header, field by field.
fn parse_any_header(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, Violation> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let fin = first & FIN != 0;
    let opcode = Opcode::from_u8(first & 0x0F).ok_or(Violation::ReservedOpcode(first & 0x0F))?;
    if opcode.is_control() && !fin {
        return Err(Violation::FragmentedControl);
    }

    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let short = second & !MASK;
    if opcode.is_control() && short >= LENGTH_16 {
        return Err(Violation::ControlTooLong);
    }

    let (payload_len, mut at) = match short {
        LENGTH_16 => {
            let Some(&length) = bytes[2..].first_chunk::<2>() else { return Ok(None) };
            let length = u16::from_be_bytes(length);
            // "the minimal number of bytes MUST be used to encode the length"
            if length < u16::from(LENGTH_16) {
                return Err(Violation::LengthNotMinimal);
            }
            (u64::from(length), 4)
        }
        LENGTH_64 => {
            // The first byte contains the top bit; six leading zero bytes mean that 16 bits were enough.
            if bytes.get(2).is_some_and(|byte| byte & 0x80 != 0) {
                return Err(Violation::LengthTopBit);
            }
            if bytes.get(2..8).is_some_and(|high| high == [0; 6]) {
                return Err(Violation::LengthNotMinimal);
            }
            let Some(&length) = bytes[2..].first_chunk::<8>() else { return Ok(None) };
            (u64::from_be_bytes(length), 10)
        }
        length => (u64::from(length), 2),
    };

    let mask = if second & MASK != 0 {
        let Some(&key) = bytes[at..].first_chunk::<4>() else { return Ok(None) };
        at += 4;
        Some(key)
    } else {
        None
    };
    Ok(Some((FrameHeader { fin, rsv: (first >> 4) & 7, opcode, mask, payload_len }, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPCODES: [Opcode; 6] =
        [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];

    #[test]
    fn fast_path_agrees_with_full_parser() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for length in [0u16, 125, 126, 300] {
                    let mut bytes = vec![first, second];
                    bytes.extend(length.to_be_bytes());
                    bytes.resize(400, 0);
                    let whole = match parse_server_header(&bytes, 0) {
                        Ok(Some((header, head_len)))
                            if header.fin
                                && matches!(header.opcode, Opcode::Text | Opcode::Binary)
                                && header.payload_len <= 0xFFFF =>
                        {
                            Some((header.opcode, head_len, header.payload_len as usize))
                        }
                        _ => None,
                    };
                    assert_eq!(parse_unfragmented(&bytes), whole, "{:?}", &bytes[..4]);
                    if let Some((_, head_len, len)) = whole {
                        assert_eq!(parse_unfragmented(&bytes[..head_len + len]), whole);
                        assert_eq!(parse_unfragmented(&bytes[..head_len + len - 1]), None, "incomplete");
                    }
                }
            }
        }
    }

    #[test]
    fn written_header_is_parsed_back_and_prefixes_are_incomplete() {
        let lengths = [0, 1, 124, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 1 << 40, (1 << 63) - 1];
        let mut tried = 0;
        for opcode in OPCODES {
            for payload_len in lengths {
                for (fin, rsv, mask) in [
                    (true, 0, None),
                    (true, 4, None),
                    (false, 0, None),
                    (false, 7, Some([0, 0xFF, 1, 0x80])),
                    (true, 2, Some([1, 2, 3, 4])),
                ] {
                    if opcode.is_control() && (!fin || payload_len > 125) {
                        continue;
                    }
                    let header = FrameHeader { fin, rsv, opcode, mask, payload_len };
                    let mut out = [0xEE; MAX_HEADER];
                    let length = write_header(&mut out, &header);
                    assert_eq!(length, header_len(payload_len as usize, mask.is_some()));
                    assert_eq!(parse_header(&out), Ok(Some((header, length))));
                    assert_eq!(parse_header(&out[..length]), Ok(Some((header, length))));
                    for short in 0..length {
                        assert_eq!(parse_header(&out[..short]), Ok(None), "{header:?} cut at {short}");
                    }
                    tried += 1;
                }
            }
        }
        assert_eq!(tried, 3 * lengths.len() * 5 + 3 * 4 * 3);
    }

    #[test]
    fn all_first_two_bytes_match_naive_rules() {
        for first in 0..=255u8 {
            let known = [0, 1, 2, 8, 9, 10].contains(&(first & 15));
            let control = first & 8 != 0;
            let at_first = if !known {
                Err(Violation::ReservedOpcode(first & 15))
            } else if control && first & 0x80 == 0 {
                Err(Violation::FragmentedControl)
            } else {
                Ok(None)
            };
            assert_eq!(parse_header(&[first]), at_first);
            for second in 0..=255u8 {
                let got = parse_header(&[first, second]);
                if at_first.is_err() {
                    assert_eq!(got, at_first);
                } else if control && second & 127 > 125 {
                    assert_eq!(got, Err(Violation::ControlTooLong));
                } else if second > 125 {
                    assert_eq!(got, Ok(None), "{first:02x} {second:02x} needs more");
                } else {
                    let (header, length) = got.unwrap().unwrap();
                    assert_eq!(length, 2);
                    assert_eq!(header.fin, first & 0x80 != 0);
                    assert_eq!(header.rsv, first >> 4 & 7);
                    assert_eq!(header.opcode as u8, first & 15);
                    assert_eq!(header.mask, None);
                    assert_eq!(header.payload_len, u64::from(second));
                }
            }
        }
    }

    #[test]
    fn non_minimal_length_is_violation_at_earliest_byte() {
        assert_eq!(parse_header(&[0x82, 126, 0]), Ok(None));
        assert_eq!(parse_header(&[0x82, 126, 0, 125]), Err(Violation::LengthNotMinimal));
        assert!(parse_header(&[0x82, 126, 0, 126]).unwrap().is_some());
        assert_eq!(parse_header(&[0x82, 127, 0, 0, 0, 0, 0]), Ok(None));
        assert_eq!(parse_header(&[0x82, 127, 0, 0, 0, 0, 0, 0]), Err(Violation::LengthNotMinimal));
        assert_eq!(
            parse_header(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
            Err(Violation::LengthNotMinimal)
        );
        assert!(parse_header(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]).unwrap().is_some());
        assert_eq!(parse_header(&[0x82, 127, 0x80]), Err(Violation::LengthTopBit));
    }

    #[test]
    fn server_mask_and_unnegotiated_bits_are_violations() {
        assert_eq!(parse_server_header(&[0xC1], 0), Err(Violation::ReservedBits(RSV1)));
        assert_eq!(parse_server_header(&[0xF1], RSV1), Err(Violation::ReservedBits(RSV2 | RSV3)));
        assert_eq!(parse_server_header(&[0xC1], RSV1), Ok(None));
        assert_eq!(parse_server_header(&[0x81, 0x80], RSV1), Err(Violation::MaskedFrame));
        assert_eq!(parse_server_header(&[0x81, 0xFE], RSV1), Err(Violation::MaskedFrame));
        let (header, length) = parse_server_header(&[0xC2, 5], RSV1).unwrap().unwrap();
        assert_eq!((header.rsv, header.payload_len, length), (RSV1, 5, 2));
        assert_eq!(parse_server_header(&[], 0), Ok(None));
    }

    #[test]
    fn violation_does_not_depend_on_how_bytes_are_split() {
        assert_eq!(parse_server_header(&[0x83, 0x80], 0), Err(Violation::ReservedOpcode(3)));
        assert_eq!(parse_server_header(&[0x09, 0x80], 0), Err(Violation::FragmentedControl));
        let mut wrong = 0;
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                if let Err(violation) = parse_server_header(&[first], RSV1) {
                    assert_eq!(parse_server_header(&[first, second], RSV1), Err(violation));
                    wrong += 1;
                }
            }
        }
        // All except the six opcodes with and without RSV1, three of which require FIN.
        assert_eq!(wrong, (256 - (6 * 2 + 3 * 2)) * 256);
    }
}
