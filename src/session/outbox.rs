//! The send queue, which callers fill.
//!
//! ```text
//!   push ── copy and mask ──► tail ── full, or taken ──► entries ── take ──► sending
//!   push_segment ───────────────────────────────────────────▲
//! ```
//!
//! Small messages are framed, masked and collected in one block, so that a burst is sent with one write. A
//! message that is too large for it gets its own block. A segment is queued as it is, and the worker frames
//! and masks it in place. Where the caller uses [`lanes`](super::lanes), messages wait there as they are.

use std::collections::VecDeque;

use super::lanes::{Begun, Lanes, Waiting};
use super::{MaskKeys, MessageType};
use crate::buffer::{self, Exclusive, OutOfMemory, Segment, Writer};
use crate::clock::Instant;
use crate::limits::WRITE_BLOCK_SIZE;
use crate::on_demand::{Empty, OnDemand};
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, header_len, parse_header, write_header};
use crate::wire::{close, mask};

/// The size of the first block of a burst: most bursts are one small message.
const FIRST_BLOCK_SIZE: usize = 4 << 10;

#[derive(Default)]
pub struct Outbox {
    queue: OnDemand<Queue>,
    /// A close frame was queued; nothing may follow it (RFC 6455 section 5.5.1).
    closed: bool,
    encoding: MessageEncoding,
    /// None until the caller uses them.
    pub lanes: Option<Box<Lanes>>,
    pub messages: u64,
    pub frames: u64,
}

/// The messages in the queue.
#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    tail: Option<Tail>,
}

impl Empty for Queue {
    const EMPTY: &'static Self = &Queue { entries: VecDeque::new(), tail: None };
}

/// An entry of the send queue.
pub enum Entry {
    /// Complete, masked frames with this many payload bytes, ready to write.
    Framed { frames: Segment, payload: usize },
    /// A message, or the rest of one, to be framed and masked in place.
    Bare { message_type: MessageType, fragment_size: usize, is_first: bool, payload: Exclusive },
    /// A message to be transformed by extensions, compressed, framed and masked.
    Plain { message_type: MessageType, fragment_size: usize, stage: Stage, payload: Segment },
    /// The rest of a transformed message. Its last frame completes `len` payload bytes of the caller.
    Changed {
        message_type: MessageType,
        fragment_size: usize,
        stage: Stage,
        len: usize,
        payload: Segment,
        /// The next, unfinished fragment: a writer, and the bytes in its unfilled part.
        made: Option<(Writer, usize)>,
    },
    /// The message of a lane ends here.
    End(Begun),
    /// The close frame, framed and masked.
    Close { frame: Segment },
}

/// The progress of a transformed message, and the reserved bits of its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub is_first: bool,
    pub compress: bool,
    /// The reserved bits for its first frame.
    pub rsv: u8,
}

impl Stage {
    fn start(compress: bool, rsv: u8) -> Self {
        Self { is_first: true, compress, rsv }
    }
}

/// How messages are processed before framing, as negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageEncoding {
    /// The minimum size of messages that are compressed.
    pub compress_from: Option<u32>,
    /// Messages are transformed by the caller's extensions.
    pub extended: bool,
}

impl Entry {
    /// Returns whether frames of the message were prepared before.
    pub fn is_begun(&self) -> bool {
        match self {
            // A message that is split into several entries has them to itself.
            Entry::Framed { frames, .. } => {
                matches!(parse_header(frames.as_slice()), Ok(Some((header, _))) if header.opcode == Opcode::Continuation)
            }
            Entry::Bare { is_first, .. } => !is_first,
            Entry::Changed { .. } | Entry::End(_) => true,
            Entry::Plain { .. } | Entry::Close { .. } => false,
        }
    }

    /// Returns whether the entry can be sent with this encoding. A framed message cannot be transformed.
    pub fn fits(&self, encoding: MessageEncoding) -> bool {
        !encoding.extended || !matches!(self, Entry::Framed { .. } | Entry::Bare { .. })
    }

    /// Returns the caller's payload bytes in the entry.
    pub fn payload_len(&self) -> usize {
        match self {
            Entry::Framed { payload, .. } => *payload,
            Entry::Bare { payload, .. } => payload.len(),
            Entry::Plain { payload, .. } => payload.len(),
            Entry::Changed { len, .. } => *len,
            Entry::End(_) | Entry::Close { .. } => 0,
        }
    }
}

struct Tail {
    writer: Writer,
    start: usize,
    payload: usize,
}

impl Outbox {
    /// A queue that accepts nothing until [`reset`](Self::reset).
    pub const fn closed() -> Self {
        Self {
            queue: OnDemand::EMPTY,
            closed: true,
            encoding: MessageEncoding { compress_from: None, extended: false },
            lanes: None,
            messages: 0,
            frames: 0,
        }
    }

    /// Copies a message into the queue; frames and masks it in the same pass.
    #[inline]
    pub fn push(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        crate::fault::point("session.queue");
        if self.compresses(payload.len()) {
            return self.push_copy(message_type, payload, fragment_size, Stage::start(true, 0));
        }
        self.push_uncompressed(message_type, payload, fragment_size, keys)
    }

    /// Like [`push`](Self::push), without compression.
    #[inline]
    pub fn push_uncompressed(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        // The usual case on its own: one frame, and the block has room for it.
        if payload.len() <= fragment_size
            && !self.encoding.extended
            && let Some(Queue { tail: Some(tail), .. }) = self.queue.allocated()
            && tail.writer.room() >= header_len(payload.len(), true) + payload.len() + MAX_HEADER
        {
            tail.payload += payload.len();
            write_frame(&mut tail.writer, opcode_of(message_type), true, payload, keys.next_key());
            self.frames += 1;
            self.messages += 1;
            return Ok(());
        }
        self.push_any(message_type, payload, fragment_size, keys)
    }

    /// Frames or keeps any message. Not inlined: sends of small messages seldom come here.
    fn push_any(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        if self.encoding.extended {
            return self.push_copy(message_type, payload, fragment_size, Stage::start(false, 0));
        }
        let size = framed_size(payload.len(), fragment_size) + MAX_HEADER;
        self.frames += if size <= WRITE_BLOCK_SIZE {
            let tail = self.tail_with_room(size)?;
            tail.payload += payload.len();
            write_frames(&mut tail.writer, message_type, payload, fragment_size, keys)
        } else {
            let mut writer = buffer::take(size)?;
            let frames = write_frames(&mut writer, message_type, payload, fragment_size, keys);
            self.end_tail();
            self.queue
                .entries
                .push_back(Entry::Framed { frames: writer.into_segment(0), payload: payload.len() });
            frames
        };
        self.messages += 1;
        Ok(())
    }

    /// Copies a message that the program has encoded into the queue, with its reserved bits.
    pub fn push_encoded(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        uncompressed: bool,
        rsv: u8,
    ) -> Result<(), OutOfMemory> {
        let compress = !uncompressed && self.compresses(payload.len());
        self.push_copy(message_type, payload, fragment_size, Stage::start(compress, rsv))
    }

    /// Queues a segment without a copy, unless its block has other references.
    pub fn push_segment(
        &mut self,
        message_type: MessageType,
        segment: Segment,
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        let compress = self.compresses(segment.len());
        if compress || self.encoding.extended {
            self.push_plain(message_type, segment, fragment_size, Stage::start(compress, 0));
            return Ok(());
        }
        match segment.into_exclusive() {
            Ok(payload) => {
                self.end_tail();
                self.frames += payload.len().div_ceil(fragment_size).max(1) as u64;
                self.messages += 1;
                self.queue.entries.push_back(Entry::Bare {
                    message_type,
                    fragment_size,
                    is_first: true,
                    payload,
                });
                Ok(())
            }
            Err(shared) => self.push(message_type, shared.as_slice(), fragment_size, keys),
        }
    }

    /// Queues the close frame.
    pub fn push_close(
        &mut self,
        code: u16,
        reason: &str,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        let mut payload = [0; 125];
        let len = close::encode_close(code, reason, &mut payload);
        let mut writer = buffer::take(2 * MAX_HEADER + len)?;
        write_frame(&mut writer, Opcode::Close, true, &payload[..len], keys.next_key());
        self.end_tail();
        let frame = writer.into_segment(0);
        match &mut self.lanes {
            Some(lanes) => lanes.close_frame = Some(frame),
            None => self.queue.entries.push_back(Entry::Close { frame }),
        }
        self.closed = true;
        self.frames += 1;
        Ok(())
    }

    /// Moves all entries to the queue of the worker, which is usually empty.
    pub fn take(&mut self, into: &mut VecDeque<Entry>) {
        self.end_tail();
        let Some(queue) = self.queue.allocated() else { return };
        // Releases the block: an idle connection owns none.
        queue.tail = None;
        if into.is_empty() {
            std::mem::swap(&mut queue.entries, into);
        } else {
            into.append(&mut queue.entries);
        }
    }

    /// Moves messages that begin now to the queue of the worker, until they have `room` bytes. Returns the payload
    /// bytes of those that have expired.
    pub fn take_from_lanes(&mut self, into: &mut VecDeque<Entry>, mut room: usize, now: Instant) -> usize {
        let Some(lanes) = &mut self.lanes else { return 0 };
        let mut dropped = lanes.sweep(now);
        while room > 0
            && let Some((lane, message)) = lanes.next(now, &mut dropped)
        {
            room = room.saturating_sub(message.payload.len().max(1));
            let waited_us = now.saturating_duration_since(message.queued).as_micros() as u64;
            let end = Entry::End(Begun { lane, tag: message.tag, waited_us });
            self.messages += 1;
            let entry = message.begin(&self.encoding);
            if let Entry::Bare { payload, fragment_size, .. } = &entry {
                self.frames += payload.len().div_ceil(*fragment_size).max(1) as u64;
            }
            into.extend([entry, end]);
        }
        if lanes.is_empty()
            && let Some(frame) = lanes.close_frame.take()
        {
            into.push_back(Entry::Close { frame });
        }
        dropped
    }

    pub fn is_empty(&self) -> bool {
        self.queue.entries.is_empty() && self.queue.tail.is_none()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Clears the queue for a new connection of the socket.
    pub fn reset(&mut self, encoding: MessageEncoding) {
        let mut lanes = self.lanes.take();
        if let Some(lanes) = &mut lanes {
            lanes.clear();
        }
        *self = Outbox { messages: self.messages, frames: self.frames, encoding, lanes, ..Outbox::default() };
    }

    /// Clears the queue and accepts messages before the connection is open. They are framed after
    /// negotiation; those of at least `compress_from` bytes may be compressed.
    pub fn hold(&mut self, compress_from: Option<u32>) {
        self.reset(MessageEncoding { compress_from, extended: true });
    }

    /// Sends the held messages: the connection is open.
    pub fn release(&mut self, encoding: MessageEncoding) {
        self.encoding = encoding;
    }

    /// Clears the queue and rejects further entries.
    pub fn close(&mut self) {
        self.queue.clear();
        self.closed = true;
        if let Some(lanes) = &mut self.lanes {
            lanes.clear();
        }
    }

    fn compresses(&self, len: usize) -> bool {
        self.encoding.compress_from.is_some_and(|from| len >= from as usize)
    }

    /// Copies a message that is framed later.
    fn push_copy(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        stage: Stage,
    ) -> Result<(), OutOfMemory> {
        let payload = Segment::copy_of(payload)?;
        self.push_plain(message_type, payload, fragment_size, stage);
        Ok(())
    }

    fn push_plain(
        &mut self,
        message_type: MessageType,
        payload: Segment,
        fragment_size: usize,
        stage: Stage,
    ) {
        self.end_tail();
        self.queue.entries.push_back(Entry::Plain { message_type, fragment_size, stage, payload });
        self.messages += 1;
    }

    fn tail_with_room(&mut self, size: usize) -> Result<&mut Tail, OutOfMemory> {
        let fits = self.queue.tail.as_ref().is_some_and(|tail| tail.writer.room() >= size);
        if !fits {
            let first =
                self.queue.entries.is_empty() && self.queue.tail.is_none() && size <= FIRST_BLOCK_SIZE / 2;
            let writer = buffer::take(if first { FIRST_BLOCK_SIZE } else { WRITE_BLOCK_SIZE })?;
            self.end_tail();
            self.queue.tail = Some(Tail { writer, start: 0, payload: 0 });
        }
        match &mut self.queue.tail {
            Some(tail) => Ok(tail),
            None => Err(OutOfMemory),
        }
    }

    /// Converts the collected frames of the tail into an entry.
    fn end_tail(&mut self) {
        if let Some(Queue { tail: Some(tail), entries }) = self.queue.allocated()
            && tail.writer.filled() > tail.start
        {
            let end = tail.writer.filled();
            let frames = tail.writer.segment(tail.start, end);
            entries.push_back(Entry::Framed { frames, payload: tail.payload });
            (tail.start, tail.payload) = (end, 0);
        }
    }
}

impl Waiting {
    /// Returns the entry of the message, for a connection with this encoding.
    fn begin(self, encoding: &MessageEncoding) -> Entry {
        let Waiting { message_type, fragment_size, payload, .. } = self;
        let is_long = encoding.compress_from.is_some_and(|from| payload.len() >= from as usize);
        let stage = Stage::start(is_long && !self.uncompressed, self.rsv);
        if stage.compress || encoding.extended || stage.rsv != 0 {
            return Entry::Plain { message_type, fragment_size, stage, payload };
        }
        match payload.into_exclusive() {
            Ok(payload) => Entry::Bare { message_type, fragment_size, is_first: true, payload },
            // Copied while it is framed.
            Err(payload) => Entry::Plain { message_type, fragment_size, stage, payload },
        }
    }
}

/// Returns the framed size of a message.
fn framed_size(payload: usize, fragment_size: usize) -> usize {
    if payload <= fragment_size {
        return header_len(payload, true) + payload;
    }
    let (whole, rest) = (payload / fragment_size, payload % fragment_size);
    let last = if rest == 0 { 0 } else { header_len(rest, true) };
    whole * header_len(fragment_size, true) + last + payload
}

fn write_frames(
    writer: &mut Writer,
    message_type: MessageType,
    payload: &[u8],
    fragment_size: usize,
    keys: &mut impl MaskKeys,
) -> u64 {
    let mut opcode = opcode_of(message_type);
    if payload.len() <= fragment_size {
        write_frame(writer, opcode, true, payload, keys.next_key());
        return 1;
    }
    let mut fragments = payload.chunks(fragment_size).peekable();
    let mut frames = 0;
    while let Some(fragment) = fragments.next() {
        write_frame(writer, opcode, fragments.peek().is_none(), fragment, keys.next_key());
        opcode = Opcode::Continuation;
        frames += 1;
    }
    frames
}

/// Appends a frame. `writer` has room for it and [`MAX_HEADER`] bytes more.
#[inline]
pub(super) fn write_frame(writer: &mut Writer, opcode: Opcode, fin: bool, payload: &[u8], key: [u8; 4]) {
    let header = FrameHeader { fin, rsv: 0, opcode, mask: Some(key), payload_len: payload.len() as u64 };
    let spare = writer.spare();
    let head = spare.first_chunk_mut().expect("the caller leaves room for a header more");
    let head_len = write_header(head, &header);
    mask::mask_copy(&mut spare[head_len..head_len + payload.len()], payload, key, 0);
    writer.fill(head_len + payload.len());
}

pub(super) fn opcode_of(message_type: MessageType) -> Opcode {
    match message_type {
        MessageType::Text => Opcode::Text,
        MessageType::Binary => Opcode::Binary,
    }
}
