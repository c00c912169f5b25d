//! The library's log lines, which worker threads queue and `poll()` emits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framewire::LogLevel;

use crate::gdextension::method::Static;
use crate::gdextension::{GodotError, error};
use crate::members::methods;
use crate::totals;

methods! {
    METHODS:
    /// Collects the library's log lines up to a level, one of the `LOG_*` constants, for the signal `logged` of all
    /// sockets. `LOG_OFF`, the default, collects none, and costs nothing. At most 1000 lines are kept; then the oldest
    /// are dropped. Returns `ERR_INVALID_PARAMETER` for a number that is not a level.
    function set_log_level(level) => Static(set_log_level);
}

const MAX_LINES: usize = 1000;
const LEVELS: [LogLevel; 6] =
    [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

pub struct Line {
    pub level: LogLevel,
    /// The ID of the library's socket, or 0.
    socket: u64,
    pub context: Box<str>,
    pub message: Box<str>,
}

static LINES: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn lines() -> MutexGuard<'static, VecDeque<Line>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_log_level(level: i64) -> GodotError {
    let Some(level) = usize::try_from(level).ok().and_then(|level| LEVELS.get(level)) else {
        error(&format!("FramewireSocket.set_log_level: {level} is not a LOG_* constant"));
        return GodotError::ERR_INVALID_PARAMETER;
    };
    match level {
        LogLevel::Off => stop(),
        level => framewire::set_log(*level, Some(Arc::new(queue))),
    }
    GodotError::OK
}

/// Runs on any thread.
fn queue(level: LogLevel, socket: u64, context: &str, message: &str) {
    let mut lines = lines();
    if lines.len() >= MAX_LINES {
        lines.pop_front();
    }
    lines.push_back(Line { level, socket, context: context.into(), message: message.into() });
    COUNT.store(lines.len(), Ordering::Relaxed);
}

/// Stops collecting, and drops what was collected.
pub fn stop() {
    framewire::set_log(LogLevel::Off, None);
    let mut lines = lines();
    *lines = VecDeque::new();
    COUNT.store(0, Ordering::Relaxed);
}

pub fn is_empty() -> bool {
    COUNT.load(Ordering::Relaxed) == 0
}

/// Takes the lines of a socket and, if `others`, those of no socket that exists.
pub fn take(socket: Option<u64>, others: bool) -> Vec<Line> {
    let live = if others { totals::ids() } else { Vec::new() };
    let mut lines = lines();
    let (taken, kept) = lines.drain(..).partition(|line| {
        Some(line.socket) == socket || others && (line.socket == 0 || !live.contains(&line.socket))
    });
    *lines = kept;
    COUNT.store(lines.len(), Ordering::Relaxed);
    Vec::from(taken)
}
