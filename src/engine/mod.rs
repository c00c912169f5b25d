//! Threads: commands in, mailboxes out.
//!
//! ```text
//!  game's threads                       one of a few workers
//!  ──────────────                       ───────────────────────────────────────────
//!  open, send, close ─> to_worker ─┐    ┌─> attempt: dial ─> tls ─> session
//!                        (notify)  └──> │      │ a turn: read, look, write
//!                                  inbox│      v
//!  poll, next_event <── mailbox <───────┴── events, a batch per turn
//!         ^── hub: who has events
//! ```
//!
//! | file | what it holds |
//! | --- | --- |
//! | `library` | start and stop: the workers, the resolver, the table of sockets |
//! | `socket` | what a socket's handle stands for; what game and worker share of it |
//! | `callbacks`, `event`, `request` | what the game is told, and how |
//! | `mailbox`, `run`, `hub`, `delivery` | the bounded queue of events, floods of small messages in it, who has some, and handing them over |
//! | `http2`, `transport` | the connections that sockets share, and what carries one socket's bytes |
//! | `worker`, `attempt`, `timers`, `masks` | the loop, one connection in it, deadlines, mask keys |
//!
//! User code is never called with a lock held that anybody waits for. Knows nothing of C.

pub mod attempt;
pub mod callbacks;
pub mod counters;
pub mod delivery;
pub mod event;
pub mod http2;
pub mod hub;
pub mod library;
pub mod mailbox;
pub mod masks;
pub mod request;
pub mod run;
pub mod socket;
pub mod timers;
pub mod transport;
pub mod worker;

use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

/// Locks, whatever a panicking thread has left: everything behind these locks is whole between
/// any two statements, and a socket whose turn panicked is ended by its worker.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
