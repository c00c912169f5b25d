//! Decompression of received messages (RFC 7692 section 7.2.2).

use flate2::{Decompress, FlushDecompress, Status as Inflated};

use super::{DeflateParams, Status, Step, TAIL};
use crate::wire::violation::Violation;

/// Decompresses one message after the other.
pub struct Inflater {
    /// Allocated for the first message, and again after [`Inflater::release_if_idle`].
    state: Option<Box<Decompress>>,
    takeover: bool,
    /// Part of the current message was consumed.
    in_message: bool,
    /// The state must be reset before the next message.
    stale: bool,
    /// The next byte starts a deflate stream: at the start of a message, or after a final block. The tail
    /// must not be fed here, as it would start a new block instead of ending one.
    at_boundary: bool,
    /// Bytes of the tail that were fed.
    tail_fed: usize,
}

impl Inflater {
    pub fn new(params: &DeflateParams) -> Self {
        Self {
            state: None,
            takeover: !params.server_no_context_takeover,
            in_message: false,
            stale: false,
            at_boundary: true,
            tail_fed: 0,
        }
    }

    /// Decompresses more of a message into `out`, which must not be empty. With `last`, `input` is the rest
    /// of the message. Must not be called again after an error.
    pub fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, Violation> {
        crate::fault::point("wire.inflate");
        // Always the full window: it decompresses data for any window, and zlib-rs allocates no less.
        let state = self.state.get_or_insert_with(|| Box::new(Decompress::new(false)));
        if std::mem::take(&mut self.stale) {
            state.reset(false);
        }
        self.in_message = true;

        let (mut consumed, mut produced) = (0, 0);
        let status = loop {
            let rest = &input[consumed..];
            let in_tail = rest.is_empty() && last && !self.at_boundary;
            let feed = if in_tail { &TAIL[self.tail_fed..] } else { rest };
            let result = inflate(state, feed, &mut out[produced..])?;
            produced += result.produced;
            if in_tail {
                self.tail_fed += result.consumed;
            } else {
                consumed += result.consumed;
                self.at_boundary &= result.consumed == 0;
            }
            if result.ended {
                // Section 7.2.3.4: a block with BFINAL ends a stream, not the message.
                state.reset(false);
                self.at_boundary = true;
                self.tail_fed = 0;
            }
            if produced == out.len() {
                break Status::NeedsOutput;
            }
            // The output is not full, so all input was consumed and all output written.
            if consumed == input.len() {
                if !last {
                    break Status::NeedsInput;
                }
                if self.at_boundary || self.tail_fed == TAIL.len() {
                    break Status::Done;
                }
            } else if !result.ended {
                return Err(Violation::CorruptDeflate);
            }
        };
        if status == Status::Done {
            self.in_message = false;
            self.at_boundary = true;
            self.tail_fed = 0;
            self.stale = !self.takeover;
        }
        Ok(Step { consumed, produced, status })
    }

    /// Frees the state between messages that do not refer to each other.
    pub fn release_if_idle(&mut self) {
        if !self.in_message && !self.takeover {
            self.state = None;
            self.stale = false;
        }
    }

    /// Returns whether the state is allocated.
    pub fn is_allocated(&self) -> bool {
        self.state.is_some()
    }
}

struct Inflation {
    consumed: usize,
    produced: usize,
    /// A block with BFINAL ended the stream.
    ended: bool,
}

fn inflate(state: &mut Decompress, input: &[u8], out: &mut [u8]) -> Result<Inflation, Violation> {
    let (in_before, out_before) = (state.total_in(), state.total_out());
    let status =
        state.decompress(input, out, FlushDecompress::Sync).map_err(|_| Violation::CorruptDeflate)?;
    Ok(Inflation {
        consumed: (state.total_in() - in_before) as usize,
        produced: (state.total_out() - out_before) as usize,
        ended: status == Inflated::StreamEnd,
    })
}
