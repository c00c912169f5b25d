//! Parser for `ws:` and `wss:` URLs (RFC 6455 section 3, RFC 3986).
//!
//! Strict, because parts of the URL go into the request head: strips nothing, and rejects what could break
//! the head or what other parsers read differently.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::limits;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `wss` (or `https`): over TLS.
    pub secure: bool,
    /// Lower case; an IPv6 address without its brackets and its zone.
    pub host: String,
    /// The zone of a link-local address (RFC 6874): an interface, by name or number. Local to this machine;
    /// never sent.
    pub zone: Option<Box<str>>,
    pub port: u16,
    /// Path and query, at least `/`.
    pub path: String,
    /// User and password, percent-decoded.
    pub credentials: Option<Box<(String, String)>>,
}

/// Why a URL is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    Empty,
    TooLong,
    /// A control character, a space or a backslash at this byte.
    ForbiddenByte {
        byte: u8,
        at: usize,
    },
    NonAscii {
        at: usize,
    },
    NoScheme,
    UnknownScheme(String),
    Fragment,
    PercentEscape {
        at: usize,
    },
    EmptyHost,
    Host(String),
    Ipv4(String),
    Ipv6(String),
    /// A zone on an address that is not link-local.
    Zone(String),
    /// A redirect to an address with a zone.
    ForeignZone,
    Port(String),
    Credentials(&'static str),
    /// A redirect from `wss` to `ws`.
    Downgrade,
}

impl Url {
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        crate::fault::point("wire.url");
        check_bytes(text)?;
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ if is_scheme(scheme) => return Err(UrlError::UnknownScheme(shorten(scheme))),
            _ => return Err(UrlError::NoScheme),
        };
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }

        let (authority, path) = split_authority(rest);
        let Authority { credentials, host, zone, port } = Authority::parse(authority)?;
        let (port, path) = (port.unwrap_or(default_port(secure)), encode_path(path));
        Ok(Url { secure, host, zone, port, path, credentials: credentials.map(Box::new) })
    }

    /// Returns the value of the Host header: with the port only if it is not the default of the scheme.
    pub fn host_header(&self) -> String {
        if self.port == default_port(self.secure) { self.bracketed_host() } else { self.authority() }
    }

    /// Returns `host:port`, for proxies and error messages.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
    }

    /// Returns whether scheme, host and port are equal (RFC 6454 section 5).
    pub fn same_origin(&self, other: &Url) -> bool {
        self.same_host(other) && (self.secure, self.port) == (other.secure, other.port)
    }

    /// Returns whether host and zone are equal.
    pub(super) fn same_host(&self, other: &Url) -> bool {
        (&self.host, &self.zone) == (&other.host, &other.zone)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }

    fn bracketed_host(&self) -> String {
        bracketed(&self.host)
    }
}

/// For logs: without credentials.
impl Url {
    /// The URL as it is requested.
    pub fn full(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// The URL without path and query, and with the zone of an address.
    fn origin(&self) -> String {
        let Some(zone) = &self.zone else { return format!("{}://{}", self.scheme(), self.host_header()) };
        let address = format!("{}://[{}%25{}]", self.scheme(), self.host, encode_zone(zone));
        if self.port == default_port(self.secure) { address } else { format!("{address}:{}", self.port) }
    }
}

/// For logs and error messages: without the query, in which a token may be.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())?;
        match self.path.split_once('?') {
            Some((path, _)) => write!(f, "{path}?…"),
            None => f.write_str(&self.path),
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::Empty => f.write_str("the URL is empty; write it as wss://host:port/path"),
            UrlError::TooLong => write!(f, "the URL is longer than {} bytes", limits::MAX_URL),
            UrlError::ForbiddenByte { byte: b' ', at } => {
                write!(
                    f,
                    "the URL has a space at byte {at}: write %20 in a path or query, and none elsewhere"
                )
            }
            UrlError::ForbiddenByte { byte, at } => write!(
                f,
                "the URL has the character 0x{byte:02x} at byte {at}: tabs, line breaks, control \
                 characters and backslashes must be percent-encoded"
            ),
            UrlError::NonAscii { at } => write!(
                f,
                "the URL has a non-ASCII character at byte {at}: write the host as punycode (xn--…) and \
                 percent-encode the rest"
            ),
            UrlError::NoScheme => {
                f.write_str("the URL has no scheme; write it as wss://host:port/path, or ws:// without TLS")
            }
            UrlError::UnknownScheme(scheme) => {
                write!(f, "the URL's scheme is \"{}\"; use ws, wss, http or https", scheme.escape_debug())
            }
            UrlError::Fragment => f.write_str(
                "a WebSocket URL must not have a fragment (RFC 6455 section 3); percent-encode '#' as %23",
            ),
            UrlError::PercentEscape { at } => {
                write!(f, "the URL has a '%' at byte {at} without two hexadecimal digits; a plain '%' is %25")
            }
            UrlError::EmptyHost => f.write_str("the URL has no host; write it as wss://host:port/path"),
            UrlError::Host(host) => write!(
                f,
                "the host \"{}\" is not a valid name: letters, digits, '-' and '_' in parts of at most 63 with dots \
                 between them; an IPv6 address goes in brackets",
                host.escape_debug()
            ),
            UrlError::Ipv4(host) => {
                write!(
                    f,
                    "the host \"{}\" ends in a number but is not an IPv4 address of four decimal parts",
                    host.escape_debug()
                )
            }
            UrlError::Ipv6(host) => write!(
                f,
                "the host \"{}\" is not an IPv6 address in brackets, as in [::1], or [fe80::1%25eth0] with a zone",
                host.escape_debug()
            ),
            UrlError::Zone(host) => write!(
                f,
                "the host \"{}\" has a zone, which only link-local addresses have (fe80::/10, RFC 6874 section 4)",
                host.escape_debug()
            ),
            UrlError::ForeignZone => f.write_str(
                "a redirect to an address with a zone is rejected: zones are local to a machine \
                 (RFC 6874 section 4)",
            ),
            UrlError::Port(port) => {
                write!(f, "the port \"{}\" must be a number from 1 to 65535", port.escape_debug())
            }
            UrlError::Credentials(why) => write!(f, "the URL's user name and password: {why}"),
            UrlError::Downgrade => f.write_str("a redirect from wss to ws is rejected: it would drop TLS"),
        }
    }
}

impl std::error::Error for UrlError {}

/// `user:password@host:port`; only the host is required.
pub(super) struct Authority {
    pub credentials: Option<(String, String)>,
    pub host: String,
    pub zone: Option<Box<str>>,
    pub port: Option<u16>,
}

impl Authority {
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (credentials, host_port) = match text.rsplit_once('@') {
            Some((user_info, host_port)) => (parse_credentials(user_info)?, host_port),
            None => (None, text),
        };
        let (host, port) = split_port(host_port)?;
        let port = parse_port(port)?;
        let (host, zone) = parse_host(host)?;
        Ok(Self { credentials, host, zone, port })
    }
}

/// Splits what follows the scheme before the path or the query.
pub(super) fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

/// Encloses an IPv6 address in brackets.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Checks length, allowed bytes and percent escapes.
pub(super) fn check_bytes(text: &str) -> Result<(), UrlError> {
    if text.is_empty() {
        return Err(UrlError::Empty);
    }
    if text.len() > limits::MAX_URL {
        return Err(UrlError::TooLong);
    }
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            0x00..=0x20 | 0x7F | b'\\' => return Err(UrlError::ForbiddenByte { byte, at }),
            0x80.. => return Err(UrlError::NonAscii { at }),
            b'%' if hex_pair(&bytes[at + 1..]).is_none() => return Err(UrlError::PercentEscape { at }),
            _ => {}
        }
    }
    Ok(())
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| (*bytes.get(at)? as char).to_digit(16);
    Some((digit(0)? * 16 + digit(1)?) as u8)
}

pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Percent-decodes the user info; `None` if it is empty.
fn parse_credentials(user_info: &str) -> Result<Option<(String, String)>, UrlError> {
    if user_info.is_empty() {
        return Ok(None);
    }
    if user_info.contains('@') {
        return Err(UrlError::Credentials("an '@' in them is written %40"));
    }
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let (user, password) = (percent_decode(user)?, percent_decode(password)?);
    super::header::check_credentials(&user, &password).map_err(|_| {
        UrlError::Credentials("no control characters, and no ':' in the user name (RFC 7617 section 2)")
    })?;
    Ok(Some((user, password)))
}

fn percent_decode(text: &str) -> Result<String, UrlError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        match hex_pair(rest) {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                bytes = &rest[2..];
            }
            _ => {
                decoded.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8(decoded).map_err(|_| UrlError::Credentials("percent escapes must form UTF-8"))
}

/// Splits into host and port; the port is empty if there is none.
fn split_port(host_port: &str) -> Result<(&str, &str), UrlError> {
    if host_port.starts_with('[') {
        let end = host_port.find(']').ok_or_else(|| UrlError::Ipv6(shorten(host_port)))? + 1;
        let (host, port) = host_port.split_at(end);
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if port.is_empty() => Ok((host, port)),
            None => Err(UrlError::Ipv6(shorten(host_port))),
        };
    }
    Ok(host_port.split_once(':').unwrap_or((host_port, "")))
}

/// Returns `None` for an empty port, which RFC 3986 section 3.2.3 allows and which means the default.
fn parse_port(port: &str) -> Result<Option<u16>, UrlError> {
    if port.is_empty() {
        return Ok(None);
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number != 0 => Ok(Some(number)),
        _ => Err(UrlError::Port(shorten(port))),
    }
}

/// Parses a host, with the zone of an IPv6 address.
fn parse_host(host: &str) -> Result<(String, Option<Box<str>>), UrlError> {
    if host.is_empty() {
        return Err(UrlError::EmptyHost);
    }
    if let Some(inner) = host.strip_prefix('[') {
        let wrong = || UrlError::Ipv6(shorten(host));
        let inner = inner.strip_suffix(']').ok_or_else(wrong)?;
        // RFC 6874 section 2: after "%25", as "%" starts a percent escape.
        let (address, zone) = match inner.split_once("%25") {
            Some((address, zone)) => (address, Some(parse_zone(zone).ok_or_else(wrong)?)),
            None => (inner, None),
        };
        let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
        if zone.is_some() && !address.is_unicast_link_local() {
            return Err(UrlError::Zone(shorten(host)));
        }
        return Ok((address.to_string(), zone));
    }

    // A trailing dot, the DNS root, is allowed and kept.
    let name = host.strip_suffix('.').unwrap_or(host);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !name.split('.').all(label_ok) {
        return Err(UrlError::Host(shorten(host)));
    }
    // Resolvers read "127.1" or "0x7f.1" as addresses; accept the four-part decimal form only.
    let last = name.rsplit('.').next().unwrap_or_default();
    if is_number(last) && host.parse::<Ipv4Addr>().is_err() {
        return Err(UrlError::Ipv4(shorten(host)));
    }
    Ok((host.to_ascii_lowercase(), None))
}

/// The longest zone; interface names are shorter than 16 bytes on most systems.
const MAX_ZONE: usize = 64;

/// Parses a percent-encoded zone (RFC 6874 section 2): visible ASCII.
fn parse_zone(text: &str) -> Option<Box<str>> {
    let zone = percent_decode(text).ok()?;
    let fits = (1..=MAX_ZONE).contains(&zone.len()) && zone.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| zone.into())
}

fn encode_zone(zone: &str) -> String {
    let mut encoded = String::with_capacity(zone.len());
    for byte in zone.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hex.map_or(label.bytes().all(|byte| byte.is_ascii_digit()), |digits| {
        digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Returns path and query for the request: at least `/`, with the characters that RFC 3986 does not allow
/// percent-encoded, like browsers do.
pub(super) fn encode_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        encoded.push('/');
    }
    for c in path.chars() {
        match c {
            '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' => encoded.push_str(&format!("%{:02X}", c as u8)),
            _ => encoded.push(c),
        }
    }
    encoded
}

/// Shortens the caller's text for an error message.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
