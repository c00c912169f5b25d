//! The worker of a web page: the browser's WebSocket instead of the network, the caller's thread instead of a
//! worker thread.
//!
//! ```text
//!  game                              this module                            framewire.jslib
//!  ────                              ───────────                            ───────────────
//!  open, send, close ─> inbox ─wake─> drive ── open, send, close ─────────> WebSocket
//!  poll, next_event, state ─────────> drive <── records: open, message ──── its callbacks queue
//!                       events <───────┘
//! ```
//!
//! | file | purpose |
//! | --- | --- |
//! | `js` | the functions of `framewire.jslib` |
//! | `connection` | one connection, from `open` to the terminal event |
//! | `driver` | commands, deadlines and turns of all connections |
//!
//! JavaScript never calls in: it queues records, and a turn takes them. Commands run at once, as the inbox wakes its
//! worker; polls, and calls that read the state, run what is due first. Sockets, event queues, delivery
//! and the reconnect policy are the same code as with worker threads.
//!
//! Does not know the C ABI, frames or TLS: those are the browser's.

mod connection;
mod driver;
#[allow(unsafe_code)]
mod js;

use std::path::Path;
use std::sync::Arc;

pub use driver::drive;

use super::shared::config::Config;
use super::shared::socket::{Inbox, Shared};
use crate::capture::{CaptureFile, CaptureOptions};
use crate::clock::Instant;
use crate::error::{CallError, Code};

/// The one worker, which has no thread.
pub struct Workers {
    inbox: [Arc<Inbox>; 1],
}

impl Workers {
    /// There are no threads to start, so the number of threads and the hooks for threads are ignored.
    pub fn start(_config: Config) -> Result<Self, CallError> {
        let wake = || {
            driver::run_commands();
            Ok(())
        };
        let inbox = Arc::new(Inbox::new(0, Box::new(wake)));
        driver::start(inbox.clone());
        Ok(Self { inbox: [inbox] })
    }

    /// The inbox of the worker.
    pub fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inbox
    }

    /// There is no thread for captures.
    pub fn open_capture(&self, _: &Path, _: CaptureOptions) -> Result<Arc<CaptureFile>, CallError> {
        Err(CallError::new(Code::NotSupported, "a browser lets no page see frames"))
    }

    /// Executes the last commands. The browser sends what it has accepted.
    pub fn stop(&self, _deadline: Instant) {
        driver::run_commands();
    }

    /// Ends the worker. There is nothing to wait for.
    pub fn join(&self, _deadline: Instant) -> bool {
        driver::stop();
        self.inbox[0].close().into_iter().for_each(Shared::worker_ended);
        true
    }
}
