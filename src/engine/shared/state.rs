//! The states of a socket, and the enums of its settings.

/// The state of a socket, numbered as in the C ABI (`FW_STATE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Connecting, or waiting to reconnect.
    Connecting = 0,
    /// Open: messages can be sent.
    Open = 1,
    /// Closing.
    Closing = 2,
    /// Not opened yet, or the connection has ended.
    Closed = 3,
    /// The socket was destroyed.
    Unknown = 4,
}

/// Where callbacks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Dispatch {
    /// In [`poll`](crate::poll), on the thread that calls it.
    Poll = 0,
    /// On the worker thread, immediately.
    Worker = 1,
}

/// The HTTP version of the handshake, numbered as in the C ABI (`FW_HTTP_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/2 for `wss:` where the server supports WebSockets over it (RFC 8441), else HTTP/1.1.
    #[default]
    Auto = 0,
    /// HTTP/1.1 only.
    Http1 = 1,
    /// HTTP/2 only; with prior knowledge for `ws:`.
    Http2 = 2,
}
