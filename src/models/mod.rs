//! The hand-overs between threads, under many of the commands in which threads may come to run.
//!
//! ```text
//!   RUSTFLAGS="--cfg shuttle" cargo test --lib models           many schedules, drawn at random
//!   RUSTFLAGS="--cfg framewire_loom" cargo test --lib models    all, with few interruptions
//! ```
//!
//! Both run the library's own code, with a scheduler of their own that decides at every lock and
//! every atomic who goes on. A thread that is never woken again is a deadlock, and found.

mod blocks;
#[cfg_attr(shuttle, path = "shuttle.rs")]
#[cfg_attr(framewire_loom, path = "loom.rs")]
mod checker;
mod event_queue;
mod handles;
mod inbox;
mod leases;

// Right only because operations that are `SeqCst` have one order for all threads, which loom does not
// model: it takes them for `AcqRel`, and finds fault with what is sound.
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
use crate::engine::shared::settings::Settings;
use crate::engine::shared::socket::{Inbox, ReadyList, Shared};

use crate::limits::EVENT_OVERHEAD;
use crate::sync::{Condvar, Mutex};
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// Longer than any model: a wait that only its timeout would end is a deadlock to shuttle.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

/// What a worker waits on in place of the network: like the system's, it rings until it is heard.
#[derive(Default)]
struct Bell {
    rings: Mutex<bool>,
    rang: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rings.lock().unwrap() = true;
        self.rang.notify_one();
    }

    fn wait(&self) {
        let mut rings = self.rings.lock().unwrap();
        while !*rings {
            rings = self.rang.wait(rings).unwrap();
        }
        *rings = false;
    }
}

/// A ready list, and the inbox of a worker that the model plays.
struct House {
    ready_list: Arc<ReadyList>,
    inbox: Arc<Inbox>,
    bell: Arc<Bell>,
}

impl House {
    fn new(events_before_pause: usize) -> Self {
        let bell = Arc::new(Bell::default());
        let rung = bell.clone();
        let waker = move || {
            rung.ring();
            Ok(())
        };
        Self {
            ready_list: Arc::new(ReadyList::new(events_before_pause * EVENT_OVERHEAD)),
            inbox: Arc::new(Inbox::with_waker(0, Box::new(waker))),
            bell,
        }
    }

    fn socket(&self, id: u64) -> Arc<Shared> {
        let request = UpgradeRequest::new(Url::parse("ws://localhost/").unwrap());
        Arc::new(Shared::new(id, self.ready_list.clone(), self.inbox.clone(), Settings::new(request)))
    }

    /// What the worker does between two turns: looks into the inbox, and waits if it is empty.
    fn read_inbox(&self) -> (Vec<Arc<Shared>>, WorkerCommands) {
        let mut sockets = Vec::new();
        let commands = self.inbox.take(&mut sockets);
        if sockets.is_empty() && commands == WorkerCommands::default() {
            if self.inbox.may_sleep() {
                self.bell.wait();
            }
            self.inbox.awake();
        }
        (sockets, commands)
    }
}

/// An event with a number on it.
fn numbered(number: u16) -> EventKind {
    EventKind::Closed { code: number, reason: Box::default() }
}

fn number_of(event: &EventKind) -> u16 {
    match event {
        EventKind::Closed { code, .. } => *code,
        _ => unreachable!("the models publish nothing else"),
    }
}

fn publish(socket: &Arc<Shared>, numbers: &[u16]) {
    let mut batch: Vec<QueuedEvent> = numbers.iter().map(|number| numbered(*number).into()).collect();
    let charge = batch.iter().map(QueuedEvent::charge).sum();
    socket.publish(&mut batch, charge);
}
