//! The one room that touches the operating system's network.
//!
//! ```text
//!  name ──resolve──> addresses ──dial──> TcpStream ──options──> stream::Stream ──> bytes
//!            │                                                        │
//!         threads                                                  tls (rustls)
//! ```
//!
//! `http2` shares one such stream between many WebSockets.
//!
//! Nothing here blocks but the resolver's own threads, and nothing here keeps a clock or a poll:
//! the caller brings `mio`'s registry, tokens and the time.
//!
//! It knows no WebSocket words, of HTTP only the streams of version 2, and neither the engine nor the session.

pub mod dial;
pub mod http2;
pub mod options;
pub mod outcome;
pub mod resolve;
pub mod stream;
pub mod threads;
pub mod tls;
