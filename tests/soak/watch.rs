//! Resources of the process over time.

use std::fmt;
use std::time::{Duration, Instant};

use super::Outcome;

const INTERVAL: Duration = Duration::from_millis(250);
/// Tolerance for the allocator and for timing.
const TOLERANCE_KIB: u64 = 8 << 10;
/// Connecting sockets use several descriptors.
const TOLERANCE_DESCRIPTORS: u64 = 40;
/// The library starts a resolver thread when more names wait than it has such threads, up to this number, and
/// keeps it. How many wait at once depends on the machine, so they are counted apart from the other threads.
const MAX_RESOLVER_THREADS: u64 = 8;

#[derive(Clone, Copy, Default)]
pub struct Sample {
    resident_kib: u64,
    pub descriptors: u64,
    /// Without the resolver's.
    pub threads: u64,
    pub resolver_threads: u64,
}

impl Sample {
    pub fn take() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        let (resolver, others): (Vec<String>, Vec<String>) =
            names.partition(|name| name.starts_with("framewire-dns-"));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Self {
            resident_kib: resident.unwrap_or(0),
            descriptors,
            threads: others.len() as u64,
            resolver_threads: resolver.len() as u64,
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            resident_kib: self.resident_kib.max(other.resident_kib),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
            resolver_threads: self.resolver_threads.max(other.resolver_threads),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, descriptors, threads, resolver_threads } = self;
        let mib = *resident_kib as f64 / 1024.0;
        write!(
            f,
            "{mib:.1} MiB, {descriptors} descriptors, {threads} threads and {resolver_threads} resolving"
        )
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
            || late.threads > early.threads
            || late.resolver_threads > MAX_RESOLVER_THREADS;
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
