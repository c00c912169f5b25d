//! A socket's statistics. Written by its worker, read by any thread.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Statistics of a socket since its creation, over all its connections.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
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
    /// Bytes sent, including framing and handshake, excluding TLS.
    bytes_sent,
    /// Bytes received, including framing and handshake, excluding TLS.
    bytes_received,
    /// Messages sent.
    messages_sent,
    /// Messages received.
    messages_received,
    /// Frames sent, control frames included.
    frames_sent,
    /// Frames received, control frames included.
    frames_received,
    /// Pings sent.
    pings_sent,
    /// Pongs received.
    pongs_received,
    /// Connections that were established again after a failure.
    reconnects,
    /// Payload bytes of compressed messages before compression.
    payload_bytes_before_compression,
    /// Payload bytes of compressed messages after compression.
    payload_bytes_after_compression,
    /// Duration of name resolution in microseconds, as of the last connection; so are the next three. 0 for an
    /// address, or a name that was looked up within 10 s.
    resolve_us,
    /// Duration of connecting, from the first address tried, in microseconds.
    connect_us,
    /// Duration of the TLS handshake in microseconds.
    tls_us,
    /// Duration from the upgrade request to the response in microseconds.
    upgrade_us,
}

/// Adds to a counter that only one thread writes: no locked instruction is needed.
#[inline]
pub fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
}
