//! `cargo xtask soak`: tests/soak for as long as it is told.

use std::time::Duration;

use crate::run::{Outcome, command, run_within, test_program};

/// For a night.
const MINUTES: u64 = 30;
/// In every run of the tests.
const SHORT: u64 = 2;
/// Its own patience, twice.
const SLACK: Duration = Duration::from_secs(120);

/// `[--minutes N]`
pub fn main(words: &[&str]) -> Outcome {
    match words {
        [] => soak(MINUTES),
        ["--minutes", count] => soak(count.parse().map_err(|_| format!("{count} is no number of minutes"))?),
        _ => Err("usage: cargo xtask soak [--minutes N]".to_owned()),
    }
}

pub fn short() -> Outcome {
    soak(SHORT)
}

fn soak(minutes: u64) -> Outcome {
    let program = test_program("soak")?;
    let seconds = minutes * 60;
    run_within(Duration::from_secs(seconds) + SLACK, command(program).arg(seconds.to_string()))
}
