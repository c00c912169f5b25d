//! Proxies, redirects and cookies.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::args::bool_from_c;
use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::string;

/// Sets the proxy.
///
/// By default the environment variables are read when the socket opens: HTTP_PROXY for ws,
/// HTTPS_PROXY for wss, ALL_PROXY for both; lower-case names take precedence. NO_PROXY lists hosts
/// that are connected to directly: names, addresses, and CIDR blocks such as 10.0.0.0/8, which
/// match literal addresses. A variable that is not usable is ignored with a warning in the log.
///
/// HTTP proxies are used with CONNECT, for ws and wss. With socks5 the server's name is resolved
/// locally, with socks5h and socks by the proxy. With https the connection to the proxy uses TLS,
/// with the roots and certificate authorities of the socket's TLS settings, without their pins and
/// client certificate. A proxy failure ends in the event error with FW_PHASE_PROXY. The time counts
/// towards the connect timeout and connect_us of fw_stats.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PROXY).
///
/// \param socket The socket, closed.
/// \param url NUL-terminated http, https, socks5, socks5h or socks URL, such as
///   "http://user:password@host:3128", copied; without a scheme it is http, without a port 80, 443 or
///   1080. NULL (the default) for the environment, "" for no proxy.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (not UTF-8); INVALID_URL; NOT_SUPPORTED (https in
///   a build without TLS); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_proxy(socket: fw_socket, url: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        if url.is_null() {
            return socket.set_proxy(None);
        }
        // SAFETY: the caller promises a NUL-terminated string or NULL.
        let url = unsafe { string(url, "url") }?;
        socket.set_proxy(Some(url))
    })
}

/// Sets the maximum number of redirects.
///
/// Follows 301, 302, 303, 307 and 308, also with relative targets, within the connect timeout, and
/// calls internal_request_created before each. Targets are parsed as in browsers: characters that
/// are not allowed in a URL are percent-encoded. A redirect from wss to ws is never followed. A
/// redirect that is not followed ends in the event error with its status; fw_socket_url returns the
/// last URL used.
///
/// User and password of the URL, Authorization, Cookie and Proxy-Authorization are sent to the same
/// origin, and to the same host after a redirect from ws to wss. For other servers they are
/// dropped, and the error of a later 401 or 403 says so.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_REDIRECTS).
///
/// \param socket The socket, closed.
/// \param count Per fw_socket_open; default 0.
/// \returns OK; INVALID_HANDLE; INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_redirects(socket: fw_socket, count: u32) -> fw_result {
    guard(|| socket.get()?.set_max_redirects(count))
}

/// Enables cookies (RFC 6265).
///
/// Stores the cookies of upgrade responses and redirects and sends them with later requests, also
/// after reconnects and a new fw_socket_open, for the lifetime of the socket. A Cookie field of
/// fw_socket_add_header takes precedence. Keeps at most 64 cookies and 16 KiB, the newest.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_COOKIES).
///
/// \param socket The socket, closed.
/// \param enable Default false; false also deletes the stored cookies.
/// \returns OK; INVALID_HANDLE; INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_cookies(socket: fw_socket, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| socket.get()?.set_cookies(bool_from_c(enable)))
}
