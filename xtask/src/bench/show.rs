//! Prints the results as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::measures::{self, Kind, Test};
use super::plot::Base;
use super::run::{Results, Runs};

/// The client that all others are compared with.
pub const LIMIT: &str = "raw";
/// The same, for the diagram.
pub const BASE: Base = Base { client: LIMIT, name: "the limit" };
/// How the names of Framewire's clients begin.
pub const OURS: &str = "framewire";
/// What the server cannot see in the masks of a client, by how its name begins. Such clients count as other libraries
/// all the same.
const NOTES: &[(&str, &str)] = &[("sockudo-ws", "predictable mask keys")];
/// The tests in the summary, in their usual order.
const IN_SUMMARY: &[&str] = &[
    "echo",
    "echo-tls",
    "recv-128",
    "recv-1k",
    "recv-64k",
    "recv-8m",
    "send-128",
    "send-1k",
    "send-64k",
    "send-8m",
    "recv-1k-tls",
    "send-1k-tls",
    "game",
    "connect",
    "connect-tls",
    "idle-10000",
    "idle-1000-tls",
];
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

/// Returns the results as one table: the best of each test beside Framewire.
pub fn summary(results: &Results) -> String {
    let faults = faults(results);
    let mut table = String::from(
        "| CPU a message | the limit | Framewire, worker | Framewire, poll | best other library | one call each |\n\
         | --- | ---: | ---: | ---: | --- | --- |\n",
    );
    for test in measures::all().iter().filter(|test| IN_SUMMARY.contains(&test.name)) {
        let Some(clients) = results.get(test.name) else { continue };
        let cost = |runs: &Runs| match test.kind {
            Kind::Memory => Some(first(&runs.sorted("heap")) / first(&runs.sorted("connections")).max(1.0)),
            _ => best_cpu(runs),
        };
        let shown = |cost: f64| if test.kind == Kind::Memory { bytes(cost) } else { time(cost) };
        let best = |wanted: &dyn Fn(&str) -> bool| {
            let is_other =
                |name: &str| name != LIMIT && !name.starts_with(OURS) && !faults.contains_key(name);
            let all = clients.iter().filter(|(name, _)| is_other(name) && wanted(name));
            all.filter_map(|(name, runs)| Some((name, cost(runs)?))).min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let Some((name, other)) = best(&|_| true) else { continue };
        let limit = clients.get(LIMIT).and_then(cost).filter(|_| test.kind != Kind::Memory);
        let ours = |client: &str| {
            let Some(cost) = clients.get(client).and_then(cost) else { return "–".to_owned() };
            let ratio = limit.map_or_else(String::new, |limit| format!(", {:.1}×", cost / limit));
            let text = format!("{}{ratio}", shown(cost));
            if cost <= other { format!("**{text}**") } else { text }
        };
        let alone = match best(&|name| !name.ends_with(BATCHED)) {
            Some((one, cost)) if name.ends_with(BATCHED) => format!("{}, {one}", shown(cost)),
            _ => "the same".to_owned(),
        };
        let limit = limit.map_or_else(|| "–".to_owned(), time);
        let _ = writeln!(
            table,
            "| {} | {limit} | {} | {} | {}, {name} | {alone} |",
            test.what,
            ours("framewire worker"),
            ours("framewire poll"),
            shown(other),
        );
    }
    table
}

/// Returns the CPU per message of each client in each test.
pub fn by_client(results: &Results) -> String {
    let tests: Vec<Test> =
        measures::all().into_iter().filter(|test| results.contains_key(test.name)).collect();
    let mut table = String::from("| CPU a message |");
    for test in &tests {
        let _ = write!(table, " {} |", test.what);
    }
    let _ = writeln!(table, "\n| --- |{}", " ---: |".repeat(tests.len()));
    let clients: BTreeSet<&String> = results.values().flat_map(BTreeMap::keys).collect();
    for client in clients {
        let _ = write!(table, "| {client} |");
        for test in &tests {
            let cost = results.get(test.name).and_then(|clients| best_cpu(clients.get(client)?));
            let _ = write!(table, " {} |", cost.map_or_else(|| "–".to_owned(), time));
        }
        table.push('\n');
    }
    table
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
    let cpu = runs.cpu_per_message();
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
    runs.cpu_per_message().first().copied()
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
