//! The queue of messages that a script reads with `get_packet()`.

use std::collections::VecDeque;

use godot::prelude::PackedByteArray;

pub struct Packet {
    pub bytes: PackedByteArray,
    pub is_text: bool,
}

/// Counts its bytes, and records whether packets are being read.
#[derive(Default)]
pub struct PacketQueue {
    packets: VecDeque<Packet>,
    bytes: usize,
    was_read: bool,
}

impl PacketQueue {
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

    /// Returns whether a limit is reached. An empty queue is never full, so one message of any size fits.
    pub fn is_full(&self, max_packets: i64, max_bytes: i64) -> bool {
        let reached =
            |amount: usize, limit: i64| i64::try_from(amount).is_ok_and(|amount| amount >= limit.max(1));
        reached(self.packets.len(), max_packets) || reached(self.bytes, max_bytes)
    }

    /// Returns whether a packet was read since the previous call.
    pub fn take_was_read(&mut self) -> bool {
        std::mem::take(&mut self.was_read)
    }
}
