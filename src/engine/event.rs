//! What happened on a socket, as the game gets it.

use super::request::Request;
use super::run::Run;
use super::socket::Socket;
use crate::buffer::Segment;
use crate::error::Error;
use crate::limits::EVENT_OVERHEAD;
use crate::session::MessageType;

/// The events, numbered as in the C ABI (`FW_EVENT_*`).
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

/// One fragment of a message, decoded.
#[derive(Clone)]
pub struct Frame {
    pub opcode: MessageType,
    pub is_first: bool,
    pub is_final: bool,
    pub payload: Segment,
}

/// An event taken from the queue; what it holds lives until it is dropped.
pub struct Event {
    pub socket: Socket,
    pub kind: EventKind,
}

/// What happened.
pub enum EventKind {
    Open,
    /// Valid UTF-8.
    Text(Segment),
    Binary(Segment),
    IncompleteFrame(Frame),
    /// The connection waits until the request is finished, or dropped.
    Request(Request),
    Pong(Segment),
    /// The connection was lost or not made, and will be tried again.
    Reconnecting {
        error: Box<Error>,
        /// From 1, and from 1 again after a success.
        attempt: u32,
        delay_ms: u32,
    },
    Closed {
        code: u16,
        reason: Box<str>,
    },
    Error(Box<Error>),
}

/// What a mailbox holds.
pub enum Letter {
    Event(EventKind),
    /// An event for each message in it.
    Run(Run),
    /// Here the server broke the rules. That the game has come this far is told to the attempt, and
    /// the game sees nothing of it.
    Mark {
        attempt: u64,
    },
}

impl From<EventKind> for Letter {
    fn from(event: EventKind) -> Self {
        Letter::Event(event)
    }
}

impl Letter {
    pub fn charge(&self) -> usize {
        match self {
            Letter::Event(event) => event.charge(),
            Letter::Run(run) => run.charge(),
            Letter::Mark { .. } => EVENT_OVERHEAD,
        }
    }

    /// How many events it stands for.
    pub fn count(&self) -> usize {
        match self {
            Letter::Event(_) | Letter::Mark { .. } => 1,
            Letter::Run(run) => run.count(),
        }
    }
}

impl EventKind {
    pub fn message(message_type: MessageType, payload: Segment) -> Self {
        match message_type {
            MessageType::Text => EventKind::Text(payload),
            MessageType::Binary => EventKind::Binary(payload),
        }
    }

    /// What the event counts for in its socket's queue, in bytes.
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

// The queue's memory is bounded by what events are charged for.
const _: () = assert!(size_of::<Letter>() <= EVENT_OVERHEAD);
