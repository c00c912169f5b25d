//! Checks the limits of benches/limits.txt: instructions (callgrind), system calls (strace) and allocations (a
//! preloaded counter) per message, as the difference of a long and a short run, and the heap of idle connections.
//!
//! Counts do not depend on the load of the machine. To make them independent of the server and of scheduling too,
//! all data is received before the first read, and the game thread and the worker share one core with real-time
//! priority. Without permission for that, system calls between the two are not counted.

use std::path::{Path, PathBuf};

use super::build::{self, Client};
use super::measures::{Kind, Test};
use super::run::{Server, has_realtime_priority, number};
use crate::files;
use crate::run::{Outcome, ensure, has, scratch};
use crate::schedule::Verdict;

const LIMITS: &str = "benches/limits.txt";
const SHORT: u64 = 2000;

/// The test of the limits that [`godot::count`](super::godot::count) checks.
pub const LIMITS_OF_GODOT: &str = "godot-128";

/// A line of the limits: what is counted, the test and the client.
pub struct Limit {
    pub counted: String,
    pub test: String,
    pub variant: String,
    most: f64,
}

pub fn step() -> Verdict {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Verdict::Skipped("the limits apply to x86-64 Linux".into());
    }
    if let Err(problem) = ensure("openssl", &["openssl", "libssl-dev"]).and_then(|()| build::for_counts()) {
        return Verdict::Skipped(format!("the server cannot be built: {problem}"));
    }
    for tool in ["valgrind", "strace"] {
        if let Err(problem) = ensure(tool, &[tool]) {
            println!("{problem}");
        }
    }
    count_all().into()
}

fn count_all() -> Outcome {
    let server = Server::start()?;
    check(&limits(|limit| limit.test != LIMITS_OF_GODOT)?, |limit| count(&server, limit))
}

/// Counts for each limit, and fails if one is exceeded.
pub fn check(limits: &[Limit], mut count: impl FnMut(&Limit) -> Outcome<Option<f64>>) -> Outcome {
    let mut over = Vec::new();
    for limit in limits {
        let line = format!("{:12} {:10} {:7}", limit.counted, limit.test, limit.variant);
        match count(limit)? {
            None => println!("{line} not counted: its tool is missing or not permitted"),
            Some(count) => {
                println!("{line} {count:8.3} of {}", limit.most);
                if count > limit.most {
                    over.push(format!("{line} {count:.3}, over its limit of {}", limit.most));
                }
            }
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n(if there is a good reason, change {LIMITS})", over.join("\n")))
}

/// Returns the limits that are selected.
pub fn limits(is_selected: impl Fn(&Limit) -> bool) -> Outcome<Vec<Limit>> {
    let text = files::text(LIMITS)?;
    let mut limits = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [counted, test, variant, most] = words[..] else { return Err(format!("{LIMITS}: {line}")) };
        let most = most.parse().map_err(|_| format!("{LIMITS}: {line}"))?;
        limits.push(Limit { counted: counted.into(), test: test.into(), variant: variant.into(), most });
    }
    limits.retain(is_selected);
    Ok(limits)
}

/// Counts per message, or heap bytes per connection; `None` if the tool cannot be used here.
fn count(server: &Server, limit: &Limit) -> Outcome<Option<f64>> {
    if limit.counted == "heap" {
        return heap(server, limit).map(Some);
    }
    if limit.counted == "syscalls" && limit.variant == "poll" && !has_realtime_priority() {
        return Ok(None);
    }
    let (test, long) = test_of(limit)?;
    let client = Client::framewire(&limit.variant)?;
    let mut totals = Vec::new();
    for messages in [SHORT, SHORT + long] {
        let arguments = [("count", messages), ("warm", 100)];
        let arguments: Vec<(&'static str, u64)> = test.arguments.iter().copied().chain(arguments).collect();
        let test = Test { arguments: arguments.leak(), ..test };
        let total = match limit.counted.as_str() {
            "instructions" => instructions(server, &test, &client)?,
            "syscalls" => syscalls(server, &test, &client)?,
            "allocations" => {
                let line = server.run(&test, &client)?;
                Some((number(&line, "allocations").unwrap_or(f64::NAN), line))
            }
            other => return Err(format!("{LIMITS}: {other} cannot be counted")),
        };
        let Some((total, line)) = total else { return Ok(None) };
        // The client rounds the number up to whole rounds, so it reports what it sent.
        totals.push((total, number(&line, "count").unwrap_or(f64::NAN)));
    }
    let [(short, few), (long, many)] = totals[..] else { return Ok(None) };
    Ok(Some((long - short) / (many - few)))
}

fn heap(server: &Server, limit: &Limit) -> Outcome<f64> {
    const CONNECTIONS: u64 = 1000;
    let test = Test {
        name: "",
        what: "",
        mode: "idle",
        kind: Kind::Memory,
        tls: limit.test == "idle-tls",
        arguments: &[("connections", CONNECTIONS)],
        is_exact: true,
    };
    let line = server.run(&test, &Client::framewire(&limit.variant)?)?;
    Ok(number(&line, "heap").unwrap_or(f64::NAN) / CONNECTIONS as f64)
}

/// Returns the test, and the additional messages of the long run.
fn test_of(limit: &Limit) -> Outcome<(Test, u64)> {
    let kind = if limit.counted == "allocations" { Kind::Allocations } else { Kind::Throughput };
    let new =
        |mode, arguments| Test { name: "", what: "", mode, kind, tls: false, arguments, is_exact: true };
    Ok(match limit.test.as_str() {
        "echo" => (new("echo", &[] as &[_]), 2000),
        "echo-tls" => (Test { tls: true, ..new("echo", &[]) }, 2000),
        // One megabyte at a time, all received before the first read.
        "recv-128" => (new("recv", &[("round", 8192)]), 200_000),
        "recv-1k-tls" => (Test { tls: true, ..new("recv", &[("size", 1024)]) }, 20_000),
        "recv-64k" => (new("recv", &[("size", 65536), ("round", 16)]), 2000),
        "send-128" => (new("send", &[]), 200_000),
        "send-64k" => (new("send", &[("size", 65536)]), 2000),
        other => return Err(format!("{LIMITS}: there is no test {other}")),
    })
}

type Total = Outcome<Option<(f64, String)>>;

fn instructions(server: &Server, test: &Test, client: &Client) -> Total {
    if !has("valgrind") {
        return Ok(None);
    }
    let log = scratch("bench")?.join("callgrind.log");
    let (log_file, out_file) = (format!("--log-file={}", log.display()), "--callgrind-out-file=/dev/null");
    let tool = ["valgrind", "--tool=callgrind", "--fair-sched=yes", &log_file, out_file];
    let line = server.run_under(&tool, test, client)?;
    let total =
        files::text(&log)?.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    Ok(Some((total.ok_or("callgrind printed no number of instructions")?, line)))
}

fn syscalls(server: &Server, test: &Test, client: &Client) -> Total {
    let Some(log) = strace_log()? else { return Ok(None) };
    let line = server.run_under(&["strace", "-f", "-c", "-o", &log.display().to_string()], test, client)?;
    Ok(Some((traced_syscalls(&log)?, line)))
}

/// Returns the file for the output of `strace -c`; `None` if strace cannot be used here.
pub fn strace_log() -> Outcome<Option<PathBuf>> {
    let permitted =
        has("strace") && crate::run::quietly(std::process::Command::new("strace").arg("true")).is_ok();
    if permitted { Ok(Some(scratch("bench")?.join("strace.log"))) } else { Ok(None) }
}

/// Returns the number of system calls that `strace -c` has counted.
pub fn traced_syscalls(log: &Path) -> Outcome<f64> {
    // % time, seconds, usecs/call, calls, errors (may be missing), name
    let text = files::text(log)?;
    let total = text.lines().rev().find(|line| line.ends_with(" total"));
    let calls = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    calls.ok_or_else(|| "strace printed no total".into())
}
