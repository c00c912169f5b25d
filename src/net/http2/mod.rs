//! HTTP/2 (RFC 9113) for WebSockets (RFC 8441): one connection to a server that many sockets share,
//! each with a stream of its own. The `h2` crate does the protocol; nothing here needs a runtime.
//!
//! ```text
//!  readiness ──> Connection::drive ──> h2 ──reads, writes──> Pipe ──> net::stream::Stream ──> socket
//!                     │                 ^ wakes
//!                     v                 │
//!   who has something to do ──> Http2Stream::read_vectored, write_vectored   (one for each socket)
//! ```
//!
//! Whoever owns a [`Connection`] drives it when its socket is ready, when [`Connection::needs_drive`]
//! says so, and at its deadline, and then gives a turn to the owners that it names.
//!
//! Memory: a stream holds at most [`limits::HTTP2_STREAM_WINDOW`] received bytes that its owner has
//! not read, for only what was read is asked for again, and [`limits::HTTP2_SEND_BUFFER`] of what it
//! has written.

#[cfg(feature = "http2")]
mod connection;
#[cfg(feature = "http2")]
mod explain;
#[cfg(feature = "http2")]
mod fields;
#[cfg(feature = "http2")]
mod pipe;
#[cfg(feature = "http2")]
mod stream;
#[cfg(feature = "http2")]
mod wakes;

#[cfg(feature = "http2")]
pub use connection::Connection;
#[cfg(feature = "http2")]
pub use stream::Http2Stream;

#[cfg(not(feature = "http2"))]
mod absent;
#[cfg(not(feature = "http2"))]
pub use absent::{Connection, Http2Stream};

#[cfg(all(test, feature = "http2"))]
mod tests;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The server's SETTINGS have not come.
    Starting,
    /// `websockets`: the server takes extended CONNECT (RFC 8441 section 3).
    Ready { websockets: bool },
    /// No new streams: the server is going away, or nobody wanted more. Those there are go on.
    Draining,
    /// Ended. Every stream has been told.
    Over,
}
