//! A slow, simple decoder for RFC 1951, as a reference for the codec under test.

/// Decompresses a raw stream of whole blocks; returns the data and the largest back-reference distance.
///
/// # Panics
/// If the stream is malformed.
pub fn inflate(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (mut bits, mut plain, mut farthest) = (Bits { bytes, at: 0 }, Vec::new(), 0);
    while bits.at < bytes.len() * 8 {
        let is_final = bits.take(1) == 1;
        match bits.take(2) {
            0 => stored(&mut bits, &mut plain),
            1 => {
                let lengths = |symbol| match symbol {
                    144..=255 => 9,
                    256..=279 => 7,
                    _ => 8,
                };
                let literals = Huffman::new((0..288).map(lengths).collect());
                coded(&mut bits, &literals, &Huffman::new(vec![5; 30]), &mut plain, &mut farthest);
            }
            2 => {
                let (literals, distances) = dynamic_codes(&mut bits);
                coded(&mut bits, &literals, &distances, &mut plain, &mut farthest);
            }
            _ => panic!("a reserved block type"),
        }
        assert!(!is_final, "a message of ours has no final block");
    }
    (plain, farthest)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// Reads bits, lowest first.
    fn take(&mut self, count: usize) -> usize {
        (0..count).fold(0, |value, place| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << place
        })
    }
}

/// A code by symbol lengths; codes are assigned in order of length, then symbol (section 3.2.2).
struct Huffman {
    lengths: Vec<usize>,
}

impl Huffman {
    fn new(lengths: Vec<usize>) -> Self {
        Self { lengths }
    }

    fn take(&self, bits: &mut Bits) -> usize {
        let (mut code, mut first) = (0, 0);
        for length in 1..=15 {
            code = code << 1 | bits.take(1);
            let mut of_length = self.lengths.iter().enumerate().filter(|(_, own)| **own == length);
            let count = of_length.clone().count();
            if code < first + count {
                return of_length.nth(code - first).unwrap().0;
            }
            first = (first + count) << 1;
        }
        panic!("no such code")
    }
}

fn stored(bits: &mut Bits, plain: &mut Vec<u8>) {
    bits.at = bits.at.next_multiple_of(8);
    let length = bits.take(16);
    assert_eq!(bits.take(16), !length & 0xFFFF);
    plain.extend((0..length).map(|_| bits.take(8) as u8));
}

fn coded(
    bits: &mut Bits,
    literals: &Huffman,
    distances: &Huffman,
    plain: &mut Vec<u8>,
    farthest: &mut usize,
) {
    loop {
        let symbol = match literals.take(bits) {
            256 => return,
            literal @ 0..=255 => {
                plain.push(literal as u8);
                continue;
            }
            symbol => symbol - 257,
        };
        // Section 3.2.5: each group of codes has one more extra bit.
        let length = match symbol {
            0..=7 => symbol + 3,
            28 => 258,
            _ => {
                let extra = symbol / 4 - 1;
                ((4 + symbol % 4) << extra) + 3 + bits.take(extra)
            }
        };
        let code = distances.take(bits);
        let distance = if code < 4 {
            code + 1
        } else {
            let extra = code / 2 - 1;
            ((2 + code % 2) << extra) + 1 + bits.take(extra)
        };
        *farthest = distance.max(*farthest);
        for _ in 0..length {
            plain.push(plain[plain.len() - distance]);
        }
    }
}

/// Reads the code tables of a block (section 3.2.7).
fn dynamic_codes(bits: &mut Bits) -> (Huffman, Huffman) {
    let (literals, distances, lengths) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let mut meta = vec![0; 19];
    for &symbol in &order[..lengths] {
        meta[symbol] = bits.take(3);
    }
    let meta = Huffman::new(meta);
    let mut all = Vec::new();
    while all.len() < literals + distances {
        let (value, count) = match meta.take(bits) {
            16 => (*all.last().unwrap(), bits.take(2) + 3),
            17 => (0, bits.take(3) + 3),
            18 => (0, bits.take(7) + 11),
            length => (length, 1),
        };
        all.extend(std::iter::repeat_n(value, count));
    }
    let distances = all.split_off(literals);
    (Huffman::new(all), Huffman::new(distances))
}
