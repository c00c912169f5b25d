//! Runs the programs in `tests/c`: plain, with AddressSanitizer, and under valgrind.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::c::{self, Build};
use crate::run::{Echo, Outcome, command, ensure, root, run_within};
use crate::schedule::{Problem, Tested};

/// Runs all programs; `tool` is missing if it cannot be installed.
pub fn step(tool: Tool) -> Tested {
    ready(tool).map_err(Problem::Missing)?;
    Ok(all(tool)?)
}

fn ready(tool: Tool) -> Outcome {
    match tool {
        Tool::None => Ok(()),
        Tool::AddressSanitizer => c::can_sanitize(),
        Tool::Valgrind => ensure("valgrind", &["valgrind"]),
    }
}

/// Runs the hostile caller for this time under each tool.
pub fn hostile(seconds: u32) -> Outcome {
    let echo = Echo::start()?;
    let mut failures = Vec::new();
    for tool in [Tool::None, Tool::AddressSanitizer, Tool::Valgrind] {
        if let Err(reason) = ready(tool) {
            println!("{tool:?}: skipped: {reason}");
            continue;
        }
        println!("{tool:?}, {seconds} s:");
        if let Err(problem) = hostile_under(tool, &echo, seconds) {
            failures.push(format!("{tool:?}: {problem}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn hostile_under(tool: Tool, echo: &Echo, seconds: u32) -> Outcome {
    let build = tool.build();
    let program = c::compile(&root().join("tests/c/hostile_caller.c"), &c::library(build)?, build)?;
    let run = |mut command: Command, seconds: u32, over_tls: bool| {
        command.args(["--seconds", &seconds.to_string()]).arg(&echo.ws);
        if over_tls {
            command.arg(&echo.wss).arg(&echo.ca);
        }
        run_within(LIMIT + Duration::from_secs(2 * u64::from(seconds)), &mut command)
    };
    if tool != Tool::Valgrind {
        return run(command(program), seconds, true);
    }
    let valgrind = |more: &[&str]| {
        let mut command = command("valgrind");
        command.args(VALGRIND).args(more).arg(&program);
        command
    };
    // Half of the time each; see `OVER_TLS`.
    run(valgrind(&[]), seconds / 2, false)?;
    run(valgrind(&["--undef-value-errors=no"]), seconds / 2, true)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    None,
    AddressSanitizer,
    Valgrind,
}

impl Tool {
    fn build(self) -> Build {
        match self {
            Tool::None => c::usual(),
            Tool::AddressSanitizer => Build::Sanitized,
            Tool::Valgrind => Build::Release,
        }
    }
}

/// Much longer than the slowest test under the slowest tool.
const LIMIT: Duration = Duration::from_secs(600);

const VALGRIND: &[&str] = &[
    "--quiet",
    "--fair-sched=yes",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
    "--error-exitcode=9",
];

/// Programs that use TLS. valgrind loses track of which bytes ring's assembly has
/// written, in any program that uses ring, and then takes what was encrypted or decrypted for undefined,
/// not every time. They run once without TLS, and once with it and without that check.
const OVER_TLS: &[&str] = &["endings", "hostile_caller", "lifecycle", "shutdown"];

fn all(tool: Tool) -> Outcome {
    let echo = &Echo::start()?;
    let build = tool.build();
    let library = c::library(build)?;
    let mut failures = Vec::new();
    for source in c::sources("tests/c")? {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name == "alloc_count" && tool != Tool::None {
            println!("{name}: skipped: the program and the tool both replace the allocator");
            continue;
        }
        if name == "out_of_memory" && tool == Tool::Valgrind {
            println!("{name}: skipped: it runs a hundred processes, which AddressSanitizer checks");
            continue;
        }
        let program = c::compile(&source, &library, build)?;
        println!("{name}:");
        let started = Instant::now();
        match one(echo, tool, &name, &program) {
            Ok(()) => println!("{name}: ok, {:.1} s", started.elapsed().as_secs_f32()),
            Err(problem) => failures.push(problem),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Runs a program with the URLs of the echo server, its certificate authority, and the server with `x-xor`.
fn one(echo: &Echo, tool: Tool, name: &str, program: &Path) -> Outcome {
    let ca = echo.ca.display().to_string();
    let arguments = [&echo.ws, &echo.wss, &ca, &echo.xor];
    if tool != Tool::Valgrind {
        return run_within(LIMIT, command(program).args(arguments));
    }
    let mut checked = command("valgrind");
    checked.args(VALGRIND);
    if OVER_TLS.contains(&name) {
        let mut plain = command("valgrind");
        plain.args(VALGRIND).arg(program).args([&echo.ws, &echo.ws, &ca, &echo.xor]);
        run_within(LIMIT, &mut plain)?;
        checked.arg("--undef-value-errors=no");
    }
    run_within(LIMIT, checked.arg(program).args(arguments))
}
