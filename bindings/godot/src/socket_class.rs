//! The class `FramewireSocket` for Godot: all its members.

use crate::gdextension::{Base, Class, Members};
use crate::members::constants;
use crate::socket::FramewireSocket;
use crate::{
    capture, connecting, lanes, link, log_lines, packets, polling, properties, signals, status, totals,
};

constants! {
    CONSTANTS:
    /// Not connected yet.
    STATE_CONNECTING = FramewireSocket::STATE_CONNECTING;
    /// Connected: messages can be sent.
    STATE_OPEN = FramewireSocket::STATE_OPEN;
    /// `close()` was called and the closing handshake is in progress.
    STATE_CLOSING = FramewireSocket::STATE_CLOSING;
    /// Not connected.
    STATE_CLOSED = FramewireSocket::STATE_CLOSED;
    /// A text message, which must be valid UTF-8.
    WRITE_MODE_TEXT = FramewireSocket::WRITE_MODE_TEXT;
    /// A binary message.
    WRITE_MODE_BINARY = FramewireSocket::WRITE_MODE_BINARY;
    /// Mozilla's certificate authorities, built into the library. The default.
    TLS_ROOTS_WEBPKI = FramewireSocket::TLS_ROOTS_WEBPKI;
    /// The certificate authorities of the operating system. On Android, those that users install are not trusted,
    /// whatever the app's network security configuration says.
    TLS_ROOTS_PLATFORM = FramewireSocket::TLS_ROOTS_PLATFORM;
    /// Only certificates of `tls_ca_pem`, or with a key of `tls_pins`.
    TLS_ROOTS_NONE = FramewireSocket::TLS_ROOTS_NONE;
    /// The message was given to the network. The server may still not receive it.
    OUTCOME_SENT = framewire::Outcome::Sent as i64;
    /// The time to live of the message ended before it began.
    OUTCOME_EXPIRED = framewire::Outcome::Expired as i64;
    /// A newer message with the same key took its place.
    OUTCOME_REPLACED = framewire::Outcome::Replaced as i64;
    /// The connection ended first.
    OUTCOME_LOST = framewire::Outcome::Lost as i64;
    /// No log lines; see `set_log_level()`.
    LOG_OFF = framewire::LogLevel::Off as i64;
    /// A failure of the library.
    LOG_ERROR = framewire::LogLevel::Error as i64;
    /// A possible misconfiguration, such as a disabled verification.
    LOG_WARN = framewire::LogLevel::Warn as i64;
    /// Connections that fail, and retries.
    LOG_INFO = framewire::LogLevel::Info as i64;
    /// The steps of each connection.
    LOG_DEBUG = framewire::LogLevel::Debug as i64;
    /// Everything.
    LOG_TRACE = framewire::LogLevel::Trace as i64;
    /// The simulated link works.
    LINK_CUT_NONE = framewire::LinkCut::None as i64;
    /// Nothing moves in either direction, until the conditions change.
    LINK_CUT_STALL = framewire::LinkCut::Stall as i64;
    /// What is sent is lost, and nothing is received, as if the network path had disappeared: timeouts end the
    /// connection. An open connection stays so.
    LINK_CUT_HALF_OPEN = framewire::LinkCut::HalfOpen as i64;
    /// Connections are reset.
    LINK_CUT_RESET = framewire::LinkCut::Reset as i64;
    /// Connections end without a closing handshake.
    LINK_CUT_END = framewire::LinkCut::End as i64;
    /// New connections are refused. Open ones are not affected.
    LINK_CUT_REFUSE = framewire::LinkCut::Refuse as i64;
    /// Header fields of the upgrade request, authentication, and the response.
    CAPABILITY_HEADERS = framewire::Capability::Headers as i64;
    /// A cookie jar.
    CAPABILITY_COOKIES = framewire::Capability::Cookies as i64;
    /// Redirects are followed.
    CAPABILITY_REDIRECTS = framewire::Capability::Redirects as i64;
    /// Proxies are chosen by the program.
    CAPABILITY_PROXY = framewire::Capability::Proxy as i64;
    /// `wss:` URLs.
    CAPABILITY_TLS = framewire::Capability::Tls as i64;
    /// Certificates, pins and verification can be set.
    CAPABILITY_TLS_SETTINGS = framewire::Capability::TlsSettings as i64;
    /// The HTTP version is chosen by the program.
    CAPABILITY_HTTP_VERSION = framewire::Capability::HttpVersion as i64;
    /// WebSocket over HTTP/2 (RFC 8441), if the library makes the connection.
    CAPABILITY_HTTP2 = framewire::Capability::Http2 as i64;
    /// Compression can be configured and disabled.
    CAPABILITY_COMPRESSION_SETTINGS = framewire::Capability::CompressionSettings as i64;
    /// Extensions of the program.
    CAPABILITY_EXTENSIONS = framewire::Capability::Extensions as i64;
    /// Messages are received and sent in fragments.
    CAPABILITY_FRAGMENTS = framewire::Capability::Fragments as i64;
    /// Pings, keepalive, pongs and the latency.
    CAPABILITY_PING = framewire::Capability::Ping as i64;
    /// Close codes other than 1000 and 3000 to 4999 can be sent.
    CAPABILITY_CLOSE_CODES = framewire::Capability::CloseCodes as i64;
    /// A full event queue stops the server.
    CAPABILITY_BACKPRESSURE = framewire::Capability::Backpressure as i64;
    /// Callbacks on worker threads.
    CAPABILITY_WORKER_DISPATCH = framewire::Capability::WorkerDispatch as i64;
    /// Waiting for events blocks until there is one.
    CAPABILITY_WAIT = framewire::Capability::Wait as i64;
    /// The Java VM of an Android app can be handed over.
    CAPABILITY_ANDROID = framewire::Capability::Android as i64;
    /// A bad network can be simulated: `link_conditions`.
    CAPABILITY_LINK = framewire::Capability::Link as i64;
    /// Traffic can be captured: `capture_path`.
    CAPABILITY_CAPTURE = framewire::Capability::Capture as i64;
}

impl Class for FramewireSocket {
    const NAME: &'static str = "FramewireSocket";
    const PARENT: &'static str = "RefCounted";
    const IS_RUNTIME: bool = false;
    const MEMBERS: &'static Members = &Members {
        doc: DOC,
        methods: &[
            connecting::METHODS,
            packets::METHODS,
            lanes::METHODS,
            lanes::ACCESSORS,
            capture::METHODS,
            link::METHODS,
            link::ACCESSORS,
            log_lines::METHODS,
            polling::METHODS,
            status::METHODS,
            totals::METHODS,
            properties::ACCESSORS,
        ],
        virtuals: &[],
        properties: &[properties::PROPERTIES, lanes::PROPERTIES, link::PROPERTIES],
        signals: signals::OF_SOCKET,
        constants: CONSTANTS,
    };

    fn new(base: Base) -> Self {
        Self::with_base(base)
    }

    fn base(&self) -> &Base {
        &self.base
    }
}

const DOC: &str = "\
A WebSocket client with the methods, constants and properties of [WebSocketPeer], plus signals.

To migrate a script from `WebSocketPeer`, change the class name. Call `poll()` once per frame, or use
`FramewireNode`, which polls automatically. The network runs on worker threads, so no call blocks.

Properties take effect at the next `connect_to_url()`, which returns an error for an invalid value.
`heartbeat_*`, `max_fragment_size`, `outbound_buffer_size`, `lanes` and `link_conditions` also apply to an open
connection.

Signals are emitted inside `poll()`, on the thread that calls it. A message is emitted as a signal
(`text_received`, `binary_received`) if anything is connected to that signal when the message is
delivered. Otherwise it is queued for `get_packet()`. It is never delivered both ways.

Every `connect_to_url()` that returned `OK` ends with exactly one `closed` or `failed`, after all
messages that were received before. With `get_packet()`, the state remains `STATE_OPEN` while a script
keeps reading packets received before the end, so a loop that reads only while open gets all of them.

A closed socket can connect again, also inside the handlers of `closed` and `failed`. A socket that is
freed while open sends its queued messages and closes with code 1001, in the background. This takes at
most five seconds, or one second when the game quits.";
