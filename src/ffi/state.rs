//! What is known of a socket.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::args::pointer;
use super::guard::{guard, guard_or};
use super::names::{name_of, named};
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use super::text::{TextOut, string};
use crate::client::{State, Stats};

/// Where a socket is in its life; drawn at fw_socket.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_state {
    /// Between fw_socket_open and the event open.
    FW_STATE_CONNECTING = 0,
    /// Messages can be sent.
    FW_STATE_OPEN = 1,
    /// The closing handshake runs; messages may still come.
    FW_STATE_CLOSING = 2,
    /// Never opened, or the connection is over. Its last events may still wait to be delivered.
    FW_STATE_CLOSED = 3,
    /// Not a socket: the handle is not valid.
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

/// The name of a state, such as "FW_STATE_OPEN".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// state: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_state.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_state_name(state: MaybeUninit<fw_state>) -> *const c_char {
    name_of(state)
}

/// What a socket has done, over all of its connections; the phases are those of the last attempt.
///
/// Prepare it with fw_stats_init once; fw_socket_stats fills as much of it as struct_size says.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct fw_stats {
    /// The size of this struct in bytes, set by fw_stats_init.
    pub struct_size: u32,
    /// Bytes handed to the network after the upgrade, frame headers included.
    pub bytes_sent: u64,
    /// Bytes taken from the network after the upgrade, frame headers included.
    pub bytes_received: u64,
    /// Messages accepted for sending, those included that were lost with a connection.
    pub messages_sent: u64,
    /// Whole messages that came, those shown as fragments included.
    pub messages_received: u64,
    /// Frames handed to the network, control frames included.
    pub frames_sent: u64,
    /// Frames that came, control frames included.
    pub frames_received: u64,
    /// Pings handed to the network.
    pub pings_sent: u64,
    /// Pongs that came.
    pub pongs_received: u64,
    /// Times that a try after the first attempt (fw_socket_set_reconnect) has opened.
    pub reconnects: u64,
    /// Payload bytes sent, before compression.
    pub payload_bytes_before_compression: u64,
    /// The same after compression: equal where messages are not compressed.
    pub payload_bytes_after_compression: u64,
    /// Microseconds that name resolution took; 0 before it is done.
    pub resolve_us: u64,
    /// Microseconds that TCP took to connect; 0 before it is done.
    pub connect_us: u64,
    /// Microseconds that the TLS handshake took; 0 without TLS and before it is done.
    pub tls_us: u64,
    /// Microseconds from the upgrade request to its answer; 0 before it is there.
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

/// Where the socket is in its life.
///
/// socket: the socket.
/// Returns: the state; FW_STATE_UNKNOWN for a handle that is not valid; FW_STATE_CLOSED for a socket that
///   was never opened.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_state(socket: fw_socket) -> fw_state {
    guard_or(fw_state::FW_STATE_UNKNOWN, || Ok(socket.get()?.state().into()))
}

/// Whether messages can be sent.
///
/// socket: the socket.
/// Returns: true in FW_STATE_OPEN; false otherwise, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_is_open(socket: fw_socket) -> bool {
    guard_or(false, || Ok(socket.get()?.is_open()))
}

/// The round trip time of the pings, smoothed.
///
/// Measured by the pings of fw_socket_set_start_ping_thread.
///
/// socket: the socket.
/// Returns: microseconds; -1 before the first answer, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_latency_us(socket: fw_socket) -> i64 {
    guard_or(-1, || Ok(socket.get()?.latency_us()))
}

/// When the last message came.
///
/// socket: the socket.
/// Returns: microseconds since 1970-01-01 00:00:00 UTC; 0 for never, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_last_message_received(socket: fw_socket) -> u64 {
    guard_or(0, || Ok(socket.get()?.last_message_received()))
}

/// Copies out the subprotocol that the server chose.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 if it chose none, before the
///   event open, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_protocol(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(socket.protocol().as_bytes()))
    })
}

/// Copies out the extensions that the server accepted, as it wrote them.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 if there are none, before the
///   event open, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_extensions(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(socket.extensions().as_bytes()))
    })
}

/// The HTTP version of the upgrade.
///
/// socket: the socket.
/// Returns: 1 or 2; 0 before the server has answered, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_http_version(socket: fw_socket) -> u32 {
    guard_or(0, || Ok(socket.get()?.http_version()))
}

/// The HTTP status of the answer to the upgrade request.
///
/// Stays readable after the connection has ended, until the socket opens again.
///
/// socket: the socket.
/// Returns: 101 where the upgrade was done, else what the server said; 0 before it has answered, and for
///   a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_response_status(socket: fw_socket) -> u16 {
    guard_or(0, || Ok(socket.get()?.response_status()))
}

/// Copies out a header field of the answer to the upgrade request.
///
/// The first of that name. Stays readable as fw_socket_response_status does.
///
/// socket: the socket.
/// name: NUL-terminated, in any case; borrowed for the call.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 also if there is no such field, before
///   the server has answered, for NULL as name, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
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
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let name = unsafe { string(name, "name") }?;
        Ok(socket.response_header(name).map_or(0, |value| out.put(value.as_bytes())))
    })
}

/// Copies out the beginning of the body of a refused upgrade.
///
/// At most 1024 bytes, decoded, whatever they are: they may hold NULs. Readable when the event error
/// comes, until the socket opens again.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: how many bytes there are, 0 to 1024; 0 also for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_response_body(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(&socket.response_body()))
    })
}

/// Copies out the socket's URL.
///
/// In the form in which it is used, without user and password.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_url(socket: fw_socket, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let socket = socket.get()?;
        Ok(out.put(socket.url().as_bytes()))
    })
}

/// Prepares a struct for fw_socket_stats.
///
/// Call it first, as fw_stats_init(&stats, sizeof stats). Writes no more than struct_size
/// bytes: all zero but the size.
///
/// stats: written; NULL does nothing.
/// struct_size: sizeof(fw_stats), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_stats_init(stats: *mut fw_stats, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(stats, struct_size) }
}

/// Counts what the socket has done.
///
/// socket: the socket.
/// out: prepared with fw_stats_init; receives the numbers; not NULL.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_stats(socket: fw_socket, out: *mut fw_stats) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let out = pointer(out, "out")?;
        // SAFETY: the caller promises a struct of its struct_size.
        unsafe { sized::write(&socket.stats().into(), out) }
    })
}
