//! Deadlines, silence, and what time that does not count does to them.

use std::time::{Duration, Instant};

use super::{ABNORMAL_CLOSURE, Rest, Session, SessionEvent, State, refused};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{PROBE_TIMEOUT, WRITE_STALL_TIMEOUT};
use crate::session::liveness::{Due, PingSettings};

impl Session {
    pub fn deadline(&self) -> Option<Instant> {
        let stall = self.rest.stalled_since.map(|since| since + WRITE_STALL_TIMEOUT);
        let silence = match self.rest.state {
            State::Open => self.rest.liveness.deadline(),
            _ => None,
        };
        [self.rest.deadline, stall, silence].into_iter().flatten().min()
    }

    /// Asks the peer at once whether it is there. It counts as lost when nothing comes within
    /// [`PROBE_TIMEOUT`]. Only an open connection is asked: the others have deadlines of their own.
    pub fn probe(&mut self, now: Instant) {
        if let State::Open = self.rest.state {
            let payload = self.rest.liveness.probe(PROBE_TIMEOUT, now);
            self.rest.pings_sent += 1;
            self.rest.sending.ping(&payload);
        }
    }

    /// Nothing was looked at for `away`: what was waited for meanwhile does not count.
    pub fn forgive(&mut self, away: Duration, now: Instant) {
        if let Some(deadline) = &mut self.rest.deadline {
            *deadline += away;
        }
        if let Some(since) = &mut self.rest.stalled_since {
            *since = now;
        }
        self.rest.liveness.forgive(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) -> SessionEvent<'static> {
        if self.rest.deadline.is_some_and(|deadline| now >= deadline) {
            self.rest.deadline = None;
            return self.rest.took_too_long();
        }
        if self.rest.stalled_since.is_some_and(|since| now >= since + WRITE_STALL_TIMEOUT) {
            let message = format!(
                "the network took no data for {} s: the peer is gone or does not read",
                WRITE_STALL_TIMEOUT.as_secs()
            );
            return self.ended(Some(Error::new(ErrorKind::TimedOut, self.phase(), message)));
        }
        if let State::Open = self.rest.state {
            match self.rest.liveness.handle_timeout(now) {
                Due::Nothing => {}
                Due::Ping(payload) => {
                    self.rest.pings_sent += 1;
                    self.rest.sending.ping(&payload);
                }
                Due::Lost(patience) => {
                    let message = format!("the peer was silent for {} ms after a ping", patience.as_millis());
                    return self.ended(Some(Error::new(ErrorKind::PingTimeout, Phase::Open, message)));
                }
            }
        }
        SessionEvent::Idle
    }

    pub fn set_pings(&mut self, pings: PingSettings, now: Instant) {
        self.rest.liveness.set(pings, now);
    }

    /// Reading stops or goes on, by our own choice.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        self.rest.liveness.set_reading(reading, now);
    }
}

impl Rest {
    pub(super) fn took_too_long(&mut self) -> SessionEvent<'static> {
        match self.abandon() {
            State::Opening(mut opening) => opening.finish().map_or(SessionEvent::Idle, refused),
            State::Closing => {
                let reason = format!(
                    "the server did not answer the close frame within {} ms",
                    self.close_timeout.as_millis()
                );
                SessionEvent::Closed { code: ABNORMAL_CLOSURE, reason }
            }
            // Neither has a deadline.
            State::Open | State::Done => SessionEvent::Idle,
        }
    }
}
