//! The network of the operating system: DNS, TCP, TLS, and HTTP/2 connections.
//!
//! ```text
//!   name ── resolve ──► addresses ── dial ──► TcpStream ── options ──► stream::Stream ──► bytes
//!              │                                                          │
//!           threads                                                    tls (rustls)
//! ```
//!
//! A stream may pass a simulated link (`link`, `link_model`, `simulated_link`), between TCP and TLS.
//!
//! `http2` multiplexes many WebSockets over one such stream. `watch` notices when the network changes.
//!
//! Only the resolver threads block. The caller provides `mio`'s registry, tokens and the time.
//!
//! `android` keeps the Java VM for `tls`. In a browser only that and the TLS settings exist, as in a build without
//! TLS; `engine::browser` replaces the rest.
//!
//! Independent of WebSocket, the session and the engine.

pub mod android;
#[cfg(not(target_family = "wasm"))]
pub mod dial;
#[cfg(not(target_family = "wasm"))]
pub mod http2;
pub mod link;
#[cfg(not(target_family = "wasm"))]
pub mod link_model;
#[cfg(not(target_family = "wasm"))]
pub mod nat64;
#[cfg(not(target_family = "wasm"))]
#[allow(unsafe_code)]
pub mod options;
pub mod outcome;
#[cfg(not(target_family = "wasm"))]
pub mod resolve;
#[cfg(not(target_family = "wasm"))]
pub mod simulated_link;
#[cfg(not(target_family = "wasm"))]
pub mod stream;
#[cfg(not(target_family = "wasm"))]
pub mod threads;
pub mod tls;
#[cfg(not(target_family = "wasm"))]
#[allow(unsafe_code)]
pub mod watch;
