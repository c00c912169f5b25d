//! One connection as a state machine: it eats bytes and time, and gives bytes and events.
//!
//! ```text
//!              received bytes                        messages, pings, closes
//!   inbound  ─────────────────> held ─> frames ─> body ────────────────────────┐
//!                                                                              v
//!   sending  <── frames to write ── entries <── outbox <── callers      established
//!                                      ^── pongs, pings, close ── liveness ────┘
//! ```
//!
//! [`opening`] is the upgrade over HTTP/1.1, [`established`] everything after it, [`reconnect`] what
//! is done when it was lost. The [`outbox`]
//! is the half that callers fill from any thread; the rest belongs to one worker.
//!
//! Knows nothing of sockets, threads, clocks or chance: time, mask keys and nonces come in as
//! arguments, bytes through buffers that the caller fills and empties.

pub mod established;
pub mod extension;
pub mod inbound;
pub mod liveness;
pub mod opening;
pub mod outbox;
pub mod reconnect;
pub mod sending;

pub use established::{Session, SessionEvent, Settings};
pub use inbound::Payload;
pub use opening::{Opening, OpeningStep};
pub use outbox::Outbox;

use crate::wire::frame::Opcode;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MessageType {
    /// Text: valid UTF-8, checked in both directions.
    Text = 1,
    /// Binary data.
    Binary = 2,
}

impl MessageType {
    /// Returns the type for the opcode of a message's first frame.
    #[inline]
    pub(crate) fn of(opcode: Opcode) -> Self {
        if opcode == Opcode::Text { MessageType::Text } else { MessageType::Binary }
    }
}

/// Where mask keys come from: unpredictable to whoever can choose payloads (RFC 6455 section 10.3).
pub trait MaskKeys {
    fn next_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskKeys for F {
    fn next_key(&mut self) -> [u8; 4] {
        self()
    }
}

#[cfg(test)]
mod tests;
