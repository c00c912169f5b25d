//! What this build of the library can do: it depends on cargo features, and on the platform.
//!
//! The only place that knows what a browser lacks. Functions ask [`require`] before they change anything.

use crate::error::{CallError, Code};

/// A part of the API that some builds lack, numbered as in the C ABI (`FW_CAPABILITY_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Capability {
    /// Header fields of the upgrade request, authentication, and the response.
    Headers = 1 << 0,
    /// A cookie jar of the socket.
    Cookies = 1 << 1,
    /// Redirects are followed.
    Redirects = 1 << 2,
    /// Proxies are chosen by the program.
    Proxy = 1 << 3,
    /// `wss:` URLs.
    Tls = 1 << 4,
    /// TLS settings: certificates, pins, verification.
    TlsSettings = 1 << 5,
    /// The HTTP version is chosen by the program.
    HttpVersion = 1 << 6,
    /// WebSocket over HTTP/2 (RFC 8441).
    Http2 = 1 << 7,
    /// Compression can be configured and disabled.
    CompressionSettings = 1 << 8,
    /// Extensions of the program.
    Extensions = 1 << 9,
    /// Messages are received and sent in fragments.
    Fragments = 1 << 10,
    /// Pings, pongs and round-trip times.
    Ping = 1 << 11,
    /// Close codes other than 1000 and 3000 to 4999 can be sent.
    CloseCodes = 1 << 12,
    /// A full event queue makes the server wait.
    Backpressure = 1 << 13,
    /// Callbacks on worker threads.
    WorkerDispatch = 1 << 14,
    /// [`wait`](crate::wait) blocks until there is an event.
    Wait = 1 << 15,
    /// [`android_init`](crate::android_init), on Android.
    Android = 1 << 16,
    /// A simulated network link: [`set_link`](crate::set_link).
    Link = 1 << 17,
    /// Traffic is captured to a file: [`set_capture`](crate::set_capture).
    Capture = 1 << 18,
}

/// A set of [`Capability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u32);

impl Capabilities {
    /// Returns whether the set contains a capability.
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & capability as u32 != 0
    }

    /// Returns the bits, as in the C ABI.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Returns the capabilities of this build.
pub const fn capabilities() -> Capabilities {
    let (mut bits, mut at) = (0, 0);
    while at < ROWS.len() {
        if ROWS[at].available {
            bits |= ROWS[at].capability as u32;
        }
        at += 1;
    }
    Capabilities(bits)
}

/// Returns [`Code::NotSupported`] with the reason if this build lacks the capability.
pub fn require(capability: Capability) -> Result<(), CallError> {
    if capabilities().contains(capability) {
        return Ok(());
    }
    let row = ROWS.iter().find(|row| row.capability == capability);
    Err(CallError::new(Code::NotSupported, row.map_or("not supported by this build", |row| row.refusal)))
}

struct Row {
    capability: Capability,
    available: bool,
    /// The reason why it is not available.
    refusal: &'static str,
}

const BROWSER: bool = cfg!(target_family = "wasm");

/// Available everywhere but in browsers.
const fn native(capability: Capability, refusal: &'static str) -> Row {
    Row { capability, available: !BROWSER, refusal }
}

/// Available with a cargo feature, but not in browsers.
const fn feature(
    capability: Capability,
    enabled: bool,
    in_browser: &'static str,
    without: &'static str,
) -> Row {
    let refusal = if BROWSER { in_browser } else { without };
    Row { capability, available: enabled && !BROWSER, refusal }
}

const NO_TLS: &str = "this build of the library has no TLS (feature `tls`)";

const ROWS: &[Row] = &[
    native(Capability::Headers, "a browser lets no page read or change the header fields of a WebSocket"),
    native(Capability::Cookies, "a browser sends and stores cookies itself"),
    native(Capability::Redirects, "a browser follows no redirects of a WebSocket"),
    native(Capability::Proxy, "a browser chooses the proxy itself"),
    Row { capability: Capability::Tls, available: BROWSER || cfg!(feature = "tls"), refusal: NO_TLS },
    feature(
        Capability::TlsSettings,
        cfg!(feature = "tls"),
        "a browser lets no page change how certificates are verified",
        NO_TLS,
    ),
    native(Capability::HttpVersion, "a browser chooses the HTTP version itself"),
    feature(
        Capability::Http2,
        cfg!(feature = "http2"),
        "a browser chooses the HTTP version itself",
        "this build of the library has no HTTP/2 (feature `http2`)",
    ),
    native(Capability::CompressionSettings, "a browser negotiates compression itself"),
    native(Capability::Extensions, "a browser lets no page see frames, so it runs no extensions"),
    native(Capability::Fragments, "a browser lets no page see or choose the fragments of a message"),
    native(Capability::Ping, "a browser lets no page send pings or see pongs"),
    native(Capability::CloseCodes, "a browser lets a page send only the close codes 1000 and 3000 to 4999"),
    native(Capability::Backpressure, "a browser receives messages whether they are read or not"),
    native(Capability::WorkerDispatch, "there are no worker threads in a browser; callbacks run in a poll"),
    native(Capability::Wait, "a page must not block"),
    Row {
        capability: Capability::Android,
        available: cfg!(target_os = "android"),
        refusal: "only Android has a Java VM to hand over",
    },
    native(
        Capability::Link,
        "a browser makes the connections itself, so no link can be simulated below them",
    ),
    native(Capability::Capture, "a browser lets no page see frames; its developer tools show them"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_decide_what_a_native_build_can_do() {
        let expected = |capability| match capability {
            Capability::Tls | Capability::TlsSettings => cfg!(feature = "tls"),
            Capability::Http2 => cfg!(feature = "http2"),
            Capability::Android => cfg!(target_os = "android"),
            _ => true,
        };
        let mut bits = 0;
        for (at, row) in ROWS.iter().enumerate() {
            assert_eq!(row.capability as u32, 1 << at, "in the order of their numbers");
            assert_eq!(
                capabilities().contains(row.capability),
                expected(row.capability),
                "{:?}",
                row.capability
            );
            let required = require(row.capability);
            match expected(row.capability) {
                true => bits |= row.capability as u32,
                false => assert_eq!(required.clone().unwrap_err().message, row.refusal),
            }
            assert_eq!(required.is_ok(), expected(row.capability));
        }
        assert_eq!(capabilities().bits(), bits);
    }
}
