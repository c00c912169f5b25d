//! Latencies: percentiles and a histogram.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::output::{QUIET, RECEIVED, STRONG, line};
use crate::values::show;

/// Longer latencies count as this one.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Significant digits of a recorded value.
const DIGITS: u8 = 3;
/// Buckets of a histogram, with the one for everything above them.
const BUCKETS: usize = 12;
/// Width of the longest bar on a terminal.
const BAR: usize = 40;

/// The percentiles of tables and JSON objects.
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9)];

pub struct Latencies {
    histogram: Histogram<u64>,
}

/// A bucket of a histogram in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub from: u64,
    /// `None` for the last bucket, which has no upper bound.
    pub to: Option<u64>,
    pub count: u64,
}

impl Latencies {
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("the bounds are valid");
        Self { histogram }
    }

    pub fn record(&mut self, latency: Duration) {
        self.histogram.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS));
    }

    pub fn add(&mut self, other: &Latencies) {
        self.histogram.add(&other.histogram).expect("the bounds are equal");
    }

    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.histogram.min())
    }

    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.histogram.max())
    }

    pub fn percentile(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_percentile(percentile))
    }

    /// Returns buckets of equal width up to the 99th percentile, and one for the rest.
    pub fn buckets(&self) -> Vec<Bucket> {
        if self.count() == 0 {
            return Vec::new();
        }
        let (low, high) = (self.histogram.min(), self.histogram.value_at_percentile(99.0));
        let width = nice((high.saturating_sub(low) / (BUCKETS as u64 - 1)).max(1));
        let first = low / width * width;
        let last = first + width * (BUCKETS as u64 - 1);
        let mut buckets: Vec<Bucket> = Vec::new();
        for recorded in self.histogram.iter_recorded() {
            let (value, count) = (recorded.value_iterated_to(), recorded.count_at_value());
            let (from, to) = match value {
                value if value < last => (value / width * width, Some(value / width * width + width)),
                _ => (last, None),
            };
            // Empty buckets between two values are shown too.
            while let Some(next) = buckets.last().and_then(|bucket| bucket.to).filter(|next| *next < from) {
                buckets.push(Bucket { from: next, to: Some(next + width), count: 0 });
            }
            match buckets.last_mut() {
                Some(bucket) if bucket.from == from => bucket.count += count,
                _ => buckets.push(Bucket { from, to, count }),
            }
        }
        buckets
    }

    pub fn json(&self) -> Value {
        let ms = |latency: Duration| json!(latency.as_secs_f64() * 1e3);
        let mut values = serde_json::Map::new();
        values.insert("min".into(), ms(self.min()));
        for (name, percentile) in PERCENTILES {
            values.insert(name.into(), ms(self.percentile(percentile)));
        }
        values.insert("max".into(), ms(self.max()));
        Value::Object(values)
    }

    /// Prints percentiles in one line.
    pub fn print_percentiles(&self) {
        let mut text = format!("min {}", show(self.min()));
        for (name, percentile) in PERCENTILES {
            text += &format!(" · {STRONG}{name}{STRONG:#} {}", show(self.percentile(percentile)));
        }
        line(format_args!("latency   {text} · max {}", show(self.max())));
    }

    /// Prints the histogram as bars.
    pub fn print_histogram(&self) {
        let buckets = self.buckets();
        let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1);
        for bucket in buckets {
            let range = match bucket.to {
                Some(to) => {
                    format!(
                        "{} – {}",
                        show(Duration::from_nanos(bucket.from)),
                        show(Duration::from_nanos(to))
                    )
                }
                None => format!("from {}", show(Duration::from_nanos(bucket.from))),
            };
            let length = (bucket.count as usize * BAR).div_ceil(most as usize);
            let bar = "█".repeat(length);
            line(format_args!("  {range:>20}  {RECEIVED}{bar}{RECEIVED:#} {QUIET}{}{QUIET:#}", bucket.count));
        }
    }
}

/// Returns the next number of the form 1, 2 or 5 times a power of ten.
pub fn nice(least: u64) -> u64 {
    let mut power = 1u64;
    loop {
        for factor in [1, 2, 5] {
            match power.checked_mul(factor) {
                Some(step) if step < least => {}
                step => return step.unwrap_or(u64::MAX),
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_contain_every_sample() {
        let mut latencies = Latencies::new();
        for us in 100..1100 {
            latencies.record(Duration::from_micros(us));
        }
        latencies.record(Duration::from_secs(2));
        let buckets = latencies.buckets();
        assert!(buckets.len() <= BUCKETS);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 1001);
        assert_eq!(buckets.last().unwrap().to, None);
        assert!(Latencies::new().buckets().is_empty());
    }

    #[test]
    fn a_single_sample_has_one_bucket() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_millis(3));
        assert_eq!(latencies.buckets().iter().filter(|bucket| bucket.count > 0).count(), 1);
    }

    #[test]
    fn steps_are_nice() {
        assert_eq!([1, 3, 12, 51, 600].map(nice), [1, 5, 20, 100, 1000]);
    }
}
