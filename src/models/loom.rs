//! Models under loom: all interleavings with a few preemptions, and all values that the memory orderings allow an
//! atomic load to return.

use loom::model::Builder;
pub use loom::thread;

/// The limit for preemptions. Errors that need more are rare.
const PREEMPTIONS: usize = 2;

/// The limit for scheduling decisions, to detect livelocks.
const MAX_BRANCHES: usize = 50_000;

pub fn check(model: fn()) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = MAX_BRANCHES;
    builder.check(model);
}
