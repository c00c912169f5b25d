//! Consecutive messages in one block, as they were received.
//!
//! ```text
//!   block:  … [ header | payload ][ header | payload ][ header | payload ] …
//!             ^── frames ──────────────────────────────────────────────^
//! ```
//!
//! A burst of small messages is one entry of an event queue, with one reference to its block, instead of
//! one for each message. The session has validated the frames; here they are only parsed again.

use super::event::EventKind;
use crate::buffer::Segment;
use crate::limits::EVENT_OVERHEAD;
use crate::session::MessageType;
use crate::session::inbound::WholeFrame;
use crate::wire::frame::parse_unfragmented;

/// At least one message.
#[derive(Debug)]
pub struct MessageRun {
    frames: Segment,
    count: u32,
    /// Payload bytes of all messages.
    payload: u32,
}

/// A message of a run, and the range of its payload.
#[derive(Clone, Copy, Debug)]
pub struct MessageRange {
    pub message_type: MessageType,
    pub start: usize,
    pub end: usize,
}

impl MessageRange {
    pub fn charge(&self) -> usize {
        EVENT_OVERHEAD + self.end - self.start
    }
}

/// Takes messages from the front of a run.
#[derive(Debug)]
pub struct TakeMessages {
    run: MessageRun,
    /// The most that may still be taken.
    left: usize,
    /// Bytes of the run that were taken, with the headers.
    advanced: usize,
    /// What was taken: messages, and what they are charged for.
    pub taken: usize,
    pub charge: usize,
}

impl TakeMessages {
    pub fn new(run: MessageRun, at_most: usize) -> Self {
        Self { run, left: at_most, advanced: 0, taken: 0, charge: 0 }
    }

    /// The frames of the messages, before any is taken. The ranges of [`next`](Self::next) refer to it.
    pub fn frames(&self) -> Segment {
        debug_assert!(self.taken == 0);
        self.run.frames.clone()
    }

    /// Takes a message, without a reference to its block.
    #[inline]
    pub fn next(&mut self) -> Option<MessageRange> {
        let range = self.peek()?;
        let (start, end) = (self.advanced + range.start, self.advanced + range.end);
        self.drop_first(range);
        Some(MessageRange { message_type: range.message_type, start, end })
    }

    /// Takes a message, with its own reference to the block.
    pub fn take(&mut self) -> Option<EventKind> {
        let range = self.peek()?;
        let payload = self.run.segment(range);
        self.drop_first(range);
        Some(EventKind::message(range.message_type, payload))
    }

    /// Takes all messages that may be taken, with one reference to the block.
    pub fn take_all(&mut self) -> Messages {
        let count = self.left.min(self.run.count());
        let run = self.run.split_to(count, usize::MAX);
        self.left -= count;
        self.advanced += run.frames.len();
        self.taken += count;
        self.charge += run.charge();
        Messages::from(run)
    }

    /// The messages that were not taken.
    pub fn rest(&mut self) -> MessageRun {
        std::mem::replace(&mut self.run, MessageRun::EMPTY)
    }

    #[inline]
    fn peek(&self) -> Option<MessageRange> {
        if self.left == 0 || self.run.is_empty() { None } else { self.run.first() }
    }

    #[inline]
    fn drop_first(&mut self, range: MessageRange) {
        self.left -= 1;
        self.advanced += range.end;
        self.taken += 1;
        self.charge += range.charge();
        self.run.drop_first(range);
    }
}

/// Consecutive messages that were received into one block, oldest first. They keep the block in use, which is
/// much larger than a small message.
#[derive(Debug)]
pub struct Messages {
    run: MessageRun,
    /// Bytes of the run that were taken, with the headers.
    taken: usize,
}

impl From<MessageRun> for Messages {
    fn from(run: MessageRun) -> Self {
        Self { run, taken: 0 }
    }
}

impl Messages {
    /// Returns the number of messages.
    #[inline]
    pub fn count(&self) -> usize {
        self.run.count()
    }

    /// Returns the payload bytes of all messages.
    #[inline]
    pub fn payload_len(&self) -> usize {
        self.run.payload as usize
    }

    /// Removes the oldest message and returns it.
    #[inline]
    #[allow(clippy::should_implement_trait)] // The payload is borrowed.
    pub fn next(&mut self) -> Option<(MessageType, &[u8])> {
        let bytes = self.run.frames.as_slice().get(self.taken..)?;
        let (opcode, start, len) = parse_unfragmented(bytes)?;
        self.taken += start + len;
        self.run.count -= 1;
        self.run.payload -= len as u32;
        Some((MessageType::of(opcode), bytes.get(start..start + len)?))
    }

    /// Removes the oldest messages: at most `count`, and none after `payload` bytes have been reached.
    pub fn split_to(&mut self, count: usize, payload: usize) -> Messages {
        self.run.frames.advance(std::mem::take(&mut self.taken));
        Messages::from(self.run.split_to(count, payload))
    }
}

impl MessageRun {
    const EMPTY: MessageRun = MessageRun { frames: Segment::EMPTY, count: 0, payload: 0 };

    pub fn of(frame: &WholeFrame<'_>) -> Self {
        let payload = frame.payload_len as u32;
        Self { frames: frame.writer.segment(frame.start, frame.end), count: 1, payload }
    }

    /// Appends a frame that starts where the last one ends. False if it does not.
    #[inline]
    pub fn extend(&mut self, frame: &WholeFrame<'_>) -> bool {
        let joined = self.frames.extend(frame.writer, frame.start, frame.end);
        if joined {
            self.count += 1;
            self.payload += frame.payload_len as u32;
        }
        joined
    }

    /// The number of messages.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What they are charged for together, in bytes.
    pub fn charge(&self) -> usize {
        self.count() * EVENT_OVERHEAD + self.payload as usize
    }

    /// The first message.
    #[inline]
    pub fn first(&self) -> Option<MessageRange> {
        let (opcode, start, len) = parse_unfragmented(self.frames.as_slice())?;
        Some(MessageRange { message_type: MessageType::of(opcode), start, end: start + len })
    }

    #[inline]
    pub fn payload(&self, range: MessageRange) -> &[u8] {
        self.frames.as_slice().get(range.start..range.end).unwrap_or_default()
    }

    pub fn segment(&self, range: MessageRange) -> Segment {
        if range.start == range.end { Segment::EMPTY } else { self.frames.slice(range.start, range.end) }
    }

    /// Removes the first message.
    #[inline]
    pub fn drop_first(&mut self, range: MessageRange) {
        self.frames.advance(range.end);
        self.count -= 1;
        self.payload -= (range.end - range.start) as u32;
    }

    /// Removes the first messages: at most `count`, and none after `payload` bytes have been reached.
    fn split_to(&mut self, count: usize, payload: usize) -> MessageRun {
        if count >= self.count() && payload >= self.payload as usize {
            return std::mem::replace(self, MessageRun::EMPTY);
        }
        let whole = self.frames.clone();
        let (all, all_payload) = (self.count, self.payload);
        while ((all - self.count) as usize) < count
            && ((all_payload - self.payload) as usize) < payload
            && let Some(range) = self.first()
        {
            self.drop_first(range);
        }
        let frames = whole.slice(0, whole.len() - self.frames.len());
        MessageRun { frames, count: all - self.count, payload: all_payload - self.payload }
    }

    /// Removes the first message and returns it, with its own reference to the block.
    pub fn take_first(&mut self, range: MessageRange) -> EventKind {
        let payload = self.segment(range);
        self.drop_first(range);
        EventKind::message(range.message_type, payload)
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

    /// Returns the range of the frame that was written last.
    fn range_of(writer: &Writer, frame: &[u8]) -> (usize, usize) {
        (writer.filled() - frame.len(), writer.filled())
    }

    #[test]
    fn consecutive_messages_are_stored_as_one_run_unchanged() {
        let messages: Vec<(u8, Vec<u8>)> = [0, 1, 125, 126, 5000, 0, 3]
            .iter()
            .enumerate()
            .map(|(at, len)| (1 + (at % 2) as u8, vec![b'a' + at as u8; *len]))
            .collect();
        let mut writer = buffer::take(16 << 10).unwrap();
        writer.put(b"before");
        let mut run: Option<MessageRun> = None;
        for (opcode, payload) in &messages {
            let bytes = frame(*opcode, payload);
            writer.put(&bytes);
            let (start, end) = range_of(&writer, &bytes);
            let whole = WholeFrame { writer: &writer, start, end, payload_len: payload.len() };
            match &mut run {
                Some(run) => assert!(run.extend(&whole)),
                None => run = Some(MessageRun::of(&whole)),
            }
        }
        let mut run = run.unwrap();
        let total: usize = messages.iter().map(|(_, payload)| payload.len()).sum();
        assert_eq!((run.count(), run.charge()), (messages.len(), messages.len() * EVENT_OVERHEAD + total));
        let mut charged = 0;
        for (at, (opcode, payload)) in messages.iter().enumerate() {
            let range = run.first().unwrap();
            assert_eq!(run.payload(range), payload);
            charged += range.charge();
            if at % 3 == 0 {
                run.drop_first(range);
                continue;
            }
            match run.take_first(range) {
                EventKind::Text(segment) => assert_eq!((1, segment.as_slice()), (*opcode, &payload[..])),
                EventKind::Binary(segment) => assert_eq!((2, segment.as_slice()), (*opcode, &payload[..])),
                _ => panic!("no message"),
            }
        }
        assert!(run.is_empty() && run.first().is_none());
        assert_eq!((run.charge(), charged), (0, messages.len() * EVENT_OVERHEAD + total));
    }

    #[test]
    fn taken_messages_refer_to_the_frames_of_the_run() {
        let mut writer = buffer::take(16 << 10).unwrap();
        let payloads: [&[u8]; 5] = [b"one", b"", &[b'x'; 300], b"four", b"five"];
        let mut run: Option<MessageRun> = None;
        for payload in payloads {
            let bytes = frame(2, payload);
            writer.put(&bytes);
            let (start, end) = range_of(&writer, &bytes);
            let whole = WholeFrame { writer: &writer, start, end, payload_len: payload.len() };
            match &mut run {
                Some(run) => assert!(run.extend(&whole)),
                None => run = Some(MessageRun::of(&whole)),
            }
        }
        let mut take = TakeMessages::new(run.unwrap(), 4);
        let frames = take.frames();
        for payload in &payloads[..3] {
            let range = take.next().unwrap();
            assert_eq!(&frames.as_slice()[range.start..range.end], *payload);
        }
        let Some(EventKind::Binary(fourth)) = take.take() else { panic!("no message") };
        assert_eq!(fourth.as_slice(), payloads[3]);
        assert!(take.next().is_none() && take.take().is_none(), "at most four");
        assert_eq!((take.taken, take.charge), (4, 4 * EVENT_OVERHEAD + 307));
        let rest = take.rest();
        assert_eq!((rest.count(), rest.charge()), (1, EVENT_OVERHEAD + 4));
        assert!(take.rest().is_empty());
    }

    #[test]
    fn split_messages_keep_their_order_and_contents() {
        let mut writer = buffer::take(16 << 10).unwrap();
        let payloads: [&[u8]; 6] = [b"one", b"", &[b'x'; 300], b"four", b"five", b""];
        let mut run: Option<MessageRun> = None;
        for (at, payload) in payloads.iter().enumerate() {
            let bytes = frame(1 + (at % 2) as u8, payload);
            writer.put(&bytes);
            let (start, end) = range_of(&writer, &bytes);
            let whole = WholeFrame { writer: &writer, start, end, payload_len: payload.len() };
            match &mut run {
                Some(run) => assert!(run.extend(&whole)),
                None => run = Some(MessageRun::of(&whole)),
            }
        }
        let mut take = TakeMessages::new(run.unwrap(), 5);
        take.next().unwrap();
        let mut messages = take.take_all();
        assert_eq!((take.taken, take.charge), (5, 5 * EVENT_OVERHEAD + 311));
        assert_eq!((take.rest().count(), messages.count(), messages.payload_len()), (1, 4, 308));
        let read = |messages: &mut Messages| {
            let (message_type, payload) = messages.next().unwrap();
            (message_type, payload.to_vec())
        };
        assert_eq!(read(&mut messages), (MessageType::Binary, Vec::new()));
        let mut first = messages.split_to(2, 300);
        assert_eq!((first.count(), first.payload_len()), (1, 300), "300 bytes are reached");
        assert_eq!(read(&mut first), (MessageType::Text, vec![b'x'; 300]));
        assert!(first.next().is_none());
        assert_eq!(messages.split_to(0, 9).count() + messages.split_to(9, 0).count(), 0);
        first = messages.split_to(1, usize::MAX);
        assert_eq!(read(&mut first), (MessageType::Binary, b"four".to_vec()));
        let mut all = messages.split_to(1, 4);
        assert_eq!((read(&mut all), messages.count()), ((MessageType::Text, b"five".to_vec()), 0));
        assert!(messages.next().is_none() && messages.split_to(1, 1).next().is_none());
        drop((first, all, messages, take));
        assert!(writer.reclaim(), "a reference to the block was left");
    }

    #[test]
    fn gap_or_other_block_ends_run() {
        let mut writer = buffer::take(1000).unwrap();
        let mut other = buffer::take(1000).unwrap();
        let bytes = frame(2, b"12345");
        let mut ranges = Vec::new();
        for gap in ["", "", "?"] {
            writer.put(gap.as_bytes());
            writer.put(&bytes);
            ranges.push(range_of(&writer, &bytes));
            other.put(&bytes);
        }
        let whole = |writer, (start, end)| WholeFrame { writer, start, end, payload_len: 5 };
        let mut run = MessageRun::of(&whole(&writer, ranges[0]));
        assert!(!run.extend(&whole(&other, ranges[1])), "another block");
        assert!(!run.extend(&whole(&writer, ranges[2])), "after other bytes");
        assert!(run.extend(&whole(&writer, ranges[1])));
        assert!(!run.extend(&whole(&writer, ranges[1])), "appended twice");
        assert_eq!(run.count(), 2);
    }
}
