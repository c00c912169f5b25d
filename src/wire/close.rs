//! The payload of close frames (RFC 6455 sections 5.5.1 and 7.4).

use super::violation::Violation;
use crate::limits;

/// Normal closure.
pub const NORMAL: u16 = 1000;
/// The close frame had no code. Never sent.
pub const NO_STATUS: u16 = 1005;
/// The connection ended without a close frame. Never sent.
pub const ABNORMAL: u16 = 1006;

/// Parses the payload of a close frame; `None` if it is empty, which means [`NO_STATUS`].
pub fn parse_close(payload: &[u8]) -> Result<Option<(u16, &str)>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::CloseLength),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_send(code) {
                return Err(Violation::CloseCode(code));
            }
            let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
            Ok(Some((code, reason)))
        }
    }
}

/// Returns whether a close frame may carry this code: the sendable codes of the IANA registry, and the ranges
/// for libraries and applications (section 7.4.2).
pub fn may_send(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Returns whether the code may be sent from a browser too: by section 7.4.2, only normal closure and the ranges
/// for libraries and applications are free for every program.
pub fn may_send_anywhere(code: u16) -> bool {
    matches!(code, NORMAL | 3000..=4999)
}

/// Writes the payload and returns its length. A reason beyond 123 bytes is cut at the last character that
/// fits.
pub fn encode_close(code: u16, reason: &str, out: &mut [u8; limits::MAX_CONTROL_PAYLOAD]) -> usize {
    let mut end = reason.len().min(limits::MAX_CLOSE_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let reason = &reason.as_bytes()[..end];
    out[..2].copy_from_slice(&code.to_be_bytes());
    out[2..2 + reason.len()].copy_from_slice(reason);
    2 + reason.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_close_is_parsed_back() {
        for (code, reason) in [(1000, ""), (1001, "bye"), (4999, "größer"), (3000, &"x".repeat(123))] {
            let mut out = [0; 125];
            let length = encode_close(code, reason, &mut out);
            assert_eq!(parse_close(&out[..length]), Ok(Some((code, reason))));
        }
    }

    #[test]
    fn long_reason_is_cut_between_characters() {
        let reason = format!("{}é", "x".repeat(122));
        let mut out = [0; 125];
        assert_eq!(encode_close(1000, &reason, &mut out), 124);
        assert_eq!(parse_close(&out[..124]), Ok(Some((1000, &reason[..122]))));
    }

    #[test]
    fn empty_payload_is_no_status_and_one_byte_is_violation() {
        assert_eq!(parse_close(&[]), Ok(None));
        assert_eq!(parse_close(&[3]), Err(Violation::CloseLength));
        assert_eq!(parse_close(&[3, 0xE8, 0xFF]), Err(Violation::InvalidUtf8));
        assert_eq!(parse_close(&[3, 0xE8, 0xE2, 0x82]), Err(Violation::InvalidUtf8));
    }

    #[test]
    fn only_registered_codes_are_valid() {
        let valid: Vec<u16> = (0..=u16::MAX).filter(|code| may_send(*code)).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(valid, expected);
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert_eq!(parse_close(&code.to_be_bytes()), Err(Violation::CloseCode(code)));
        }
    }
}
