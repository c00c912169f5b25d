//! Statistics of all sockets, and of the library's buffers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use framewire::{Socket, State};

use crate::gdextension::Dictionary;
use crate::members::methods;

methods! {
    METHODS:
    /// Returns statistics of all sockets: `sockets`, which are connecting, open or closing, `queued_bytes`, the payload
    /// that they have queued for sending, and `messages_sent`, `messages_received`, `bytes_sent` and `bytes_received`
    /// since the game has started. `Framewire.add_monitors()` shows them in the debugger.
    function get_global_statistics() => get_global_statistics;

    /// Returns statistics of the library's buffer pool: `blocks_in_use`, `bytes_in_use`, `blocks_free`, `bytes_free`,
    /// and `allocations`, the blocks allocated since the game has started.
    function get_buffer_statistics() => get_buffer_statistics;

    /// Frees the blocks of the library's buffer pool that are kept for reuse.
    function trim_buffers() => framewire::pool_trim;
}

#[derive(Default)]
struct Totals {
    live: Vec<Socket>,
    /// Of connections that have ended.
    ended: Counters,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    messages_sent: u64,
    messages_received: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

impl Counters {
    fn add(&mut self, socket: &Socket) {
        let stats = socket.stats();
        self.messages_sent += stats.messages_sent;
        self.messages_received += stats.messages_received;
        self.bytes_sent += stats.bytes_sent;
        self.bytes_received += stats.bytes_received;
    }
}

static TOTALS: Mutex<Option<Totals>> = Mutex::new(None);

fn totals() -> MutexGuard<'static, Option<Totals>> {
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Totals {
    /// Removes the sockets whose connections have ended.
    fn prune(&mut self) {
        self.live.retain(|socket| {
            let is_live = !matches!(socket.state(), State::Closed | State::Unknown);
            if !is_live {
                self.ended.add(socket);
            }
            is_live
        });
    }
}

/// Counts a socket that has been opened.
pub fn add(socket: &Socket) {
    let mut totals = totals();
    let totals = totals.get_or_insert_default();
    totals.prune();
    totals.live.push(socket.clone());
}

/// Returns the IDs of the sockets whose connections have not ended.
pub fn ids() -> Vec<u64> {
    let mut totals = totals();
    let totals = totals.get_or_insert_default();
    totals.prune();
    totals.live.iter().map(Socket::id).collect()
}

/// Drops all sockets, before the library is shut down.
pub fn clear() {
    *totals() = None;
}

fn get_global_statistics() -> Dictionary {
    let (sockets, queued, counters) = {
        let mut totals = totals();
        let totals = totals.get_or_insert_default();
        totals.prune();
        let mut counters = totals.ended;
        totals.live.iter().for_each(|socket| counters.add(socket));
        (totals.live.len(), totals.live.iter().map(Socket::buffered_amount).sum::<usize>(), counters)
    };
    dictionary(&[
        ("sockets", sockets as u64),
        ("queued_bytes", queued as u64),
        ("messages_sent", counters.messages_sent),
        ("messages_received", counters.messages_received),
        ("bytes_sent", counters.bytes_sent),
        ("bytes_received", counters.bytes_received),
    ])
}

fn get_buffer_statistics() -> Dictionary {
    let stats = framewire::pool_stats();
    dictionary(&[
        ("blocks_in_use", stats.blocks_in_use),
        ("bytes_in_use", stats.bytes_in_use),
        ("blocks_free", stats.blocks_free),
        ("bytes_free", stats.bytes_free),
        ("allocations", stats.allocations),
    ])
}

fn dictionary(entries: &[(&str, u64)]) -> Dictionary {
    let mut named = Dictionary::default();
    for (name, value) in entries {
        named.set(name, i64::try_from(*value).unwrap_or(i64::MAX));
    }
    named
}
