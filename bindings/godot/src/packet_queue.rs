//! The queue of messages that a script reads with `get_packet()`.

use std::collections::VecDeque;

use framewire::Segment;

use crate::gdextension::{Bytes, PackedByteArray, Variant};

pub struct Packet {
    payload: Payload,
    pub is_text: bool,
}

enum Payload {
    /// In a block of the library. Most scripts read a packet in the frame in which it was received. It is then
    /// copied into an array only when it is read, while both are in the processor's cache.
    Received(Segment),
    Copied(PackedByteArray),
}

/// The bytes of a packet that has not been copied.
pub struct Received(Segment);

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Packet {
    pub fn new(payload: Segment, is_text: bool) -> Self {
        Self { payload: Payload::Received(payload), is_text }
    }

    fn len(&self) -> usize {
        match &self.payload {
            Payload::Received(segment) => segment.len(),
            Payload::Copied(bytes) => bytes.len(),
        }
    }

    pub fn into_bytes(self) -> Bytes<Received> {
        match self.payload {
            Payload::Received(segment) => Bytes::Of(Received(segment)),
            Payload::Copied(bytes) => Bytes::Array(bytes),
        }
    }

    /// Returns a String for a text, and a PackedByteArray otherwise.
    pub fn into_variant(self) -> Variant {
        match self.payload {
            Payload::Received(segment) if self.is_text => text(segment.as_slice()),
            Payload::Copied(bytes) if self.is_text => text(bytes.as_slice()),
            _ => Variant::new(self.into_bytes()),
        }
    }
}

/// Converts a text to a String. The library has validated the UTF-8, so this replaces nothing.
pub fn text(bytes: &[u8]) -> Variant {
    Variant::new(&*String::from_utf8_lossy(bytes))
}

/// Counts its bytes, and records whether packets are being read.
#[derive(Default)]
pub struct PacketQueue {
    packets: VecDeque<Packet>,
    /// The number of packets at the front that are copied.
    copied: usize,
    bytes: usize,
    was_read: bool,
}

impl PacketQueue {
    pub fn push(&mut self, packet: Packet) {
        self.bytes += packet.len();
        self.packets.push_back(packet);
    }

    pub fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.copied = self.copied.saturating_sub(1);
        self.bytes -= packet.len();
        self.was_read = true;
        Some(packet)
    }

    /// Removes all packets, as read by the script.
    pub fn read_all(&mut self) -> VecDeque<Packet> {
        self.was_read |= !self.packets.is_empty();
        self.take_all()
    }

    /// Removes all packets.
    pub fn take_all(&mut self) -> VecDeque<Packet> {
        (self.copied, self.bytes) = (0, 0);
        std::mem::take(&mut self.packets)
    }

    /// Copies the packets that the script has not read since they were received, so that they do not hold blocks
    /// of the library, which are much larger than small messages.
    pub fn copy_unread(&mut self) {
        for packet in self.packets.range_mut(self.copied..) {
            if let Payload::Received(segment) = &packet.payload {
                packet.payload = Payload::Copied(PackedByteArray::from(segment.as_slice()));
            }
        }
        self.copied = self.packets.len();
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
