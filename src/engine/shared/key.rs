//! The identifier of a connection.

/// Identifies a connection on its worker: its slot, and a serial number that no other connection of this
/// worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub slot: u32,
    pub serial: u32,
}

impl Key {
    /// Returns the key as one number, which is never 0: 0 means no connection.
    pub fn to_bits(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.slot)
    }

    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self { slot: bits as u32, serial: (bits >> 32) as u32 })
    }
}
