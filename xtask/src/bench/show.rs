//! Prints the results as tables.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::measures::{self, Kind, Test};
use super::run::{Results, Runs};

/// The client that all others are compared with.
pub const LIMIT: &str = "raw";
/// How the names of Framewire's clients begin.
pub const OURS: &str = "framewire";
/// What the server cannot see in the masks of a client, by how its name begins. Such clients count as other libraries
/// all the same.
const NOTES: &[(&str, &str)] = &[("sockudo-ws", "predictable mask keys")];
/// How the names of clients end that flush once for many messages.
const BATCHED: &str = " batched";

pub fn show(results: &Results) {
    let faults = faults(results);
    for test in measures::all() {
        if let Some(clients) = results.get(test.name) {
            println!("\n## {}: {}\n", test.name, test.what);
            let limit = clients.get(LIMIT).and_then(best_cpu);
            println!("{}", header(&test));
            for (client, runs) in clients {
                println!("| {} | {} |", noted(client, &faults), row(&test, runs, limit));
            }
            if !matches!(test.kind, Kind::Memory | Kind::Allocations) {
                show_fastest(clients, &faults);
            }
        }
    }
}

/// How clients break the protocol, by client: what one test shows applies to the client in all tests. The limit is
/// left out, as it sends prepared frames.
pub fn faults(results: &Results) -> BTreeMap<&str, String> {
    let runs = results.values().flatten().filter(|(client, _)| *client != LIMIT);
    runs.filter_map(|(client, runs)| Some((client.as_str(), runs.fault()?))).collect()
}

/// Returns how a client breaks the protocol.
pub fn note<'a>(client: &str, faults: &'a BTreeMap<&str, String>) -> Option<&'a str> {
    let known = NOTES.iter().find(|(start, _)| client.starts_with(start));
    faults.get(client).map(String::as_str).or(known.map(|(_, note)| *note))
}

fn noted(client: &str, faults: &BTreeMap<&str, String>) -> String {
    note(client, faults).map_or_else(|| client.to_owned(), |note| format!("{client} ({note})"))
}

/// Prints the fastest other library that follows the protocol. If it batches manually, prints the fastest one with
/// one call for each message too.
fn show_fastest(clients: &BTreeMap<String, Runs>, faults: &BTreeMap<&str, String>) {
    let is_other = |name: &str| name != LIMIT && !name.starts_with(OURS) && !faults.contains_key(name);
    let cpu = |wanted: &dyn Fn(&str) -> bool| {
        let all = clients.iter().filter(|(name, _)| wanted(name));
        all.filter_map(|(name, runs)| Some((name, best_cpu(runs)?))).min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let Some((name, best)) = cpu(&is_other) else { return };
    let mut line = format!("\nFastest other library: {}, {}", noted(name, faults), time(best));
    if name.ends_with(BATCHED)
        && let Some((name, one)) = cpu(&|name| is_other(name) && !name.ends_with(BATCHED))
    {
        let _ = write!(line, "; with one call for each message: {}, {}", noted(name, faults), time(one));
    }
    if let Some((name, ours)) = cpu(&|name| name.starts_with(OURS)) {
        let _ = write!(line, ". {name}: {}, {:.2} of the fastest", time(ours), ours / best);
    }
    println!("{line}.");
}

fn header(test: &Test) -> &'static str {
    match test.kind {
        Kind::Throughput => {
            "| client | CPU a message, best | median | to the limit | messages/s, best |\n\
             | --- | ---: | ---: | ---: | ---: |"
        }
        Kind::Latency => {
            "| client | CPU a message, best | median | to the limit | p50, best | median | p99, best | median \
             | p99.9, best |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        }
        Kind::Connect => {
            "| client | CPU a connection, best | median | to the limit | p50, best | p99, best |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |"
        }
        Kind::Memory => "| client | heap a connection | resident | threads |\n| --- | ---: | ---: | ---: |",
        Kind::Allocations => "| client | allocations a message |\n| --- | ---: |",
    }
}

fn row(test: &Test, runs: &Runs, limit: Option<f64>) -> String {
    let cpu = runs.per_message("cpu_ns");
    let best = time(first(&cpu));
    let ratio = limit.map_or_else(|| "–".into(), |limit| format!("{:.2}", first(&cpu) / limit));
    let start = format!("{best} | {} | {ratio}", time(median(&cpu)));
    let of = |field: &str| runs.sorted(field);
    match test.kind {
        Kind::Throughput => {
            let wall = first(&runs.per_message("wall_ns"));
            format!("{start} | {}", thousands(1e9 / wall))
        }
        Kind::Latency => format!(
            "{start} | {} | {} | {} | {} | {}",
            time(first(&of("p50_ns"))),
            time(median(&of("p50_ns"))),
            time(first(&of("p99_ns"))),
            time(median(&of("p99_ns"))),
            time(first(&of("p999_ns")))
        ),
        Kind::Connect => format!("{start} | {} | {}", time(first(&of("p50_ns"))), time(first(&of("p99_ns")))),
        Kind::Memory => {
            let connections = first(&of("connections")).max(1.0);
            let each = |field: &str| bytes(first(&of(field)) / connections);
            format!("{} | {} | {}", each("heap"), each("rss"), first(&of("threads")))
        }
        Kind::Allocations => format!("{:.4}", first(&runs.per_message("allocations"))),
    }
}

pub fn best_cpu(runs: &Runs) -> Option<f64> {
    runs.per_message("cpu_ns").first().copied()
}

fn first(sorted: &[f64]) -> f64 {
    sorted.first().copied().unwrap_or(f64::NAN)
}

pub fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 100.0 => format!("{ns:.1} ns"),
        ns if ns < 1000.0 => format!("{ns:.0} ns"),
        ns if ns < 100_000.0 => format!("{:.1} µs", ns / 1000.0),
        ns if ns < 1_000_000.0 => format!("{:.0} µs", ns / 1000.0),
        ns if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

pub fn bytes(count: f64) -> String {
    if count < 10_240.0 { format!("{count:.0} B") } else { format!("{:.1} KiB", count / 1024.0) }
}

pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
