//! `cargo xtask test`: everything, in a fixed order, one after the other, whatever fails on the way.

use std::path::Path;
use std::time::Instant;

use crate::c::{self, Build};
use crate::run::{Echo, Outcome, cargo, command, ensure, has, root, run};
use crate::{autobahn, demo, header, real};

/// How a step ended.
pub enum Verdict {
    Passed,
    Failed(String),
    /// It cannot be run here, and why.
    Skipped(String),
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Verdict::Passed,
            Err(problem) => Verdict::Failed(problem),
        }
    }
}

#[derive(Default)]
pub struct Report {
    passed: Vec<String>,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Report {
    /// Runs one step and says how it went.
    pub fn step(&mut self, name: &str, body: impl FnOnce() -> Verdict) {
        println!("\n---- {name}");
        let started = Instant::now();
        let verdict = body();
        let seconds = started.elapsed().as_secs_f32();
        match verdict {
            Verdict::Passed => {
                println!("---- {name}: ok, {seconds:.1} s");
                self.passed.push(name.to_owned());
            }
            Verdict::Failed(problem) => {
                println!("---- {name}: FAILED, {seconds:.1} s\n{problem}");
                self.failed.push(name.to_owned());
            }
            Verdict::Skipped(reason) => {
                println!("---- {name}: skipped: {reason}");
                self.skipped.push(format!("{name} ({reason})"));
            }
        }
    }
}

pub fn run_all() -> Report {
    let mut report = Report::default();
    report.step("a C compiler", || ensure("cc", &["gcc", "g++", "libc6-dev"]).into());
    report.step("the header is current", || header::check().into());
    report.step("the header compiles alone", || c::header_alone().into());
    report.step("cargo test", || run(cargo().args(["test", "--workspace", "--quiet"])).into());
    report.step("cargo test without TLS and C", || {
        run(cargo().args(["check", "--quiet", "--package", "framewire", "--no-default-features"])).into()
    });
    let echo = match Echo::start() {
        Ok(echo) => echo,
        Err(problem) => {
            report.step("the echo server", || Verdict::Failed(problem));
            return report;
        }
    };
    report.step("examples in C", || examples(&echo).into());
    report.step("tests in C", || c_tests(&echo, Build::Release, &[]).into());
    report.step("tests in C, address sanitizer", || match c::can_sanitize() {
        Ok(()) => c_tests(&echo, Build::Sanitized, &[]).into(),
        Err(reason) => Verdict::Skipped(reason),
    });
    report.step("tests in C, valgrind", || match ensure("valgrind", &["valgrind"]) {
        Ok(()) => c_tests(&echo, Build::Release, VALGRIND).into(),
        Err(reason) => Verdict::Skipped(reason),
    });
    report.step("the demo", || demo::run_with(&echo).into());
    real::steps(&mut report);
    report.step("Autobahn", autobahn::step);
    report
}

const VALGRIND: &[&str] =
    &["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite", "--error-exitcode=9"];

/// Each program in tests/c, against the echo server.
fn c_tests(echo: &Echo, build: Build, under: &[&str]) -> Outcome {
    let library = c::library(build)?;
    let mut failures = Vec::new();
    for source in c::sources("tests/c")? {
        let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // It replaces the allocator, as the sanitizer and valgrind do.
        if name == "alloc_count" && (build == Build::Sanitized || !under.is_empty()) {
            continue;
        }
        let program = c::compile(&source, &library, build)?;
        println!("{name}:");
        if let Err(problem) = one(echo, &program, under) {
            failures.push(problem);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn one(echo: &Echo, program: &Path, under: &[&str]) -> Outcome {
    let mut test = match under {
        [] => command(program),
        [tool, options @ ..] => {
            let mut wrapped = command(tool);
            wrapped.args(options).arg(program);
            wrapped
        }
    };
    run(test.arg(&echo.ws).arg(&echo.wss).arg(&echo.ca))
}

fn examples(echo: &Echo) -> Outcome {
    let library = c::library(Build::Release)?;
    for source in c::sources("examples/c")? {
        let program = c::compile(&source, &library, Build::Release)?;
        let url = if program.ends_with("xor_extension") { &echo.xor } else { &echo.ws };
        run(command(&program).arg(url))?;
    }
    run(cargo().args(["run", "--quiet", "--example", "echo", "--", &echo.ws]))
}

pub fn run_and_report() -> Outcome {
    if !has("cargo") {
        return Err("cargo is missing".into());
    }
    println!("in {}", root().display());
    let report = run_all();
    println!();
    for skipped in &report.skipped {
        println!("skipped: {skipped}");
    }
    for failed in &report.failed {
        println!("FAILED: {failed}");
    }
    let (passed, failed, skipped) = (report.passed.len(), report.failed.len(), report.skipped.len());
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} steps failed")) }
}
