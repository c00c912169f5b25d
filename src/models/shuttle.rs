//! Models under shuttle: many schedules, drawn at random.
//!
//! The schedules follow from a fixed seed; `FRAMEWIRE_MODEL_ROUNDS=50` runs fifty times as many, of
//! other seeds. Memory orderings weaker than `SeqCst` are not modelled.

use shuttle::scheduler::{PctScheduler, RandomScheduler};
pub use shuttle::thread;
use shuttle::{Config, Runner};

/// Schedules of each kind that a model is run under.
const SCHEDULES: usize = 5_000;

/// A schedule that needs more than these steps runs in circles.
const MAX_STEPS: usize = 50_000;

/// Runs a model under evenly random schedules, and under schedules that stay with one thread and
/// change over in a few unlucky places.
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
    // The seed says it all.
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.max_steps = shuttle::MaxSteps::FailAfter(MAX_STEPS);
    config
}
