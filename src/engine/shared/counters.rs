//! A socket's statistics. Written by its worker, read by any thread.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A snapshot of a socket's counters, from its creation on, over all its connections.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats { $($(#[$doc])* pub $name: u64),+ }

        #[derive(Default)]
        pub struct Counters { $(pub $name: AtomicU64),+ }

        impl Counters {
            pub fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed)),+ }
            }
        }
    };
}

counters! {
    /// Bytes handed to the network, framing and upgrade included, TLS not.
    bytes_sent,
    /// Bytes received from the network, framing and upgrade included, TLS not.
    bytes_received,
    messages_sent,
    messages_received,
    frames_sent,
    frames_received,
    pings_sent,
    pongs_received,
    reconnects,
    /// Payload of messages that were compressed, before.
    payload_bytes_before_compression,
    /// The same, after.
    payload_bytes_after_compression,
    /// Of the last connection: name resolution, in microseconds.
    resolve_us,
    /// From the first address tried to the connection, in microseconds.
    connect_us,
    /// The TLS handshake, in microseconds.
    tls_us,
    /// From the upgrade request to its answer, in microseconds.
    upgrade_us,
}

/// Adds to a counter that only one thread writes: no locked instruction is needed.
#[inline]
pub fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}
