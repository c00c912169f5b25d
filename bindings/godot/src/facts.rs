//! What is known of the connection.

use framewire::Socket;
use godot::prelude::*;

use crate::socket::{FramewireSocket, OPEN};

#[godot_api(secondary)]
impl FramewireSocket {
    /// One of the `STATE_*` constants, as of the last `poll()`.
    #[func]
    pub fn get_ready_state(&self) -> i64 {
        self.link.state
    }

    /// The close code that the server gave, or -1 if the connection did not end by a closing
    /// handshake.
    #[func]
    pub fn get_close_code(&self) -> i64 {
        self.link.close_code
    }

    /// The reason that the server gave, or what failed.
    #[func]
    pub fn get_close_reason(&self) -> GString {
        GString::from(&self.link.close_reason)
    }

    /// What went wrong last, be it the connection or a call that was refused: `message` says it in
    /// words; `kind`, `phase`, `http_status`, `tls_alert`, `os_code` and `retriable` say more of a
    /// connection. Empty if nothing did.
    #[func]
    pub fn get_last_error(&self) -> VarDictionary {
        self.link.last_error.clone()
    }

    /// The subprotocol that the server chose; empty if none.
    #[func]
    pub fn get_selected_protocol(&self) -> GString {
        GString::from(&self.link.protocol)
    }

    /// The URL given to `connect_to_url()`.
    #[func]
    pub fn get_requested_url(&self) -> GString {
        GString::from(&self.link.url)
    }

    /// The host of the URL, as a name if it is one. Empty if the socket is not open.
    #[func]
    pub fn get_connected_host(&self) -> GString {
        if self.link.state == OPEN { GString::from(&self.link.host) } else { GString::new() }
    }

    /// The server's port. 0 if the socket is not open.
    #[func]
    pub fn get_connected_port(&self) -> i64 {
        if self.link.state == OPEN { self.link.port } else { 0 }
    }

    /// For scripts written for `WebSocketPeer`. Nagle's algorithm is always off: it would delay
    /// small messages, and many at once are sent together anyway.
    #[func]
    pub fn set_no_delay(&mut self, enabled: bool) {
        if !enabled {
            godot_warn!("FramewireSocket.set_no_delay: Nagle's algorithm stays off");
        }
    }

    /// The smoothed round trip of the pings in seconds; -1 before the first. Needs
    /// `heartbeat_interval`, or `ping()`.
    #[func]
    pub fn get_latency(&self) -> f64 {
        match self.fact(Socket::latency_us) {
            Some(latency) if latency >= 0 => latency as f64 / 1e6,
            _ => -1.0,
        }
    }

    /// When the last message came, in seconds of Unix time; 0 for never.
    #[func]
    pub fn get_last_message_time(&self) -> f64 {
        self.fact(Socket::last_message_received).map_or(0.0, |time| time as f64 / 1e6)
    }

    /// The extensions that the server accepted, as it wrote them.
    #[func]
    pub fn get_extensions(&self) -> GString {
        self.fact(Socket::extensions).map_or_else(GString::new, |text| GString::from(&text))
    }

    /// 1 or 2; 0 before the server has answered.
    #[func]
    pub fn get_http_version(&self) -> i64 {
        self.fact(Socket::http_version).map_or(0, i64::from)
    }

    /// The HTTP status of the answer to the upgrade request; 0 before there is one.
    #[func]
    pub fn get_response_status(&self) -> i64 {
        self.fact(Socket::response_status).map_or(0, i64::from)
    }

    /// The first header field of that name in the answer to the upgrade request; empty if none.
    #[func]
    pub fn get_response_header(&self, name: GString) -> GString {
        let value = self.fact(|socket| socket.response_header(&name.to_string())).flatten();
        value.map_or_else(GString::new, |text| GString::from(&text))
    }

    /// The first KiB of the body of a refused upgrade.
    #[func]
    pub fn get_response_body(&self) -> PackedByteArray {
        self.fact(Socket::response_body).map_or_else(PackedByteArray::new, PackedByteArray::from)
    }

    /// Counters since `connect_to_url()`: bytes, messages, frames, pings, tries that opened again, sizes
    /// before and after compression, and the microseconds that each phase of connecting took.
    #[func]
    pub fn get_stats(&self) -> VarDictionary {
        let stats = self.fact(Socket::stats).unwrap_or_default();
        let mut named = VarDictionary::new();
        macro_rules! name {
            ($($counter:ident),+ $(,)?) => {
                $(named.set(stringify!($counter), i64::try_from(stats.$counter).unwrap_or(i64::MAX));)+
            };
        }
        name!(
            bytes_sent,
            bytes_received,
            messages_sent,
            messages_received,
            frames_sent,
            frames_received,
            pings_sent,
            pongs_received,
            reconnects,
            payload_bytes_before_compression,
            payload_bytes_after_compression,
            resolve_us,
            connect_us,
            tls_us,
            upgrade_us,
        );
        named
    }

    fn fact<T>(&self, ask: impl FnOnce(&Socket) -> T) -> Option<T> {
        self.link.socket.as_ref().map(ask)
    }
}
