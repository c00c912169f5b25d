//! UTF-8 validation (RFC 3629) across reads and frames.

use super::violation::Violation;

/// Returns whether all of `bytes` is valid UTF-8.
#[inline]
pub fn valid(bytes: &[u8]) -> bool {
    crate::fault::point("wire.utf8");
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// Validates text that arrives in pieces. Fails at the first byte after which no continuation is valid.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// Continuation bytes missing in the unfinished sequence.
    needed: u8,
    /// The range of the next continuation byte, if `needed` is not 0.
    lowest: u8,
    highest: u8,
}

impl Utf8Stream {
    /// Validates the next piece. Must not be called again after an error.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut rest = bytes;
        while self.needed > 0 {
            let Some((&byte, tail)) = rest.split_first() else { return Ok(()) };
            self.step(byte)?;
            rest = tail;
        }
        // Vectorised, except for the unfinished sequence at the end of the piece.
        let (whole, unfinished) = rest.split_at(rest.len() - unfinished_len(rest));
        if !valid(whole) {
            return Err(Violation::InvalidUtf8);
        }
        unfinished.iter().try_for_each(|&byte| self.step(byte))
    }

    /// Ends the text; fails if a sequence is unfinished.
    #[inline]
    pub fn finish(&mut self) -> Result<(), Violation> {
        if self.is_clean() { Ok(()) } else { Err(Violation::InvalidUtf8) }
    }

    /// Returns whether no sequence is unfinished.
    #[inline]
    pub fn is_clean(&self) -> bool {
        self.needed == 0
    }

    /// Validates one byte by the table of RFC 3629 section 4.
    fn step(&mut self, byte: u8) -> Result<(), Violation> {
        if self.needed > 0 {
            if !(self.lowest..=self.highest).contains(&byte) {
                return Err(Violation::InvalidUtf8);
            }
            (self.needed, self.lowest, self.highest) = (self.needed - 1, 0x80, 0xBF);
            return Ok(());
        }
        (self.needed, self.lowest, self.highest) = match byte {
            0x00..=0x7F => (0, 0x80, 0xBF),
            0xC2..=0xDF => (1, 0x80, 0xBF),
            0xE0 => (2, 0xA0, 0xBF), // below: overlong
            0xED => (2, 0x80, 0x9F), // above: surrogates
            0xE1..=0xEF => (2, 0x80, 0xBF),
            0xF0 => (3, 0x90, 0xBF), // below: overlong
            0xF1..=0xF3 => (3, 0x80, 0xBF),
            0xF4 => (3, 0x80, 0x8F), // above: beyond U+10FFFF
            _ => return Err(Violation::InvalidUtf8),
        };
        Ok(())
    }
}

/// Returns the number of bytes of an unfinished sequence at the end: 0 to 3. Does not check that they are
/// well-formed.
#[inline]
fn unfinished_len(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needs = match bytes[bytes.len() - back] {
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => 1,
        };
        return if needs > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Naive check: the text is valid, or ends in a sequence that can still become valid.
    fn may_become_valid(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    }

    /// Feeds the pieces and compares with the oracle after each.
    fn check(pieces: &[&[u8]]) {
        let mut stream = Utf8Stream::default();
        let mut fed = Vec::new();
        for piece in pieces {
            fed.extend_from_slice(piece);
            let good = stream.feed(piece).is_ok();
            assert_eq!(good, may_become_valid(&fed), "{fed:02x?} in {pieces:02x?}");
            if !good {
                return;
            }
            assert_eq!(stream.is_clean(), std::str::from_utf8(&fed).is_ok());
        }
        assert_eq!(stream.finish().is_ok(), std::str::from_utf8(&fed).is_ok());
    }

    fn check_all_splits(text: &[u8]) {
        check(&[text]);
        check(&text.chunks(1).collect::<Vec<_>>());
        for first in 0..=text.len() {
            for second in first..=text.len() {
                check(&[&text[..first], &text[first..second], &text[second..]]);
            }
        }
        assert_eq!(valid(text), std::str::from_utf8(text).is_ok());
    }

    #[test]
    fn every_split_agrees_with_standard_library() {
        let texts: [&[u8]; 24] = [
            b"",
            b"Hello-\xC2\xB5@\xC3\x9F\xC3\xB6\xC3\xA4\xC3\xBC\xC3\xA0\xC3\xA1-UTF-8!!",
            b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5",
            b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80edited",
            b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xF4\x90\x80\x80edited",
            b"\xF8\x88\x80\x80\x80",
            b"\xFC\x84\x80\x80\x80\x80",
            b"\x7F\xDF\xBF\xEF\xBF\xBF\xF4\x8F\xBF\xBF",
            b"\xF7\xBF\xBF\xBF",
            b"\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD",
            b"\x80",
            b"\xBF\x80",
            b"\xC0 \xC1",
            b"\xE0\x80\x80",
            b"\xED\xBF\xBF",
            b"\xC0\xAF",
            b"\xE0\x80\xAF",
            b"\xF0\x80\x80\xAF",
            b"\xF0\x8F\xBF\xBF",
            b"\xC1\xBF\xE0\x9F\xBF",
            b"ab\xE2\x82",
            b"ab\xF0\x9F\x98",
            b"\xEF\xBF\xBE\xF0\x9F\xBF\xBF",
            b"\xFE\xFE\xFF\xFF",
        ];
        for text in texts {
            check_all_splits(text);
        }
    }

    #[test]
    fn byte_pairs_and_edge_quadruples_agree_with_standard_library() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                check(&[&[first], &[second]]);
                check(&[&[first, second]]);
            }
        }
        let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF5];
        for a in edges {
            for b in edges {
                for c in edges {
                    for d in edges {
                        check(&[&[a, b, c, d]]);
                        check(&[&[a], &[b], &[c], &[d]]);
                        check(&[&[a, b], &[c, d]]);
                        check(&[&[a, b, c], &[d]]);
                    }
                }
            }
        }
    }

    #[test]
    fn invalid_second_byte_is_detected_at_once() {
        for invalid in [[0xF4, 0x90], [0xE0, 0x80], [0xED, 0xA0], [0xF0, 0x8F]] {
            assert_eq!(Utf8Stream::default().feed(&invalid), Err(Violation::InvalidUtf8));
            let mut stream = Utf8Stream::default();
            assert_eq!(stream.feed(&invalid[..1]), Ok(()));
            assert_eq!(stream.feed(&invalid[1..]), Err(Violation::InvalidUtf8));
        }
    }

    #[test]
    fn long_texts_are_checked_to_last_byte() {
        let mut text = "Füße, 水, 🎲 ".repeat(100).into_bytes();
        let cut = text.len() / 2 + 1;
        check(&[&text[..cut], &text[cut..]]);
        for at in [0, 63, 64, 1000, text.len() - 1] {
            let good = std::mem::replace(&mut text[at], 0xFF);
            check(&[&text]);
            text[at] = good;
        }
    }
}
