//! Runs the program.

#![allow(dead_code)] // Each test program uses a part of it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

/// The program with these arguments, without the settings of this environment.
pub fn framewire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_framewire"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    for name in ["FRAMEWIRE_USER", "FRAMEWIRE_BEARER", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The lines of the output as JSON.
    pub fn json(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("the output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the output is UTF-8"),
        }
    }
}

pub fn run(arguments: &[&str]) -> Done {
    framewire(arguments).output().expect("the program starts").into()
}

/// Runs the program with this standard input.
pub fn run_with_input(arguments: &[&str], input: &[u8]) -> Done {
    let mut child = framewire(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // The output has to be read meanwhile.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Fails if the program does not read its input.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().expect("it is waited for once").into()
    })
}

/// A running program whose output is read line by line. Dropping it kills the program.
pub struct Running {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = framewire(arguments).stderr(Stdio::inherit()).spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdout }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the output is UTF-8");
        line.trim_end().to_owned()
    }

    /// The address on which `framewire proxy --json` listens.
    pub fn address(&mut self) -> SocketAddr {
        let event: Value = serde_json::from_str(&self.line()).expect("an event");
        assert_eq!(event["event"], "listening");
        event["address"].as_str().expect("a text").parse().expect("an address")
    }

    /// Interrupts the program as Ctrl-C does, and returns its exit code.
    #[cfg(unix)]
    pub fn interrupt(&mut self) -> i32 {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill exists").success());
        self.child.wait().expect("it was started").code().expect("it was not killed")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file for one test, removed at its end.
pub struct TempFile(pub PathBuf);

impl TempFile {
    pub fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("framewire-cli-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("the temporary folder is writable");
        Self(path)
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("the path is UTF-8")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
