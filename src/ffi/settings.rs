//! Settings of a socket.

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

/// The HTTP version of the upgrade.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_http {
    /// The default. For wss, HTTP/2 where the server supports WebSockets over it (RFC 8441), else
    /// HTTP/1.1; for ws, HTTP/1.1.
    FW_HTTP_AUTO = 0,
    /// HTTP/1.1.
    FW_HTTP_1 = 1,
    /// HTTP/2 only; for ws with prior knowledge (no upgrade).
    FW_HTTP_2 = 2,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_http {}

/// Sets the Origin header field of the upgrade request.
///
/// Some servers require it. Replaces an Origin set before, also by fw_socket_add_header.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
///
/// \param socket The socket, closed.
/// \param origin NUL-terminated visible ASCII such as `https://example.org`, copied; "" (the
///   default) for none.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal value, more than 64 header
///   fields, or 32 KiB of names and values in total); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_origin(socket: fw_socket, origin: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let origin = unsafe { string(origin, "origin") }?;
        socket.set_origin(Some(origin))
    })
}

/// Offers a subprotocol.
///
/// May be called several times; the server selects at most one, see fw_socket_protocol.
///
/// \param socket The socket, closed.
/// \param protocol NUL-terminated token (letters, digits and ``!#$%&'*+-.^_`|~``), copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a token, or already offered); TOO_LARGE
///   (more than 64, or 32 KiB in total); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_add_protocol(socket: fw_socket, protocol: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let protocol = unsafe { string(protocol, "protocol") }?;
        socket.add_protocol(protocol)
    })
}

/// Adds a header field to the upgrade request.
///
/// A field with the same name is added again, except Authorization, Origin and User-Agent, which
/// are replaced. The default User-Agent is "Framewire/" and the version, also for an HTTP proxy;
/// fw_request_remove_header removes it.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
///
/// \param socket The socket, closed.
/// \param name NUL-terminated token, copied. Refused are Host, Connection, Upgrade, Content-Length,
///   Transfer-Encoding, TE, Trailer, Keep-Alive, Proxy-Connection, Expect, HTTP2-Settings and all
///   that begin with Sec-WebSocket-.
/// \param value NUL-terminated visible ASCII, spaces and tabs inside, copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal field, a refused name,
///   more than 64 fields, or 32 KiB of names and values in total); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_add_header(
    socket: fw_socket,
    name: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let name = unsafe { string(name, "name") }?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let value = unsafe { string(value, "value") }?;
        socket.add_header(name, value)
    })
}

/// Sets basic authentication for the upgrade request (RFC 7617).
///
/// Replaces any other authorization, also that in the URL. Not encrypted over ws.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
///
/// \param socket The socket, closed.
/// \param user NUL-terminated UTF-8 without colons and control characters, copied.
/// \param password NUL-terminated UTF-8 without control characters, copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not as above, or more header fields
///   than fw_socket_add_header accepts); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_basic_auth(
    socket: fw_socket,
    user: *const c_char,
    password: *const c_char,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let user = unsafe { string(user, "user") }?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let password = unsafe { string(password, "password") }?;
        socket.set_basic_auth(user, password)
    })
}

/// Sets a bearer token for the upgrade request (RFC 6750).
///
/// Replaces any other authorization. Not encrypted over ws.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
///
/// \param socket The socket, closed.
/// \param token NUL-terminated letters, digits and `-._~+/=:`, not empty, copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not as above, or more header fields
///   than fw_socket_add_header accepts); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_bearer_auth(socket: fw_socket, token: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let token = unsafe { string(token, "token") }?;
        socket.set_bearer_auth(token)
    })
}

/// Sets the size above which messages are sent as several frames.
///
/// Control frames are sent between fragments. Applies to messages sent from now on.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_FRAGMENTS).
///
/// \param socket The socket, in any state.
/// \param bytes 16 to 2 GiB less one; default 32767.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_fragment_size(socket: fw_socket, bytes: usize) -> fw_result {
    guard(|| socket.get()?.set_max_fragment_size(bytes))
}

/// Sets the HTTP version of the upgrade.
///
/// Over HTTP/2, sockets with the same server and the same fw_tls share connections. When all
/// streams that the server allows (SETTINGS_MAX_CONCURRENT_STREAMS) are in use, another connection
/// is made; while the server allows none yet, sockets wait up to the connect timeout.
///
/// With FW_HTTP_AUTO, the request is retried once over HTTP/1.1, at once, when
/// - the server does not support WebSockets over HTTP/2 (RFC 8441 section 3);
/// - it resets the stream with PROTOCOL_ERROR or HTTP_1_1_REQUIRED, or twice with another code;
/// - it responds 400, 405, 421, 426, 501, 505, or another 5xx without Retry-After, as gateways do
///   that announce WebSockets over HTTP/2 and have an HTTP/1.1 backend.
///
/// internal_request_created is called again before the retry. Other responses such as 401, 403,
/// 404, 407 and 429 are final, as over HTTP/1.1. If HTTP/1.1 succeeds, it is used for this server
/// for the next ten minutes, and whenever this socket reconnects. With FW_HTTP_2 all of these end
/// in the event error. One attempt makes at most three connections: HTTP/2, HTTP/2 again if the
/// first was lost before the response, and HTTP/1.1.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HTTP_VERSION).
///
/// \param socket The socket, closed.
/// \param version Default FW_HTTP_AUTO.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (not in fw_http); INVALID_STATE (not closed);
///   NOT_SUPPORTED (FW_HTTP_2 in a build without it).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_http_version(socket: fw_socket, version: MaybeUninit<fw_http>) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        socket.set_http_version(match number(version) {
            0 => HttpVersion::Auto,
            1 => HttpVersion::Http1,
            2 => HttpVersion::Http2,
            other => return Err(CallError::argument(format!("{other} is not a value of fw_http"))),
        })
    })
}

/// Sets the maximum size of a received message, after decompression.
///
/// A larger one ends the connection with close code 1009 and the event error.
///
/// In browsers, a larger message is in memory before it is refused, and the close frame has no
/// code.
///
/// \param socket The socket, closed.
/// \param bytes 1 to 2 GiB less one; default 64 MiB (67108864).
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_message_size(socket: fw_socket, bytes: usize) -> fw_result {
    guard(|| socket.get()?.set_max_message_size(bytes))
}

/// Enables keepalive pings (a heartbeat).
///
/// They also measure fw_socket_latency_us. The worker thread sends them; no thread is started.
/// Without them only TCP detects a dead peer, within 20 to 30 seconds.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
///
/// \param socket The socket, in any state.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_start_ping_thread(socket: fw_socket, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| socket.get()?.set_start_ping_thread(bool_from_c(enable)))
}

/// Sets the interval of keepalive pings.
///
/// Effective with fw_socket_set_start_ping_thread. The pings of all sockets are aligned to multiples
/// of their interval, so that they need one wakeup together; the first one may follow sooner than one
/// interval.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
///
/// \param socket The socket, in any state.
/// \param milliseconds At least 10; default 1000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (less than 10).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_ping_frequency(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_ping_frequency(milliseconds))
}

/// Sets the keepalive timeout: how long a ping may stay unanswered while nothing else is received.
///
/// After it the connection ends with the event error and FW_ERROR_KIND_PING_TIMEOUT. Effective with
/// fw_socket_set_start_ping_thread.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
///
/// \param socket The socket, in any state.
/// \param milliseconds At least 1; default 2000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (0).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_close_after_no_message(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_close_after_no_message(milliseconds))
}

/// Sets the timeout from fw_socket_open to the event open.
///
/// Includes name resolution, TCP, proxy, TLS, redirects and upgrade. After it the event error
/// follows with FW_ERROR_KIND_TIMED_OUT and the phase that timed out.
///
/// \param socket The socket, closed.
/// \param milliseconds At least 1; default 20000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_connect_timeout(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_connect_timeout(milliseconds))
}

/// Sets the timeout of the closing handshake.
///
/// After it the event closed follows with code 1006.
///
/// \param socket The socket, closed.
/// \param milliseconds At least 1; default 5000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_close_timeout(socket: fw_socket, milliseconds: u32) -> fw_result {
    guard(|| socket.get()?.set_close_timeout(milliseconds))
}

/// Sets the TLS settings for wss: URLs.
///
/// Sockets with the same fw_tls share its session cache and resume sessions faster. The socket
/// keeps the settings alive; later changes apply when it is opened again. By default all sockets
/// share settings with webpki roots and verification on.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_TLS_SETTINGS).
///
/// \param socket The socket, closed.
/// \param tls The settings.
/// \returns OK; INVALID_HANDLE (either handle); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_tls(socket: fw_socket, tls: fw_tls) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        socket.set_tls(Some(&tls.get()?))
    })
}

/// Sets a key and value that are added to every log line of the socket.
///
/// For example a match or player ID. Replaces the value of the same key.
///
/// \param socket The socket, in any state.
/// \param key NUL-terminated UTF-8 of 1 to 64 bytes, copied.
/// \param value NUL-terminated UTF-8 of at most 256 bytes, copied; "" removes the key.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or too long); TOO_LARGE (more than 32
///   keys).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_context(
    socket: fw_socket,
    key: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises NUL-terminated strings or NULL.
        let (key, value) = unsafe { (string(key, "key")?, string(value, "value")?) };
        socket.set_context(key, Some(value).filter(|value| !value.is_empty()))
    })
}
