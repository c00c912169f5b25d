//! `cargo xtask nightly`: what takes too long to run with every change.

use crate::run::Outcome;
use crate::test::{Report, Verdict};
use crate::{autobahn, check_platforms, cross, dist, fuzz, reproducible, soak, supply};

/// A name, and what to do.
type Step = (&'static str, fn() -> Verdict);

/// New ones go here.
const STEPS: &[Step] = &[
    ("check-platforms: it compiles for what cannot be linked here", || check_platforms::run(&[]).into()),
    ("dist: everything that is shipped", || dist::run(&[]).into()),
    ("cross-test: Windows and ARM, emulated", || cross::run(&[]).into()),
    ("what it is made of: licences, sources, duplicates, known faults", supply::deny),
    ("what it is made of: the list of it all", supply::sbom),
    ("the oldest compiler that is promised", supply::oldest_compiler),
    ("two builds of a release are the same", reproducible::step),
    ("fuzzing, an hour each", || fuzz::main(&["--seconds", "3600"]).into()),
    ("Autobahn, every case", || autobahn::run(true).into()),
    ("soak: half an hour of two hundred connections", || soak::main(&[]).into()),
];

/// All steps, or those whose names contain one of the words.
pub fn run(only: &[&str]) -> Outcome {
    let mut report = Report::new(only);
    for (name, step) in STEPS {
        report.step(name, step);
    }
    report.conclude()
}
