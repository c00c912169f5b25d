//! The model of a simulated link: which bytes move, and when. Time and seed are arguments.
//!
//! ```text
//!   enter ──► token bucket ──► in flight: due after delay and jitter, in order ──► take
//!     ▲ only what the rate allows now                                             ▲ never in a stall
//! ```
//!
//! Bytes enter only as far as the rate allows at the time, so that those which have to wait do so above the link,
//! where messages can still be reordered or dropped. What is in flight is bounded too.
//!
//! Independent of sockets.

use std::collections::VecDeque;
use std::time::Duration;

use super::link::{LinkConditions, LinkCut};
use crate::clock::Instant;
use crate::limits::{
    KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, LINK_BYTES_IN_FLIGHT, WRITE_STALL_TIMEOUT,
};

/// How long one random delay applies: about a frame of a game.
const JITTER_INTERVAL: Duration = Duration::from_millis(20);
/// The factor between the mean of the jitter and its limit, if none is set.
const DEFAULT_JITTER_LIMIT: u32 = 10;
/// The bucket holds the bytes of a second divided by this, unless a size is set.
const BUCKETS_PER_SECOND: u64 = 100;
/// The bytes that an empty bucket waits for, at most: less would only cost wakeups.
const PACKET: u64 = 1460;
/// Chunks that become due within this time are one.
const RESOLUTION: Duration = Duration::from_millis(1);
/// The chunks in flight in each direction, so that a flood of tiny ones is bounded too.
const MAX_CHUNKS: usize = 16 << 10;

/// The two directions of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Out,
    In,
}

/// How a connection over the link has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    Reset,
    EndOfStream,
    /// Nothing was acknowledged for as long as the kernel of a real connection waits.
    TimedOut,
}

/// A simulated link of one connection.
pub struct LinkModel {
    schedule: Schedule,
    cut: LinkCut,
    out: Flow,
    input: Flow,
    /// While the link is half open: when the kernel of a real connection would end it.
    dies: Option<Instant>,
}

/// What depends on the time alone.
struct Schedule {
    seed: u32,
    started: Instant,
    stall_every: Duration,
    stall: Duration,
}

/// One direction.
struct Flow {
    direction: Direction,
    delay: Duration,
    jitter: Duration,
    jitter_max: Duration,
    bucket: Option<Bucket>,
    bytes: VecDeque<u8>,
    chunks: VecDeque<Chunk>,
}

/// Consecutive bytes that become due together.
struct Chunk {
    len: usize,
    /// When its first byte would be due alone.
    earliest: Instant,
    due: Instant,
}

struct Bucket {
    bytes_per_second: u64,
    /// In millionths of a byte.
    capacity: u64,
    level: u64,
    /// Whole microseconds after the start: the level is exact.
    updated: Instant,
    /// It was emptied, and fills up to a packet before anything may enter.
    refills: bool,
}

/// Returns how long a connection takes to be established, one round trip, or `None` if it never is.
pub fn round_trip(conditions: &LinkConditions, now: Instant) -> Option<Duration> {
    if matches!(conditions.cut, LinkCut::Stall | LinkCut::HalfOpen) {
        return None;
    }
    let schedule = Schedule::new(conditions, now);
    let delays = [Direction::Out, Direction::In].map(|direction| {
        let flow = Flow::new(direction, conditions, now);
        flow.delay + schedule.jitter(&flow, now)
    });
    Some(delays.iter().sum())
}

impl LinkModel {
    /// Creates the link of a connection that is established now.
    pub fn new(conditions: &LinkConditions, now: Instant) -> Self {
        let mut model = Self {
            schedule: Schedule::new(conditions, now),
            cut: LinkCut::None,
            out: Flow::new(Direction::Out, conditions, now),
            input: Flow::new(Direction::In, conditions, now),
            dies: None,
        };
        model.cut(conditions.cut, now);
        model
    }

    /// Changes the conditions. What is in flight keeps its time, but without conditions it is due at once.
    pub fn set(&mut self, conditions: Option<&LinkConditions>, now: Instant) {
        let set = conditions.copied().unwrap_or_default();
        self.schedule = Schedule::new(&set, now);
        for flow in [&mut self.out, &mut self.input] {
            let empty = Flow::new(flow.direction, &set, now);
            let old = std::mem::replace(flow, empty);
            (flow.bytes, flow.chunks) = (old.bytes, old.chunks);
            if conditions.is_none() {
                flow.chunks.iter_mut().for_each(|chunk| chunk.due = chunk.due.min(now));
            }
        }
        self.cut(set.cut, now);
    }

    fn cut(&mut self, cut: LinkCut, now: Instant) {
        if self.cut.is_final() {
            return;
        }
        self.cut = cut;
        if cut == LinkCut::HalfOpen {
            let keepalive = KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_PROBES;
            self.dies = Some(now + keepalive);
        }
        if cut.is_final() {
            for flow in [&mut self.out, &mut self.input] {
                (flow.bytes, flow.chunks) = Default::default();
            }
        }
    }

    /// The end of the connection, if it has ended.
    pub fn end(&self, now: Instant) -> Option<LinkEnd> {
        match self.cut {
            LinkCut::Reset => Some(LinkEnd::Reset),
            LinkCut::End => Some(LinkEnd::EndOfStream),
            _ => self.dies.filter(|dies| now >= *dies).map(|_| LinkEnd::TimedOut),
        }
    }

    /// Whether bytes are lost instead of moved.
    pub fn loses(&self) -> bool {
        self.cut == LinkCut::HalfOpen
    }

    /// Whether anything moves now: there is no stall.
    pub fn moves(&self, now: Instant) -> bool {
        self.cut != LinkCut::Stall && self.schedule.stall_end(now).is_none()
    }

    /// Returns when something happens that is due at this time: then, or after a stall.
    pub fn happens_at(&self, due: Instant, now: Instant) -> Option<Instant> {
        (self.cut != LinkCut::Stall).then(|| self.schedule.after_stall(due, now))
    }

    /// Returns how many bytes may enter now.
    pub fn room(&mut self, direction: Direction, now: Instant) -> usize {
        if !self.moves(now) {
            return 0;
        }
        if self.loses() {
            return LINK_BYTES_IN_FLIGHT;
        }
        let flow = self.flow_mut(direction);
        let free = flow.free();
        match &mut flow.bucket {
            Some(bucket) => bucket.allows(now).min(free),
            None => free,
        }
    }

    /// Returns when bytes may enter, if they may not now; `None` if that depends on what is in flight, or is never.
    pub fn room_at(&self, direction: Direction, now: Instant) -> Option<Instant> {
        let flow = self.flow(direction);
        if flow.free() == 0 {
            return None;
        }
        let at = match &flow.bucket {
            Some(bucket) => bucket.refilled_at(),
            None => now,
        };
        self.happens_at(at, now)
    }

    /// Adds bytes, at most [`room`](Self::room).
    pub fn enter(&mut self, direction: Direction, bytes: &[u8], now: Instant) {
        if self.loses() {
            if direction == Direction::Out && !bytes.is_empty() {
                let dies = now + WRITE_STALL_TIMEOUT;
                self.dies = Some(self.dies.map_or(dies, |set| set.min(dies)));
            }
            return;
        }
        let (schedule, flow) = match direction {
            Direction::Out => (&self.schedule, &mut self.out),
            Direction::In => (&self.schedule, &mut self.input),
        };
        let due = now + flow.delay + schedule.jitter(flow, now);
        flow.enter(bytes, due);
    }

    /// Returns the first bytes that have arrived, not necessarily all.
    pub fn arrived(&self, direction: Direction, now: Instant) -> &[u8] {
        let flow = self.flow(direction);
        let Some(chunk) = flow.chunks.front() else { return &[] };
        if chunk.due > now || !self.moves(now) {
            return &[];
        }
        let first = flow.bytes.as_slices().0;
        &first[..first.len().min(chunk.len)]
    }

    /// Removes bytes that [`arrived`](Self::arrived) has returned.
    pub fn take(&mut self, direction: Direction, count: usize) {
        self.flow_mut(direction).take(count);
    }

    /// Whether bytes are in flight.
    pub fn has(&self, direction: Direction) -> bool {
        !self.flow(direction).chunks.is_empty()
    }

    /// Returns when the next bytes arrive, which may be in the past.
    pub fn arrives_at(&self, direction: Direction, now: Instant) -> Option<Instant> {
        let chunk = self.flow(direction).chunks.front()?;
        self.happens_at(chunk.due, now)
    }

    /// Returns when something that enters now would arrive: the end of the stream.
    pub fn would_arrive_at(&self, direction: Direction, now: Instant) -> Instant {
        let flow = self.flow(direction);
        let due = now + flow.delay + self.schedule.jitter(flow, now);
        flow.chunks.back().map_or(due, |last| due.max(last.due))
    }

    /// When the connection ends by itself.
    pub fn dies_at(&self) -> Option<Instant> {
        self.dies
    }

    fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::Out => &self.out,
            Direction::In => &self.input,
        }
    }

    fn flow_mut(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Out => &mut self.out,
            Direction::In => &mut self.input,
        }
    }
}

impl Schedule {
    fn new(conditions: &LinkConditions, now: Instant) -> Self {
        let LinkConditions { seed, stall_every, stall, .. } = *conditions;
        Self { seed, started: now, stall_every, stall }
    }

    /// Returns the end of the stall that is under way.
    fn stall_end(&self, now: Instant) -> Option<Instant> {
        if self.stall.is_zero() {
            return None;
        }
        let elapsed = now.saturating_duration_since(self.started);
        let periods = elapsed.as_nanos().checked_div(self.stall_every.as_nanos())?;
        // The connection begins without a stall.
        if periods == 0 {
            return None;
        }
        let begin = Duration::from_nanos(u64::try_from(periods * self.stall_every.as_nanos()).ok()?);
        (elapsed < begin + self.stall).then(|| self.started + begin + self.stall)
    }

    /// Returns `at`, or the end of the stall into which it falls. If it is over, only a stall that is under way now
    /// matters.
    fn after_stall(&self, at: Instant, now: Instant) -> Instant {
        self.stall_end(at.max(now)).unwrap_or(at)
    }

    /// The additional delay of what enters now. A function of the time, not of the bytes, so that it is the same for
    /// any traffic.
    fn jitter(&self, flow: &Flow, now: Instant) -> Duration {
        if flow.jitter.is_zero() {
            return Duration::ZERO;
        }
        let elapsed = now.saturating_duration_since(self.started);
        let interval = (elapsed.as_nanos() / JITTER_INTERVAL.as_nanos()) as u64;
        let stream = u64::from(self.seed) << 1 | u64::from(flow.direction == Direction::In);
        let random = mix(mix(stream).wrapping_add(interval));
        // 53 bits: from 0 to less than 1.
        let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
        let factor = -(1.0 - uniform).ln();
        flow.jitter.mul_f64(factor).min(flow.jitter_max)
    }
}

/// SplitMix64: turns a counter into random numbers.
fn mix(counter: u64) -> u64 {
    let mut mixed = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Flow {
    fn new(direction: Direction, conditions: &LinkConditions, now: Instant) -> Self {
        let (delay, jitter, bytes_per_second) = match direction {
            Direction::Out => (conditions.out_delay, conditions.out_jitter, conditions.out_bytes_per_second),
            Direction::In => (conditions.in_delay, conditions.in_jitter, conditions.in_bytes_per_second),
        };
        let jitter_max = match conditions.jitter_max {
            Duration::ZERO => jitter * DEFAULT_JITTER_LIMIT,
            limit => limit,
        };
        let bucket = (bytes_per_second != 0)
            .then(|| Bucket::new(bytes_per_second.into(), conditions.burst_bytes.into(), now));
        let (bytes, chunks) = Default::default();
        Self { direction, delay, jitter, jitter_max, bucket, bytes, chunks }
    }

    fn free(&self) -> usize {
        if self.chunks.len() >= MAX_CHUNKS {
            return 0;
        }
        LINK_BYTES_IN_FLIGHT.saturating_sub(self.bytes.len())
    }

    fn enter(&mut self, bytes: &[u8], due: Instant) {
        if bytes.is_empty() {
            return;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.spend(bytes.len() as u64);
        }
        self.bytes.extend(bytes);
        match self.chunks.back_mut() {
            Some(last) if due.saturating_duration_since(last.earliest) < RESOLUTION => {
                last.len += bytes.len();
                // Not before its time, and in order.
                last.due = last.due.max(due);
            }
            last => {
                let due = last.map_or(due, |last| due.max(last.due));
                self.chunks.push_back(Chunk { len: bytes.len(), earliest: due, due });
            }
        }
    }

    fn take(&mut self, count: usize) {
        self.bytes.drain(..count);
        if let Some(chunk) = self.chunks.front_mut() {
            chunk.len -= count;
            if chunk.len == 0 {
                self.chunks.pop_front();
            }
        }
    }
}

const MILLIONTHS: u64 = 1_000_000;

impl Bucket {
    fn new(bytes_per_second: u64, burst: u64, now: Instant) -> Self {
        let burst = if burst == 0 { bytes_per_second / BUCKETS_PER_SECOND } else { burst };
        let capacity = burst.max(packet(bytes_per_second)) * MILLIONTHS;
        Self { bytes_per_second, capacity, level: capacity, updated: now, refills: false }
    }

    /// Returns how many bytes the rate allows now.
    fn allows(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.updated).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        // Bytes a second are millionths of a byte a microsecond.
        self.level =
            self.level.saturating_add(passed.saturating_mul(self.bytes_per_second)).min(self.capacity);
        self.updated += Duration::from_micros(passed);
        let bytes = self.level / MILLIONTHS;
        if self.refills && bytes < packet(self.bytes_per_second) {
            return 0;
        }
        self.refills = bytes == 0;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns when something may enter, counted from the last update.
    fn refilled_at(&self) -> Instant {
        let missing = (packet(self.bytes_per_second) * MILLIONTHS).saturating_sub(self.level);
        self.updated + Duration::from_micros(missing.div_ceil(self.bytes_per_second))
    }

    fn spend(&mut self, bytes: u64) {
        self.level = self.level.saturating_sub(bytes * MILLIONTHS);
        self.refills = self.level < MILLIONTHS;
    }
}

/// What an empty bucket waits for.
fn packet(bytes_per_second: u64) -> u64 {
    (bytes_per_second / BUCKETS_PER_SECOND).clamp(1, PACKET)
}

#[cfg(test)]
mod tests;
