//! `cargo xtask bench`: Framewire, its peers and the limit, one after the other in every round, so that
//! whatever else the machine does meets them all. benches/README.md explains what is measured and how.

mod build;
mod calls;
pub mod counts;
mod measures;
mod plot;
mod run;
mod show;

use std::path::PathBuf;

use self::build::Client;
use self::measures::Test;
use self::run::Server;
use crate::files;
use crate::run::{Outcome, scratch};

/// Rounds, if the command line does not say.
const RUNS: usize = 7;
/// What [`calls`] measures, as the command line names it.
const CALLS: &str = "calls";

/// What the command line asks for.
struct Plan {
    runs: usize,
    /// Goes on with the results that are there.
    keeps: bool,
    /// Measures nothing.
    only_shows: bool,
    /// Where the picture goes.
    svg: Option<PathBuf>,
    words: Vec<String>,
}

pub fn run(arguments: &[&str]) -> Outcome {
    let plan = Plan::parse(arguments)?;
    let results = results_file()?;
    if !plan.only_shows {
        let (clients, left_out) = build::build()?;
        for reason in &left_out {
            println!("left out: {reason}");
        }
        if !plan.keeps {
            files::write(&results, "")?;
        }
        measure(&plan, &clients)?;
    }
    let results = run::load(&results)?;
    show::show(&results);
    match (&plan.svg, plot::svg(&results)) {
        (Some(file), Some(svg)) => files::write(file, svg),
        _ => Ok(()),
    }
}

/// Every line a client has printed, with the name of its test.
fn results_file() -> Outcome<PathBuf> {
    Ok(scratch("bench")?.join("results.jsonl"))
}

impl Plan {
    fn parse(arguments: &[&str]) -> Outcome<Self> {
        let mut plan = Self { runs: RUNS, keeps: false, only_shows: false, svg: None, words: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--runs" => {
                    let number = arguments.next().and_then(|number| number.parse().ok());
                    plan.runs = number.ok_or("--runs wants a number")?;
                }
                "--svg" => plan.svg = Some(arguments.next().ok_or("--svg wants a file")?.into()),
                "--keep" => plan.keeps = true,
                "--show" => plan.only_shows = true,
                word => plan.words.push(word.to_owned()),
            }
        }
        Ok(plan)
    }

    /// Words choose tests by their names and clients by theirs; where none names a test, or a client,
    /// all of them are meant.
    fn wants(&self, name: &str, all: &[&str]) -> bool {
        let mut words = self.words.iter().filter(|word| all.iter().any(|name| name.contains(word.as_str())));
        let first = words.next();
        first.is_none_or(|word| name.contains(word.as_str()))
            || words.any(|word| name.contains(word.as_str()))
    }
}

fn measure(plan: &Plan, clients: &[Client]) -> Outcome {
    let tests = measures::all();
    let test_names: Vec<&str> = tests.iter().map(|test| test.name).chain([CALLS]).collect();
    let client_names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    let server = Server::start()?;
    if plan.wants(CALLS, &test_names) {
        calls::run(&server)?;
    }
    for test in tests.iter().filter(|test| plan.wants(test.name, &test_names)) {
        println!("{}: {}", test.name, test.what);
        for round in 0..if test.is_exact { 1 } else { plan.runs } {
            for client in clients.iter().filter(|client| plan.wants(&client.name, &client_names)) {
                one(&server, test, client, round)?;
            }
        }
    }
    Ok(())
}

fn one(server: &Server, test: &Test, client: &Client, round: usize) -> Outcome {
    if !client.can(test) {
        return Ok(());
    }
    match server.run(test, client) {
        Ok(line) => run::save(&results_file()?, test.name, &client.name, &line),
        // A peer that fails is said and left out; the others go on.
        Err(problem) => {
            println!("  {} (round {round}): {}", client.name, problem.lines().last().unwrap_or_default());
            Ok(())
        }
    }
}
