//! Runs steps, each in a process of its own, in two lanes: what waits runs beside what computes. A lane that
//! has nothing left takes steps of the other one.
//!
//! A step's output is kept and printed whole when it ends. Meanwhile a line says what runs, how many of how
//! many, the time so far and the time to go.

mod progress;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::progress::{Estimates, Progress};
use crate::run::{Outcome, root, scratch};

/// Of what a failed step has said, as many lines are said again at the end.
const LAST_LINES: usize = 60;

/// How a step ended.
pub enum Verdict {
    Passed,
    Failed(String),
    /// It cannot be run here, and why.
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

/// Each lane runs one step at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Computes,
    /// Mostly sleeps, or waits for other programs.
    Waits,
}

#[derive(Clone, Copy)]
pub struct Step {
    pub name: &'static str,
    /// How long it takes on two quiet cores, for the first estimate; after that the last run counts.
    pub seconds: u32,
    pub run: fn() -> Verdict,
    pub lane: Lane,
    /// Of `cargo xtask test` without `--all` too.
    pub is_quick: bool,
    /// Begins after these steps have ended, if they run at all.
    pub after: &'static [&'static str],
    /// Begins after all other steps have ended.
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

/// Where the process of a step leaves its verdict: seconds of processor, a line break, what went wrong.
const REPORT: &str = "FRAMEWIRE_XTASK_REPORT";
const SKIPPED: u8 = 3;

/// `cargo xtask step NAME`: what the scheduler starts.
pub fn run_one(step: &Step) -> ExitCode {
    let verdict = (step.run)();
    let (code, text) = match &verdict {
        Verdict::Passed => (0, ""),
        Verdict::Failed(problem) => (1, problem.as_str()),
        Verdict::Skipped(reason) => (SKIPPED, reason.as_str()),
    };
    match std::env::var_os(REPORT) {
        Some(report) => drop(std::fs::write(report, format!("{}\n{text}", processor_seconds()))),
        None => println!("{text}"),
    }
    ExitCode::from(code)
}

/// Of this process and those that it has waited for; 0 where the system does not say.
fn processor_seconds() -> f32 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything: fields 14 to 17, in hundredths.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f32 =
        fields.split_whitespace().skip(11).take(4).filter_map(|one| one.parse::<f32>().ok()).sum();
    ticks / 100.0
}

/// A step that has ended.
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

struct Board<'a> {
    steps: &'a [Step],
    /// This program, where it lay at first: a build may replace it meanwhile.
    program: PathBuf,
    states: Mutex<Vec<State>>,
    changed: Condvar,
    ended: Mutex<Vec<Ended>>,
    progress: Progress,
}

/// Runs all of these and reports; `environment` is what their processes are told.
pub fn run(steps: &[Step], environment: &[(&str, &str)]) -> Outcome {
    if steps.is_empty() {
        return Err("no step has such a name".into());
    }
    let board = Board {
        steps,
        program: std::env::current_exe().map_err(|error| error.to_string())?,
        states: Mutex::new(vec![State::Waiting; steps.len()]),
        changed: Condvar::new(),
        ended: Mutex::new(Vec::new()),
        progress: Progress::new(steps, Estimates::load(steps)),
    };
    std::thread::scope(|scope| {
        for lane in [Lane::Computes, Lane::Waits] {
            let board = &board;
            scope.spawn(move || {
                while let Some(at) = board.next(lane) {
                    board.run(at, environment);
                }
            });
        }
        let mut states = lock(&board.states);
        while states.iter().any(|state| *state != State::Ended) {
            board.progress.show(&states);
            states = board
                .changed
                .wait_timeout(states, Duration::from_secs(1))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    });
    board.progress.save();
    conclude(&lock(&board.ended))
}

impl Board<'_> {
    /// The next step of a lane, once what it comes after has ended; None when there is none left.
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
        let (output, verdict, processor) = match start(&self.program, at, step, environment) {
            Ok(ended) => ended,
            Err(problem) => (String::new(), Verdict::Failed(problem), 0.0),
        };
        let seconds = started.elapsed().as_secs_f32();
        let times = format!("{seconds:.1} s, {processor:.1} s of processor");
        let said = match &verdict {
            Verdict::Passed => format!("ok, {times}"),
            Verdict::Failed(problem) => format!("FAILED, {times}\n{problem}"),
            Verdict::Skipped(reason) => format!("skipped: {reason}"),
        };
        self.progress.ended(at, seconds, &format!("\n---- {0}\n{output}---- {0}: {said}", step.name));
        lock(&self.ended).push(Ended { name: step.name, verdict });
        lock(&self.states)[at] = State::Ended;
        self.changed.notify_all();
    }
}

/// The first step of the lane that can begin, or of the other lane where the own one has none waiting.
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

/// Output, verdict, and seconds of processor.
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
    // What a step leaves running may hold the pipes, so their ends are not waited for.
    let patience = Instant::now() + Duration::from_secs(2);
    while readers.iter().flatten().any(|reader| !reader.is_finished()) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = String::from_utf8_lossy(&lock(&output)).into_owned();
    let written = std::fs::read_to_string(&report).unwrap_or_default();
    let (processor, text) = written.split_once('\n').unwrap_or_default();
    let verdict = match status.code() {
        Some(0) => Verdict::Passed,
        Some(code) if code == i32::from(SKIPPED) => Verdict::Skipped(text.to_owned()),
        Some(1) if !written.is_empty() => Verdict::Failed(text.to_owned()),
        _ => Verdict::Failed(format!("the step's process ended with {status}\n{output}")),
    };
    Ok((output, verdict, processor.parse().unwrap_or(0.0)))
}

/// Line by line, so that those of two pipes do not mix.
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
            // Once more at the end, where it is looked for.
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
    fn lanes_keep_to_their_own_steps_until_they_have_none() {
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
        assert_eq!(choose(&steps, &states, Lane::Waits), Some(3), "nothing of its own is left");
        states[3] = running;
        assert_eq!(choose(&steps, &states, Lane::Waits), None, "the last step runs alone");
        (states[2], states[3]) = (State::Ended, State::Ended);
        assert_eq!(choose(&steps, &states, Lane::Computes), Some(1));
    }

    #[test]
    fn processor_time_of_this_process_is_counted() {
        let before = processor_seconds();
        let begun = Instant::now();
        let mut number = 1_u64;
        while cfg!(target_os = "linux") && processor_seconds() < before + 0.02 {
            number = std::hint::black_box(number.wrapping_mul(31));
            assert!(begun.elapsed() < Duration::from_secs(60), "{before} s have not grown");
        }
    }
}
