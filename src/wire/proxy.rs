//! Proxies: selection from the environment, and the proxy handshake as a state machine.
//!
//! ```text
//!   environment ──► Proxy ──► ProxyHandshake ── Done ──► TLS, or the upgrade
//! ```

mod environment;
mod handshake;

pub use environment::{Environment, Found, bypasses, from_environment};
pub use handshake::{ProxyHandshake, ProxyStep};

use std::fmt;

use super::header::is_token;
use super::url::{Authority, bracketed, check_bytes, split_authority};
use crate::error::{Error, ErrorKind, Phase};

/// The protocol of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// CONNECT (RFC 9110 section 9.3.6), for `ws` and `wss` alike.
    Http,
    /// SOCKS5 (RFC 1928). With `socks5://` this side resolves the name, with `socks5h://` and `socks://` the
    /// proxy.
    Socks5 { remote_dns: bool },
}

/// The caller's proxy setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// Use the environment variables.
    #[default]
    Environment,
    /// Connect directly, ignoring the environment.
    Direct,
    Through(Box<Proxy>),
}

/// A proxy and its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyKind,
    /// `https://`: connect to the proxy over TLS.
    pub secure: bool,
    /// As in [`crate::wire::Url::host`].
    pub host: String,
    /// As in [`crate::wire::Url::zone`].
    pub zone: Option<Box<str>>,
    pub port: u16,
    pub credentials: Option<(String, String)>,
}

/// Why no tunnel was established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyError {
    /// The status of the HTTP proxy, 0 if there is none.
    pub status: u16,
    /// Whether trying again later may help.
    pub retriable: bool,
    pub message: String,
}

impl Proxy {
    /// Parses a proxy URL: `http://`, `https://`, `socks5://`, `socks5h://` or `socks://` (which desktops use
    /// for `socks5h`), then `user:password@host:port`. The default scheme is HTTP, the default ports are 80,
    /// 443 and 1080.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let wrong =
            |error: &dyn fmt::Display| ProxyError::new(format!("the proxy URL is not usable: {error}"));
        check_bytes(text).map_err(|error| wrong(&error))?;
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        let (kind, default_port) = match scheme.as_str() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Http, 443),
            "socks5" => (ProxyKind::Socks5 { remote_dns: false }, 1080),
            "socks5h" | "socks" => (ProxyKind::Socks5 { remote_dns: true }, 1080),
            other => {
                let named = if is_token(other) { other } else { "its scheme" };
                return Err(wrong(&format_args!(
                    "{named} is not one of http, https, socks5, socks5h and socks"
                )));
            }
        };
        let (authority, path) = split_authority(rest);
        if !matches!(path, "" | "/") {
            return Err(wrong(&"a proxy has no path"));
        }
        let Authority { credentials, host, zone, port } =
            Authority::parse(authority).map_err(|error| wrong(&error))?;
        if let (ProxyKind::Socks5 { .. }, Some((user, password))) = (kind, &credentials) {
            // RFC 1929 section 2 counts both in one byte.
            if user.is_empty() || user.len() > 255 || password.len() > 255 {
                return Err(wrong(&"a SOCKS5 user name must be 1 to 255 bytes, and a password at most 255"));
            }
        }
        let (secure, port) = (scheme == "https", port.unwrap_or(default_port));
        Ok(Proxy { kind, secure, host, zone, port, credentials })
    }

    /// Returns whether the target's name must be resolved before the handshake.
    pub fn needs_resolved_target(&self) -> bool {
        self.kind == ProxyKind::Socks5 { remote_dns: false }
    }

    /// Returns the scheme of its URL.
    pub fn scheme(&self) -> &'static str {
        match (self.kind, self.secure) {
            (ProxyKind::Http, false) => "http",
            (ProxyKind::Http, true) => "https",
            (ProxyKind::Socks5 { remote_dns: false }, _) => "socks5",
            (ProxyKind::Socks5 { remote_dns: true }, _) => "socks5h",
        }
    }

    /// Returns `host:port`, for error messages.
    pub fn authority(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

impl ProxyError {
    fn new(message: impl Into<String>) -> Self {
        Self { status: 0, retriable: false, message: message.into() }
    }
}

impl From<ProxyError> for Error {
    fn from(error: ProxyError) -> Self {
        Error::new(ErrorKind::Proxy, Phase::Proxy, error.message)
            .with_http_status(error.status)
            .with_retriable(error.retriable)
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProxyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_urls_are_parsed() {
        let socks = |remote_dns| ProxyKind::Socks5 { remote_dns };
        for (text, kind, host, port) in [
            ("http://proxy.example:3128", ProxyKind::Http, "proxy.example", 3128),
            ("HTTP://Proxy/", ProxyKind::Http, "proxy", 80),
            ("https://proxy", ProxyKind::Http, "proxy", 443),
            ("proxy:3128", ProxyKind::Http, "proxy", 3128),
            ("socks5://127.0.0.1", socks(false), "127.0.0.1", 1080),
            ("socks5h://[::1]:9604", socks(true), "::1", 9604),
            ("socks://127.0.0.1:1081", socks(true), "127.0.0.1", 1081),
            ("SOCKS://h", socks(true), "h", 1080),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            let secure = text.starts_with("https:");
            assert_eq!(
                proxy,
                Proxy { kind, secure, host: host.into(), zone: None, port, credentials: None },
                "{text}"
            );
            assert_eq!(proxy.needs_resolved_target(), kind == socks(false));
            assert_eq!(Proxy::parse(&format!("{}://{}", proxy.scheme(), proxy.authority())), Ok(proxy));
        }
        let proxy = Proxy::parse("bob:s%40crt@[::1]:8080").unwrap();
        assert_eq!(proxy.credentials, Some(("bob".into(), "s@crt".into())));
        assert_eq!(proxy.authority(), "[::1]:8080");
        let proxy = Proxy::parse("http://[fe80::1%25lo]:8080").unwrap();
        assert_eq!((proxy.zone.as_deref(), proxy.authority().as_str()), (Some("lo"), "[fe80::1]:8080"));
    }

    #[test]
    fn invalid_proxy_url_is_rejected_without_showing_password() {
        let long = format!("socks5://{}:secret@h", "u".repeat(256));
        for text in [
            "",
            "http://",
            "ftp://bob:secret@h",
            "socks4://h",
            "socks4a://h",
            " h",
            "socks://",
            "ws://h",
            "http://h/path",
            "http://h:0",
            "h h",
            "http://bob:secret@h:x",
            "http://a\r\nb",
            "socks5://:secret@h",
            "://h",
            "http://h?x",
            "a b://secret",
            &long,
        ] {
            let error = Proxy::parse(text).unwrap_err();
            assert!(error.message.starts_with("the proxy URL is not usable: "), "{text}: {error}");
            assert!(!error.message.contains("secret"), "{error}");
            assert_eq!(Error::from(error).kind, ErrorKind::Proxy);
        }
    }
}
