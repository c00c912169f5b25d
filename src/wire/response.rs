//! HTTP/1.1 responses (RFC 9112): the head, and the beginning of the body of a refusal.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::date;
use super::upgrade::UpgradeError;
use crate::limits;

/// What stands before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    pub reason: String,
    /// The minor version of HTTP/1: 0 or 1. HTTP/2 has none, and counts as 1 here.
    pub version: u8,
    pub headers: ResponseHeaders,
}

impl ResponseHead {
    /// How long the server wants to be left alone (RFC 9110 section 10.2.3).
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let value = self.headers.get("Retry-After")?.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let at = date::parse(value)?;
        Some(at.duration_since(now).unwrap_or_default())
    }

    /// Where a redirect that keeps the request a GET leads to (RFC 9110 section 15.4).
    pub fn redirect(&self) -> Option<&str> {
        matches!(self.status, 301 | 302 | 303 | 307 | 308).then(|| self.headers.get("Location")).flatten()
    }
}

const FIELD_END: char = '\n';

/// Header fields as they came, in order. Bytes that are not UTF-8 became U+FFFD.
///
/// A connection keeps them as long as it lives, so they lie in one piece: a name, a line feed, its value,
/// a line feed, as neither can have one in it (RFC 9110 section 5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    fields: String,
}

impl ResponseHeaders {
    /// With room for so many bytes of names and values, two line feeds for each field among them.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { fields: String::with_capacity(bytes) }
    }

    /// A field that cannot be one is left out.
    pub fn push(&mut self, name: &str, value: &str) {
        if !name.contains(FIELD_END) && !value.contains(FIELD_END) {
            for part in [name, value] {
                self.fields.push_str(part);
                self.fields.push(FIELD_END);
            }
        }
    }

    /// The value of the first field of that name, in any case.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.get_all(name).next()
    }

    /// The values of every field of that name, in any case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.fields.split_terminator(FIELD_END);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

/// What stands at the beginning of the received bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// Not all of it is there; nothing is wrong so far.
    Incomplete,
    /// A 1xx response other than 101, to be skipped; the next one follows.
    Interim {
        consumed: usize,
    },
    Final {
        head: ResponseHead,
        consumed: usize,
    },
}

/// Parses the head at the start of all bytes received so far.
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

/// A field value as text: what is not UTF-8 becomes U+FFFD, or is percent-encoded where it says the way to
/// another place.
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

/// A field value on one line: obsolete line folding becomes one space (RFC 9112 section 5.2).
fn unfold(value: &str) -> Cow<'_, str> {
    if !value.contains('\n') {
        return Cow::Borrowed(value);
    }
    let lines = value.split('\n').map(|line| line.trim_matches([' ', '\t', '\r']));
    Cow::Owned(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Heads are parsed at every read until this much of them was looked at, so that garbage is found
/// out early; then only once their end is there, so that one that comes byte by byte is cheap.
const PARSE_EAGERLY_BELOW: usize = 64;

/// Whether parsing the bytes can tell more than it did when the first `scanned` of them were there.
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

/// How the end of a body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

pub fn body_framing(head: &ResponseHead) -> BodyFraming {
    if matches!(head.status, 100..200 | 204 | 304) {
        return BodyFraming::None;
    }
    if let Some(coding) = head.headers.get_all("Transfer-Encoding").last() {
        let last = coding.rsplit(',').next().unwrap_or_default().trim_matches([' ', '\t']);
        let chunked = last.eq_ignore_ascii_case("chunked");
        return if chunked { BodyFraming::Chunked } else { BodyFraming::UntilClose };
    }
    let mut lengths = head.headers.get_all("Content-Length").flat_map(|line| line.split(','));
    let Some(length) = lengths.next().and_then(parse_length) else { return BodyFraming::UntilClose };
    // Lengths that contradict each other say nothing.
    if lengths.all(|other| parse_length(other) == Some(length)) {
        BodyFraming::Length(length)
    } else {
        BodyFraming::UntilClose
    }
}

fn parse_length(text: &str) -> Option<u64> {
    let text = text.trim_matches([' ', '\t']);
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Takes the beginning of a body out of its framing: at most [`limits::MAX_RESPONSE_BODY`]
/// bytes, which is then all. What is malformed ends it.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    body: Vec<u8>,
    state: State,
}

/// ```text
/// Data ──────────────────────────────────────────► Done      (a length, or until the close)
///
/// ChunkSize ─► ChunkExtension ─► ChunkData ─► ChunkEnd ─┐
///   ▲    └─────────────────────────►                    │
///   └───────────────────────────────────────────────────┘    a chunk of 0 is Done
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Bytes that are still to come, `None` until the connection closes.
    Data(Option<u64>),
    ChunkSize {
        size: u64,
        digits: u8,
    },
    ChunkExtension {
        size: u64,
    },
    ChunkData(u64),
    ChunkEnd,
    Done,
}

impl BodyDecoder {
    pub fn new(framing: BodyFraming) -> Self {
        let state = match framing {
            BodyFraming::None | BodyFraming::Length(0) => State::Done,
            BodyFraming::Length(length) => State::Data(Some(length)),
            BodyFraming::Chunked => State::ChunkSize { size: 0, digits: 0 },
            BodyFraming::UntilClose => State::Data(None),
        };
        Self { body: Vec::new(), state }
    }

    /// The next bytes; whether that was all that will be kept.
    pub fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while let [first, rest @ ..] = bytes {
            bytes = match self.state {
                State::Done => break,
                State::Data(None) => self.take(bytes, bytes.len()),
                State::Data(Some(left)) => {
                    let count = clamp(left, bytes.len());
                    let left = left - count as u64;
                    self.state = if left == 0 { State::Done } else { State::Data(Some(left)) };
                    self.take(bytes, count)
                }
                State::ChunkData(left) => {
                    let count = clamp(left, bytes.len());
                    let left = left - count as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                    self.take(bytes, count)
                }
                State::ChunkSize { .. } | State::ChunkExtension { .. } | State::ChunkEnd => {
                    self.state = self.state.after_framing(*first);
                    rest
                }
            };
        }
        self.is_done()
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What was decoded so far.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn take<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        let room = limits::MAX_RESPONSE_BODY - self.body.len();
        self.body.extend_from_slice(&bytes[..count.min(room)]);
        if self.body.len() == limits::MAX_RESPONSE_BODY {
            self.state = State::Done;
        }
        &bytes[count..]
    }
}

impl State {
    /// One byte of what stands between the chunks (RFC 9112 section 7.1).
    fn after_framing(self, byte: u8) -> State {
        match (self, byte) {
            (State::ChunkSize { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                State::ChunkSize { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::ChunkSize { size, digits: 1.. }, b'\n') | (State::ChunkExtension { size }, b'\n') => {
                if size == 0 {
                    State::Done
                } else {
                    State::ChunkData(size)
                }
            }
            (State::ChunkSize { size, digits: 1.. }, b'\r' | b';' | b' ' | b'\t')
            | (State::ChunkExtension { size }, _) => State::ChunkExtension { size },
            (State::ChunkEnd, b'\r') => State::ChunkEnd,
            (State::ChunkEnd, b'\n') => State::ChunkSize { size: 0, digits: 0 },
            _ => State::Done,
        }
    }
}

fn clamp(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
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
    fn a_time_to_wait_is_in_seconds_or_a_date() {
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
    fn header_fields_come_out_as_they_went_in() {
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
    fn a_head_is_incomplete_until_its_last_byte() {
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
    fn a_fold_before_the_first_field_is_refused() {
        // RFC 9112 section 2.2: else a server could hide a field from us that others see, or the reverse.
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
    fn interim_responses_are_told_apart_from_the_upgrade() {
        let text = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101 \r\n\r\n";
        let Ok(Head::Interim { consumed }) = parse_response(text) else { panic!("not interim") };
        assert_eq!(&text[consumed..consumed + 12], b"HTTP/1.1 101");
        assert_eq!(parse_final("HTTP/1.0 101\r\n\r\n").0.version, 0);
        assert!(matches!(parse_response(b"HTTP/1.1 099 x\r\n\r\n"), Err(UpgradeError::MalformedHead(_))));
    }

    #[test]
    fn what_is_not_http_is_known_from_its_first_bytes() {
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
    fn a_head_is_bounded_in_bytes_and_fields() {
        let mut text = String::from("HTTP/1.1 200 OK\r\nX: ");
        text.push_str(&"x".repeat(limits::MAX_RESPONSE_HEAD - text.len() - 1));
        assert_eq!(parse_response(text.as_bytes()), Ok(Head::Incomplete));
        text.push('x');
        assert_eq!(parse_response(text.as_bytes()), Err(UpgradeError::HeadTooLarge));
        text.push_str("\r\n\r\n");
        assert_eq!(parse_response(text.as_bytes()), Err(UpgradeError::HeadTooLarge));

        // Folds count as the bytes that they are, and as no field of their own.
        let folded = |count| format!("HTTP/1.1 200 OK\r\nX: a\r\n{}\r\n", " b\r\n".repeat(count));
        assert_eq!(parse_final(&folded(16_000)).0.headers.iter().count(), 1);
        assert_eq!(parse_response(folded(17_000).as_bytes()), Err(UpgradeError::HeadTooLarge));

        let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert_eq!(parse_final(&fields(limits::MAX_RESPONSE_HEADERS)).0.status, 200);
        let too_many = fields(limits::MAX_RESPONSE_HEADERS + 1);
        assert_eq!(parse_response(too_many.as_bytes()), Err(UpgradeError::TooManyHeaders));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept_lossily() {
        let Ok(Head::Final { head, .. }) = parse_response(b"HTTP/1.1 200 OK\r\nServer: caf\xE9\r\n\r\n")
        else {
            panic!("no head")
        };
        assert_eq!(head.headers.get("server"), Some("caf\u{FFFD}"));
        let moved = b"HTTP/1.1 302 x\r\nlocation: /caf\xE9/\xC3\xA9/\xFF\xC3\r\n\r\n";
        let Ok(Head::Final { head, .. }) = parse_response(moved) else { panic!("no head") };
        assert_eq!(head.redirect(), Some("/caf%E9/\u{e9}/%FF%C3"), "they would lead elsewhere");
    }

    #[test]
    fn framing_follows_status_transfer_encoding_and_length() {
        use BodyFraming::*;
        for (text, expected) in [
            ("204 x\r\nContent-Length: 5", None),
            ("304 x\r\nTransfer-Encoding: chunked", None),
            ("200 x\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, Chunked", Chunked),
            ("200 x\r\nTransfer-Encoding: chunked, gzip", UntilClose),
            ("200 x\r\nContent-Length: 5", Length(5)),
            ("200 x\r\nContent-Length: 5, 5\r\nContent-Length: 5", Length(5)),
            ("200 x\r\nContent-Length: 5\r\nContent-Length: 6", UntilClose),
            ("200 x\r\nContent-Length: +5", UntilClose),
            ("200 x\r\nContent-Length: 99999999999999999999", UntilClose),
            ("200 x\r\nServer: y", UntilClose),
        ] {
            assert_eq!(body_framing(&parse_final(&format!("HTTP/1.1 {text}\r\n\r\n")).0), expected, "{text}");
        }
    }

    /// Fed at once and byte by byte, the result must be the same.
    fn decode(framing: BodyFraming, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut whole = BodyDecoder::new(framing);
        let done = whole.feed(bytes);
        let mut single = BodyDecoder::new(framing);
        bytes.iter().for_each(|byte| {
            single.feed(&[*byte]);
        });
        assert_eq!((whole.body(), done), (single.body(), single.is_done()));
        (whole.body, done)
    }

    #[test]
    fn bodies_come_out_of_their_framing() {
        use BodyFraming::*;
        assert_eq!(decode(None, b"x"), (b"".to_vec(), true));
        assert_eq!(decode(Length(0), b"x"), (b"".to_vec(), true));
        assert_eq!(decode(Length(5), b"hello, next"), (b"hello".to_vec(), true));
        assert_eq!(decode(Length(u64::MAX), b"hel"), (b"hel".to_vec(), false));
        assert_eq!(decode(UntilClose, b"hello"), (b"hello".to_vec(), false));
        let chunked = b"5\r\nhello\r\n002;a=\"b\"\r\n, \r\nA\n0123456789\n0\r\nTrailer: x\r\n\r\n";
        assert_eq!(decode(Chunked, chunked), (b"hello, 0123456789".to_vec(), true));
        assert_eq!(decode(Chunked, b"5\r\nhel"), (b"hel".to_vec(), false));
    }

    #[test]
    fn what_is_malformed_ends_the_body() {
        for broken in ["x", "\r\n", ";\r\n", "-1\r\n", "00000000000000001\r\nx", "5\r\nhelloX"] {
            let (body, done) = decode(BodyFraming::Chunked, broken.as_bytes());
            assert!(done && b"hello".starts_with(&body), "{broken:?}");
        }
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let long = vec![b'x'; 3000];
        for framing in [BodyFraming::Length(3000), BodyFraming::UntilClose] {
            assert_eq!(decode(framing, &long), (vec![b'x'; limits::MAX_RESPONSE_BODY], true));
        }
        let chunked = "80\r\n".to_owned() + &"x".repeat(128) + "\r\n";
        let (body, done) = decode(BodyFraming::Chunked, chunked.repeat(20).as_bytes());
        assert_eq!((body, done), (vec![b'x'; limits::MAX_RESPONSE_BODY], true));
    }
}
