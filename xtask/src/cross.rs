//! `cargo xtask cross-test`: tests the release libraries for Windows and ARM under wine and QEMU, with the examples
//! and tests in C and a part of Autobahn; the Android code on Linux; and the library for browsers in Node and Chromium.
//!
//! "Android code on Linux" is the object code of the static library for Android, in programs for glibc, with
//! `tests/android/bionic.c` in place of Android's C library. It runs what the library and its dependencies do on Android
//! only. It says nothing about Android's loader, resolver, sandbox and power management.

mod emulator;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::emulator::{EMULATORS, Emulator, Runner};
use crate::platforms::{self, Fact};
use crate::run::{Echo, Outcome, root, run_within};
use crate::schedule::Problem;
use crate::{autobahn, c, examples, web};

/// Much longer than the slowest program under the slowest emulator.
const LIMIT: Duration = Duration::from_secs(900);

/// Some of each group: text, binary, pings, fragments, UTF-8, closing and compression.
pub const CASES: &[&str] =
    &["1.1.", "1.2.", "2.", "4.1.", "5.", "6.2.", "6.4.", "7.1.", "7.7.", "10.", "12.1.1", "13.1.1"];

/// The name of the tests in browsers.
const BROWSERS: &str = "browsers";

/// Runs the tests under all emulators and in browsers, or those with these names.
pub fn run(only: &[&str]) -> Outcome {
    let emulators: Vec<&str> = only.iter().copied().filter(|name| *name != BROWSERS).collect();
    let mut problems = Vec::new();
    if only.is_empty() || !emulators.is_empty() {
        problems.extend(in_emulators(&emulators).err());
    }
    if only.is_empty() || only.contains(&BROWSERS) {
        match web::step() {
            Ok(()) => {}
            Err(Problem::Missing(problem) | Problem::Failed(problem)) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn in_emulators(only: &[&str]) -> Outcome {
    if let Some(unknown) = only.iter().find(|name| !EMULATORS.iter().any(|one| one.name == **name)) {
        return Err(format!("unknown emulator: {unknown}"));
    }
    let echo = Echo::start()?;
    let mut problems = Vec::new();
    for emulator in EMULATORS.iter().filter(|one| only.is_empty() || only.contains(&one.name)) {
        println!("\n==== {}: {}", emulator.title, emulator.triple);
        let started = Instant::now();
        let mut tally = Tally::default();
        let ended = all(emulator, &echo, &mut tally);
        let seconds = started.elapsed().as_secs_f32();
        println!("==== {}: {tally}, {seconds:.0} s", emulator.title);
        for skipped in &tally.skipped {
            println!("skipped: {skipped}");
        }
        if let Err(problem) = ended {
            println!("{problem}");
            tally.failed.push(problem);
        }
        let verdict =
            if tally.failed.is_empty() { format!("{}: {tally}", emulator.title) } else { "fails".into() };
        problems.append(&mut tally.failed);
        platforms::record(&format!("cross-test {}", emulator.triple), &Fact::only(&verdict))?;
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    /// Names, with the reasons.
    skipped: Vec<String>,
    autobahn: Option<String>,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} programs passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        )?;
        match &self.autobahn {
            Some(summary) => write!(f, "; Autobahn {summary}"),
            None => Ok(()),
        }
    }
}

fn all(emulator: &'static Emulator, echo: &Echo, tally: &mut Tally) -> Outcome {
    let runner = emulator.prepare()?;
    for source in c::sources("examples/c")? {
        one(&runner, tally, &source, |name| examples::arguments(name, echo));
    }
    // The demo again, with the static library and over TLS.
    let game = root().join("examples/c/game_loop.c");
    let program = runner.compile_statically(&game);
    count(tally, &runner, "game_loop, static", program, &[echo.wss.clone(), runner.path(&echo.ca)]);
    if let Some(program) = runner.compile_with_another() {
        count(tally, &runner, "two_libraries", program, std::slice::from_ref(&echo.ws));
    }
    let mut tests = c::sources("tests/c")?;
    if emulator.is_android() {
        tests.push(root().join("tests/android/network.c"));
    }
    for source in tests {
        let arguments =
            |_: &str| vec![echo.ws.clone(), echo.wss.clone(), runner.path(&echo.ca), echo.xor.clone()];
        one(&runner, tally, &source, arguments);
    }
    match autobahn::suite_python() {
        Ok(python) => {
            let client = runner.compile(&root().join("tests/autobahn/client.c"))?;
            let begin = || runner.command(&client);
            match autobahn::part(&python, &begin, CASES) {
                Ok(summary) => tally.autobahn = Some(summary),
                Err(problem) => {
                    println!("Autobahn: {problem}");
                    tally.failed.push(format!("Autobahn: {problem}"));
                }
            }
        }
        Err(reason) => tally.skipped.push(format!("Autobahn: {reason}")),
    }
    Ok(())
}

fn one(runner: &Runner, tally: &mut Tally, source: &Path, arguments: impl Fn(&str) -> Vec<String>) {
    let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Some((_, reason)) =
        runner.emulator.unsupported.iter().find(|(unsupported, _)| *unsupported == name)
    {
        println!("{name}: skipped: {reason}");
        tally.skipped.push(format!("{name} under {}: {reason}", runner.emulator.title));
        return;
    }
    count(tally, runner, &name, runner.compile(source), &arguments(&name));
}

fn count(tally: &mut Tally, runner: &Runner, name: &str, program: Outcome<PathBuf>, arguments: &[String]) {
    let started = Instant::now();
    match program.and_then(|program| run_within(LIMIT, runner.command(&program).args(arguments))) {
        Ok(()) => {
            println!("{name}: ok, {:.1} s", started.elapsed().as_secs_f32());
            tally.passed += 1;
        }
        Err(problem) => {
            println!("{name}: FAILED\n{problem}");
            tally.failed.push(format!("{name} under {}: {problem}", runner.emulator.title));
        }
    }
}
