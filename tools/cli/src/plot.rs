//! Diagrams of latencies and throughput as SVG.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::output::{Failure, status};
use crate::stats::{Latencies, nice};
use crate::values::show;

const WIDTH: f64 = 880.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const BLUE: &str = "#2563eb";
const ORANGE: &str = "#c2410c";
const RED: &str = "#dc2626";

/// Percentiles on the horizontal axis of the lower diagram of a bench.
const PERCENTILES: [f64; 8] = [0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

/// A sample of a ping: seconds since the start, and the round trip, `None` if no pong arrived.
pub type PingSample = (f64, Option<Duration>);

/// Writes a diagram.
pub fn write(file: &Path, svg: &str) -> Result<(), Failure> {
    std::fs::write(file, svg).map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))?;
    status(format_args!("diagram: {}", file.display()));
    Ok(())
}

/// Draws round trips over time, and their histogram.
pub fn pings(title: &str, samples: &[PingSample], latencies: &Latencies) -> String {
    let mut svg = Svg::new(480.0, title);
    let end = samples.iter().map(|(at, _)| *at).fold(0.0, f64::max).max(0.1);
    let highest = latencies.max().as_nanos() as f64;
    let upper = Area { top: 44.0, bottom: 240.0, x: (0.0, end), y: (0.0, highest.max(1.0) * 1.05) };
    svg.latency_axis(&upper);
    svg.time_axis(&upper);
    for (percentile, colour) in [(50.0, BLUE), (99.0, ORANGE)] {
        let value = latencies.percentile(percentile);
        let y = upper.y(value.as_nanos() as f64);
        svg.line((LEFT, y), (WIDTH - RIGHT, y), colour, 1.0);
        svg.text((WIDTH - RIGHT, y - 4.0), "end", colour, &format!("p{percentile} {}", show(value)));
    }
    for (at, sample) in samples {
        match sample {
            Some(latency) => svg.dot((upper.x(*at), upper.y(latency.as_nanos() as f64)), BLUE),
            None => svg.line((upper.x(*at), upper.top), (upper.x(*at), upper.bottom), RED, 1.5),
        }
    }
    let buckets = latencies.buckets();
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1) as f64;
    let lower =
        Area { top: 290.0, bottom: 440.0, x: (0.0, buckets.len().max(1) as f64), y: (0.0, most * 1.1) };
    svg.text((LEFT, 280.0), "start", "#555", "pings per round-trip time");
    svg.count_axis(&lower);
    for (i, bucket) in buckets.iter().enumerate() {
        let (left, right) = (lower.x(i as f64), lower.x(i as f64 + 1.0));
        svg.bar((left + 1.0, lower.y(bucket.count as f64)), (right - 1.0, lower.bottom), BLUE);
        let from = show(Duration::from_nanos(bucket.from));
        let label = if bucket.to.is_none() { format!("≥ {from}") } else { from };
        svg.text((left + 2.0, lower.bottom + 16.0), "start", "#555", &label);
    }
    svg.finish()
}

/// Draws messages per second over time, and the latency of each percentile.
pub fn bench(title: &str, rates: &[(f64, f64)], latencies: &Latencies) -> String {
    let mut svg = Svg::new(480.0, title);
    let end = rates.last().map_or(0.0, |(at, _)| *at).max(0.1);
    let highest = rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
    let upper = Area { top: 60.0, bottom: 240.0, x: (0.0, end), y: (0.0, highest * 1.1) };
    svg.text((LEFT, 50.0), "start", "#555", "messages per second");
    svg.count_axis(&upper);
    svg.time_axis(&upper);
    svg.polyline(rates.iter().map(|(at, rate)| (upper.x(*at), upper.y(*rate))), BLUE);
    // Logarithmic, as the tail is often a hundred times the median.
    let log = |value: Duration| (value.as_nanos() as f64).max(1.0).log10();
    let decades = (log(latencies.min()).floor(), log(latencies.percentile(99.99)).floor() + 1.0);
    let last = (PERCENTILES.len() - 1) as f64;
    let lower = Area { top: 300.0, bottom: 440.0, x: (0.0, last), y: decades };
    svg.text((LEFT, 290.0), "start", "#555", "latency of each percentile");
    svg.grid(&lower, 1.0, |decade| show(Duration::from_nanos(10f64.powf(decade) as u64)));
    let points = PERCENTILES.iter().enumerate().map(|(i, percentile)| {
        let value = if *percentile == 0.0 { latencies.min() } else { latencies.percentile(*percentile) };
        (i, value, (lower.x(i as f64), lower.y(log(value))))
    });
    let points: Vec<_> = points.collect();
    svg.polyline(points.iter().map(|(_, _, point)| *point), ORANGE);
    for (i, value, (x, y)) in points {
        let (anchor, label) = match i {
            0 => ("start", "min".to_owned()),
            i if i + 1 == PERCENTILES.len() => ("end", format!("p{}", PERCENTILES[i])),
            i => ("middle", format!("p{}", PERCENTILES[i])),
        };
        svg.dot((x, y), ORANGE);
        svg.text((x, y - 8.0), anchor, "#111", &show(value));
        svg.text((x, lower.bottom + 18.0), anchor, "#555", &label);
    }
    svg.finish()
}

/// Part of the picture, with the ranges of its axes.
struct Area {
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Area {
    fn x(&self, value: f64) -> f64 {
        LEFT + (value - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (value - self.y.0) / (self.y.1 - self.y.0) * (self.bottom - self.top)
    }
}

struct Svg(String);

impl Svg {
    fn new(height: f64, title: &str) -> Self {
        let mut svg = Self(String::new());
        svg.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\">"
        ));
        svg.add(format_args!("<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#fff\"/>"));
        svg.text((LEFT, 24.0), "start", "#111", title);
        svg
    }

    fn finish(mut self) -> String {
        self.add(format_args!("</svg>"));
        self.0
    }

    fn latency_axis(&mut self, area: &Area) {
        let step = nice((area.y.1 / 4.0) as u64) as f64;
        self.grid(area, step, |value| show(Duration::from_nanos(value as u64)));
    }

    fn count_axis(&mut self, area: &Area) {
        let step = nice(((area.y.1 / 4.0) as u64).max(1)) as f64;
        self.grid(area, step, |value| thousands(value as u64));
    }

    fn grid(&mut self, area: &Area, step: f64, label: impl Fn(f64) -> String) {
        let mut value = area.y.0;
        while value <= area.y.1 {
            let y = area.y(value);
            self.line((LEFT, y), (WIDTH - RIGHT, y), "#e4e7eb", 1.0);
            self.text((LEFT - 8.0, y + 4.0), "end", "#555", &label(value));
            value += step;
        }
    }

    fn time_axis(&mut self, area: &Area) {
        let step = nice(((area.x.1 * 1e3 / 8.0) as u64).max(1)) as f64 / 1e3;
        let mut at = 0.0;
        while at <= area.x.1 * 1.001 {
            let x = area.x(at).min(WIDTH - RIGHT);
            let label = format!("{} s", (at * 1e3).round() / 1e3);
            self.text((x, area.bottom + 18.0), "middle", "#555", &label);
            at += step;
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn dot(&mut self, at: (f64, f64), colour: &str) {
        self.add(format_args!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"{colour}\" fill-opacity=\"0.7\"/>",
            at.0, at.1
        ));
    }

    fn bar(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        self.add(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            from.0,
            from.1,
            to.0 - from.0,
            to.1 - from.1
        ));
    }

    fn polyline(&mut self, points: impl Iterator<Item = (f64, f64)>, colour: &str) {
        let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            points.join(" ")
        ));
    }

    fn text(&mut self, at: (f64, f64), anchor: &str, colour: &str, text: &str) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.add(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{escaped}</text>",
            at.0, at.1
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{element}").expect("a string takes everything");
    }
}

/// Formats a number with separators.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut separated = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn diagrams_without_samples_are_drawn() {
        let none = Latencies::new();
        assert!(pings("<none>", &[(0.0, None)], &none).contains("&lt;none&gt;"));
        assert!(bench("none", &[], &none).ends_with("</svg>\n"));
    }
}
