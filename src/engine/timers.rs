//! Deadlines of one worker's attempts.
//!
//! A deadline that moves later leaves its entry where it is; when that comes up the attempt is
//! asked again. So a busy connection, whose deadlines move with every byte, costs nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::worker::Key;

#[derive(Default)]
pub struct Timers {
    entries: BinaryHeap<Reverse<(Instant, Key)>>,
}

impl Timers {
    pub fn add(&mut self, at: Instant, key: Key) {
        self.entries.push(Reverse((at, key)));
    }

    /// The next attempt whose entry has come up.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        match self.entries.peek() {
            Some(Reverse((at, _))) if *at <= now => self.entries.pop().map(|Reverse(entry)| entry),
            _ => None,
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }
}
