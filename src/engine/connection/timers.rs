//! The deadlines of a worker's connections.
//!
//! A connection has one entry. It moves later only when that saves a wakeup, so a busy connection, whose
//! deadlines move with every byte, costs nothing here: when the entry is due, the connection computes its next
//! deadline.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Instant;
use crate::engine::shared::key::Key;

/// An entry stays where it is if its deadline moves later by less than this.
const TOLERANCE: Duration = Duration::from_millis(50);

#[derive(Default)]
pub struct Timers {
    entries: BTreeSet<(Instant, Key)>,
}

impl Timers {
    /// Adds an entry besides the one of the connection.
    pub fn add(&mut self, at: Instant, key: Key) {
        self.entries.insert((at, key));
    }

    /// Moves the entry of a connection from `timer` to its next deadline.
    pub fn set(&mut self, timer: &mut Option<Instant>, next: Instant, key: Key) {
        if let Some(at) = *timer {
            if (at..at + TOLERANCE).contains(&next) {
                return;
            }
            self.entries.remove(&(at, key));
        }
        *timer = Some(next);
        self.add(next, key);
    }

    /// Removes the entry of a connection.
    pub fn cancel(&mut self, timer: &mut Option<Instant>, key: Key) {
        if let Some(at) = timer.take() {
            self.entries.remove(&(at, key));
        }
    }

    /// The next connection whose entry is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        match self.entries.first() {
            Some((at, _)) if *at <= now => self.entries.pop_first(),
            _ => None,
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }
}

#[cfg(all(test, not(any(shuttle, framewire_loom))))]
mod tests {
    use super::*;
    use crate::session::keepalive::{Due, Keepalive, PingSettings};

    /// Opens connections at various times, and returns how often their timers wake a worker in the minute after
    /// that, and how many pings each connection sends. Each responds after a different time.
    fn wakeups_in_a_minute(connections: u32, pings: PingSettings) -> (usize, usize) {
        let epoch = Instant::now();
        let (begin, end) = (epoch + Duration::from_secs(30), epoch + Duration::from_secs(90));
        let mut timers = Timers::default();
        let mut all: Vec<(Keepalive, Option<Instant>)> = Vec::new();
        for number in 0..connections {
            let opened = epoch + Duration::from_millis(u64::from(number) * 7919 % 20_000);
            let mut keepalive = Keepalive::new(pings);
            keepalive.align(epoch);
            keepalive.start(opened);
            let mut timer = None;
            // As while connecting: removed when it is open.
            timers.set(&mut timer, opened + Duration::from_secs(20), Key { slot: number, serial: 1 });
            timers.cancel(&mut timer, Key { slot: number, serial: 1 });
            all.push((keepalive, timer));
        }
        for (number, (keepalive, timer)) in all.iter_mut().enumerate() {
            if let Some(next) = keepalive.deadline() {
                timers.set(timer, next, Key { slot: number as u32, serial: 1 });
            }
        }
        let (mut wakeups, mut sent) = (0, 0);
        while let Some(now) = timers.next().filter(|at| *at < end) {
            wakeups += usize::from(now >= begin);
            while let Some((_, key)) = timers.pop_due(now) {
                let (keepalive, timer) = &mut all[key.slot as usize];
                *timer = None;
                if let Due::Ping(_) = keepalive.handle_timeout(now) {
                    sent += usize::from(now >= begin);
                }
                timers.set(timer, keepalive.deadline().unwrap(), key);
                // The pong wakes the worker, but is no timer.
                keepalive.received(now + Duration::from_millis(5 + u64::from(key.slot)));
                timers.set(timer, keepalive.deadline().unwrap(), key);
            }
        }
        (wakeups, sent / connections as usize)
    }

    #[test]
    fn idle_library_wakes_once_per_ping_interval_whatever_the_number_of_sockets() {
        let pings = |enabled, frequency, timeout| PingSettings {
            enabled,
            frequency: Duration::from_millis(frequency),
            timeout: Duration::from_millis(timeout),
        };
        for connections in [1, 2, 50, 500] {
            assert_eq!(wakeups_in_a_minute(connections, pings(false, 1000, 2000)), (0, 0));
            // The default, one whose timeout is shorter than its frequency, and one for a battery.
            assert_eq!(wakeups_in_a_minute(connections, pings(true, 1000, 2000)), (60, 60));
            assert_eq!(wakeups_in_a_minute(connections, pings(true, 10_000, 2000)), (6, 6));
            assert_eq!(wakeups_in_a_minute(connections, pings(true, 30_000, 10_000)), (2, 2));
        }
    }

    #[test]
    fn entry_moves_later_only_if_that_saves_a_wakeup() {
        let (start, key) = (Instant::now(), Key { slot: 0, serial: 1 });
        let after = |ms| start + Duration::from_millis(ms);
        let (mut timers, mut timer) = (Timers::default(), None);
        timers.set(&mut timer, after(100), key);
        timers.set(&mut timer, after(149), key);
        assert_eq!((timers.next(), timer), (Some(after(100)), Some(after(100))));
        timers.set(&mut timer, after(150), key);
        assert_eq!((timers.next(), timer), (Some(after(150)), Some(after(150))));
        timers.set(&mut timer, after(20), key);
        assert_eq!(timers.next(), Some(after(20)));
        assert_eq!(timers.pop_due(after(30)), Some((after(20), key)));
        assert_eq!(timers.next(), None, "one entry for a connection");
    }
}
