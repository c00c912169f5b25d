//! Servers for the demo, the tests and the examples.
//!
//! [`echo`] is a WebSocket server based on tungstenite, with and without TLS, with paths for various
//! behaviours. [`http2`] is a gateway to it for HTTP/2 clients, and [`relay`] relays bytes like a proxy.
//! [`scripted`] sends any byte sequence, also invalid ones; [`frames`] does so in HTTP/2. [`hostile`] injects
//! faults between a client and a server; [`unreliable`] counts messages and fails on purpose. [`certs`]
//! creates test certificates, valid and invalid ones.

pub mod certs;
pub mod echo;
pub mod frames;
pub mod hostile;
pub mod http2;
pub mod relay;
pub mod scripted;
pub mod unreliable;
pub mod xor;

pub use certs::Authority;
pub use echo::EchoServer;
pub use frames::FramePeer;
pub use hostile::{Fault, HostileRelay, Injection, Side};
pub use http2::{Behaviour, Http2Server};
pub use relay::TlsFront;
pub use scripted::{Peer, Scripted};

#[cfg(test)]
mod tests;
