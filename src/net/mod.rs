//! The one room that touches the operating system's network.
//!
//! ```text
//!  name ──resolve──> addresses ──dial──> TcpStream ──options──> stream::Stream ──> bytes
//!            │                                                        │
//!         threads                                                  tls (rustls)
//! ```
//!
//! Nothing here blocks but the resolver's own threads, and nothing here keeps a clock or a poll:
//! the caller brings `mio`'s registry, tokens and the time.
//!
//! It knows no WebSocket words, no HTTP, and neither the engine nor the session.

pub mod dial;
pub mod options;
pub mod resolve;
pub mod stream;
pub mod threads;
pub mod tls;
