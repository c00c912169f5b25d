//! Installs the suite, and runs it as a server on loopback.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::score::CaseId;
use crate::files;
use crate::run::{Outcome, WITH_INSTALL, free_port, may_install, quietly, root, scratch};

/// The name of the client in the reports.
pub const AGENT: &str = "framewire";

/// The last version, which needs Python 2.7; it pins its dependencies.
const SUITE: &str = "autobahntestsuite==25.10.1";
/// The last version that supports Python 2.7.
const VIRTUALENV: &str = "virtualenv==20.15.1";

const START_LIMIT: Duration = Duration::from_secs(60);

/// Installs the suite on first use, and returns its Python.
pub fn python() -> Outcome<PathBuf> {
    let environment = root().join("target/tools/autobahn");
    let python = environment.join("bin/python");
    let works = || quietly(Command::new(&python).args(["-c", "import autobahntestsuite"]));
    if works().is_ok() {
        return Ok(python);
    }
    let bare = python_2()?;
    may_install(SUITE, WITH_INSTALL)?;
    let boot = scratch("tools/autobahn-boot")?;
    quietly(Command::new(&bare).args(["-m", "pip", "install", "-q", VIRTUALENV, "--target"]).arg(&boot))?;
    quietly(Command::new(&bare).args(["-m", "virtualenv", "-q"]).arg(&environment).env("PYTHONPATH", &boot))?;
    quietly(Command::new(environment.join("bin/pip")).args(["install", "-q", SUITE]))?;
    works()?;
    Ok(python)
}

/// Finds Python 2.7 in pyenv, because distributions no longer have it.
fn python_2() -> Outcome<PathBuf> {
    let missing = |_| "the suite needs Python 2.7, and pyenv has none here".to_owned();
    let versions = quietly(Command::new("pyenv").args(["versions", "--bare"])).map_err(missing)?;
    let version = versions
        .lines()
        .map(str::trim)
        .find(|version| version.starts_with("2.7."))
        .ok_or_else(|| missing(String::new()))?;
    let prefix = quietly(Command::new("pyenv").args(["prefix", version]))?;
    Ok(Path::new(prefix.trim()).join("bin/python"))
}

/// A fuzzing server for some cases; it ends when this value is dropped.
pub struct Server {
    child: Child,
    pub url: String,
    /// The folder of its reports, which it writes when the client requests them.
    pub reports: PathBuf,
}

impl Server {
    pub fn start(
        python: &Path,
        number: usize,
        cases: &[&CaseId],
        certificates: Option<&Path>,
    ) -> Outcome<Self> {
        let folder = scratch(&format!("autobahn/{number}"))?;
        let reports = folder.join("reports");
        // Removes reports of earlier runs.
        let _ = fs::remove_dir_all(&reports);
        let port = free_port()?;
        let url = match certificates {
            Some(_) => format!("wss://localhost:{port}"),
            None => format!("ws://127.0.0.1:{port}"),
        };
        let specification = folder.join("spec.json");
        files::write(&specification, specify(&url, &reports, cases, certificates).to_string())?;
        let log = File::create(folder.join("server.log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(python)
            .arg("-u")
            .arg(root().join("tests/autobahn/wstest_loopback.py"))
            .args(["-m", "fuzzingserver", "-u", "0", "-s"])
            .arg(&specification)
            .current_dir(&folder)
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let mut server = Self { child, url, reports };
        server.wait_until_it_listens(port, &folder)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, port: u16, folder: &Path) -> Outcome {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?.is_some();
            if ended || started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                return Err(format!("the fuzzing server does not listen:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn specify(url: &str, reports: &Path, cases: &[&CaseId], certificates: Option<&Path>) -> serde_json::Value {
    let cases: Vec<String> = cases.iter().map(ToString::to_string).collect();
    let mut specification = serde_json::json!({
        "url": url,
        "outdir": reports,
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    if let Some(folder) = certificates {
        specification["key"] = serde_json::json!(folder.join("good.key"));
        specification["cert"] = serde_json::json!(folder.join("good.pem"));
    }
    specification
}
