//! The properties of `FramewireSocket`.

use crate::members::properties;
use crate::settings::Settings;
use crate::socket::{FramewireSocket, State};
use framewire::{CallError, Socket};

properties! {
    FramewireSocket:
    /// The subprotocols to offer, in order of preference.
    supported_protocols: Vec<String>;
    /// Header fields to add to the upgrade request, each as `"Name: value"`. The default `User-Agent` is
    /// `Framewire/` and the version.
    handshake_headers: Vec<String>;
    /// The `Origin` header field; empty for that of `handshake_headers`, or none.
    origin: String;
    /// The maximum number of bytes queued for `get_packet()`, at least 1. When it is reached, `poll()` stops
    /// dequeuing events and backpressure reaches the server. One message of any size always fits; see
    /// `max_message_size` for a limit per message.
    inbound_buffer_size: i64;
    /// The maximum number of bytes queued for sending. Above it, send methods return `ERR_OUT_OF_MEMORY`
    /// and queue nothing. One message may exceed it.
    outbound_buffer_size: i64, set set_outbound_buffer_size(size);
    /// The maximum number of packets queued for `get_packet()`, at least 1. When it is reached, `poll()`
    /// stops dequeuing events and backpressure reaches the server. No packet is dropped.
    max_queued_packets: i64;
    /// The interval between keepalive pings in seconds; 0 sends none. A connection that receives nothing,
    /// not even a pong, for `heartbeat_timeout` after a ping ends with `failed`.
    heartbeat_interval: f64, set set_heartbeat_interval(interval);
    /// The time in seconds to wait for any data after a ping; 0 for the value of `heartbeat_interval`.
    heartbeat_timeout: f64, set set_heartbeat_timeout(timeout);
    /// The maximum size of a received message in bytes. A larger message ends the connection with close
    /// code 1009 and `failed`.
    max_message_size: i64;
    /// The maximum payload of a sent frame in bytes. Larger messages are sent in fragments.
    max_fragment_size: i64, set set_max_fragment_size(size);
    /// Offers compression with permessage-deflate (RFC 7692). If the server accepts, messages of at least
    /// `compression_min_size` bytes are compressed.
    compression: bool;
    /// The compression level from 0 (stored) to 9 (smallest).
    compression_level: i64;
    /// Messages shorter than this number of bytes are sent uncompressed.
    compression_min_size: i64;
    /// Compresses each sent message separately: less memory, worse compression.
    compression_client_no_context_takeover: bool;
    /// Requests that the server compresses each message separately.
    compression_server_no_context_takeover: bool;
    /// The window of sent messages as a power of two, 8 to 15.
    compression_client_max_window_bits: i64;
    /// The maximum window requested from the server, as a power of two, 8 to 15.
    compression_server_max_window_bits: i64;
    /// The timeout for connecting in seconds, from name resolution to the end of the upgrade.
    connect_timeout: f64;
    /// The timeout for the closing handshake in seconds.
    close_timeout: f64;
    /// The HTTP version to connect with: 1, or 0 for automatic. The extension is built without HTTP/2 (RFC 8441), so
    /// both use HTTP/1.1, and `connect_to_url()` returns `ERR_UNAVAILABLE` for 2. `get_http_version()` returns the
    /// version in use.
    requested_http_version: i64;
    /// The proxy to connect through: `http://user:password@host:3128`, or with `https`, `socks5` or
    /// `socks5h`. Empty uses the environment variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY`; `"none"` uses no proxy.
    proxy: String;
    /// The maximum number of redirects to follow, never from `wss` to `ws`.
    max_redirects: i64;
    /// Stores the cookies that servers set in their responses, and sends them back, also with later
    /// `connect_to_url()`. A connection without it deletes them.
    keep_cookies: bool;
    /// Retries after a retriable failure, with exponential backoff and jitter. `reconnecting` is emitted
    /// before each retry, and `closed` or `failed` once at the end. Meanwhile the state is
    /// `STATE_CONNECTING`.
    reconnect: bool;
    /// The minimum delay before a retry in seconds. Delays are random; their upper limit doubles with each
    /// consecutive retry.
    reconnect_min_delay: f64;
    /// The maximum delay before a retry in seconds.
    reconnect_max_delay: f64;
    /// The maximum number of consecutive retries before `failed`; 0 for no limit.
    reconnect_max_attempts: i64;
    /// Queues messages that are sent while the socket is connecting, up to `outbound_buffer_size`. If
    /// disabled, or without `reconnect`, they are rejected.
    reconnect_queue_sends: bool;
    /// The maximum size of a value encoded by `put_var()`, in bytes.
    encode_buffer_max_size: i64;
    /// Certificates to trust in addition to `tls_roots`, as PEM. Each is trusted as a certificate authority
    /// and as a server certificate, even if it is marked as a CA (`openssl req -x509`).
    tls_ca_pem: String;
    /// The trusted certificate authorities: one of the `TLS_ROOTS_*` constants.
    tls_roots: i64;
    /// Pinned public keys: SHA-256 hashes of the SubjectPublicKeyInfo in Base64. If not empty, only servers
    /// with one of these keys are accepted.
    tls_pins: Vec<String>;
    /// The client certificate for servers that request one, as PEM.
    tls_client_cert_pem: String;
    /// The private key of `tls_client_cert_pem`, as PEM.
    tls_client_key_pem: String;
    /// Accepts any certificate. Only for development.
    tls_insecure: bool;
    /// Logs TLS session keys to the file named by the environment variable `SSLKEYLOGFILE`, for Wireshark. Only for
    /// development.
    tls_key_log: bool;
    /// Captures the traffic to this pcapng file, which Wireshark opens, from the next `connect_to_url()` on; empty, the
    /// default, captures nothing. The path is one of the file system: use `ProjectSettings.globalize_path()` for `user://`.
    /// Sockets with the same path share one file, which is replaced if it exists. If it cannot be written, that is logged,
    /// and the socket continues.
    capture_path: String;
    /// The largest size of the captured file in bytes, at which the capture ends; 0 for no limit.
    capture_max_file_bytes: i64;
    /// Writes the values of `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` to the captured file, which
    /// are replaced otherwise. URLs and messages are never replaced.
    capture_include_secrets: bool;
}

/// Properties that can change while connected. If the connection rejects a value, the property keeps its previous
/// value.
impl FramewireSocket {
    pub fn set_outbound_buffer_size(&self, size: i64) {
        self.change(
            "set_outbound_buffer_size",
            |settings| std::mem::replace(&mut settings.outbound_buffer_size, size),
            |settings, before| settings.outbound_buffer_size = before,
            State::configure_buffer,
        );
    }

    fn set_max_fragment_size(&self, size: i64) {
        self.change(
            "set_max_fragment_size",
            |settings| std::mem::replace(&mut settings.max_fragment_size, size),
            |settings, before| settings.max_fragment_size = before,
            State::configure_fragments,
        );
    }

    fn set_heartbeat_interval(&self, interval: f64) {
        self.change(
            "set_heartbeat_interval",
            |settings| std::mem::replace(&mut settings.heartbeat_interval, interval),
            |settings, before| settings.heartbeat_interval = before,
            State::configure_heartbeat,
        );
    }

    fn set_heartbeat_timeout(&self, timeout: f64) {
        self.change(
            "set_heartbeat_timeout",
            |settings| std::mem::replace(&mut settings.heartbeat_timeout, timeout),
            |settings, before| settings.heartbeat_timeout = before,
            State::configure_heartbeat,
        );
    }

    fn change<T>(
        &self,
        call: &str,
        set: impl FnOnce(&mut Settings) -> T,
        restore: impl FnOnce(&mut Settings, T),
        apply: impl FnOnce(&State, &Socket) -> Result<(), CallError>,
    ) {
        let mut state = self.state();
        let before = set(&mut state.settings);
        let applied = match &state.connection.socket {
            // A destroyed socket takes no settings; the next connection gets them.
            Some(socket) if socket.state() != framewire::State::Unknown => apply(&state, socket),
            _ => Ok(()),
        };
        if applied.is_err() {
            restore(&mut state.settings, before);
        }
        drop(state);
        self.report(call, applied);
    }
}
