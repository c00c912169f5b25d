//! `cargo xtask bench godot`: compares the Godot extension with Godot's own `WebSocketPeer`, in a real engine.
//! `benches/godot/bench.gd` is the client. The tests of the extension [count](count) in the same way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build;
use super::counts::{LIMITS_OF_GODOT, check, limits, strace_log, traced_syscalls};
use super::run::{CLIENT_CORE, Server, number, pinned};
use crate::files;
use crate::godot::{self, Godot};
use crate::run::{Outcome, quietly, scratch};

const FRAMEWIRE: &str = "FramewireSocket";
const INCUMBENT: &str = "WebSocketPeer";
/// What scripts can do, and the way of the incumbent with which it is compared.
const WAYS: &[(&str, &str, &str)] = &[
    ("packet", "packet", "receive: get_packet() loop"),
    ("packets", "packet", "receive: get_packets()"),
    ("signal", "packet", "receive: binary_received"),
    ("batch", "packet", "receive: packets_received"),
    ("send", "send", "send"),
];
/// Sizes of messages, and how many of them are measured.
const SIZES: &[(u32, u32)] = &[(128, 200_000), (1024, 50_000)];
const SOCKETS: &[u32] = &[1, 10, 100];

/// CPU time of a message in nanoseconds, in each round.
type Results = BTreeMap<(u32, u32, &'static str, &'static str), Vec<f64>>;

pub fn run(runs: usize) -> Outcome {
    build::server()?;
    let godot = Godot::find_or_install()?;
    let project = godot::lay_out_bench(true)?;
    let server = Server::start()?;
    let url = url(&server);
    let mut results = Results::new();
    for round in 0..runs {
        println!("round {} of {runs}", round + 1);
        for &(size, count) in SIZES {
            for &sockets in SOCKETS {
                let incumbent = ["packet", "send"].map(|way| (way, INCUMBENT));
                let framewire = WAYS.iter().map(|(way, ..)| (*way, FRAMEWIRE));
                for (way, class) in framewire.chain(incumbent) {
                    let arguments =
                        [way, class, &url, &size.to_string(), &sockets.to_string(), &count.to_string()];
                    let line = measured(&mut client(&godot, &project, &[], &arguments))?;
                    let (cpu, messages) = (number(&line, "cpu_ns"), number(&line, "count"));
                    let each = cpu.ok_or("no CPU time")? / messages.ok_or("no count")?.max(1.0);
                    results.entry((size, sockets, way, class)).or_default().push(each);
                }
            }
        }
    }
    show(&mut results);
    Ok(())
}

/// The engine resolves names on a separate thread.
fn url(server: &Server) -> String {
    server.ws.replace("localhost", "127.0.0.1")
}

/// Runs a client, and returns its line of JSON.
fn measured(client: &mut Command) -> Outcome<String> {
    let output = quietly(client)?;
    let line = output.lines().rfind(|line| line.starts_with('{')).map(str::to_owned);
    line.ok_or_else(|| "the client printed nothing".into())
}

/// Creates a command that runs the engine on the clients' core, under a tool.
fn client(godot: &Godot, project: &Path, tool: &[&str], arguments: &[&str]) -> Command {
    let engine = godot.command(project);
    let mut command = pinned(CLIENT_CORE);
    command.args(tool).arg(engine.get_program()).args(engine.get_args());
    for (name, value) in engine.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["--script", "res://bench.gd", "--"]).args(arguments);
    command
}

/// The messages of the short run of a count, and those that the long one has in addition.
const FEW: u64 = 20_000;
const MANY: u64 = 100_000;
/// `bench.gd` sends or receives a tenth of the messages first.
const WITH_WARM_UP: f64 = 1.1;

/// Checks the limits of the Godot extension, in the project of the benchmarks.
pub fn count(godot: &Godot, project: &Path) -> Outcome {
    let server = Server::start()?;
    let url = url(&server);
    // The first run in a new project fills its caches.
    measured(&mut client(godot, project, &[], &["send", FRAMEWIRE, &url, "128", "1", "1000"]))?;
    check(&limits(|limit| limit.test == LIMITS_OF_GODOT)?, |limit| {
        let mut totals = Vec::new();
        for messages in [FEW, FEW + MANY] {
            let messages = messages.to_string();
            let arguments = [limit.variant.as_str(), FRAMEWIRE, &url, "128", "1", &messages];
            let mut total = None;
            let run = |tool: &[&str], environment: &[(&str, &Path)]| {
                measured(client(godot, project, tool, &arguments).envs(environment.iter().copied())).map(drop)
            };
            match limit.counted.as_str() {
                "syscalls" => {
                    if let Some(log) = strace_log()? {
                        run(&["strace", "-f", "-c", "-o", &log.display().to_string()], &[])?;
                        total = Some(traced_syscalls(&log)?);
                    }
                }
                "allocations" => {
                    let (counter, file) = (scratch("bench")?.join("alloc_count.so"), counted_file()?);
                    run(&[], &[("LD_PRELOAD", &counter), ("ALLOC_COUNT_FILE", &file)])?;
                    // The programs that start the engine add their own, smaller counts.
                    total = files::text(&file)?.lines().filter_map(|line| line.parse().ok()).reduce(f64::max);
                }
                other => return Err(format!("{other} cannot be counted in Godot")),
            }
            let Some(total) = total else { return Ok(None) };
            totals.push(total);
        }
        Ok(Some((totals[1] - totals[0]) / (MANY as f64 * WITH_WARM_UP)))
    })
}

/// Returns the file to which the preloaded counter appends, empty.
fn counted_file() -> Outcome<PathBuf> {
    let file = scratch("bench")?.join("allocations");
    files::write(&file, "")?;
    Ok(file)
}

fn show(results: &mut Results) {
    for runs in results.values_mut() {
        runs.sort_by(f64::total_cmp);
    }
    println!("\nCPU of the process per message in ns: best (median)\n");
    println!("| size | sockets | | {FRAMEWIRE} | {INCUMBENT} | ratio of the best |");
    println!("| ---: | ---: | --- | ---: | ---: | ---: |");
    for &(size, _) in SIZES {
        for &sockets in SOCKETS {
            for &(way, compared, what) in WAYS {
                let of =
                    |way, class| results.get(&(size, sockets, way, class)).filter(|runs| !runs.is_empty());
                let (Some(ours), Some(theirs)) = (of(way, FRAMEWIRE), of(compared, INCUMBENT)) else {
                    continue;
                };
                let text = |runs: &[f64]| format!("{:.0} ({:.0})", runs[0], runs[runs.len() / 2]);
                println!(
                    "| {size} | {sockets} | {what} | {} | {} | {:.2} |",
                    text(ours),
                    text(theirs),
                    theirs[0] / ours[0]
                );
            }
        }
    }
}
