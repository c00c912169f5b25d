//! Hides `content-length` and `transfer-encoding` in responses to CONNECT from `h2`.
//!
//! In a successful response to CONNECT both fields must be ignored (RFC 9110 section 9.3.6), and servers send
//! them: Node does if a program sets the field. `h2` 0.4.20 resets the stream with PROTOCOL_ERROR at the
//! first DATA beyond the length (`recv_headers` and `recv_data` in its proto/streams/recv.rs exempt HEAD, but
//! not CONNECT), without a setting to disable this. So the fields are renamed before `h2` parses them, and
//! renamed back in the head that it returns.
//!
//! HPACK (RFC 7541) keeps a table of fields in sync on both ends, so a field cannot be removed. A replacement
//! name of equal length in every encoding keeps frame lengths and table sizes: an entry of the static table
//! with the same number of letters, or the same name with another last letter. References to earlier fields
//! resolve to the new name. Nothing is buffered, and malformed data passes unchanged for `h2` to report.
//!
//! ```text
//!   frame head ──HEADERS──> padding length, priority ──> block ──> padding ──> frame head
//!        │ └─────CONTINUATION────────────────────────────^                        ^
//!        └───────other types: skipped─────────────────────────────────────────────┘
//! ```

/// A field to hide.
struct Hidden {
    name: &'static str,
    /// Its entry in the static table (RFC 7541 appendix A), and the replacement.
    index: u8,
    other_index: u8,
    /// The names that `h2` gets: by table entry, or by literal name.
    others: [&'static str; 2],
    /// The literal name, plain and Huffman-coded, each with the replacement of its last octet.
    full: [(&'static [u8], u8); 2],
}

const CONTENT_LENGTH: &str = "content-length";
const TRANSFER_ENCODING: &str = "transfer-encoding";

static HIDDEN: [Hidden; 2] = [
    Hidden {
        name: CONTENT_LENGTH,
        index: 28,
        other_index: 15,
        others: ["accept-charset", "content-lengtd"],
        full: [
            (CONTENT_LENGTH.as_bytes(), b'd'),
            (&[0x21, 0xEA, 0x49, 0x6A, 0x4A, 0xD4, 0x16, 0xA9, 0x93, 0x3F], 0x27),
        ],
    },
    Hidden {
        name: TRANSFER_ENCODING,
        index: 57,
        other_index: 40,
        others: ["if-modified-since", "transfer-encodind"],
        full: [
            (TRANSFER_ENCODING.as_bytes(), b'd'),
            (&[0x4D, 0x83, 0xA9, 0x12, 0x96, 0xC5, 0x8B, 0x51, 0x0F, 0x21, 0xAA, 0x9B], 0x93),
        ],
    },
];

/// Returns the original name of a field from `h2`.
pub fn sent_as(name: &str) -> &str {
    let hidden = HIDDEN.iter().find(|hidden| hidden.others.contains(&name));
    hidden.map_or(name, |hidden| hidden.name)
}

/// Returns whether this field makes an unsuccessful response malformed: HTTP/2 does not allow it (RFC 9113
/// section 8.2.2).
pub fn is_malformed_in_refusal(name: &str) -> bool {
    name == TRANSFER_ENCODING
}

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const FRAME_HEAD: usize = 9;
/// The size of the priority fields in a HEADERS frame (RFC 9113 section 6.2).
const PRIORITY_SIZE: usize = 5;

/// Filters the bytes of a connection, in pieces of any size.
#[derive(Default)]
pub struct FieldFilter {
    frame: Frame,
    block: Block,
}

/// The position of the next byte in a frame.
enum Frame {
    Head { bytes: [u8; FRAME_HEAD], filled: usize },
    PaddingLength { flags: u8, left: usize },
    Payload { before: usize, block: usize, behind: usize },
}

impl Default for Frame {
    fn default() -> Self {
        Frame::Head { bytes: [0; FRAME_HEAD], filled: 0 }
    }
}

impl FieldFilter {
    /// Renames the fields in the next bytes, in place.
    pub fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let count = match &mut self.frame {
                Frame::Head { bytes: head, filled } => {
                    let count = bytes.len().min(FRAME_HEAD - *filled);
                    head[*filled..*filled + count].copy_from_slice(&bytes[..count]);
                    *filled += count;
                    if *filled == FRAME_HEAD {
                        let head = *head;
                        self.begin_frame(head);
                    }
                    count
                }
                Frame::PaddingLength { flags, left } => {
                    let (flags, left, padding) = (*flags, *left - 1, usize::from(bytes[0]));
                    self.begin_block(flags, left, padding);
                    1
                }
                Frame::Payload { before, block, behind } => {
                    let part =
                        [&mut *before, &mut *block, &mut *behind].into_iter().position(|part| *part > 0);
                    let (left, is_block) = match part {
                        Some(0) => (before, false),
                        Some(1) => (block, true),
                        Some(_) => (behind, false),
                        None => {
                            self.frame = Frame::default();
                            continue;
                        }
                    };
                    let count = bytes.len().min(*left);
                    *left -= count;
                    if is_block {
                        bytes[..count].iter_mut().for_each(|byte| self.block.pass(byte));
                    }
                    count
                }
            };
            bytes = &mut bytes[count..];
        }
    }

    /// Parses a frame header (RFC 9113 section 4.1).
    fn begin_frame(&mut self, head: [u8; FRAME_HEAD]) {
        let [a, b, c, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        match kind {
            HEADERS => {
                self.block = Block::Field;
                if flags & PADDED != 0 && length > 0 {
                    self.frame = Frame::PaddingLength { flags, left: length };
                } else {
                    self.begin_block(flags, length, 0);
                }
            }
            CONTINUATION => self.frame = Frame::Payload { before: 0, block: length, behind: 0 },
            _ => self.frame = Frame::Payload { before: length, block: 0, behind: 0 },
        }
    }

    fn begin_block(&mut self, flags: u8, length: usize, padding: usize) {
        let behind = padding.min(length);
        let before = if flags & PRIORITY != 0 { PRIORITY_SIZE.min(length - behind) } else { 0 };
        self.frame = Frame::Payload { before, block: length - behind - before, behind };
    }
}

/// The position of the next byte in a header block (RFC 7541 section 6).
///
/// ```text
///   Field ──indexed, table size──> (Number) ──────────────────────────────────────────> Field
///     ├──literal, name by index──> (Index) ──> Length of the value ──> Text ──────────> Field
///     └──literal, literal name───> Length of the name ──> Text ──> Length of the value ...
/// ```
#[derive(Clone, Copy, Default)]
enum Block {
    #[default]
    Field,
    /// The rest of a number that is skipped.
    Number {
        then: After,
    },
    /// The byte after a full four-bit prefix, where a static table index may continue.
    Index,
    Length {
        is_name: bool,
    },
    /// The rest of a length.
    LongLength {
        is_name: bool,
        length: usize,
        shift: u32,
    },
    /// `matches`: the text so far is the name of `HIDDEN[.0]`, in the encoding `.1`.
    Text {
        is_name: bool,
        left: usize,
        matches: Option<(usize, usize)>,
        at: usize,
    },
    /// Not a valid HPACK block.
    Lost,
}

#[derive(Clone, Copy)]
enum After {
    Field,
    Value,
}

impl Block {
    fn pass(&mut self, byte: &mut u8) {
        *self = match *self {
            Block::Field => Self::begin(byte),
            Block::Number { then } if *byte < 0x80 => then.block(),
            Block::Number { .. } => return,
            Block::Index => {
                for hidden in &HIDDEN {
                    if *byte == hidden.index - 15 {
                        *byte = hidden.other_index - 15;
                        break;
                    }
                }
                if *byte < 0x80 { After::Value.block() } else { Block::Number { then: After::Value } }
            }
            Block::Length { is_name } => match usize::from(*byte & 0x7F) {
                0x7F => Block::LongLength { is_name, length: 0x7F, shift: 0 },
                length => Self::text(is_name, length, *byte >= 0x80),
            },
            Block::LongLength { is_name, length, shift } => {
                let length = length + (usize::from(*byte & 0x7F) << shift);
                match *byte {
                    // Longer than any block.
                    _ if shift > 14 => Block::Lost,
                    0x80.. => Block::LongLength { is_name, length, shift: shift + 7 },
                    // Longer than the names to hide.
                    _ => Block::Text { is_name, left: length, matches: None, at: 0 },
                }
            }
            Block::Text { is_name, left, matches, at } => {
                let matches = matches.filter(|(field, form)| HIDDEN[*field].full[*form].0[at] == *byte);
                match (left, matches) {
                    (1, Some((field, form))) => {
                        *byte = HIDDEN[field].full[form].1;
                        Self::after_text(is_name)
                    }
                    (1, None) => Self::after_text(is_name),
                    _ => Block::Text { is_name, left: left - 1, matches, at: at + 1 },
                }
            }
            Block::Lost => return,
        };
    }

    fn begin(byte: &mut u8) -> Self {
        let (bits, full): (u8, After) = match *byte {
            0x80.. => (7, After::Field),
            0x40.. => (6, After::Value),
            0x20.. => (5, After::Field),
            _ => (4, After::Value),
        };
        let mask = (1 << bits) - 1;
        if bits > 5 {
            let index = *byte & mask;
            if let Some(hidden) = HIDDEN.iter().find(|hidden| hidden.index == index) {
                *byte = *byte & !mask | hidden.other_index;
            }
        }
        match (*byte & mask, full) {
            (0, After::Value) => Block::Length { is_name: true },
            (number, _) if number == mask && bits == 4 => Block::Index,
            (number, then) if number == mask => Block::Number { then },
            (_, then) => then.block(),
        }
    }

    fn text(is_name: bool, left: usize, in_huffman: bool) -> Self {
        if left == 0 {
            return Self::after_text(is_name);
        }
        let form = usize::from(in_huffman);
        let field = HIDDEN.iter().position(|hidden| is_name && hidden.full[form].0.len() == left);
        Block::Text { is_name, left, matches: field.map(|field| (field, form)), at: 0 }
    }

    fn after_text(was_name: bool) -> Self {
        if was_name { After::Value.block() } else { Block::Field }
    }
}

impl After {
    fn block(self) -> Block {
        match self {
            After::Field => Block::Field,
            After::Value => Block::Length { is_name: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a frame.
    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    /// Filters at once and byte by byte, and checks that both results are equal.
    fn passed(bytes: &[u8]) -> Vec<u8> {
        let (mut whole, mut single) = (bytes.to_vec(), bytes.to_vec());
        FieldFilter::default().pass(&mut whole);
        let mut filter = FieldFilter::default();
        single.chunks_mut(1).for_each(|byte| filter.pass(byte));
        assert_eq!(whole, single);
        whole
    }

    /// Filters a HEADERS frame with only a block in it.
    fn block(payload: &[u8]) -> Vec<u8> {
        passed(&frame(HEADERS, 4, payload)).split_off(FRAME_HEAD)
    }

    fn literal(first: u8, name: &[u8], huffman: u8) -> Vec<u8> {
        [&[first, name.len() as u8 | huffman], name, &[1, b'0']].concat()
    }

    #[test]
    fn both_fields_are_renamed_in_every_encoding() {
        for (index, other) in [(28, 15), (57, 40)] {
            assert_eq!(block(&[0x80 | index]), [0x80 | other], "indexed");
            assert_eq!(block(&[0x40 | index, 1, b'0']), [0x40 | other, 1, b'0'], "to be indexed");
            for first in [0x0F, 0x1F] {
                assert_eq!(block(&[first, index - 15, 1, b'0']), [first, other - 15, 1, b'0'], "not indexed");
            }
        }
        for hidden in &HIDDEN {
            for (form, huffman) in [(0, 0), (1, 0x80)] {
                let (name, last) = hidden.full[form];
                let mut renamed = name.to_vec();
                *renamed.last_mut().unwrap() = last;
                for first in [0, 0x10, 0x40] {
                    assert_eq!(block(&literal(first, name, huffman)), literal(first, &renamed, huffman));
                }
            }
            for other in hidden.others {
                assert_eq!((sent_as(other), other.len()), (hidden.name, hidden.name.len()));
            }
        }
        assert_eq!(sent_as("server"), "server");
    }

    #[test]
    fn everything_else_is_unchanged() {
        let long = [&[0x40, 0x7F, 0x81, 0x01][..], &[b'x'; 256], &[0x7F, 0x01], &[28; 128]].concat();
        let blocks: [&[u8]; 9] = [
            &[0x88, 0x3F, 28 | 0x80, 1, 0x88],
            // The name as a value, and in a longer, a shorter and another name.
            &literal(0, b"x-name", 0),
            b"\x40\x01x\x0econtent-length",
            b"\x40\x0fcontent-lengthy\x010",
            b"\x40\x0dcontent-lengt\x010",
            b"\x40\x0econtent-lengts\x010",
            // Multi-byte numbers: an index beyond the prefix, and values as long as an index.
            &[0xFF, 28, 0x7F, 57, 2, 28, 57, 0x0F, 0x8D, 0, 1, 28],
            &long,
            // A number without an end.
            &[0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x5C, 0x5C],
        ];
        for payload in blocks {
            assert_eq!(block(payload), payload);
        }
        // Other frame types.
        for kind in (0..=255).filter(|kind| ![HEADERS, CONTINUATION].contains(kind)) {
            let bytes = frame(kind, 0xFF, &[0x5C, 1, b'0']);
            assert_eq!(passed(&bytes), bytes);
        }
    }

    #[test]
    fn block_is_found_between_priority_and_padding_and_across_frames() {
        let name = b"\x0econtent-length";
        let first =
            [&[3, 0x5C, 0x5C, 0x5C, 0x5C, 0x5C, 0x5C, 1, b'0', 0x40][..], &name[..8], &[0x5C; 3]].concat();
        let bytes = [
            frame(HEADERS, PADDED | PRIORITY, &first),
            frame(CONTINUATION, 0, &[&name[8..], &[1][..]].concat()),
            frame(CONTINUATION, 4, &[0x5C, 0x79, 1, b'x']),
            frame(0, 0, &[0x5C; 20]),
            frame(HEADERS, PADDED, &[]),
            frame(HEADERS, PADDED, &[9, 0x5C]),
            frame(HEADERS, 4, &[0x5C]),
        ];
        let mut expected = bytes.clone();
        expected[0][FRAME_HEAD + 6] = 0x4F;
        expected[1][FRAME_HEAD + 6] = b'd';
        expected[2][FRAME_HEAD + 1] = 0x68;
        expected[6][FRAME_HEAD] = 0x4F;
        assert_eq!(passed(&bytes.concat()), expected.concat());
    }

    #[test]
    fn arbitrary_bytes_pass() {
        let mut state = 7u32;
        for length in 0..400 {
            let noise = (0..length).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let noise: Vec<u8> = noise.collect();
            assert_eq!(passed(&noise).len(), length);
            assert_eq!(
                passed(&frame(HEADERS, noise.first().copied().unwrap_or(0), &noise)).len(),
                length + 9
            );
        }
    }
}
