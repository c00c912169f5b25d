//! The body of an HTTP/1.1 response (RFC 9112 sections 6 and 7): its framing, and a decoder that keeps the
//! first KiB of the body of a refused upgrade.

use super::response::ResponseHead;
use crate::limits;

/// How the length of a body is determined (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Returns the framing that the head declares.
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
    // Lengths that contradict each other are ignored.
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

/// Decodes the first [`limits::MAX_RESPONSE_BODY`] bytes of a body. Malformed framing ends the body.
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
    /// The remaining bytes; `None` if the body ends when the connection closes.
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

    /// Decodes the next bytes; returns whether the body is complete or the limit is reached.
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

    /// Returns the bytes decoded so far.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn take<'a>(&mut self, bytes: &'a [u8], count: usize) -> &'a [u8] {
        let remaining = limits::MAX_RESPONSE_BODY - self.body.len();
        self.body.extend_from_slice(&bytes[..count.min(remaining)]);
        if self.body.len() == limits::MAX_RESPONSE_BODY {
            self.state = State::Done;
        }
        &bytes[count..]
    }
}

impl State {
    /// Returns the state after one byte of chunk framing (RFC 9112 section 7.1).
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
    use crate::wire::response::{Head, parse_response};

    fn head(text: &str) -> ResponseHead {
        match parse_response(format!("HTTP/1.1 {text}\r\n\r\n").as_bytes()) {
            Ok(Head::Final { head, .. }) => head,
            other => panic!("{text:?}: {other:?}"),
        }
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
            assert_eq!(body_framing(&head(text)), expected, "{text}");
        }
    }

    /// Decodes the bytes at once and byte by byte, and checks that both give the same result.
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
    fn bodies_are_decoded_by_framing() {
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
    fn malformed_framing_ends_body() {
        for broken in ["x", "\r\n", ";\r\n", "-1\r\n", "00000000000000001\r\nx", "5\r\nhelloX"] {
            let (body, done) = decode(BodyFraming::Chunked, broken.as_bytes());
            assert!(done && b"hello".starts_with(&body), "{broken:?}");
        }
    }

    #[test]
    fn body_is_cut_at_limit() {
        let long = vec![b'x'; 3000];
        for framing in [BodyFraming::Length(3000), BodyFraming::UntilClose] {
            assert_eq!(decode(framing, &long), (vec![b'x'; limits::MAX_RESPONSE_BODY], true));
        }
        let chunked = "80\r\n".to_owned() + &"x".repeat(128) + "\r\n";
        let (body, done) = decode(BodyFraming::Chunked, chunked.repeat(20).as_bytes());
        assert_eq!((body, done), (vec![b'x'; limits::MAX_RESPONSE_BODY], true));
    }
}
