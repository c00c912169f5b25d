//! One connection as a pure state machine: takes bytes and the time, returns bytes and events.
//!
//! ```text
//!   inbound   received bytes ──► frames ──► messages, pings, closes ──► connection
//!   sending   bytes to write ◄── entries ◄── outbox ◄── callers             │
//!                                   ▲── pongs, pings, close frames ─────────┘
//! ```
//!
//! [`handshake`] is the upgrade, [`connection`] the session as a whole, [`keepalive`] its pings,
//! [`reconnect`] the delay before a retry, [`lanes`] what begins next. The [`outbox`] is filled by callers on any thread; everything else
//! belongs to one worker.
//!
//! Independent of sockets, threads, clocks and randomness: times, mask keys and nonces are arguments, and the
//! caller reads and writes the bytes.

pub mod connection;
pub mod extension;
pub mod handshake;
pub mod inbound;
pub mod keepalive;
pub mod lanes;
pub mod outbox;
pub mod reconnect;
pub mod sending;

pub use connection::{Session, SessionEvent, Settings};
pub use handshake::{Handshake, HandshakeStep};
pub use inbound::Payload;
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

/// A source of mask keys, which must be unpredictable (RFC 6455 section 10.3).
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
