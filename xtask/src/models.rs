//! Runs the concurrency models: many random schedules with shuttle, all schedules with few preemptions with
//! loom.

use crate::run::{Outcome, cargo, run, with_cfg};

pub fn test() -> Outcome {
    ["shuttle", "framewire_loom"].into_iter().try_for_each(|checker| {
        let mut tests = cargo();
        tests.args(["test", "--package", "framewire", "--lib", "--quiet"]);
        // The models run the code of the library very often.
        tests.args(["--config", "profile.dev.package.framewire.opt-level=1", "models"]);
        run(with_cfg(&mut tests, checker)?)
    })
}
