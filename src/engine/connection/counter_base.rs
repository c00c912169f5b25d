//! What a connection adds to the counters of its socket, which continue over all its connections.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::shared::socket::Shared;
use crate::session::{Outbox, Session};
use crate::sync::lock;

/// The values of the counters when the connection started. None for the first one, which starts at 0.
pub struct CounterBase(Option<Box<Values>>);

#[derive(PartialEq, Eq)]
struct Values {
    frames_received: u64,
    messages_received: u64,
    pings_sent: u64,
    pongs_received: u64,
    extra_frames_sent: u64,
    before_compression: u64,
    after_compression: u64,
}

const ZERO: Values = Values {
    frames_received: 0,
    messages_received: 0,
    pings_sent: 0,
    pongs_received: 0,
    extra_frames_sent: 0,
    before_compression: 0,
    after_compression: 0,
};

impl CounterBase {
    pub fn of(socket: &Shared) -> Self {
        Self::after(socket, &lock(&socket.to_worker).outbox)
    }

    /// The same, for a caller that holds the lock of the outbox.
    pub fn after(socket: &Shared, outbox: &Outbox) -> Self {
        let counters = socket.counters.snapshot();
        let values = Values {
            frames_received: counters.frames_received,
            messages_received: counters.messages_received,
            pings_sent: counters.pings_sent,
            pongs_received: counters.pongs_received,
            extra_frames_sent: counters.frames_sent.saturating_sub(outbox.frames),
            before_compression: counters.payload_bytes_before_compression,
            after_compression: counters.payload_bytes_after_compression,
        };
        CounterBase((values != ZERO).then(|| Box::new(values)))
    }

    fn values(&self) -> &Values {
        self.0.as_deref().unwrap_or(const { &ZERO })
    }

    /// Updates the counters of sent data. The caller holds the lock of the outbox.
    pub fn count_sent(&self, socket: &Shared, outbox: &Outbox, session: &Session) {
        let counters = &socket.counters;
        let frames = self.values().extra_frames_sent + outbox.frames + session.extra_frames_sent();
        counters.messages_sent.store(outbox.messages, Ordering::Relaxed);
        counters.frames_sent.store(frames, Ordering::Relaxed);
    }

    /// Updates the counters of what the session has received.
    pub fn count_received(&self, socket: &Shared, session: &Session) {
        let counters = &socket.counters;
        let base = self.values();
        let set = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        set(&counters.frames_received, base.frames_received + session.frames_received());
        set(&counters.messages_received, base.messages_received + session.messages_received());
        set(&counters.pings_sent, base.pings_sent + session.pings_sent());
        set(&counters.pongs_received, base.pongs_received + session.pongs_received());
        let (before, after) = session.compression();
        set(&counters.payload_bytes_before_compression, base.before_compression + before);
        set(&counters.payload_bytes_after_compression, base.after_compression + after);
    }
}
