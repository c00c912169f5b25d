//! How much one call of `poll` may deliver.

use std::time::Duration;

use crate::clock::Instant;

/// While callbacks take less than this on average, the clock is read once for several of them.
const QUICK_CALLBACK: Duration = Duration::from_micros(2);
const EVENTS_PER_CLOCK_READ: u32 = 8;

/// What one call may deliver. A limit of 0 is no limit.
pub struct Budget {
    events: usize,
    deadline: Option<Instant>,
    last_read: Option<Instant>,
    since_read: u32,
    read_every: u32,
}

impl Budget {
    /// At most `max_events`, and no more than are `waiting` when the call starts: events that arrive
    /// meanwhile must not keep the call running.
    pub fn new(max_events: u32, max_microseconds: u32, waiting: usize) -> Self {
        let started = (max_microseconds > 0).then(Instant::now);
        Self {
            events: if max_events == 0 { waiting } else { waiting.min(max_events as usize) },
            deadline: started.map(|now| now + Duration::from_micros(max_microseconds.into())),
            last_read: started,
            since_read: 0,
            read_every: 1,
        }
    }

    /// Whether the time is over.
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub fn is_spent(&self) -> bool {
        self.events == 0
    }

    /// Counts one event, and reads the clock now and then.
    pub fn spend(&mut self) {
        self.events -= 1;
        let (Some(deadline), Some(last)) = (self.deadline, self.last_read) else { return };
        self.since_read += 1;
        if self.since_read < self.read_every {
            return;
        }
        let now = Instant::now();
        let quick = now - last < QUICK_CALLBACK * self.since_read;
        self.read_every = if quick { EVENTS_PER_CLOCK_READ } else { 1 };
        (self.last_read, self.since_read) = (Some(now), 0);
        if now >= deadline {
            self.events = 0;
        }
    }
}
