//! Real servers: each is installed into `target/tools`, started, and echoed against.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::c::{self, Build};
use crate::run::{Outcome, command, ensure, free_port, has, quietly, root, run, scratch};
use crate::test::{Report, Verdict};

pub fn steps(report: &mut Report) {
    report.step("Python websockets", || verdict(python()));
    report.step("Node ws", || verdict(node()));
    report.step("nginx as TLS front", || verdict(nginx()));
}

/// The versions that the tests were written against: a newer one is taken in on purpose.
const WEBSOCKETS: &str = "websockets==17.4";
const WS: &str = "ws@8.23.0";

/// A server could not be had, or it could and something failed.
pub enum Problem {
    Missing(String),
    Failed(String),
}

pub fn verdict(result: Result<(), Problem>) -> Verdict {
    match result {
        Ok(()) => Verdict::Passed,
        Err(Problem::Missing(reason)) => Verdict::Skipped(reason),
        Err(Problem::Failed(problem)) => Verdict::Failed(problem),
    }
}

/// A server that prints its port on its first line and ends with its standard input.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        let port =
            line.trim().parse().map_err(|_| format!("the server did not print its port but {line:?}"))?;
        Ok(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same C program against every server: text, small and large binary, a close with a reason.
fn echo_against(url: &str, ca: Option<&Path>) -> Outcome {
    let library = c::library(Build::Release)?;
    let program = c::compile(&root().join("tests/real/echo_client.c"), &library, Build::Release)?;
    let mut client = command(&program);
    client.arg(url);
    if let Some(ca) = ca {
        client.arg(ca);
    }
    run(&mut client)
}

fn python() -> Result<(), Problem> {
    let server = start_python().map_err(Problem::Missing)?;
    echo_against(&format!("ws://127.0.0.1:{}/", server.port), None).map_err(Problem::Failed)
}

fn start_python() -> Outcome<Server> {
    ensure("python3", &["python3", "python3-venv"])?;
    let folder = scratch("tools/python")?;
    let python = folder.join("bin/python");
    if !python.exists() {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    // Needs no network when it is there already.
    quietly(Command::new(&python).args(["-m", "pip", "install", "-q", WEBSOCKETS]))?;
    Server::start(Command::new(&python).arg("-u").arg(root().join("tests/real/websockets_echo.py")))
}

fn node() -> Result<(), Problem> {
    let server = start_node().map_err(Problem::Missing)?;
    echo_against(&format!("ws://127.0.0.1:{}/", server.port), None).map_err(Problem::Failed)
}

fn start_node() -> Outcome<Server> {
    ensure("node", &["nodejs", "npm"])?;
    let folder = scratch("tools/node")?;
    let mut npm = Command::new("npm");
    quietly(npm.args(["install", "--silent", "--prefer-offline", "--prefix"]).arg(&folder).arg(WS))?;
    let script = root().join("tests/real/ws_echo.js");
    Server::start(Command::new("node").arg(script).env("NODE_PATH", folder.join("node_modules")))
}

fn nginx() -> Result<(), Problem> {
    let missing = |problem: String| Problem::Missing(problem);
    // nginx lies where ordinary users do not look.
    let program = if has("nginx") { "nginx" } else { "/usr/sbin/nginx" };
    ensure(program, &["nginx-light"]).map_err(missing)?;
    let backend = start_python().map_err(missing)?;
    let front = Nginx::start(program, backend.port).map_err(Problem::Failed)?;
    echo_against(&format!("wss://localhost:{}/", front.port), Some(&front.ca)).map_err(Problem::Failed)
}

struct Nginx {
    child: Child,
    port: u16,
    ca: PathBuf,
}

impl Nginx {
    fn start(program: &str, backend: u16) -> Outcome<Self> {
        let folder = scratch("tools/nginx")?;
        let port = free_port()?;
        let certificates = root().join("target/debug/framewire-certs");
        quietly(Command::new(certificates).arg(&folder))?;
        let template = root().join("tests/real/nginx.conf");
        let text = std::fs::read_to_string(&template).map_err(|error| error.to_string())?;
        let text = text
            .replace("@FOLDER@", &folder.to_string_lossy())
            .replace("@PORT@", &port.to_string())
            .replace("@BACKEND@", &backend.to_string());
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text).map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&config)
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let front = Self { child, port, ca: folder.join("ca.pem") };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(front);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err("nginx did not start listening within ten seconds".into())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
