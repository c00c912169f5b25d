//! Decompression of what we receive (RFC 7692 section 7.2.2).

use flate2::{Decompress, FlushDecompress, Status as Inflated};

use super::{DeflateParams, Status, Step, TAIL};
use crate::wire::violation::Violation;

/// Decompresses messages, one after the other.
pub struct Inflater {
    /// Made for the first message, and again after [`Inflater::release_if_idle`].
    state: Option<Box<Decompress>>,
    takeover: bool,
    /// Some of the current message has been taken.
    in_message: bool,
    /// The state remembers a message that the next does not refer to.
    stale: bool,
    /// Nothing, or a whole stream that ended itself, lies before the next byte: the tail would
    /// be no end of a block here, but the torn beginning of one.
    at_boundary: bool,
    /// How much of the tail has been fed.
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

    /// Decompresses more of a message into `out`, which must not be empty. `last` says that
    /// `input` is all that is left of the message. After an error it is of no more use.
    pub fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, Violation> {
        crate::fault::point("wire.inflate");
        // The full window, as it reads what was written for any, and zlib-rs allocates no less.
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
            let made = inflate(state, feed, &mut out[produced..])?;
            produced += made.produced;
            if in_tail {
                self.tail_fed += made.consumed;
            } else {
                consumed += made.consumed;
                self.at_boundary &= made.consumed == 0;
            }
            if made.ended {
                // Section 7.2.3.4: a block with BFINAL ends a stream, not the message.
                state.reset(false);
                self.at_boundary = true;
                self.tail_fed = 0;
            }
            if produced == out.len() {
                break Status::NeedsOutput;
            }
            // Room was left: all that was fed is taken, and all that it made is out.
            if consumed == input.len() {
                if !last {
                    break Status::NeedsInput;
                }
                if self.at_boundary || self.tail_fed == TAIL.len() {
                    break Status::Done;
                }
            } else if !made.ended {
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

    /// Gives the memory back, between messages that do not refer to each other.
    pub fn release_if_idle(&mut self) {
        if !self.in_message && !self.takeover {
            self.state = None;
            self.stale = false;
        }
    }

    /// Whether it holds memory.
    pub fn is_allocated(&self) -> bool {
        self.state.is_some()
    }
}

struct Made {
    consumed: usize,
    produced: usize,
    /// A block with BFINAL ended the stream.
    ended: bool,
}

fn inflate(state: &mut Decompress, input: &[u8], out: &mut [u8]) -> Result<Made, Violation> {
    let (in_before, out_before) = (state.total_in(), state.total_out());
    let status =
        state.decompress(input, out, FlushDecompress::Sync).map_err(|_| Violation::CorruptDeflate)?;
    Ok(Made {
        consumed: (state.total_in() - in_before) as usize,
        produced: (state.total_out() - out_before) as usize,
        ended: status == Inflated::StreamEnd,
    })
}
