//! Lanes: queues of messages that share one connection by priority and weight.
//!
//! ```text
//!   push ──► lane ──┬── replaced, expired ──► dropped
//!                   └── begins when the connection has room ──► sending
//! ```
//!
//! The lanes hold what has not begun: only that may be dropped or replaced. Among lanes of equal priority, the
//! message with the earliest start in virtual time begins next (start-time fair queueing): virtual time advances with
//! the bytes that the lanes send, divided by their weights, and a lane that was idle starts at the current one.

use std::collections::{HashMap, VecDeque};

use super::MessageType;
use crate::buffer::Segment;
use crate::clock::{Instant, earlier};
use crate::error::{CallError, Code};
use crate::limits::{MAX_LANE_WEIGHT, MAX_LANES, MAX_WAITING_MESSAGES};
use crate::wire::frame::header_len;

/// The settings of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Lanes with a lower number go first: a message begins only when no lane before its own has any.
    pub priority: u32,
    /// The share among lanes of equal priority, 1 to 1000.
    pub weight: u32,
    /// The limit of the lane's waiting payload in bytes; 0 for none but that of the socket.
    pub max_bytes: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self { priority: 0, weight: 1, max_bytes: 0 }
    }
}

/// What became of a message with a tag, numbered as in the C ABI (`FW_OUTCOME_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Outcome {
    /// It was given to the network.
    Sent = 1,
    /// Its time to live ended before it began.
    Expired = 2,
    /// A newer message with the same key took its place.
    Replaced = 3,
    /// The connection ended first.
    Lost = 4,
}

/// Counts of a lane. Times are from the send call until the message begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStats {
    /// Messages that have not begun.
    pub waiting_messages: u64,
    /// Their payload bytes.
    pub waiting_bytes: u64,
    /// How long the oldest of them has waited, in microseconds.
    pub oldest_us: u64,
    /// The longest time that a message has waited, in microseconds.
    pub queue_time_max_us: u64,
    /// The sum of the times that messages have waited, in microseconds.
    pub queue_time_total_us: u64,
    /// Messages that have begun.
    pub begun: u64,
    /// Messages that were given to the network.
    pub sent: u64,
    /// Messages whose time to live ended.
    pub expired: u64,
    /// Messages that were replaced by a newer one.
    pub replaced: u64,
    /// Messages that were accepted, and lost with the connection.
    pub lost: u64,
}

/// A message that has not begun.
pub struct Waiting {
    pub message_type: MessageType,
    pub fragment_size: usize,
    pub uncompressed: bool,
    /// The reserved bits of a message that the program has encoded, else 0.
    pub rsv: u8,
    pub payload: Segment,
    /// 0 for none.
    pub key: u64,
    /// 0 for none.
    pub tag: u64,
    pub expires: Option<Instant>,
    pub queued: Instant,
}

/// A message that has begun, until it is given to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub lane: usize,
    /// 0 for none.
    pub tag: u64,
    /// The time from the send call until it began, in microseconds.
    pub waited_us: u64,
}

/// How a push has changed the number of waiting bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub added: usize,
    pub dropped: usize,
}

pub struct Lanes {
    queues: Vec<Queue>,
    /// The number of the waiting message with a key, by lane.
    keys: HashMap<(usize, u64), u64>,
    /// The number of the next message.
    next_number: u64,
    messages: usize,
    /// No message expires before.
    expiry: Option<Instant>,
    outcomes: Vec<(u64, Outcome)>,
    /// Payload bytes that were dropped and that no caller has counted yet.
    unclaimed: usize,
    /// Follows all waiting messages.
    pub close_frame: Option<Segment>,
}

#[derive(Default)]
struct Queue {
    settings: Lane,
    /// With their numbers, which increase.
    messages: VecDeque<(u64, Waiting)>,
    bytes: usize,
    /// When its next message starts, in virtual time.
    start: u64,
    /// When its last message started, in virtual time.
    served: u64,
    stats: LaneStats,
}

impl Lanes {
    pub fn new(lanes: &[Lane]) -> Result<Self, CallError> {
        let mut new = Self {
            queues: Vec::new(),
            keys: HashMap::new(),
            next_number: 0,
            messages: 0,
            expiry: None,
            outcomes: Vec::new(),
            unclaimed: 0,
            close_frame: None,
        };
        new.set(lanes)?;
        Ok(new)
    }

    /// Changes the lanes. The waiting messages stay where they are. No lanes are the same as one with the defaults.
    pub fn set(&mut self, lanes: &[Lane]) -> Result<(), CallError> {
        let lanes = if lanes.is_empty() { &[Lane::default()] } else { lanes };
        check(lanes)?;
        if let Some(index) = (lanes.len()..self.queues.len()).find(|at| !self.queues[*at].messages.is_empty())
        {
            return Err(CallError::state(format!("lane {index} has waiting messages and cannot be removed")));
        }
        self.queues.resize_with(lanes.len(), Queue::default);
        for (queue, settings) in self.queues.iter_mut().zip(lanes) {
            queue.settings = *settings;
        }
        Ok(())
    }

    // ------------------------------------------------------------------ queueing

    /// Queues a message, or puts it in the place of the waiting message with its key. `room` is what the limit of the
    /// socket leaves; one message may exceed it.
    pub fn push(&mut self, lane: usize, message: Waiting, room: usize) -> Result<Pushed, CallError> {
        let (added, now) = (message.payload.len(), message.queued);
        let mut dropped = 0;
        if lane >= self.queues.len() {
            let count = self.queues.len();
            return Err(CallError::argument(format!("lane {lane} does not exist: the socket has {count}")));
        }
        let replaced = self.find(lane, message.key);
        if replaced.is_none_or(|(_, old)| added > old) && self.is_full(lane, room) {
            // Those that have expired make room, unless the worker has removed them already.
            dropped = self.sweep(now);
            if self.is_full(lane, room.saturating_add(dropped)) {
                self.unclaimed = dropped;
                let message = "the send queue or the lane is at its limit; nothing was queued";
                return Err(CallError::new(Code::WouldBlock, message));
            }
        }
        // The sweep may have dropped it.
        let replaced = self.find(lane, message.key);
        if replaced.is_none() && self.messages >= MAX_WAITING_MESSAGES {
            self.unclaimed = dropped;
            let message =
                format!("{MAX_WAITING_MESSAGES} messages wait, which is the limit; nothing was queued");
            return Err(CallError::new(Code::WouldBlock, message));
        }
        self.expiry = earlier(self.expiry, message.expires);
        match replaced {
            Some((at, old)) => {
                dropped += old;
                self.replace(lane, at, message);
            }
            None => self.append(lane, message),
        }
        self.queues[lane].bytes += added;
        Ok(Pushed { added, dropped })
    }

    /// Returns the index and the size of the waiting message with a key.
    fn find(&self, lane: usize, key: u64) -> Option<(usize, usize)> {
        let number = if key == 0 { None } else { self.keys.get(&(lane, key)) }?;
        let messages = &self.queues[lane].messages;
        let at = messages.binary_search_by_key(number, |(number, _)| *number).ok()?;
        Some((at, messages[at].1.payload.len()))
    }

    fn is_full(&self, lane: usize, room: usize) -> bool {
        let queue = &self.queues[lane];
        room == 0 || (queue.settings.max_bytes > 0 && queue.bytes >= queue.settings.max_bytes)
    }

    fn append(&mut self, lane: usize, message: Waiting) {
        let number = self.next_number;
        self.next_number += 1;
        self.messages += 1;
        if message.key != 0 {
            self.keys.insert((lane, message.key), number);
        }
        if self.queues[lane].messages.is_empty() {
            let now = self.virtual_time(self.queues[lane].settings.priority);
            let queue = &mut self.queues[lane];
            queue.start = queue.start.max(now);
        }
        self.queues[lane].messages.push_back((number, message));
    }

    fn replace(&mut self, lane: usize, at: usize, message: Waiting) {
        let queue = &mut self.queues[lane];
        let old = std::mem::replace(&mut queue.messages[at].1, message);
        queue.bytes -= old.payload.len();
        queue.stats.replaced += 1;
        report(&mut self.outcomes, old.tag, Outcome::Replaced);
    }

    /// The virtual time of the lanes with a priority.
    fn virtual_time(&self, priority: u32) -> u64 {
        let equals = self.queues.iter().filter(|queue| queue.settings.priority == priority);
        equals.map(|queue| queue.served).max().unwrap_or(0)
    }

    // ------------------------------------------------------------------ sending

    /// Takes the message that begins now, with its lane. Adds the payload bytes of those that have expired to
    /// `dropped`.
    pub fn next(&mut self, now: Instant, dropped: &mut usize) -> Option<(usize, Waiting)> {
        loop {
            let waiting = self.queues.iter().enumerate().filter(|(_, queue)| !queue.messages.is_empty());
            let (lane, _) = waiting.min_by_key(|(_, queue)| (queue.settings.priority, queue.start))?;
            let queue = &mut self.queues[lane];
            let (_, message) = queue.messages.pop_front()?;
            queue.bytes -= message.payload.len();
            self.messages -= 1;
            if message.key != 0 {
                self.keys.remove(&(lane, message.key));
            }
            if is_expired(&message, now) {
                *dropped += message.payload.len();
                queue.stats.expired += 1;
                report(&mut self.outcomes, message.tag, Outcome::Expired);
                continue;
            }
            queue.served = queue.start;
            queue.start = queue.start.saturating_add(virtual_length(&message.payload, queue.settings.weight));
            let waited = micros(now, message.queued);
            queue.stats.begun += 1;
            queue.stats.queue_time_max_us = queue.stats.queue_time_max_us.max(waited);
            queue.stats.queue_time_total_us += waited;
            return Some((lane, message));
        }
    }

    /// Drops the messages that have expired. Returns their payload bytes, with those that a refused message has dropped.
    pub fn sweep(&mut self, now: Instant) -> usize {
        let mut dropped = std::mem::take(&mut self.unclaimed);
        if self.expiry.is_none_or(|expiry| now < expiry) {
            return dropped;
        }
        let mut expiry = None::<Instant>;
        for (lane, queue) in self.queues.iter_mut().enumerate() {
            queue.messages.retain(|(_, message)| {
                if is_expired(message, now) {
                    dropped += message.payload.len();
                    queue.bytes -= message.payload.len();
                    queue.stats.expired += 1;
                    self.messages -= 1;
                    if message.key != 0 {
                        self.keys.remove(&(lane, message.key));
                    }
                    report(&mut self.outcomes, message.tag, Outcome::Expired);
                    return false;
                }
                expiry = earlier(expiry, message.expires);
                true
            });
        }
        self.expiry = expiry;
        dropped
    }

    /// When [`sweep`](Self::sweep) is to be called next.
    pub fn expiry(&self) -> Option<Instant> {
        self.expiry
    }

    /// Records that a message was given to the network.
    pub fn sent(&mut self, begun: Begun) {
        self.finished(begun, Outcome::Sent);
    }

    /// Records that the connection ended before a message was given to the network.
    pub fn lost(&mut self, begun: Begun) {
        self.finished(begun, Outcome::Lost);
    }

    fn finished(&mut self, begun: Begun, outcome: Outcome) {
        // A lane may have been removed since.
        if let Some(queue) = self.queues.get_mut(begun.lane) {
            match outcome {
                Outcome::Sent => queue.stats.sent += 1,
                _ => queue.stats.lost += 1,
            }
        }
        report(&mut self.outcomes, begun.tag, outcome);
    }

    /// Drops all waiting messages: they are lost.
    pub fn clear(&mut self) {
        for queue in &mut self.queues {
            for (_, message) in queue.messages.drain(..) {
                queue.stats.lost += 1;
                report(&mut self.outcomes, message.tag, Outcome::Lost);
            }
            (queue.messages, queue.bytes) = (VecDeque::new(), 0);
        }
        self.keys = HashMap::new();
        (self.messages, self.expiry, self.close_frame) = (0, None, None);
    }

    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Moves the outcomes of messages with a tag, in the order in which they occurred.
    pub fn take_outcomes(&mut self, into: &mut Vec<(u64, Outcome)>) {
        into.append(&mut self.outcomes);
    }

    pub fn stats(&self, lane: usize, now: Instant) -> Option<LaneStats> {
        let queue = self.queues.get(lane)?;
        let oldest = queue.messages.iter().map(|(_, message)| message.queued).min();
        Some(LaneStats {
            waiting_messages: queue.messages.len() as u64,
            waiting_bytes: queue.bytes as u64,
            oldest_us: oldest.map_or(0, |queued| micros(now, queued)),
            ..queue.stats
        })
    }
}

/// Fails if the settings are out of range.
pub fn check(lanes: &[Lane]) -> Result<(), CallError> {
    if lanes.len() > MAX_LANES {
        return Err(CallError::argument(format!("the number of lanes must be 0 to {MAX_LANES}")));
    }
    if lanes.iter().any(|lane| !(1..=MAX_LANE_WEIGHT).contains(&lane.weight)) {
        return Err(CallError::argument(format!("the weight of a lane must be 1 to {MAX_LANE_WEIGHT}")));
    }
    Ok(())
}

fn is_expired(message: &Waiting, now: Instant) -> bool {
    message.expires.is_some_and(|expires| expires <= now)
}

fn report(outcomes: &mut Vec<(u64, Outcome)>, tag: u64, outcome: Outcome) {
    if tag != 0 {
        outcomes.push((tag, outcome));
    }
}

/// What a message uses of the connection, in virtual time.
fn virtual_length(payload: &Segment, weight: u32) -> u64 {
    let bytes = payload.len() + header_len(payload.len(), true);
    // One byte of the largest weight is not rounded to nothing.
    bytes as u64 * u64::from(MAX_LANE_WEIGHT) / u64::from(weight.max(1))
}

fn micros(now: Instant, since: Instant) -> u64 {
    now.saturating_duration_since(since).as_micros() as u64
}

#[cfg(test)]
mod tests;
