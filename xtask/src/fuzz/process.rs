//! Runs a fuzz target for a given CPU time.
//!
//! libFuzzer's `-max_total_time` counts wall clock time, of which a target gets little on a busy machine.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::run::{Outcome, quietly};

pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
    /// CPU time, user and system.
    pub used: Duration,
    pub elapsed: Duration,
}

/// Stops the fuzzer after `seconds` of CPU time. Its output goes into `log`.
pub fn run_for(seconds: u32, command: &mut Command, log: &Path) -> Outcome<Ended> {
    let failed = |error: std::io::Error| error.to_string();
    let output = File::create(log).map_err(failed)?;
    command.stdout(output.try_clone().map_err(failed)?).stderr(output);
    let mut child = command.spawn().map_err(failed)?;
    let started = Instant::now();
    let (mut used, mut asked) = (Duration::ZERO, false);
    let status = loop {
        used = cpu_time(child.id()).unwrap_or_else(|| used.max(started.elapsed()));
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if used >= Duration::from_secs(seconds.into()) && !asked {
            asked = true;
            // libFuzzer ends after the current input, and prints its statistics.
            quietly(Command::new("sh").args(["-c", &format!("kill -USR1 {}", child.id())]))?;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let output = std::fs::read(log).map_err(failed)?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Ended { status, output, used, elapsed: started.elapsed() })
}

/// Returns the CPU time of all threads of a process; `None` without `/proc`.
fn cpu_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    parse_stat(&stat)
}

/// The fields `utime` and `stime` of proc(5), in ticks of 1/100 s.
fn parse_stat(stat: &str) -> Option<Duration> {
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system_time() {
        let stat = "4242 (a ) b) R 1 4242 4242 0 -1 4194304 900 0 0 0 1234 66 5 5 39 19 1 0 100";
        assert_eq!(parse_stat(stat), Some(Duration::from_millis(13_000)));
        assert_eq!(parse_stat("4242 (name) R 1"), None);
        assert_eq!(parse_stat(""), None);
    }
}
