//! The deadlines of a worker's connections.
//!
//! A deadline that moves later leaves its entry in place; when the entry is due, the connection computes its
//! next deadline. So a busy connection, whose deadlines move with every byte, costs nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::engine::shared::key::Key;

#[derive(Default)]
pub struct Timers {
    entries: BinaryHeap<Reverse<(Instant, Key)>>,
}

impl Timers {
    pub fn add(&mut self, at: Instant, key: Key) {
        self.entries.push(Reverse((at, key)));
    }

    /// The next connection whose entry is due.
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
