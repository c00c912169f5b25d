//! Where units begin and end in the bytes of one direction: the heads of the upgrade, then frames.
//!
//! ```text
//!   head ── request, or 101 ──► frames
//!    │ └─── other 1xx ──► head
//!    └───── other status ──► body of a refusal
//! ```
//!
//! Invalid bytes are not reported: the session reports them, and a viewer shows them.

use crate::wire::frame::MAX_HEADER;

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Sent = 0,
    Received = 1,
}

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Head,
    Frame,
    /// Anything else: it has no end.
    Body,
}

/// The bytes of a unit that were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub unit: Unit,
    pub len: usize,
    /// The unit is complete.
    pub is_end: bool,
}

/// The position in the bytes of one direction.
pub struct Framing {
    unit: Unit,
    direction: Direction,
    /// The first bytes of the head or frame.
    start: [u8; MAX_HEADER],
    /// How many there are of them.
    filled: usize,
    /// The last two bytes of the head.
    tail: [u8; 2],
    /// The rest of a frame's payload, after its header.
    payload: Option<u64>,
}

impl Framing {
    pub fn new(direction: Direction) -> Self {
        Self { unit: Unit::Head, direction, start: [0; MAX_HEADER], filled: 0, tail: [0; 2], payload: None }
    }

    /// Finds the end of the current unit. `bytes` must not be empty.
    pub fn next(&mut self, bytes: &[u8]) -> Found {
        let unit = self.unit;
        let (len, is_end) = match unit {
            Unit::Head => self.head(bytes),
            Unit::Frame => self.frame(bytes),
            Unit::Body => (bytes.len(), true),
        };
        if is_end {
            if unit == Unit::Head {
                self.unit = self.after_head();
            }
            (self.filled, self.tail, self.payload) = (0, [0; 2], None);
        }
        Found { unit, len, is_end }
    }

    /// Passes all of `bytes`. Returns where the first frame in them begins. After a loss it goes on there: a head that
    /// is not known to be one would be taken for frames, and written with its secrets.
    pub fn skip(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut first = (self.unit == Unit::Frame && self.is_between()).then_some(0);
        let mut at = 0;
        while at < bytes.len() {
            let found = self.next(&bytes[at..]);
            at += found.len;
            if found.is_end && self.unit == Unit::Frame {
                first = first.or(Some(at));
            }
        }
        first.filter(|first| *first < bytes.len())
    }

    /// Continues at the begin of a frame, after bytes that are not known.
    pub fn restart(&mut self) {
        if self.unit == Unit::Head {
            self.unit = Unit::Frame;
        }
        (self.filled, self.tail, self.payload) = (0, [0; 2], None);
    }

    pub fn is_head(&self) -> bool {
        self.unit == Unit::Head
    }

    fn is_between(&self) -> bool {
        self.filled == 0 && self.payload.is_none()
    }

    /// A head ends with an empty line. Line ends without a carriage return are accepted, as the parser does.
    fn head(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            if self.filled < MAX_HEADER {
                self.start[self.filled] = *byte;
                self.filled += 1;
            }
            if *byte == b'\n' && (self.tail[1] == b'\n' || self.tail == *b"\n\r") {
                return (at + 1, true);
            }
            self.tail = [self.tail[1], *byte];
        }
        (bytes.len(), false)
    }

    fn after_head(&self) -> Unit {
        match (self.direction, self.start.get(9..12)) {
            (Direction::Sent, _) | (_, Some(b"101")) => Unit::Frame,
            (_, Some([b'1', ..])) => Unit::Head,
            _ => Unit::Body,
        }
    }

    /// A header of up to 14 bytes (RFC 6455 section 5.2), then the payload.
    fn frame(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut len = 0;
        let payload = loop {
            if let Some(payload) = self.payload {
                break payload;
            }
            let start = &self.start[..self.filled];
            let (length_bytes, mask) = match start {
                [_, second, ..] => (
                    match second & 127 {
                        126 => 2,
                        127 => 8,
                        _ => 0,
                    },
                    if second & 128 == 0 { 0 } else { 4 },
                ),
                _ => (0, 0),
            };
            if self.filled >= 2 + length_bytes + mask {
                let long = start[2..2 + length_bytes].iter().fold(0, |len, byte| len << 8 | u64::from(*byte));
                break *self.payload.insert(if length_bytes > 0 { long } else { u64::from(start[1] & 127) });
            }
            let Some(byte) = bytes.get(len) else { return (len, false) };
            self.start[self.filled] = *byte;
            self.filled += 1;
            len += 1;
        };
        let here = payload.min((bytes.len() - len) as u64);
        self.payload = Some(payload - here);
        (len + here as usize, payload == here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The units of bytes that come in parts of this size.
    fn units(direction: Direction, bytes: &[u8], size: usize) -> Vec<(Unit, usize)> {
        let (mut framing, mut units, mut len) = (Framing::new(direction), Vec::new(), 0);
        for mut part in bytes.chunks(size) {
            while !part.is_empty() {
                let found = framing.next(part);
                len += found.len;
                if found.is_end {
                    units.push((found.unit, std::mem::take(&mut len)));
                }
                part = &part[found.len..];
            }
        }
        if len > 0 {
            units.push((framing.unit, len));
        }
        units
    }

    fn exchange() -> (Vec<u8>, Vec<u8>) {
        let mut sent = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        sent.extend_from_slice(&[0x81, 0x82, 1, 2, 3, 4, 5, 6]);
        sent.extend_from_slice(&[0x82, 0xfe, 0, 200, 1, 2, 3, 4]);
        sent.extend_from_slice(&[7; 200]);
        let mut received = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101 Go\n\n".to_vec();
        received.extend_from_slice(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        received.extend_from_slice(&[7; 65536]);
        received.extend_from_slice(&[0x88, 0, 0x8a, 0]);
        (sent, received)
    }

    #[test]
    fn units_are_found_in_all_splits() {
        let (sent, received) = exchange();
        for size in [1, 2, 3, 7, 1000, usize::MAX] {
            let expected = [(Unit::Head, 27), (Unit::Frame, 8), (Unit::Frame, 208)];
            assert_eq!(units(Direction::Sent, &sent, size), expected, "{size}");
            let expected = [
                (Unit::Head, 37),
                (Unit::Head, 17),
                (Unit::Frame, 65546),
                (Unit::Frame, 2),
                (Unit::Frame, 2),
            ];
            assert_eq!(units(Direction::Received, &received, size), expected, "{size}");
        }
    }

    #[test]
    fn body_of_refusal_follows_its_head() {
        let refusal = b"HTTP/1.1 403 No\r\n\r\n\n\nwhy";
        assert_eq!(units(Direction::Received, refusal, 100), [(Unit::Head, 19), (Unit::Body, 5)]);
    }

    #[test]
    fn skipping_returns_the_first_frame() {
        let mut framing = Framing::new(Direction::Received);
        assert_eq!(framing.skip(b"HTTP/1.1 103 Early Hints\r\n\r\n"), None);
        assert_eq!(framing.skip(b"HTTP/1.1 101 Go\r\nSet-Cookie: a\r\n"), None);
        assert_eq!(framing.skip(b"\r\n\x81\x01a"), Some(2));
        let mut framing = Framing::new(Direction::Received);
        assert_eq!(framing.skip(b"HTTP/1.1 403 No\r\n\r\nwhy"), None);
        let mut framing = Framing::new(Direction::Sent);
        assert_eq!(framing.skip(b"GET / HTTP/1.1\r\n\r\n\x82\x05ab"), Some(18));
        assert_eq!(framing.skip(b"c"), None);
        assert_eq!(framing.skip(b"de"), None);
        assert_eq!(framing.skip(b"\x82\x03abc"), Some(0));
        assert_eq!(framing.skip(b"\x82\x03a"), Some(0));
        assert_eq!(framing.skip(b"bc\x82\x00"), Some(2));
    }
}
