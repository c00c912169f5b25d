//! Compression of sent messages (RFC 7692 section 7.2.1).

use flate2::{Compress, Compression, FlushCompress};

use super::{DeflateParams, Status, Step, TAIL};

/// Compresses one message after the other.
pub struct Deflater {
    /// Allocated for the first message, and again after [`Deflater::release_if_idle`].
    state: Option<Box<Compress>>,
    level: Compression,
    window_bits: u8,
    takeover: bool,
    /// Part of the current message was fed to `state`.
    in_message: bool,
    /// The state must be reset before the next message.
    stale: bool,
    /// The last bytes of output, held back because at the end of the message they are the tail, which is not
    /// sent.
    held: [u8; TAIL.len()],
    held_len: usize,
}

impl Deflater {
    /// The minimum output size of a step: the bytes held back and, as zlib requires for a flush, more than
    /// six new ones.
    pub const MIN_OUT: usize = 16;

    pub fn new(params: &DeflateParams, level: u32) -> Self {
        Self {
            state: None,
            level: Compression::new(level.min(9)),
            // zlib does not support raw deflate with a window of 256 bytes. With 512 bytes it refers back by
            // at most 512 - 262 = 250 bytes, so a receiver with a window of 256 can decompress it.
            window_bits: params.client_max_window_bits.clamp(9, 15),
            takeover: !params.client_no_context_takeover,
            in_message: false,
            stale: false,
            held: [0; TAIL.len()],
            held_len: 0,
        }
    }

    /// Compresses more of a message. With `flush`, `input` is the rest of the message.
    pub fn step(&mut self, input: &[u8], out: &mut [u8], flush: bool) -> Step {
        crate::fault::point("wire.deflate");
        assert!(out.len() >= Self::MIN_OUT, "an output of {} bytes is too small", out.len());
        if !self.in_message && input.is_empty() {
            // Section 7.2.3.6: an empty message is one empty block. zlib does not flush twice in a row.
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
        // Compression cannot fail on its input; the only error is an uninitialised state.
        let compressed = state.compress(input, &mut out[self.held_len..], mode);
        debug_assert!(compressed.is_ok(), "{compressed:?}");
        let consumed = (state.total_in() - in_before) as usize;
        let filled = self.held_len + (state.total_out() - out_before) as usize;

        // Unused output means that the flush is complete.
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
