//! A socket's event queue: ordered, bounded, drops nothing.
//!
//! ```text
//!   worker ──a batch per turn──> queued ──swapped at once──> taken ──one by one──> the game
//! ```
//!
//! The worker keeps the bound: when the charge reaches the limit it stops reading from the network until half
//! of the limit is free.

use std::collections::VecDeque;
use std::sync::TryLockError;

use super::event::EventKind;
use super::message_run::MessageRun;
use crate::limits::EVENT_OVERHEAD;
use crate::on_demand::{Empty, OnDemand};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, lock};

/// The capacity that an empty queue keeps; what a burst has needed beyond it is freed.
const KEEP_CAPACITY: usize = 64;
/// A smaller one has held the open event alone and is freed too, as many connections receive nothing else.
const MIN_CAPACITY: usize = 2;

/// An entry of the queue.
pub enum QueuedEvent {
    Event(EventKind),
    /// One event for each message in it.
    Messages(MessageRun),
    /// Marks where the server violated the protocol. Taking it tells the connection that the messages before
    /// it were delivered; the game does not see it.
    Marker {
        connection: u64,
    },
}

impl From<EventKind> for QueuedEvent {
    fn from(event: EventKind) -> Self {
        QueuedEvent::Event(event)
    }
}

impl QueuedEvent {
    pub fn charge(&self) -> usize {
        match self {
            QueuedEvent::Event(event) => event.charge(),
            QueuedEvent::Messages(run) => run.charge(),
            QueuedEvent::Marker { .. } => EVENT_OVERHEAD,
        }
    }

    /// The number of events that it represents.
    pub fn count(&self) -> usize {
        match self {
            QueuedEvent::Event(_) | QueuedEvent::Marker { .. } => 1,
            QueuedEvent::Messages(run) => run.count(),
        }
    }
}

// The queue's memory is bounded by what its entries are charged for.
const _: () = assert!(size_of::<QueuedEvent>() <= EVENT_OVERHEAD);

type Events = OnDemand<VecDeque<QueuedEvent>>;

impl Empty for VecDeque<QueuedEvent> {
    const EMPTY: &'static Self = &VecDeque::new();
}

#[derive(Default)]
pub struct EventQueue {
    queued: Mutex<Events>,
    /// The entries that the reader works on. Whoever holds this lock is the reader; no thread waits for it,
    /// so callbacks may run with it held.
    taken: Mutex<Events>,
    has_reader: AtomicBool,
    /// The socket is destroyed: nothing is accepted. Changed with `queued` locked.
    closed: AtomicBool,
    charge: AtomicUsize,
}

impl EventQueue {
    /// Appends a batch, in order. Returns the number of events.
    pub fn put(&self, batch: &mut Vec<QueuedEvent>, charge: usize) -> usize {
        let mut queued = lock(&self.queued);
        if self.closed.load(Ordering::Relaxed) {
            drop(queued);
            batch.clear();
            return 0;
        }
        let count = batch.iter().map(QueuedEvent::count).sum();
        self.charge.fetch_add(charge, Ordering::Relaxed);
        if queued.capacity() == 0 && matches!(batch[..], [QueuedEvent::Event(EventKind::Open)]) {
            queued.reserve_exact(1);
        }
        queued.extend(batch.drain(..));
        count
    }

    /// Charges the queue for an event that will follow.
    pub fn reserve(&self, charge: usize) {
        self.charge.fetch_add(charge, Ordering::Relaxed);
    }

    /// What the waiting events are charged for, in bytes.
    pub fn charge(&self) -> usize {
        self.charge.load(Ordering::SeqCst)
    }

    /// The queue's reader. None if another thread has it: events are delivered one at a time.
    pub fn reader(&self) -> Option<QueueReader<'_>> {
        let events = match self.taken.try_lock() {
            Ok(events) => events,
            // The queue is consistent between any two calls, so also after a panic.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.has_reader.store(true, Ordering::Relaxed);
        Some(QueueReader { queue: self, events, taken_charge: 0, taken_count: 0 })
    }

    pub fn has_reader(&self) -> bool {
        self.has_reader.load(Ordering::Acquire)
    }

    /// Rejects further events and drops the queued ones, except those that a reader has taken.
    /// Returns the number of dropped events.
    pub fn close(&self) -> usize {
        match self.reader() {
            Some(mut reader) => reader.discard(),
            None => self.drop_queued(),
        }
    }

    fn drop_queued(&self) -> usize {
        let mut queued = lock(&self.queued);
        self.closed.store(true, Ordering::Relaxed);
        let events = std::mem::take(&mut *queued);
        drop(queued);
        count(&events)
    }
}

/// Takes events from the queue, until dropped.
pub struct QueueReader<'a> {
    queue: &'a EventQueue,
    events: MutexGuard<'a, Events>,
    /// Of events that were taken and still count as waiting; see [`QueueReader::settle`].
    taken_charge: usize,
    taken_count: usize,
}

impl Iterator for QueueReader<'_> {
    type Item = QueuedEvent;

    /// The oldest entry. It counts as waiting until [`settle`](Self::settle) is called. Of a run no message
    /// counts as taken: the caller [counts](Self::count_taken) each one, and [puts back](Self::put_back) the
    /// rest.
    #[inline]
    fn next(&mut self) -> Option<QueuedEvent> {
        self.fill();
        let entry = self.events.allocated()?.pop_front()?;
        if !matches!(entry, QueuedEvent::Messages(_)) {
            self.count_taken(entry.charge());
        }
        Some(entry)
    }
}

impl QueueReader<'_> {
    #[inline]
    fn fill(&mut self) {
        if self.events.is_empty() {
            let mut queued = lock(&self.queue.queued);
            // An empty queue stays with the reader, which frees it if it is not worth keeping.
            if !queued.is_empty() {
                if self.events.capacity() > KEEP_CAPACITY {
                    self.events.clear();
                }
                std::mem::swap(&mut *self.events, &mut *queued);
            }
        }
    }

    /// Takes the oldest event if it is a message of a run, which stays in its place.
    #[inline]
    pub fn take_message(&mut self) -> Option<EventKind> {
        self.fill();
        let events = self.events.allocated()?;
        let Some(QueuedEvent::Messages(run)) = events.front_mut() else { return None };
        let range = run.first()?;
        let message = run.take_first(range);
        if run.is_empty() {
            events.pop_front();
        }
        self.count_taken(range.charge());
        Some(message)
    }

    pub fn put_back(&mut self, run: MessageRun) {
        if !run.is_empty() {
            self.events.push_front(QueuedEvent::Messages(run));
        }
    }

    /// Counts an event as taken; `charge` is what it was charged for.
    #[inline]
    pub fn count_taken(&mut self, charge: usize) {
        self.count_several_taken(1, charge);
    }

    /// Counts events as taken; `charge` is what they were charged for together.
    #[inline]
    pub fn count_several_taken(&mut self, count: usize, charge: usize) {
        self.taken_charge += charge;
        self.taken_count += count;
    }

    /// What the events taken since the last [`settle`](Self::settle) are charged for, in bytes.
    #[inline]
    pub fn unsettled(&self) -> usize {
        self.taken_charge
    }

    /// Subtracts the taken events from the queue's charge, and returns their number. For several events at
    /// once, as it changes a counter that two threads share.
    #[inline]
    pub fn settle(&mut self) -> usize {
        if self.taken_count == 0 {
            return 0;
        }
        // SeqCst: see `Shared::pause`.
        self.queue.charge.fetch_sub(std::mem::take(&mut self.taken_charge), Ordering::SeqCst);
        std::mem::take(&mut self.taken_count)
    }

    pub fn has_more(&self) -> bool {
        !self.events.is_empty() || !lock(&self.queue.queued).is_empty()
    }

    /// Drops the waiting events and closes the queue: the socket was destroyed. Returns their number.
    pub fn discard(&mut self) -> usize {
        self.queue.drop_queued() + count(&std::mem::take(&mut *self.events))
    }
}

/// Returns the number of events that these entries represent.
fn count(entries: &VecDeque<QueuedEvent>) -> usize {
    entries.iter().map(QueuedEvent::count).sum()
}

impl Drop for QueueReader<'_> {
    fn drop(&mut self) {
        if self.events.is_empty() && !(MIN_CAPACITY..=KEEP_CAPACITY).contains(&self.events.capacity()) {
            self.events.clear();
        }
        self.queue.has_reader.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(queue: &EventQueue, count: usize) {
        let event = || EventKind::Closed { code: 1000, reason: Box::default() }.into();
        queue.put(&mut (0..count).map(|_| event()).collect(), count * EVENT_OVERHEAD);
    }

    fn take(queue: &EventQueue, count: usize) {
        let mut reader = queue.reader().unwrap();
        assert_eq!(reader.by_ref().take(count).count(), count);
        reader.settle();
    }

    fn capacities(queue: &EventQueue) -> (usize, usize) {
        (queue.queued.lock().unwrap().capacity(), queue.taken.lock().unwrap().capacity())
    }

    #[test]
    fn memory_of_a_burst_is_freed_when_it_was_taken() {
        let queue = EventQueue::default();
        put(&queue, 100 * KEEP_CAPACITY);
        take(&queue, 100 * KEEP_CAPACITY - 1);
        assert!(capacities(&queue).1 > KEEP_CAPACITY);
        take(&queue, 1);
        assert_eq!(capacities(&queue), (0, 0));
    }

    /// The reader has taken the last event of the burst, but has not been dropped since.
    #[test]
    fn memory_of_a_burst_is_freed_while_the_next_events_are_taken() {
        let queue = EventQueue::default();
        put(&queue, 100 * KEEP_CAPACITY);
        let mut reader = queue.reader().unwrap();
        assert_eq!(reader.by_ref().take(100 * KEEP_CAPACITY).count(), 100 * KEEP_CAPACITY);
        put(&queue, 1);
        assert!(reader.next().is_some());
        drop(reader);
        let (queued, taken) = capacities(&queue);
        assert!(queued <= KEEP_CAPACITY && taken <= KEEP_CAPACITY, "{queued}, {taken}");
    }

    #[test]
    fn memory_of_a_few_events_is_kept() {
        let queue = EventQueue::default();
        for _ in 0..2 {
            put(&queue, KEEP_CAPACITY / 2);
            take(&queue, KEEP_CAPACITY / 2);
        }
        let kept = capacities(&queue);
        assert!(
            [kept.0, kept.1].iter().all(|kept| (MIN_CAPACITY..=KEEP_CAPACITY).contains(kept)),
            "{kept:?}"
        );
        put(&queue, KEEP_CAPACITY / 2);
        take(&queue, KEEP_CAPACITY / 2);
        assert_eq!(capacities(&queue), (kept.1, kept.0));
    }

    #[test]
    fn open_event_alone_leaves_no_memory() {
        let queue = EventQueue::default();
        queue.put(&mut vec![EventKind::Open.into()], EVENT_OVERHEAD);
        assert_eq!(capacities(&queue), (1, 0));
        take(&queue, 1);
        assert_eq!(capacities(&queue), (0, 0));
    }

    #[test]
    fn closing_frees_the_memory() {
        let queue = EventQueue::default();
        put(&queue, 10 * KEEP_CAPACITY);
        take(&queue, 1);
        put(&queue, 1);
        assert_eq!(queue.close(), 10 * KEEP_CAPACITY);
        assert_eq!(capacities(&queue), (0, 0));
    }
}
