//! The model of a link, with the meaning of [`LinkConditions`]: delay, jitter, rate and stalls as functions of time.

use std::time::{Duration, Instant};

use framewire::LinkConditions;

/// How long one random delay applies: about a frame of a game.
const JITTER_INTERVAL: Duration = Duration::from_millis(20);
/// The factor between the mean of the jitter and its limit, if none is set.
const DEFAULT_JITTER_LIMIT: u32 = 10;
/// The bucket holds the bytes of a second divided by this, unless a size is set.
const BUCKETS_PER_SECOND: u64 = 100;
/// The bytes that an empty bucket waits for, at most: less would only cost wakeups.
const PACKET: u64 = 1460;
const MILLIONTHS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the target.
    Out,
    /// From the target.
    In,
}

/// One direction of a link whose connection was established at `started`.
pub struct Flow {
    seed: u64,
    started: Instant,
    delay: Duration,
    jitter: Duration,
    jitter_max: Duration,
    stall_every: Duration,
    stall: Duration,
    bucket: Option<Bucket>,
    last_due: Instant,
}

/// A token bucket; the level is in millionths of a byte.
struct Bucket {
    bytes_per_second: u64,
    capacity: u64,
    level: u64,
    updated: Instant,
}

impl Flow {
    pub fn new(conditions: &LinkConditions, direction: Direction, started: Instant) -> Self {
        let (delay, jitter, rate) = match direction {
            Direction::Out => (conditions.out_delay, conditions.out_jitter, conditions.out_bytes_per_second),
            Direction::In => (conditions.in_delay, conditions.in_jitter, conditions.in_bytes_per_second),
        };
        let jitter_max = match conditions.jitter_max {
            Duration::ZERO => jitter * DEFAULT_JITTER_LIMIT,
            limit => limit,
        };
        Self {
            seed: u64::from(conditions.seed) << 1 | u64::from(direction == Direction::In),
            started,
            delay,
            jitter,
            jitter_max,
            stall_every: conditions.stall_every,
            stall: conditions.stall,
            bucket: (rate != 0).then(|| Bucket::new(rate.into(), conditions.burst_bytes.into(), started)),
            last_due: started,
        }
    }

    /// Returns how many bytes may enter now, at most `most`, or when some may.
    pub fn room(&mut self, most: usize, now: Instant) -> Result<usize, Instant> {
        if let Some(end) = self.stall_end(now) {
            return Err(end);
        }
        match &mut self.bucket {
            None => Ok(most),
            Some(bucket) => bucket.allows(now).map(|bytes| bytes.min(most)),
        }
    }

    /// Lets bytes enter, and returns when they arrive.
    pub fn enter(&mut self, bytes: usize, now: Instant) -> Instant {
        if let Some(bucket) = &mut self.bucket {
            bucket.level = bucket.level.saturating_sub(bytes as u64 * MILLIONTHS);
        }
        // Bytes keep their order.
        self.last_due = self.last_due.max(now + self.delay + self.jitter(now));
        self.last_due
    }

    /// Returns the end of the stall that is under way.
    pub fn stall_end(&self, now: Instant) -> Option<Instant> {
        if self.stall.is_zero() || self.stall_every.is_zero() {
            return None;
        }
        let elapsed = now.saturating_duration_since(self.started);
        let periods = u32::try_from(elapsed.as_nanos() / self.stall_every.as_nanos()).ok()?;
        // The connection begins without a stall.
        let begin = self.stall_every.checked_mul(periods).filter(|_| periods > 0)?;
        (elapsed < begin + self.stall).then(|| self.started + begin + self.stall)
    }

    /// The additional delay of what enters now: exponentially distributed, a function of the time alone.
    fn jitter(&self, now: Instant) -> Duration {
        if self.jitter.is_zero() {
            return Duration::ZERO;
        }
        let elapsed = now.saturating_duration_since(self.started);
        let interval = (elapsed.as_nanos() / JITTER_INTERVAL.as_nanos()) as u64;
        let random = mix(mix(self.seed).wrapping_add(interval));
        // 53 bits: from 0 to less than 1.
        let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
        self.jitter.mul_f64(-(1.0 - uniform).ln()).min(self.jitter_max)
    }
}

/// Returns how long a connection takes to be established: one round trip.
pub fn round_trip(conditions: &LinkConditions, now: Instant) -> Duration {
    let flows = [Direction::Out, Direction::In].map(|direction| Flow::new(conditions, direction, now));
    flows.iter().map(|flow| flow.delay + flow.jitter(now)).sum()
}

impl Bucket {
    fn new(bytes_per_second: u64, burst: u64, now: Instant) -> Self {
        let burst = if burst == 0 { bytes_per_second / BUCKETS_PER_SECOND } else { burst };
        let capacity = burst.max(packet(bytes_per_second)) * MILLIONTHS;
        Self { bytes_per_second, capacity, level: capacity, updated: now }
    }

    /// Returns how many bytes the rate allows now, or when it allows a packet.
    fn allows(&mut self, now: Instant) -> Result<usize, Instant> {
        let passed = now.saturating_duration_since(self.updated).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        // Bytes a second are millionths of a byte a microsecond.
        self.level =
            self.level.saturating_add(passed.saturating_mul(self.bytes_per_second)).min(self.capacity);
        self.updated += Duration::from_micros(passed);
        let least = packet(self.bytes_per_second) * MILLIONTHS;
        if self.level < least {
            let missing = (least - self.level).div_ceil(self.bytes_per_second);
            return Err(self.updated + Duration::from_micros(missing));
        }
        Ok(usize::try_from(self.level / MILLIONTHS).unwrap_or(usize::MAX))
    }
}

/// What an empty bucket waits for.
fn packet(bytes_per_second: u64) -> u64 {
    (bytes_per_second / BUCKETS_PER_SECOND).clamp(1, PACKET)
}

/// SplitMix64: turns a counter into random numbers.
fn mix(counter: u64) -> u64 {
    let mut mixed = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn equal_seeds_have_equal_delays() {
        let conditions =
            LinkConditions { out_delay: 50 * MS, out_jitter: 10 * MS, seed: 7, ..Default::default() };
        let start = Instant::now();
        let arrivals = |seed| {
            let conditions = LinkConditions { seed, ..conditions };
            let mut flow = Flow::new(&conditions, Direction::Out, start);
            (0..100).map(|i| flow.enter(1, start + i * 20 * MS) - start).collect::<Vec<_>>()
        };
        assert_eq!(arrivals(7), arrivals(7));
        assert_ne!(arrivals(7), arrivals(8));
        let late: Duration = arrivals(7).iter().zip(0..).map(|(at, i)| *at - i * 20 * MS - 50 * MS).sum();
        assert!((400 * MS..3000 * MS).contains(&late), "100 delays of 10 ms on average: {late:?}");
    }

    #[test]
    fn bytes_keep_their_order() {
        let conditions = LinkConditions { in_jitter: 100 * MS, ..Default::default() };
        let start = Instant::now();
        let mut flow = Flow::new(&conditions, Direction::In, start);
        let arrivals: Vec<Instant> = (0..1000).map(|i| flow.enter(1, start + i * MS)).collect();
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn the_rate_is_kept() {
        let conditions = LinkConditions { out_bytes_per_second: 100_000, ..Default::default() };
        let start = Instant::now();
        let mut flow = Flow::new(&conditions, Direction::Out, start);
        let (mut now, mut total) = (start, 0);
        while now < start + Duration::from_secs(2) {
            match flow.room(16 << 10, now) {
                Ok(bytes) => {
                    flow.enter(bytes, now);
                    total += bytes;
                }
                Err(at) => now = at,
            }
        }
        assert!((199_000..=203_000).contains(&total), "{total}");
    }

    #[test]
    fn stalls_are_periodic_and_do_not_come_first() {
        let conditions = LinkConditions { stall_every: 100 * MS, stall: 30 * MS, ..Default::default() };
        let start = Instant::now();
        let flow = Flow::new(&conditions, Direction::Out, start);
        let ends = [0, 99, 100, 129, 130, 210].map(|at| flow.stall_end(start + at * MS));
        let expected = [None, None, Some(130), Some(130), None, Some(230)];
        assert_eq!(ends, expected.map(|at: Option<u32>| at.map(|at| start + at * MS)));
    }
}
