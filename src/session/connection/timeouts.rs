//! Timeouts: deadlines, write stalls, pings, and their restart after a suspend.

use std::sync::Weak;
use std::time::Duration;

use super::{ABNORMAL_CLOSURE, Rest, Session, SessionEvent, State, refused};
use crate::clock::{Instant, earlier};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{PROBE_TIMEOUT, WRITE_STALL_TIMEOUT};
use crate::session::keepalive::{Due, Outstanding, PingSettings};

impl Session {
    pub fn deadline(&self) -> Option<Instant> {
        let stall = self.rest.stalled_since.map(|since| since + WRITE_STALL_TIMEOUT);
        let ping = match self.rest.state {
            State::Open => self.rest.keepalive.deadline(),
            _ => None,
        };
        earlier(earlier(self.rest.deadline, stall), ping)
    }

    /// Sends a ping at once. The connection is lost if nothing arrives within [`PROBE_TIMEOUT`]. Does nothing
    /// unless the session is open: other states have their own deadlines.
    pub fn probe(&mut self, now: Instant) {
        if let State::Open = self.rest.state {
            let payload = self.rest.keepalive.probe(PROBE_TIMEOUT, now);
            self.rest.pings_sent += 1;
            self.rest.sending.ping(&payload);
        }
    }

    /// Returns a reference that is valid as long as the probe is unanswered; `None` without a probe.
    pub fn unanswered_probe(&self) -> Option<Weak<Outstanding>> {
        self.rest.keepalive.unanswered_probe()
    }

    /// Extends all timeouts by the given duration, after the process was suspended.
    pub fn extend_timeouts(&mut self, by: Duration, now: Instant) {
        if let Some(deadline) = &mut self.rest.deadline {
            *deadline += by;
        }
        if let Some(since) = &mut self.rest.stalled_since {
            *since = now;
        }
        self.rest.keepalive.restart_timeouts(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) -> SessionEvent<'static> {
        if self.rest.deadline.is_some_and(|deadline| now >= deadline) {
            self.rest.deadline = None;
            return self.rest.timed_out();
        }
        if self.rest.stalled_since.is_some_and(|since| now >= since + WRITE_STALL_TIMEOUT) {
            let message = format!(
                "the write stalled for {} s: the peer is unreachable or does not read",
                WRITE_STALL_TIMEOUT.as_secs()
            );
            return self.ended(Some(Error::new(ErrorKind::TimedOut, self.phase(), message)));
        }
        if let State::Open = self.rest.state {
            match self.rest.keepalive.handle_timeout(now) {
                Due::Nothing => {}
                Due::Ping(payload) => {
                    self.rest.pings_sent += 1;
                    self.rest.sending.ping(&payload);
                }
                Due::Lost(timeout) => {
                    let message =
                        format!("the peer did not respond within {} ms after a ping", timeout.as_millis());
                    return self.ended(Some(Error::new(ErrorKind::PingTimeout, Phase::Open, message)));
                }
            }
        }
        SessionEvent::Idle
    }

    pub fn set_pings(&mut self, pings: PingSettings, now: Instant) {
        self.rest.keepalive.set(pings, now);
    }

    /// Records that reading is paused or resumed by this side.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        self.rest.keepalive.set_reading(reading, now);
    }
}

impl Rest {
    pub(super) fn timed_out(&mut self) -> SessionEvent<'static> {
        match self.abandon() {
            State::Handshake(mut handshake) => handshake.finish().map_or(SessionEvent::Idle, refused),
            State::Closing => {
                let reason =
                    format!("the server did not respond to the close frame within {} ms", self.close_timeout);
                SessionEvent::Closed { code: ABNORMAL_CLOSURE, reason }
            }
            // These states have no deadline.
            State::Open | State::Done => SessionEvent::Idle,
        }
    }
}
