//! Decompression of messages (RFC 7692) within the message size limit.

use super::{Inbound, Partial, Place, ReceiveError, Step};
use crate::buffer::{self, Writer};
use crate::session::MessageType;
use crate::wire::deflate::Status;
use crate::wire::frame::Opcode;
use crate::wire::violation::Violation;

/// The minimum output space for a call of the decompressor.
const MIN_INFLATE_SPACE: usize = 1 << 10;

impl Inbound {
    /// Decompresses the received part of a frame into the body, up to the limit.
    pub(super) fn inflate(
        &mut self,
        opcode: Opcode,
        fin: bool,
        mut left: usize,
    ) -> Result<Step, ReceiveError> {
        let Partial { frame, message, body, .. } = &mut *self.partial;
        let (Some(inflater), Some(message)) = (&mut self.inflater, message) else {
            return Ok(Step::NeedMore);
        };
        let limit = self.max_message_size;
        // The decompressor has pending output.
        let mut has_output = false;
        loop {
            let here = match &self.held {
                Some(held) => &held.writer.bytes()[held.consumed..],
                None => &[],
            };
            let here = &here[..here.len().min(left)];
            if here.is_empty() && left > 0 && !has_output {
                break;
            }
            // Provides output space, but at most one byte beyond the limit.
            let allowed = limit - message.size + 1;
            let room = body.as_ref().map_or(0, Writer::room);
            if room < MIN_INFLATE_SPACE.min(allowed) {
                let filled = body.as_ref().map_or(0, Writer::filled);
                let expected = (4 * here.len()).max(filled).max(MIN_INFLATE_SPACE).min(allowed);
                let mut larger = buffer::take(filled + expected)?;
                if let Some(body) = body {
                    larger.put(body.bytes());
                }
                *body = Some(larger);
            }
            let Some(body) = body else { return Err(ReceiveError::OutOfMemory) };
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
            has_output = matches!(step.status, Status::NeedsOutput);
            match step.status {
                Status::NeedsOutput => {}
                Status::NeedsInput | Status::Done if left > 0 => {}
                Status::NeedsInput | Status::Done => break,
            }
        }
        if left > 0 {
            if let Some(frame) = frame {
                frame.compressed = Some(left);
            }
            return Ok(Step::NeedMore);
        }
        *frame = None;
        if fin {
            inflater.release_if_idle();
        }
        // The size was already added.
        self.fragment(opcode, fin, 0, Place::Body)
    }
}
