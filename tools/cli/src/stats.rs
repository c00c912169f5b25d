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
/// Buckets of equal width, with the one for everything above them.
const BUCKETS: u64 = 12;
/// The ratio of the 99th percentile to the minimum from which buckets get wider.
const WIDE: u64 = 10;
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

    /// Returns buckets of equal width, or, if the values differ by more than an order of magnitude, with bounds of the
    /// form 1, 2 or 5 times a power of ten. The last one may have no upper bound.
    pub fn buckets(&self) -> Vec<Bucket> {
        let (low, high) = (self.histogram.min(), self.histogram.value_at_percentile(99.0));
        let width = nice((high.saturating_sub(low) / (BUCKETS - 1)).max(1));
        let end = low / width * width + width * (BUCKETS - 1);
        let is_wide = high / low.max(1) >= WIDE;
        // The bucket of a value.
        let bounds = |value: u64| match is_wide {
            true => (nice_below(value), Some(nice(value + 1))),
            false if value < end => (value / width * width, Some(value / width * width + width)),
            false => (end, None),
        };
        let mut buckets: Vec<Bucket> = Vec::new();
        for recorded in self.histogram.iter_recorded() {
            let (value, count) = (recorded.value_iterated_to().max(1), recorded.count_at_value());
            let (from, to) = bounds(value);
            // Empty buckets between two values are shown too.
            while let Some(next) = buckets.last().and_then(|bucket| bucket.to).filter(|next| *next < from) {
                buckets.push(Bucket { from: next, to: bounds(next).1, count: 0 });
            }
            match buckets.last_mut() {
                Some(bucket) if bucket.from == from => bucket.count += count,
                _ => buckets.push(Bucket { from, to, count }),
            }
        }
        buckets
    }

    pub fn json(&self) -> Value {
        let ms = |latency: Duration| json!(latency.as_nanos() as f64 / 1e6);
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

/// Returns the largest number of that form that is not above `most`.
fn nice_below(most: u64) -> u64 {
    let power = 10u64.pow(most.max(1).ilog10());
    [5, 2, 1].into_iter().map(|factor| factor * power).find(|step| *step <= most).unwrap_or(1)
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
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 1001);
        assert_eq!((buckets[0].from, buckets.last().unwrap().to), (100_000, Some(5_000_000_000)));
        assert!(buckets.windows(2).all(|pair| pair[0].to == Some(pair[1].from)), "{buckets:?}");
        assert!(Latencies::new().buckets().is_empty());
    }

    #[test]
    fn buckets_of_similar_samples_have_equal_width() {
        let mut latencies = Latencies::new();
        for us in 900..1100 {
            latencies.record(Duration::from_micros(us));
        }
        let buckets = latencies.buckets();
        assert!(buckets.len() as u64 <= BUCKETS, "{buckets:?}");
        let width = |bucket: &Bucket| bucket.to.map(|to| to - bucket.from);
        assert!(buckets.iter().all(|bucket| [None, Some(20_000)].contains(&width(bucket))), "{buckets:?}");
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 200);
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
        assert_eq!([1, 3, 12, 51, 999].map(nice_below), [1, 2, 10, 50, 500]);
    }
}
