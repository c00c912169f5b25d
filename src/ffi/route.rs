//! On which way the server is reached.

use std::ffi::c_char;

use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::string;

/// Sets the proxy on the way to the server.
///
/// By default the environment is asked when the socket opens: HTTP_PROXY for ws, HTTPS_PROXY for wss,
/// ALL_PROXY for both, also in lower case, which wins; NO_PROXY lists hosts that are reached without.
/// HTTP proxies are asked to CONNECT, for ws and wss alike. socks5 resolves the server's name here,
/// socks5h leaves it to the proxy. https speaks TLS to the proxy itself, with the roots and authorities
/// of the socket's TLS settings, but without their pins and client certificate. What fails at the proxy
/// ends in the event error with FW_PHASE_PROXY; its time counts for the connect timeout, and in fw_stats
/// for connect_us.
///
/// socket: the socket, closed.
/// url: NUL-terminated http, https, socks5 or socks5h URL such as "http://user:password@host:3128",
///   copied; NULL for the environment, "" for no proxy.
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
