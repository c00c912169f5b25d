//! Logging: to the callback that the game has set, otherwise to the `log` crate.
//!
//! A disabled line costs one atomic load. The callback runs on the thread that logs, without a lock held.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::inside::Inside;

/// The level of a log line, numbered as in the C ABI (`FW_LOG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum LogLevel {
    /// Only as a maximum: no lines.
    Off = 0,
    /// A failure of the library, or in a function of the caller.
    Error = 1,
    /// Something that is probably not intended, such as a disabled verification.
    Warn = 2,
    /// Connections that fail, and retries.
    Info = 3,
    /// The steps of each connection.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// A log callback. Arguments: level, ID of the socket (0 for none), context of the socket as
/// `key=value key=value`, message.
pub type LogFn = dyn Fn(LogLevel, u64, &str, &str) + Send + Sync;

static MAX_LEVEL: AtomicU32 = AtomicU32::new(LogLevel::Off as u32);
static SINK: Mutex<Option<Arc<LogFn>>> = Mutex::new(None);

/// Sends lines up to `max` to `sink`; with `None`, to the `log` crate.
pub fn set(max: LogLevel, sink: Option<Arc<LogFn>>) {
    let level = if sink.is_some() { max } else { LogLevel::Off };
    let old = std::mem::replace(&mut *SINK.lock().unwrap_or_else(PoisonError::into_inner), sink);
    MAX_LEVEL.store(level as u32, Ordering::Release);
    drop(old);
}

/// Returns whether lines of this level are logged.
#[inline]
pub fn enabled(level: LogLevel) -> bool {
    level as u32 <= MAX_LEVEL.load(Ordering::Relaxed) || facade_level(level) <= log::max_level()
}

/// Logs one line. Callers with expensive arguments check [`enabled`] first.
pub fn write(level: LogLevel, socket: u64, context: &str, message: fmt::Arguments<'_>) {
    let _inside = Inside::enter();
    if level as u32 <= MAX_LEVEL.load(Ordering::Relaxed) {
        let sink = SINK.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = sink {
            // A panic in the callback must not affect the library.
            let text = message.to_string();
            let _ = catch_unwind(AssertUnwindSafe(|| sink(level, socket, context, &text)));
            return;
        }
    }
    if let Some(facade) = facade_level(level).to_level() {
        match context {
            "" => log::log!(target: "framewire", facade, "{message}"),
            _ => log::log!(target: "framewire", facade, "{message} {context}"),
        }
    }
}

/// Logs a line that does not belong to a socket.
pub fn note(level: LogLevel, message: fmt::Arguments<'_>) {
    if enabled(level) {
        write(level, 0, "", message);
    }
}

fn facade_level(level: LogLevel) -> log::LevelFilter {
    match level {
        LogLevel::Off => log::LevelFilter::Off,
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
        LogLevel::Trace => log::LevelFilter::Trace,
    }
}
