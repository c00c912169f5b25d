//! The head of an HTTP/1.1 response (RFC 9112 sections 4 and 5): its parser, and the fields in it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::date;
use super::upgrade_error::UpgradeError;
use crate::limits;

/// Status line and header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    pub reason: String,
    /// The minor version of HTTP/1: 0 or 1; 1 for HTTP/2.
    pub version: u8,
    pub headers: ResponseHeaders,
}

impl ResponseHead {
    /// Returns the delay that `Retry-After` requests (RFC 9110 section 10.2.3).
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.headers.get("Retry-After")?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let at = date::parse(value)?;
        Some(at.duration_since(now).unwrap_or_default())
    }

    /// Returns the `Location` of a redirect after which the request is still a GET (RFC 9110 section 15.4).
    pub fn redirect(&self) -> Option<&str> {
        matches!(self.status, 301 | 302 | 303 | 307 | 308).then(|| self.headers.get("Location")).flatten()
    }
}

const FIELD_END: char = '\n';

/// Header fields in the order received, with invalid UTF-8 replaced by U+FFFD.
///
/// A connection keeps them for its lifetime, so they share one allocation: name, line feed, value, line feed;
/// neither can contain a line feed (RFC 9110 section 5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    fields: String,
}

impl ResponseHeaders {
    /// Preallocates for `bytes` of names and values, including two line feeds per field.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { fields: String::with_capacity(bytes) }
    }

    /// Appends a field; ignores one that contains a line feed.
    pub fn push(&mut self, name: &str, value: &str) {
        if !name.contains(FIELD_END) && !value.contains(FIELD_END) {
            for part in [name, value] {
                self.fields.push_str(part);
                self.fields.push(FIELD_END);
            }
        }
    }

    /// Returns the value of the first field with this name, ignoring case.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.get_all(name).next()
    }

    /// Returns the values of all fields with this name, ignoring case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.fields.split_terminator(FIELD_END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

/// The result of parsing the received bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// More bytes are needed; those received are valid.
    Incomplete,
    /// A 1xx response other than 101. The caller skips it; another response follows.
    Interim {
        consumed: usize,
    },
    Final {
        head: ResponseHead,
        consumed: usize,
    },
}

/// Parses the head at the start of the bytes received so far.
pub fn parse_response(bytes: &[u8]) -> Result<Head, UpgradeError> {
    crate::fault::point("wire.response");
    const START: &[u8] = b"HTTP/1.";
    let seen = bytes.len().min(START.len());
    if bytes[..seen] != START[..seen] {
        return Err(UpgradeError::NotHttp);
    }

    let mut fields = [httparse::EMPTY_HEADER; limits::MAX_RESPONSE_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    let window = &bytes[..bytes.len().min(limits::MAX_RESPONSE_HEAD)];
    let mut parser = httparse::ParserConfig::default();
    parser.allow_obsolete_multiline_headers_in_responses(true);
    let consumed = match parser.parse_response(&mut response, window).map_err(malformed)? {
        httparse::Status::Complete(consumed) => consumed,
        httparse::Status::Partial if window.len() == limits::MAX_RESPONSE_HEAD => {
            return Err(UpgradeError::HeadTooLarge);
        }
        httparse::Status::Partial => return Ok(Head::Incomplete),
    };

    let status = response.code.unwrap_or(0);
    match status {
        101 | 200.. => {}
        100..200 => return Ok(Head::Interim { consumed }),
        _ => return Err(UpgradeError::MalformedHead("the status is below 100")),
    }
    let size = response.headers.iter().map(|field| field.name.len() + field.value.len() + 2).sum();
    let mut headers = ResponseHeaders::with_capacity(size);
    for field in &*response.headers {
        headers.push(field.name, &unfold(&field_text(field.name, field.value)));
    }
    let reason = response.reason.unwrap_or("").to_owned();
    let head = ResponseHead { status, reason, version: response.version.unwrap_or(0), headers };
    Ok(Head::Final { head, consumed })
}

/// Converts a field value to text. Invalid UTF-8 becomes U+FFFD; in `Location` it is percent-encoded, as a
/// replacement would change the target.
pub fn field_text<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    if !name.eq_ignore_ascii_case("Location") {
        return String::from_utf8_lossy(value);
    }
    let mut text = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(text)
}

/// Replaces obsolete line folding by one space (RFC 9112 section 5.2).
fn unfold(value: &str) -> Cow<'_, str> {
    if !value.contains('\n') {
        return Cow::Borrowed(value);
    }
    let lines = value.split('\n').map(|line| line.trim_matches([' ', '\t', '\r']));
    Cow::Owned(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
}

/// A head is parsed after every read up to this size, to detect a peer that does not speak HTTP early. Beyond
/// it, only when its end has arrived, so that a head received byte by byte does not cost quadratic time.
const PARSE_EAGERLY_BELOW: usize = 64;

/// Returns whether parsing can give more than it did for the first `scanned` bytes.
pub fn is_worth_parsing(bytes: &[u8], scanned: usize) -> bool {
    let fresh = &bytes[scanned.saturating_sub(3).min(bytes.len())..];
    scanned < PARSE_EAGERLY_BELOW
        || bytes.len() > limits::MAX_RESPONSE_HEAD
        || fresh.windows(2).any(|pair| pair == b"\n\n")
        || fresh.windows(3).any(|three| three == b"\n\r\n")
}

fn malformed(error: httparse::Error) -> UpgradeError {
    UpgradeError::MalformedHead(match error {
        httparse::Error::TooManyHeaders => return UpgradeError::TooManyHeaders,
        httparse::Error::Version => return UpgradeError::NotHttp,
        httparse::Error::Status => "its status line",
        httparse::Error::HeaderName => "a header name",
        httparse::Error::HeaderValue => "a header value",
        httparse::Error::NewLine => "a line end",
        httparse::Error::Token => "a character that is not allowed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_final(text: &str) -> (ResponseHead, usize) {
        match parse_response(text.as_bytes()) {
            Ok(Head::Final { head, consumed }) => (head, consumed),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn retry_after_is_seconds_or_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |value: &str| {
            let mut headers = ResponseHeaders::default();
            headers.push("retry-after", value);
            let head = ResponseHead { status: 503, reason: String::new(), version: 1, headers };
            head.retry_after(now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("99999999999999999999999"), Some(u64::MAX));
        for date in
            ["Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994"]
        {
            assert_eq!(wait(date), Some(30), "{date}");
        }
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
        for value in ["", "-1", "1.5", "soon", "Sun, 06 Nov", "1 s"] {
            assert_eq!(wait(value), None, "{value}");
        }
    }

    #[test]
    fn header_fields_are_stored_unchanged() {
        let mut headers = ResponseHeaders::default();
        let fields = [("A", "1"), ("a", ""), ("B", "x: y, \u{FFFD}"), ("C", "")];
        for (name, value) in fields {
            headers.push(name, value);
        }
        for (name, value) in [("D\n", "1"), ("D", "1\nE")] {
            headers.push(name, value);
        }
        assert!(headers.iter().eq(fields), "{headers:?}");
        assert!(headers.get_all("a").eq(["1", ""]));
        assert_eq!((headers.get("c"), headers.get("D"), headers.get("E")), (Some(""), None, None));
    }

    #[test]
    fn head_is_incomplete_until_last_byte() {
        let text = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nX: a\r\nx: b\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(parse_response(&text.as_bytes()[..cut]), Ok(Head::Incomplete), "cut at {cut}");
        }
        let (head, consumed) = parse_final(&format!("{text}frames"));
        assert_eq!(consumed, text.len());
        assert_eq!((head.status, head.version, head.reason.as_str()), (101, 1, "Switching"));
        assert_eq!(head.headers.get("UPGRADE"), Some("websocket"));
        assert_eq!(head.headers.get_all("x").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn folded_header_values_are_joined_by_one_space() {
        for (fields, name, value) in [
            ("X-Policy: a;\r\n b\r\n", "X-Policy", "a; b"),
            ("X-Policy: a;\n b\n", "X-Policy", "a; b"),
            ("X: a\r\n\tb\r\n", "X", "a b"),
            ("X: a \t \r\n \t  b\r\n", "X", "a b"),
            ("X: a\r\n b\n\tc\r\n   d\r\n", "X", "a b c d"),
            ("X:\r\n a\r\n", "X", "a"),
            ("X: \r\n \r\n\ta\r\n", "X", "a"),
            ("X: a\r\n \r\n", "X", "a"),
            ("X: a\r\n \r\n b\r\n", "X", "a b"),
            ("X:\r\n \r\n", "X", ""),
            ("X: \"a\r\n b\"\r\nY: c\r\n", "Y", "c"),
            ("X: a\r\n Y: b\r\nZ: c\r\n", "X", "a Y: b"),
            ("Retry-After:\r\n 120\r\n", "Retry-After", "120"),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            for cut in 0..text.len() {
                assert_eq!(
                    parse_response(&text.as_bytes()[..cut]),
                    Ok(Head::Incomplete),
                    "{text:?} at {cut}"
                );
            }
            let (head, _) = parse_final(&text);
            assert_eq!(head.headers.get(name), Some(value), "{fields:?}");
            assert!(head.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])), "{fields:?}");
        }
        let (head, consumed) = parse_final("HTTP/1.1 200 OK\nX: a\n b\n\nbody");
        assert_eq!((head.headers.get("x"), consumed), (Some("a b"), 25));
    }

    #[test]
    fn fold_before_first_field_is_rejected() {
        // RFC 9112 section 2.2: otherwise a field could be visible to this client and hidden from others, or
        // the reverse.
        for fields in [" X: a\r\n", "\tX: a\r\n", " \r\n", "\t\n", " folded\r\nX: a\r\n"] {
            let text = format!("HTTP/1.1 101 x\r\n{fields}\r\n");
            assert!(
                matches!(parse_response(text.as_bytes()), Err(UpgradeError::MalformedHead(_))),
                "{fields:?}"
            );
        }
        for broken in ["X: a\r\r\n b\r\n", "X: a\r b\r\n", "X: a\r\n \0b\r\n", "X\r\n : a\r\n"] {
            let text = format!("HTTP/1.1 101 x\r\n{broken}\r\n");
            assert!(
                matches!(parse_response(text.as_bytes()), Err(UpgradeError::MalformedHead(_))),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn interim_responses_are_distinguished_from_upgrade() {
        let text = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101 \r\n\r\n";
        let Ok(Head::Interim { consumed }) = parse_response(text) else { panic!("not interim") };
        assert_eq!(&text[consumed..consumed + 12], b"HTTP/1.1 101");
        assert_eq!(parse_final("HTTP/1.0 101\r\n\r\n").0.version, 0);
        assert!(matches!(parse_response(b"HTTP/1.1 099 x\r\n\r\n"), Err(UpgradeError::MalformedHead(_))));
    }

    #[test]
    fn non_http_is_detected_from_first_bytes() {
        for garbage in ["\x15\x03\x01", "SSH-2.0", "\r\nHTTP/1.1", "HTTP/2.0 200", "h", "HTTX", "\0"] {
            assert_eq!(parse_response(garbage.as_bytes()), Err(UpgradeError::NotHttp), "{garbage:?}");
        }
        assert_eq!(parse_response(b"HTTP/1.7 200"), Err(UpgradeError::NotHttp));
        for broken in ["HTTP/1.1 abc\r\n", "HTTP/1.1 101 x\r\nno colon\r\n", "HTTP/1.1 101 x\r\nA: \0\r\n"] {
            assert!(
                matches!(parse_response(broken.as_bytes()), Err(UpgradeError::MalformedHead(_))),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn head_is_limited_in_bytes_and_fields() {
        let mut text = String::from("HTTP/1.1 200 OK\r\nX: ");
        text.push_str(&"x".repeat(limits::MAX_RESPONSE_HEAD - text.len() - 1));
        assert_eq!(parse_response(text.as_bytes()), Ok(Head::Incomplete));
        text.push('x');
        assert_eq!(parse_response(text.as_bytes()), Err(UpgradeError::HeadTooLarge));
        text.push_str("\r\n\r\n");
        assert_eq!(parse_response(text.as_bytes()), Err(UpgradeError::HeadTooLarge));

        // Folded lines count as bytes, not as fields.
        let folded = |count| format!("HTTP/1.1 200 OK\r\nX: a\r\n{}\r\n", " b\r\n".repeat(count));
        assert_eq!(parse_final(&folded(16_000)).0.headers.iter().count(), 1);
        assert_eq!(parse_response(folded(17_000).as_bytes()), Err(UpgradeError::HeadTooLarge));

        let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert_eq!(parse_final(&fields(limits::MAX_RESPONSE_HEADERS)).0.status, 200);
        let too_many = fields(limits::MAX_RESPONSE_HEADERS + 1);
        assert_eq!(parse_response(too_many.as_bytes()), Err(UpgradeError::TooManyHeaders));
    }

    #[test]
    fn invalid_utf8_is_replaced_or_percent_encoded() {
        let Ok(Head::Final { head, .. }) = parse_response(b"HTTP/1.1 200 OK\r\nServer: caf\xE9\r\n\r\n")
        else {
            panic!("no head")
        };
        assert_eq!(head.headers.get("server"), Some("caf\u{FFFD}"));
        let moved = b"HTTP/1.1 302 x\r\nlocation: /caf\xE9/\xC3\xA9/\xFF\xC3\r\n\r\n";
        let Ok(Head::Final { head, .. }) = parse_response(moved) else { panic!("no head") };
        assert_eq!(head.redirect(), Some("/caf%E9/\u{e9}/%FF%C3"), "they would lead elsewhere");
    }
}
