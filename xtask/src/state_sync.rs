//! Runs `examples/c/state_sync.c`, which sends states beside a bulk transfer, and draws its round trip times.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::c::{self, Build};
use crate::run::{Outcome, command, quietly, root};

/// The program, compiled.
pub struct StateSync(PathBuf);

/// What a run printed. Times are in milliseconds.
pub struct Run {
    /// When each state was sent, and its round trip time.
    pub samples: Vec<(f64, f64)>,
    /// kB/s.
    pub bulk: f64,
}

impl StateSync {
    pub fn build(build: Build) -> Outcome<Self> {
        let library = c::library(build)?;
        c::compile(&root().join("examples/c/state_sync.c"), &library, build).map(Self)
    }

    pub fn run(&self, options: &[&str], url: &str, ca: Option<&Path>) -> Outcome<Run> {
        let mut program = command("timeout");
        program.arg("120").arg(&self.0).arg("--samples").args(options).arg(url).args(ca);
        let output = quietly(&mut program)?;
        let numbers =
            |line: &str| -> Vec<f64> { line.split(' ').filter_map(|word| word.parse().ok()).collect() };
        let mut run = Run { samples: Vec::new(), bulk: 0.0 };
        for line in output.lines() {
            match (line.split(' ').next(), &numbers(line)[..]) {
                (Some("sample"), [sent, took]) => run.samples.push((*sent, *took)),
                (Some("bulk:"), [bulk]) => run.bulk = *bulk,
                _ => {}
            }
        }
        if run.samples.is_empty() { Err(format!("no state came back:\n{output}")) } else { Ok(run) }
    }
}

impl Run {
    /// The round trip time that this share of the states does not exceed.
    pub fn percentile(&self, share: f64) -> f64 {
        let mut times: Vec<f64> = self.samples.iter().map(|(_, took)| *took).collect();
        times.sort_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * share) as usize]
    }
}

/// In milliseconds.
const FRAME: f64 = 1000.0 / 60.0;
const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 44.0;

/// Draws runs over time, with their percentiles in the legend. Each has a name and a colour.
pub fn svg(title: &str, runs: &[(&str, &str, &Run)]) -> String {
    let samples = || runs.iter().flat_map(|(_, _, run)| &run.samples);
    let end = samples().map(|(sent, _)| *sent).fold(1.0, f64::max);
    let most = samples().map(|(_, took)| *took).fold(1.0, f64::max);
    // Five to ten lines.
    let step = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];
    let step = step.into_iter().find(|step| most / step <= 8.0).unwrap_or(5000.0);
    let top = (most / step).ceil() * step;
    let x = |ms: f64| LEFT + ms / end * (WIDTH - LEFT - RIGHT);
    let y = |ms: f64| HEIGHT - BOTTOM - ms / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#fff\"/>\n"
    );
    let text = |svg: &mut String, x: f64, y: f64, anchor: &str, fill: &str, text: &str| {
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>"
        );
    };
    text(&mut svg, LEFT, 24.0, "start", "#111", title);
    let lines = (top / step).round() as usize;
    for line in 0..=lines {
        let ms = line as f64 * step;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{1:.1}\" y2=\"{0:.1}\" stroke=\"#e4e7eb\"/>",
            y(ms),
            WIDTH - RIGHT
        );
        text(&mut svg, LEFT - 8.0, y(ms) + 4.0, "end", "#555", &format!("{ms:.0} ms"));
    }
    let seconds = (end / 1000.0).round() as usize;
    for second in (0..=seconds).step_by((seconds / 10).max(1)) {
        let at = x(second as f64 * 1000.0).min(WIDTH - RIGHT);
        text(&mut svg, at, HEIGHT - BOTTOM + 18.0, "middle", "#555", &format!("{second} s"));
    }
    for (index, (name, colour, run)) in runs.iter().enumerate() {
        let mut sorted = run.samples.clone();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        // One state for each frame.
        sorted.dedup_by_key(|(sent, _)| (*sent / FRAME).round());
        let points: Vec<String> =
            sorted.iter().map(|(sent, took)| format!("{:.1},{:.1}", x(*sent), y(*took))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.3\"/>",
            points.join(" ")
        );
        let at = LEFT + 400.0 * index as f64;
        let _ = writeln!(svg, "<rect x=\"{at:.1}\" y=\"37\" width=\"14\" height=\"4\" fill=\"{colour}\"/>");
        let legend = format!("{name}: p50 {:.0} ms, p99 {:.0} ms", run.percentile(0.5), run.percentile(0.99));
        text(&mut svg, at + 20.0, 44.0, "start", "#333", &legend);
    }
    text(&mut svg, WIDTH - RIGHT, HEIGHT - 8.0, "end", "#777", "time at which the state was sent");
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_curves_contain_every_sample() {
        let run =
            Run { samples: (1..=100).map(|at| (f64::from(at) * FRAME, f64::from(at))).collect(), bulk: 1.0 };
        assert_eq!((run.percentile(0.5), run.percentile(0.99), run.percentile(1.0)), (50.0, 99.0, 100.0));
        let svg = svg("title", &[("one", "#000", &run), ("two", "#111", &run)]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        let first = svg.lines().find(|line| line.starts_with("<polyline")).unwrap();
        assert_eq!(first.matches(',').count(), 100);
        assert!(svg.contains("two: p50 50 ms, p99 99 ms"));
    }
}
