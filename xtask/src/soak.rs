//! `cargo xtask soak`: runs tests/soak.

use std::time::Duration;

use crate::run::{Outcome, command, run_within, test_program};

/// By default, and in nightly runs.
const MINUTES: u64 = 30;
/// In `cargo xtask test --all`.
const SHORT: u64 = 2;
/// Twice the timeout inside the test.
const SLACK: Duration = Duration::from_secs(120);

/// `[--minutes N]`
pub fn main(words: &[&str]) -> Outcome {
    match words {
        [] => soak(MINUTES),
        ["--minutes", count] => {
            soak(count.parse().map_err(|_| format!("{count} is not a number of minutes"))?)
        }
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
