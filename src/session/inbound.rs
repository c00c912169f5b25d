//! Parses received bytes into messages.
//!
//! ```text
//!   socket ──► scratch or held block ── complete frame ──────────────► payload, in place
//!         └──► body, for a frame larger than a block ── complete ────► payload
//!                         ▲── fragments and decompressed data are appended
//! ```
//!
//! The payload of a frame that fits into one block is returned in place, without a copy. A larger frame is
//! read directly into a body, which grows with the bytes that have arrived, never with the length that a
//! header declares. The rest of a block moves to a small block when the socket is drained, so that many
//! half-received frames do not keep many large blocks.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `body` | payload that does not fit into one block |
//! | `read_buffer` | the target of the next read, and the unprocessed rest of the last one |
//! | `inflate` | compressed messages |

mod body;
mod inflate;
mod read_buffer;

use self::body::append;
use super::MessageType;
use crate::buffer::{self, OutOfMemory, Segment, Writer};
use crate::limits::READ_SIZE;
use crate::on_demand::{Empty, OnDemand};
use crate::wire::deflate::Inflater;
use crate::wire::frame::{FrameHeader, MAX_HEADER, Opcode, RSV1, parse_server_header, parse_unfragmented};
use crate::wire::utf8::{self, Utf8Stream};
use crate::wire::violation::Violation;

/// The capacity of the block of one read. A frame that fits is returned in place.
const READ_BLOCK: usize = buffer::capacity_for(READ_SIZE);

/// The read block that the connections of a worker share.
pub type Scratch = Option<Writer>;

pub struct Inbound {
    max_message_size: usize,
    /// Received bytes that are not consumed.
    held: Option<Held>,
    /// The minimum space in the held block, from the first byte that is not consumed.
    wanted: usize,
    /// Empty until the first message arrives in parts.
    partial: OnDemand<Partial>,
    utf8: Utf8Stream,
    /// Set if permessage-deflate was negotiated: RSV1 marks compressed messages (RFC 7692 section 6).
    inflater: Option<Box<Inflater>>,
    /// Reserved bits of the caller's extensions, and [`EVERY_MESSAGE`] if one of them transforms every message.
    extension_rsv: u8,
    /// The reserved bits of messages that are always delivered complete, as the program decodes them.
    external_rsv: u8,
    /// The reserved bits of the current message's first frame, and whether it is text that must be decoded by
    /// an extension before UTF-8 validation.
    rsv: u8,
    opaque_text: bool,
    pub frames: u64,
    pub messages: u64,
}

/// No reserved bit of a frame: those are 4, 2 and 1.
const EVERY_MESSAGE: u8 = 8;

struct Held {
    writer: Writer,
    consumed: usize,
}

/// A message of which a part has arrived.
#[derive(Default)]
struct Partial {
    /// The frame whose payload is arriving.
    frame: Option<IncomingFrame>,
    /// The fragmented message that is in progress.
    message: Option<Message>,
    /// Payload that does not fit into one block.
    body: Option<Writer>,
    /// The body was returned and can be released.
    body_is_delivered: bool,
}

impl Empty for Partial {
    const EMPTY: &'static Self =
        &Partial { frame: None, message: None, body: None, body_is_delivered: false };
}

struct IncomingFrame {
    opcode: Opcode,
    fin: bool,
    payload_len: usize,
    /// Payload bytes that were validated before the frame was complete.
    seen: usize,
    /// The remaining bytes, if the payload is read into the body.
    into_body: Option<usize>,
    /// The remaining bytes, if the payload is decompressed as it arrives.
    compressed: Option<usize>,
}

#[derive(Clone, Copy)]
struct Message {
    message_type: MessageType,
    /// Payload bytes of previous fragments.
    size: usize,
    /// Fragments are delivered individually.
    streamed: bool,
    compressed: bool,
    /// Compressed bytes so far.
    compressed_size: usize,
}

/// A received payload, in place.
pub struct Payload<'a> {
    /// The payload decoded by an extension.
    decoded: Option<&'a Segment>,
    writer: Option<&'a Writer>,
    start: usize,
    end: usize,
    /// The length of the header before it, if [`parse_unfragmented`] parsed the frame; otherwise 0.
    head_len: usize,
}

/// A message in a single frame accepted by [`parse_unfragmented`], including its header.
#[derive(Debug)]
pub struct WholeFrame<'a> {
    pub writer: &'a Writer,
    pub start: usize,
    pub end: usize,
    pub payload_len: usize,
}

impl<'a> Payload<'a> {
    pub fn of(segment: &'a Segment) -> Self {
        Self { decoded: Some(segment), writer: None, start: 0, end: 0, head_len: 0 }
    }

    /// Returns the frame of the payload, if the message is a single frame accepted by [`parse_unfragmented`].
    #[inline]
    pub fn whole_frame(&self) -> Option<WholeFrame<'a>> {
        let writer = self.writer.filter(|_| self.head_len > 0)?;
        let payload_len = self.end - self.start;
        Some(WholeFrame { writer, start: self.start - self.head_len, end: self.end, payload_len })
    }

    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        match self.writer {
            Some(writer) => &writer.bytes()[self.start..self.end],
            None if self.decoded.is_some() => self.decoded.map_or(&[], |segment| segment.as_slice()),
            None => &[],
        }
    }

    #[inline]
    pub fn segment(&self) -> Segment {
        match self.writer {
            Some(writer) if self.start < self.end => writer.segment(self.start, self.end),
            _ => self.decoded.cloned().unwrap_or(Segment::EMPTY),
        }
    }
}

/// The next item in the received bytes.
pub enum Item<'a> {
    /// More bytes are needed.
    NeedMore,
    /// `rsv` has the reserved bits of the message's first frame.
    Message {
        message_type: MessageType,
        rsv: u8,
        payload: Payload<'a>,
    },
    /// One fragment, if fragments are delivered individually.
    Fragment {
        message_type: MessageType,
        is_first: bool,
        is_final: bool,
        rsv: u8,
        payload: Payload<'a>,
    },
    Ping(Payload<'a>),
    Pong(Payload<'a>),
    Close(Payload<'a>),
}

/// The result of one parsing step.
enum Step {
    NeedMore,
    /// Progress without an item; continue.
    Progress,
    Deliver {
        what: What,
        place: Place,
    },
}

#[derive(Clone, Copy)]
enum What {
    Message(MessageType),
    Fragment { message_type: MessageType, is_first: bool, is_final: bool },
    Ping,
    Pong,
    Close,
}

enum Place {
    Held { start: usize, end: usize },
    Body,
}

/// Why receiving failed.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceiveError {
    Violation(Violation),
    OutOfMemory,
}

impl From<Violation> for ReceiveError {
    fn from(violation: Violation) -> Self {
        ReceiveError::Violation(violation)
    }
}

impl From<OutOfMemory> for ReceiveError {
    fn from(_: OutOfMemory) -> Self {
        ReceiveError::OutOfMemory
    }
}

impl Inbound {
    pub fn new(max_message_size: usize) -> Self {
        Self {
            max_message_size,
            held: None,
            wanted: 0,
            partial: OnDemand::default(),
            utf8: Utf8Stream::default(),
            inflater: None,
            extension_rsv: 0,
            external_rsv: 0,
            rsv: 0,
            opaque_text: false,
            frames: 0,
            messages: 0,
        }
    }

    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// Enables decompression.
    pub fn set_inflater(&mut self, inflater: Box<Inflater>) {
        self.inflater = Some(inflater);
    }

    /// Enables the reserved bits of the caller's extensions.
    pub fn set_extensions(&mut self, rsv: u8, external: u8, always: bool) {
        self.extension_rsv = rsv | if always { EVERY_MESSAGE } else { 0 };
        self.external_rsv = external;
    }

    /// Returns the next item in the received bytes. With `stream`, fragments of a message that starts now are
    /// delivered individually.
    #[inline]
    pub fn next(&mut self, stream: bool) -> Result<Item<'_>, ReceiveError> {
        if self.partial.body_is_delivered {
            self.drop_delivered_body();
        }
        if let Some((message_type, head_len, start, end)) = self.unfragmented_message() {
            let writer = self.held.as_ref().map(|held| &held.writer);
            let payload = Payload { decoded: None, writer, start, end, head_len };
            return Ok(Item::Message { message_type, rsv: 0, payload });
        }
        self.next_item(stream)
    }

    /// Fast path: returns the next message if it is a complete, valid, single frame of up to 64 KiB.
    /// Everything else takes the general path, which gives the same result; this path halves the cost of a
    /// small message.
    #[inline]
    fn unfragmented_message(&mut self) -> Option<(MessageType, usize, usize, usize)> {
        let partial = &*self.partial;
        if partial.frame.is_some() || partial.message.is_some() || self.extension_rsv & EVERY_MESSAGE != 0 {
            return None;
        }
        let held = self.held.as_mut()?;
        let unread = &held.writer.bytes()[held.consumed..];
        let (opcode, head_len, len) = parse_unfragmented(unread)?;
        let message_type = MessageType::of(opcode);
        let is_valid = || utf8::valid(&unread[head_len..head_len + len]);
        if len > self.max_message_size || message_type == MessageType::Text && !is_valid() {
            return None;
        }
        let start = held.consumed + head_len;
        held.consumed = start + len;
        self.frames += 1;
        self.messages += 1;
        Some((message_type, head_len, start, start + len))
    }

    fn next_item(&mut self, stream: bool) -> Result<Item<'_>, ReceiveError> {
        let (what, place) = loop {
            match self.step(stream)? {
                Step::Progress => {}
                Step::NeedMore => return Ok(Item::NeedMore),
                Step::Deliver { what, place } => break (what, place),
            }
        };
        let payload = match place {
            Place::Held { start, end } => {
                let writer = self.held.as_ref().map(|held| &held.writer);
                Payload { decoded: None, writer, start, end, head_len: 0 }
            }
            Place::Body => {
                self.partial.body_is_delivered = true;
                let end = self.partial.body.as_ref().map_or(0, Writer::filled);
                Payload { decoded: None, writer: self.partial.body.as_ref(), start: 0, end, head_len: 0 }
            }
        };
        let rsv = self.rsv;
        let as_sent = |message_type| if self.opaque_text { MessageType::Text } else { message_type };
        Ok(match what {
            What::Message(message_type) => {
                Item::Message { message_type: as_sent(message_type), rsv, payload }
            }
            What::Fragment { message_type, is_first, is_final } => {
                Item::Fragment { message_type: as_sent(message_type), is_first, is_final, rsv, payload }
            }
            What::Ping => Item::Ping(payload),
            What::Pong => Item::Pong(payload),
            What::Close => Item::Close(payload),
        })
    }

    #[inline]
    fn step(&mut self, stream: bool) -> Result<Step, ReceiveError> {
        if self.partial.frame.is_some() {
            return self.continue_frame(stream);
        }
        let (start, end) = match &self.held {
            Some(held) => (held.consumed, held.writer.filled()),
            None => (0, 0),
        };
        let allowed_rsv = self.extension_rsv | if self.inflater.is_some() { RSV1 } else { 0 };
        let Some((mut header, head_len)) = parse_server_header(self.unread(), allowed_rsv)? else {
            self.wanted = MAX_HEADER;
            return Ok(Step::NeedMore);
        };
        self.check(&header)?;
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            let extended = (header.rsv | EVERY_MESSAGE) & self.extension_rsv != 0;
            self.rsv = header.rsv;
            self.opaque_text = extended && header.opcode == Opcode::Text;
            if self.opaque_text {
                header.opcode = Opcode::Binary;
            }
        }
        let payload_len = header.payload_len as usize;
        let (from, to) = (start + head_len, start + head_len + payload_len);
        if to <= end && !self.is_compressed(&header) {
            // Common case: the frame is complete.
            self.frames += 1;
            return self.whole_frame(header.opcode, header.fin, from, to, 0, stream);
        }
        self.consume(head_len);
        self.begin(header, payload_len, stream);
        self.continue_frame(stream)
    }

    /// Checks a header against RFC 6455 section 5.4 and the limits, before its payload arrives.
    #[inline]
    fn check(&self, header: &FrameHeader) -> Result<(), Violation> {
        // RFC 7692 section 6.1: only the first frame of a message carries the compression bit.
        if header.rsv != 0 && (header.opcode.is_control() || header.opcode == Opcode::Continuation) {
            return Err(Violation::ReservedBits(header.rsv));
        }
        if header.opcode.is_control() {
            // RFC 6455 section 5.5.1: a body starts with a two-byte code.
            let is_half_a_code = header.opcode == Opcode::Close && header.payload_len == 1;
            return if is_half_a_code { Err(Violation::CloseLength) } else { Ok(()) };
        }
        let before = match (&self.partial.message, header.opcode) {
            (None, Opcode::Continuation) => return Err(Violation::UnexpectedContinuation),
            (Some(message), Opcode::Continuation) => message.size,
            (Some(_), _) => return Err(Violation::ExpectedContinuation),
            (None, _) => 0,
        };
        // The size of a compressed message is checked during decompression.
        let most = if self.is_compressed(header) {
            let before = self.partial.message.as_ref().map_or(0, |message| message.compressed_size);
            max_compressed_size(self.max_message_size) - before
        } else {
            self.max_message_size - before
        };
        if header.payload_len > most as u64 {
            return Err(Violation::MessageTooLarge { limit: self.max_message_size });
        }
        Ok(())
    }

    #[inline]
    fn is_compressed(&self, header: &FrameHeader) -> bool {
        (header.rsv & RSV1 != 0 && self.inflater.is_some())
            || (header.opcode == Opcode::Continuation
                && self.partial.message.is_some_and(|message| message.compressed))
    }

    /// Starts a frame whose payload is incomplete or compressed.
    fn begin(&mut self, header: FrameHeader, payload_len: usize, stream: bool) {
        let compressed = self.is_compressed(&header).then_some(payload_len);
        let large = !header.opcode.is_control() && MAX_HEADER + payload_len > READ_BLOCK;
        let into_body = (large && compressed.is_none()).then_some(payload_len);
        let begins = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        if begins && (!header.fin || compressed.is_some()) {
            // An unfragmented message is never delivered as a fragment.
            self.begin_message(header.opcode, stream && !header.fin, compressed.is_some());
        }
        let (opcode, fin) = (header.opcode, header.fin);
        self.partial.frame = Some(IncomingFrame { opcode, fin, payload_len, seen: 0, into_body, compressed });
        self.wanted = if compressed.is_some() { 1 } else { payload_len };
        self.frames += 1;
    }

    fn begin_message(&mut self, opcode: Opcode, streamed: bool, compressed: bool) {
        self.partial.message = Some(Message {
            message_type: MessageType::of(opcode),
            size: 0,
            // What the program decodes is delivered complete.
            streamed: streamed && self.rsv & self.external_rsv == 0,
            compressed,
            compressed_size: 0,
        });
    }

    /// Continues the current frame with the bytes received since.
    fn continue_frame(&mut self, stream: bool) -> Result<Step, ReceiveError> {
        let Some(Partial { frame: current, message, body, .. }) = self.partial.allocated() else {
            return Ok(Step::NeedMore);
        };
        let Some(frame) = current else { return Ok(Step::NeedMore) };
        if let Some(left) = frame.compressed {
            let (opcode, fin) = (frame.opcode, frame.fin);
            return self.inflate(opcode, fin, left);
        }
        let is_text = match frame.opcode {
            Opcode::Text => true,
            Opcode::Continuation => message.is_some_and(|message| message.message_type == MessageType::Text),
            _ => false,
        };
        if let Some(missing) = &mut frame.into_body {
            // Once, for payload that arrived in the same read as the header.
            if let Some(held) = &mut self.held
                && held.consumed < held.writer.filled()
                && *missing > 0
            {
                let here = &held.writer.bytes()[held.consumed..];
                let here = &here[..here.len().min(*missing)];
                append(body, here, *missing)?;
                held.consumed += here.len();
                *missing -= here.len();
            }
            let arrived = frame.payload_len - *missing;
            if let Some(body) = body
                && is_text
            {
                let all = body.bytes();
                self.utf8.feed(&all[all.len() - (arrived - frame.seen)..])?;
            }
            frame.seen = arrived;
            if *missing > 0 {
                return Ok(Step::NeedMore);
            }
            let (opcode, fin, len) = (frame.opcode, frame.fin, frame.payload_len);
            *current = None;
            return self.frame_in_body(opcode, fin, len);
        }
        let Some(held) = &self.held else { return Ok(Step::NeedMore) };
        let arrived = (held.writer.filled() - held.consumed).min(frame.payload_len);
        if arrived < frame.payload_len {
            if is_text {
                self.utf8.feed(&held.writer.bytes()[held.consumed + frame.seen..held.consumed + arrived])?;
            }
            frame.seen = arrived;
            return Ok(Step::NeedMore);
        }
        let (opcode, fin, seen) = (frame.opcode, frame.fin, frame.seen);
        let (from, to) = (held.consumed, held.consumed + frame.payload_len);
        *current = None;
        self.whole_frame(opcode, fin, from, to, seen, stream)
    }

    /// Processes a complete frame in the held block, of which `seen` payload bytes were validated before.
    #[inline]
    fn whole_frame(
        &mut self,
        opcode: Opcode,
        fin: bool,
        from: usize,
        to: usize,
        seen: usize,
        stream: bool,
    ) -> Result<Step, ReceiveError> {
        if self.partial.message.is_none() && !fin && !opcode.is_control() {
            self.begin_message(opcode, stream, false);
        }
        let Some(held) = &mut self.held else { return Ok(Step::NeedMore) };
        held.consumed = to;
        let payload = &held.writer.bytes()[from..to];
        let place = Place::Held { start: from, end: to };
        let what = match opcode {
            Opcode::Binary if fin => What::Message(MessageType::Binary),
            Opcode::Text if fin => {
                if seen > 0 {
                    self.utf8.feed(&payload[seen..])?;
                    self.utf8.finish()?;
                } else if !utf8::valid(payload) {
                    return Err(Violation::InvalidUtf8.into());
                }
                What::Message(MessageType::Text)
            }
            Opcode::Ping => What::Ping,
            Opcode::Pong => What::Pong,
            Opcode::Close => What::Close,
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                if self.partial.message.is_some_and(|message| message.message_type == MessageType::Text) {
                    self.utf8.feed(&payload[seen..])?;
                }
                if !self.partial.message.is_some_and(|message| message.streamed) {
                    append(&mut self.partial.body, payload, payload.len())?;
                }
                return self.fragment(opcode, fin, to - from, place);
            }
        };
        self.messages += u64::from(matches!(what, What::Message(_)));
        Ok(Step::Deliver { what, place })
    }

    /// Processes a complete frame whose payload was read into the body.
    fn frame_in_body(&mut self, opcode: Opcode, fin: bool, len: usize) -> Result<Step, ReceiveError> {
        // A header follows.
        self.wanted = MAX_HEADER;
        if self.partial.message.is_some() {
            return self.fragment(opcode, fin, len, Place::Body);
        }
        let message_type = MessageType::of(opcode);
        if message_type == MessageType::Text {
            self.utf8.finish()?;
        }
        self.messages += 1;
        Ok(Step::Deliver { what: What::Message(message_type), place: Place::Body })
    }

    /// Processes a complete, validated fragment, which is in the body unless it is delivered individually.
    fn fragment(
        &mut self,
        opcode: Opcode,
        fin: bool,
        len: usize,
        place: Place,
    ) -> Result<Step, ReceiveError> {
        let Some(message) = &mut self.partial.message else { return Ok(Step::Progress) };
        message.size += len;
        let Message { message_type, streamed, .. } = *message;
        if fin {
            if message_type == MessageType::Text {
                self.utf8.finish()?;
            }
            self.partial.message = None;
            self.messages += 1;
        }
        if streamed {
            let is_first = opcode != Opcode::Continuation;
            return Ok(Step::Deliver {
                what: What::Fragment { message_type, is_first, is_final: fin },
                place,
            });
        }
        if !fin {
            return Ok(Step::Progress);
        }
        Ok(Step::Deliver { what: What::Message(message_type), place: Place::Body })
    }
}

/// Returns the largest compressed size that is accepted for a message of `size` bytes. Bounds streams of
/// empty blocks.
fn max_compressed_size(size: usize) -> usize {
    size + size / 256 + 1024
}
