//! Messages and their fragments, as callbacks, events and extensions describe them.

use super::buffers::fw_segment;
use crate::client::MessageType;

/// The type of a message, with the opcodes of RFC 6455 section 5.2.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_opcode {
    /// The event contains no message.
    FW_OPCODE_NONE = 0,
    /// Text, as UTF-8.
    FW_OPCODE_TEXT = 1,
    /// Binary data.
    FW_OPCODE_BINARY = 2,
}

impl From<MessageType> for fw_opcode {
    fn from(opcode: MessageType) -> Self {
        match opcode {
            MessageType::Text => Self::FW_OPCODE_TEXT,
            MessageType::Binary => Self::FW_OPCODE_BINARY,
        }
    }
}

/// A fragment of a message, decompressed and decoded.
///
/// Valid until the callback returns; fw_segment_retain keeps the payload longer.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_frame {
    /// The type of the whole message, the same for each of its fragments.
    pub opcode: fw_opcode,
    /// 1 for the first fragment of a message, else 0.
    pub is_first: u32,
    /// 1 for the last fragment of a message, else 0.
    pub is_final: u32,
    /// A fragment of a text message may begin and end within a UTF-8 character. All text received
    /// so far is validated.
    pub payload: fw_segment,
    /// Reserved for later versions; 0.
    pub reserved: [u64; 2],
}
