//! A captured connection as TCP segments: one for each frame.

use std::net::SocketAddr;
use std::time::Duration;

use super::framing::{Direction, Framing, Unit};
use super::packets::{ACK, FIN, MAX_PAYLOAD, PSH, RST, SYN, Segment};
use super::pcapng::Packet;
use super::queue::Lost;
use super::redaction::redact;
use super::tap::{EndedBy, Ending, Note, NoteText};

/// The server's port in the file, whatever it is: viewers decode it as HTTP. TLS is not part of the capture, so 443 would
/// be misleading to them.
pub const HTTP_PORT: u16 = 80;
/// The longest head that is held until it is complete: more than a session accepts.
const MAX_HEAD: usize = 256 << 10;
/// The bytes after which the other side acknowledges, so that the window does not look full.
const ACKNOWLEDGE_AFTER: u32 = 256 << 20;

/// Takes the packets.
pub type Sink<'a> = &'a mut dyn FnMut(&Packet<'_>);

/// The state of a connection.
pub struct Conversation {
    sides: [Side; 2],
    include_secrets: bool,
    packet: Vec<u8>,
}

/// What one side sends.
struct Side {
    address: SocketAddr,
    sequence: u32,
    /// What the other side has acknowledged.
    acknowledged: u32,
    framing: Framing,
    /// The begin of a unit that is not complete.
    held: Vec<u8>,
    /// What is not in the file, until the next segment says so.
    lost: u64,
    /// The position in the frames is not known.
    is_lost: bool,
}

impl Conversation {
    /// Creates it with the addresses in the file.
    pub fn new(client: SocketAddr, server: SocketAddr, include_secrets: bool) -> Self {
        let side = |address, direction| Side {
            address,
            sequence: 0,
            acknowledged: 0,
            framing: Framing::new(direction),
            held: Vec::new(),
            lost: 0,
            is_lost: false,
        };
        Self {
            sides: [side(client, Direction::Sent), side(server, Direction::Received)],
            include_secrets,
            packet: Vec::new(),
        }
    }

    /// Writes the handshake of TCP.
    pub fn open(&mut self, time: Duration, description: &str, sink: Sink<'_>) {
        self.segment(Direction::Sent, SYN, &[], &[description.to_owned()], time, sink);
        self.segment(Direction::Received, SYN | ACK, &[], &[], time, sink);
        self.segment(Direction::Sent, ACK, &[], &[], time, sink);
    }

    /// Counts bytes that were lost. The incomplete unit before them is lost too.
    pub fn lose(&mut self, direction: Direction, lost: Lost) {
        let side = &mut self.sides[direction as usize];
        side.lost += lost.bytes + side.held.len() as u64;
        side.held = Vec::new();
        side.is_lost = true;
        side.framing.restart();
    }

    /// Writes bytes. After a loss, those before the next unit are lost too.
    pub fn bytes(
        &mut self,
        direction: Direction,
        mut bytes: &[u8],
        first_unit: Option<usize>,
        notes: &[Note],
        time: Duration,
        sink: Sink<'_>,
    ) {
        let mut notes = notes.iter().peekable();
        let mut at = 0;
        let side = &mut self.sides[direction as usize];
        if side.is_lost {
            at = first_unit.unwrap_or(bytes.len());
            side.lost += at as u64;
            side.is_lost = first_unit.is_none();
            bytes = &bytes[at..];
            while notes.next_if(|note| note.end <= at).is_some() {}
        }
        while !bytes.is_empty() {
            let side = &mut self.sides[direction as usize];
            let found = side.framing.next(bytes);
            let (unit, rest) = bytes.split_at(found.len);
            at += found.len;
            bytes = rest;
            let mut comments = Vec::new();
            while let Some(note) = notes.next_if(|note| note.end <= at) {
                comments.push(note.text.to_string());
            }
            if found.is_end && side.held.is_empty() && found.unit != Unit::Head {
                self.unit(direction, unit, &comments, time, sink);
                continue;
            }
            side.held.extend_from_slice(unit);
            let is_full = match found.unit {
                Unit::Head => side.held.len() > MAX_HEAD,
                _ => side.held.len() >= MAX_PAYLOAD,
            };
            if found.is_end || is_full {
                self.flush(direction, found.unit == Unit::Head, found.is_end, &comments, time, sink);
            }
        }
    }

    /// Writes the end of the connection.
    pub fn end(&mut self, ending: &Ending, time: Duration, sink: Sink<'_>) {
        for direction in [Direction::Sent, Direction::Received] {
            let is_head = self.sides[direction as usize].framing.is_head();
            self.flush(direction, is_head, true, &[], time, sink);
        }
        let reason = if ending.reason.is_empty() { vec![] } else { vec![ending.reason.clone()] };
        let (first, second) = match ending.by {
            EndedBy::Client => (Direction::Sent, Direction::Received),
            EndedBy::Server => (Direction::Received, Direction::Sent),
            EndedBy::Reset => {
                return self.segment(Direction::Received, RST | ACK, &[], &reason, time, sink);
            }
            EndedBy::Nothing => return,
        };
        self.segment(first, FIN | ACK, &[], &reason, time, sink);
        self.segment(second, FIN | ACK, &[], &[], time, sink);
        self.segment(first, ACK, &[], &[], time, sink);
    }

    /// Writes what is held of a unit: all of it, or only whole segments.
    fn flush(
        &mut self,
        direction: Direction,
        is_head: bool,
        is_all: bool,
        comments: &[String],
        time: Duration,
        sink: Sink<'_>,
    ) {
        let mut held = std::mem::take(&mut self.sides[direction as usize].held);
        if held.is_empty() {
            return;
        }
        if is_head && !self.include_secrets {
            held = redact(&held);
        }
        let whole = if is_all || is_head { held.len() } else { held.len() - held.len() % MAX_PAYLOAD };
        self.unit(direction, &held[..whole], comments, time, sink);
        held.drain(..whole);
        if held.is_empty() && held.capacity() > MAX_PAYLOAD {
            held = Vec::new();
        }
        self.sides[direction as usize].held = held;
    }

    /// Writes a unit, in as many segments as it needs. The comments are on the last one.
    fn unit(
        &mut self,
        direction: Direction,
        unit: &[u8],
        comments: &[String],
        time: Duration,
        sink: Sink<'_>,
    ) {
        let count = unit.len().div_ceil(MAX_PAYLOAD);
        for (at, part) in unit.chunks(MAX_PAYLOAD).enumerate() {
            let comments = if at + 1 == count { comments } else { &[] };
            self.segment(direction, PSH | ACK, part, comments, time, sink);
        }
    }

    fn segment(
        &mut self,
        direction: Direction,
        flags: u8,
        payload: &[u8],
        comments: &[String],
        time: Duration,
        sink: Sink<'_>,
    ) {
        let [client, server] = &mut self.sides;
        let (side, other) = if direction == Direction::Sent { (client, server) } else { (server, client) };
        let lost = std::mem::take(&mut side.lost);
        let mut all = Vec::new();
        let mut comments = comments;
        if lost > 0 {
            // The gap in the sequence numbers shows where.
            side.sequence = side.sequence.wrapping_add(lost as u32);
            all.push(format!(
                "{lost} bytes before this packet were not captured: the capture queue was full"
            ));
            all.extend_from_slice(comments);
            comments = &all;
        }
        let acknowledged = if flags & ACK == 0 { 0 } else { other.sequence };
        Segment {
            from: side.address,
            to: other.address,
            sequence: side.sequence,
            acknowledged,
            flags,
            payload,
        }
        .write(&mut self.packet);
        // Both count as a byte (RFC 9293 section 3.4).
        let control = u32::from(flags & (SYN | FIN) != 0);
        side.sequence = side.sequence.wrapping_add(payload.len() as u32 + control);
        other.acknowledged = acknowledged;
        let is_inbound = direction == Direction::Received;
        let is_unacknowledged = side.sequence.wrapping_sub(side.acknowledged) > ACKNOWLEDGE_AFTER;
        sink(&Packet { time, is_inbound, bytes: &self.packet, comments });
        if is_unacknowledged && !payload.is_empty() {
            let other = if is_inbound { Direction::Sent } else { Direction::Received };
            self.segment(other, ACK, &[], &[], time, sink);
        }
    }
}

impl std::fmt::Display for NoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoteText::Text(text) => f.write_str(text),
            NoteText::Message { lane, tag, waited_us } => {
                write!(f, "lane {lane}, queued for {waited_us} µs")?;
                if *tag != 0 {
                    write!(f, ", tag {tag}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
