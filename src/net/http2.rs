//! HTTP/2 (RFC 9113) for WebSockets (RFC 8441): many sockets share one connection to a server, with one
//! stream each. The `h2` crate implements the protocol; no async runtime is needed.
//!
//! ```text
//!   readiness ──► Connection::drive ──► h2 ── reads, writes ──► Pipe ──► net::stream::Stream ──► socket
//!                      │                 ▲ wakes
//!                      ▼                 │
//!   owners of ready streams ──► Http2Stream::read_vectored, write_vectored   (one stream per socket)
//! ```
//!
//! The owner of a [`Connection`] drives it when its socket is ready, when [`Connection::needs_drive`] returns
//! true, and at its deadline. Then it runs the owners of the streams that `drive` returned.
//!
//! Memory: a stream holds at most [`limits::HTTP2_STREAM_WINDOW`](crate::limits::HTTP2_STREAM_WINDOW)
//! received bytes, as the window grows only by what its owner has read, and
//! [`limits::HTTP2_SEND_BUFFER`](crate::limits::HTTP2_SEND_BUFFER) bytes to send.

#[cfg(feature = "http2")]
mod connection;
#[cfg(feature = "http2")]
mod error;
#[cfg(feature = "http2")]
mod field_filter;
#[cfg(feature = "http2")]
mod pipe;
#[cfg(feature = "http2")]
mod stream;
#[cfg(feature = "http2")]
mod wakers;

#[cfg(feature = "http2")]
pub use connection::Connection;
#[cfg(feature = "http2")]
pub use stream::Http2Stream;

#[cfg(not(feature = "http2"))]
mod stub;
#[cfg(not(feature = "http2"))]
pub use stub::{Connection, Http2Stream};

#[cfg(all(test, feature = "http2"))]
mod tests;

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The server's SETTINGS have not been received.
    Starting,
    /// Streams can be opened. `websockets`: the server supports extended CONNECT (RFC 8441 section 3).
    Ready { websockets: bool },
    /// No new streams: the server sent GOAWAY, or `close` was called. Existing streams continue.
    Draining,
    /// Closed. Every stream has been notified.
    Over,
}
