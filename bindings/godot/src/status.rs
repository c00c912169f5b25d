//! Status of the connection.

use framewire::Socket;
use godot::prelude::*;

use crate::socket::{FramewireSocket, OPEN};

#[godot_api(secondary)]
impl FramewireSocket {
    /// Returns the state at the last `poll()`, one of the `STATE_*` constants.
    #[func]
    pub fn get_ready_state(&self) -> i64 {
        self.connection.state
    }

    /// Returns the close code from the server, or -1 if the connection did not end with a closing
    /// handshake.
    #[func]
    pub fn get_close_code(&self) -> i64 {
        self.connection.close_code
    }

    /// Returns the close reason from the server, or the error message.
    #[func]
    pub fn get_close_reason(&self) -> GString {
        GString::from(&self.connection.close_reason)
    }

    /// Returns the last error of the connection or of a failed call, or an empty dictionary. It contains
    /// `message`, `kind` and `phase`, and for connection errors also `http_status`, `tls_alert`, `os_code`
    /// and `retriable`.
    #[func]
    pub fn get_last_error(&self) -> VarDictionary {
        self.connection.last_error.clone()
    }

    /// Returns the subprotocol selected by the server, or an empty string.
    #[func]
    pub fn get_selected_protocol(&self) -> GString {
        GString::from(&self.connection.protocol)
    }

    /// Returns the URL passed to `connect_to_url()`.
    #[func]
    pub fn get_requested_url(&self) -> GString {
        GString::from(&self.connection.url)
    }

    /// Returns the host of the URL, without resolving a name. Empty if the socket is not open.
    #[func]
    pub fn get_connected_host(&self) -> GString {
        if self.connection.state == OPEN { GString::from(&self.connection.host) } else { GString::new() }
    }

    /// Returns the port of the server. 0 if the socket is not open.
    #[func]
    pub fn get_connected_port(&self) -> i64 {
        if self.connection.state == OPEN { self.connection.port } else { 0 }
    }

    /// Does nothing; exists for scripts written for `WebSocketPeer`. Nagle's algorithm is always disabled,
    /// because it delays small messages. Queued messages are written together anyway.
    #[func]
    pub fn set_no_delay(&mut self, enabled: bool) {
        if !enabled {
            godot_warn!("FramewireSocket.set_no_delay: Nagle's algorithm stays disabled");
        }
    }

    /// Returns the smoothed round-trip time of pings in seconds, or -1 before the first pong. Requires
    /// `heartbeat_interval` or `ping()`.
    #[func]
    pub fn get_latency(&self) -> f64 {
        match self.query(Socket::latency_us) {
            Some(latency) if latency >= 0 => latency as f64 / 1e6,
            _ => -1.0,
        }
    }

    /// Returns the Unix time in seconds at which the last message was received, or 0.
    #[func]
    pub fn get_last_message_time(&self) -> f64 {
        self.query(Socket::last_message_received).map_or(0.0, |time| time as f64 / 1e6)
    }

    /// Returns the extensions accepted by the server, as sent in its response.
    #[func]
    pub fn get_extensions(&self) -> GString {
        self.query(Socket::extensions).map_or_else(GString::new, |text| GString::from(&text))
    }

    /// Returns the HTTP version in use, 1 or 2, or 0 before the server has responded.
    #[func]
    pub fn get_http_version(&self) -> i64 {
        self.query(Socket::http_version).map_or(0, i64::from)
    }

    /// Returns the HTTP status of the response to the upgrade request, or 0 before there is one.
    #[func]
    pub fn get_response_status(&self) -> i64 {
        self.query(Socket::response_status).map_or(0, i64::from)
    }

    /// Returns the first header field of that name in the response to the upgrade request, or an empty
    /// string.
    #[func]
    pub fn get_response_header(&self, name: GString) -> GString {
        let value = self.query(|socket| socket.response_header(&name.to_string())).flatten();
        value.map_or_else(GString::new, |text| GString::from(&text))
    }

    /// Returns the first KiB of the body of a rejected upgrade.
    #[func]
    pub fn get_response_body(&self) -> PackedByteArray {
        self.query(Socket::response_body).map_or_else(PackedByteArray::new, PackedByteArray::from)
    }

    /// Returns counters since `connect_to_url()`: bytes, messages, frames, pings, successful reconnects,
    /// payload bytes before and after compression, and the duration of each connecting phase in
    /// microseconds.
    #[func]
    pub fn get_stats(&self) -> VarDictionary {
        let stats = self.query(Socket::stats).unwrap_or_default();
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

    fn query<T>(&self, query: impl FnOnce(&Socket) -> T) -> Option<T> {
        self.connection.socket.as_ref().map(query)
    }
}
