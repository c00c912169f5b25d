//! Keepalive: periodic pings, their timeout, and the round-trip time.
//!
//! ```text
//!   idle ── ping due ──► outstanding ── any byte received ──► idle
//!                            └── timeout ──► the connection is lost
//! ```
//!
//! A probe is an immediate ping with its own timeout, whether periodic pings are enabled or not.
//!
//! A ping counts as outstanding from the time at which it was due, even if it is not written yet: a stalled
//! write is a lost connection as well.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::{Instant, earlier};

/// The caller's ping settings; they can change at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingSettings {
    pub enabled: bool,
    pub frequency: Duration,
    /// The ping timeout: how long a ping may be outstanding without anything received.
    pub timeout: Duration,
}

#[derive(Debug)]
pub struct Keepalive {
    /// `None` while periodic pings are disabled, as in most connections.
    pings: Option<Box<Pings>>,
    /// Boxed, as it is rarely used.
    probe: Option<Box<Probe>>,
    /// While reading is paused, timeouts do not apply.
    reading: bool,
    /// When the last ping was created, until its pong arrives.
    last_ping: Option<Instant>,
    /// The number in the payload of the last ping.
    counter: u64,
    smoothed: Option<Duration>,
}

/// The state of periodic pings.
#[derive(Debug)]
struct Pings {
    frequency: Duration,
    timeout: Duration,
    /// Pings are due at multiples of the frequency after this, so that those of several connections are due
    /// together. `None`: counted from the start of the connection.
    epoch: Option<Instant>,
    /// `None` before the connection is open.
    next_due: Option<Instant>,
    outstanding_since: Option<Instant>,
}

/// An outstanding probe.
#[derive(Debug)]
struct Probe {
    ends: Instant,
    timeout: Duration,
    outstanding: Arc<Outstanding>,
}

/// Lives as long as a probe is unanswered. A weak reference to it tells whether it still is.
#[derive(Debug)]
pub struct Outstanding;

/// The result of a timeout.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// Send a ping with this payload.
    Ping([u8; 8]),
    /// The peer did not respond within this time after a ping.
    Lost(Duration),
}

impl Keepalive {
    /// Creates the state of a connection that is not open yet.
    pub fn new(settings: PingSettings) -> Self {
        let PingSettings { enabled, frequency, timeout } = settings;
        let pings =
            || Box::new(Pings { frequency, timeout, epoch: None, next_due: None, outstanding_since: None });
        Self {
            pings: enabled.then(pings),
            probe: None,
            reading: true,
            last_ping: None,
            counter: 0,
            smoothed: None,
        }
    }

    /// Aligns the pings of several connections: to be called for each with the same time, when it is created
    /// and after [`set`](Self::set).
    pub fn align(&mut self, epoch: Instant) {
        if let Some(pings) = &mut self.pings {
            pings.epoch = Some(epoch);
            if let Some(due) = &mut pings.next_due {
                *due = due_after(*due, pings.frequency, pings.epoch) - pings.frequency;
            }
        }
    }

    /// Starts periodic pings when the connection is open.
    pub fn start(&mut self, now: Instant) {
        if let Some(pings) = &mut self.pings {
            pings.next_due = Some(due_after(now, pings.frequency, pings.epoch));
        }
    }

    pub fn set(&mut self, settings: PingSettings, now: Instant) {
        let PingSettings { enabled, frequency, timeout } = settings;
        match &mut self.pings {
            _ if !enabled => self.pings = None,
            Some(pings) if pings.frequency == frequency => pings.timeout = timeout,
            pings => {
                let outstanding_since = pings.as_ref().and_then(|pings| pings.outstanding_since);
                let epoch = pings.as_ref().and_then(|pings| pings.epoch);
                let next_due = Some(due_after(now, frequency, epoch));
                *pings = Some(Box::new(Pings { frequency, timeout, epoch, next_due, outstanding_since }));
            }
        }
    }

    /// Starts a probe; returns the payload of the ping to send. The connection is lost if nothing arrives
    /// within `timeout`. A probe that is unanswered starts again.
    pub fn probe(&mut self, timeout: Duration, now: Instant) -> [u8; 8] {
        let ends = now + timeout;
        match &mut self.probe {
            Some(probe) => (probe.ends, probe.timeout) = (ends, timeout),
            probe => *probe = Some(Box::new(Probe { ends, timeout, outstanding: Arc::new(Outstanding) })),
        }
        self.new_ping(now)
    }

    /// Returns a reference that is valid as long as the probe is unanswered; `None` without a probe.
    pub fn unanswered_probe(&self) -> Option<Weak<Outstanding>> {
        self.probe.as_ref().map(|probe| Arc::downgrade(&probe.outstanding))
    }

    /// Restarts all timeouts, after the process was suspended.
    pub fn restart_timeouts(&mut self, now: Instant) {
        self.probe = None;
        if let Some(pings) = &mut self.pings {
            pings.outstanding_since = None;
            if let Some(due) = &mut pings.next_due {
                *due = due_after(now, pings.frequency, pings.epoch);
            }
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let ping = self.pings.as_ref().and_then(|pings| match pings.outstanding_since {
            Some(_) if !self.reading => None,
            Some(since) => Some(since + pings.timeout),
            None => pings.next_due,
        });
        let probe = self.probe.as_ref().filter(|_| self.reading).map(|probe| probe.ends);
        earlier(ping, probe)
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        if let Some(probe) = self.probe.as_ref().filter(|probe| self.reading && now >= probe.ends) {
            return Due::Lost(probe.timeout);
        }
        let Some(pings) = &mut self.pings else { return Due::Nothing };
        match (pings.outstanding_since, pings.next_due) {
            (Some(since), _) if self.reading && now >= since + pings.timeout => Due::Lost(pings.timeout),
            (None, Some(due)) if now >= due => {
                // The timeout starts when the ping was due, or now if the schedule was missed: a suspended
                // process has not waited for a response.
                let next = due + pings.frequency;
                let due = if next > now { due } else { now };
                pings.outstanding_since = Some(due);
                pings.next_due = Some(due_after(due, pings.frequency, pings.epoch));
                Due::Ping(self.new_ping(now))
            }
            _ => Due::Nothing,
        }
    }

    fn new_ping(&mut self, now: Instant) -> [u8; 8] {
        self.counter += 1;
        self.last_ping = Some(now);
        self.counter.to_be_bytes()
    }

    /// Records that data was received, which ends any outstanding ping.
    #[inline]
    pub fn received(&mut self, now: Instant) {
        self.probe = None;
        if let Some(pings) = &mut self.pings
            && pings.outstanding_since.take().is_some()
            && let Some(due) = &mut pings.next_due
            && *due < now
        {
            *due = match pings.epoch {
                Some(_) => due_after(now, pings.frequency, pings.epoch),
                None => now,
            };
        }
    }

    /// Pauses or resumes the timeouts, while reading is paused because of backpressure.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        if let Some(since) = self.pings.as_mut().and_then(|pings| pings.outstanding_since.as_mut())
            && reading
            && !self.reading
        {
            *since = now;
        }
        if let Some(probe) = self.probe.as_mut().filter(|_| reading && !self.reading) {
            probe.ends = now + probe.timeout;
        }
        self.reading = reading;
    }

    /// Processes a pong; updates the round-trip time if it matches the last ping.
    pub fn pong(&mut self, payload: &[u8], now: Instant) {
        let Some(sent) = self.last_ping else { return };
        if payload != self.counter.to_be_bytes() {
            return;
        }
        self.last_ping = None;
        let sample = now.saturating_duration_since(sent);
        // Exponential smoothing with weight 1/8, as in TCP (RFC 6298 section 2).
        self.smoothed = Some(match self.smoothed {
            Some(smoothed) => (smoothed * 7 + sample) / 8,
            None => sample,
        });
    }

    /// Returns the smoothed round-trip time.
    pub fn latency(&self) -> Option<Duration> {
        self.smoothed
    }
}

/// Returns when the next ping is due: one interval later, or at the last multiple of it until then.
fn due_after(now: Instant, frequency: Duration, epoch: Option<Instant>) -> Instant {
    let Some(epoch) = epoch else { return now + frequency };
    let interval = frequency.as_nanos().max(1);
    let intervals = now.saturating_duration_since(epoch).as_nanos() / interval + 1;
    epoch + Duration::from_nanos(u64::try_from(intervals * interval).unwrap_or(u64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: PingSettings = PingSettings {
        enabled: true,
        frequency: Duration::from_millis(1000),
        timeout: Duration::from_millis(2000),
    };

    fn open(settings: PingSettings, start: Instant) -> Keepalive {
        let mut keepalive = Keepalive::new(settings);
        keepalive.start(start);
        keepalive
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn silent_peer_is_lost_after_frequency_plus_timeout() {
        let start = Instant::now();
        let mut keepalive = open(SETTINGS, start);
        assert_eq!(keepalive.deadline(), Some(after(start, 1000)));
        assert!(matches!(keepalive.handle_timeout(after(start, 1000)), Due::Ping(_)));
        assert_eq!(keepalive.deadline(), Some(after(start, 3000)));
        assert_eq!(keepalive.handle_timeout(after(start, 2999)), Due::Nothing);
        assert_eq!(keepalive.handle_timeout(after(start, 3000)), Due::Lost(SETTINGS.timeout));
    }

    #[test]
    fn aligned_pings_are_due_together_and_within_their_frequency() {
        let epoch = Instant::now();
        let mut both: Vec<Keepalive> = [1234, 1999]
            .map(|ms| {
                let mut keepalive = Keepalive::new(SETTINGS);
                keepalive.align(epoch);
                keepalive.start(after(epoch, ms));
                keepalive
            })
            .into();
        for due in [2000, 3000, 4000] {
            for (keepalive, round_trip) in both.iter_mut().zip([30, 400]) {
                assert_eq!(keepalive.deadline(), Some(after(epoch, due)));
                // The worker may be late.
                assert!(matches!(keepalive.handle_timeout(after(epoch, due + 3)), Due::Ping(_)));
                keepalive.received(after(epoch, due + round_trip));
            }
        }
        // After a missed schedule, a late response, a suspend and a new frequency.
        let first = &mut both[0];
        assert!(matches!(first.handle_timeout(after(epoch, 9_250)), Due::Ping(_)));
        first.received(after(epoch, 10_500));
        assert_eq!(first.deadline(), Some(after(epoch, 11_000)));
        first.restart_timeouts(after(epoch, 20_100));
        assert_eq!(first.deadline(), Some(after(epoch, 21_000)));
        first.set(PingSettings { frequency: Duration::from_millis(300), ..SETTINGS }, after(epoch, 20_110));
        assert_eq!(first.deadline(), Some(after(epoch, 20_400)));
        // Enabled when the connection is open.
        let mut later = open(PingSettings { enabled: false, ..SETTINGS }, epoch);
        later.set(SETTINGS, after(epoch, 2_345));
        later.align(epoch);
        assert_eq!(later.deadline(), Some(after(epoch, 3_000)));
    }

    #[test]
    fn received_data_ends_wait_and_next_ping_keeps_frequency() {
        let start = Instant::now();
        let mut keepalive = open(SETTINGS, start);
        keepalive.handle_timeout(after(start, 1000));
        keepalive.received(after(start, 1500));
        assert_eq!(keepalive.deadline(), Some(after(start, 2000)));
        assert!(matches!(keepalive.handle_timeout(after(start, 2000)), Due::Ping(_)));
    }

    #[test]
    fn late_worker_sends_no_burst_of_pings() {
        let start = Instant::now();
        let mut keepalive = open(SETTINGS, start);
        assert!(matches!(keepalive.handle_timeout(after(start, 5_500)), Due::Ping(_)));
        assert_eq!(keepalive.handle_timeout(after(start, 5_501)), Due::Nothing, "the timeout starts now");
        keepalive.received(after(start, 5_500));
        assert!(keepalive.deadline() > Some(after(start, 5_500)));
    }

    #[test]
    fn timeout_is_paused_while_reading_is_paused() {
        let start = Instant::now();
        let mut keepalive = open(SETTINGS, start);
        keepalive.handle_timeout(after(start, 1000));
        keepalive.set_reading(false, after(start, 1100));
        assert_eq!(keepalive.handle_timeout(after(start, 60_000)), Due::Nothing);
        keepalive.set_reading(true, after(start, 60_000));
        assert_eq!(keepalive.handle_timeout(after(start, 61_999)), Due::Nothing);
        assert_eq!(keepalive.handle_timeout(after(start, 62_000)), Due::Lost(SETTINGS.timeout));
    }

    #[test]
    fn round_trip_is_measured_from_own_pings_and_smoothed() {
        let start = Instant::now();
        let mut keepalive = open(SETTINGS, start);
        let Due::Ping(payload) = keepalive.handle_timeout(after(start, 1000)) else { panic!("no ping") };
        keepalive.pong(b"unknown", after(start, 1001));
        assert_eq!(keepalive.latency(), None);
        keepalive.pong(&payload, after(start, 1040));
        assert_eq!(keepalive.latency(), Some(Duration::from_millis(40)));
        keepalive.received(after(start, 1040));
        let Due::Ping(payload) = keepalive.handle_timeout(after(start, 2000)) else { panic!("no ping") };
        keepalive.pong(&payload, after(start, 2120));
        assert_eq!(keepalive.latency(), Some(Duration::from_millis(50)));
    }

    #[test]
    fn disabled_pings_stop_and_restart_when_enabled() {
        let start = Instant::now();
        let off = PingSettings { enabled: false, ..SETTINGS };
        let mut keepalive = open(off, start);
        assert_eq!(keepalive.deadline(), None);
        keepalive.set(SETTINGS, after(start, 500));
        assert_eq!(keepalive.deadline(), Some(after(start, 1500)));
        keepalive.set(off, after(start, 600));
        assert_eq!(keepalive.deadline(), None);
    }

    #[test]
    fn probe_is_immediate_ping_with_own_timeout() {
        let start = Instant::now();
        let off = PingSettings { enabled: false, ..SETTINGS };
        let timeout = Duration::from_millis(300);
        for (settings, next) in [(off, None), (SETTINGS, Some(after(start, 1000)))] {
            let mut keepalive = open(settings, start);
            assert_eq!(keepalive.probe(timeout, start), 1u64.to_be_bytes());
            assert_eq!(keepalive.deadline(), Some(after(start, 300)));
            assert_eq!(keepalive.handle_timeout(after(start, 299)), Due::Nothing);
            let mut silent = open(settings, start);
            silent.probe(timeout, start);
            assert_eq!(silent.handle_timeout(after(start, 300)), Due::Lost(timeout));
            keepalive.received(after(start, 299));
            assert_eq!(keepalive.deadline(), next);
            assert_eq!(keepalive.handle_timeout(after(start, 300)), Due::Nothing);
            // Its pong updates the round-trip time.
            keepalive.pong(&1u64.to_be_bytes(), after(start, 299));
            assert_eq!(keepalive.latency(), Some(Duration::from_millis(299)));
        }
    }

    #[test]
    fn probe_is_paused_while_reading_is_paused() {
        let start = Instant::now();
        let timeout = Duration::from_millis(300);
        let mut keepalive = open(PingSettings { enabled: false, ..SETTINGS }, start);
        keepalive.set_reading(false, start);
        keepalive.probe(timeout, start);
        assert_eq!(keepalive.deadline(), None);
        assert_eq!(keepalive.handle_timeout(after(start, 9000)), Due::Nothing);
        keepalive.set_reading(true, after(start, 9000));
        assert_eq!(keepalive.handle_timeout(after(start, 9299)), Due::Nothing);
        assert_eq!(keepalive.handle_timeout(after(start, 9300)), Due::Lost(timeout));
    }

    #[test]
    fn suspend_does_not_count_as_silence() {
        let start = Instant::now();
        let mut keepalive = open(SETTINGS, start);
        assert!(matches!(keepalive.handle_timeout(after(start, 1000)), Due::Ping(_)));
        keepalive.probe(Duration::from_millis(300), after(start, 1000));
        keepalive.restart_timeouts(after(start, 60_000));
        assert_eq!(keepalive.handle_timeout(after(start, 60_999)), Due::Nothing);
        assert!(matches!(keepalive.handle_timeout(after(start, 61_000)), Due::Ping(_)));
        assert_eq!(keepalive.handle_timeout(after(start, 63_000)), Due::Lost(SETTINGS.timeout));
    }
}
