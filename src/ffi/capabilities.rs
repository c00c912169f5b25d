//! What this build of the library can do.

use super::guard::guard_or;
use crate::client;

/// Parts of the API that some builds lack: those without a cargo feature, those for browsers, and
/// those for other systems than Android.
/// Flags that combine with |; new ones may be added.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_capability {
    /// Header fields of the upgrade request, authentication, and the response.
    FW_CAPABILITY_HEADERS = 1,
    /// fw_socket_set_cookies
    FW_CAPABILITY_COOKIES = 2,
    /// fw_socket_set_max_redirects
    FW_CAPABILITY_REDIRECTS = 4,
    /// fw_socket_set_proxy
    FW_CAPABILITY_PROXY = 8,
    /// wss: URLs
    FW_CAPABILITY_TLS = 16,
    /// fw_tls_create and fw_socket_set_tls
    FW_CAPABILITY_TLS_SETTINGS = 32,
    /// fw_socket_set_http_version
    FW_CAPABILITY_HTTP_VERSION = 64,
    /// WebSocket over HTTP/2 (RFC 8441), if the library makes the connection.
    FW_CAPABILITY_HTTP2 = 128,
    /// fw_socket_set_compression, and messages that are sent uncompressed.
    FW_CAPABILITY_COMPRESSION_SETTINGS = 256,
    /// fw_socket_add_extension
    FW_CAPABILITY_EXTENSIONS = 512,
    /// fw_socket_on_incomplete_frame and fw_socket_set_max_fragment_size
    FW_CAPABILITY_FRAGMENTS = 1024,
    /// Pings, keepalive, pongs and the latency.
    FW_CAPABILITY_PING = 2048,
    /// Close codes other than 1000 and 3000 to 4999 can be sent.
    FW_CAPABILITY_CLOSE_CODES = 4096,
    /// A full event queue stops the server (backpressure).
    FW_CAPABILITY_BACKPRESSURE = 8192,
    /// FW_DISPATCH_WORKER
    FW_CAPABILITY_WORKER_DISPATCH = 16384,
    /// fw_wait waits.
    FW_CAPABILITY_WAIT = 32768,
    /// fw_android_init
    FW_CAPABILITY_ANDROID = 65536,
    /// fw_socket_set_link
    FW_CAPABILITY_LINK = 131072,
    /// fw_socket_set_capture
    FW_CAPABILITY_CAPTURE = 262144,
}

/// Returns what the loaded library can do.
///
/// A function that needs something else returns NOT_SUPPORTED and has no effect.
///
/// \returns Values of fw_capability, combined with |.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_capabilities() -> u32 {
    guard_or(0, || Ok(client::capabilities().bits()))
}

#[cfg(test)]
mod tests {
    use super::fw_capability::*;
    use super::*;
    use crate::client::Capability as Rust;

    #[test]
    fn numbers_are_those_of_the_rust_api() {
        let pairs = [
            (FW_CAPABILITY_HEADERS, Rust::Headers),
            (FW_CAPABILITY_COOKIES, Rust::Cookies),
            (FW_CAPABILITY_REDIRECTS, Rust::Redirects),
            (FW_CAPABILITY_PROXY, Rust::Proxy),
            (FW_CAPABILITY_TLS, Rust::Tls),
            (FW_CAPABILITY_TLS_SETTINGS, Rust::TlsSettings),
            (FW_CAPABILITY_HTTP_VERSION, Rust::HttpVersion),
            (FW_CAPABILITY_HTTP2, Rust::Http2),
            (FW_CAPABILITY_COMPRESSION_SETTINGS, Rust::CompressionSettings),
            (FW_CAPABILITY_EXTENSIONS, Rust::Extensions),
            (FW_CAPABILITY_FRAGMENTS, Rust::Fragments),
            (FW_CAPABILITY_PING, Rust::Ping),
            (FW_CAPABILITY_CLOSE_CODES, Rust::CloseCodes),
            (FW_CAPABILITY_BACKPRESSURE, Rust::Backpressure),
            (FW_CAPABILITY_WORKER_DISPATCH, Rust::WorkerDispatch),
            (FW_CAPABILITY_WAIT, Rust::Wait),
            (FW_CAPABILITY_ANDROID, Rust::Android),
            (FW_CAPABILITY_LINK, Rust::Link),
            (FW_CAPABILITY_CAPTURE, Rust::Capture),
        ];
        for (c, rust) in pairs {
            assert_eq!(c as u32, rust as u32);
            assert_eq!(fw_capabilities() & c as u32 != 0, client::capabilities().contains(rust));
        }
        assert_eq!(fw_capabilities() >> pairs.len(), 0);
    }
}
