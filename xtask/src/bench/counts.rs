//! Checks the limits of benches/limits.txt: instructions (callgrind), system calls (strace) and allocations (a
//! preloaded counter) per message, as the difference of a long and a short run.
//!
//! Counts do not depend on the load of the machine. To make them independent of the server and of scheduling too,
//! all data is received before the first read, and the game thread and the worker share one core with real-time
//! priority. Without permission for that, system calls between the two are not counted.

use std::collections::BTreeMap;

use super::build::{self, Client};
use super::measures::{Kind, Test};
use super::run::{Server, has_realtime_priority, number};
use crate::files;
use crate::run::{Outcome, ensure, has, scratch};
use crate::schedule::Verdict;

const LIMITS: &str = "benches/limits.txt";
const SHORT: u64 = 2000;

/// A line of the limits: what is counted, the test and the client.
struct Limit {
    counted: String,
    test: String,
    variant: String,
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
    let limits = limits()?;
    let server = Server::start()?;
    let mut over = Vec::new();
    for limit in &limits {
        let line = format!("{:12} {:10} {:7}", limit.counted, limit.test, limit.variant);
        match count(&server, limit)? {
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

fn limits() -> Outcome<Vec<Limit>> {
    let text = files::text(LIMITS)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [counted, test, variant, most] = words[..] else { return Err(format!("{LIMITS}: {line}")) };
            let most = most.parse().map_err(|_| format!("{LIMITS}: {line}"))?;
            Ok(Limit { counted: counted.into(), test: test.into(), variant: variant.into(), most })
        })
        .collect()
}

/// Counts per message; `None` if the tool cannot be used here.
fn count(server: &Server, limit: &Limit) -> Outcome<Option<f64>> {
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
    let log = scratch("bench")?.join("strace.log");
    let file = log.display().to_string();
    if !has("strace") || crate::run::quietly(std::process::Command::new("strace").arg("true")).is_err() {
        return Ok(None);
    }
    let line = server.run_under(&["strace", "-f", "-c", "-o", &file], test, client)?;
    // % time, seconds, usecs/call, calls, errors (may be missing), name
    let counts: BTreeMap<String, f64> = files::text(&log)?
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some((words.last()?.to_string(), words.get(3)?.parse().ok()?))
        })
        .collect();
    let total = counts.get("total").copied();
    Ok(Some((total.ok_or("strace printed no total")?, line)))
}
