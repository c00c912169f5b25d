//! The queue of messages that a script reads with `get_packet()`.

use std::collections::VecDeque;

use framewire::{MessageType, Messages, Segment};

use crate::gdextension::{Array, PackedByteArray, Variant};

/// Messages in the queue.
pub enum Queued {
    /// In a block of the library. Most scripts read a packet in the frame in which it was received. It is then
    /// copied into an array only when it is read, while both are in the processor's cache.
    Messages(Messages),
    /// A message with its own block.
    Message {
        payload: Segment,
        is_text: bool,
    },
    Copied {
        bytes: PackedByteArray,
        is_text: bool,
    },
}

/// A message as the argument of its signal: a String for a text, and a PackedByteArray otherwise.
pub struct Message {
    pub value: Variant,
    pub is_text: bool,
    /// The bytes of a text that a String does not have all.
    original: Option<PackedByteArray>,
}

impl Message {
    pub fn new(bytes: &[u8], is_text: bool) -> Self {
        let value = if is_text { Variant::new(&*text(bytes)) } else { Variant::new(bytes) };
        let original = (is_text && !fits_into_string(bytes)).then(|| PackedByteArray::from(bytes));
        Self { value, is_text, original }
    }

    pub fn into_packet(self) -> Queued {
        let bytes = if let Some(original) = self.original {
            Ok(original)
        } else if self.is_text {
            self.value.get().map(|text: String| PackedByteArray::from(text.as_bytes()))
        } else {
            self.value.get()
        };
        Queued::Copied { bytes: bytes.unwrap_or_default(), is_text: self.is_text }
    }
}

/// Returns whether a String of Godot has all of the text: it ends at U+0000, and leaves out a byte order mark at its
/// start.
fn fits_into_string(text: &[u8]) -> bool {
    !text.contains(&0) && !text.starts_with("\u{feff}".as_bytes())
}

/// The library has validated the UTF-8, so this replaces nothing.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl Queued {
    fn count(&self) -> usize {
        match self {
            Self::Messages(messages) => messages.count(),
            Self::Message { .. } | Self::Copied { .. } => 1,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Messages(messages) => messages.payload_len(),
            Self::Message { payload, .. } => payload.len(),
            Self::Copied { bytes, .. } => bytes.len(),
        }
    }

    pub fn copy_of(payload: &[u8], is_text: bool) -> Self {
        Self::Copied { bytes: PackedByteArray::from(payload), is_text }
    }

    /// Copies the messages that are not copied.
    fn copy(self, mut put: impl FnMut(Queued)) {
        match self {
            Self::Messages(mut messages) => {
                while let Some((message_type, payload)) = messages.next() {
                    put(Self::copy_of(payload, message_type == MessageType::Text));
                }
            }
            Self::Message { payload, is_text } => {
                put(Self::copy_of(payload.as_slice(), is_text));
            }
            copied @ Self::Copied { .. } => put(copied),
        }
    }
}

/// How much more fits into the queue.
#[derive(Clone, Copy)]
pub struct Room {
    pub packets: usize,
    /// One more message of any size fits until this many bytes are queued.
    pub bytes: usize,
}

impl Room {
    pub fn is_full(&self) -> bool {
        self.packets == 0 || self.bytes == 0
    }
}

/// Counts its packets and bytes, and records whether packets are being read.
#[derive(Default)]
pub struct PacketQueue {
    queued: VecDeque<Queued>,
    /// The number of entries at the front that are copied.
    copied: usize,
    packets: usize,
    bytes: usize,
    was_read: bool,
    /// Whether the packet read last is text.
    pub was_text: bool,
}

impl PacketQueue {
    pub fn push(&mut self, queued: Queued) {
        self.packets += queued.count();
        self.bytes += queued.bytes();
        self.queued.push_back(queued);
    }

    /// Removes the oldest packet and returns its bytes.
    pub fn pop(&mut self) -> Option<PackedByteArray> {
        let Queued::Messages(messages) = self.queued.front_mut()? else { return self.pop_single() };
        let (message_type, payload) = messages.next()?;
        self.packets -= 1;
        self.bytes -= payload.len();
        self.was_text = message_type == MessageType::Text;
        self.was_read = true;
        let bytes = PackedByteArray::from(payload);
        if messages.count() == 0 {
            self.queued.pop_front();
        }
        Some(bytes)
    }

    fn pop_single(&mut self) -> Option<PackedByteArray> {
        let queued = self.queued.pop_front()?;
        self.copied = self.copied.saturating_sub(1);
        self.packets -= 1;
        self.bytes -= queued.bytes();
        self.was_read = true;
        match queued {
            Queued::Message { payload, is_text } => {
                self.was_text = is_text;
                Some(PackedByteArray::from(payload.as_slice()))
            }
            Queued::Copied { bytes, is_text } => {
                self.was_text = is_text;
                Some(bytes)
            }
            Queued::Messages(_) => None,
        }
    }

    /// Removes all packets, as read by the script.
    pub fn read_all(&mut self) -> PacketQueue {
        self.was_read |= self.packets > 0;
        self.take_all()
    }

    /// Removes all packets.
    pub fn take_all(&mut self) -> PacketQueue {
        let (was_read, was_text) = (self.was_read, self.was_text);
        let all = std::mem::take(self);
        (self.was_read, self.was_text) = (was_read, was_text);
        all
    }

    /// Copies the packets that the script has not read since they were received, so that they do not hold blocks
    /// of the library, which are much larger than small messages.
    pub fn copy_unread(&mut self) {
        if self.copied < self.queued.len() {
            for queued in self.queued.split_off(self.copied) {
                queued.copy(|copied| self.queued.push_back(copied));
            }
            self.copied = self.queued.len();
        }
    }

    pub fn len(&self) -> usize {
        self.packets
    }

    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Returns how much more fits. An empty queue is never full, so one message of any size fits.
    pub fn room(&self, max_packets: i64, max_bytes: i64) -> Room {
        let left =
            |limit: i64, used| usize::try_from(limit.max(1)).unwrap_or(usize::MAX).saturating_sub(used);
        Room { packets: left(max_packets, self.packets), bytes: left(max_bytes, self.bytes) }
    }

    /// Returns whether a packet was read since the previous call.
    pub fn take_was_read(&mut self) -> bool {
        std::mem::take(&mut self.was_read)
    }

    /// Returns all packets as scripts get several at once, and whether the last one is text.
    pub fn into_array(self) -> (Array, bool) {
        let mut was_text = false;
        let array = Array::filled(self.packets, |array| {
            for queued in self.queued {
                match queued {
                    Queued::Messages(mut messages) => {
                        while let Some((message_type, payload)) = messages.next() {
                            was_text = message_type == MessageType::Text;
                            if was_text { array.put(&*text(payload)) } else { array.put(payload) }
                        }
                    }
                    Queued::Message { payload, is_text } => {
                        was_text = is_text;
                        let payload = payload.as_slice();
                        if is_text { array.put(&*text(payload)) } else { array.put(payload) }
                    }
                    Queued::Copied { bytes, is_text } => {
                        was_text = is_text;
                        if is_text { array.put(&*text(bytes.as_slice())) } else { array.put(bytes) }
                    }
                }
            }
        });
        (array, was_text)
    }
}
