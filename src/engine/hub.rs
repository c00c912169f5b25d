//! Who has events, for those who deliver them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::event::Letter;
use super::lock;
use super::socket::Shared;
use crate::fault;
use crate::limits::LONGEST_WAIT;
use crate::logging::LogLevel;
use crate::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, const_fn, statics};

statics! {
    /// Events that wait in the mailboxes of the process, so that an empty poll is one load. Counted
    /// once they can be found, so below zero for the moment in which some are taken before that.
    static PENDING: AtomicIsize = AtomicIsize::new(0);
    /// Finalizers that wait, likewise.
    static FINALIZERS: AtomicUsize = AtomicUsize::new(0);
    /// Threads that sleep until an event waits, whether the library runs or not.
    static SLEEPERS: Sleepers = Sleepers::new();
}

struct Sleepers {
    count: AtomicUsize,
    /// How often the library has stopped, which ends every sleep.
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

pub struct Hub {
    /// Charge at which a socket stops reading.
    pub event_queue_bytes: usize,
    ready: Mutex<VecDeque<Arc<Shared>>>,
    /// How many stand there, for a look without the lock.
    waiting: AtomicUsize,
    /// None once the hub is closed.
    finalizers: Mutex<Option<VecDeque<Arc<Shared>>>>,
    /// Threads inside a delivery; shutdown waits for them.
    delivering: AtomicUsize,
    /// No delivery begins any more.
    stopped: AtomicBool,
}

impl Hub {
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

    /// Publishes a worker's batch of one socket's events.
    pub fn publish(&self, socket: &Arc<Shared>, batch: &mut Vec<Letter>, charge: usize) {
        fault::point("engine.publish");
        let count = socket.mailbox.put(batch, charge);
        if count == 0 {
            return;
        }
        self.make_ready(socket);
        PENDING.fetch_add(count as isize, Ordering::SeqCst);
        if SLEEPERS.count.load(Ordering::SeqCst) > 0 {
            drop(lock(&SLEEPERS.stops));
            SLEEPERS.wake.notify_all();
        }
    }

    /// Puts a socket at the end of the line, unless it stands there already.
    pub fn make_ready(&self, socket: &Arc<Shared>) {
        let mut ready = lock(&self.ready);
        if !socket.in_ready.swap(true, Ordering::Relaxed) {
            ready.push_back(socket.clone());
            self.waiting.store(ready.len(), Ordering::Relaxed);
        }
    }

    /// The socket at the head of the line. Whoever takes it puts it back if it has more.
    pub fn next_ready(&self) -> Option<Arc<Shared>> {
        let mut ready = lock(&self.ready);
        let socket = ready.pop_front()?;
        self.waiting.store(ready.len(), Ordering::Relaxed);
        socket.in_ready.store(false, Ordering::Relaxed);
        Some(socket)
    }

    /// The socket at the head of the line, which goes to its end and stays there: for whoever takes one event
    /// at a time. Whoever finds no more there lets it [leave](Self::leave).
    pub fn rotate(&self) -> Option<Arc<Shared>> {
        let mut ready = lock(&self.ready);
        if ready.len() > 1 {
            ready.rotate_left(1);
        }
        ready.back().cloned()
    }

    /// Takes a socket that has nothing more out of the line.
    pub fn leave(&self, socket: &Arc<Shared>) {
        let mut ready = lock(&self.ready);
        if let Some(place) = ready.iter().rposition(|other| Arc::ptr_eq(other, socket)) {
            ready.remove(place);
            self.waiting.store(ready.len(), Ordering::Relaxed);
        }
        socket.in_ready.store(false, Ordering::Relaxed);
        drop(ready);
        // What came before the mark was taken away, or is left to another thread that takes events, has not
        // put it back into the line.
        if socket.mailbox.charge() > 0 && !socket.is_destroyed() {
            self.make_ready(socket);
        }
    }

    /// How many sockets stand in the line; a moment later it may be another number.
    pub fn ready_len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The library stops: every sleep ends, and no delivery begins any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        *lock(&SLEEPERS.stops) += 1;
        SLEEPERS.wake.notify_all();
    }

    /// Marks this thread as delivering, for shutdown to wait for. None if the library stops.
    pub fn begin_delivery(&self) -> Option<Delivering<'_>> {
        self.delivering.fetch_add(1, Ordering::SeqCst);
        // Counted first and looked second, while shutdown marks first and counts second: one of
        // them sees the other.
        let delivering = Delivering(self);
        (!self.stopped.load(Ordering::SeqCst)).then_some(delivering)
    }

    pub fn is_delivering(&self) -> bool {
        self.delivering.load(Ordering::SeqCst) > 0
    }

    /// Runs the last finalizers and lets go of the sockets, which hold on to the hub in turn. Call
    /// it when the hub is stopped and nobody delivers.
    pub fn close(&self) {
        let finalizers = lock(&self.finalizers).take();
        for socket in finalizers.into_iter().flatten() {
            FINALIZERS.fetch_sub(1, Ordering::SeqCst);
            finalize(&socket);
        }
        let sockets = std::mem::take(&mut *lock(&self.ready));
        for socket in sockets {
            // A delivery that was under way when its socket was destroyed leaves events behind.
            settled(socket.mailbox.shut());
        }
    }

    /// A socket is gone; its finalizer is to run where its callbacks did, or here if nobody will
    /// come by there any more.
    pub fn finalize_later(&self, socket: Arc<Shared>) {
        if let Some(finalizers) = &mut *lock(&self.finalizers) {
            finalizers.push_back(socket);
            FINALIZERS.fetch_add(1, Ordering::SeqCst);
            return;
        }
        finalize(&socket);
    }

    /// Runs what finalizers can run, those of sockets that are not being delivered from: one, and more until
    /// it is late.
    pub fn run_finalizers(&self, is_late: impl Fn() -> bool) {
        // Those that come meanwhile, and those that go back, are for the next call.
        let waiting = FINALIZERS.load(Ordering::Relaxed);
        for _ in 0..waiting {
            let next = lock(&self.finalizers).as_mut().and_then(VecDeque::pop_front);
            let Some(socket) = next else { return };
            FINALIZERS.fetch_sub(1, Ordering::SeqCst);
            if socket.mailbox.is_claimed() {
                self.finalize_later(socket);
            } else {
                finalize(&socket);
            }
            if is_late() {
                return;
            }
        }
    }
}

/// A thread that delivers, until dropped.
pub struct Delivering<'a>(&'a Hub);

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        self.0.delivering.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a socket's finalizer, if it has not run yet, and drops its callbacks. A panic in it ends here,
/// as other sockets' finalizers come behind it.
pub fn finalize(socket: &Shared) {
    let finalizer = lock(&socket.finalizer).take();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _inside = super::callbacks::Inside::enter();
        // What the caller's closures own goes with them.
        socket.change_callbacks(|callbacks| *callbacks = Default::default());
        if let Some(finalizer) = finalizer {
            finalizer();
        }
    }));
    if ended.is_err() {
        socket.log(LogLevel::Error, format_args!("the finalizer panicked"));
    }
}

/// Events that wait.
#[inline]
pub fn pending() -> usize {
    PENDING.load(Ordering::SeqCst).max(0) as usize
}

/// Sleeps until an event waits, at most this long. A library that stops meanwhile ends the sleep, too.
/// `running` is that of the library as the caller has found it.
pub fn wait(running: Option<&Hub>, timeout: Duration) -> bool {
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

/// Whether a poll would find anything to do.
#[inline]
pub fn idle() -> bool {
    PENDING.load(Ordering::Relaxed) <= 0 && FINALIZERS.load(Ordering::Relaxed) == 0
}

/// `count` events were delivered, or dropped with their socket.
#[inline]
pub fn settled(count: usize) {
    PENDING.fetch_sub(count as isize, Ordering::SeqCst);
}
