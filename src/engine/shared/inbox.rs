//! A worker's inbox: sockets with new input, commands for the worker as a whole, and the wake-up.

use std::io;
use std::sync::Arc;

use crate::clock::Instant;
use crate::logging::{self, LogLevel};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};

/// The queue of one worker. `S` is what game threads and worker share of a socket.
pub struct Inbox<S> {
    /// The number of the worker.
    number: usize,
    /// None after the worker has ended.
    pending: Mutex<Option<Pending<S>>>,
    /// The worker waits, or is about to, and must be woken.
    sleeping: AtomicBool,
    waker: Box<Wake>,
}

struct Pending<S> {
    sockets: Vec<Arc<S>>,
    commands: WorkerCommands,
}

/// Commands for the worker as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCommands {
    /// Stop, at the latest at this time.
    pub stop: Option<Instant>,
    pub change: NetworkChange,
    /// How many of the sockets were announced before the last report: those that it is about.
    pub announced_before: usize,
}

impl WorkerCommands {
    /// Splits off the sockets that were announced after the report of a change, if there is one.
    pub fn announced_after<S>(&self, sockets: &mut Vec<Arc<S>>) -> Vec<Arc<S>> {
        match self.change == NetworkChange::default() {
            true => Vec::new(),
            false => sockets.split_off(self.announced_before.min(sockets.len())),
        }
    }
}

/// What the host reports about the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkChange {
    /// The process is about to be suspended, or runs again.
    pub suspended: Option<bool>,
    /// Connections may have died without a sign: probe them.
    pub probe: bool,
}

/// Ends the worker's wait for the network, or the next one if it does not wait now.
pub type Wake = dyn Fn() -> io::Result<()> + Send + Sync;

impl<S> Inbox<S> {
    pub fn new(number: usize, waker: Box<Wake>) -> Self {
        let pending = Pending { sockets: Vec::new(), commands: WorkerCommands::default() };
        Self { number, pending: Mutex::new(Some(pending)), sleeping: AtomicBool::new(false), waker }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// Announces new input in the socket's `to_worker`. False if the worker has ended.
    pub fn put(&self, socket: Arc<S>) -> bool {
        self.update(|pending| pending.sockets.push(socket))
    }

    /// Stops the worker, at the latest at `deadline`.
    pub fn stop(&self, deadline: Instant) {
        self.update(|pending| pending.commands.stop = Some(deadline));
    }

    /// Reports a change to every connection of the worker. Reports that were not read yet are merged.
    pub fn report(&self, change: NetworkChange) {
        self.update(|pending| {
            pending.commands.announced_before = pending.sockets.len();
            let merged = &mut pending.commands.change;
            merged.suspended = change.suspended.or(merged.suspended);
            merged.probe |= change.probe;
        });
    }

    fn update(&self, update: impl FnOnce(&mut Pending<S>)) -> bool {
        match &mut *lock(&self.pending) {
            Some(pending) => update(pending),
            None => return false,
        }
        self.wake();
        true
    }

    fn wake(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst)
            && let Err(error) = (self.waker)()
        {
            logging::write(LogLevel::Error, 0, "", format_args!("a worker could not be woken: {error}"));
        }
    }

    // ---------------------------------------------------------------- the worker's side

    /// Swaps the announced sockets with an empty list, and takes the commands.
    pub fn take(&self, sockets: &mut Vec<Arc<S>>) -> WorkerCommands {
        let mut pending = lock(&self.pending);
        let Some(pending) = &mut *pending else { return WorkerCommands::default() };
        std::mem::swap(&mut pending.sockets, sockets);
        std::mem::take(&mut pending.commands)
    }

    /// Requests a wakeup, before a wait. Returns false if the inbox is not empty.
    pub fn may_sleep(&self) -> bool {
        // Swaps here, in `awake` and in `wake`, so that the three have one order for all threads.
        self.sleeping.swap(true, Ordering::SeqCst);
        self.is_empty()
    }

    /// The worker no longer waits.
    pub fn awake(&self) {
        self.sleeping.swap(false, Ordering::SeqCst);
    }

    pub fn is_empty(&self) -> bool {
        let pending = lock(&self.pending);
        pending
            .as_ref()
            .is_none_or(|pending| pending.sockets.is_empty() && pending.commands == WorkerCommands::default())
    }

    /// Accepts nothing from now on. Returns the sockets whose input the worker has not read.
    pub fn close(&self) -> Vec<Arc<S>> {
        lock(&self.pending).take().map(|pending| pending.sockets).unwrap_or_default()
    }
}
