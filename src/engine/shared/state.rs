//! The states of a socket, and the choices that its settings are made of.

/// The state of a socket, numbered as in the C ABI (`FW_STATE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// `open` was called; the upgrade is not done. Also while waiting to reconnect.
    Connecting = 0,
    /// Messages can be sent and received.
    Open = 1,
    /// The closing handshake has started.
    Closing = 2,
    /// Not connected: before `open`, and after a terminal event.
    Closed = 3,
    /// The handle is invalid: the socket was destroyed.
    Unknown = 4,
}

/// Where callbacks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Dispatch {
    /// Inside `poll`, on the thread that calls it.
    Poll = 0,
    /// On the socket's worker thread, immediately.
    Worker = 1,
}

/// The version of HTTP that a WebSocket starts with, numbered as in the C ABI (`FW_HTTP_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum HttpVersion {
    /// HTTP/2 for `wss:` if the server supports WebSockets over it (RFC 8441), otherwise HTTP/1.1.
    #[default]
    Auto = 0,
    /// HTTP/1.1 only.
    Http1 = 1,
    /// HTTP/2 only; for `ws:` by prior knowledge (RFC 9113 section 3.3).
    Http2 = 2,
}
