//! The payload bytes in a socket's send queue.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Two totals, each with one writer at a time, so that a send needs no atomic read-modify-write operation.
/// Both wrap around.
#[derive(Default)]
pub struct BufferedAmount {
    queued: AtomicUsize,
    removed: AtomicUsize,
}

impl BufferedAmount {
    /// Returns the number of bytes in the queue. While other threads send, messages that are queued during this
    /// call may or may not count.
    pub fn get(&self) -> usize {
        // In this order, so that `removed` counts nothing that `queued` does not count.
        let removed = self.removed.load(Ordering::Acquire);
        self.queued.load(Ordering::Relaxed).wrapping_sub(removed)
    }

    /// Counts a queued message. The caller holds the lock of the queue.
    #[inline]
    pub fn add(&self, bytes: usize) {
        let queued = self.queued.load(Ordering::Relaxed);
        self.queued.store(queued.wrapping_add(bytes), Ordering::Relaxed);
    }

    /// Counts a message that was dropped. The caller holds the lock of the queue.
    pub fn take_back(&self, bytes: usize) {
        let queued = self.queued.load(Ordering::Relaxed);
        self.queued.store(queued.wrapping_sub(bytes), Ordering::Relaxed);
    }

    /// Counts bytes that were written to the network. Called by the worker alone.
    pub fn remove(&self, bytes: usize) {
        let removed = self.removed.load(Ordering::Relaxed);
        self.removed.store(removed.wrapping_add(bytes), Ordering::Release);
    }

    /// Counts everything as removed. Called by the worker alone, with the lock of the queue held.
    pub fn clear(&self) {
        self.removed.store(self.queued.load(Ordering::Relaxed), Ordering::Release);
    }
}

#[cfg(all(test, not(any(shuttle, framewire_loom))))]
mod tests {
    use super::*;

    #[test]
    fn amount_is_correct_after_both_totals_wrap_around() {
        let start = usize::MAX - 5;
        let amount = BufferedAmount { queued: AtomicUsize::new(start), removed: AtomicUsize::new(start) };
        amount.add(10);
        assert_eq!(amount.get(), 10);
        amount.remove(4);
        assert_eq!(amount.get(), 6);
        amount.add(3);
        amount.clear();
        assert_eq!(amount.get(), 0);
    }

    #[test]
    fn concurrent_reader_never_sees_a_negative_amount() {
        const ROUNDS: usize = 20_000;
        let amount = BufferedAmount::default();
        std::thread::scope(|scope| {
            let (queue, queued) = std::sync::mpsc::sync_channel(4);
            let amount = &amount;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    amount.add(3);
                    queue.send(3).unwrap();
                }
            });
            let writer = scope.spawn(move || queued.iter().for_each(|bytes| amount.remove(bytes)));
            while !writer.is_finished() {
                assert!(amount.get() <= 3 * ROUNDS);
            }
        });
        assert_eq!(amount.get(), 0);
    }
}
