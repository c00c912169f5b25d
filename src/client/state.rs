//! What is known of a socket.

use std::sync::atomic::Ordering;

use crate::engine::shared::counters::Stats;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::state::State;
use crate::sync::lock;

impl Socket {
    pub fn state(&self) -> State {
        if self.0.is_destroyed() { State::Unknown } else { self.0.state() }
    }

    pub fn is_open(&self) -> bool {
        self.state() == State::Open
    }

    /// Smoothed round trip of the pings, in microseconds; -1 before the first.
    pub fn latency_us(&self) -> i64 {
        self.0.latency_us.load(Ordering::Relaxed)
    }

    /// When the last message came, in microseconds of Unix time; 0 for never.
    pub fn last_message_received(&self) -> u64 {
        self.0.last_message_us.load(Ordering::Relaxed)
    }

    /// The subprotocol that the server chose, empty for none.
    pub fn protocol(&self) -> String {
        lock(&self.0.info).protocol.to_string()
    }

    /// The extensions that the server accepted, as it wrote them.
    pub fn extensions(&self) -> String {
        lock(&self.0.info).extensions.to_string()
    }

    /// 1 or 2; 0 before the server has answered.
    pub fn http_version(&self) -> u32 {
        lock(&self.0.info).http_version
    }

    /// The status of the answer to the upgrade request; 0 before there is one.
    pub fn response_status(&self) -> u16 {
        lock(&self.0.info).head.as_ref().map_or(0, |head| head.status)
    }

    /// The first header field of that name in the answer to the upgrade request.
    pub fn response_header(&self, name: &str) -> Option<String> {
        lock(&self.0.info).head.as_ref()?.headers.get(name).map(str::to_owned)
    }

    /// The first KiB of the body of a refused upgrade.
    pub fn response_body(&self) -> Vec<u8> {
        lock(&self.0.info).body.clone()
    }

    /// The URL, without credentials.
    pub fn url(&self) -> String {
        lock(&self.0.info).url.to_string()
    }

    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot()
    }
}
