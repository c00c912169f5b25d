//! State and statistics of a socket.

use std::sync::atomic::Ordering;

use crate::engine::library;
use crate::engine::shared::counters::Stats;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::state::State;
use crate::sync::lock;

impl Socket {
    /// Returns the state; [`State::Unknown`] after the socket was destroyed.
    pub fn state(&self) -> State {
        library::drive();
        if self.0.is_destroyed() { State::Unknown } else { self.0.state() }
    }

    /// Returns whether the state is [`State::Open`].
    pub fn is_open(&self) -> bool {
        self.state() == State::Open
    }

    /// Returns the smoothed round-trip time of pings in microseconds, -1 before the first pong.
    pub fn latency_us(&self) -> i64 {
        self.0.latency_us.load(Ordering::Relaxed)
    }

    /// Returns when the last message was received, as Unix time in microseconds, 0 before the first.
    pub fn last_message_received(&self) -> u64 {
        self.0.last_message_us.load(Ordering::Relaxed)
    }

    /// Returns the subprotocol that the server selected, empty if none.
    pub fn protocol(&self) -> String {
        lock(&self.0.info).protocol.to_string()
    }

    /// Returns the value of `Sec-WebSocket-Extensions` in the server's response.
    pub fn extensions(&self) -> String {
        lock(&self.0.info).extensions.to_string()
    }

    /// Returns the HTTP version of the handshake: 1 or 2, 0 before the server's response.
    pub fn http_version(&self) -> u32 {
        lock(&self.0.info).http_version
    }

    /// Returns the HTTP status of the response to the upgrade request, 0 before there is one.
    pub fn response_status(&self) -> u16 {
        lock(&self.0.info).status
    }

    /// Returns the first header field with this name in the response to the upgrade request.
    pub fn response_header(&self, name: &str) -> Option<String> {
        lock(&self.0.info).headers.get(name).map(str::to_owned)
    }

    /// Returns the names and values of all header fields in the response to the upgrade request, in the order
    /// received; a name can occur several times (RFC 9110 section 5.2).
    pub fn response_headers(&self) -> Vec<(String, String)> {
        let info = lock(&self.0.info);
        info.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Returns up to 1024 bytes of the response body when the server refused the upgrade.
    pub fn response_body(&self) -> Vec<u8> {
        lock(&self.0.info).body.to_vec()
    }

    /// Returns the URL, after redirects and without credentials.
    pub fn url(&self) -> String {
        lock(&self.0.info).url()
    }

    /// Returns the counters of the socket.
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }
}
