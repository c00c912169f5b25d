//! Read buffers: the target of the next read, and the unprocessed rest of the last one.

use super::body::append;
use super::{Held, Inbound, IncomingFrame, Partial, Scratch};
use crate::buffer::{self, OutOfMemory, Writer};
use crate::limits::{MAX_RESPONSE_HEAD, READ_SIZE};

/// The minimum space for a read; with less, a new block is used.
const MIN_READ: usize = 16 << 10;
/// How many bytes are read beyond the end of a body. Small, as a large frame is often followed by another
/// one, whose first bytes would have to be copied into its body.
const READ_BEYOND_BODY: usize = 4 << 10;
/// Remaining bytes in blocks larger than this move to a smaller block when the socket is drained.
const STASH_ABOVE: usize = 4 << 10;

impl Inbound {
    /// Returns the buffers for the next read, in order.
    pub fn targets<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<[&'a mut [u8]; 2], OutOfMemory> {
        if let Some(IncomingFrame { into_body: Some(missing), .. }) = self.partial.frame {
            // All held bytes are consumed: they were moved into the body.
            if let Some(held) = self.held.take() {
                scratch.get_or_insert(held.writer);
            }
            self.grow_body(missing)?;
            let body = match &mut self.partial.body {
                Some(body) => body.spare(),
                None => &mut [],
            };
            let direct = missing.min(body.len());
            // Reading beyond the frame is possible only if the body has space for the rest of the frame.
            let rest = if direct == missing { prepare_scratch(scratch)?.spare() } else { &mut [] };
            return Ok([&mut body[..direct], at_most(READ_BEYOND_BODY, rest)]);
        }
        self.ensure_space(scratch)?;
        let target = match &mut self.held {
            Some(held) => held.writer.spare(),
            None => prepare_scratch(scratch)?.spare(),
        };
        Ok([at_most(READ_SIZE, target), &mut []])
    }

    /// Records that `count` bytes were read into the targets.
    pub fn received(&mut self, mut count: usize, scratch: &mut Scratch) {
        if let Some(Partial { frame: Some(frame), body: Some(body), .. }) = self.partial.allocated()
            && let Some(missing) = &mut frame.into_body
        {
            let direct = count.min(*missing).min(body.room());
            body.fill(direct);
            *missing -= direct;
            count -= direct;
        }
        if count == 0 {
            return;
        }
        match &mut self.held {
            Some(held) => held.writer.fill(count),
            None => {
                if let Some(mut writer) = scratch.take() {
                    let consumed = writer.filled();
                    writer.fill(count);
                    self.held = Some(Held { writer, consumed });
                }
            }
        }
    }

    /// Returns the bytes that are not consumed; during the handshake, those of the response.
    pub fn unread(&self) -> &[u8] {
        match &self.held {
            Some(held) => &held.writer.bytes()[held.consumed..],
            None => &[],
        }
    }

    pub fn consume(&mut self, count: usize) {
        if let Some(held) = &mut self.held {
            held.consumed += count.min(held.writer.filled() - held.consumed);
        }
    }

    /// Requests space for an incomplete response head.
    pub fn expect_head(&mut self) {
        self.wanted = (self.unread().len() + 1).next_power_of_two().min(2 * MAX_RESPONSE_HEAD);
    }

    /// Releases or shrinks the held block after the socket is drained.
    pub fn settle(&mut self, scratch: &mut Scratch) {
        self.drop_delivered_body();
        let Some(held) = &mut self.held else { return };
        let left = held.writer.filled() - held.consumed;
        if left > 0 && (left > held.writer.capacity() / 4 || held.writer.capacity() <= STASH_ABOVE) {
            return;
        }
        if left > 0 {
            // If the allocation fails, keep the large block.
            let Ok(mut small) = buffer::take(left) else { return };
            small.put(&held.writer.bytes()[held.consumed..]);
            let large = std::mem::replace(held, Held { writer: small, consumed: 0 });
            scratch.get_or_insert(large.writer);
        } else if let Some(held) = self.held.take() {
            scratch.get_or_insert(held.writer);
        }
    }

    /// Releases all buffers; further input is discarded.
    pub fn abandon(&mut self) {
        self.held = None;
        self.partial.clear();
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.writer.capacity())
            + self.partial.body.as_ref().map_or(0, Writer::capacity)
    }

    pub(super) fn drop_delivered_body(&mut self) {
        if self.partial.body_is_delivered {
            self.partial.body_is_delivered = false;
            self.partial.body = None;
        }
    }

    /// Ensures space for at least one more byte in the body.
    fn grow_body(&mut self, missing: usize) -> Result<(), OutOfMemory> {
        if self.partial.body.as_ref().is_none_or(|body| body.room() == 0) {
            append(&mut self.partial.body, &[], missing)?;
        }
        Ok(())
    }

    /// Moves the held bytes to the front of another block if the rest of their frame does not fit.
    fn ensure_space(&mut self, scratch: &mut Scratch) -> Result<(), OutOfMemory> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let (left, room) = (held.writer.filled() - held.consumed, held.writer.room());
        let fits = held.writer.capacity() - held.consumed >= self.wanted;
        if left > 0 && fits && (room >= MIN_READ || (left >= MIN_READ && room > 0)) {
            return Ok(());
        }
        if left > 0 {
            let size = self.wanted.max(READ_SIZE);
            let lent = scratch.take_if(|writer| writer.capacity() >= size && writer.reclaim());
            let mut other = match lent {
                Some(writer) => writer,
                None => buffer::take(size)?,
            };
            other.put(&held.writer.bytes()[held.consumed..]);
            let old = std::mem::replace(held, Held { writer: other, consumed: 0 });
            scratch.get_or_insert(old.writer);
        } else if let Some(held) = self.held.take() {
            scratch.get_or_insert(held.writer);
        }
        Ok(())
    }
}

fn at_most(count: usize, room: &mut [u8]) -> &mut [u8] {
    let count = count.min(room.len());
    &mut room[..count]
}

fn prepare_scratch(scratch: &mut Scratch) -> Result<&mut Writer, OutOfMemory> {
    let usable = scratch.as_mut().is_some_and(|writer| {
        writer.capacity() >= READ_SIZE && (writer.reclaim() || writer.room() >= MIN_READ)
    });
    if !usable {
        *scratch = None;
    }
    match scratch {
        Some(writer) => Ok(writer),
        empty => Ok(empty.insert(buffer::take(READ_SIZE)?)),
    }
}
