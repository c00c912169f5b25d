//! WebSockets over HTTP/2 (RFC 8441).
//!
//! Each test uses its own sockets and servers only, so all of them run in parallel in one process.

#![cfg(all(feature = "http2", feature = "tls"))]

#[path = "../common/mod.rs"]
mod common;
mod connections;
mod fallback;
mod paths;
mod sharing;
