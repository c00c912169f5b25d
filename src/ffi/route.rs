//! On which way the server is reached.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::args::bool_from_c;
use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::string;

/// Sets the proxy on the way to the server.
///
/// By default the environment is asked when the socket opens: HTTP_PROXY for ws, HTTPS_PROXY for wss,
/// ALL_PROXY for both, also in lower case, which wins; NO_PROXY lists hosts that are reached without: names,
/// addresses, and CIDR blocks such as 10.0.0.0/8, which match literal addresses. A variable that cannot be
/// used is ignored, with a warning in the log.
///
/// HTTP proxies are asked to CONNECT, for ws and wss alike. socks5 resolves the server's name here, socks5h
/// leaves it to the proxy, and so does socks. https speaks TLS to the proxy itself, with the roots and
/// authorities of the socket's TLS settings, but without their pins and client certificate. What fails at
/// the proxy ends in the event error with FW_PHASE_PROXY; its time counts for the connect timeout, and in
/// fw_stats for connect_us.
///
/// socket: the socket, closed.
/// url: NUL-terminated http, https, socks5, socks5h or socks URL, such as
///   "http://user:password@host:3128", copied; NULL for the environment, "" for no proxy.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (not UTF-8); INVALID_URL (no such URL);
///   NOT_SUPPORTED (https in a build without TLS); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_proxy(socket: fw_socket, url: *const c_char) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        if url.is_null() {
            return socket.set_proxy(None);
        }
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let url = unsafe { string(url, "url") }?;
        socket.set_proxy(Some(url))
    })
}

/// Sets how many redirects are followed.
///
/// 301, 302, 303, 307 and 308 are, with relative targets too, all under the connect timeout, and the event
/// internal_request_created comes before each. Targets are read as browsers read them: what a URL must not
/// have is percent-encoded.
///
/// User and password of the URL and the header fields Authorization, Cookie and Proxy-Authorization are sent
/// to the same origin, and to the same host when it redirects from ws to wss. To any other server they are
/// not, and the error of a later 401 or 403 says so. A redirect from wss to ws is never followed. One that is
/// not followed ends in the event error with its status; fw_socket_url tells where the last went.
///
/// socket: the socket, closed.
/// count: for each fw_socket_open; 0, the default, for none.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_redirects(socket: fw_socket, count: u32) -> fw_result {
    guard(|| socket.get()?.set_max_redirects(count))
}

/// Keeps cookies that servers set, and sends them back.
///
/// As RFC 6265 says, in answers to the upgrade request and in redirects. They belong to this socket, last
/// as long as it does, and go along when it opens again. A Cookie of fw_socket_add_header wins over them.
/// At most 64 of 16 KiB together are kept, the newest.
///
/// socket: the socket, closed.
/// enable: default false; false also forgets those that were kept.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_cookies(socket: fw_socket, enable: MaybeUninit<bool>) -> fw_result {
    guard(|| socket.get()?.set_cookies(bool_from_c(enable)))
}
