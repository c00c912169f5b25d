//! Compression of what we send (RFC 7692 section 7.2.1).

use flate2::{Compress, Compression, FlushCompress};

use super::{DeflateParams, Status, Step, TAIL};

/// Compresses messages, one after the other.
pub struct Deflater {
    /// Made for the first message, and again after [`Deflater::release_if_idle`].
    state: Option<Box<Compress>>,
    level: Compression,
    window_bits: u8,
    takeover: bool,
    /// Some of the current message has gone into `state`.
    in_message: bool,
    /// The state remembers a message that the next must not refer to.
    stale: bool,
    /// The last bytes that came out of `state`. They are kept back until more comes, because
    /// those before the end of the message are its tail, which is not sent.
    held: [u8; TAIL.len()],
    held_len: usize,
}

impl Deflater {
    /// The output of a step has at least this size. It holds the bytes kept back and, as zlib
    /// demands of a flush, more than six new ones.
    pub const MIN_OUT: usize = 16;

    pub fn new(params: &DeflateParams, level: u32) -> Self {
        Self {
            state: None,
            level: Compression::new(level.min(9)),
            // zlib has no raw deflate for a window of 256 bytes. That for 512 bytes refers back
            // by at most 512 - 262 = 250 bytes, so a receiver with 256 can read it.
            window_bits: params.client_max_window_bits.clamp(9, 15),
            takeover: !params.client_no_context_takeover,
            in_message: false,
            stale: false,
            held: [0; TAIL.len()],
            held_len: 0,
        }
    }

    /// Compresses more of a message. `flush` says that `input` is all that is left of it.
    pub fn step(&mut self, input: &[u8], out: &mut [u8], flush: bool) -> Step {
        crate::fault::point("wire.deflate");
        assert!(out.len() >= Self::MIN_OUT, "an output of {} bytes is too small", out.len());
        if !self.in_message && input.is_empty() {
            // Section 7.2.3.6: an empty message is one empty block. zlib would not flush twice
            // in a row.
            out[0] = 0x00;
            let (produced, status) = if flush { (1, Status::Done) } else { (0, Status::NeedsInput) };
            return Step { consumed: 0, produced, status };
        }
        self.in_message = true;
        let (level, window_bits) = (self.level, self.window_bits);
        let state = self
            .state
            .get_or_insert_with(|| Box::new(Compress::new_with_window_bits(level, false, window_bits)));
        if std::mem::take(&mut self.stale) {
            state.reset();
        }

        out[..self.held_len].copy_from_slice(&self.held[..self.held_len]);
        let (in_before, out_before) = (state.total_in(), state.total_out());
        let mode = if flush { FlushCompress::Sync } else { FlushCompress::None };
        // Raw deflate knows no bad input; the one error is a state that was never set up.
        let compressed = state.compress(input, &mut out[self.held_len..], mode);
        debug_assert!(compressed.is_ok(), "{compressed:?}");
        let consumed = (state.total_in() - in_before) as usize;
        let filled = self.held_len + (state.total_out() - out_before) as usize;

        // Room that was left shows that a flush is complete.
        let complete = filled < out.len();
        let produced = filled.saturating_sub(TAIL.len());
        self.held_len = filled - produced;
        self.held[..self.held_len].copy_from_slice(&out[produced..filled]);
        let status = match (complete, flush) {
            (false, _) => Status::NeedsOutput,
            (true, false) => Status::NeedsInput,
            (true, true) => {
                debug_assert_eq!(self.held, TAIL);
                self.held_len = 0;
                self.in_message = false;
                self.stale = !self.takeover;
                Status::Done
            }
        };
        Step { consumed, produced, status }
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
