//! What callbacks and events have in common: the type of a message and its fragments.

use super::buffers::fw_segment;
use crate::client::MessageType;

/// What a message holds, numbered as on the wire (RFC 6455 section 5.2).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_opcode {
    /// In an event that is about no message.
    FW_OPCODE_NONE = 0,
    /// UTF-8.
    FW_OPCODE_TEXT = 1,
    /// Any bytes.
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

/// One fragment of a message, decoded. Valid until the callback returns; its payload longer, when
/// retained.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_frame {
    /// What the whole message is: the same for all of its fragments.
    pub opcode: fw_opcode,
    /// 1 for the first fragment of a message, else 0.
    pub is_first: u32,
    /// 1 for the last fragment of a message, else 0.
    pub is_final: u32,
    /// A fragment of a text may begin and end within a character; the whole was checked so far.
    pub payload: fw_segment,
    /// For later versions; 0.
    pub reserved: [u64; 2],
}
