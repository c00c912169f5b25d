//! The events of a socket.

use super::request::Request;
use crate::buffer::Segment;
use crate::error::Error;
use crate::limits::EVENT_OVERHEAD;
use crate::session::MessageType;
use crate::session::lanes::Outcome;

/// The type of an event, numbered as in the C ABI (`FW_EVENT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum EventType {
    /// The handshake is complete.
    Open = 1,
    /// A text message.
    Text = 2,
    /// A binary message.
    Binary = 3,
    /// A fragment of a message.
    IncompleteFrame = 4,
    /// The upgrade request can be changed.
    Request = 5,
    /// A pong was received.
    Pong = 6,
    /// The connection failed, and a retry is scheduled.
    Reconnecting = 7,
    /// Terminal: the connection was closed.
    Closed = 8,
    /// Terminal: the connection failed.
    Error = 9,
    /// A message with a tag was sent or dropped.
    Sent = 10,
    /// A message that the program decodes.
    Encoded = 11,
}

/// A fragment of a message, decompressed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The type of the message.
    pub opcode: MessageType,
    /// Whether it begins the message.
    pub is_first: bool,
    /// Whether it ends the message.
    pub is_final: bool,
    /// The bytes of the fragment.
    pub payload: Segment,
}

/// An event and its contents.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The handshake is complete.
    Open,
    /// A text message, valid UTF-8.
    Text(Segment),
    /// A binary message.
    Binary(Segment),
    /// A fragment of a message.
    IncompleteFrame(Frame),
    /// A message of an [`ExternalExtension`](crate::ExternalExtension), complete and decompressed. A text is not
    /// validated as UTF-8.
    Encoded {
        /// The type of the message.
        message_type: MessageType,
        /// Its reserved bits that belong to such extensions: RSV1 = 4, RSV2 = 2, RSV3 = 1.
        rsv: u8,
        /// The payload, to be decoded.
        payload: Segment,
    },
    /// The upgrade request can be changed. The connection continues when it is finished or dropped.
    Request(Request),
    /// The payload of a pong.
    Pong(Segment),
    /// The connection was lost or not established, and a retry is scheduled.
    Reconnecting {
        /// Why the connection failed.
        error: Box<Error>,
        /// Number of the retry, from 1; starts again after a success.
        attempt: u32,
        /// Delay before the retry in milliseconds.
        delay_ms: u32,
    },
    /// Terminal: a closing handshake ended the connection, or the caller cancelled it.
    Closed {
        /// Close code (RFC 6455 section 7.4).
        code: u16,
        /// Close reason.
        reason: Box<str>,
    },
    /// Terminal: the connection failed.
    Error(Box<Error>),
    /// A message with a tag was given to the network or dropped.
    Sent {
        /// The [`tag`](crate::SendOptions::tag) of the message.
        tag: u64,
        /// What became of it.
        outcome: Outcome,
    },
}

impl EventKind {
    pub(crate) fn message(message_type: MessageType, payload: Segment) -> Self {
        match message_type {
            MessageType::Text => EventKind::Text(payload),
            MessageType::Binary => EventKind::Binary(payload),
        }
    }

    /// What the event is charged for in its socket's queue, in bytes.
    pub(crate) fn charge(&self) -> usize {
        EVENT_OVERHEAD
            + match self {
                EventKind::Text(payload)
                | EventKind::Binary(payload)
                | EventKind::Pong(payload)
                | EventKind::Encoded { payload, .. } => payload.len(),
                EventKind::IncompleteFrame(frame) => frame.payload.len(),
                _ => 0,
            }
    }
}
