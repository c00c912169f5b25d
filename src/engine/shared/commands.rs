//! What the game's threads hand to a socket's worker.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::settings::{Plan, Settings};
use crate::buffer::Segment;
use crate::capture::CaptureFile;
use crate::clock::Instant;
use crate::error::Error;
use crate::net::link::{LinkConditions, LinkCut};
use crate::session::Outbox;
use crate::session::keepalive::PingSettings;

/// Pings of the caller that may wait for the worker.
pub const MAX_WAITING_PINGS: usize = 16;

/// Messages and commands for the worker.
pub struct ToWorker {
    pub outbox: Outbox,
    /// Messages sent while connecting are queued in the outbox.
    pub queues_while_connecting: bool,
    /// None most of the time: only messages are frequent.
    pub commands: Option<Box<Commands>>,
}

/// Everything but messages.
#[derive(Default)]
pub struct Commands {
    pub open: Option<Plan>,
    /// End the connection now; the value is the reason of the closed event.
    pub cancel: Option<&'static str>,
    /// End the connection now; the value is the message of the error event.
    pub fault: Option<&'static str>,
    /// The socket was destroyed.
    pub destroy: Option<DestroyMode>,
    pub pings: Option<PingSettings>,
    /// The simulated link has changed.
    pub link: Option<LinkChange>,
    /// The file to capture to has changed.
    pub capture: Option<Option<Arc<CaptureFile>>>,
    /// Pings of the caller, at most [`MAX_WAITING_PINGS`].
    pub user_pings: VecDeque<Segment>,
    pub resolved: Option<Resolved>,
    /// The connection whose violation marker was taken from the event queue.
    pub marker_reached: u64,
}

/// What happens to the queued messages of a destroyed socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DestroyMode {
    /// They are dropped.
    Discard,
    /// They are sent and the closing handshake completes, unless that takes longer than `until`.
    Drain { until: Instant },
}

/// A change of the simulated link.
#[derive(Clone)]
pub struct LinkChange {
    pub conditions: Option<Arc<LinkConditions>>,
    /// An earlier change that the worker has not read cut the connection, which later ones do not undo.
    pub cut: Option<LinkCut>,
}

impl LinkChange {
    /// Replaces an earlier change.
    pub fn after(conditions: Option<Arc<LinkConditions>>, earlier: Option<LinkChange>) -> Self {
        let cut = earlier.and_then(|earlier| {
            let last = earlier.conditions.map(|conditions| conditions.cut);
            earlier.cut.or(last.filter(|cut| cut.is_final()))
        });
        Self { conditions, cut }
    }
}

/// Identifies a lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupNumber(u32);

impl LookupNumber {
    pub fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Also when the numbers have begun again at 0.
    fn is_after(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) as i32 > 0
    }
}

/// The result of a name lookup.
pub struct Resolved {
    pub connection: u64,
    pub lookup: LookupNumber,
    pub addresses: Result<Vec<SocketAddr>, Error>,
}

impl Commands {
    /// Adds the result of a lookup. One that is late must not replace that of a later lookup, also of another
    /// connection: that one would wait for it until its connect timeout.
    pub fn add_resolved(&mut self, resolved: Resolved) {
        if self.resolved.as_ref().is_none_or(|other| resolved.lookup.is_after(other.lookup)) {
            self.resolved = Some(resolved);
        }
    }
}

impl ToWorker {
    /// Nothing can be sent yet.
    pub const fn new() -> Self {
        Self { outbox: Outbox::closed(), queues_while_connecting: false, commands: None }
    }

    pub fn commands(&mut self) -> &mut Commands {
        self.commands.get_or_insert_default()
    }

    /// Starts queueing the messages that are sent while connecting, if the settings say so.
    pub fn queue_while_connecting(&mut self, settings: &Settings) {
        self.queues_while_connecting =
            settings.reconnect.as_ref().is_some_and(|reconnect| reconnect.queue_sends);
        if self.queues_while_connecting {
            let compression = settings.compression.as_ref();
            let from =
                compression.map(|config| u32::try_from(config.min_size_to_compress).unwrap_or(u32::MAX));
            self.outbox.hold(from);
        }
    }

    /// Drops the commands that were meant for a connection that has ended.
    pub fn discard_commands(&mut self) {
        if let Some(commands) = &mut self.commands {
            commands.user_pings.clear();
            (commands.cancel, commands.fault, commands.resolved) = (None, None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_lookup_does_not_replace_the_result_of_a_later_one() {
        let mut commands = Commands::default();
        let [first, second, third] = std::array::from_fn(|_| LookupNumber::next());
        let mut add = |lookup| {
            commands.add_resolved(Resolved { connection: 7, lookup, addresses: Ok(Vec::new()) });
            commands.resolved.as_ref().map(|resolved| resolved.lookup)
        };
        assert_eq!(add(second), Some(second));
        assert_eq!(add(first), Some(second));
        assert_eq!(add(third), Some(third));
        assert!(LookupNumber(0).is_after(LookupNumber(u32::MAX)));
    }
}
