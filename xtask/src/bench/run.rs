//! Runs the server and one client, and saves the results.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::build::{self, Client};
use super::measures::{Kind, Test};
use crate::files;
use crate::run::{Outcome, quietly, scratch};

/// The CPU cores of the server and of the client.
const SERVER_CORE: &str = "0";
pub const CLIENT_CORE: &str = "1";
/// With fewer frames, a bit of random mask keys may be constant by chance.
const FRAMES_TO_JUDGE: u64 = 64;
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

    /// Runs a client once, and returns its line of JSON with what the server reports of its masks.
    pub fn run(&self, test: &Test, client: &Client) -> Outcome<String> {
        let line = self.run_under(&[], test, client)?;
        let masks = self.masks()?;
        Ok(format!("{},{}", line.trim_end().trim_end_matches('}'), masks.trim().trim_start_matches('{')))
    }

    /// Asks how the frames were masked that the server received since the last request.
    fn masks(&self) -> Outcome<String> {
        let failed = |error: std::io::Error| format!("the server's report of masks: {error}");
        let authority = self.ws.trim_start_matches("ws://");
        let mut stream = TcpStream::connect(authority).map_err(failed)?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;
        stream.write_all(b"GET /masks HTTP/1.0\r\n\r\n").map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let body = answer.split_once("\r\n\r\n").ok_or("the server reported no masks")?.1;
        Ok(body.to_owned())
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

    /// Returns how the client breaks RFC 6455 section 5.3, which requires a fresh and unpredictable mask key for each
    /// frame. Runs with few frames do not tell.
    pub fn fault(&self) -> Option<String> {
        self.0.iter().find_map(|line| {
            let of = |field: &str| number(line, &format!("mask_{field}")).unwrap_or_default() as u64;
            let constant = 32 - (of("ones") & of("zeros")).count_ones();
            if of("unmasked") > 0 {
                Some("frames are not masked".into())
            } else if of("frames") < FRAMES_TO_JUDGE {
                None
            } else if of("ones") == 0 {
                Some("the mask key is always 0".into())
            } else if constant == 32 {
                Some("one mask key for all frames".into())
            } else if constant > 0 {
                Some(format!("{constant} bits of the mask key never change"))
            } else {
                // Two connections may draw the same key by chance.
                (1000 * of("repeated") > of("frames")).then(|| "mask keys are reused".into())
            }
        })
    }

    /// Returns the CPU time per message of all runs, sorted. Mono measures it in steps: a run of 0 measured nothing.
    pub fn cpu_per_message(&self) -> Vec<f64> {
        let mut values = self.per_message("cpu_ns");
        values.retain(|cpu| *cpu > 0.0);
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

#[cfg(test)]
mod tests {
    use super::Runs;

    fn fault(frames: u64, unmasked: u64, repeated: u64, ones: u32, zeros: u32) -> Option<String> {
        let line = format!(
            "{{\"count\":1,\"mask_frames\":{frames},\"mask_unmasked\":{unmasked},\"mask_repeated\":{repeated},\
             \"mask_ones\":{ones},\"mask_zeros\":{zeros}}}"
        );
        Runs(vec![line]).fault()
    }

    #[test]
    fn random_mask_keys_are_accepted() {
        assert_eq!(fault(1000, 0, 0, u32::MAX, u32::MAX), None);
        assert_eq!(fault(1000, 0, 1, u32::MAX, u32::MAX), None, "two keys may be equal by chance");
        assert_eq!(fault(2, 0, 0, 0x1234_5678, !0x1234_5678), None, "too few frames");
    }

    #[test]
    fn missing_and_predictable_masks_are_reported() {
        assert_eq!(fault(1, 1, 0, 0, 0).as_deref(), Some("frames are not masked"));
        assert_eq!(fault(1000, 0, 999, 0, u32::MAX).as_deref(), Some("the mask key is always 0"));
        assert_eq!(fault(1000, 0, 999, 0xff, !0xff).as_deref(), Some("one mask key for all frames"));
        assert_eq!(fault(1000, 0, 500, u32::MAX, u32::MAX).as_deref(), Some("mask keys are reused"));
        assert_eq!(
            fault(1000, 0, 0, 0xffff, u32::MAX).as_deref(),
            Some("16 bits of the mask key never change")
        );
    }
}
