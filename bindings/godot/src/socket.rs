//! The class `FramewireSocket`: properties, constants, signals and state.

use std::time::Duration;

use framewire::{CallError, EventKind, Socket};
use godot::global::Error as GodotError;
use godot::prelude::*;

use crate::errors;
use crate::packet_queue::PacketQueue;
use crate::tls::TlsCache;

/// How long a freed socket may continue to send queued messages.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

pub const CONNECTING: i64 = FramewireSocket::STATE_CONNECTING;
pub const OPEN: i64 = FramewireSocket::STATE_OPEN;
pub const CLOSING: i64 = FramewireSocket::STATE_CLOSING;
pub const CLOSED: i64 = FramewireSocket::STATE_CLOSED;

/// A WebSocket client with the methods, constants and properties of [WebSocketPeer], plus signals.
///
/// To migrate a script from `WebSocketPeer`, change the class name. Call `poll()` once per frame, or use
/// `FramewireNode`, which polls automatically. The network runs on worker threads, so no call blocks.
///
/// Properties take effect at the next `connect_to_url()`, which returns an error for an invalid value.
/// `heartbeat_*`, `max_fragment_size` and `outbound_buffer_size` also apply to an open connection.
///
/// Signals are emitted inside `poll()`, on the thread that calls it. A message is emitted as a signal
/// (`text_received`, `binary_received`) if anything is connected to that signal when the message is
/// delivered. Otherwise it is queued for `get_packet()`. It is never delivered both ways.
///
/// Every `connect_to_url()` that returned `OK` ends with exactly one `closed` or `failed`, after all
/// messages that were received before. With `get_packet()`, the state remains `STATE_OPEN` while a script
/// keeps reading packets received before the end, so a loop that reads only while open gets all of them.
///
/// A closed socket can connect again, also inside the handlers of `closed` and `failed`. A socket that is
/// freed while open sends its queued messages and closes with code 1001, in the background. This takes at
/// most five seconds, or one second when the game quits.
#[derive(GodotClass)]
#[class(tool, init, base = RefCounted)]
pub struct FramewireSocket {
    /// The subprotocols to offer, in order of preference.
    #[var]
    pub supported_protocols: PackedStringArray,
    /// Header fields to add to the upgrade request, each as `"Name: value"`. The default `User-Agent` is
    /// `Framewire/` and the version.
    #[var]
    pub handshake_headers: PackedStringArray,
    /// The `Origin` header field; empty for none.
    #[var]
    pub origin: GString,
    /// The maximum number of bytes queued for `get_packet()`, at least 1. When it is reached, `poll()` stops
    /// dequeuing events and backpressure reaches the server. One message of any size always fits; see
    /// `max_message_size` for a limit per message.
    #[var]
    #[init(val = 4194304)]
    pub inbound_buffer_size: i64,
    /// The maximum number of bytes queued for sending. Above it, send methods return `ERR_OUT_OF_MEMORY`
    /// and queue nothing. One message may exceed it.
    #[var(set = set_outbound_buffer_size)]
    #[init(val = 67108864)]
    pub outbound_buffer_size: i64,
    /// The maximum number of packets queued for `get_packet()`, at least 1. When it is reached, `poll()`
    /// stops dequeuing events and backpressure reaches the server. No packet is dropped.
    #[var]
    #[init(val = 4096)]
    pub max_queued_packets: i64,
    /// The interval between keepalive pings in seconds; 0 sends none. A connection that receives nothing,
    /// not even a pong, for `heartbeat_timeout` after a ping ends with `failed`.
    #[var(set = set_heartbeat_interval)]
    pub heartbeat_interval: f64,
    /// The time in seconds to wait for any data after a ping; 0 for the value of `heartbeat_interval`.
    #[var(set = set_heartbeat_timeout)]
    pub heartbeat_timeout: f64,
    /// The maximum size of a received message in bytes. A larger message ends the connection with close
    /// code 1009 and `failed`.
    #[var]
    #[init(val = 67108864)]
    pub max_message_size: i64,
    /// The maximum payload of a sent frame in bytes. Larger messages are sent in fragments.
    #[var(set = set_max_fragment_size)]
    #[init(val = 32767)]
    pub max_fragment_size: i64,
    /// Offers compression with permessage-deflate (RFC 7692). If the server accepts, messages of at least
    /// 256 bytes are compressed.
    #[var]
    #[init(val = true)]
    pub compression: bool,
    /// The timeout for connecting in seconds, from name resolution to the end of the upgrade.
    #[var]
    #[init(val = 20.0)]
    pub connect_timeout: f64,
    /// The timeout for the closing handshake in seconds.
    #[var]
    #[init(val = 5.0)]
    pub close_timeout: f64,
    /// The HTTP version to connect with: 1, 2, or 0 for automatic. Automatic uses HTTP/2 (RFC 8441) if a
    /// `wss` server supports it, and HTTP/1.1 otherwise. `get_http_version()` returns the version in use.
    #[var]
    pub requested_http_version: i64,
    /// The proxy to connect through: `http://user:password@host:3128`, or with `https`, `socks5` or
    /// `socks5h`. Empty uses the environment variables `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and
    /// `NO_PROXY`; `"none"` uses no proxy.
    #[var]
    pub proxy: GString,
    /// The maximum number of redirects to follow, never from `wss` to `ws`.
    #[var]
    pub max_redirects: i64,
    /// Stores the cookies that servers set during the attempts to connect, and sends them back.
    #[var]
    pub keep_cookies: bool,
    /// Retries after a retriable failure, with exponential backoff and jitter. `reconnecting` is emitted
    /// before each retry, and `closed` or `failed` once at the end. Meanwhile the state is
    /// `STATE_CONNECTING`.
    #[var]
    pub reconnect: bool,
    /// The minimum delay before a retry in seconds. Delays are random; their upper limit doubles with each
    /// consecutive retry.
    #[var]
    #[init(val = 0.25)]
    pub reconnect_min_delay: f64,
    /// The maximum delay before a retry in seconds.
    #[var]
    #[init(val = 30.0)]
    pub reconnect_max_delay: f64,
    /// The maximum number of consecutive retries before `failed`; 0 for no limit.
    #[var]
    pub reconnect_max_attempts: i64,
    /// Queues messages that are sent while the socket is connecting, up to `outbound_buffer_size`. If
    /// disabled, they are rejected.
    #[var]
    pub reconnect_queue_sends: bool,
    /// The maximum size of a value encoded by `put_var()`, in bytes.
    #[var]
    #[init(val = 8388608)]
    pub encode_buffer_max_size: i64,
    /// Certificates to trust in addition to `tls_roots`, as PEM. Each is trusted as a certificate authority
    /// and as a server certificate, even if it is marked as a CA (`openssl req -x509`).
    #[var]
    pub tls_ca_pem: GString,
    /// The trusted certificate authorities: one of the `TLS_ROOTS_*` constants.
    #[var]
    pub tls_roots: i64,
    /// Pinned public keys: SHA-256 hashes of the SubjectPublicKeyInfo in Base64. If not empty, only servers
    /// with one of these keys are accepted.
    #[var]
    pub tls_pins: PackedStringArray,
    /// The client certificate for servers that request one, as PEM.
    #[var]
    pub tls_client_cert_pem: GString,
    /// The private key of `tls_client_cert_pem`, as PEM.
    #[var]
    pub tls_client_key_pem: GString,
    /// Accepts any certificate. Only for development.
    #[var]
    pub tls_insecure: bool,

    pub(crate) authorization: Option<Authorization>,
    pub(crate) connection: Connection,
    pub(crate) tls_cache: TlsCache,
    /// The node that polls this socket, whose signals are emitted too.
    pub(crate) node: Option<InstanceId>,
    base: Base<RefCounted>,
}

pub(crate) enum Authorization {
    Basic { user: String, password: String },
    Bearer(String),
}

/// The connection as the script sees it, which is its state at the last `poll()`.
pub(crate) struct Connection {
    pub socket: Option<Socket>,
    pub state: i64,
    pub url: String,
    pub host: String,
    pub port: i64,
    pub protocol: String,
    pub close_code: i64,
    pub close_reason: String,
    pub last_error: VarDictionary,
    pub packets: PacketQueue,
    pub packet_error: GodotError,
    pub was_text: bool,
    /// The terminal event, deferred while a script reads the packets received before it.
    pub deferred_end: Option<EventKind>,
    /// Whether the event `IncompleteFrame` is enabled.
    pub fragments_enabled: bool,
    pub warned_of_full_queue: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            socket: None,
            state: CLOSED,
            url: String::new(),
            host: String::new(),
            port: 0,
            protocol: String::new(),
            close_code: -1,
            close_reason: String::new(),
            last_error: VarDictionary::new(),
            packets: PacketQueue::default(),
            packet_error: GodotError::OK,
            was_text: false,
            deferred_end: None,
            fragments_enabled: false,
            warned_of_full_queue: false,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            // Sends what the script has queued. Fails after a shutdown, which has destroyed the socket.
            let _ = socket.destroy_when_sent(FLUSH_TIMEOUT);
        }
    }
}

#[godot_api]
impl FramewireSocket {
    /// Not connected yet.
    #[constant]
    pub const STATE_CONNECTING: i64 = 0;
    /// Connected: messages can be sent.
    #[constant]
    pub const STATE_OPEN: i64 = 1;
    /// `close()` was called and the closing handshake is in progress.
    #[constant]
    pub const STATE_CLOSING: i64 = 2;
    /// Not connected.
    #[constant]
    pub const STATE_CLOSED: i64 = 3;
    /// A text message, which must be valid UTF-8.
    #[constant]
    pub const WRITE_MODE_TEXT: i64 = 0;
    /// A binary message.
    #[constant]
    pub const WRITE_MODE_BINARY: i64 = 1;
    /// Mozilla's certificate authorities, built into the library. The default.
    #[constant]
    pub const TLS_ROOTS_WEBPKI: i64 = 0;
    /// The certificate authorities of the operating system.
    #[constant]
    pub const TLS_ROOTS_PLATFORM: i64 = 1;
    /// Only certificates of `tls_ca_pem`, or with a key of `tls_pins`.
    #[constant]
    pub const TLS_ROOTS_NONE: i64 = 2;

    /// Emitted when the connection is open and messages can be sent.
    #[signal]
    pub fn opened();
    /// Emitted when a text message was received.
    #[signal]
    pub fn text_received(text: GString);
    /// Emitted when a binary message was received.
    #[signal]
    pub fn binary_received(data: PackedByteArray);
    /// Emitted when a fragment of a message was received. While anything is connected to this signal,
    /// fragmented messages are not assembled: their fragments are delivered only here. Messages of one
    /// frame are delivered as usual.
    #[signal]
    pub fn fragment_received(data: PackedByteArray, is_text: bool, is_first: bool, is_final: bool);
    /// Emitted when a pong was received, with the payload of the ping. Includes pongs of the heartbeat.
    #[signal]
    pub fn pong_received(data: PackedByteArray);
    /// Emitted when the connection failed and is retried in `delay` seconds; see `reconnect`. `attempt`
    /// counts consecutive retries from 1. `reason` is the error message. `close()` cancels the retry.
    #[signal]
    pub fn reconnecting(attempt: i64, delay: f64, reason: GString);
    /// Emitted when the connection ended with a closing handshake, or was closed by the script. `code` is
    /// the close code: 1005 if the server sent none, 1006 if the handshake was not completed.
    #[signal]
    pub fn closed(code: i64, reason: GString);
    /// Emitted when connecting failed, the connection was lost, or the server violated the protocol.
    /// `phase` is the phase of the failure (`"resolve"`, `"connect"`, `"proxy"`, `"tls"`, `"upgrade"`,
    /// `"open"`, `"closing"`), `status` the HTTP status of a rejected upgrade or 0, `reason` the error
    /// message, and `retriable` whether a retry may succeed. See also `get_last_error()`.
    #[signal]
    pub fn failed(phase: GString, status: i64, reason: GString, retriable: bool);

    /// Notifies the library that the network may have changed. Every open connection is pinged. If nothing
    /// is received within 3 seconds, it ends or is retried.
    #[func]
    pub fn network_changed() {
        framewire::network_changed();
    }

    /// Notifies the library that the app is about to sleep (`NOTIFICATION_APPLICATION_PAUSED`). Until
    /// `resume()`, no pings are sent and no timeout expires.
    #[func]
    pub fn suspend() {
        framewire::suspend();
    }

    /// Notifies the library that the app is awake again (`NOTIFICATION_APPLICATION_RESUMED`). Timeouts
    /// continue, and every connection is checked as by `network_changed()`.
    #[func]
    pub fn resume() {
        framewire::resume();
    }

    // Properties that can change while connected; the setters must be in this block. If the connection
    // rejects a value, the property keeps its previous value.

    #[func]
    pub fn set_outbound_buffer_size(&mut self, size: i64) {
        let before = std::mem::replace(&mut self.outbound_buffer_size, size);
        if !self.apply("set_outbound_buffer_size", |this, socket| this.configure_buffer(socket)) {
            self.outbound_buffer_size = before;
        }
    }

    #[func]
    pub fn set_max_fragment_size(&mut self, size: i64) {
        let before = std::mem::replace(&mut self.max_fragment_size, size);
        if !self.apply("set_max_fragment_size", |this, socket| this.configure_fragments(socket)) {
            self.max_fragment_size = before;
        }
    }

    #[func]
    pub fn set_heartbeat_interval(&mut self, interval: f64) {
        let before = std::mem::replace(&mut self.heartbeat_interval, interval);
        if !self.apply("set_heartbeat_interval", |this, socket| this.configure_heartbeat(socket)) {
            self.heartbeat_interval = before;
        }
    }

    #[func]
    pub fn set_heartbeat_timeout(&mut self, timeout: f64) {
        let before = std::mem::replace(&mut self.heartbeat_timeout, timeout);
        if !self.apply("set_heartbeat_timeout", |this, socket| this.configure_heartbeat(socket)) {
            self.heartbeat_timeout = before;
        }
    }
}

impl FramewireSocket {
    /// Converts the result of a call to an error code, stores its message and prints it.
    pub(crate) fn report(&mut self, call: &str, result: Result<(), CallError>) -> GodotError {
        let Err(error) = result else { return GodotError::OK };
        let code = errors::code(&error);
        self.connection.last_error =
            vdict! { "kind" => "call", "phase" => "", "message" => error.message.as_ref() };
        // A full send queue and a closed connection are normal at run time: not printed.
        if code != GodotError::ERR_OUT_OF_MEMORY && code != GodotError::FAILED {
            godot_error!("FramewireSocket.{call}: {error}");
        }
        code
    }
}
