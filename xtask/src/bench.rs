//! `cargo xtask bench`: measures Framewire, other libraries and the lower limit, in turns, so that other load affects
//! all of them. benches/README.md explains the method.

pub mod bindings;
mod build;
mod calls;
pub mod counts;
pub mod godot;
mod lanes;
mod measures;
mod plot;
mod run;
mod scale;
mod show;
mod sizes;
mod web;

use std::path::{Path, PathBuf};

use self::build::Client;
use self::measures::Test;
use self::run::Server;
use crate::c::Build;
use crate::files;
use crate::platforms;
use crate::run::{Outcome, ensure, scratch};

/// Default number of rounds.
const RUNS: usize = 7;
/// The name of [`calls`] on the command line.
const CALLS: &str = "calls";

/// The page of the manual with the results.
const PAGE: &str = "docs/performance.md";

/// Selects the measurement in Godot.
const GODOT: &str = "godot";

/// Selects the measurement in Chromium.
const WEB: &str = "web";

/// The options of the command line.
struct Plan {
    runs: usize,
    /// Adds to existing results.
    keeps: bool,
    /// Prints the last results, and measures nothing.
    only_shows: bool,
    /// Writes the table of the manual.
    writes_table: bool,
    /// The file of the diagram.
    svg: Option<PathBuf>,
    words: Vec<String>,
}

pub fn run(arguments: &[&str]) -> Outcome {
    match arguments {
        ["scale", arguments @ ..] => return scale::run(arguments),
        ["sizes"] => return sizes::run_all(),
        ["lanes"] => return lanes::run(Build::Release),
        // Enough for what the link limits.
        ["lanes", "--development"] => return lanes::run(Build::Development),
        _ => {}
    }
    let mut plan = Plan::parse(arguments)?;
    if plan.words == [GODOT] {
        return godot::run(plan.runs);
    }
    if plan.words == [WEB] {
        return web::run(plan.runs);
    }
    let binding = plan.words.first().and_then(|word| bindings::find(word));
    let results = scratch("bench")?.join(binding.map_or("results.jsonl", |binding| binding.results));
    if binding.is_some() {
        plan.words.remove(0);
    }
    if !plan.only_shows {
        let (clients, left_out) = binding.map_or_else(build::build, |binding| (binding.build)())?;
        for reason in &left_out {
            println!("skipped: {reason}");
        }
        if !plan.keeps {
            files::write(&results, "")?;
        }
        let mut tests = measures::all();
        tests.retain(|test| binding.is_none_or(|binding| binding.tests.contains(&test.name)));
        measure(&plan, &tests, &clients, &results)?;
    }
    let results = run::load(&results)?;
    let base = binding.map_or(&show::BASE, |binding| &binding.base);
    show::show(&results);
    if plan.writes_table {
        match binding {
            None => platforms::replace(PAGE, "speed", &show::summary(&results))?,
            Some(binding) => platforms::replace(PAGE, binding.table, &show::by_client(&results))?,
        }
    }
    match (&plan.svg, plot::svg(&results, base)) {
        (Some(file), Some(svg)) => files::write(file, svg),
        _ => Ok(()),
    }
}

/// Builds what counts in a game engine need.
pub fn prepare_counts() -> Outcome {
    ensure("openssl", &["openssl", "libssl-dev"])?;
    if let Err(problem) = ensure("strace", &["strace"]) {
        println!("{problem}");
    }
    build::for_counts_elsewhere()
}

impl Plan {
    fn parse(arguments: &[&str]) -> Outcome<Self> {
        let mut plan = Self {
            runs: RUNS,
            keeps: false,
            only_shows: false,
            writes_table: false,
            svg: None,
            words: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--runs" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    plan.runs = number.ok_or("--runs needs a number")?;
                }
                "--svg" => plan.svg = Some(arguments.next().ok_or("--svg needs a file")?.into()),
                "--keep" => plan.keeps = true,
                "--show" => plan.only_shows = true,
                "--table" => plan.writes_table = true,
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                word => plan.words.push(word.to_owned()),
            }
        }
        Ok(plan)
    }

    /// Returns whether a test or client is selected: words select by name; without a matching word, all are.
    fn wants(&self, name: &str, all: &[&str]) -> bool {
        let mut words = self.words.iter().filter(|word| all.iter().any(|name| name.contains(word.as_str())));
        let first = words.next();
        first.is_none_or(|word| name.contains(word.as_str()))
            || words.any(|word| name.contains(word.as_str()))
    }
}

/// Writes each line that a client prints to the file of results, with the name of the test.
fn measure(plan: &Plan, tests: &[Test], clients: &[Client], results: &Path) -> Outcome {
    let test_names: Vec<&str> = tests.iter().map(|test| test.name).chain([CALLS]).collect();
    let client_names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    let server = Server::start()?;
    if tests.len() == measures::all().len() && plan.wants(CALLS, &test_names) {
        calls::run(&server)?;
    }
    for test in tests.iter().filter(|test| plan.wants(test.name, &test_names)) {
        println!("{}: {}", test.name, test.what);
        for round in 0..if test.is_exact { 1 } else { plan.runs } {
            for client in clients.iter().filter(|client| plan.wants(&client.name, &client_names)) {
                one(&server, test, client, round, results)?;
            }
        }
    }
    Ok(())
}

fn one(server: &Server, test: &Test, client: &Client, round: usize, results: &Path) -> Outcome {
    if !client.can(test) {
        return Ok(());
    }
    match server.run(test, client) {
        Ok(line) => run::save(results, test.name, &client.name, &line),
        // If one client fails, the others continue.
        Err(problem) => {
            println!("  {} (round {round}): {}", client.name, problem.lines().last().unwrap_or_default());
            Ok(())
        }
    }
}
