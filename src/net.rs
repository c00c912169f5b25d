//! The network of the operating system: DNS, TCP, TLS, and HTTP/2 connections.
//!
//! ```text
//!   name ── resolve ──► addresses ── dial ──► TcpStream ── options ──► stream::Stream ──► bytes
//!              │                                                          │
//!           threads                                                    tls (rustls)
//! ```
//!
//! `http2` multiplexes many WebSockets over one such stream.
//!
//! Only the resolver threads block. The caller provides `mio`'s registry, tokens and the time.
//!
//! Independent of WebSocket, the session and the engine.

pub mod dial;
pub mod http2;
#[allow(unsafe_code)]
pub mod options;
pub mod outcome;
pub mod resolve;
pub mod stream;
pub mod threads;
pub mod tls;
