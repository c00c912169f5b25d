//! Measures the time of each call on the game thread, the size of the library and its load time.

use std::collections::BTreeMap;
use std::path::Path;

use super::build;
use super::run::{CLIENT_CORE, Server, number, pinned};
use super::show::time;
use crate::abi_facts;
use crate::c::{self, Build};
use crate::platforms;
use crate::run::{Outcome, command, quietly, scratch};

/// How often loading is measured; the best time is printed.
const LOADS: usize = 10;

pub fn run(server: &Server) -> Outcome {
    build::for_calls()?;
    let folder = scratch("bench")?;
    println!("\n## Calls on the game thread\n");
    println!("| situation | call | mean | p50 | p99.9 | max |\n| --- | --- | ---: | ---: | ---: | ---: |");
    // The worker shares the game's core because the server spins on the other one: a worker that the
    // game wakes waits for the game.
    let output = quietly(pinned(CLIENT_CORE).arg(folder.join("calls")).arg(&server.ws))?;
    for line in output.lines() {
        let of = |field: &str| number(line, field).map_or_else(|| "–".into(), time);
        let [mean, p50, p999, worst] = [of("mean_ns"), of("p50_ns"), of("p999_ns"), of("max_ns")];
        let [when, call] = [text(line, "situation"), text(line, "call")];
        println!("| {when} | {call} | {mean} | {p50} | {p999} | {worst} |");
    }
    every(server)?;
    let library = c::library(Build::Release)?.join("libframewire.so");
    size(&library, &folder.join("stripped.so"))?;
    load(&folder, &library)
}

/// Measures every exported function in both situations, and writes the table of `docs/calls.md`.
fn every(server: &Server) -> Outcome {
    let folder = scratch("bench")?;
    let mut command = pinned(CLIENT_CORE);
    command.arg(folder.join("every_call")).arg(&server.ws);
    let output = quietly(command.arg(folder.join("cert.pem")).arg(folder.join("key.pem")))?;
    let mut situations: Vec<(&str, BTreeMap<&str, &str>)> = Vec::new();
    let mut calls = Vec::new();
    for line in output.lines() {
        let [situation, call] = [text(line, "situation"), text(line, "call")];
        if situations.last().is_none_or(|(last, _)| *last != situation) {
            situations.push((situation, BTreeMap::new()));
        }
        if situations.len() == 1 {
            calls.push(call);
        }
        situations.last_mut().ok_or("nothing was measured")?.1.insert(call, line);
    }
    abi_facts::are_all_functions(&calls)?;
    calls.sort_unstable();
    let mut table = String::from("| call |");
    for (situation, _) in &situations {
        table += &format!(" {situation}: p50 | p99.9 | max |");
    }
    table += &format!("\n| --- |{}\n", " ---: | ---: | ---: |".repeat(situations.len()));
    for call in calls {
        table += &format!("| `{call}` |");
        for (_, lines) in &situations {
            let line = lines.get(call).ok_or_else(|| format!("{call} was measured in one situation only"))?;
            for field in ["p50_ns", "p999_ns", "max_ns"] {
                table += &format!(" {} |", number(line, field).map_or_else(|| "–".into(), time));
            }
        }
        table.push('\n');
    }
    platforms::replace("docs/calls.md", "calls", &table)
}

fn size(library: &Path, stripped: &Path) -> Outcome {
    quietly(command("strip").arg("-o").arg(stripped).arg(library))?;
    let bytes = |file: &Path| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    println!("\nLibrary size: {} KiB, {} KiB stripped.", bytes(library) >> 10, bytes(stripped) >> 10);
    Ok(())
}

fn load(folder: &Path, library: &Path) -> Outcome {
    let mut lines = Vec::new();
    for _ in 0..LOADS {
        lines.push(quietly(pinned(CLIENT_CORE).arg(folder.join("load")).arg(library))?);
    }
    let best = |field: &str| {
        let all = lines.iter().filter_map(|line| number(line, field));
        time(all.fold(f64::INFINITY, f64::min) * 1000.0)
    };
    let [loading, starting, ending] = [best("load_us"), best("init_us"), best("shutdown_us")];
    println!("Best of {LOADS}: load {loading}, fw_init {starting}, fw_shutdown {ending}.");
    Ok(())
}

/// A string field of a flat JSON object.
fn text<'a>(line: &'a str, field: &str) -> &'a str {
    let rest = line.split_once(&format!("\"{field}\":\"")).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}
