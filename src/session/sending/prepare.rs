//! From entries and control frames to pieces: framing, masking, fragments, compression.

use super::{AHEAD, Ending, MAX_PIECES, Piece, Sending, Unsent};
use crate::buffer::{self, Exclusive, OutOfMemory, Segment};
use crate::limits::{COMPRESS_AT_A_TIME, READ_SIZE};
use crate::session::extension::Chain;
use crate::session::outbox::{Entry, Stage, opcode_of, write_frame};
use crate::session::{MaskKeys, MessageType};
use crate::wire::deflate::{Deflater, Status};
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1, header_len, parse_header};
use crate::wire::mask;

impl Sending {
    /// Prepares up to [`AHEAD`] bytes. May prepare nothing although data is queued: compression is limited
    /// per call and continues with the next one.
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
                Entry::Plain { message_type, fragment_size, mut stage, payload } => {
                    let len = payload.len();
                    let (payload, rsv) = match &self.chain {
                        Some(chain) => chain.encode(message_type, payload, stage.rsv),
                        None => Chain::default().encode(message_type, payload, stage.rsv),
                    }
                    .map_err(Unsent::Extension)?;
                    stage.rsv = rsv;
                    stage.compress &= self.deflater.is_some();
                    let made = None;
                    let changed = Entry::Changed { message_type, fragment_size, stage, len, payload, made };
                    self.prepare_changed(changed, &mut budget, keys)?;
                }
                changed @ Entry::Changed { .. } => self.prepare_changed(changed, &mut budget, keys)?,
                Entry::End(begun) => self.message_prepared(begun),
                Entry::Close { frame } => {
                    let mut piece = Piece::of(frame, 0);
                    piece.is_close = true;
                    self.push_piece(piece);
                    self.closed = true;
                    // RFC 6455 section 5.5.1: nothing may follow it.
                    self.clear_entries();
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

    /// Queues complete frames; splits them at a frame boundary if they are too large.
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

    /// Prepares the next fragment of a segment, masked in place.
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

    /// Prepares the next fragment of a transformed or compressed message. The compressed size is known only
    /// now, so the message is fragmented here. `budget` is the number of bytes that may be compressed in this
    /// call.
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
            // Most messages shrink, so their current size is enough.
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
        self.extra_frames += 1;
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

    /// Prepares the first `count` control frames in one piece, so that a flood does not use a block for each.
    fn prepare_control(&mut self, count: usize, keys: &mut impl MaskKeys) -> Result<(), OutOfMemory> {
        let sizes = self.control.iter().take(count).map(|control| usize::from(control.len));
        let size: usize = sizes.map(|len| header_len(len, true) + len).sum();
        let mut writer = buffer::take(size + MAX_HEADER)?;
        let mut is_close = false;
        for control in self.control.drain(..count) {
            write_frame(&mut writer, control.opcode, true, control.payload(), keys.next_key());
            is_close |= control.opcode == Opcode::Close;
            self.extra_frames += 1;
        }
        if self.pieces.capacity() == 0 {
            // Small enough to be freed later: see `shrink`.
            self.pieces.reserve_exact(1);
        }
        let mut piece = Piece::of(writer.into_segment(0), 0);
        piece.is_close = is_close;
        self.push_piece(piece);
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.ready < AHEAD && self.pieces.len() < MAX_PIECES
    }
}
