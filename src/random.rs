//! Pseudorandom numbers for tests: the same in every run.

/// A seeded pseudorandom generator (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Returns a length; every magnitude up to 2^17 is equally likely.
    pub fn length(&mut self) -> usize {
        let magnitude = self.below(18);
        self.below(1 << magnitude)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub fn text(&mut self, length: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < length {
            text.push(['a', 'ß', '水', '🎲', '\0'][self.below(5)]);
        }
        text.into_bytes()
    }
}
