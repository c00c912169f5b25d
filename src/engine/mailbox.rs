//! One socket's events on their way to the game: in order, bounded, never dropped.
//!
//! ```text
//!   worker ──a batch per turn──> arrived ──all at once──> taken ──one by one──> the game
//! ```
//!
//! The bound is kept by the worker: when the charge reaches the limit it stops reading from the
//! network until half is gone.

use std::collections::VecDeque;
use std::sync::TryLockError;

use super::event::Letter;
use super::lock;
use super::run::Run;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Queues that a burst has grown beyond this are given back once they run empty.
const KEEP_CAPACITY: usize = 64;

#[derive(Default)]
pub struct Mailbox {
    arrived: Mutex<Arrived>,
    /// What the one who delivers works on. To hold this lock is the right to deliver; nobody ever waits for
    /// it, so callbacks may run meanwhile.
    taken: Mutex<VecDeque<Letter>>,
    /// Somebody holds it.
    delivering: AtomicBool,
    charge: AtomicUsize,
}

#[derive(Default)]
struct Arrived {
    events: VecDeque<Letter>,
    /// The socket is destroyed: nothing is taken in any more.
    shut: bool,
}

impl Mailbox {
    /// Takes in a batch, in order. Returns how many events that were.
    pub fn put(&self, batch: &mut Vec<Letter>, charge: usize) -> usize {
        let mut arrived = lock(&self.arrived);
        if arrived.shut {
            drop(arrived);
            batch.clear();
            return 0;
        }
        let count = batch.iter().map(Letter::count).sum();
        self.charge.fetch_add(charge, Ordering::Relaxed);
        arrived.events.extend(batch.drain(..));
        count
    }

    /// What the events that wait are charged for, in bytes.
    pub fn charge(&self) -> usize {
        self.charge.load(Ordering::SeqCst)
    }

    /// The right to deliver: one thread at a time has it, so that events come one at a time.
    pub fn claim(&self) -> Option<Delivery<'_>> {
        let events = match self.taken.try_lock() {
            Ok(events) => events,
            // A panic has left the queue whole, as between any two of its calls it is.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.delivering.store(true, Ordering::Relaxed);
        Some(Delivery { mailbox: self, events, owed_charge: 0, owed_count: 0 })
    }

    pub fn is_claimed(&self) -> bool {
        self.delivering.load(Ordering::Acquire)
    }

    /// Refuses everything from now on and drops what waits; what is being delivered is the
    /// deliverer's. Returns how many events were dropped.
    pub fn shut(&self) -> usize {
        match self.claim() {
            Some(mut delivery) => delivery.discard(),
            None => self.refuse(),
        }
    }

    /// Takes nothing in any more, and drops what has come in and nobody has looked at.
    fn refuse(&self) -> usize {
        let mut arrived = lock(&self.arrived);
        arrived.shut = true;
        let events = std::mem::take(&mut arrived.events);
        drop(arrived);
        count(&events)
    }
}

/// The right to take events, until dropped.
pub struct Delivery<'a> {
    mailbox: &'a Mailbox,
    events: MutexGuard<'a, VecDeque<Letter>>,
    /// Of events that were taken and are still counted as waiting; see [`Delivery::settle`].
    owed_charge: usize,
    owed_count: usize,
}

impl Iterator for Delivery<'_> {
    type Item = Letter;

    /// The oldest letter. It is counted as waiting until [`settle`](Self::settle) is called. Of a run nothing
    /// counts as taken yet: each of its messages is [owed](Self::owe) by whoever takes it, and what is left
    /// must be [put back](Self::put_back).
    #[inline]
    fn next(&mut self) -> Option<Letter> {
        if self.events.is_empty() {
            let mut arrived = lock(&self.mailbox.arrived);
            std::mem::swap(&mut *self.events, &mut arrived.events);
        }
        let letter = self.events.pop_front()?;
        if !matches!(letter, Letter::Run(_)) {
            self.owe(letter.charge());
        }
        Some(letter)
    }
}

impl Delivery<'_> {
    pub fn put_back(&mut self, run: Run) {
        if !run.is_empty() {
            self.events.push_front(Letter::Run(run));
        }
    }

    /// An event was taken that is charged for that much.
    #[inline]
    pub fn owe(&mut self, charge: usize) {
        self.owed_charge += charge;
        self.owed_count += 1;
    }

    /// What the events taken since the last time are charged for, in bytes.
    #[inline]
    pub fn owes(&self) -> usize {
        self.owed_charge
    }

    /// The events taken so far do not wait any more. Returns how many they were. For several at
    /// once, as each time costs the price of a counter that two threads change.
    #[inline]
    pub fn settle(&mut self) -> usize {
        if self.owed_count == 0 {
            return 0;
        }
        // SeqCst: see `Shared::pause`.
        self.mailbox.charge.fetch_sub(std::mem::take(&mut self.owed_charge), Ordering::SeqCst);
        std::mem::take(&mut self.owed_count)
    }

    pub fn has_more(&self) -> bool {
        !self.events.is_empty() || !lock(&self.mailbox.arrived).events.is_empty()
    }

    /// Drops what is left, and refuses what comes: the socket was destroyed meanwhile. Returns how
    /// many events that were.
    pub fn discard(&mut self) -> usize {
        self.mailbox.refuse() + count(&std::mem::take(&mut *self.events))
    }
}

/// How many events these letters stand for.
fn count(letters: &VecDeque<Letter>) -> usize {
    letters.iter().map(Letter::count).sum()
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        if self.events.is_empty() && self.events.capacity() > KEEP_CAPACITY {
            *self.events = VecDeque::new();
        }
        self.mailbox.delivering.store(false, Ordering::Release);
    }
}
