//! The programs in `tests/c`: plain, with the address sanitizer, and under valgrind.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::c::{self, Build};
use crate::run::{Echo, Outcome, command, ensure, run_within};
use crate::test::{Report, Verdict};

pub fn steps(report: &mut Report, echo: &Echo) {
    report.step("tests in C", || all(echo, Tool::None).into());
    report.step("tests in C, address sanitizer", || match c::can_sanitize() {
        Ok(()) => all(echo, Tool::AddressSanitizer).into(),
        Err(reason) => Verdict::Skipped(reason),
    });
    report.step("tests in C, valgrind", || match ensure("valgrind", &["valgrind"]) {
        Ok(()) => all(echo, Tool::Valgrind).into(),
        Err(reason) => Verdict::Skipped(reason),
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    None,
    AddressSanitizer,
    Valgrind,
}

/// Far beyond the slowest test under the slowest tool.
const LIMIT: Duration = Duration::from_secs(600);

const VALGRIND: &[&str] = &[
    "--quiet",
    "--fair-sched=yes",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
    "--error-exitcode=9",
];

/// Programs whose payloads go over TLS. valgrind loses track of which bytes ring's assembly has
/// written, in any program that uses ring, and then takes all that was decrypted for undefined. They
/// run once without TLS, and once with it and without that check.
const OVER_TLS: &[&str] = &["life"];

fn all(echo: &Echo, tool: Tool) -> Outcome {
    let build = if tool == Tool::AddressSanitizer { Build::Sanitized } else { Build::Release };
    let library = c::library(build)?;
    let mut failures = Vec::new();
    for source in c::sources("tests/c")? {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name == "alloc_count" && tool != Tool::None {
            println!("{name}: not under this tool: both replace the allocator");
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

/// Every program is given the URLs of the echo server and the authority of its certificate.
fn one(echo: &Echo, tool: Tool, name: &str, program: &Path) -> Outcome {
    if tool != Tool::Valgrind {
        return run_within(LIMIT, command(program).arg(&echo.ws).arg(&echo.wss).arg(&echo.ca));
    }
    let mut checked = command("valgrind");
    checked.args(VALGRIND);
    if OVER_TLS.contains(&name) {
        let mut plain = command("valgrind");
        run_within(LIMIT, plain.args(VALGRIND).arg(program).arg(&echo.ws))?;
        checked.arg("--undef-value-errors=no");
    }
    run_within(LIMIT, checked.arg(program).arg(&echo.ws).arg(&echo.wss).arg(&echo.ca))
}
