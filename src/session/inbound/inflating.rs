//! Compressed messages (RFC 7692), within the limit for messages while they are decompressed.

use super::{Inbound, Place, Step, Stuck};
use crate::buffer::{self, Writer};
use crate::session::MessageType;
use crate::wire::deflate::Status;
use crate::wire::frame::Opcode;
use crate::wire::violation::Violation;

/// Less room than this is not worth a call of the decompressor.
const LEAST_INFLATE_ROOM: usize = 1 << 10;

impl Inbound {
    /// Decompresses what has come of a frame into the body, never beyond the limit.
    pub(super) fn inflate(&mut self, opcode: Opcode, fin: bool, mut left: usize) -> Result<Step, Stuck> {
        let (Some(inflater), Some(message)) = (&mut self.inflater, &mut self.message) else {
            return Ok(Step::NeedMore);
        };
        let limit = self.max_message_size;
        // All that was fed is taken, but not all that it makes is out.
        let mut more_comes = false;
        loop {
            let here = match &self.held {
                Some(held) => &held.writer.bytes()[held.consumed..],
                None => &[],
            };
            let here = &here[..here.len().min(left)];
            if here.is_empty() && left > 0 && !more_comes {
                break;
            }
            // Room for what comes, but never for more than one byte over the limit.
            let allowed = limit - message.size + 1;
            let room = self.body.as_ref().map_or(0, Writer::room);
            if room < LEAST_INFLATE_ROOM.min(allowed) {
                let filled = self.body.as_ref().map_or(0, Writer::filled);
                let expected = (4 * here.len()).max(filled).max(LEAST_INFLATE_ROOM).min(allowed);
                let mut larger = buffer::take(filled + expected)?;
                if let Some(body) = &self.body {
                    larger.put(body.bytes());
                }
                self.body = Some(larger);
            }
            let Some(body) = &mut self.body else { return Err(Stuck::OutOfMemory) };
            let start = body.filled();
            let room = body.room().min(allowed);
            let last = fin && here.len() == left;
            let step = inflater.step(here, &mut body.spare()[..room], last)?;
            body.fill(step.produced);
            left -= step.consumed;
            message.size += step.produced;
            message.compressed_size += step.consumed;
            if let Some(held) = &mut self.held {
                held.consumed += step.consumed;
            }
            if message.size > limit {
                return Err(Violation::MessageTooLarge { limit }.into());
            }
            if message.message_type == MessageType::Text {
                self.utf8.feed(&body.bytes()[start..])?;
            }
            more_comes = matches!(step.status, Status::NeedsOutput);
            match step.status {
                Status::NeedsOutput => {}
                Status::NeedsInput | Status::Done if left > 0 => {}
                Status::NeedsInput | Status::Done => break,
            }
        }
        if left > 0 {
            if let Some(frame) = &mut self.frame {
                frame.compressed = Some(left);
            }
            return Ok(Step::NeedMore);
        }
        self.frame = None;
        if fin {
            inflater.release_if_idle();
        }
        // The size was counted as it came.
        self.fragment(opcode, fin, 0, Place::Body)
    }
}

/// The longest that a message of `size` bytes may be compressed. Blocks that hold nothing could
/// otherwise go on for ever.
pub(super) fn most_compressed(size: usize) -> usize {
    size + size / 256 + 1024
}
