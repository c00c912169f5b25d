//! The sockets that have events, and the threads that wait for some.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::clock::Instant;
use crate::limits::LONGEST_WAIT;
use crate::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, const_fn, lock, statics};

statics! {
    /// Events in all queues of the process, so that polling without events is one load. Incremented after
    /// they can be taken, so below zero for the moment in which some are taken before that.
    static PENDING: AtomicIsize = AtomicIsize::new(0);
    /// Finalizers that wait to run, likewise.
    static FINALIZERS: AtomicUsize = AtomicUsize::new(0);
    /// Threads that wait for an event, whether the library runs or not.
    static SLEEPERS: Sleepers = Sleepers::new();
}

struct Sleepers {
    count: AtomicUsize,
    /// How often the library has stopped, which ends every wait.
    stops: Mutex<u32>,
    wake: Condvar,
}

impl Sleepers {
    const_fn! {
        fn new() -> Self {
            Self { count: AtomicUsize::new(0), stops: Mutex::new(0), wake: Condvar::new() }
        }
    }
}

/// A socket that can be in the list.
pub trait Ready {
    /// Whether it is; changes with the list locked.
    fn in_ready_list(&self) -> &AtomicBool;
}

/// The sockets with events, and those whose finalizers wait to run. `S` is what game threads and worker
/// share of a socket.
pub struct ReadyList<S> {
    /// A socket stops reading when its queued events are charged for this many bytes.
    pub event_queue_bytes: usize,
    ready: Mutex<VecDeque<Arc<S>>>,
    /// The number of sockets in `ready`, to be read without the lock.
    waiting: AtomicUsize,
    /// None after the list is closed.
    finalizers: Mutex<Option<VecDeque<Arc<S>>>>,
    /// Threads that deliver events; shutdown waits for them.
    delivering: AtomicUsize,
    /// No further delivery starts.
    stopped: AtomicBool,
}

impl<S: Ready> ReadyList<S> {
    pub fn new(event_queue_bytes: usize) -> Self {
        Self {
            event_queue_bytes,
            ready: Mutex::default(),
            waiting: AtomicUsize::new(0),
            finalizers: Mutex::new(Some(VecDeque::new())),
            delivering: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Appends a socket, unless it is in the list.
    pub fn make_ready(&self, socket: &Arc<S>) {
        let mut ready = lock(&self.ready);
        if !socket.in_ready_list().swap(true, Ordering::Relaxed) {
            ready.push_back(socket.clone());
            self.waiting.store(ready.len(), Ordering::Relaxed);
        }
    }

    /// Removes the first socket. The caller appends it again if it has more events.
    pub fn next_ready(&self) -> Option<Arc<S>> {
        let mut ready = lock(&self.ready);
        let socket = ready.pop_front()?;
        self.waiting.store(ready.len(), Ordering::Relaxed);
        socket.in_ready_list().store(false, Ordering::Relaxed);
        Some(socket)
    }

    /// Moves the first socket to the end of the list and returns it: for taking one event at a time. A
    /// caller that leaves it without events [removes](Self::remove) it.
    pub fn rotate(&self) -> Option<Arc<S>> {
        let mut ready = lock(&self.ready);
        if ready.len() > 1 {
            ready.rotate_left(1);
        }
        ready.back().cloned()
    }

    /// Removes a socket. Events that were queued before this have not made it ready again, so the caller
    /// then checks for some.
    pub fn remove(&self, socket: &Arc<S>) {
        let mut ready = lock(&self.ready);
        if let Some(at) = ready.iter().rposition(|other| Arc::ptr_eq(other, socket)) {
            ready.remove(at);
            self.waiting.store(ready.len(), Ordering::Relaxed);
        }
        socket.in_ready_list().store(false, Ordering::Relaxed);
    }

    /// The number of sockets in the list. It may have changed when this returns.
    pub fn ready_len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Ends every wait and prevents further deliveries: the library stops.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        *lock(&SLEEPERS.stops) += 1;
        SLEEPERS.wake.notify_all();
    }

    /// Counts this thread as delivering, so that shutdown waits for it. None if the library stops.
    pub fn begin_delivery(&self) -> Option<Delivering<'_, S>> {
        self.delivering.fetch_add(1, Ordering::SeqCst);
        // Counts before it reads `stopped`, while shutdown sets `stopped` before it reads the count: at least
        // one side reads the other's write.
        let delivering = Delivering(self);
        (!self.stopped.load(Ordering::SeqCst)).then_some(delivering)
    }

    pub fn is_delivering(&self) -> bool {
        self.delivering.load(Ordering::SeqCst) > 0
    }

    /// Empties the list, as the sockets in it hold references to it. For a list that is stopped and that no
    /// thread delivers from.
    pub fn take_all(&self) -> VecDeque<Arc<S>> {
        std::mem::take(&mut *lock(&self.ready))
    }

    // ---------------------------------------------------------------- finalizers

    /// Queues the socket's finalizer. Returns the socket if the list is closed.
    pub fn queue_finalizer(&self, socket: Arc<S>) -> Result<(), Arc<S>> {
        match &mut *lock(&self.finalizers) {
            Some(finalizers) => {
                finalizers.push_back(socket);
                FINALIZERS.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            None => Err(socket),
        }
    }

    /// Returns the next socket whose finalizer is queued.
    pub fn next_finalizer(&self) -> Option<Arc<S>> {
        let socket = lock(&self.finalizers).as_mut().and_then(VecDeque::pop_front)?;
        FINALIZERS.fetch_sub(1, Ordering::SeqCst);
        Some(socket)
    }

    /// Rejects further finalizers and returns the queued ones.
    pub fn close_finalizers(&self) -> VecDeque<Arc<S>> {
        let finalizers = lock(&self.finalizers).take().unwrap_or_default();
        FINALIZERS.fetch_sub(finalizers.len(), Ordering::SeqCst);
        finalizers
    }
}

/// A thread that delivers events, until dropped.
pub struct Delivering<'a, S>(&'a ReadyList<S>);

impl<S> Drop for Delivering<'_, S> {
    fn drop(&mut self) {
        self.0.delivering.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The number of events that wait to be delivered.
#[inline]
pub fn pending() -> usize {
    PENDING.load(Ordering::SeqCst).max(0) as usize
}

/// The number of finalizers that wait to run.
pub fn pending_finalizers() -> usize {
    FINALIZERS.load(Ordering::Relaxed)
}

/// `count` events can be taken. The caller then [wakes](wake_sleepers) the threads that wait for some.
pub fn announce(count: usize) {
    PENDING.fetch_add(count as isize, Ordering::SeqCst);
}

/// Wakes the threads that wait for an event.
pub fn wake_sleepers() {
    if SLEEPERS.count.load(Ordering::SeqCst) > 0 {
        drop(lock(&SLEEPERS.stops));
        SLEEPERS.wake.notify_all();
    }
}

/// `count` events were delivered, or dropped with their socket.
#[inline]
pub fn settled(count: usize) {
    PENDING.fetch_sub(count as isize, Ordering::SeqCst);
}

/// Whether a poll would find nothing to do.
#[inline]
pub fn idle() -> bool {
    PENDING.load(Ordering::Relaxed) <= 0 && FINALIZERS.load(Ordering::Relaxed) == 0
}

/// Waits for an event, at most this long; a library that stops ends the wait too. Returns whether there is
/// an event. `running` is the list of the library when the caller looked.
pub fn wait<S>(running: Option<&ReadyList<S>>, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout.min(LONGEST_WAIT);
    SLEEPERS.count.fetch_add(1, Ordering::SeqCst);
    let mut stops = lock(&SLEEPERS.stops);
    let stops_before = *stops;
    let has_stopped = |stops| {
        stops != stops_before || running.is_some_and(|running| running.stopped.load(Ordering::SeqCst))
    };
    while pending() == 0 && !has_stopped(*stops) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stops = SLEEPERS.wake.wait_timeout(stops, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(stops);
    SLEEPERS.count.fetch_sub(1, Ordering::SeqCst);
    pending() > 0
}
