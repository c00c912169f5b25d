//! Runs the Autobahn testsuite against the C ABI; `tests/autobahn/README.md` has the results.
//!
//! Two servers run in parallel, each with half of the cases and its own client, because the servers, in Python, take
//! most of the time.

mod score;
mod suite;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use self::score::{CaseId, Expected};
use self::suite::Server;
use crate::c::{self, Build};
use crate::run::{
    DEVELOPMENT, Outcome, build_unless_built, cargo, command, quietly, root, run_within, scratch,
};
use crate::schedule::{Problem, Tested};

/// The cases for every change: all of the protocol, and one set of parameters of each kind for size and
/// compression.
const PART: &[&str] =
    &["1.", "2.", "3.", "4.", "5.", "6.", "7.", "9.", "10.", "12.1.", "12.2.", "13.1.", "13.7."];

/// All cases without compression.
const FRAMING: &[&str] = &["1.", "2.", "3.", "4.", "5.", "6.", "7.", "9.", "10."];

const SERVERS: usize = 2;

/// Longer than half of the cases take on a slow machine.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// One run of cases.
struct Pass<'a> {
    mode: &'a str,
    tls: bool,
    /// Prefixes of case ids; empty for all cases.
    cases: &'a [&'a str],
}

const EVERYTHING: &[Pass] = &[
    Pass { mode: "worker", tls: false, cases: &[] },
    Pass { mode: "poll", tls: false, cases: &[] },
    Pass { mode: "pull", tls: true, cases: &[] },
];

const EVERY_CHANGE: &[Pass] = &[
    Pass { mode: "worker", tls: false, cases: PART },
    Pass { mode: "poll", tls: false, cases: FRAMING },
    Pass { mode: "pull", tls: true, cases: FRAMING },
];

/// Runs the cases of every change, or all.
pub fn run(full: bool) -> Outcome {
    let python = suite::python()?;
    passes(&python, if full { EVERYTHING } else { EVERY_CHANGE })
}

/// Runs the cases of every change as a step.
pub fn step() -> Tested {
    let python = suite::python().map_err(Problem::Missing)?;
    Ok(passes(&python, EVERY_CHANGE)?)
}

/// Installs the suite and returns its Python.
pub fn suite_python() -> Outcome<PathBuf> {
    suite::python()
}

/// Runs cases in worker mode; `client` creates the command.
pub fn part(python: &Path, client: &Client, cases: &[&str]) -> Outcome<String> {
    one(python, client, &Pass { mode: "worker", tls: false, cases }, &score::expected()?)
}

/// Creates a command that runs the client.
pub type Client<'a> = dyn Fn() -> Command + Sync + 'a;

fn passes(python: &Path, passes: &[Pass]) -> Outcome {
    let library = c::library(Build::Release)?;
    let client = c::compile(&root().join("tests/autobahn/client.c"), &library, Build::Release)?;
    let expected = score::expected()?;
    for pass in passes {
        let started = Instant::now();
        let summary = one(python, &|| command(&client), pass, &expected)?;
        let over = if pass.tls { " over TLS" } else { "" };
        println!("{}{over}: {summary}, {:.0} s", pass.mode, started.elapsed().as_secs_f32());
    }
    Ok(())
}

/// Runs the clients of one pass in parallel and compares the results of the servers.
fn one(python: &Path, client: &Client, pass: &Pass, expected: &Expected) -> Outcome<String> {
    let cases: Vec<&CaseId> = expected.cases_of(pass.cases);
    let certificates = if pass.tls { Some(certificates()?) } else { None };
    let mut servers = Vec::new();
    for number in 0..SERVERS {
        // Alternating cases, because neighbours take about the same time.
        let share: Vec<&CaseId> = cases.iter().skip(number).step_by(SERVERS).copied().collect();
        servers.push(Server::start(python, number, &share, certificates.as_deref())?);
    }
    let ended: Vec<Outcome> = std::thread::scope(|scope| {
        let clients: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(|| drive(client, pass.mode, server, certificates.as_deref())))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or(Err("the client's thread panicked".into())))
            .collect()
    });
    let mut found = score::Found::default();
    for server in &servers {
        found.read(&server.reports)?;
    }
    // Reports first, because they explain errors of the clients.
    let summary = score::compare(expected, &cases, &found)?;
    ended.into_iter().collect::<Outcome>()?;
    Ok(summary)
}

fn drive(client: &Client, mode: &str, server: &Server, certificates: Option<&Path>) -> Outcome {
    let mut client = client();
    client.arg(&server.url).arg(suite::AGENT).arg(mode);
    match certificates {
        Some(folder) => client.arg(folder.join("ca.pem")),
        None => client.arg("-"),
    };
    run_within(LIMIT, client.args(["1", "1"]))
}

/// Creates a folder with a certificate for this machine and its authority.
fn certificates() -> Outcome<PathBuf> {
    build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
    let folder = scratch("autobahn/certificates")?;
    quietly(command(root().join("target/debug/framewire-certs")).arg(&folder))?;
    Ok(folder)
}
