//! Who has events, for those who deliver them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::EventKind;
use super::lock;
use super::socket::Shared;

/// Events that wait in the mailboxes of the process, so that an empty poll is one load.
static PENDING: AtomicUsize = AtomicUsize::new(0);
/// Finalizers that wait, likewise.
static FINALIZERS: AtomicUsize = AtomicUsize::new(0);

pub struct Hub {
    /// Charge at which a socket stops reading.
    pub event_queue_bytes: usize,
    ready: Mutex<VecDeque<Arc<Shared>>>,
    finalizers: Mutex<Vec<Arc<Shared>>>,
    /// Threads inside a delivery; shutdown waits for them.
    pub delivering: AtomicUsize,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Hub {
    pub fn new(event_queue_bytes: usize) -> Self {
        Self {
            event_queue_bytes,
            ready: Mutex::default(),
            finalizers: Mutex::default(),
            delivering: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Publishes a worker's batch of one socket's events.
    pub fn publish(&self, socket: &Arc<Shared>, batch: &mut Vec<EventKind>, charge: usize) {
        let count_in = |count| {
            PENDING.fetch_add(count, Ordering::SeqCst);
        };
        if socket.mailbox.put(batch, charge, count_in) == 0 {
            return;
        }
        self.make_ready(socket);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.sleep));
            self.wake.notify_all();
        }
    }

    /// Puts a socket at the end of the line, unless it stands there already.
    pub fn make_ready(&self, socket: &Arc<Shared>) {
        if !socket.in_ready.swap(true, Ordering::AcqRel) {
            lock(&self.ready).push_back(socket.clone());
        }
    }

    /// The socket at the head of the line. Whoever takes it puts it back if it has more.
    pub fn next_ready(&self) -> Option<Arc<Shared>> {
        let socket = lock(&self.ready).pop_front()?;
        socket.in_ready.store(false, Ordering::Release);
        Some(socket)
    }

    pub fn ready_len(&self) -> usize {
        lock(&self.ready).len()
    }

    /// Sleeps until an event waits, at most this long.
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = lock(&self.sleep);
        while pending() == 0 {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            guard = self.wake.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        pending() > 0
    }

    /// Ends every sleep: the library stops.
    pub fn wake_all(&self) {
        drop(lock(&self.sleep));
        self.wake.notify_all();
    }

    /// Runs the last finalizers and lets go of the sockets, which hold on to the hub in turn.
    pub fn close(&self) {
        self.run_finalizers();
        let sockets = std::mem::take(&mut *lock(&self.ready));
        drop(sockets);
    }

    /// A socket is gone; its finalizer is to run where its callbacks did.
    pub fn finalize_later(&self, socket: Arc<Shared>) {
        let mut finalizers = lock(&self.finalizers);
        finalizers.push(socket);
        FINALIZERS.fetch_add(1, Ordering::SeqCst);
    }

    /// Runs what finalizers can run: those of sockets that are not being delivered from.
    pub fn run_finalizers(&self) {
        if FINALIZERS.load(Ordering::Relaxed) == 0 {
            return;
        }
        let waiting = std::mem::take(&mut *lock(&self.finalizers));
        for socket in waiting {
            FINALIZERS.fetch_sub(1, Ordering::SeqCst);
            if socket.mailbox.is_claimed() {
                self.finalize_later(socket);
            } else {
                finalize(&socket);
            }
        }
    }
}

/// Runs a socket's finalizer, if it has not run yet, and drops its callbacks.
pub fn finalize(socket: &Shared) {
    let finalizer = lock(&socket.finalizer).take();
    socket.change_callbacks(|callbacks| *callbacks = Default::default());
    if let Some(finalizer) = finalizer {
        let _inside = super::callbacks::Inside::enter();
        finalizer();
    }
}

/// Events that wait.
#[inline]
pub fn pending() -> usize {
    PENDING.load(Ordering::SeqCst)
}

/// Whether a poll would find anything to do.
#[inline]
pub fn idle() -> bool {
    PENDING.load(Ordering::Relaxed) | FINALIZERS.load(Ordering::Relaxed) == 0
}

/// `count` events were delivered, or dropped with their socket.
#[inline]
pub fn settled(count: usize) {
    PENDING.fetch_sub(count, Ordering::SeqCst);
}
