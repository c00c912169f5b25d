//! Models under shuttle: many random interleavings.
//!
//! The seed is fixed; `FRAMEWIRE_MODEL_ROUNDS=50` runs fifty times as many schedules, with other seeds. Memory
//! orderings weaker than `SeqCst` are not modelled.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
pub use shuttle::thread;
use shuttle::{Config, Runner};

/// The number of schedules of each kind.
const SCHEDULES: usize = 5_000;

/// The limit for steps, to detect livelocks.
const MAX_STEPS: usize = 50_000;

/// Runs a model under uniformly random schedules, and under schedules with few preemptions (PCT).
pub fn check(model: fn()) {
    let rounds =
        std::env::var("FRAMEWIRE_MODEL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    for seed in 0..rounds {
        Runner::new(RandomScheduler::new_from_seed(seed, SCHEDULES), config()).run(model);
        Runner::new(PctScheduler::new_from_seed(seed, 3, SCHEDULES), config()).run(model);
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.silence_warnings = true;
    // The seed is enough to reproduce a failure.
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.max_steps = shuttle::MaxSteps::FailAfter(MAX_STEPS);
    config
}
