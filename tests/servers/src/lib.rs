//! Servers for the demo, the tests and the examples.
//!
//! [`echo`] is a WebSocket server by tungstenite, in plain and in TLS, with paths for what clients
//! must bear. [`scripted`] plays any byte sequence, also those that no honest server sends.
//! [`certs`] makes throw-away certificates, good ones and each kind of bad one.

pub mod certs;
pub mod echo;
pub mod scripted;
pub mod xor;

pub use certs::Authority;
pub use echo::EchoServer;
pub use scripted::{Peer, Scripted};

#[cfg(test)]
mod tests;
