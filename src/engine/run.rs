//! Messages that lie one behind the other, as they came.
//!
//! ```text
//!   block:  … [ header | payload ][ header | payload ][ header | payload ] …
//!             ^── frames ──────────────────────────────────────────────^
//! ```
//!
//! A flood of small messages waits as one entry of a mailbox, with one reference to its block, and not
//! as one for each. The session has judged the frames; here they are found again.

use super::event::EventKind;
use crate::buffer::Segment;
use crate::limits::EVENT_OVERHEAD;
use crate::session::MessageType;
use crate::session::inbound::WholeFrame;
use crate::wire::frame::parse_usual;

/// At least one message.
pub struct Run {
    frames: Segment,
    count: u32,
    /// Bytes of them all.
    payload: u32,
}

/// A message of a run, and where its payload lies there.
#[derive(Clone, Copy)]
pub struct Place {
    pub message_type: MessageType,
    start: usize,
    end: usize,
}

impl Place {
    pub fn charge(&self) -> usize {
        EVENT_OVERHEAD + self.end - self.start
    }
}

impl Run {
    pub fn of(frame: &WholeFrame<'_>) -> Self {
        let payload = frame.payload_len as u32;
        Self { frames: frame.writer.segment(frame.start, frame.end), count: 1, payload }
    }

    /// Takes in a frame that begins where the last one ends. False if it lies elsewhere.
    #[inline]
    pub fn extend(&mut self, frame: &WholeFrame<'_>) -> bool {
        let joined = self.frames.extend(frame.writer, frame.start, frame.end);
        if joined {
            self.count += 1;
            self.payload += frame.payload_len as u32;
        }
        joined
    }

    /// How many messages there are.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What they are charged for together.
    pub fn charge(&self) -> usize {
        self.count() * EVENT_OVERHEAD + self.payload as usize
    }

    /// The first one.
    #[inline]
    pub fn first(&self) -> Option<Place> {
        let (opcode, start, len) = parse_usual(self.frames.as_slice())?;
        Some(Place { message_type: MessageType::of(opcode), start, end: start + len })
    }

    #[inline]
    pub fn payload(&self, place: Place) -> &[u8] {
        self.frames.as_slice().get(place.start..place.end).unwrap_or_default()
    }

    pub fn segment(&self, place: Place) -> Segment {
        if place.start == place.end { Segment::EMPTY } else { self.frames.slice(place.start, place.end) }
    }

    /// Leaves the first one behind.
    #[inline]
    pub fn drop_first(&mut self, place: Place) {
        self.frames.advance(place.end);
        self.count -= 1;
        self.payload -= (place.end - place.start) as u32;
    }

    /// Takes the first one out, with a reference of its own.
    pub fn take_first(&mut self, place: Place) -> EventKind {
        let payload = self.segment(place);
        self.drop_first(place);
        EventKind::message(place.message_type, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{self, Writer};

    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        match payload.len() {
            len @ 0..=125 => bytes.push(len as u8),
            len => {
                bytes.push(126);
                bytes.extend((len as u16).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    /// The frame that was written last, as a session would show it.
    fn shown(writer: &Writer, frame: &[u8]) -> (usize, usize) {
        (writer.filled() - frame.len(), writer.filled())
    }

    #[test]
    fn what_lies_together_is_one_run_and_comes_out_as_it_went_in() {
        let messages: Vec<(u8, Vec<u8>)> = [0, 1, 125, 126, 5000, 0, 3]
            .iter()
            .enumerate()
            .map(|(at, len)| (1 + (at % 2) as u8, vec![b'a' + at as u8; *len]))
            .collect();
        let mut writer = buffer::take(16 << 10).unwrap();
        writer.put(b"before");
        let mut run: Option<Run> = None;
        for (opcode, payload) in &messages {
            let bytes = frame(*opcode, payload);
            writer.put(&bytes);
            let (start, end) = shown(&writer, &bytes);
            let whole = WholeFrame { writer: &writer, start, end, payload_len: payload.len() };
            match &mut run {
                Some(run) => assert!(run.extend(&whole)),
                None => run = Some(Run::of(&whole)),
            }
        }
        let mut run = run.unwrap();
        let total: usize = messages.iter().map(|(_, payload)| payload.len()).sum();
        assert_eq!((run.count(), run.charge()), (messages.len(), messages.len() * EVENT_OVERHEAD + total));
        let mut charged = 0;
        for (at, (opcode, payload)) in messages.iter().enumerate() {
            let place = run.first().unwrap();
            assert_eq!(run.payload(place), payload);
            charged += place.charge();
            if at % 3 == 0 {
                run.drop_first(place);
                continue;
            }
            match run.take_first(place) {
                EventKind::Text(segment) => assert_eq!((1, segment.as_slice()), (*opcode, &payload[..])),
                EventKind::Binary(segment) => assert_eq!((2, segment.as_slice()), (*opcode, &payload[..])),
                _ => panic!("no message"),
            }
        }
        assert!(run.is_empty() && run.first().is_none());
        assert_eq!((run.charge(), charged), (0, messages.len() * EVENT_OVERHEAD + total));
    }

    #[test]
    fn a_gap_or_another_block_ends_a_run() {
        let mut writer = buffer::take(1000).unwrap();
        let mut other = buffer::take(1000).unwrap();
        let bytes = frame(2, b"12345");
        let mut places = Vec::new();
        for gap in ["", "", "?"] {
            writer.put(gap.as_bytes());
            writer.put(&bytes);
            places.push(shown(&writer, &bytes));
            other.put(&bytes);
        }
        let whole = |writer, (start, end)| WholeFrame { writer, start, end, payload_len: 5 };
        let mut run = Run::of(&whole(&writer, places[0]));
        assert!(!run.extend(&whole(&other, places[1])), "another block");
        assert!(!run.extend(&whole(&writer, places[2])), "behind something else");
        assert!(run.extend(&whole(&writer, places[1])));
        assert!(!run.extend(&whole(&writer, places[1])), "again");
        assert_eq!(run.count(), 2);
    }
}
