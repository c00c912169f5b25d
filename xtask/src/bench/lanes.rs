//! Measures what an urgent message waits for beside a bulk transfer, with and without lanes, and how fast the bulk
//! transfer is. Writes the table of `docs/lanes.md`.

use std::path::Path;

use crate::c::Build;
use crate::platforms;
use crate::run::{Echo, Outcome};
use crate::state_sync::StateSync;

/// Bytes per second, and a name; 0 for loopback without a link.
const RATES: [(u32, &str); 3] = [(1_000_000, "1 MB/s"), (125_000, "125 kB/s"), (0, "loopback")];
const SECONDS: &str = "10";

pub fn run(build: Build) -> Outcome {
    let (program, echo) = (StateSync::build(build)?, Echo::start()?);
    let transports: [(&str, &str, Option<&Path>, &[&str]); 3] = [
        ("`ws`", &echo.ws, None, &[]),
        ("`wss`", &echo.wss, Some(&echo.ca), &[]),
        ("HTTP/2 over TLS", &echo.http2, Some(&echo.ca), &["--http2"]),
    ];
    let mut table = format!(
        "{} build, {SECONDS} s each, in one run.\n\n\
         | link | transport | one queue: p50 | p99 | bulk | lanes: p50 | p99 | bulk |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        if build == Build::Release { "Release" } else { "Development" },
    );
    for (rate, link) in RATES {
        for (transport, url, ca, more) in transports {
            table += &format!("| {link} | {transport} |");
            for lanes in [&["--no-lanes"][..], &[]] {
                let rate = rate.to_string();
                let options = [&["--seconds", SECONDS, "--rate", &rate], more, lanes].concat();
                let run = program.run(&options, url, ca)?;
                let (p50, p99) = (run.percentile(0.5), run.percentile(0.99));
                println!(
                    "{link}, {transport}, {lanes:?}: p50 {p50:.1} ms, p99 {p99:.1} ms, {:.0} kB/s",
                    run.bulk
                );
                table += &format!(" {} | {} | {} |", time(p50), time(p99), speed(run.bulk));
            }
            table.push('\n');
        }
    }
    platforms::replace("docs/lanes.md", "latency", &table)
}

fn time(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

fn speed(kilobytes: f64) -> String {
    if kilobytes < 10_000.0 {
        format!("{kilobytes:.0} kB/s")
    } else {
        format!("{:.0} MB/s", kilobytes / 1000.0)
    }
}
