//! Runs steps, each in a separate process, in two lanes: steps that mostly wait run in parallel to steps
//! that compute. An idle lane runs steps of the other one.
//!
//! The output of a step is printed when it ends. Until then a line shows what runs, how many steps there are,
//! the time so far and the time left.

mod progress;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::progress::{Estimates, Progress};
use crate::run::{Outcome, root, scratch};

/// Lines of a failed step's error that are repeated at the end.
const LAST_LINES: usize = 60;

/// How a step ended.
pub enum Verdict {
    Passed,
    Failed(String),
    /// It cannot run here, for this reason.
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

/// Why a test did not pass. `?` turns every other error into `Failed`.
pub enum Problem {
    /// A tool or a server is missing: the step is skipped.
    Missing(String),
    Failed(String),
}

pub type Tested = Result<(), Problem>;

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Problem::Failed(problem)
    }
}

impl From<Tested> for Verdict {
    fn from(tested: Tested) -> Self {
        match tested {
            Ok(()) => Verdict::Passed,
            Err(Problem::Missing(reason)) => Verdict::Skipped(reason),
            Err(Problem::Failed(problem)) => Verdict::Failed(problem),
        }
    }
}

/// Each lane runs one step at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Computes,
    /// Mostly sleeps or waits for other programs.
    Waits,
}

#[derive(Clone, Copy)]
pub struct Step {
    pub name: &'static str,
    /// Duration on two idle cores, for the first estimate; after that, the last run counts.
    pub seconds: u32,
    pub run: fn() -> Verdict,
    pub lane: Lane,
    /// Runs in `cargo xtask test` without `--all` too.
    pub is_quick: bool,
    /// Starts after these steps have ended, if they run.
    pub after: &'static [&'static str],
    /// Starts after all other steps have ended.
    pub is_last: bool,
}

impl Step {
    pub const fn new(name: &'static str, seconds: u32, run: fn() -> Verdict) -> Self {
        Self { name, seconds, run, lane: Lane::Computes, is_quick: false, after: &[], is_last: false }
    }

    pub const fn quick(self) -> Self {
        Self { is_quick: true, ..self }
    }

    pub const fn waits(self) -> Self {
        Self { lane: Lane::Waits, ..self }
    }

    pub const fn last(self) -> Self {
        Self { is_last: true, ..self }
    }

    pub const fn after(self, steps: &'static [&'static str]) -> Self {
        Self { after: steps, ..self }
    }
}

/// The file to which the process of a step writes its result: seconds of CPU time, a line break, the error.
const REPORT: &str = "FRAMEWIRE_XTASK_REPORT";
const SKIPPED: u8 = 3;

/// Runs `cargo xtask step NAME`, which the scheduler starts.
pub fn run_one(step: &Step) -> ExitCode {
    let verdict = (step.run)();
    let (code, text) = match &verdict {
        Verdict::Passed => (0, ""),
        Verdict::Failed(problem) => (1, problem.as_str()),
        Verdict::Skipped(reason) => (SKIPPED, reason.as_str()),
    };
    match std::env::var_os(REPORT) {
        Some(report) => drop(std::fs::write(report, format!("{}\n{text}", cpu_seconds()))),
        None => println!("{text}"),
    }
    ExitCode::from(code)
}

/// Returns the CPU time of this process and of children that have ended; 0 without `/proc`.
fn cpu_seconds() -> f32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 to 17 of proc(5), in 1/100 s. The name before them may contain anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f32 =
        fields.split_whitespace().skip(11).take(4).filter_map(|one| one.parse::<f32>().ok()).sum();
    ticks / 100.0
}

/// The result of a step.
struct Ended {
    name: &'static str,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running(Instant),
    Ended,
}

struct Scheduler<'a> {
    steps: &'a [Step],
    /// The path of this program at the start: a build may replace the file.
    program: PathBuf,
    states: Mutex<Vec<State>>,
    changed: Condvar,
    ended: Mutex<Vec<Ended>>,
    progress: Progress,
}

/// Runs the steps, with these environment variables, and prints the results.
pub fn run(steps: &[Step], environment: &[(&str, &str)]) -> Outcome {
    if steps.is_empty() {
        return Err("no step has such a name".into());
    }
    let scheduler = Scheduler {
        steps,
        program: std::env::current_exe().map_err(|error| error.to_string())?,
        states: Mutex::new(vec![State::Waiting; steps.len()]),
        changed: Condvar::new(),
        ended: Mutex::new(Vec::new()),
        progress: Progress::new(steps, Estimates::load(steps)),
    };
    std::thread::scope(|scope| {
        for lane in [Lane::Computes, Lane::Waits] {
            let scheduler = &scheduler;
            scope.spawn(move || {
                while let Some(at) = scheduler.next(lane) {
                    scheduler.run(at, environment);
                }
            });
        }
        let mut states = lock(&scheduler.states);
        while states.iter().any(|state| *state != State::Ended) {
            scheduler.progress.show(&states);
            states = scheduler
                .changed
                .wait_timeout(states, Duration::from_secs(1))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    });
    scheduler.progress.save();
    conclude(&lock(&scheduler.ended))
}

impl Scheduler<'_> {
    /// Waits for the next step of a lane; `None` if no step is left.
    fn next(&self, lane: Lane) -> Option<usize> {
        let mut states = lock(&self.states);
        loop {
            if !states.contains(&State::Waiting) {
                return None;
            }
            if let Some(at) = choose(self.steps, &states, lane) {
                states[at] = State::Running(Instant::now());
                self.progress.begins(at, &states);
                return Some(at);
            }
            states = self.changed.wait(states).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, at: usize, environment: &[(&str, &str)]) {
        let step = &self.steps[at];
        let started = Instant::now();
        let (output, verdict, cpu) = match start(&self.program, at, step, environment) {
            Ok(ended) => ended,
            Err(problem) => (String::new(), Verdict::Failed(problem), 0.0),
        };
        let seconds = started.elapsed().as_secs_f32();
        let times = format!("{seconds:.1} s, {cpu:.1} s of CPU time");
        let result = match &verdict {
            Verdict::Passed => format!("ok, {times}"),
            Verdict::Failed(problem) => format!("FAILED, {times}\n{problem}"),
            Verdict::Skipped(reason) => format!("skipped: {reason}"),
        };
        self.progress.ended(at, seconds, &format!("\n---- {0}\n{output}---- {0}: {result}", step.name));
        lock(&self.ended).push(Ended { name: step.name, verdict });
        lock(&self.states)[at] = State::Ended;
        self.changed.notify_all();
    }
}

/// Chooses the first step of the lane that can start, or of the other lane if this one has none left.
fn choose(steps: &[Step], states: &[State], lane: Lane) -> Option<usize> {
    let has_ended = |name: &&str| {
        steps.iter().zip(states).all(|(step, state)| step.name != *name || *state == State::Ended)
    };
    let is_free = |at: usize| match steps[at].is_last {
        true => (0..steps.len()).all(|other| other == at || states[other] == State::Ended),
        false => steps[at].after.iter().all(has_ended),
    };
    let waiting = || (0..steps.len()).filter(|&at| states[at] == State::Waiting);
    let has_own = waiting().any(|at| steps[at].lane == lane);
    waiting().find(|&at| (steps[at].lane == lane || !has_own) && is_free(at))
}

/// Runs a step, and returns its output, result and seconds of CPU time.
fn start(
    program: &Path,
    at: usize,
    step: &Step,
    environment: &[(&str, &str)],
) -> Outcome<(String, Verdict, f32)> {
    let report = reports()?.join(at.to_string());
    let _ = std::fs::remove_file(&report);
    let mut child = Command::new(program)
        .args(["step", step.name])
        .env(REPORT, &report)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let output = Arc::new(Mutex::new(Vec::new()));
    let readers = [
        child.stdout.take().map(|pipe| keep(pipe, output.clone())),
        child.stderr.take().map(|pipe| keep(pipe, output.clone())),
    ];
    let status = child.wait().map_err(|error| error.to_string())?;
    // Programs that it has started may keep the pipes open, so this does not wait for EOF.
    let deadline = Instant::now() + Duration::from_secs(2);
    while readers.iter().flatten().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = String::from_utf8_lossy(&lock(&output)).into_owned();
    let written = std::fs::read_to_string(&report).unwrap_or_default();
    let (cpu, text) = written.split_once('\n').unwrap_or_default();
    let verdict = match status.code() {
        Some(0) => Verdict::Passed,
        Some(code) if code == i32::from(SKIPPED) => Verdict::Skipped(text.to_owned()),
        Some(1) if !written.is_empty() => Verdict::Failed(text.to_owned()),
        _ => Verdict::Failed(format!("the step's process ended with {status}\n{output}")),
    };
    Ok((output, verdict, cpu.parse().unwrap_or(0.0)))
}

/// Collects output by lines, so that lines of two pipes do not mix.
fn keep(pipe: impl Read + Send + 'static, to: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            lock(&to).append(&mut line);
        }
    })
}

fn conclude(ended: &[Ended]) -> Outcome {
    println!();
    for one in ended {
        if let Verdict::Skipped(reason) = &one.verdict {
            println!("skipped: {} ({reason})", one.name);
        }
    }
    for one in ended {
        if let Verdict::Failed(problem) = &one.verdict {
            let lines: Vec<&str> = problem.lines().collect();
            println!("FAILED: {}\n{}", one.name, lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
        }
    }
    let count = |is: fn(&Verdict) -> bool| ended.iter().filter(|one| is(&one.verdict)).count();
    let passed = count(|verdict| matches!(verdict, Verdict::Passed));
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} steps failed")) }
}

fn reports() -> Outcome<PathBuf> {
    scratch("xtask").map(|_| root().join("target/xtask"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_lane_runs_steps_of_the_other_lane() {
        const NONE: fn() -> Verdict = || Verdict::Passed;
        let steps = [
            Step::new("build", 1, NONE),
            Step::new("last", 1, NONE).last(),
            Step::new("compute", 1, NONE).after(&["build"]),
            Step::new("more", 1, NONE).after(&["build"]),
            Step::new("wait", 1, NONE).waits().after(&["build"]),
        ];
        let running = State::Running(Instant::now());
        let mut states = [State::Waiting; 5];
        assert_eq!(choose(&steps, &states, Lane::Computes), Some(0));
        assert_eq!(choose(&steps, &states, Lane::Waits), None, "its own step waits for the build");
        states[0] = State::Ended;
        assert_eq!(choose(&steps, &states, Lane::Computes), Some(2));
        assert_eq!(choose(&steps, &states, Lane::Waits), Some(4));
        (states[2], states[4]) = (running, State::Ended);
        assert_eq!(choose(&steps, &states, Lane::Waits), Some(3), "the lane has no step left");
        states[3] = running;
        assert_eq!(choose(&steps, &states, Lane::Waits), None, "the last step runs alone");
        (states[2], states[3]) = (State::Ended, State::Ended);
        assert_eq!(choose(&steps, &states, Lane::Computes), Some(1));
    }

    #[test]
    fn cpu_time_of_this_process_is_counted() {
        let before = cpu_seconds();
        let begun = Instant::now();
        let mut number = 1_u64;
        while cfg!(target_os = "linux") && cpu_seconds() < before + 0.02 {
            number = std::hint::black_box(number.wrapping_mul(31));
            assert!(begun.elapsed() < Duration::from_secs(60), "{before} s have not grown");
        }
    }
}
