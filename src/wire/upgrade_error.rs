//! Errors of the upgrade. The messages name what the server did and how to fix it.

use std::fmt;

use crate::error::{Error, ErrorKind, Phase};
use crate::limits;

/// Why the upgrade failed. Text from the server is shortened and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeError {
    /// The bytes do not start like an HTTP/1 response.
    NotHttp,
    /// The head starts like HTTP/1 but is malformed.
    MalformedHead(&'static str),
    HeadTooLarge,
    TooManyHeaders,
    /// A status other than success.
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
    /// 101 in HTTP/1.0, which does not support upgrades.
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
    /// The server's parameters for an extension do not match the offer.
    Extension {
        name: String,
        problem: String,
    },
}

impl UpgradeError {
    /// Returns the HTTP status, 0 if there was none.
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

    /// Returns whether the same request may succeed later.
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

    pub(super) fn refused(status: u16, reason: &str, over_http2: bool) -> Self {
        UpgradeError::Refused { status, reason: printable(reason), over_http2 }
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
                "the server's response is not HTTP/1: check the port, and whether it requires wss instead of ws",
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
                "the server answered 101 in HTTP/1.0, which does not support upgrades: an old proxy on the path, or \
                 an old server (RFC 6455 section 4.1)",
            ),
            UpgradeError::NoUpgrade => f.write_str(
                "the server answered 101 without 'Upgrade: websocket': it switched to another protocol \
                 (RFC 6455 section 4.1)",
            ),
            UpgradeError::NoConnectionUpgrade => f.write_str(
                "the server answered 101 without 'Connection: Upgrade': a proxy on the path may have removed it \
                 (RFC 6455 section 4.1)",
            ),
            UpgradeError::NoAccept => f.write_str(
                "the server answered 101 without Sec-WebSocket-Accept: it is not a WebSocket server (RFC 6455 section 4.1)",
            ),
            UpgradeError::SeveralAccepts => f.write_str(
                "the server sent more than one Sec-WebSocket-Accept (RFC 6455 section 11.3.3)",
            ),
            UpgradeError::WrongAccept => f.write_str(
                "the server's Sec-WebSocket-Accept does not match the key: a cached or forged response \
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
                write!(f, "the server's response for the extension \"{name}\" is invalid: {problem}")
            }
        }
    }
}

impl std::error::Error for UpgradeError {}

/// Returns what the status means for a WebSocket upgrade, and what to do.
fn advice(status: u16, over_http2: bool) -> &'static str {
    match status {
        405 if over_http2 => {
            ": it does not allow CONNECT (RFC 8441) there; check the path and the HTTP version"
        }
        426 if over_http2 => {
            ": it requires another protocol or WebSocket version; this is version 13 over HTTP/2"
        }
        501 if over_http2 => ": it does not support the extended CONNECT of RFC 8441; check the HTTP version",
        505 if over_http2 => ": it does not support HTTP/2 for this; check the HTTP version",
        200..=299 => ": an ordinary page, not a WebSocket; check the path",
        300..=399 => ": a redirect without a usable Location",
        400 => ": it rejected the upgrade as malformed; check the path, the headers and any proxy",
        401 => ": it requires credentials, or rejected those sent; set basic or bearer authentication",
        403 => ": not allowed; check origin, credentials and cookies",
        404 | 410 => ": not found; check the path",
        405 => ": it does not allow GET there; check the path",
        407 => ": a proxy requires credentials",
        408 | 425 | 429 => ": a timeout or a rate limit; try again later",
        421 => ": it does not serve this host on this connection; check the URL's host",
        426 => ": it requires another protocol or WebSocket version; this is version 13 over HTTP/1.1",
        501 => ": it does not support the upgrade by GET; check the path",
        505 => ": it does not support HTTP/1.1; check any proxy",
        500..=599 => ": an error of the server or of a gateway in front of it; try again later",
        _ => ": no upgrade",
    }
}

/// Returns the server's text for messages and logs: at most 120 characters, control characters escaped.
fn printable(text: &str) -> String {
    let mut short: String = text.chars().take(120).flat_map(|c| c.escape_debug()).collect();
    if text.chars().nth(120).is_some() {
        short.push('…');
    }
    short
}
