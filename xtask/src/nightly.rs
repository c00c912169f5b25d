//! `cargo xtask nightly`: steps that take too long for every change.

use crate::run::Outcome;
use crate::schedule::{self, Step};
use crate::{autobahn, check_platforms, cross, dist, fuzz, reproducible, soak, supply, web, workflows};

/// In the order in which they start; most of them use both cores.
pub const STEPS: &[Step] = &[
    Step::new("check-platforms: type check for platforms that cannot be linked here", 600, || {
        check_platforms::run(&[]).into()
    }),
    Step::new("dist: all release archives and packages", 5400, || dist::run(&[]).into()),
    Step::new(workflows::NATIVE, 400, || dist::native::step().into()),
    Step::new("cross-test: Windows and ARM under emulators, Android code on Linux, browsers", 1800, || {
        cross::run(&[]).into()
    }),
    Step::new("browsers: oldest and newest emscripten", 1200, || web::releases().into()),
    Step::new("deny: licences, sources, duplicates, advisories", 60, || supply::deny().into()),
    Step::new("sbom: list of all dependencies", 60, || supply::sbom().into()),
    Step::new("oldest: build with the minimum Rust version", 60, || supply::oldest_compiler().into()),
    Step::new("reproducible: two release builds are identical", 300, || reproducible::step().into()),
    Step::new("fuzzing, an hour for each target", 8 * 3600, || fuzz::main(&["--seconds", "3600"]).into()),
    Step::new("Autobahn, all cases", 1800, || autobahn::run(true).into()),
    Step::new("soak: 200 connections for half an hour", 1900, || soak::main(&[]).into()),
];

/// Runs all steps, or those whose names contain one of the words.
pub fn run(only: &[&str]) -> Outcome {
    let is_wanted = |step: &&Step| only.is_empty() || only.iter().any(|word| step.name.contains(word));
    let steps: Vec<Step> = STEPS.iter().filter(is_wanted).copied().collect();
    schedule::run(&steps, &[])
}
