//! Is the peer still there? Pings, the patience with their answers, and the round trip.
//!
//! ```text
//!   resting ──ping due──> outstanding ──any byte received──> resting
//!                              └──patience over──> the connection is lost
//! ```
//!
//! A probe is a ping out of turn, with a patience of its own, whether pings are on or not.
//!
//! A ping counts as outstanding from the moment at which it was due, even if the network has not
//! taken it yet: a link that swallows nothing is as dead as one that answers nothing.

use std::time::{Duration, Instant};

/// What the caller has chosen; it may change at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingSettings {
    pub enabled: bool,
    pub frequency: Duration,
    /// How long a ping may stay outstanding with nothing at all received since.
    pub patience: Duration,
}

#[derive(Debug)]
pub struct Liveness {
    /// None while pings are off, as they are in most connections.
    pings: Option<Box<Pings>>,
    /// Rare, and so not worth its room in every connection.
    probe: Option<Box<Probe>>,
    /// While nobody reads, silence says nothing about the peer.
    reading: bool,
    /// When the last ping was made, until it is answered.
    last_ping: Option<Instant>,
    /// The number in its payload.
    counter: u64,
    smoothed: Option<Duration>,
}

/// Pings that come regularly.
#[derive(Debug)]
struct Pings {
    frequency: Duration,
    patience: Duration,
    /// None before the connection is open.
    next_due: Option<Instant>,
    outstanding_since: Option<Instant>,
}

/// What a probe waits for.
#[derive(Debug)]
struct Probe {
    ends: Instant,
    patience: Duration,
}

/// What time has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// A ping with this payload is to be sent.
    Ping([u8; 8]),
    /// The peer was silent for that long after a ping.
    Lost(Duration),
}

impl Liveness {
    /// For a connection that is not open yet.
    pub fn new(settings: PingSettings) -> Self {
        let PingSettings { enabled, frequency, patience } = settings;
        let pings = || Box::new(Pings { frequency, patience, next_due: None, outstanding_since: None });
        Self {
            pings: enabled.then(pings),
            probe: None,
            reading: true,
            last_ping: None,
            counter: 0,
            smoothed: None,
        }
    }

    /// The connection is open.
    pub fn start(&mut self, now: Instant) {
        if let Some(pings) = &mut self.pings {
            pings.next_due = Some(now + pings.frequency);
        }
    }

    pub fn set(&mut self, settings: PingSettings, now: Instant) {
        let PingSettings { enabled, frequency, patience } = settings;
        match &mut self.pings {
            _ if !enabled => self.pings = None,
            Some(pings) if pings.frequency == frequency => pings.patience = patience,
            pings => {
                let outstanding_since = pings.as_ref().and_then(|pings| pings.outstanding_since);
                let next_due = Some(now + frequency);
                *pings = Some(Box::new(Pings { frequency, patience, next_due, outstanding_since }));
            }
        }
    }

    /// Asks at once whether the peer is there: a ping with this payload is to be sent, and anything
    /// must come back within `patience`.
    pub fn probe(&mut self, patience: Duration, now: Instant) -> [u8; 8] {
        self.probe = Some(Box::new(Probe { ends: now + patience, patience }));
        self.new_ping(now)
    }

    /// The process slept, or its pings were held back: what was waited for until now does not count.
    pub fn forgive(&mut self, now: Instant) {
        self.probe = None;
        if let Some(pings) = &mut self.pings {
            pings.outstanding_since = None;
            if let Some(due) = &mut pings.next_due {
                *due = now + pings.frequency;
            }
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let ping = self.pings.as_ref().and_then(|pings| match pings.outstanding_since {
            Some(_) if !self.reading => None,
            Some(since) => Some(since + pings.patience),
            None => pings.next_due,
        });
        let probe = self.probe.as_ref().filter(|_| self.reading).map(|probe| probe.ends);
        [ping, probe].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Due {
        if let Some(probe) = self.probe.as_ref().filter(|probe| self.reading && now >= probe.ends) {
            return Due::Lost(probe.patience);
        }
        let Some(pings) = &mut self.pings else { return Due::Nothing };
        match (pings.outstanding_since, pings.next_due) {
            (Some(since), _) if self.reading && now >= since + pings.patience => Due::Lost(pings.patience),
            (None, Some(due)) if now >= due => {
                // From the schedule while it is kept, from now once it was missed: a process that
                // was asleep has not waited for an answer.
                let next = due + pings.frequency;
                let due = if next > now { due } else { now };
                pings.outstanding_since = Some(due);
                pings.next_due = Some(due + pings.frequency);
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

    /// Any byte from the peer is a sign of life.
    #[inline]
    pub fn received(&mut self, now: Instant) {
        self.probe = None;
        if let Some(pings) = &mut self.pings
            && pings.outstanding_since.take().is_some()
            && let Some(due) = &mut pings.next_due
        {
            *due = (*due).max(now);
        }
    }

    /// Reading stops while the game is behind, and the peer is not to blame for that.
    pub fn set_reading(&mut self, reading: bool, now: Instant) {
        if let Some(since) = self.pings.as_mut().and_then(|pings| pings.outstanding_since.as_mut())
            && reading
            && !self.reading
        {
            *since = now;
        }
        if let Some(probe) = self.probe.as_mut().filter(|_| reading && !self.reading) {
            probe.ends = now + probe.patience;
        }
        self.reading = reading;
    }

    /// A pong came; if it answers the last ping of ours, it gives the round trip.
    pub fn pong(&mut self, payload: &[u8], now: Instant) {
        let Some(sent) = self.last_ping else { return };
        if payload != self.counter.to_be_bytes() {
            return;
        }
        self.last_ping = None;
        let sample = now.saturating_duration_since(sent);
        // Smoothed as TCP smooths its own round trip (RFC 6298 section 2): an eighth of the new.
        self.smoothed = Some(match self.smoothed {
            Some(smoothed) => (smoothed * 7 + sample) / 8,
            None => sample,
        });
    }

    pub fn latency(&self) -> Option<Duration> {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: PingSettings = PingSettings {
        enabled: true,
        frequency: Duration::from_millis(1000),
        patience: Duration::from_millis(2000),
    };

    fn open(settings: PingSettings, start: Instant) -> Liveness {
        let mut liveness = Liveness::new(settings);
        liveness.start(start);
        liveness
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_silent_peer_is_lost_after_frequency_plus_patience() {
        let start = Instant::now();
        let mut liveness = open(SETTINGS, start);
        assert_eq!(liveness.deadline(), Some(after(start, 1000)));
        assert!(matches!(liveness.handle_timeout(after(start, 1000)), Due::Ping(_)));
        assert_eq!(liveness.deadline(), Some(after(start, 3000)));
        assert_eq!(liveness.handle_timeout(after(start, 2999)), Due::Nothing);
        assert_eq!(liveness.handle_timeout(after(start, 3000)), Due::Lost(SETTINGS.patience));
    }

    #[test]
    fn any_byte_ends_the_wait_and_the_next_ping_follows_its_frequency() {
        let start = Instant::now();
        let mut liveness = open(SETTINGS, start);
        liveness.handle_timeout(after(start, 1000));
        liveness.received(after(start, 1500));
        assert_eq!(liveness.deadline(), Some(after(start, 2000)));
        assert!(matches!(liveness.handle_timeout(after(start, 2000)), Due::Ping(_)));
    }

    #[test]
    fn a_late_worker_does_not_send_a_burst_of_pings() {
        let start = Instant::now();
        let mut liveness = open(SETTINGS, start);
        assert!(matches!(liveness.handle_timeout(after(start, 5_500)), Due::Ping(_)));
        assert_eq!(liveness.handle_timeout(after(start, 5_501)), Due::Nothing, "the answer has its time");
        liveness.received(after(start, 5_500));
        assert!(liveness.deadline() > Some(after(start, 5_500)));
    }

    #[test]
    fn silence_while_nobody_reads_is_nobodys_fault() {
        let start = Instant::now();
        let mut liveness = open(SETTINGS, start);
        liveness.handle_timeout(after(start, 1000));
        liveness.set_reading(false, after(start, 1100));
        assert_eq!(liveness.handle_timeout(after(start, 60_000)), Due::Nothing);
        liveness.set_reading(true, after(start, 60_000));
        assert_eq!(liveness.handle_timeout(after(start, 61_999)), Due::Nothing);
        assert_eq!(liveness.handle_timeout(after(start, 62_000)), Due::Lost(SETTINGS.patience));
    }

    #[test]
    fn the_round_trip_is_that_of_our_own_ping_and_is_smoothed() {
        let start = Instant::now();
        let mut liveness = open(SETTINGS, start);
        let Due::Ping(payload) = liveness.handle_timeout(after(start, 1000)) else { panic!("no ping") };
        liveness.pong(b"somebody else's", after(start, 1001));
        assert_eq!(liveness.latency(), None);
        liveness.pong(&payload, after(start, 1040));
        assert_eq!(liveness.latency(), Some(Duration::from_millis(40)));
        liveness.received(after(start, 1040));
        let Due::Ping(payload) = liveness.handle_timeout(after(start, 2000)) else { panic!("no ping") };
        liveness.pong(&payload, after(start, 2120));
        assert_eq!(liveness.latency(), Some(Duration::from_millis(50)));
    }

    #[test]
    fn switched_off_it_does_nothing_and_on_again_it_starts_anew() {
        let start = Instant::now();
        let off = PingSettings { enabled: false, ..SETTINGS };
        let mut liveness = open(off, start);
        assert_eq!(liveness.deadline(), None);
        liveness.set(SETTINGS, after(start, 500));
        assert_eq!(liveness.deadline(), Some(after(start, 1500)));
        liveness.set(off, after(start, 600));
        assert_eq!(liveness.deadline(), None);
    }

    #[test]
    fn a_probe_is_a_ping_out_of_turn_with_a_patience_of_its_own() {
        let start = Instant::now();
        let off = PingSettings { enabled: false, ..SETTINGS };
        let patience = Duration::from_millis(300);
        for (settings, next) in [(off, None), (SETTINGS, Some(after(start, 1000)))] {
            let mut liveness = open(settings, start);
            assert_eq!(liveness.probe(patience, start), 1u64.to_be_bytes());
            assert_eq!(liveness.deadline(), Some(after(start, 300)));
            assert_eq!(liveness.handle_timeout(after(start, 299)), Due::Nothing);
            let mut silent = open(settings, start);
            silent.probe(patience, start);
            assert_eq!(silent.handle_timeout(after(start, 300)), Due::Lost(patience));
            liveness.received(after(start, 299));
            assert_eq!(liveness.deadline(), next);
            assert_eq!(liveness.handle_timeout(after(start, 300)), Due::Nothing);
            // Its answer gives the round trip, as any ping's does.
            liveness.pong(&1u64.to_be_bytes(), after(start, 299));
            assert_eq!(liveness.latency(), Some(Duration::from_millis(299)));
        }
    }

    #[test]
    fn a_probe_waits_while_nobody_reads() {
        let start = Instant::now();
        let patience = Duration::from_millis(300);
        let mut liveness = open(PingSettings { enabled: false, ..SETTINGS }, start);
        liveness.set_reading(false, start);
        liveness.probe(patience, start);
        assert_eq!(liveness.deadline(), None);
        assert_eq!(liveness.handle_timeout(after(start, 9000)), Due::Nothing);
        liveness.set_reading(true, after(start, 9000));
        assert_eq!(liveness.handle_timeout(after(start, 9299)), Due::Nothing);
        assert_eq!(liveness.handle_timeout(after(start, 9300)), Due::Lost(patience));
    }

    #[test]
    fn a_sleep_is_nobodys_silence() {
        let start = Instant::now();
        let mut liveness = open(SETTINGS, start);
        assert!(matches!(liveness.handle_timeout(after(start, 1000)), Due::Ping(_)));
        liveness.probe(Duration::from_millis(300), after(start, 1000));
        liveness.forgive(after(start, 60_000));
        assert_eq!(liveness.handle_timeout(after(start, 60_999)), Due::Nothing);
        assert!(matches!(liveness.handle_timeout(after(start, 61_000)), Due::Ping(_)));
        assert_eq!(liveness.handle_timeout(after(start, 63_000)), Due::Lost(SETTINGS.patience));
    }
}
