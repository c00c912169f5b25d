//! The class: its properties, constants and signals, and what it holds.

use std::time::Duration;

use framewire::{EventKind, Socket};
use godot::global::Error as GodotError;
use godot::prelude::*;

use crate::inbox::Inbox;
use crate::polling;
use crate::tls::TlsCache;

/// How long a socket that was freed may still send.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

pub const CONNECTING: i64 = FramewireSocket::STATE_CONNECTING;
pub const OPEN: i64 = FramewireSocket::STATE_OPEN;
pub const CLOSING: i64 = FramewireSocket::STATE_CLOSING;
pub const CLOSED: i64 = FramewireSocket::STATE_CLOSED;

/// A WebSocket client with the methods, constants and properties of [WebSocketPeer], and signals.
///
/// Properties apply from the next `connect_to_url()` on, which refuses those that are wrong;
/// `heartbeat_*`, `max_fragment_size` and `outbound_buffer_size` also apply to an open connection.
///
/// A script that uses `WebSocketPeer` switches by changing the class's name. Call `poll()` once a
/// frame (or use `FramewireNode`, which does): everything else happens on threads of its own, so
/// no call ever waits for the network.
///
/// Signals are emitted inside `poll()`, on the thread that calls it. A message goes to its signal
/// (`text_received`, `binary_received`) if anything is connected to it at that moment, and else
/// into the queue of `get_packet()`: never both, and none is lost.
///
/// Every `connect_to_url()` that returned `OK` ends with exactly one `closed` or `failed`, after
/// every message that was received before. With `get_packet()`, the state stays `STATE_OPEN` for
/// as long as a script goes on reading the packets that came before the end, so that a loop which
/// reads only while open gets them all.
///
/// The socket can be connected again when it is closed, also inside the handlers of `closed` and
/// `failed`. A socket that is freed while open sends what it has accepted and closes with code 1001, in
/// the background and within five seconds; when the game quits, within one.
#[derive(GodotClass)]
#[class(tool, init, base = RefCounted)]
pub struct FramewireSocket {
    /// The subprotocols to offer, the preferred one first.
    #[var]
    pub supported_protocols: PackedStringArray,
    /// Header fields to add to the upgrade request, each as `"Name: value"`. `User-Agent: Framewire/` with
    /// the version is sent unless there is one here.
    #[var]
    pub handshake_headers: PackedStringArray,
    /// The `Origin` header field; empty for none.
    #[var]
    pub origin: GString,
    /// How many bytes may wait for `get_packet()` before `poll()` takes no more from the network, at
    /// least 1; one message of any size always fits. See `max_message_size` for what is refused.
    #[var]
    #[init(val = 4194304)]
    pub inbound_buffer_size: i64,
    /// How many bytes may wait to be sent. Past it sends return `ERR_OUT_OF_MEMORY` and queue
    /// nothing; it may be exceeded by one message.
    #[var(set = set_outbound_buffer_size)]
    #[init(val = 67108864)]
    pub outbound_buffer_size: i64,
    /// How many packets may wait for `get_packet()` before `poll()` takes no more from the
    /// network, at least 1. None is dropped for that: the server has to wait.
    #[var]
    #[init(val = 4096)]
    pub max_queued_packets: i64,
    /// Seconds between two pings; 0 for none. A connection on which a ping stays unanswered, and
    /// nothing else comes either, ends with `failed` after `heartbeat_timeout`.
    #[var(set = set_heartbeat_interval)]
    pub heartbeat_interval: f64,
    /// Seconds that a ping may stay unanswered with nothing at all received since; 0 for as long
    /// as `heartbeat_interval`.
    #[var(set = set_heartbeat_timeout)]
    pub heartbeat_timeout: f64,
    /// The largest message that is accepted, in bytes. A larger one ends the connection with
    /// close code 1009 and `failed`.
    #[var]
    #[init(val = 67108864)]
    pub max_message_size: i64,
    /// Messages larger than this go out as several fragments, in bytes.
    #[var(set = set_max_fragment_size)]
    #[init(val = 32767)]
    pub max_fragment_size: i64,
    /// Offers permessage-deflate (RFC 7692): messages of 256 bytes and more are compressed if the
    /// server agrees.
    #[var]
    #[init(val = true)]
    pub compression: bool,
    /// Seconds for all of connecting: name resolution, TCP, TLS and upgrade.
    #[var]
    #[init(val = 20.0)]
    pub connect_timeout: f64,
    /// Seconds for the closing handshake.
    #[var]
    #[init(val = 5.0)]
    pub close_timeout: f64,
    /// Which version of HTTP to begin with: 0 for HTTP/2 (RFC 8441) with `wss` servers that have it, else
    /// HTTP/1.1; 1 and 2 for these alone. `get_http_version()` says which one it became.
    #[var]
    pub requested_http_version: i64,
    /// The proxy on the way to the server: `http://user:password@host:3128`, or with `https`, `socks5`
    /// or `socks5h`. Empty for what the environment says (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`), `"none"` for none.
    #[var]
    pub proxy: GString,
    /// How many redirects one `connect_to_url()` may follow, never from `wss` to `ws`.
    #[var]
    pub max_redirects: i64,
    /// Keeps the cookies that servers set for as long as the connection is tried, and sends them back.
    #[var]
    pub keep_cookies: bool,
    /// Tries again when the connection is lost, or could not be made, and that may help. The signal
    /// `reconnecting` comes before each try, `closed` or `failed` once at the end. Meanwhile the state is
    /// `STATE_CONNECTING`.
    #[var]
    pub reconnect: bool,
    /// Seconds before a try at least. The delays are random, their upper end doubles with each try in a
    /// row.
    #[var]
    #[init(val = 0.25)]
    pub reconnect_min_delay: f64,
    /// Seconds before a try at most.
    #[var]
    #[init(val = 30.0)]
    pub reconnect_max_delay: f64,
    /// Tries in a row before it ends with `failed`; 0 for no end.
    #[var]
    pub reconnect_max_attempts: i64,
    /// Lets what is sent while the socket is connecting wait for the connection, up to
    /// `outbound_buffer_size`; otherwise it is refused.
    #[var]
    pub reconnect_queue_sends: bool,
    /// The largest result of `put_var()`, in bytes.
    #[var]
    #[init(val = 8388608)]
    pub encode_buffer_max_size: i64,
    /// Certificates to trust besides `tls_roots`, as PEM: as authorities, and each as the server's own, even
    /// if it is marked as a CA's (`openssl req -x509`).
    #[var]
    pub tls_ca_pem: GString,
    /// Which certificate authorities are trusted: one of the `TLS_ROOTS_*` constants.
    #[var]
    pub tls_roots: i64,
    /// SHA-256 hashes of public keys (SubjectPublicKeyInfo) in Base64. If there are any, only
    /// servers with one of those keys are accepted.
    #[var]
    pub tls_pins: PackedStringArray,
    /// The certificate to show to servers that ask for one, as PEM.
    #[var]
    pub tls_client_cert_pem: GString,
    /// The private key of `tls_client_cert_pem`, as PEM.
    #[var]
    pub tls_client_key_pem: GString,
    /// Accepts any certificate. Never ship a game with it.
    #[var]
    pub tls_insecure: bool,

    pub(crate) authorization: Option<Authorization>,
    pub(crate) link: Link,
    pub(crate) tls_cache: TlsCache,
    /// The node that polls this socket; its signals are emitted too.
    pub(crate) node: Option<InstanceId>,
    base: Base<RefCounted>,
}

pub(crate) enum Authorization {
    Basic { user: String, password: String },
    Bearer(String),
}

/// The connection as the script sees it: it lags behind the real one by what was not polled.
pub(crate) struct Link {
    pub socket: Option<Socket>,
    pub state: i64,
    pub url: String,
    pub host: String,
    pub port: i64,
    pub protocol: String,
    pub close_code: i64,
    pub close_reason: String,
    pub last_error: VarDictionary,
    pub inbox: Inbox,
    pub packet_error: GodotError,
    pub was_text: bool,
    /// The end of the connection, while packets that came before it are being read.
    pub held_end: Option<EventKind>,
    /// Whether the library was asked for fragments.
    pub fragments: bool,
    pub warned_of_full_inbox: bool,
}

impl Default for Link {
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
            inbox: Inbox::default(),
            packet_error: GodotError::OK,
            was_text: false,
            held_end: None,
            fragments: false,
            warned_of_full_inbox: false,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            // As at the end of a game: what a script has sent should arrive. After a shutdown the socket
            // is gone already, which is as good.
            let _ = socket.destroy_when_sent(FAREWELL_TIMEOUT);
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
    /// The script called `close()`, and the closing handshake goes on.
    #[constant]
    pub const STATE_CLOSING: i64 = 2;
    /// Not connected, or no longer.
    #[constant]
    pub const STATE_CLOSED: i64 = 3;
    /// The message is text, which must be valid UTF-8.
    #[constant]
    pub const WRITE_MODE_TEXT: i64 = 0;
    /// The message is binary.
    #[constant]
    pub const WRITE_MODE_BINARY: i64 = 1;
    /// Mozilla's certificate authorities, which the library contains. The default.
    #[constant]
    pub const TLS_ROOTS_WEBPKI: i64 = 0;
    /// The certificate authorities of the operating system.
    #[constant]
    pub const TLS_ROOTS_PLATFORM: i64 = 1;
    /// No certificates but those of `tls_ca_pem`, or with a key of `tls_pins`.
    #[constant]
    pub const TLS_ROOTS_NONE: i64 = 2;

    /// The connection is open: messages can be sent.
    #[signal]
    pub fn opened();
    /// A text message came.
    #[signal]
    pub fn text_received(text: GString);
    /// A binary message came.
    #[signal]
    pub fn binary_received(data: PackedByteArray);
    /// A part of a message of several fragments came. While anything is connected to this signal
    /// such messages are neither assembled nor stored: they come only here, piece by piece.
    /// Messages of one frame come as usual.
    #[signal]
    pub fn fragment_received(data: PackedByteArray, is_text: bool, is_first: bool, is_final: bool);
    /// An answer to a ping came, with the ping's payload; answers to the heartbeat come here too.
    #[signal]
    pub fn pong_received(data: PackedByteArray);
    /// The connection was lost, or could not be made, and is tried again in `delay` seconds, for the
    /// `attempt`th time in a row: see `reconnect`. `reason` is the whole story in words. `close()` ends
    /// it.
    #[signal]
    pub fn reconnecting(attempt: i64, delay: f64, reason: GString);
    /// The connection ended by a closing handshake, or by the script. `code` is the close code:
    /// 1005 if the server gave none, 1006 if the handshake was cut short.
    #[signal]
    pub fn closed(code: i64, reason: GString);
    /// The connection could not be made, was lost, or the server broke the protocol. `phase` is
    /// how far it had come (`"resolve"`, `"connect"`, `"proxy"`, `"tls"`, `"upgrade"`, `"open"`,
    /// `"closing"`), `status` the HTTP status of a refused upgrade or 0, `reason` the whole story
    /// in words, and `retriable` whether trying again later may help. `get_last_error()` has more.
    #[signal]
    pub fn failed(phase: GString, status: i64, reason: GString, retriable: bool);

    /// Says that the device has another network than before, or may have: every open connection is
    /// pinged, and ends, or is tried again, if nothing comes back within 3 seconds.
    #[func]
    pub fn network_changed() {
        framewire::network_changed();
    }

    /// Says that the app is about to sleep (`NOTIFICATION_APPLICATION_PAUSED`): until `resume()` no
    /// pings are sent and nothing is too late.
    #[func]
    pub fn suspend() {
        framewire::suspend();
    }

    /// Says that the app is awake again (`NOTIFICATION_APPLICATION_RESUMED`): time goes on, and every
    /// connection is looked at as by `network_changed()`.
    #[func]
    pub fn resume() {
        framewire::resume();
    }

    /// Takes what has happened since the last call: emits the signals, queues the packets,
    /// updates the state. Call it once a frame.
    #[func(gd_self)]
    pub fn poll(this: Gd<Self>) {
        polling::poll(&this, 0);
    }

    /// As `poll()`, but stops when `budget_usec` microseconds have passed; what is left waits for
    /// the next call. 0 is no limit. A negative budget, which is what remains of a frame that took too
    /// long, takes one event at most.
    #[func(gd_self)]
    pub fn poll_within(this: Gd<Self>, budget_usec: i64) {
        polling::poll(&this, budget_usec);
    }

    // Properties that can change while connected; the setters must be in this block. A value that the
    // connection refuses is not kept.

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
