//! What callers want sent, in the order in which they said so.
//!
//! ```text
//!   push ──copy and mask──> tail ──full, or taken──> entries ──take──> sending
//!   push_segment ───────────────────────────────────────^
//! ```
//!
//! Small messages gather, framed and masked, in one block, so that a burst of them leaves in one
//! write. A message too large for that gets a block of its own. A segment that is handed over
//! waits as it is: the worker frames and masks it where it lies.

use std::collections::VecDeque;

use super::{MaskKeys, MessageType};
use crate::buffer::{self, Exclusive, OutOfMemory, Segment, Writer};
use crate::limits::WRITE_BLOCK_SIZE;
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, header_len, write_header};
use crate::wire::{close, mask};

/// The first block of a burst: most bursts are one small message.
const FIRST_BLOCK_SIZE: usize = 4 << 10;

#[derive(Default)]
pub struct Outbox {
    entries: VecDeque<Entry>,
    tail: Option<Tail>,
    /// A close frame was queued; nothing may follow it (RFC 6455 section 5.5.1).
    closed: bool,
    treatment: Treatment,
    pub messages: u64,
    pub frames: u64,
}

/// One thing to send, in order.
pub enum Entry {
    /// Whole frames, masked, with this much payload of the caller's in them: ready for the wire.
    Framed { frames: Segment, payload: usize },
    /// A message, or what is left of it, still to be framed and masked where it lies.
    Bare { message_type: MessageType, fragment_size: usize, is_first: bool, payload: Exclusive },
    /// A message still to be changed by extensions, compressed, framed and masked.
    Plain { message_type: MessageType, fragment_size: usize, compress: bool, payload: Segment },
    /// What is left of one. `len` of the caller's bytes leave with its last frame.
    Changed {
        message_type: MessageType,
        fragment_size: usize,
        stage: Stage,
        len: usize,
        payload: Segment,
        /// The next fragment as far as it is made, beyond what the writer counts as filled.
        made: Option<(Writer, usize)>,
    },
    /// The close frame, framed and masked.
    Close { frame: Segment },
}

/// How far a changed message is, and how its frames are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    pub is_first: bool,
    pub compress: bool,
    /// The reserved bits for its first frame.
    pub rsv: u8,
}

/// What becomes of messages before they are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// Messages from this size on are compressed.
    pub compress_from: Option<u32>,
    /// Every message passes through extensions of the caller's own.
    pub extended: bool,
}

impl Entry {
    /// Payload bytes of the caller's in it.
    pub fn payload_len(&self) -> usize {
        match self {
            Entry::Framed { payload, .. } => *payload,
            Entry::Bare { payload, .. } => payload.len(),
            Entry::Plain { payload, .. } => payload.len(),
            Entry::Changed { len, .. } => *len,
            Entry::Close { .. } => 0,
        }
    }
}

struct Tail {
    writer: Writer,
    start: usize,
    payload: usize,
}

impl Outbox {
    /// Copies a message into the queue, framed and masked on the way.
    pub fn push(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        if self.compresses(payload.len()) {
            let payload = Segment::copy_of(payload)?;
            self.push_plain(message_type, payload, fragment_size, true);
            return Ok(());
        }
        self.push_uncompressed(message_type, payload, fragment_size, keys)
    }

    /// The same for a message that is not worth compressing.
    pub fn push_uncompressed(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        if self.treatment.extended {
            let payload = Segment::copy_of(payload)?;
            self.push_plain(message_type, payload, fragment_size, false);
            return Ok(());
        }
        let size = framed_size(payload.len(), fragment_size);
        self.frames += if size <= WRITE_BLOCK_SIZE {
            let tail = self.tail_with_room(size)?;
            tail.payload += payload.len();
            write_frames(&mut tail.writer, message_type, payload, fragment_size, keys)
        } else {
            let mut writer = buffer::take(size)?;
            let frames = write_frames(&mut writer, message_type, payload, fragment_size, keys);
            self.end_tail();
            self.entries.push_back(Entry::Framed { frames: writer.into_segment(0), payload: payload.len() });
            frames
        };
        self.messages += 1;
        Ok(())
    }

    /// Queues a segment that now belongs to the library. If others can see its bytes, a copy.
    pub fn push_segment(
        &mut self,
        message_type: MessageType,
        segment: Segment,
        fragment_size: usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        let compress = self.compresses(segment.len());
        if compress || self.treatment.extended {
            self.push_plain(message_type, segment, fragment_size, compress);
            return Ok(());
        }
        match segment.into_exclusive() {
            Ok(payload) => {
                self.end_tail();
                self.frames += payload.len().div_ceil(fragment_size).max(1) as u64;
                self.messages += 1;
                self.entries.push_back(Entry::Bare { message_type, fragment_size, is_first: true, payload });
                Ok(())
            }
            Err(shared) => self.push(message_type, shared.as_slice(), fragment_size, keys),
        }
    }

    /// Queues the close frame behind everything else.
    pub fn push_close(
        &mut self,
        code: u16,
        reason: &str,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        let mut payload = [0; 125];
        let len = close::encode_close(code, reason, &mut payload);
        let mut writer = buffer::take(MAX_HEADER + len)?;
        write_frame(&mut writer, Opcode::Close, true, &payload[..len], keys.next_key());
        self.end_tail();
        self.entries.push_back(Entry::Close { frame: writer.into_segment(0) });
        self.closed = true;
        self.frames += 1;
        Ok(())
    }

    /// Hands everything over to the worker, into a queue that it has emptied before.
    pub fn take(&mut self, into: &mut VecDeque<Entry>) {
        self.end_tail();
        // The block goes along: an idle connection owns none.
        self.tail = None;
        if into.is_empty() {
            std::mem::swap(&mut self.entries, into);
        } else {
            into.append(&mut self.entries);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.tail.is_none()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Opens for a new connection of the same socket.
    pub fn reset(&mut self, treatment: Treatment) {
        *self = Outbox { messages: self.messages, frames: self.frames, treatment, ..Outbox::default() };
    }

    /// Takes messages for a connection that is yet to be made. What was queued before is gone. They are
    /// framed when it is known what the server agrees to; those from `compress_from` on may be compressed.
    pub fn hold(&mut self, compress_from: Option<u32>) {
        self.reset(Treatment { compress_from, extended: true });
    }

    /// The connection is made: what was held leaves through it.
    pub fn release(&mut self, treatment: Treatment) {
        self.treatment = treatment;
    }

    /// Refuses everything from now on.
    pub fn shut(&mut self) {
        self.entries = VecDeque::new();
        self.tail = None;
        self.closed = true;
    }

    fn compresses(&self, len: usize) -> bool {
        self.treatment.compress_from.is_some_and(|from| len >= from as usize)
    }

    fn push_plain(
        &mut self,
        message_type: MessageType,
        payload: Segment,
        fragment_size: usize,
        compress: bool,
    ) {
        self.end_tail();
        self.entries.push_back(Entry::Plain { message_type, fragment_size, compress, payload });
        self.messages += 1;
    }

    fn tail_with_room(&mut self, size: usize) -> Result<&mut Tail, OutOfMemory> {
        let fits = self.tail.as_ref().is_some_and(|tail| tail.writer.room() >= size);
        if !fits {
            let first = self.entries.is_empty() && self.tail.is_none() && size <= FIRST_BLOCK_SIZE / 2;
            let writer = buffer::take(if first { FIRST_BLOCK_SIZE } else { WRITE_BLOCK_SIZE })?;
            self.end_tail();
            self.tail = Some(Tail { writer, start: 0, payload: 0 });
        }
        match &mut self.tail {
            Some(tail) => Ok(tail),
            None => Err(OutOfMemory),
        }
    }

    /// Turns what the tail has gathered into an entry.
    fn end_tail(&mut self) {
        if let Some(tail) = &mut self.tail
            && tail.writer.filled() > tail.start
        {
            let end = tail.writer.filled();
            let frames = tail.writer.segment(tail.start, end);
            self.entries.push_back(Entry::Framed { frames, payload: tail.payload });
            (tail.start, tail.payload) = (end, 0);
        }
    }
}

/// The bytes that a message takes on the wire.
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

#[inline]
pub(super) fn write_frame(writer: &mut Writer, opcode: Opcode, fin: bool, payload: &[u8], key: [u8; 4]) {
    let header = FrameHeader { fin, rsv: 0, opcode, mask: Some(key), payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER];
    let head_len = write_header(&mut head, &header);
    let spare = writer.spare();
    spare[..head_len].copy_from_slice(&head[..head_len]);
    mask::mask_copy(&mut spare[head_len..head_len + payload.len()], payload, key, 0);
    writer.fill(head_len + payload.len());
}

pub(super) fn opcode_of(message_type: MessageType) -> Opcode {
    match message_type {
        MessageType::Text => Opcode::Text,
        MessageType::Binary => Opcode::Binary,
    }
}
