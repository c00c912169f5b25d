//! Starts the library with the project's settings.

use std::sync::atomic::{AtomicBool, Ordering};

use framewire::{CallError, Code, Config};

use crate::configure::bytes;
use crate::gdextension::{Variant, project_settings};

const WORKER_THREADS: &str = "framewire/worker_threads";
const EVENT_QUEUE_BYTES: &str = "framewire/event_queue_bytes";
const IGNORE_NETWORK_CHANGES: &str = "framewire/ignore_network_changes";

/// The library is running with the project's settings, or with those of another part of the program.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Adds the settings to the project's, with their defaults.
pub fn declare_settings() {
    let config = Config::default();
    for (name, default) in
        [(WORKER_THREADS, config.worker_threads), (EVENT_QUEUE_BYTES, config.event_queue_bytes)]
    {
        project_settings::declare(name, &Variant::new(i64::try_from(default).unwrap_or(i64::MAX)));
    }
    project_settings::declare(IGNORE_NETWORK_CHANGES, &Variant::new(config.ignore_network_changes));
}

/// Starts the library before the first socket. The threads start then, so not in every editor.
pub fn start() -> Result<(), CallError> {
    if STARTED.load(Ordering::Acquire) {
        return Ok(());
    }
    let number = |name: &str| bytes(project_settings::get(name).get().unwrap_or(-1), name);
    let config = Config {
        worker_threads: number(WORKER_THREADS)?,
        event_queue_bytes: number(EVENT_QUEUE_BYTES)?,
        ignore_network_changes: project_settings::get(IGNORE_NETWORK_CHANGES).get().unwrap_or(false),
        ..Config::default()
    };
    match framewire::init(config) {
        Err(error) if error.code != Code::InvalidState => Err(error),
        _ => {
            STARTED.store(true, Ordering::Release);
            Ok(())
        }
    }
}

/// The library has been shut down.
pub fn stopped() {
    STARTED.store(false, Ordering::Release);
}
