//! Why an upgrade failed, in words that say what the server did and what to do about it.

use std::fmt;

use super::response::ResponseHead;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits;

/// Texts that came from the server are shortened and free of control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeError {
    /// What came does not begin like an HTTP/1 response.
    NotHttp,
    /// It began like one and broke the rules later.
    MalformedHead(&'static str),
    HeadTooLarge,
    TooManyHeaders,
    /// A status that is no upgrade.
    Refused {
        status: u16,
        reason: String,
        over_http2: bool,
    },
    /// 301, 302, 303, 307 or 308 with a `Location`.
    Redirect {
        status: u16,
        location: String,
    },
    /// 101, but by HTTP/1.0, which knows no upgrade.
    Http10,
    NoUpgrade,
    NoConnectionUpgrade,
    NoAccept,
    SeveralAccepts,
    WrongAccept,
    SeveralProtocols,
    ProtocolNotOffered(String),
    ExtensionSyntax(String),
    ExtensionNotOffered(String),
    /// An extension's answer that does not fit what was offered.
    Extension {
        name: String,
        problem: String,
    },
}

impl UpgradeError {
    /// The status that came, 0 where there was none.
    pub fn status(&self) -> u16 {
        match self {
            UpgradeError::NotHttp
            | UpgradeError::MalformedHead(_)
            | UpgradeError::HeadTooLarge
            | UpgradeError::TooManyHeaders => 0,
            UpgradeError::Refused { status, .. } | UpgradeError::Redirect { status, .. } => *status,
            _ => 101,
        }
    }

    /// Whether the same request may succeed later.
    pub fn retriable(&self) -> bool {
        matches!(self, UpgradeError::Refused { status: 408 | 425 | 429 | 500 | 502 | 503 | 504, .. })
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            UpgradeError::ExtensionSyntax(_)
            | UpgradeError::ExtensionNotOffered(_)
            | UpgradeError::Extension { .. } => ErrorKind::Extension,
            UpgradeError::Http10
            | UpgradeError::NoUpgrade
            | UpgradeError::NoConnectionUpgrade
            | UpgradeError::NoAccept
            | UpgradeError::SeveralAccepts
            | UpgradeError::WrongAccept
            | UpgradeError::SeveralProtocols
            | UpgradeError::ProtocolNotOffered(_) => ErrorKind::Protocol,
            _ => ErrorKind::Http,
        }
    }

    /// For a response whose status is no success.
    pub(super) fn from_status(head: &ResponseHead, over_http2: bool) -> Self {
        let status = head.status;
        match head.redirect() {
            Some(location) => UpgradeError::Redirect { status, location: location.to_owned() },
            None => UpgradeError::Refused { status, reason: printable(&head.reason), over_http2 },
        }
    }

    pub(super) fn protocol_not_offered(name: &str) -> Self {
        UpgradeError::ProtocolNotOffered(printable(name))
    }

    pub(super) fn extension_syntax(text: &str) -> Self {
        UpgradeError::ExtensionSyntax(printable(text))
    }

    pub(super) fn extension_not_offered(name: &str) -> Self {
        UpgradeError::ExtensionNotOffered(printable(name))
    }

    pub(super) fn extension(name: &str, problem: impl Into<String>) -> Self {
        UpgradeError::Extension { name: printable(name), problem: printable(&problem.into()) }
    }
}

impl From<UpgradeError> for Error {
    fn from(error: UpgradeError) -> Self {
        Error::new(error.kind(), Phase::Upgrade, error.to_string())
            .with_http_status(error.status())
            .with_retriable(error.retriable())
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpgradeError::NotHttp => f.write_str(
                "the server's answer is not HTTP/1: check the port, and whether it wants wss instead of ws",
            ),
            UpgradeError::MalformedHead(problem) => {
                write!(f, "the server's HTTP response is malformed: {problem}")
            }
            UpgradeError::HeadTooLarge => {
                write!(f, "the head of the server's response is larger than {} bytes", limits::MAX_RESPONSE_HEAD)
            }
            UpgradeError::TooManyHeaders => {
                write!(f, "the server's response has more than {} header fields", limits::MAX_RESPONSE_HEADERS)
            }
            UpgradeError::Refused { status, reason, over_http2 } => {
                write!(f, "the server answered {status}")?;
                if !reason.is_empty() {
                    write!(f, " ({reason})")?;
                }
                f.write_str(advice(*status, *over_http2))
            }
            UpgradeError::Redirect { status, location } => write!(
                f,
                "the server answered {status}: moved to {}, and redirects are off; use that URL",
                printable(location)
            ),
            UpgradeError::Http10 => f.write_str(
                "the server upgraded in HTTP/1.0, which cannot: an old proxy on the way, or an old server \
                 (RFC 6455 section 4.1)",
            ),
            UpgradeError::NoUpgrade => f.write_str(
                "the server answered 101 without 'Upgrade: websocket': it switched to something else \
                 (RFC 6455 section 4.1)",
            ),
            UpgradeError::NoConnectionUpgrade => f.write_str(
                "the server answered 101 without 'Connection: Upgrade': a proxy on the way may have removed it \
                 (RFC 6455 section 4.1)",
            ),
            UpgradeError::NoAccept => f.write_str(
                "the server answered 101 without Sec-WebSocket-Accept: it is no WebSocket server (RFC 6455 section 4.1)",
            ),
            UpgradeError::SeveralAccepts => f.write_str(
                "the server sent more than one Sec-WebSocket-Accept (RFC 6455 section 11.3.3)",
            ),
            UpgradeError::WrongAccept => f.write_str(
                "the server's Sec-WebSocket-Accept does not answer our key: a cached or forged response \
                 (RFC 6455 section 4.1)",
            ),
            UpgradeError::SeveralProtocols => {
                f.write_str("the server chose more than one subprotocol (RFC 6455 section 4.2.2)")
            }
            UpgradeError::ProtocolNotOffered(protocol) => {
                write!(f, "the server chose the subprotocol \"{protocol}\", which was not offered (RFC 6455 section 4.1)")
            }
            UpgradeError::ExtensionSyntax(text) => {
                write!(f, "the server's Sec-WebSocket-Extensions is malformed: \"{text}\" (RFC 6455 section 9.1)")
            }
            UpgradeError::ExtensionNotOffered(name) => {
                write!(f, "the server chose the extension \"{name}\", which was not offered (RFC 6455 section 4.1)")
            }
            UpgradeError::Extension { name, problem } => {
                write!(f, "the server's answer for the extension \"{name}\" {problem}")
            }
        }
    }
}

impl std::error::Error for UpgradeError {}

/// What the status means for someone who wanted a WebSocket.
fn advice(status: u16, over_http2: bool) -> &'static str {
    match status {
        405 if over_http2 => ": it allows no CONNECT (RFC 8441) there; check the path and the HTTP version",
        426 if over_http2 => {
            ": it wants another protocol or WebSocket version; this is version 13 over HTTP/2"
        }
        501 if over_http2 => ": it does not support the extended CONNECT of RFC 8441; check the HTTP version",
        505 if over_http2 => ": it does not support HTTP/2 for this; check the HTTP version",
        200..=299 => ": an ordinary page, no WebSocket; check the path",
        300..=399 => ": a redirect that says nowhere to go",
        400 => ": it did not understand the upgrade; check path, headers and proxies on the way",
        401 => ": it wants credentials, or other ones; set basic or bearer authentication",
        403 => ": not allowed; check origin, credentials and cookies",
        404 | 410 => ": nothing there; check the path",
        405 => ": it allows no GET there; check the path",
        407 => ": a proxy wants credentials",
        408 | 425 | 429 => ": too slow, too early or too often; try again later",
        421 => ": it does not serve this host on this connection; check the URL's host",
        426 => ": it wants another protocol or WebSocket version; this is version 13 over HTTP/1.1",
        501 => ": it does not support the upgrade by GET; check the path",
        505 => ": it does not support HTTP/1.1; check proxies on the way",
        500..=599 => ": the server, or a gateway before it, has a problem; try again later",
        _ => ": no upgrade",
    }
}

/// The server's text for a message or a log: at most 120 characters, control characters escaped.
fn printable(text: &str) -> String {
    let mut short: String = text.chars().take(120).flat_map(|c| c.escape_debug()).collect();
    if text.chars().nth(120).is_some() {
        short.push('…');
    }
    short
}
