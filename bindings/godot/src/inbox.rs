//! The packets that wait for `get_packet`.

use std::collections::VecDeque;

use godot::prelude::PackedByteArray;

pub struct Packet {
    pub bytes: PackedByteArray,
    pub is_text: bool,
}

/// A queue that knows its bytes, and whether anybody reads it.
#[derive(Default)]
pub struct Inbox {
    packets: VecDeque<Packet>,
    bytes: usize,
    was_read: bool,
}

impl Inbox {
    pub fn push(&mut self, packet: Packet) {
        self.bytes += packet.bytes.len();
        self.packets.push_back(packet);
    }

    pub fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.bytes.len();
        self.was_read = true;
        Some(packet)
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// A limit in bytes admits one message of any size, or a large one could never be read.
    pub fn is_full(&self, max_packets: i64, max_bytes: i64) -> bool {
        let over =
            |amount: usize, limit: i64| i64::try_from(amount).is_ok_and(|amount| amount >= limit.max(1));
        over(self.packets.len(), max_packets) || over(self.bytes, max_bytes)
    }

    /// Whether a packet was taken since this was asked before.
    pub fn take_was_read(&mut self) -> bool {
        std::mem::take(&mut self.was_read)
    }
}
