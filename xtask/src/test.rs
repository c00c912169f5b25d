//! `cargo xtask test`: everything, in a fixed order, one after the other, whatever fails on the way.

use std::time::Instant;

use crate::c::{self, Build};
use crate::run::{Echo, Outcome, cargo, command, ensure, has, root, run, test_program};
use crate::{
    abi, abi_facts, autobahn, bench, c_tests, cpp, demo, faults, fuzz, godot, guarantees, header, network,
    platform_rules, proxies, real, soak, supply, unity, unsafe_list,
};

/// Of what a failed step has said, as many lines are said again at the end.
const LAST_LINES: usize = 60;

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
    /// Steps run if their names contain one of these; all, if there are none.
    only: Vec<String>,
    passed: Vec<String>,
    /// Names, and what went wrong.
    failed: Vec<(String, String)>,
    skipped: Vec<String>,
}

impl Report {
    /// Of the steps whose names contain one of these words; of all, if there are none.
    pub fn new(only: &[&str]) -> Self {
        Report { only: only.iter().map(|word| (*word).to_owned()).collect(), ..Report::default() }
    }

    /// Says at the end how it went.
    pub fn conclude(&self) -> Outcome {
        println!();
        for skipped in &self.skipped {
            println!("skipped: {skipped}");
        }
        for (failed, problem) in &self.failed {
            // Once more at the end, where it is looked for.
            let lines: Vec<&str> = problem.lines().collect();
            println!("FAILED: {failed}\n{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
        }
        let (passed, failed, skipped) = (self.passed.len(), self.failed.len(), self.skipped.len());
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if passed + failed + skipped == 0 {
            return Err("no step has such a name".into());
        }
        if failed == 0 { Ok(()) } else { Err(format!("{failed} steps failed")) }
    }

    /// Runs one step and says how it went.
    pub fn step(&mut self, name: &str, body: impl FnOnce() -> Verdict) {
        if !self.only.is_empty() && !self.only.iter().any(|word| name.contains(word.as_str())) {
            return;
        }
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
                self.failed.push((name.to_owned(), problem));
            }
            Verdict::Skipped(reason) => {
                println!("---- {name}: skipped: {reason}");
                self.skipped.push(format!("{name} ({reason})"));
            }
        }
    }
}

fn run_all(only: &[&str]) -> Report {
    let mut report = Report::new(only);
    report.step("a C and a C++ compiler", || {
        ensure("cc", &["gcc", "libc6-dev"]).and_then(|()| ensure("g++", &["g++"])).into()
    });
    report.step("the header is current", || header::check().into());
    report.step("the header compiles alone", || c::header_alone().into());
    report.step("the ABI is as it was", || abi_facts::check().into());
    report.step("every function is the same on every platform", || platform_rules::check().into());
    report.step("every promise has its proof", || guarantees::check().into());
    report.step("every unsafe block has its reason and its room", || unsafe_list::check().into());
    report.step("no warning of rustc or clippy", || {
        let strict = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run(cargo().args(strict)).into()
    });
    report.step("every function is tested from C", || abi::every_function_is_tested().into());
    report.step("cargo test", || run(cargo().args(["test", "--workspace", "--quiet"])).into());
    report.step("hostile servers: every fault in every phase, an end at every byte", || {
        let program = test_program("hostile_server");
        program.and_then(|program| run(command(program).arg("--nocapture"))).into()
    });
    report.step("models of the hand-overs between threads", || models().into());
    report.step("a panic in each room", || faults::test().into());
    report.step("the library builds without TLS and C", || {
        run(cargo().args(["check", "--quiet", "--package", "framewire", "--no-default-features"])).into()
    });
    report.step("no dependency wants a newer compiler than is promised", || {
        supply::compilers_of_dependencies().into()
    });
    report.step("the library builds without HTTP/2", || {
        let lean = ["--no-default-features", "--features", "capi,tls"];
        run(cargo().args(["check", "--quiet", "--package", "framewire"]).args(lean)).into()
    });
    report.step("fuzzing", fuzz::step);
    let echo = match Echo::start() {
        Ok(echo) => echo,
        Err(problem) => {
            report.step("the echo server", || Verdict::Failed(problem));
            return report;
        }
    };
    report.step("examples in C", || examples(&echo).into());
    c_tests::steps(&mut report, &echo);
    report.step("what a message costs, counted", bench::counts::step);
    report.step("Godot", || godot::step(&echo));
    report.step("Unity, in Mono and CoreCLR", || match unity::tools() {
        Ok(()) => unity::test(&echo).into(),
        Err(reason) => Verdict::Skipped(reason),
    });
    report.step("the demo", || demo::play(&echo, Build::Release).into());
    report.step("C++, and the installed package", || match cpp::tools() {
        Ok(()) => cpp::test(&echo).into(),
        Err(reason) => Verdict::Skipped(reason),
    });
    report.step("soak: two minutes of two hundred connections", || soak::short().into());
    report.step("network: dead addresses, dead links, slow links", network::step);
    real::steps(&mut report);
    proxies::steps(&mut report, &echo);
    report.step("Autobahn", autobahn::step);
    report
}

/// The orders in which threads may meet: shuttle plays many, drawn at random, and loom all of them
/// within reason.
fn models() -> Outcome {
    ["shuttle", "framewire_loom"].into_iter().try_for_each(|checker| {
        let mut tests = cargo();
        tests.args(["test", "--package", "framewire", "--lib", "--quiet", "models"]);
        // Folders of their own, as the flags would have everything built again each time.
        let target = root().join("target").join(checker);
        run(tests.env("RUSTFLAGS", format!("--cfg {checker}")).env("CARGO_TARGET_DIR", target))
    })
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

pub fn run_and_report(only: &[&str]) -> Outcome {
    if !has("cargo") {
        return Err("cargo is missing".into());
    }
    println!("in {}", root().display());
    run_all(only).conclude()
}
