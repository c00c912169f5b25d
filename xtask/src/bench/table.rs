//! Writes the table of `docs/performance.md`: Framewire beside the limit and the fastest other library.

use std::collections::BTreeMap;

use super::measures::{self, Kind};
use super::run::{Results, Runs};
use super::scale::processor;
use super::show::{self, LIMIT, OURS, bytes, time};
use crate::platforms;
use crate::run::Outcome;

/// Which clients a row compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    /// Those that do not resume TLS sessions, where that makes a difference.
    Usual,
    Resumed,
    Cold,
}

/// Tests, and how the table calls them; the clients of Framewire are `worker` and `poll` unless a row says `Cold`.
const ROWS: &[(&str, &str, Clients)] = &[
    ("recv-128", "receive 128 B", Clients::Usual),
    ("recv-1k", "receive 1 KiB", Clients::Usual),
    ("recv-64k", "receive 64 KiB", Clients::Usual),
    ("recv-8m", "receive 8 MiB", Clients::Usual),
    ("recv-1k-tls", "receive 1 KiB over TLS", Clients::Usual),
    ("send-128", "send 128 B, one call each", Clients::Usual),
    ("send-1k", "send 1 KiB, one call each", Clients::Usual),
    ("send-64k", "send 64 KiB", Clients::Usual),
    ("send-8m", "send 8 MiB", Clients::Usual),
    ("send-1k-tls", "send 1 KiB over TLS", Clients::Usual),
    ("echo", "128 B there and back", Clients::Usual),
    ("echo-tls", "the same over TLS", Clients::Usual),
    ("connect", "connect", Clients::Usual),
    ("connect-tls", "connect over TLS, resumed", Clients::Resumed),
    ("connect-tls", "connect over TLS, cold", Clients::Cold),
    ("game", "100 connections, 60 Hz, in and out", Clients::Usual),
    ("idle-10000", "heap of an idle connection, 10,000 of them", Clients::Usual),
    ("idle-1000-tls", "the same over TLS, 1,000", Clients::Usual),
];

const BATCHED: &str = " batched";
const RESUMED: &str = " resumed";
/// Clients of Framewire in the rows.
const WARM: [&str; 2] = ["framewire worker", "framewire poll"];
const COLD: [&str; 1] = ["framewire cold"];

pub fn write(results: &Results) -> Outcome {
    platforms::replace("docs/performance.md", "speed", &table(results, &processor()?))
}

fn table(results: &Results, processor: &str) -> String {
    let rounds = results
        .get("echo")
        .and_then(|clients| clients.get(LIMIT))
        .map_or(0, |runs| runs.sorted("count").len());
    let mut table = format!(
        "Processor: {processor}. The best of {rounds} rounds, CPU of the whole process.\n\n\
         | CPU a message | the limit | Framewire, worker | Framewire, poll | fastest other library | |\n\
         | --- | ---: | ---: | ---: | ---: | --- |\n"
    );
    let faults = show::faults(results);
    for (test, what, which) in ROWS {
        let Some(clients) = results.get(*test) else { continue };
        let is_heap = measures::all().iter().any(|one| one.name == *test && one.kind == Kind::Memory);
        let cost = |name: &str| {
            clients.get(name).and_then(|runs| if is_heap { heap(runs) } else { show::best_cpu(runs) })
        };
        let shown = |value: f64| if is_heap { bytes(value) } else { time(value) };
        // What is exchanged to resume a session is not what the limit exchanges.
        let limit = cost(LIMIT).filter(|_| !is_heap && *which != Clients::Resumed);
        let is_other = |name: &&String| {
            *name != LIMIT
                && !name.starts_with(OURS)
                && !faults.contains_key(name.as_str())
                && name.ends_with(RESUMED) == (*which == Clients::Resumed)
        };
        let fastest = |batched: bool| fastest(clients, &is_other, batched, &cost);
        let other = fastest(false);
        let ours = |name: &str| {
            let Some(value) = cost(name) else { return "–".to_owned() };
            let ratio = limit.map_or_else(String::new, |limit| format!(", {:.1}×", value / limit));
            let cell = format!("{}{ratio}", shown(value));
            if other.is_some_and(|(_, best)| value <= best) { format!("**{cell}**") } else { cell }
        };
        let (worker, poll) = match which {
            Clients::Cold => (ours(COLD[0]), "–".to_owned()),
            _ => (ours(WARM[0]), ours(WARM[1])),
        };
        let (name, value) = other.map_or((String::new(), "–".to_owned()), |(name, best)| {
            let note = show::note(name, &faults).map_or_else(String::new, |note| format!(" ({note})"));
            let ours = if *which == Clients::Cold { &COLD[..] } else { &WARM[..] };
            let is_best = ours.iter().filter_map(|name| cost(name)).all(|value| best < value);
            let batched = fastest(true)
                .map_or_else(String::new, |(_, batched)| format!(" ({} batched by hand)", shown(batched)));
            let value = if is_best { format!("**{}**", shown(best)) } else { shown(best) };
            (format!("{name}{note}"), format!("{value}{batched}"))
        });
        let limit = limit.map_or_else(|| "–".to_owned(), shown);
        table += &format!("| {what} | {limit} | {worker} | {poll} | {value} | {name} |\n");
    }
    table
}

/// The fastest of these clients, among those that batch by hand or those that do not.
fn fastest<'a>(
    clients: &'a BTreeMap<String, Runs>,
    is_other: &dyn Fn(&&String) -> bool,
    batched: bool,
    cost: &dyn Fn(&str) -> Option<f64>,
) -> Option<(&'a str, f64)> {
    clients
        .keys()
        .filter(|name| is_other(name) && name.ends_with(BATCHED) == batched)
        .filter_map(|name| Some((name.as_str(), cost(name)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

fn heap(runs: &Runs) -> Option<f64> {
    let (heap, connections) = (runs.sorted("heap"), runs.sorted("connections"));
    Some(heap.first()? / connections.first()?.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::run;
    use crate::files;
    use crate::run::scratch;

    #[test]
    fn best_costs_are_marked_and_batched_clients_are_in_brackets() {
        let file = scratch("xtask").unwrap().join("table-results.jsonl");
        let line = |client: &str, cpu: u32| {
            format!("send-128\t{client}\t{{\"count\":10,\"cpu_ns\":{cpu},\"mask_frames\":0}}\n")
        };
        let clients = [
            ("raw", 100),
            ("framewire worker", 500),
            ("framewire poll", 900),
            ("a", 600),
            ("a batched", 400),
        ];
        let text: String = clients.iter().map(|(client, cpu)| line(client, *cpu)).collect();
        files::write(&file, text).unwrap();
        let table = table(&run::load(&file).unwrap(), "some");
        let row = "| send 128 B, one call each | 10.0 ns | **50.0 ns, 5.0×** | 90.0 ns, 9.0× | 60.0 ns (40.0 ns batched by hand) | a |";
        assert!(table.contains(row), "{table}");
    }
}
