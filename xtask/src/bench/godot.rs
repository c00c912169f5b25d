//! `cargo xtask bench godot`: compares the Godot extension with Godot's own `WebSocketPeer`, in a real engine.
//! `benches/godot/bench.gd` is the client.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::build;
use super::run::{CLIENT_CORE, Server, number, pinned};
use crate::godot::{self, Godot};
use crate::run::{Outcome, quietly};

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
    let project = godot::lay_out_bench()?;
    let server = Server::start()?;
    // The engine resolves names on a separate thread.
    let url = server.ws.replace("localhost", "127.0.0.1");
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
                    let line = quietly(&mut client(&godot, &project, &arguments))?;
                    let line = line
                        .lines()
                        .rfind(|line| line.starts_with('{'))
                        .ok_or("the client printed nothing")?;
                    let (cpu, messages) = (number(line, "cpu_ns"), number(line, "count"));
                    let each = cpu.ok_or("no CPU time")? / messages.ok_or("no count")?.max(1.0);
                    results.entry((size, sockets, way, class)).or_default().push(each);
                }
            }
        }
    }
    show(&mut results);
    Ok(())
}

/// Creates a command that runs the engine on the clients' core.
fn client(godot: &Godot, project: &Path, arguments: &[&str]) -> Command {
    let engine = godot.command(project);
    let mut command = pinned(CLIENT_CORE);
    command.arg(engine.get_program()).args(engine.get_args());
    for (name, value) in engine.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["--script", "res://bench.gd", "--"]).args(arguments);
    command
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
