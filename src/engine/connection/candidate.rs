//! A connection that may replace the one of its socket: what it has beside others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::clock::Instant;
use crate::engine::shared::counters::Counters;

use crate::engine::shared::settings::Plan;
use crate::engine::shared::socket::Shared;
use crate::session::keepalive::Outstanding;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::Accepted;

/// A request to the worker to add a candidate.
pub struct NewCandidate {
    pub socket: Arc<Shared>,
    pub plan: Plan,
    /// Valid as long as the probe of the connection to replace is unanswered.
    pub probe: Weak<Outstanding>,
    /// When it starts to connect.
    pub start: Instant,
}

/// The state of a candidate.
pub struct Candidate {
    /// Valid as long as the probe is unanswered.
    pub probe: Weak<Outstanding>,
    /// The result of the upgrade, until the connection of the socket is replaced.
    pub opened: Option<(Accepted, ResponseHead)>,
    /// How long its phases took, in microseconds, until they are those of the socket's connection.
    pub durations: Vec<(Duration, u64)>,
}

/// The counter of a phase of connecting.
pub type Duration = fn(&Counters) -> &AtomicU64;

impl Candidate {
    /// Stores the durations, as its connection becomes that of the socket.
    pub fn store_durations(&self, counters: &Counters) {
        for (counter, took) in &self.durations {
            counter(counters).store(*took, Ordering::Relaxed);
        }
    }
}
