//! Servers for the demo, the tests and the examples.
//!
//! [`echo`] is a WebSocket server by tungstenite, in plain and in TLS, with paths for what clients
//! must bear. [`http2`] stands before it and speaks HTTP/2, [`relay`] carries bytes on, as proxies do.
//! [`scripted`] plays any byte sequence, also those that no honest server sends; [`frames`] does so in
//! HTTP/2.
//! [`hostile`] harms what an honest one says, [`unreliable`] counts, and fails on purpose. [`certs`] makes
//! throw-away certificates, good ones and each kind of bad one.

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
pub use hostile::{Fault, Harm, HostileRelay, Speaker};
pub use http2::{Behaviour, Http2Server};
pub use relay::TlsFront;
pub use scripted::{Peer, Scripted};

#[cfg(test)]
mod tests;
