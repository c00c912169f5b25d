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
use std::sync::Arc;

use super::extension::Chain;
use super::outbox::{Entry, Stage, opcode_of, write_frame};
use super::{MaskKeys, MessageType};
use crate::buffer::{self, Exclusive, OutOfMemory, Segment};
use crate::limits::{COMPRESS_AT_A_TIME, MAX_CONTROL_PAYLOAD, READ_SIZE};
use crate::wire::deflate::{Deflater, Status};
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1, header_len, parse_header, write_header};
use crate::wire::mask;

/// Bytes that are prepared for the socket at a time.
const AHEAD: usize = 256 << 10;
/// Buffers in one vectored write; systems allow at least this many (POSIX says 16, all of ours 1024).
pub const MAX_SLICES: usize = 32;
/// Pieces that are prepared at a time: one write takes no more, however small they are.
const MAX_PIECES: usize = MAX_SLICES;
/// Control frames that may wait. A flood of pings beyond that is answered with the newest
/// (RFC 6455 section 5.5.3 asks for no more), and one of the caller's own sends the newest.
const MAX_WAITING_CONTROL: usize = 64;
/// Queues that have grown beyond this are given back once they run empty.
const KEEP_CAPACITY: usize = 32;
/// A smaller queue of pieces has held the upgrade request alone, and is given back too: many connections
/// never send anything more.
const MIN_CAPACITY: usize = 2;
/// What control frames keep, which are few and carry their payload in the queue.
const KEEP_CONTROL_CAPACITY: usize = 4;

#[derive(Default)]
pub struct Sending {
    entries: VecDeque<Entry>,
    control: VecDeque<Control>,
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces`.
    ready: usize,
    /// Bytes of the first piece that are gone already.
    written: usize,
    /// A close frame is the next to go, or on its way: nothing may follow it.
    closed: bool,
    /// Whether the last of `control` is a close frame that goes behind everything that is queued.
    ending: Ending,
    /// Set when permessage-deflate was agreed on.
    deflater: Option<Box<Deflater>>,
    /// Extensions of the caller's own, if any were agreed on.
    chain: Option<Arc<Chain>>,
    /// Control frames that were put on their way.
    pub control_frames: u64,
    /// Frames of changed messages, which nobody could count before.
    pub changed_frames: u64,
    pub payload_before_compression: u64,
    pub payload_after_compression: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    No,
    /// More may be queued before it.
    Held,
    Yes,
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

/// Why the next bytes could not be prepared.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsent {
    OutOfMemory,
    /// What an extension had against a message.
    Extension(String),
}

impl From<OutOfMemory> for Unsent {
    fn from(_: OutOfMemory) -> Self {
        Unsent::OutOfMemory
    }
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

    pub fn set_extensions(&mut self, chain: Arc<Chain>) {
        self.chain = Some(chain);
    }

    pub fn set_deflater(&mut self, deflater: Box<Deflater>) {
        self.deflater = Some(deflater);
    }

    /// Raw bytes: the upgrade request, which over HTTP/2 is none.
    pub fn push_raw(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        if bytes.is_empty() {
            // Nothing that is written would ever take a piece without bytes away.
            return Ok(());
        }
        let body = Segment::copy_of(bytes)?;
        // So little that it is given back: see `give_back`.
        self.pieces.reserve_exact(1);
        self.push_piece(Piece::of(body, 0));
        Ok(())
    }

    pub fn ping(&mut self, payload: &[u8]) {
        self.push_control(Opcode::Ping, payload);
    }

    pub fn pong(&mut self, payload: &[u8]) {
        self.push_control(Opcode::Pong, payload);
    }

    /// Drops everything that is not on its way yet; the close frame comes next, unless a part of
    /// one is out already.
    pub fn close_now(&mut self, payload: &[u8]) -> usize {
        let dropped = self.discard();
        if !self.pieces.front().is_some_and(|piece| piece.is_close) {
            self.control.push_back(Control::new(Opcode::Close, payload));
        }
        self.closed = true;
        dropped
    }

    /// The close frame comes behind what is queued, in place of one that is queued.
    pub fn close_last(&mut self, payload: &[u8]) {
        if !self.closed && self.ending == Ending::No {
            self.control.push_back(Control::new(Opcode::Close, payload));
            self.ending = Ending::Yes;
            self.drop_close();
        }
    }

    /// Drops a close frame of the caller's own.
    pub fn drop_close(&mut self) {
        self.entries.retain(|entry| !matches!(entry, Entry::Close { .. }));
    }

    /// A close frame waits for its turn.
    pub fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    /// Such a close frame waits until [`release_close`](Self::release_close). False if there is none.
    pub fn hold_close(&mut self) -> bool {
        if self.is_ending() {
            self.ending = Ending::Held;
        }
        self.is_ending()
    }

    /// Nothing more comes before the close frame. What would keep it for long is dropped.
    pub fn release_close(&mut self) {
        if !self.is_ending() {
            return;
        }
        self.ending = Ending::Yes;
        let queued: usize = self.entries.iter().map(Entry::payload_len).sum();
        if queued + self.ready > AHEAD
            && let Some(close) = self.control.pop_back()
        {
            self.close_now(close.payload());
        }
    }

    /// Drops what no byte has left of. Returns the callers' payload bytes in it.
    pub fn discard(&mut self) -> usize {
        let mut dropped: usize = self.entries.iter().map(Entry::payload_len).sum();
        self.entries.clear();
        self.control.clear();
        self.ending = Ending::No;
        let keep = usize::from(self.written > 0);
        while self.pieces.len() > keep {
            if let Some(piece) = self.pieces.pop_back() {
                dropped += piece.payload;
                self.ready -= piece.len();
            }
        }
        dropped
    }

    /// The callers' payload bytes that are not with the network yet.
    pub fn queued_payload(&self) -> usize {
        let entries: usize = self.entries.iter().map(Entry::payload_len).sum();
        entries + self.pieces.iter().map(|piece| piece.payload).sum::<usize>()
    }

    /// Drops even what has begun to leave: nobody is there to read the rest.
    pub fn abandon(&mut self) {
        self.discard();
        self.pieces.clear();
        (self.ready, self.written) = (0, 0);
        self.give_back();
    }

    pub fn is_empty(&self) -> bool {
        let held = usize::from(self.ending == Ending::Held);
        self.pieces.is_empty() && self.entries.is_empty() && self.control.len() == held
    }

    /// Prepares up to [`AHEAD`] bytes. Nothing may come of it although there is more to write: then
    /// compressing has taken its time, and goes on with the next call.
    pub fn prepare(&mut self, keys: &mut impl MaskKeys) -> Result<(), Unsent> {
        let mut budget = COMPRESS_AT_A_TIME;
        let at_once = self.control.len() - usize::from(self.is_ending());
        if self.has_room() && at_once > 0 {
            self.prepare_control(at_once, keys)?;
        }
        while self.has_room()
            && budget > 0
            && let Some(entry) = self.entries.pop_front()
        {
            match entry {
                Entry::Framed { frames, payload } => self.prepare_framed(frames, payload),
                Entry::Bare { message_type, fragment_size, is_first, payload } => {
                    self.prepare_bare(message_type, fragment_size, is_first, payload, keys);
                }
                Entry::Plain { message_type, fragment_size, compress, payload } => {
                    let len = payload.len();
                    let (payload, rsv) = match &self.chain {
                        Some(chain) => chain.encode(message_type, payload).map_err(Unsent::Extension)?,
                        None => (payload, 0),
                    };
                    let stage = Stage { is_first: true, compress: compress && self.deflater.is_some(), rsv };
                    let made = None;
                    let changed = Entry::Changed { message_type, fragment_size, stage, len, payload, made };
                    self.prepare_changed(changed, &mut budget, keys)?;
                }
                changed @ Entry::Changed { .. } => self.prepare_changed(changed, &mut budget, keys)?,
                Entry::Close { frame } => {
                    let mut piece = Piece::of(frame, 0);
                    piece.is_close = true;
                    self.push_piece(piece);
                    self.closed = true;
                    // RFC 6455 section 5.5.1: nothing may follow it.
                    self.entries.clear();
                    self.control.clear();
                }
            }
        }
        if self.has_room() && self.entries.is_empty() && self.ending == Ending::Yes {
            (self.closed, self.ending) = (true, Ending::No);
            self.prepare_control(self.control.len(), keys)?;
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

    /// The next fragment of a message that extensions have changed, or that is compressed. What is
    /// compressed has a size only now, so fragments are measured here. `budget` is what may still be
    /// compressed before the others get their turn.
    fn prepare_changed(
        &mut self,
        entry: Entry,
        budget: &mut usize,
        keys: &mut impl MaskKeys,
    ) -> Result<(), OutOfMemory> {
        let Entry::Changed { message_type, fragment_size, stage, len, mut payload, made } = entry else {
            return Ok(());
        };
        let room = fragment_size.min(READ_SIZE);
        let (mut writer, mut count) = match made {
            Some(made) => made,
            // Most messages shrink, and need no more room than they have now.
            None => (buffer::take(room.min(payload.len() + Deflater::MIN_OUT))?, 0),
        };
        let room = room.min(writer.capacity());
        let (is_full, fin) = match &mut self.deflater {
            Some(deflater) if stage.compress => {
                let input = payload.len().min(*budget);
                let is_all = input == payload.len();
                let step =
                    deflater.step(&payload.as_slice()[..input], &mut writer.spare()[count..room], is_all);
                payload.advance(step.consumed);
                *budget -= step.consumed;
                count += step.produced;
                self.payload_before_compression += step.consumed as u64;
                self.payload_after_compression += step.produced as u64;
                let is_full = step.status == Status::NeedsOutput || room - count < Deflater::MIN_OUT;
                (is_full, step.status == Status::Done)
            }
            _ => {
                count = room.min(payload.len());
                writer.spare()[..count].copy_from_slice(&payload.as_slice()[..count]);
                payload.advance(count);
                (true, payload.is_empty())
            }
        };
        if !fin && (!is_full || count == 0) {
            let made = Some((writer, count));
            let rest = Entry::Changed { message_type, fragment_size, stage, len, payload, made };
            self.entries.push_front(rest);
            return Ok(());
        }
        let key = keys.next_key();
        mask::mask_in_place(&mut writer.spare()[..count], key, 0);
        writer.fill(count);
        self.changed_frames += 1;
        let marks = stage.rsv | if stage.compress { RSV1 } else { 0 };
        let header = FrameHeader {
            fin,
            rsv: if stage.is_first { marks } else { 0 },
            opcode: if stage.is_first { opcode_of(message_type) } else { Opcode::Continuation },
            mask: Some(key),
            payload_len: count as u64,
        };
        let mut piece = Piece::frame(&header, writer.into_segment(0));
        piece.payload = if fin { len } else { 0 };
        self.push_piece(piece);
        if !fin {
            let stage = Stage { is_first: false, ..stage };
            let rest = Entry::Changed { message_type, fragment_size, stage, len, payload, made: None };
            self.entries.push_front(rest);
        }
        Ok(())
    }

    /// The first control frames, in one piece: a flood of them takes no block for each.
    fn prepare_control(&mut self, count: usize, keys: &mut impl MaskKeys) -> Result<(), OutOfMemory> {
        let sizes = self.control.iter().take(count).map(|control| usize::from(control.len));
        let mut writer = buffer::take(sizes.map(|len| header_len(len, true) + len).sum())?;
        let mut is_close = false;
        for control in self.control.drain(..count) {
            write_frame(&mut writer, control.opcode, true, control.payload(), keys.next_key());
            is_close |= control.opcode == Opcode::Close;
            self.control_frames += 1;
        }
        let mut piece = Piece::of(writer.into_segment(0), 0);
        piece.is_close = is_close;
        self.push_piece(piece);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.ready < AHEAD && self.pieces.len() < MAX_PIECES
    }

    fn push_piece(&mut self, piece: Piece) {
        self.ready += piece.len();
        self.pieces.push_back(piece);
    }

    fn push_control(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.closed || self.is_ending() {
            return;
        }
        if self.control.len() >= MAX_WAITING_CONTROL
            && let Some(newest) = self.control.iter().rposition(|control| control.opcode == opcode)
        {
            self.control.remove(newest);
        }
        self.control.push_back(Control::new(opcode, payload));
    }

    #[cfg(test)]
    pub fn queue_bytes(&self) -> usize {
        self.pieces.capacity() * size_of::<Piece>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.control.capacity() * size_of::<Control>()
    }

    fn give_back(&mut self) {
        if !(MIN_CAPACITY..=KEEP_CAPACITY).contains(&self.pieces.capacity()) {
            self.pieces = VecDeque::new();
        }
        if self.entries.capacity() > KEEP_CAPACITY {
            self.entries = VecDeque::new();
        }
        if self.control.is_empty() && self.control.capacity() > KEEP_CONTROL_CAPACITY {
            self.control = VecDeque::new();
        }
    }
}

impl Control {
    fn new(opcode: Opcode, payload: &[u8]) -> Self {
        let len = payload.len().min(MAX_CONTROL_PAYLOAD);
        let mut control = Control { opcode, len: len as u8, payload: [0; MAX_CONTROL_PAYLOAD] };
        control.payload[..len].copy_from_slice(&payload[..len]);
        control
    }

    fn payload(&self) -> &[u8] {
        &self.payload[..self.len as usize]
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
