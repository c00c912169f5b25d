//! The orders in which threads may meet: shuttle plays many, drawn at random, and loom all of them within
//! reason.

use crate::run::{Outcome, cargo, run, with_cfg};

pub fn test() -> Outcome {
    ["shuttle", "framewire_loom"].into_iter().try_for_each(|checker| {
        let mut tests = cargo();
        tests.args(["test", "--package", "framewire", "--lib", "--quiet"]);
        // They run the library's own code a great many times.
        tests.args(["--config", "profile.dev.package.framewire.opt-level=1", "models"]);
        run(with_cfg(&mut tests, checker)?)
    })
}
