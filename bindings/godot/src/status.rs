//! Status of the connection.

use framewire::Socket;

use crate::gdextension::{Dictionary, PackedByteArray, warning};
use crate::members::methods;
use crate::socket::{FramewireSocket, OPEN};

methods! {
    METHODS:
    /// Returns the state at the last `poll()`, one of the `STATE_*` constants.
    reader get_ready_state() => FramewireSocket::get_ready_state;

    /// Returns the close code from the server, or -1 if the connection did not end with a closing
    /// handshake.
    query get_close_code() => FramewireSocket::get_close_code;

    /// Returns the close reason from the server, or the error message.
    query get_close_reason() => FramewireSocket::get_close_reason;

    /// Returns the last error of the connection or of a failed call, or an empty dictionary. It contains
    /// `message`, `kind` and `phase`, and for connection errors also `http_status`, `tls_alert`, `os_code`
    /// and `retriable`.
    query get_last_error() => FramewireSocket::get_last_error;

    /// Returns the subprotocol selected by the server, or an empty string.
    query get_selected_protocol() => FramewireSocket::get_selected_protocol;

    /// Returns the URL passed to `connect_to_url()`.
    query get_requested_url() => FramewireSocket::get_requested_url;

    /// Returns the URL of the connection, after redirects and without credentials. Empty before `connect_to_url()`.
    query get_final_url() => FramewireSocket::get_final_url;

    /// Returns the host of the URL, without resolving a name. Empty if the socket is not open.
    query get_connected_host() => FramewireSocket::get_connected_host;

    /// Returns the port of the server. 0 if the socket is not open.
    query get_connected_port() => FramewireSocket::get_connected_port;

    /// Does nothing; exists for scripts written for `WebSocketPeer`. Nagle's algorithm is always disabled,
    /// because it delays small messages. Queued messages are written together anyway.
    method set_no_delay(enabled) => FramewireSocket::set_no_delay;

    /// Returns the smoothed round-trip time of pings in seconds, or -1 before the first pong. Requires
    /// `heartbeat_interval` or `ping()`.
    query get_latency() => FramewireSocket::get_latency;

    /// Returns the Unix time in seconds at which the last message was received, or 0.
    query get_last_message_time() => FramewireSocket::get_last_message_time;

    /// Returns the extensions accepted by the server, as sent in its response.
    query get_extensions() => FramewireSocket::get_extensions;

    /// Returns the HTTP version in use, 1 or 2, or 0 before the server has responded.
    query get_http_version() => FramewireSocket::get_http_version;

    /// Returns the HTTP status of the response to the upgrade request, or 0 before there is one.
    query get_response_status() => FramewireSocket::get_response_status;

    /// Returns the first header field of that name in the response to the upgrade request, or an empty
    /// string.
    query get_response_header(name) => FramewireSocket::get_response_header;

    /// Returns all header fields in the response to the upgrade request, each as `"name: value"` like
    /// `HTTPClient.get_response_headers()`, in the order received. A name can occur several times.
    query get_response_headers() => FramewireSocket::get_response_headers;

    /// Returns the first KiB of the body of a rejected upgrade.
    query get_response_body() => FramewireSocket::get_response_body;

    /// Returns counters since `connect_to_url()`: bytes, messages, frames, pings, successful reconnects,
    /// payload bytes before and after compression, and the duration of each connecting phase in
    /// microseconds.
    query get_stats() => FramewireSocket::get_stats;
}

impl FramewireSocket {
    pub fn get_ready_state(&self) -> i64 {
        self.state().connection.state
    }

    fn get_close_code(&self) -> i64 {
        self.state().connection.close_code
    }

    fn get_close_reason(&self) -> String {
        self.state().connection.close_reason.clone()
    }

    fn get_last_error(&self) -> Dictionary {
        self.state().connection.last_error.describe()
    }

    fn get_selected_protocol(&self) -> String {
        self.state().connection.protocol.clone()
    }

    fn get_requested_url(&self) -> String {
        self.state().connection.url.clone()
    }

    fn get_final_url(&self) -> String {
        self.query(Socket::url).unwrap_or_default()
    }

    fn get_connected_host(&self) -> String {
        let state = self.state();
        if state.connection.state == OPEN { state.connection.host.clone() } else { String::new() }
    }

    fn get_connected_port(&self) -> i64 {
        let state = self.state();
        if state.connection.state == OPEN { state.connection.port } else { 0 }
    }

    fn set_no_delay(&self, enabled: bool) {
        if !enabled {
            warning("FramewireSocket.set_no_delay: Nagle's algorithm stays disabled");
        }
    }

    fn get_latency(&self) -> f64 {
        match self.query(Socket::latency_us) {
            Some(latency) if latency >= 0 => latency as f64 / 1e6,
            _ => -1.0,
        }
    }

    fn get_last_message_time(&self) -> f64 {
        self.query(Socket::last_message_received).map_or(0.0, |time| time as f64 / 1e6)
    }

    fn get_extensions(&self) -> String {
        self.query(Socket::extensions).unwrap_or_default()
    }

    fn get_http_version(&self) -> i64 {
        self.query(Socket::http_version).map_or(0, i64::from)
    }

    fn get_response_status(&self) -> i64 {
        self.query(Socket::response_status).map_or(0, i64::from)
    }

    fn get_response_header(&self, name: String) -> String {
        self.query(|socket| socket.response_header(&name)).flatten().unwrap_or_default()
    }

    fn get_response_headers(&self) -> Vec<String> {
        let fields = self.query(Socket::response_headers).unwrap_or_default();
        fields.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    fn get_response_body(&self) -> PackedByteArray {
        PackedByteArray::from(self.query(Socket::response_body).unwrap_or_default().as_slice())
    }

    fn get_stats(&self) -> Dictionary {
        let stats = self.query(Socket::stats).unwrap_or_default();
        let mut named = Dictionary::default();
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
        self.state().query(query)
    }
}
