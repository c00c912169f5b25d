//! State, statistics and response of a socket.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::args::pointer;
use super::diagnostics::name_of;
use super::guard::{guard, guard_or};
use super::names::named;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use super::text::{TextOut, string};
use crate::client::{State, Stats};

/// The state of a socket; see the diagram at fw_socket.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_state {
    /// Between fw_socket_open and the event open, and while reconnecting.
    FW_STATE_CONNECTING = 0,
    /// Messages can be sent.
    FW_STATE_OPEN = 1,
    /// The closing handshake is running; messages may still be received.
    FW_STATE_CLOSING = 2,
    /// Never opened, or the connection has ended. Events may still be queued.
    FW_STATE_CLOSED = 3,
    /// Invalid handle.
    FW_STATE_UNKNOWN = 4,
}

named!(fw_state { FW_STATE_CONNECTING, FW_STATE_OPEN, FW_STATE_CLOSING, FW_STATE_CLOSED, FW_STATE_UNKNOWN });

impl From<State> for fw_state {
    fn from(state: State) -> Self {
        match state {
            State::Connecting => Self::FW_STATE_CONNECTING,
            State::Open => Self::FW_STATE_OPEN,
            State::Closing => Self::FW_STATE_CLOSING,
            State::Closed => Self::FW_STATE_CLOSED,
            State::Unknown => Self::FW_STATE_UNKNOWN,
        }
    }
}

/// Returns the name of a state, such as "FW_STATE_OPEN".
///
/// \param state Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_state.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_state_name(state: MaybeUninit<fw_state>) -> *const c_char {
    name_of(state)
}

/// Statistics of a socket over all of its connections.
///
/// Initialize it once with fw_stats_init. Durations are in microseconds, those of the last
/// connection attempt, and 0 until the phase has ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fw_stats {
    /// sizeof(fw_stats), set by fw_stats_init.
    pub struct_size: u32,
    /// Bytes sent: handshake and frame headers included, TLS not.
    pub bytes_sent: u64,
    /// Bytes received: handshake and frame headers included, TLS not.
    pub bytes_received: u64,
    /// Messages accepted for sending, including those lost with a connection; where lanes are used,
    /// those that have begun.
    pub messages_sent: u64,
    /// Complete messages received, including those delivered as fragments.
    pub messages_received: u64,
    /// Frames prepared for sending, control frames included, also those lost with a connection.
    pub frames_sent: u64,
    /// Frames received, control frames included.
    pub frames_received: u64,
    /// Pings sent.
    pub pings_sent: u64,
    /// Pongs received.
    pub pongs_received: u64,
    /// Successful retries (fw_socket_set_reconnect).
    pub reconnects: u64,
    /// Payload bytes of compressed messages, before compression; others are not counted.
    pub payload_bytes_before_compression: u64,
    /// Payload bytes of compressed messages, after compression.
    pub payload_bytes_after_compression: u64,
    /// Name resolution; 0 for an address, or a name that was looked up within 10 s.
    pub resolve_us: u64,
    /// TCP connect and proxy handshake.
    pub connect_us: u64,
    /// TLS handshake; 0 without TLS.
    pub tls_us: u64,
    /// Upgrade request to response.
    pub upgrade_us: u64,
}

sized!(
    fw_stats {
        struct_size,
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
    },
    fw_stats::default()
);

impl From<Stats> for fw_stats {
    fn from(stats: Stats) -> Self {
        Self {
            struct_size: size_of::<fw_stats>() as u32,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            messages_sent: stats.messages_sent,
            messages_received: stats.messages_received,
            frames_sent: stats.frames_sent,
            frames_received: stats.frames_received,
            pings_sent: stats.pings_sent,
            pongs_received: stats.pongs_received,
            reconnects: stats.reconnects,
            payload_bytes_before_compression: stats.payload_bytes_before_compression,
            payload_bytes_after_compression: stats.payload_bytes_after_compression,
            resolve_us: stats.resolve_us,
            connect_us: stats.connect_us,
            tls_us: stats.tls_us,
            upgrade_us: stats.upgrade_us,
        }
    }
}

/// Returns the state of the socket.
///
/// \returns The state; FW_STATE_UNKNOWN for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_state(socket: fw_socket) -> fw_state {
    guard_or(fw_state::FW_STATE_UNKNOWN, || Ok(socket.get()?.state().into()))
}

/// Returns whether messages can be sent.
///
/// \returns true in FW_STATE_OPEN; false otherwise, and for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_is_open(socket: fw_socket) -> bool {
    guard_or(false, || Ok(socket.get()?.is_open()))
}

/// Returns the smoothed round-trip time of keepalive pings.
///
/// Measured with fw_socket_set_start_ping_thread, and by the pings of fw_network_changed and
/// fw_resume.
///
/// In browsers: -1.
///
/// \returns Microseconds; -1 before the first pong, and for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_latency_us(socket: fw_socket) -> i64 {
    guard_or(-1, || Ok(socket.get()?.latency_us()))
}

/// Returns when the last message was received.
///
/// \returns Unix time in microseconds; 0 if none was received, and for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_last_message_received(socket: fw_socket) -> u64 {
    guard_or(0, || Ok(socket.get()?.last_message_received()))
}

/// Copies the subprotocol that the server selected.
///
/// \param socket The socket.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole text without the NUL; 0 if none was selected, before the event
///   open, and for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_protocol(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(socket.protocol().as_bytes()))
    })
}

/// Copies the extensions that the server accepted, as it wrote them.
///
/// \param socket The socket.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole text without the NUL; 0 if there are none, before the event
///   open, and for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_extensions(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(socket.extensions().as_bytes()))
    })
}

/// Returns the HTTP version of the upgrade.
///
/// In browsers: 0.
///
/// \returns 1 or 2; 0 before the response, and for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_http_version(socket: fw_socket) -> u32 {
    guard_or(0, || Ok(socket.get()?.http_version()))
}

/// Returns the HTTP status of the response to the upgrade request.
///
/// Available until the socket is opened again.
///
/// In browsers: 0.
///
/// \returns The status, 101 after a successful upgrade; 0 before the response, and for an invalid
///   handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_response_status(socket: fw_socket) -> u16 {
    guard_or(0, || Ok(socket.get()?.response_status()))
}

/// Copies a header field of the response to the upgrade request.
///
/// If the name occurs several times, the first one: fw_socket_response_headers() has all. Available until
/// the socket is opened again.
///
/// In browsers: 0.
///
/// \param socket The socket.
/// \param name NUL-terminated, case-insensitive; borrowed for the call.
/// \param buf Receives the value, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole value without the NUL; 0 also if there is no such field, before
///   the response, if name is NULL, and for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_response_header(
    socket: fw_socket,
    name: *const c_char,
    buf: *mut c_char,
    cap: usize,
) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let name = unsafe { string(name, "name") }?;
        Ok(socket.response_header(name).map_or(0, |value| out.put(value.as_bytes())))
    })
}

/// Copies all header fields of the response to the upgrade request.
///
/// Each field is a line "name: value" that ends with a line feed, which neither can contain. In the
/// order received; names as the server wrote them, in lower case over HTTP/2. A name can occur several
/// times (RFC 9110 section 5.2), as Set-Cookie often does. Available until the socket is opened again.
///
/// In browsers: 0.
///
/// \param socket The socket.
/// \param buf Receives the lines, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of all lines without the NUL; 0 before the response, and for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_response_headers(
    socket: fw_socket,
    buf: *mut c_char,
    cap: usize,
) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let fields = socket.get()?.response_headers();
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        Ok(out.put(lines.as_bytes()))
    })
}

/// Copies the beginning of the body of a refused upgrade.
///
/// At most 1024 bytes, decoded; they may contain NULs. Available from the event error until the
/// socket is opened again.
///
/// In browsers: 0.
///
/// \param socket The socket.
/// \param buf Receives the bytes, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The number of bytes, 0 to 1024; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_response_body(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(&socket.response_body()))
    })
}

/// Copies the socket's URL, after redirects, normalized, without user and password.
///
/// \param socket The socket.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole text without the NUL; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_url(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(socket.url().as_bytes()))
    })
}

/// Initializes a struct for fw_socket_stats with zeros.
///
/// \param stats Written to; NULL does nothing.
/// \param struct_size sizeof(fw_stats).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_stats_init(stats: *mut fw_stats, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(stats, struct_size) }
}

/// Copies the statistics of the socket.
///
/// \param socket The socket.
/// \param out Initialized with fw_stats_init; receives the numbers; not NULL.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_stats(socket: fw_socket, out: *mut fw_stats) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let out = pointer(out, "out")?;
        // SAFETY: the caller promises a struct of its struct_size.
        unsafe { sized::write(&socket.stats().into(), out) }
    })
}
