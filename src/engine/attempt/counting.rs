//! What an attempt adds to its socket's counters, which go on over all attempts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::super::counters::Counters;
use super::super::lock;
use super::super::socket::{Shared, Socket};
use super::{Attempt, Stage};
use crate::session::{Outbox, Session};

/// What the counters stood at when the attempt began.
pub(super) struct Base {
    frames_received: u64,
    messages_received: u64,
    pings_sent: u64,
    pongs_received: u64,
    extra_frames_sent: u64,
    before_compression: u64,
    after_compression: u64,
}

impl Base {
    pub(super) fn of(socket: &Shared) -> Self {
        let counters = socket.counters.snapshot();
        Base {
            frames_received: counters.frames_received,
            messages_received: counters.messages_received,
            pings_sent: counters.pings_sent,
            pongs_received: counters.pongs_received,
            extra_frames_sent: counters.frames_sent.saturating_sub(lock(&socket.to_worker).outbox.frames),
            before_compression: counters.payload_bytes_before_compression,
            after_compression: counters.payload_bytes_after_compression,
        }
    }

    /// Call it with the outbox locked.
    pub(super) fn count_sent(&self, socket: &Shared, outbox: &Outbox, session: &Session) {
        let counters = &socket.counters;
        let frames = self.extra_frames_sent + outbox.frames + session.extra_frames_sent();
        counters.messages_sent.store(outbox.messages, Ordering::Relaxed);
        counters.frames_sent.store(frames, Ordering::Relaxed);
    }
}

impl Attempt {
    /// Shows what the session has counted.
    pub(super) fn count(&self, socket: &Shared) {
        let Stage::Live { session, .. } = &self.stage else { return };
        let counters = &socket.counters;
        let set = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        set(&counters.frames_received, self.base.frames_received + session.frames_received());
        set(&counters.messages_received, self.base.messages_received + session.messages_received());
        set(&counters.pings_sent, self.base.pings_sent + session.pings_sent());
        set(&counters.pongs_received, self.base.pongs_received + session.pongs_received());
        let (before, after) = session.compression();
        set(&counters.payload_bytes_before_compression, self.base.before_compression + before);
        set(&counters.payload_bytes_after_compression, self.base.after_compression + after);
    }

    /// Notes how long a phase of connecting took, and begins the next one.
    pub(super) fn time(&mut self, now: Instant, counter: impl FnOnce(&Counters) -> &AtomicU64) {
        if let Some(Socket(socket)) = &self.socket {
            let took = now.saturating_duration_since(self.started).as_micros() as u64;
            counter(&socket.counters).store(took, Ordering::Relaxed);
        }
        self.started = now;
    }
}
