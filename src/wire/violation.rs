//! Protocol violations by the peer, with their close codes and texts.

use std::borrow::Cow;
use std::fmt;

use crate::error::ErrorKind;

/// A violation of RFC 6455 or RFC 7692 by the peer. The library fails the connection (section 7.1.7) with
/// [`Violation::close_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An opcode that no RFC defines: 3–7 and 11–15.
    ReservedOpcode(u8),
    /// Reserved bits that no negotiated extension uses (RSV1 = 4, RSV2 = 2, RSV3 = 1).
    ReservedBits(u8),
    /// A masked frame from a server.
    MaskedFrame,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload.
    ControlTooLong,
    /// A payload length that is not minimally encoded.
    LengthNotMinimal,
    /// A 64-bit payload length with its top bit set.
    LengthTopBit,
    /// A continuation frame without a started message.
    UnexpectedContinuation,
    /// A new message before the previous one was finished.
    ExpectedContinuation,
    /// Text, or the reason of a close frame, that is not UTF-8.
    InvalidUtf8,
    /// A close frame whose payload is one byte: half a status code.
    CloseLength,
    /// A status code that must not be sent.
    CloseCode(u16),
    /// More payload bytes than this side accepts in one message.
    MessageTooLarge { limit: usize },
    /// A compressed message that does not decompress.
    CorruptDeflate,
}

impl Violation {
    /// Returns the status code of the close frame (RFC 6455 section 7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            Violation::InvalidUtf8 | Violation::CorruptDeflate => 1007,
            Violation::MessageTooLarge { .. } => 1009,
            _ => 1002,
        }
    }

    /// Returns the kind of error that is reported.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Violation::InvalidUtf8 => ErrorKind::Utf8,
            Violation::MessageTooLarge { .. } => ErrorKind::TooLarge,
            Violation::CorruptDeflate => ErrorKind::Extension,
            _ => ErrorKind::Protocol,
        }
    }

    /// Returns what the peer did and the RFC section it violates; short enough for a close reason.
    pub fn text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Violation::ReservedOpcode(opcode) => {
                return format!(
                    "the peer sent a frame with the reserved opcode {opcode} (RFC 6455 section 5.2)"
                )
                .into();
            }
            Violation::ReservedBits(bits) => {
                return format!(
                    "the peer set reserved bits ({bits:03b}) that no extension uses (RFC 6455 section 5.2)"
                )
                .into();
            }
            Violation::CloseCode(code) => {
                return format!("the peer closed with the invalid status code {code} (RFC 6455 section 7.4)")
                    .into();
            }
            Violation::MessageTooLarge { limit } => {
                return format!("the peer sent a message of more than {limit} bytes (RFC 6455 section 10.4)")
                    .into();
            }
            Violation::MaskedFrame => "the server sent a masked frame (RFC 6455 section 5.1)",
            Violation::FragmentedControl => "the peer fragmented a control frame (RFC 6455 section 5.5)",
            Violation::ControlTooLong => {
                "the peer sent a control frame of more than 125 bytes (RFC 6455 section 5.5)"
            }
            Violation::LengthNotMinimal => {
                "the peer wrote a payload length in more bytes than it needs (RFC 6455 section 5.2)"
            }
            Violation::LengthTopBit => {
                "the peer wrote a payload length of more than 63 bits (RFC 6455 section 5.2)"
            }
            Violation::UnexpectedContinuation => {
                "the peer continued a message that it had not begun (RFC 6455 section 5.4)"
            }
            Violation::ExpectedContinuation => {
                "the peer began a message inside an unfinished one (RFC 6455 section 5.4)"
            }
            Violation::InvalidUtf8 => "the peer sent text that is not UTF-8 (RFC 6455 section 8.1)",
            Violation::CloseLength => "the peer sent a close frame of one byte (RFC 6455 section 5.5.1)",
            Violation::CorruptDeflate => {
                "the peer sent compressed data that does not decompress (RFC 7692 section 7.2.2)"
            }
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn texts_name_the_rfc_and_fit_into_close_frame() {
        let all = [
            (Violation::ReservedOpcode(15), 1002),
            (Violation::ReservedBits(7), 1002),
            (Violation::MaskedFrame, 1002),
            (Violation::FragmentedControl, 1002),
            (Violation::ControlTooLong, 1002),
            (Violation::LengthNotMinimal, 1002),
            (Violation::LengthTopBit, 1002),
            (Violation::UnexpectedContinuation, 1002),
            (Violation::ExpectedContinuation, 1002),
            (Violation::InvalidUtf8, 1007),
            (Violation::CloseLength, 1002),
            (Violation::CloseCode(65535), 1002),
            (Violation::MessageTooLarge { limit: limits::MAX_MESSAGE_SIZE_CEILING }, 1009),
            (Violation::CorruptDeflate, 1007),
        ];
        for (violation, code) in all {
            assert_eq!(violation.close_code(), code, "{violation:?}");
            assert!(violation.text().contains("(RFC "), "{violation}");
            assert!(violation.text().len() <= limits::MAX_CLOSE_REASON, "{violation}");
        }
    }
}
