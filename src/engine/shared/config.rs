//! The configuration of the library.

use std::fmt;
use std::sync::Arc;

/// Configuration of the library, for [`init`](crate::init). Zero and `None` select the default.
#[derive(Clone, Default)]
pub struct Config {
    /// Number of worker threads, at most 64 (default 1).
    pub worker_threads: usize,
    /// Size of the event queue of each socket in bytes (default 4 MiB). When it is full, the socket stops
    /// reading from the network.
    pub event_queue_bytes: usize,
    /// The library does not watch the network itself: only [`network_changed`](crate::network_changed) reports
    /// changes. By default it watches addresses and default routes on Linux, and on Android up to version 10.
    pub ignore_network_changes: bool,
    /// Called on each thread of the library when it starts.
    pub thread_started: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Called on each thread of the library before it ends.
    pub thread_stopped: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("worker_threads", &self.worker_threads)
            .field("event_queue_bytes", &self.event_queue_bytes)
            .field("ignore_network_changes", &self.ignore_network_changes)
            .finish_non_exhaustive()
    }
}
