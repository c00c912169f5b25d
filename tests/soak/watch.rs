//! Resources of the process over time.

use std::fmt;
use std::time::{Duration, Instant};

use super::Outcome;

const INTERVAL: Duration = Duration::from_millis(250);
/// Tolerance for the allocator and for timing.
const TOLERANCE_KIB: u64 = 8 << 10;
/// Connecting sockets use several descriptors.
const TOLERANCE_DESCRIPTORS: u64 = 40;

#[derive(Clone, Copy, Default)]
pub struct Sample {
    resident_kib: u64,
    pub descriptors: u64,
    pub threads: u64,
}

impl Sample {
    pub fn take() -> Self {
        let count = |folder: &str| std::fs::read_dir(folder).map_or(0, |entries| entries.count() as u64);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Self {
            resident_kib: resident.unwrap_or(0),
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            resident_kib: self.resident_kib.max(other.resident_kib),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, descriptors, threads } = self;
        write!(f, "{:.1} MiB, {descriptors} descriptors, {threads} threads", *resident_kib as f64 / 1024.0)
    }
}

/// The maximum of each resource in the second quarter, after warm-up, and in the last fifth.
pub struct Watch {
    start: Instant,
    duration: Duration,
    next: Instant,
    early: Sample,
    late: Sample,
}

impl Watch {
    pub fn new(duration: Duration) -> Self {
        let now = Instant::now();
        Self { start: now, duration, next: now, early: Sample::default(), late: Sample::default() }
    }

    pub fn sample(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + INTERVAL;
        let passed = (now - self.start).as_secs_f64() / self.duration.as_secs_f64();
        if (0.25..0.5).contains(&passed) {
            self.early = self.early.max(Sample::take());
        } else if passed >= 0.8 {
            self.late = self.late.max(Sample::take());
        }
    }

    pub fn check(&self) -> Outcome {
        let (early, late) = (self.early, self.late);
        let grown = late.resident_kib > early.resident_kib + early.resident_kib / 8 + TOLERANCE_KIB
            || late.descriptors > early.descriptors + TOLERANCE_DESCRIPTORS
            || late.threads > early.threads;
        if early.threads == 0 || late.threads == 0 {
            return Err("nothing was measured: too short?".to_owned());
        }
        if grown { Err(format!("resource usage grows: {self}")) } else { Ok(()) }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} early, {} late", self.early, self.late)
    }
}
