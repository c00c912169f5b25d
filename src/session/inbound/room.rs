//! Where the next bytes are read to, and what is kept of them.

use super::{Arriving, Held, Inbound, Scratch};
use crate::buffer::{self, OutOfMemory, Writer};
use crate::limits::{MAX_RESPONSE_HEAD, READ_SIZE};

/// Reads that could bring less than this are not worth a system call: a fresh block is taken.
const LEAST_READ: usize = 16 << 10;
/// Bytes that are read together with the end of a body. After one large frame there often comes another,
/// whose first bytes would only have to be copied into a body of their own.
const BEHIND_A_BODY: usize = 4 << 10;
/// Leftovers in blocks larger than this move to a smaller one when nothing more comes.
const STASH_ABOVE: usize = 4 << 10;

impl Inbound {
    /// Where the next bytes are to be read to, in this order.
    pub fn targets<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<[&'a mut [u8]; 2], OutOfMemory> {
        if let Some(Arriving { into_body: Some(missing), .. }) = self.frame {
            // Whatever was held is consumed: it went into the body first.
            if let Some(held) = self.held.take() {
                scratch.get_or_insert(held.writer);
            }
            self.grow_body(missing)?;
            let body = match &mut self.body {
                Some(body) => body.spare(),
                None => &mut [],
            };
            let direct = missing.min(body.len());
            // Only when the body takes all of its frame may the bytes behind it go elsewhere.
            let rest = if direct == missing { prepare_scratch(scratch)?.spare() } else { &mut [] };
            return Ok([&mut body[..direct], at_most(BEHIND_A_BODY, rest)]);
        }
        self.make_room(scratch)?;
        let target = match &mut self.held {
            Some(held) => held.writer.spare(),
            None => prepare_scratch(scratch)?.spare(),
        };
        Ok([at_most(READ_SIZE, target), &mut []])
    }

    /// `count` bytes were read into the targets.
    pub fn received(&mut self, mut count: usize, scratch: &mut Scratch) {
        if let Some(Arriving { into_body: Some(missing), .. }) = &mut self.frame
            && let Some(body) = &mut self.body
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

    /// The bytes that are not consumed yet: the upgrade response, before there are frames.
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

    /// Asks for room for a response head that is not complete yet.
    pub fn expect_head(&mut self) {
        self.wanted = (self.unread().len() + 1).next_power_of_two().min(2 * MAX_RESPONSE_HEAD);
    }

    /// Gives back or shrinks what is held, now that nothing more comes for a while.
    pub fn settle(&mut self, scratch: &mut Scratch) {
        self.drop_shown_body();
        let Some(held) = &mut self.held else { return };
        let left = held.writer.filled() - held.consumed;
        if left > 0 && (left > held.writer.capacity() / 4 || held.writer.capacity() <= STASH_ABOVE) {
            return;
        }
        if left > 0 {
            // Without memory for the small block the large one simply stays.
            let Ok(mut small) = buffer::take(left) else { return };
            small.put(&held.writer.bytes()[held.consumed..]);
            let large = std::mem::replace(held, Held { writer: small, consumed: 0 });
            scratch.get_or_insert(large.writer);
        } else if let Some(held) = self.held.take() {
            scratch.get_or_insert(held.writer);
        }
    }

    /// Gives everything back: nothing that comes is of interest any more.
    pub fn abandon(&mut self) {
        (self.held, self.frame, self.message, self.body) = (None, None, None, None);
        self.body_is_shown = false;
    }

    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.writer.capacity())
            + self.body.as_ref().map_or(0, Writer::capacity)
    }

    pub(super) fn drop_shown_body(&mut self) {
        if std::mem::take(&mut self.body_is_shown) {
            self.body = None;
        }
    }

    /// Room for at least one more byte of the frame that is read into the body.
    fn grow_body(&mut self, missing: usize) -> Result<(), OutOfMemory> {
        if self.body.as_ref().is_none_or(|body| body.room() == 0) {
            append(&mut self.body, &[], missing)?;
        }
        Ok(())
    }

    /// Moves what is held to the front of another block if its frame would not fit behind it.
    fn make_room(&mut self, scratch: &mut Scratch) -> Result<(), OutOfMemory> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let (left, room) = (held.writer.filled() - held.consumed, held.writer.room());
        let fits = held.writer.capacity() - held.consumed >= self.wanted;
        if left > 0 && fits && (room >= LEAST_READ || (left >= LEAST_READ && room > 0)) {
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

/// Appends to a body, which grows to at most twice of what has arrived, or to a free block of the
/// pool that is large enough: that memory is there already, so a header cannot make it grow.
pub(super) fn append(body: &mut Option<Writer>, bytes: &[u8], expected: usize) -> Result<(), OutOfMemory> {
    let filled = body.as_ref().map_or(0, Writer::filled);
    let room = body.as_ref().map_or(0, Writer::room);
    if room < bytes.len().max(1) && (expected > 0 || !bytes.is_empty()) {
        let arrived = filled + bytes.len();
        let mut larger = match buffer::take_free(filled + expected) {
            Some(writer) => writer,
            None => {
                buffer::take((filled + expected).min(buffer::largest_within(2 * arrived).max(READ_SIZE)))?
            }
        };
        if let Some(body) = body {
            larger.put(body.bytes());
        }
        *body = Some(larger);
    }
    if let Some(body) = body {
        body.put(bytes);
    }
    Ok(())
}

fn at_most(count: usize, room: &mut [u8]) -> &mut [u8] {
    let count = count.min(room.len());
    &mut room[..count]
}

fn prepare_scratch(scratch: &mut Scratch) -> Result<&mut Writer, OutOfMemory> {
    let usable = scratch.as_mut().is_some_and(|writer| {
        writer.capacity() >= READ_SIZE && (writer.reclaim() || writer.room() >= LEAST_READ)
    });
    if !usable {
        *scratch = None;
    }
    match scratch {
        Some(writer) => Ok(writer),
        empty => Ok(empty.insert(buffer::take(READ_SIZE)?)),
    }
}
