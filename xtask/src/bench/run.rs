//! Runs the server and one client, and saves the results.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::build::{self, Client};
use super::measures::{Kind, Test};
use crate::files;
use crate::run::{Outcome, quietly, scratch};

/// The CPU cores of the server and of the client.
const SERVER_CORE: &str = "0";
pub const CLIENT_CORE: &str = "1";
/// Longer than any client takes.
const LIMIT_SECONDS: &str = "60";

pub struct Server {
    child: Child,
    pub ws: String,
    wss: String,
    ca: PathBuf,
}

impl Server {
    pub fn start() -> Outcome<Self> {
        let ca = build::certificates()?;
        let folder = scratch("bench")?;
        let mut command = pinned(SERVER_CORE);
        let mut child = command
            .arg(folder.join("server"))
            .args(["0", "0"])
            .args([folder.join("cert.pem"), folder.join("key.pem")])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the server: {error}"))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("the server has no output")?).lines();
        let mut url = || {
            let line = lines.next().and_then(Result::ok).ok_or("the server did not start")?;
            let (scheme, port) = line.split_once(' ').ok_or("the server printed an unknown line")?;
            Ok::<_, String>(format!("{scheme}://localhost:{port}"))
        };
        Ok(Self { ws: url()?, wss: url()?, ca, child })
    }

    /// Runs a client once, and returns its line of JSON.
    pub fn run(&self, test: &Test, client: &Client) -> Outcome<String> {
        self.run_under(&[], test, client)
    }

    /// Runs a client under a tool.
    pub fn run_under(&self, tool: &[&str], test: &Test, client: &Client) -> Outcome<String> {
        let mut command = pinned(CLIENT_CORE);
        command.args(["timeout", LIMIT_SECONDS]).args(tool).args(&client.command);
        command.arg(test.mode).arg(if test.tls { &self.wss } else { &self.ws });
        for (name, value) in test.arguments {
            let value = if matches!(*name, "count" | "warm") { client.scaled(test, *value) } else { *value };
            command.arg(format!("--{name}")).arg(value.to_string());
        }
        if test.tls {
            command.arg("--ca").arg(&self.ca);
        }
        if !client.variant.is_empty() {
            command.args(["--variant", &client.variant]);
        }
        if test.kind == Kind::Allocations {
            command.env("LD_PRELOAD", scratch("bench")?.join("alloc_count.so"));
        }
        for (name, value) in &client.environment {
            command.env(name, value);
        }
        let output = quietly(&mut command)?;
        let line = output.lines().rfind(|line| line.starts_with('{')).map(str::to_owned);
        line.ok_or_else(|| "it printed nothing".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a command that runs on one core, with real-time priority if permitted. Its working folder is `/`, so
/// that results do not depend on the current folder.
pub fn pinned(core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).current_dir("/");
    if has_realtime_priority() {
        command.args(["chrt", "--rr", "1"]);
    }
    command
}

/// Returns whether real-time priority is permitted. The threads of a client then switch only where they wait for
/// each other.
pub fn has_realtime_priority() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| quietly(Command::new("chrt").args(["--rr", "1", "true"])).is_ok())
}

/// The results of one client in one test.
#[derive(Default)]
pub struct Runs(Vec<String>);

impl Runs {
    /// Returns a field of all runs, sorted.
    pub fn sorted(&self, field: &str) -> Vec<f64> {
        let mut values: Vec<f64> = self.0.iter().filter_map(|line| number(line, field)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Returns a field per message of all runs, sorted.
    pub fn per_message(&self, field: &str) -> Vec<f64> {
        let each = |line: &String| Some(number(line, field)? / number(line, "count")?.max(1.0));
        let mut values: Vec<f64> = self.0.iter().filter_map(each).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// By test, then by client.
pub type Results = BTreeMap<String, BTreeMap<String, Runs>>;

pub fn save(file: &Path, test: &str, client: &str, line: &str) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).map_err(failed)?;
    writeln!(file, "{test}\t{client}\t{line}").map_err(failed)
}

pub fn load(file: &Path) -> Outcome<Results> {
    let text = files::text(file)?;
    let mut results = Results::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, '\t');
        let (Some(test), Some(client), Some(line)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let runs = results.entry(test.to_owned()).or_default().entry(client.to_owned()).or_default();
        runs.0.push(line.to_owned());
    }
    Ok(results)
}

/// Reads a number of a flat JSON object.
pub fn number(line: &str, field: &str) -> Option<f64> {
    let rest = line.split_once(&format!("\"{field}\":"))?.1;
    rest[..rest.find([',', '}'])?].parse().ok()
}
