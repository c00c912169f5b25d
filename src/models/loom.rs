//! Models under loom: every order in which threads are interrupted a few times, and every value that
//! the memory orderings allow an atomic to be read as.

use loom::model::Builder;
pub use loom::thread;

/// How often a thread may be interrupted where it could have gone on. Errors that need more are rare.
const PREEMPTIONS: usize = 2;

/// A run that takes more decisions than these goes in circles.
const MAX_BRANCHES: usize = 50_000;

pub fn check(model: fn()) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = MAX_BRANCHES;
    builder.check(model);
}
