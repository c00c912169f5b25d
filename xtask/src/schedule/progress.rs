//! Shows which steps run and the time left: in one line on a terminal, in plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use super::{State, Step, lock};
use crate::run::root;

/// The expected duration of each step: that of its last run, or the one in its definition.
pub struct Estimates(Vec<f32>);

impl Estimates {
    pub fn load(steps: &[Step]) -> Self {
        let last = std::fs::read_to_string(file()).unwrap_or_default();
        let last = parse(&last);
        Self(steps.iter().map(|step| last.get(step.name).copied().unwrap_or(step.seconds as f32)).collect())
    }

    /// Estimates the time left: both lanes share it, except for the last step.
    fn left(&self, steps: &[Step], states: &[State]) -> f32 {
        let left = |at: usize| match states[at] {
            State::Waiting => self.0[at],
            State::Running(since) => (self.0[at] - since.elapsed().as_secs_f32()).max(0.0),
            State::Ended => 0.0,
        };
        let sum =
            |last: bool| (0..steps.len()).filter(|&at| steps[at].is_last == last).map(left).sum::<f32>();
        let longest = (0..steps.len()).filter(|&at| !steps[at].is_last).map(left).fold(0.0, f32::max);
        (sum(false) / 2.0).max(longest) + sum(true)
    }
}

/// Reads lines of seconds, a space and the name of a step.
fn parse(text: &str) -> BTreeMap<&str, f32> {
    let line = |line: &'_ str| -> Option<(usize, f32)> {
        let (seconds, name) = line.split_once(' ')?;
        Some((line.len() - name.len(), seconds.parse().ok()?))
    };
    text.lines().filter_map(|text| line(text).map(|(at, seconds)| (&text[at..], seconds))).collect()
}

fn file() -> PathBuf {
    root().join("target/xtask/durations")
}

pub struct Progress {
    steps: Vec<Step>,
    estimates: Estimates,
    begun: Instant,
    is_terminal: bool,
    took: Mutex<Vec<(usize, f32)>>,
}

impl Progress {
    pub fn new(steps: &[Step], estimates: Estimates) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self { steps: steps.to_vec(), estimates, begun: Instant::now(), is_terminal, took: Mutex::default() }
    }

    /// Returns the number of steps, the time so far and the time left.
    fn times(&self, states: &[State]) -> String {
        let begun = states.iter().filter(|state| **state != State::Waiting).count();
        let so_far = clock(self.begun.elapsed().as_secs_f32());
        let to_go = clock(self.estimates.left(&self.steps, states));
        format!("{begun} of {}, {so_far} elapsed, about {to_go} left", self.steps.len())
    }

    /// Updates the line on the terminal.
    pub fn show(&self, states: &[State]) {
        if !self.is_terminal {
            return;
        }
        let running: Vec<String> = (self.steps.iter().zip(states))
            .filter_map(|(step, state)| match state {
                State::Running(since) => {
                    Some(format!("{} ({})", step.name, clock(since.elapsed().as_secs_f32())))
                }
                _ => None,
            })
            .collect();
        let line: String =
            format!("{}: {}", self.times(states), running.join("; ")).chars().take(110).collect();
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
    }

    pub fn begins(&self, at: usize, states: &[State]) {
        if !self.is_terminal {
            println!("==== {}: {}", self.times(states), self.steps[at].name);
        }
    }

    /// Prints the output of a step.
    pub fn ended(&self, at: usize, seconds: f32, output: &str) {
        lock(&self.took).push((at, seconds));
        let mut out = std::io::stdout().lock();
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        let _ =
            writeln!(out, "{clear}{}", output.trim_start_matches(if self.is_terminal { '\n' } else { '\0' }));
    }

    /// Saves the durations for the estimates of the next run.
    pub fn save(&self) {
        let old = std::fs::read_to_string(file()).unwrap_or_default();
        let mut durations = parse(&old);
        for (at, seconds) in lock(&self.took).iter() {
            durations.insert(self.steps[*at].name, *seconds);
        }
        let text: String = durations.iter().map(|(name, seconds)| format!("{seconds:.1} {name}\n")).collect();
        let _ = std::fs::write(file(), text);
    }
}

/// Formats minutes and seconds.
fn clock(seconds: f32) -> String {
    let seconds = seconds as u32;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn saved_durations_are_read_and_other_lines_are_ignored() {
        let read = parse("12.5 tests in C\nnonsense\n3 Autobahn\n");
        assert_eq!(read, BTreeMap::from([("tests in C", 12.5), ("Autobahn", 3.0)]));
    }

    #[test]
    fn lanes_share_the_time_left_except_for_the_last_step() {
        let steps = [
            Step::new("one", 10, || Verdict::Passed),
            Step::new("two", 30, || Verdict::Passed),
            Step::new("three", 26, || Verdict::Passed).waits(),
            Step::new("four", 5, || Verdict::Passed).last(),
        ];
        let estimates = Estimates(vec![10.0, 30.0, 26.0, 5.0]);
        use State::{Ended, Waiting};
        assert_eq!(estimates.left(&steps, &[Waiting; 4]), 33.0 + 5.0);
        assert_eq!(estimates.left(&steps, &[Ended, Waiting, Ended, Waiting]), 30.0 + 5.0);
        assert_eq!(clock(estimates.left(&steps, &[Ended, Waiting, Ended, Ended])), "0:30");
    }
}
