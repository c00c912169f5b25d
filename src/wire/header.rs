//! Request header fields: validation, and a bounded list.

use std::fmt;

use data_encoding::BASE64;

use crate::limits;

/// Why a header field is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    Name(String),
    /// A byte of the value that must not be sent, at this offset.
    Value {
        byte: u8,
        at: usize,
    },
    /// The value has leading or trailing white space, which HTTP does not preserve.
    ValueSpace,
    /// The library writes this field itself.
    Owned(String),
    TooMany,
    TooLarge,
    Credentials,
}

/// Checks that a field name is a token (RFC 9110 section 5.6.2). Also used for subprotocols.
pub fn check_name(name: &str) -> Result<(), HeaderError> {
    if is_token(name) { Ok(()) } else { Err(HeaderError::Name(name.chars().take(80).collect())) }
}

/// Checks that the caller may set, add and remove the field.
pub fn check_may_change(name: &str) -> Result<(), HeaderError> {
    check_name(name)?;
    match is_owned_by_handshake(name) {
        true => Err(HeaderError::Owned(name.to_owned())),
        false => Ok(()),
    }
}

/// Checks that a field value is visible ASCII with inner spaces and tabs. Rejects leading and trailing white
/// space rather than dropping it.
pub fn check_value(value: &str) -> Result<(), HeaderError> {
    if let Some(at) = value.bytes().position(|byte| !matches!(byte, b'\t' | 0x20..=0x7E)) {
        return Err(HeaderError::Value { byte: value.as_bytes()[at], at });
    }
    if value != value.trim_matches([' ', '\t']) {
        return Err(HeaderError::ValueSpace);
    }
    Ok(())
}

/// Checks that basic authentication can carry the user name and password (RFC 7617 section 2).
pub fn check_credentials(user: &str, password: &str) -> Result<(), HeaderError> {
    if user.contains(':') || user.chars().chain(password.chars()).any(char::is_control) {
        return Err(HeaderError::Credentials);
    }
    Ok(())
}

/// Returns the value of a basic `Authorization` header (RFC 7617), in UTF-8.
pub fn basic_auth(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
}

/// Returns whether the handshake owns this field: it writes the field itself, or the field would change the
/// framing of the request or the lifetime of the connection.
pub fn is_owned_by_handshake(name: &str) -> bool {
    const OWNED: [&str; 11] = [
        "host",
        "connection",
        "upgrade",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "keep-alive",
        "proxy-connection",
        "expect",
        "http2-settings",
    ];
    const OWNED_PREFIX: &str = "sec-websocket-";
    OWNED.iter().any(|owned| owned.eq_ignore_ascii_case(name))
        || name.get(..OWNED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWNED_PREFIX))
}

/// The default `User-Agent` (RFC 9110 section 10.1.5).
pub const USER_AGENT: &str = concat!("Framewire/", env!("CARGO_PKG_VERSION"));

/// Returns whether a request has this field at most once, so that adding it again replaces it.
fn is_single(name: &str) -> bool {
    ["Authorization", "Origin", "User-Agent"].iter().any(|single| single.eq_ignore_ascii_case(name))
}

/// Returns whether `text` is a token (RFC 9110 section 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The header fields that the caller adds to the upgrade request: validated, bounded, in order. Names are
/// compared ignoring case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderList {
    fields: Vec<(String, String)>,
}

impl HeaderList {
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all fields with this name by one, at the position of the first.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let place = self.fields.iter().position(|(own, _)| own.eq_ignore_ascii_case(name));
        let mut fields = self.fields.clone();
        fields.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        let mut changed = Self { fields };
        changed.insert(place, name, value)?;
        *self = changed;
        Ok(())
    }

    /// Adds a field and keeps others with this name, except for fields that a request has only once.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if is_single(name) { self.set(name, value) } else { self.insert(None, name, value) }
    }

    /// Adds a field of the library unless the caller has set one with this name. Not subject to the caller's
    /// limits.
    pub fn add_default(&mut self, name: &'static str, value: &str) {
        if !self.contains(name) {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Removes all fields with this name; returns whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self.fields.len() != before
    }

    /// Returns the value of the first field with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    fn insert(&mut self, place: Option<usize>, name: &str, value: &str) -> Result<(), HeaderError> {
        check_may_change(name)?;
        check_value(value)?;
        // A replacement does not make the list longer.
        if place.is_none() && self.fields.len() >= limits::MAX_REQUEST_HEADERS {
            return Err(HeaderError::TooMany);
        }
        let bytes: usize = self.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes + name.len() + value.len() > limits::MAX_REQUEST_HEADER_BYTES {
            return Err(HeaderError::TooLarge);
        }
        // Removing other fields with this name may have shortened the list.
        let place = place.unwrap_or(self.fields.len()).min(self.fields.len());
        self.fields.insert(place, (name.to_owned(), value.to_owned()));
        Ok(())
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Name(name) => {
                let name = name.escape_debug();
                write!(
                    f,
                    "\"{name}\" is not a header name: letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.6.2)"
                )
            }
            HeaderError::Value { byte, at } => write!(
                f,
                "the header value has the byte 0x{byte:02x} at {at}: only visible ASCII, spaces and tabs are sent"
            ),
            HeaderError::ValueSpace => f.write_str("the header value begins or ends with a space or a tab"),
            HeaderError::Owned(name) if name.eq_ignore_ascii_case("Sec-WebSocket-Protocol") => {
                write!(f, "the header {name} belongs to the WebSocket handshake; offer a subprotocol instead")
            }
            HeaderError::Owned(name) => write!(f, "the header {name} belongs to the WebSocket handshake"),
            HeaderError::TooMany => write!(f, "more than {} header fields", limits::MAX_REQUEST_HEADERS),
            HeaderError::TooLarge => {
                write!(f, "more than {} bytes of header fields", limits::MAX_REQUEST_HEADER_BYTES)
            }
            HeaderError::Credentials => f.write_str(
                "credentials must not contain control characters, or ':' in the user name (RFC 7617 section 2)",
            ),
        }
    }
}

impl std::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens() {
        for byte in 0..=127u8 {
            let name = format!("X{}", byte as char);
            let separator = byte <= b' ' || byte == 0x7F || b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(check_name(&name).is_ok(), !separator, "{name:?}");
        }
        assert!(check_name("").is_err());
        assert!(check_name("Ünicode").is_err());
    }

    #[test]
    fn values_cannot_contain_line_breaks() {
        for byte in 0..=127u8 {
            let value = format!("a{}b", byte as char);
            let good = byte == b'\t' || (0x20..0x7F).contains(&byte);
            assert_eq!(check_value(&value).is_ok(), good, "{value:?}");
        }
        assert_eq!(check_value("é"), Err(HeaderError::Value { byte: 0xC3, at: 0 }));
        assert_eq!(check_value(""), Ok(()));
        for value in [" a", "a ", "\ta", "a\t", " "] {
            assert_eq!(check_value(value), Err(HeaderError::ValueSpace));
        }
    }

    #[test]
    fn handshake_fields_are_rejected_in_any_case() {
        let mut list = HeaderList::new();
        for name in
            ["Host", "connection", "UPGRADE", "Sec-WebSocket-Key", "sec-websocket-x", "Content-Length"]
        {
            assert!(is_owned_by_handshake(name));
            assert_eq!(list.add(name, "x"), Err(HeaderError::Owned(name.into())));
            assert_eq!(list.set(name, "x"), Err(HeaderError::Owned(name.into())));
        }
        for name in ["Authorization", "Cookie", "Origin", "Sec-Fetch-Mode", "User-Agent", "X-Host"] {
            assert!(!is_owned_by_handshake(name));
            assert_eq!(list.add(name, "x"), Ok(()));
        }
    }

    #[test]
    fn set_replaces_add_appends_and_failure_changes_nothing() {
        let mut list = HeaderList::new();
        list.add("A", "1").unwrap();
        list.add("B", "2").unwrap();
        list.add("a", "3").unwrap();
        assert_eq!(list.get("a"), Some("1"));
        assert!(list.set("A", "bad\r\n").is_err());
        assert_eq!(list.iter().collect::<Vec<_>>(), [("A", "1"), ("B", "2"), ("a", "3")]);
        list.set("a", "4").unwrap();
        list.set("C", "5").unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [("a", "4"), ("B", "2"), ("C", "5")]);
        assert!(list.remove("b") && !list.remove("b") && !list.contains("B"));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn single_fields_are_replaced() {
        let mut list = HeaderList::new();
        for (name, value) in [("Origin", "a"), ("X", "1"), ("origin", "b"), ("x", "2"), ("ORIGIN", "c")] {
            list.add(name, value).unwrap();
        }
        assert_eq!(list.iter().collect::<Vec<_>>(), [("ORIGIN", "c"), ("X", "1"), ("x", "2")]);
        assert!(list.add("Origin", "bad\n").is_err());
        assert_eq!(list.get("Origin"), Some("c"));
        list.add_default("Origin", "d");
        list.add_default("User-Agent", "e");
        assert_eq!((list.get("origin"), list.get("user-agent")), (Some("c"), Some("e")));
        list.add("user-agent", "f").unwrap();
        list.add("Authorization", "g").unwrap();
        list.add("authorization", "h").unwrap();
        assert_eq!(
            (list.len(), list.get("user-agent"), list.get("authorization")),
            (5, Some("f"), Some("h"))
        );
    }

    #[test]
    fn defaults_are_added_beyond_caller_limits() {
        let mut list = HeaderList::new();
        for _ in 0..limits::MAX_REQUEST_HEADERS {
            list.add("X", "y").unwrap();
        }
        list.add_default("User-Agent", USER_AGENT);
        assert_eq!(list.len(), limits::MAX_REQUEST_HEADERS + 1);
        assert_eq!(list.set("User-Agent", "mine"), Ok(()));
        assert_eq!(list.set("X", "z"), Ok(()));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn list_is_limited_in_fields_and_bytes() {
        let mut list = HeaderList::new();
        for _ in 0..limits::MAX_REQUEST_HEADERS {
            list.add("X", "y").unwrap();
        }
        assert_eq!(list.add("X", "y"), Err(HeaderError::TooMany));
        assert_eq!(list.set("X", "y"), Ok(()));
        let long = "v".repeat(limits::MAX_REQUEST_HEADER_BYTES - 2);
        assert_eq!(list.add("Y", &long), Err(HeaderError::TooLarge));
        assert_eq!(list.set("X", &long), Ok(()));
        assert_eq!(list.add("Y", ""), Ok(()));
        assert_eq!(list.add("Y", ""), Err(HeaderError::TooLarge));
    }

    #[test]
    fn basic_auth_matches_rfc_examples() {
        assert_eq!(basic_auth("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic_auth("test", "123£"), "Basic dGVzdDoxMjPCow==");
        assert_eq!(check_credentials("a", "b:c"), Ok(()));
        for (user, password) in [("a:b", "c"), ("a\n", "c"), ("a", "\0")] {
            assert_eq!(check_credentials(user, password), Err(HeaderError::Credentials));
        }
    }

    #[test]
    fn refused_subprotocol_header_names_the_alternative() {
        let message = check_may_change("sec-websocket-protocol").unwrap_err().to_string();
        assert!(message.contains("offer a subprotocol"), "{message}");
    }

    #[test]
    fn handshake_fields_may_not_be_changed_in_any_case() {
        for name in ["Host", "hOST", "TE", "te", "Sec-WebSocket-Key", "SEC-WEBSOCKET-anything"] {
            assert_eq!(check_may_change(name), Err(HeaderError::Owned(name.to_owned())));
        }
        for name in ["Hosts", "Authorization", "Sec-WebSocke"] {
            assert_eq!(check_may_change(name), Ok(()));
        }
        assert!(check_may_change("a b").is_err());
    }
}
