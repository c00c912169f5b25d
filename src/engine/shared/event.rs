//! The events of a socket.

use super::request::Request;
use crate::buffer::Segment;
use crate::error::Error;
use crate::limits::EVENT_OVERHEAD;
use crate::session::MessageType;

/// The types of events, numbered as in the C ABI (`FW_EVENT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum EventType {
    Open = 1,
    Text = 2,
    Binary = 3,
    IncompleteFrame = 4,
    Request = 5,
    Pong = 6,
    Reconnecting = 7,
    Closed = 8,
    Error = 9,
}

/// One fragment of a message, unmasked and decompressed.
#[derive(Clone)]
pub struct Frame {
    pub opcode: MessageType,
    pub is_first: bool,
    pub is_final: bool,
    pub payload: Segment,
}

/// An event and its data.
pub enum EventKind {
    Open,
    /// Valid UTF-8.
    Text(Segment),
    Binary(Segment),
    IncompleteFrame(Frame),
    /// The connection waits until the request is finished or dropped.
    Request(Request),
    Pong(Segment),
    /// The connection failed or was lost, and will be reconnected.
    Reconnecting {
        error: Box<Error>,
        /// Counted from 1, and from 1 again after a successful reconnect.
        attempt: u32,
        delay_ms: u32,
    },
    Closed {
        code: u16,
        reason: Box<str>,
    },
    Error(Box<Error>),
}

impl EventKind {
    pub fn message(message_type: MessageType, payload: Segment) -> Self {
        match message_type {
            MessageType::Text => EventKind::Text(payload),
            MessageType::Binary => EventKind::Binary(payload),
        }
    }

    /// What the event is charged for in its socket's queue, in bytes.
    pub fn charge(&self) -> usize {
        EVENT_OVERHEAD
            + match self {
                EventKind::Text(payload) | EventKind::Binary(payload) | EventKind::Pong(payload) => {
                    payload.len()
                }
                EventKind::IncompleteFrame(frame) => frame.payload.len(),
                _ => 0,
            }
    }
}
