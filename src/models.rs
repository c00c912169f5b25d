//! Concurrency models: test the data exchange between threads under many interleavings.
//!
//! ```text
//!   RUSTFLAGS="--cfg shuttle" cargo test --lib models           many random interleavings
//!   RUSTFLAGS="--cfg framewire_loom" cargo test --lib models    all interleavings with few preemptions
//! ```
//!
//! Both run the library's code with a scheduler that chooses the next thread at every lock and atomic operation. A
//! thread that is never woken is detected as a deadlock.

mod blocks;
#[cfg_attr(shuttle, path = "models/shuttle.rs")]
#[cfg_attr(framewire_loom, path = "models/loom.rs")]
mod checker;
mod event_queue;
mod handles;
mod inbox;
mod leases;
mod queues;

// These rely on the single total order of `SeqCst` operations, which loom does not model: it treats them as `AcqRel`
// and reports false errors.
#[cfg(shuttle)]
mod delivery;
#[cfg(shuttle)]
mod ending;

use std::sync::Arc;
use std::time::Duration;

use checker::{check, thread};

use crate::engine::shared::event::EventKind;
use crate::engine::shared::event_queue::QueuedEvent;
use crate::engine::shared::inbox::WorkerCommands;
use crate::engine::shared::queues::Queue;
use crate::engine::shared::ready_list;
use crate::engine::shared::settings::Settings;
use crate::engine::shared::socket::{Inbox, ReadyList, Shared};

use crate::limits::EVENT_OVERHEAD;
use crate::sync::{Condvar, Mutex};
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// Longer than any model: shuttle reports a wait that only its timeout would end as a deadlock.
const FOREVER: Duration = Duration::from_secs(1 << 20);

/// Replaces the poll of a worker: a signal that stays set until it is consumed.
#[derive(Default)]
struct Signal {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn set(&self) {
        *self.is_set.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut is_set = self.is_set.lock().unwrap();
        while !*is_set {
            is_set = self.changed.wait(is_set).unwrap();
        }
        *is_set = false;
    }
}

/// A ready list, and the inbox of a worker that the test plays.
struct Harness {
    ready_list: Arc<ReadyList>,
    inbox: Arc<Inbox>,
    signal: Arc<Signal>,
}

impl Harness {
    fn new(events_before_pause: usize) -> Self {
        let signal = Arc::new(Signal::default());
        let waking = signal.clone();
        let waker = move || {
            waking.set();
            Ok(())
        };
        Self {
            ready_list: Arc::new(ReadyList::new(events_before_pause * EVENT_OVERHEAD)),
            inbox: Arc::new(Inbox::new(0, Box::new(waker))),
            signal,
        }
    }

    fn socket(&self, id: u64) -> Arc<Shared> {
        let (ready_list, inbox) = (self.ready_list.clone(), self.inbox.clone());
        Arc::new(Shared::new(id, ready_list, inbox, settings(), Queue::own()))
    }

    /// Does what the worker does between two turns: takes the inbox, and waits if it is empty.
    fn take_inbox(&self) -> (Vec<Arc<Shared>>, WorkerCommands) {
        let mut sockets = Vec::new();
        let commands = self.inbox.take(&mut sockets);
        if sockets.is_empty() && commands == WorkerCommands::default() {
            if self.inbox.may_sleep() {
                self.signal.wait();
            }
            self.inbox.awake();
        }
        (sockets, commands)
    }
}

fn settings() -> Settings {
    Settings::new(UpgradeRequest::new(Url::parse("ws://localhost/").unwrap()))
}

/// Creates an event with a number.
fn numbered(number: u16) -> EventKind {
    EventKind::Closed { code: number, reason: Box::default() }
}

fn number_of(event: &EventKind) -> u16 {
    match event {
        EventKind::Closed { code, .. } => *code,
        _ => unreachable!("the models publish no other events"),
    }
}

fn publish(socket: &Arc<Shared>, numbers: &[u16]) {
    let mut batch: Vec<QueuedEvent> = numbers.iter().map(|number| numbered(*number).into()).collect();
    let charge = batch.iter().map(QueuedEvent::charge).sum();
    socket.publish(&mut batch, charge);
    ready_list::wake_sleepers();
}
