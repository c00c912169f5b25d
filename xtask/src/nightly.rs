//! `cargo xtask nightly`: what takes too long to run with every change.

use crate::run::Outcome;
use crate::schedule::{self, Step};
use crate::{autobahn, check_platforms, cross, dist, fuzz, reproducible, soak, supply};

/// New ones go here. One after the other, as most of them use all there is.
const STEPS: &[Step] = &[
    Step::new("check-platforms: it compiles for what cannot be linked here", 600, || {
        check_platforms::run(&[]).into()
    }),
    Step::new("dist: everything that is shipped", 1800, || dist::run(&[]).into()),
    Step::new("cross-test: Windows and ARM, emulated", 900, || cross::run(&[]).into()),
    Step::new("what it is made of: licences, sources, duplicates, known faults", 60, supply::deny),
    Step::new("what it is made of: the list of it all", 60, supply::sbom),
    Step::new("the oldest compiler that is promised", 60, supply::oldest_compiler),
    Step::new("two builds of a release are the same", 300, reproducible::step),
    Step::new("fuzzing, an hour each", 8 * 3600, || fuzz::main(&["--seconds", "3600"]).into()),
    Step::new("Autobahn, every case", 1800, || autobahn::run(true).into()),
    Step::new("soak: half an hour of two hundred connections", 1900, || soak::main(&[]).into()),
];

/// All steps, or those whose names contain one of the words.
pub fn run(only: &[&str]) -> Outcome {
    let is_wanted = |step: &&Step| only.is_empty() || only.iter().any(|word| step.name.contains(word));
    let steps: Vec<Step> = STEPS.iter().filter(is_wanted).copied().collect();
    schedule::run(&steps, &[])
}

/// `cargo xtask step NAME`.
pub fn find(name: &str) -> Option<&'static Step> {
    STEPS.iter().find(|step| step.name == name)
}
