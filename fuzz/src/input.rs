//! Parses numbers and bytes from fuzzer input. Reading past the end returns zero.

#[derive(Clone)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Reads at most `count` bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Reads bytes with a one-byte length prefix.
    pub fn counted(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.bytes(count.into())
    }

    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    pub fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[usize::from(self.byte()) % N]
    }
}

/// How received bytes are split into reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pieces {
    Whole,
    Single,
    /// Deterministic pseudo-random lengths (xorshift32).
    Random(u32),
}

impl Pieces {
    pub fn random(seed: u8) -> Self {
        Pieces::Random((u32::from(seed) + 1).wrapping_mul(0x9E37_79B9))
    }

    /// Returns the length of the next piece, at least one, when `left` bytes remain.
    pub fn next(&mut self, left: usize) -> usize {
        match self {
            Pieces::Whole => left,
            Pieces::Single => 1,
            Pieces::Random(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 17;
                *state ^= *state << 5;
                // All magnitudes are equally likely.
                let magnitude = *state >> 28;
                (1 + ((*state >> 8) as usize & ((1 << magnitude) - 1))).min(left)
            }
        }
    }

    pub fn cut<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.next(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}
