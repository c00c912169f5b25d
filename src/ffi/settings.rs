//! What a socket is told before it opens, and a little that may change at any time.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::args::{Enumeration, bool_from_c, number};
use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::string;
use super::tls::fw_tls;
use crate::client::HttpVersion;
use crate::error::CallError;

/// Which version of HTTP a WebSocket begins with.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_http {
    /// HTTP/2 for wss where the server has WebSockets over it (RFC 8441), else HTTP/1.1: the default.
    FW_HTTP_AUTO = 0,
    /// HTTP/1.1.
    FW_HTTP_1 = 1,
    /// HTTP/2 and nothing else; for ws by prior knowledge, without asking.
    FW_HTTP_2 = 2,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_http {}

/// Sets the Origin header field of the upgrade request.
///
/// Browsers send one and some servers want it. Replaces the one set before, also by fw_socket_add_header.
///
/// socket: the socket, closed.
/// origin: NUL-terminated visible ASCII such as "https://example.org", copied; "" for none, the default.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, characters that a header may not have, or more than
///   64 header fields); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_origin(socket: fw_socket, origin: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let origin = unsafe { string(origin, "origin") }?;
        socket.set_origin(Some(origin))
    })
}

/// Offers a subprotocol.
///
/// May be called several times: the server chooses at most one of them, see fw_socket_protocol.
///
/// socket: the socket, closed.
/// protocol: NUL-terminated token (letters, digits and !#$%&'*+-.^_`|~), copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, no token, or offered already); TOO_LARGE (more than
///   64, or 32 KiB together); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_add_protocol(socket: fw_socket, protocol: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let protocol = unsafe { string(protocol, "protocol") }?;
        socket.add_protocol(protocol)
    })
}

/// Adds a header field to the upgrade request.
///
/// A name that is there already is sent twice, except Authorization, Origin and User-Agent, which a request
/// has once: the last one set is sent. Without a User-Agent of the caller's, "Framewire/" and the version is
/// sent, to an HTTP proxy too; fw_request_remove_header removes it.
///
/// socket: the socket, closed.
/// name: NUL-terminated token, copied; not one that the handshake owns, such as Host or Upgrade.
/// value: NUL-terminated visible ASCII, spaces and tabs inside, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal field, one that the handshake owns, or
///   more than 64); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_add_header(
    socket: fw_socket,
    name: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let name = unsafe { string(name, "name") }?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let value = unsafe { string(value, "value") }?;
        socket.add_header(name, value)
    })
}

/// Sends a user name and a password with the upgrade request (RFC 7617).
///
/// Replaces any other authorization, that of the URL included. Over ws: anybody on the way can read it.
///
/// socket: the socket, closed.
/// user: NUL-terminated UTF-8 without colon and control characters, copied.
/// password: NUL-terminated UTF-8 without control characters, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or not as above); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_basic_auth(
    socket: fw_socket,
    user: *const c_char,
    password: *const c_char,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let user = unsafe { string(user, "user") }?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let password = unsafe { string(password, "password") }?;
        socket.set_basic_auth(user, password)
    })
}

/// Sends a token with the upgrade request (RFC 6750).
///
/// Replaces any other authorization. Over ws: anybody on the way can read it.
///
/// socket: the socket, closed.
/// token: NUL-terminated letters, digits and -._~+/= , not empty, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or not as above); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_bearer_auth(socket: fw_socket, token: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let token = unsafe { string(token, "token") }?;
        socket.set_bearer_auth(token)
    })
}

/// Sets the size from which messages go out in several frames.
///
/// Control frames find a gap between them. Holds for messages sent from now on.
///
/// socket: the socket, in any state.
/// bytes: 16 to 2 GiB less one; default 32767.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_fragment_size(socket: fw_socket, bytes: usize) -> fw_result {
    guard(|| socket.get()?.set_max_fragment_size(bytes))
}

/// Chooses the version of HTTP that the connection begins with.
///
/// Over HTTP/2 the sockets of one server, with the same fw_tls, share connections. When all streams that
/// the server allows (SETTINGS_MAX_CONCURRENT_STREAMS) are in use, one more connection is made; while it
/// allows none yet, sockets wait on the connection there is, up to the connect timeout.
///
/// With FW_HTTP_AUTO a request that HTTP/2 did not serve is sent once more over HTTP/1.1, at once:
///   - the server has no WebSockets over HTTP/2 (RFC 8441 section 3);
///   - it resets the stream, with PROTOCOL_ERROR or HTTP_1_1_REQUIRED, or twice with another code;
///   - it answers 400, 405, 421, 426, 501, 505, or another 5xx without Retry-After: gateways do so that
///     announce WebSockets over HTTP/2 and have an HTTP/1.1 backend.
///
/// The event internal_request_created comes again. Other answers, as 401, 403, 404, 407 and 429, are
/// final as over HTTP/1.1. When HTTP/1.1 serves, that is remembered for the server for ten minutes; later
/// tries of fw_socket_set_reconnect use HTTP/1.1 too. With FW_HTTP_2 all of these are the event error.
/// One attempt to connect makes at most three connections: HTTP/2, once more where that was lost before
/// the answer, and HTTP/1.1.
///
/// socket: the socket, closed.
/// version: default FW_HTTP_AUTO.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (no such number); INVALID_STATE (not closed);
///   NOT_SUPPORTED (FW_HTTP_2 in a build without it).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_http_version(socket: fw_socket, version: MaybeUninit<fw_http>) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        socket.set_http_version(match number(version) {
            0 => HttpVersion::Auto,
            1 => HttpVersion::Http1,
            2 => HttpVersion::Http2,
            other => return Err(CallError::argument(format!("{other} is no version of HTTP"))),
        })
    })
}

/// Limits the messages that are accepted.
///
/// A larger one ends the connection with close code 1009 and the event error.
///
/// socket: the socket, closed.
/// bytes: 1 to 2 GiB less one; default 64 MiB (67108864).
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_message_size(socket: fw_socket, bytes: usize) -> fw_result {
    guard(|| socket.get()?.set_max_message_size(bytes))
}

/// Lets the library watch the connection with pings.
///
/// Also measures fw_socket_latency_us. The pings are sent by the socket's worker; no thread is started.
/// Without them a dead peer is noticed by TCP alone, within 20 to 30 seconds.
///
/// socket: the socket, in any state.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_start_ping_thread(socket: fw_socket, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| socket.get()?.set_start_ping_thread(bool_from_c(enable)))
}

/// Sets the time between two pings.
///
/// Has an effect with fw_socket_set_start_ping_thread.
///
/// socket: the socket, in any state.
/// milliseconds: at least 10; default 1000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (less than 10).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_ping_frequency(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_ping_frequency(milliseconds))
}

/// Sets how long a ping may stay unanswered while nothing else comes either.
///
/// Past it the event error comes, with FW_ERROR_KIND_PING_TIMEOUT. Has an effect with
/// fw_socket_set_start_ping_thread.
///
/// socket: the socket, in any state.
/// milliseconds: at least 1; default 2000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (0).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_close_after_no_message(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_close_after_no_message(milliseconds))
}

/// Limits the time from fw_socket_open to the event open.
///
/// Runs over name resolution, TCP, TLS and upgrade. Past it the event error comes, with
/// FW_ERROR_KIND_TIMED_OUT and the phase in which it hung.
///
/// socket: the socket, closed.
/// milliseconds: at least 1; default 20000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_connect_timeout(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_connect_timeout(milliseconds))
}

/// Limits the time from the close frame to the end of the connection.
///
/// Past it the event closed comes, with code 1006.
///
/// socket: the socket, closed.
/// milliseconds: at least 1; default 5000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_close_timeout(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_close_timeout(milliseconds))
}

/// Gives the socket TLS settings of the caller's own.
///
/// They have an effect with wss: URLs. Sockets that share them share their session cache and resume
/// faster. The socket keeps them alive; later changes reach it when it opens again. Without this call
/// all sockets share the default settings: webpki roots, verification on.
///
/// socket: the socket, closed.
/// tls: the settings.
/// Returns: OK; INVALID_HANDLE (either); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_tls(socket: fw_socket, tls: fw_tls) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        socket.set_tls(Some(&tls.get()?))
    })
}

/// Sets a pair that goes with every log line of the socket.
///
/// Such as a match or a player, to find one connection among many. Replaces the value of that key.
///
/// socket: the socket, in any state.
/// key: NUL-terminated UTF-8 of 1 to 64 bytes, copied.
/// value: NUL-terminated UTF-8 of at most 256 bytes, copied; "" removes the pair.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or too long); TOO_LARGE (more than 32 pairs).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_context(
    socket: fw_socket,
    key: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises NUL-terminated texts, or NULL.
        let (key, value) = unsafe { (string(key, "key")?, string(value, "value")?) };
        socket.set_context(key, Some(value).filter(|value| !value.is_empty()))
    })
}
