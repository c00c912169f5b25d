//! Ctrl-C: the first one closes the connection gracefully, the second one exits at once.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// The exit code of a shell for a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// Handles Ctrl-C (and SIGTERM) from now on.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Without a handler, Ctrl-C ends the process: nothing to report.
        let _ = ctrlc::set_handler(|| {
            if REQUESTED.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
        });
    });
}

/// Requests the end as Ctrl-C does.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
}

pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
