//! What goes onto the wire next.
//!
//! ```text
//!   entries ──frame, mask, cut──> pieces ──gather──> the socket
//!   control ──────ahead of them────^        ^── wrote: how much it took
//! ```
//!
//! Pieces are whole frames, prepared a little ahead of the socket, so that a pong never waits
//! behind more than [`AHEAD`] bytes however much is queued.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::outbox::{Entry, opcode_of};
use super::{MaskKeys, MessageType};
use crate::buffer::{self, Exclusive, OutOfMemory, Segment};
use crate::limits::{MAX_CONTROL_PAYLOAD, READ_SIZE};
use crate::wire::deflate::{Deflater, Status};
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1, parse_header, write_header};
use crate::wire::mask;

/// Bytes that are prepared for the socket at a time.
const AHEAD: usize = 256 << 10;
/// Buffers in one vectored write; systems allow at least this many (POSIX says 16, all of ours 1024).
pub const MAX_SLICES: usize = 32;
/// Pongs that may wait. A flood of pings beyond that is answered with the newest
/// (RFC 6455 section 5.5.3 asks for no more).
const MAX_WAITING_PONGS: usize = 64;
/// Queues that have grown beyond this are given back once they run empty.
const KEEP_CAPACITY: usize = 32;

#[derive(Default)]
pub struct Sending {
    entries: VecDeque<Entry>,
    control: VecDeque<Control>,
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces`.
    ready: usize,
    /// Bytes of the first piece that are gone already.
    written: usize,
    /// Set when permessage-deflate was agreed on.
    deflater: Option<Box<Deflater>>,
    /// Control frames that were put on their way.
    pub control_frames: u64,
    /// Frames of compressed messages, which nobody could count before.
    pub compressed_frames: u64,
    pub payload_before_compression: u64,
    pub payload_after_compression: u64,
}

struct Control {
    opcode: Opcode,
    len: u8,
    payload: [u8; MAX_CONTROL_PAYLOAD],
}

/// One or more whole frames.
struct Piece {
    head: [u8; MAX_HEADER],
    head_len: u8,
    /// Nothing of the caller's or the peer's may come after it.
    is_close: bool,
    payload: usize,
    body: Segment,
}

/// What a write has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrote {
    /// Payload bytes of callers that are with the network now.
    pub payload: usize,
    /// The close frame is out.
    pub close: bool,
}

impl Sending {
    /// The queue that [`Outbox::take`](super::Outbox::take) fills.
    pub fn entries(&mut self) -> &mut VecDeque<Entry> {
        &mut self.entries
    }

    pub fn set_deflater(&mut self, deflater: Box<Deflater>) {
        self.deflater = Some(deflater);
    }

    /// Raw bytes: the upgrade request.
    pub fn push_raw(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        let body = Segment::copy_of(bytes)?;
        self.push_piece(Piece::of(body, 0));
        Ok(())
    }

    pub fn ping(&mut self, payload: &[u8]) {
        self.push_control(Opcode::Ping, payload);
    }

    pub fn pong(&mut self, payload: &[u8]) {
        if self.control.len() >= MAX_WAITING_PONGS
            && self.control.back().is_some_and(|last| last.opcode == Opcode::Pong)
        {
            self.control.pop_back();
        }
        self.push_control(Opcode::Pong, payload);
    }

    /// Drops everything that is not on its way yet; the close frame comes next.
    pub fn close_now(&mut self, payload: &[u8]) -> usize {
        let dropped = self.discard();
        self.push_control(Opcode::Close, payload);
        dropped
    }

    /// Drops what no byte has left of. Returns the callers' payload bytes in it.
    pub fn discard(&mut self) -> usize {
        let mut dropped: usize = self.entries.iter().map(Entry::payload_len).sum();
        self.entries.clear();
        self.control.clear();
        let keep = usize::from(self.written > 0);
        while self.pieces.len() > keep {
            if let Some(piece) = self.pieces.pop_back() {
                dropped += piece.payload;
                self.ready -= piece.len();
            }
        }
        dropped
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.entries.is_empty() && self.control.is_empty()
    }

    /// Prepares up to [`AHEAD`] bytes.
    pub fn prepare(&mut self, keys: &mut impl MaskKeys) -> Result<(), OutOfMemory> {
        if self.ready >= AHEAD {
            return Ok(());
        }
        while let Some(control) = self.control.pop_front() {
            self.prepare_control(&control, keys.next_key())?;
        }
        while self.ready < AHEAD
            && let Some(entry) = self.entries.pop_front()
        {
            match entry {
                Entry::Framed { frames, payload } => self.prepare_framed(frames, payload),
                Entry::Bare { message_type, fragment_size, is_first, payload } => {
                    self.prepare_bare(message_type, fragment_size, is_first, payload, keys);
                }
                Entry::Plain { message_type, fragment_size, is_first, payload } => {
                    self.prepare_compressed(message_type, fragment_size, is_first, payload, keys)?;
                }
                Entry::Close { frame } => {
                    let mut piece = Piece::of(frame, 0);
                    piece.is_close = true;
                    self.push_piece(piece);
                }
            }
        }
        Ok(())
    }

    /// The prepared bytes, in order, as far as one write takes them. Returns how many slices.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut count = 0;
        let mut gone = self.written;
        for piece in &self.pieces {
            if count + 2 > MAX_SLICES {
                break;
            }
            for part in [piece.head(), piece.body.as_slice()] {
                let left = &part[gone.min(part.len())..];
                gone -= part.len() - left.len();
                if !left.is_empty() {
                    slices[count] = IoSlice::new(left);
                    count += 1;
                }
            }
        }
        count
    }

    /// Counts `bytes` as written.
    pub fn wrote(&mut self, mut bytes: usize) -> Wrote {
        let mut moved = Wrote::default();
        self.ready -= bytes;
        while bytes > 0
            && let Some(piece) = self.pieces.front()
        {
            let left = piece.len() - self.written;
            if bytes < left {
                self.written += bytes;
                break;
            }
            bytes -= left;
            moved.payload += piece.payload;
            moved.close |= piece.is_close;
            self.written = 0;
            self.pieces.pop_front();
        }
        if self.is_empty() {
            self.give_back();
            if let Some(deflater) = &mut self.deflater {
                deflater.release_if_idle();
            }
        }
        moved
    }

    /// Frames that are ready, cut at a frame's end if they are too many to pass over at once.
    fn prepare_framed(&mut self, mut frames: Segment, payload: usize) {
        if frames.len() <= AHEAD {
            self.push_piece(Piece::of(frames, payload));
            return;
        }
        let (mut end, mut cut) = (0, 0);
        while end < AHEAD / 2
            && let Ok(Some((header, head_len))) = parse_header(&frames.as_slice()[end..])
        {
            end += head_len + header.payload_len as usize;
            cut += header.payload_len as usize;
        }
        self.push_piece(Piece::of(frames.slice(0, end), cut));
        frames.advance(end);
        if !frames.is_empty() {
            self.entries.push_front(Entry::Framed { frames, payload: payload - cut });
        }
    }

    /// The next fragment of a segment that was handed over, masked where it lies.
    fn prepare_bare(
        &mut self,
        message_type: MessageType,
        fragment_size: usize,
        is_first: bool,
        mut payload: Exclusive,
        keys: &mut impl MaskKeys,
    ) {
        let mut fragment = payload.split_to(payload.len().min(fragment_size));
        let key = keys.next_key();
        mask::mask_in_place(fragment.as_mut_slice(), key, 0);
        let header = FrameHeader {
            fin: payload.is_empty(),
            rsv: 0,
            opcode: if is_first { opcode_of(message_type) } else { Opcode::Continuation },
            mask: Some(key),
            payload_len: fragment.len() as u64,
        };
        self.push_piece(Piece::frame(&header, fragment.freeze()));
        if !payload.is_empty() {
            let rest = Entry::Bare { message_type, fragment_size, is_first: false, payload };
            self.entries.push_front(rest);
        }
    }

    /// The next fragment of a message, compressed. Its size is known only now, so fragments are
    /// measured after compression.
    fn prepare_compressed(
        &mut self,
        message_type: MessageType,
        fragment_size: usize,
        is_first: bool,
        mut payload: Segment,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        let Some(deflater) = &mut self.deflater else { return Ok(()) };
        let room = fragment_size.min(READ_SIZE);
        // Most messages shrink, and need no more room than they have now.
        let mut writer = buffer::take(room.min(payload.len() + Deflater::MIN_OUT))?;
        let room = room.min(writer.capacity());
        let (consumed, fin) = loop {
            let start = writer.filled();
            let step = deflater.step(payload.as_slice(), &mut writer.spare()[..room - start], true);
            writer.fill(step.produced);
            payload.advance(step.consumed);
            match step.status {
                Status::Done => break (step.consumed, true),
                Status::NeedsOutput => break (step.consumed, false),
                Status::NeedsInput if room - writer.filled() < Deflater::MIN_OUT => {
                    break (step.consumed, false);
                }
                Status::NeedsInput => {}
            }
        };
        self.payload_before_compression += consumed as u64;
        self.payload_after_compression += writer.filled() as u64;
        self.compressed_frames += 1;
        let key = keys.next_key();
        let header = FrameHeader {
            fin,
            rsv: if is_first { RSV1 } else { 0 },
            opcode: if is_first { opcode_of(message_type) } else { Opcode::Continuation },
            mask: Some(key),
            payload_len: writer.filled() as u64,
        };
        let body = match writer.into_segment(0).into_exclusive() {
            Ok(mut body) => {
                mask::mask_in_place(body.as_mut_slice(), key, 0);
                body.freeze()
            }
            // Cannot be: nobody else has seen the block.
            Err(shared) => masked_copy(shared.as_slice(), key)?,
        };
        let mut piece = Piece::frame(&header, body);
        piece.payload = consumed;
        self.push_piece(piece);
        if !fin {
            let rest = Entry::Plain { message_type, fragment_size, is_first: false, payload };
            self.entries.push_front(rest);
        }
        Ok(())
    }

    fn prepare_control(&mut self, control: &Control, key: [u8; 4]) -> Result<(), OutOfMemory> {
        let payload = &control.payload[..control.len as usize];
        let body = masked_copy(payload, key)?;
        let header = FrameHeader {
            fin: true,
            rsv: 0,
            opcode: control.opcode,
            mask: Some(key),
            payload_len: payload.len() as u64,
        };
        let mut piece = Piece::frame(&header, body);
        piece.payload = 0;
        piece.is_close = control.opcode == Opcode::Close;
        self.push_piece(piece);
        self.control_frames += 1;
        Ok(())
    }

    fn push_piece(&mut self, piece: Piece) {
        self.ready += piece.len();
        self.pieces.push_back(piece);
    }

    fn push_control(&mut self, opcode: Opcode, payload: &[u8]) {
        let len = payload.len().min(MAX_CONTROL_PAYLOAD);
        let mut control = Control { opcode, len: len as u8, payload: [0; MAX_CONTROL_PAYLOAD] };
        control.payload[..len].copy_from_slice(&payload[..len]);
        self.control.push_back(control);
    }

    fn give_back(&mut self) {
        if self.pieces.capacity() > KEEP_CAPACITY {
            self.pieces = VecDeque::new();
        }
        if self.entries.capacity() > KEEP_CAPACITY {
            self.entries = VecDeque::new();
        }
        if self.control.capacity() > KEEP_CAPACITY {
            self.control = VecDeque::new();
        }
    }
}

impl Piece {
    fn of(body: Segment, payload: usize) -> Self {
        Piece { head: [0; MAX_HEADER], head_len: 0, is_close: false, payload, body }
    }

    fn frame(header: &FrameHeader, body: Segment) -> Self {
        let mut piece = Piece::of(body, header.payload_len as usize);
        piece.head_len = write_header(&mut piece.head, header) as u8;
        piece
    }

    fn head(&self) -> &[u8] {
        &self.head[..self.head_len as usize]
    }

    fn len(&self) -> usize {
        self.head_len as usize + self.body.len()
    }
}

fn masked_copy(bytes: &[u8], key: [u8; 4]) -> Result<Segment, OutOfMemory> {
    let mut writer = buffer::take(bytes.len())?;
    mask::mask_copy(&mut writer.spare()[..bytes.len()], bytes, key, 0);
    writer.fill(bytes.len());
    Ok(writer.into_segment(0))
}
