//! Prepares queued entries and control frames for writing.
//!
//! ```text
//!   entries ── frame, mask, fragment ──► pieces ── gather ──► socket
//!   control ── first ───────────────────────▲                    └── wrote(count)
//! ```
//!
//! Pieces are complete frames. At most [`AHEAD`] bytes are prepared, so that a pong never waits for more than
//! that, however much is queued.

mod prepare;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use super::extension::Chain;
use super::lanes::Begun;
use super::outbox::Entry;
use crate::buffer::{OutOfMemory, Segment};
use crate::limits::MAX_CONTROL_PAYLOAD;
use crate::on_demand::Empty;
use crate::wire::deflate::Deflater;
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, write_header};

/// The number of bytes that are prepared ahead of the socket.
const AHEAD: usize = 256 << 10;
/// Buffers in one vectored write. POSIX guarantees 16; all supported systems allow 1024.
pub const MAX_SLICES: usize = 32;
/// The number of pieces that are prepared: one write takes no more.
const MAX_PIECES: usize = MAX_SLICES;
/// The number of queued control frames. Beyond it, a new ping or pong replaces the newest queued one, which
/// RFC 6455 section 5.5.3 allows for pongs.
const MAX_WAITING_CONTROL: usize = 64;
/// Larger queues are freed when they become empty.
const KEEP_CAPACITY: usize = 32;
/// A smaller queue of pieces has held only the upgrade request, or control frames, and is freed too, as many
/// connections never send anything else.
const MIN_CAPACITY: usize = 2;

#[derive(Default)]
pub struct Sending {
    entries: VecDeque<Entry>,
    control: VecDeque<Control>,
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces`.
    ready: usize,
    /// Bytes of the first piece that are written.
    written: usize,
    /// A close frame is next or being written: nothing may follow it.
    closed: bool,
    /// Whether the last entry of `control` is a close frame that follows all queued data.
    ending: Ending,
    /// Set if permessage-deflate was negotiated.
    deflater: Option<Box<Deflater>>,
    /// The caller's extensions, if any were negotiated.
    chain: Option<Arc<Chain>>,
    /// None until the caller uses lanes.
    progress: Option<Box<Progress>>,
    /// The number of prepared control frames, and of frames of transformed messages: the outbox cannot count them.
    pub extra_frames: u64,
    pub payload_before_compression: u64,
    pub payload_after_compression: u64,
}

impl Empty for Sending {
    const EMPTY: &'static Self = &Sending {
        entries: VecDeque::new(),
        control: VecDeque::new(),
        pieces: VecDeque::new(),
        ready: 0,
        written: 0,
        closed: false,
        ending: Ending::No,
        deflater: None,
        chain: None,
        progress: None,
        extra_frames: 0,
        payload_before_compression: 0,
        payload_after_compression: 0,
    };
}

/// The messages of lanes that are prepared, until they are written.
#[derive(Default)]
struct Progress {
    /// With the number of bytes that will have been written at their ends.
    prepared: VecDeque<(u64, Begun)>,
    written: u64,
    /// Written, or dropped, with whether they were written.
    ended: Vec<(Begun, bool)>,
}

impl Progress {
    fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
        while let Some(&(end, begun)) = self.prepared.front()
            && end <= self.written
        {
            self.ended.push((begun, true));
            self.prepared.pop_front();
        }
    }

    /// Drops what ends after `kept` bytes that are still to be written.
    fn discard(&mut self, kept: usize) {
        let end = self.written + kept as u64;
        let first = self.prepared.partition_point(|(at, _)| *at <= end);
        self.ended.extend(self.prepared.drain(first..).map(|(_, begun)| (begun, false)));
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    No,
    /// Data may still be queued before it.
    Held,
    Yes,
}

struct Control {
    opcode: Opcode,
    len: u8,
    payload: [u8; MAX_CONTROL_PAYLOAD],
}

/// One or more complete frames.
struct Piece {
    head: [u8; MAX_HEADER],
    head_len: u8,
    /// Contains the close frame; nothing may follow it.
    is_close: bool,
    payload: usize,
    body: Segment,
}

/// Why preparing failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Unsent {
    OutOfMemory,
    /// The error of an extension.
    Extension(String),
}

impl From<OutOfMemory> for Unsent {
    fn from(_: OutOfMemory) -> Self {
        Unsent::OutOfMemory
    }
}

/// The progress of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrote {
    /// Payload bytes of callers that were completed.
    pub payload: usize,
    /// The close frame was written.
    pub close: bool,
}

impl Sending {
    /// Returns the queue that [`Outbox::take`](super::Outbox::take) fills.
    pub fn entries(&mut self) -> &mut VecDeque<Entry> {
        &mut self.entries
    }

    /// The same queue, for messages of lanes.
    pub fn lane_entries(&mut self) -> &mut VecDeque<Entry> {
        self.progress.get_or_insert_default();
        &mut self.entries
    }

    pub fn set_extensions(&mut self, chain: Arc<Chain>) {
        self.chain = Some(chain);
    }

    pub fn set_deflater(&mut self, deflater: Box<Deflater>) {
        self.deflater = Some(deflater);
    }

    /// Queues raw bytes: the upgrade request, which is empty over HTTP/2.
    pub fn push_raw(&mut self, bytes: &[u8]) -> Result<(), OutOfMemory> {
        if bytes.is_empty() {
            // An empty piece would never be removed.
            return Ok(());
        }
        let body = Segment::copy_of(bytes)?;
        // Small enough to be freed later: see `shrink`.
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

    /// Drops all data that has not been partly written, and sends the close frame next unless one is partly
    /// written.
    pub fn close_now(&mut self, payload: &[u8]) -> usize {
        let dropped = self.discard();
        if !self.pieces.front().is_some_and(|piece| piece.is_close) {
            self.control.push_back(Control::new(Opcode::Close, payload));
        }
        self.closed = true;
        dropped
    }

    /// Sends the close frame after queued data; replaces a queued close frame.
    pub fn close_last(&mut self, payload: &[u8]) {
        if !self.closed && self.ending == Ending::No {
            self.control.push_back(Control::new(Opcode::Close, payload));
            self.ending = Ending::Yes;
            self.drop_close();
        }
    }

    /// Drops the caller's queued close frame.
    pub fn drop_close(&mut self) {
        self.entries.retain(|entry| !matches!(entry, Entry::Close { .. }));
    }

    /// Returns whether a close frame is pending after queued data.
    pub fn is_ending(&self) -> bool {
        self.ending != Ending::No
    }

    /// Holds the pending close frame until [`release_close`](Self::release_close). Returns false if there is
    /// none.
    pub fn hold_close(&mut self) -> bool {
        if self.is_ending() {
            self.ending = Ending::Held;
        }
        self.is_ending()
    }

    /// Releases the held close frame. Drops queued data if it would delay the close frame too long.
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

    /// Drops all data that has not been partly written; returns its payload bytes.
    pub fn discard(&mut self) -> usize {
        let mut dropped: usize = self.entries.iter().map(Entry::payload_len).sum();
        self.clear_entries();
        self.control.clear();
        self.ending = Ending::No;
        let keep = usize::from(self.written > 0);
        while self.pieces.len() > keep {
            if let Some(piece) = self.pieces.pop_back() {
                dropped += piece.payload;
                self.ready -= piece.len();
            }
        }
        if let Some(progress) = &mut self.progress {
            progress.discard(self.ready);
        }
        dropped
    }

    /// The bytes that have begun and are not written.
    pub fn pending(&self) -> usize {
        self.ready + self.entries.iter().map(Entry::payload_len).sum::<usize>()
    }

    /// Moves the messages of lanes that were written, or dropped, with whether they were written.
    #[inline]
    pub fn take_ended(&mut self, into: &mut Vec<(Begun, bool)>) {
        if let Some(progress) = &mut self.progress {
            into.append(&mut progress.ended);
        }
    }

    /// Returns the messages of lanes that end within the next `count` bytes to write, with the positions of their ends.
    pub fn lane_messages_within(&self, count: usize) -> impl Iterator<Item = (usize, Begun)> {
        self.progress.iter().flat_map(move |progress| {
            let ends = progress.prepared.iter();
            ends.map(|(end, begun)| ((end - progress.written) as usize, *begun))
                .take_while(move |(end, _)| *end <= count)
        })
    }

    /// Removes and returns the messages of which no frame was prepared, in order.
    pub fn take_unprepared(&mut self) -> VecDeque<Entry> {
        let mut entries = std::mem::take(&mut self.entries);
        while entries.front().is_some_and(Entry::is_begun)
            && let Some(begun) = entries.pop_front()
        {
            self.entries.push_back(begun);
        }
        entries
    }

    /// Returns the callers' payload bytes that are not completely written.
    pub fn queued_payload(&self) -> usize {
        let entries: usize = self.entries.iter().map(Entry::payload_len).sum();
        entries + self.pieces.iter().map(|piece| piece.payload).sum::<usize>()
    }

    /// Drops everything, including partly written data: the connection is lost.
    pub fn abandon(&mut self) {
        self.pieces.clear();
        (self.ready, self.written) = (0, 0);
        self.discard();
        self.shrink();
    }

    pub fn is_empty(&self) -> bool {
        let held = usize::from(self.ending == Ending::Held);
        self.pieces.is_empty() && self.entries.is_empty() && self.control.len() == held
    }

    /// Returns whether it holds nothing, and has carried nothing but the upgrade request.
    pub fn is_unused(&self) -> bool {
        let queues = self.entries.capacity() + self.control.capacity() + self.pieces.capacity();
        queues == 0
            && self.deflater.is_none()
            && self.chain.is_none()
            && self.progress.is_none()
            && !self.closed
            && self.extra_frames == 0
    }

    /// Collects the prepared bytes for one write, in order; returns the number of slices.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut count = 0;
        let mut skip = self.written;
        for piece in &self.pieces {
            if count + 2 > MAX_SLICES {
                break;
            }
            for part in [piece.head(), piece.body.as_slice()] {
                let left = &part[skip.min(part.len())..];
                skip -= part.len() - left.len();
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
        if let Some(progress) = &mut self.progress {
            progress.wrote(bytes);
        }
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
            self.shrink();
            if let Some(deflater) = &mut self.deflater {
                deflater.release_if_idle();
            }
        }
        moved
    }

    fn push_piece(&mut self, piece: Piece) {
        self.ready += piece.len();
        self.pieces.push_back(piece);
    }

    /// The message of a lane is prepared.
    fn message_prepared(&mut self, begun: Begun) {
        let progress = self.progress.get_or_insert_default();
        progress.prepared.push_back((progress.written + self.ready as u64, begun));
        progress.wrote(0);
    }

    pub fn messages_dropped(&mut self, begun: &[Begun]) {
        if !begun.is_empty() {
            let ended = &mut self.progress.get_or_insert_default().ended;
            ended.extend(begun.iter().map(|begun| (*begun, false)));
        }
    }

    /// Counts the messages of lanes that are not written as dropped.
    pub fn lose_messages(&mut self) {
        let Some(progress) = &mut self.progress else { return };
        let prepared = progress.prepared.drain(..).map(|(_, begun)| begun);
        progress.ended.extend(prepared.map(|begun| (begun, false)));
        self.entries.retain(|entry| match entry {
            Entry::End(begun) => {
                progress.ended.push((*begun, false));
                false
            }
            _ => true,
        });
    }

    /// Drops the entries.
    fn clear_entries(&mut self) {
        for entry in self.entries.drain(..) {
            if let Entry::End(begun) = entry {
                self.progress.get_or_insert_default().ended.push((begun, false));
            }
        }
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

    fn shrink(&mut self) {
        if !(MIN_CAPACITY..=KEEP_CAPACITY).contains(&self.pieces.capacity()) {
            self.pieces = VecDeque::new();
        }
        if self.entries.capacity() > KEEP_CAPACITY {
            self.entries = VecDeque::new();
        }
        if self.control.is_empty() {
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
