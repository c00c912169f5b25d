//! Passes the library's log to C.

use std::collections::VecDeque;
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

use super::args::{Enumeration, UserData, number, pointer};
use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::{TextOut, terminated, whole_characters};
use crate::client::{self, LogFn, LogLevel};
use crate::error::CallError;

/// A log level. Each level includes those above it in this list.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_log_level {
    /// No logging.
    FW_LOG_OFF = 0,
    /// Internal errors and failed system calls.
    FW_LOG_ERROR = 1,
    /// Possible misconfiguration, and lost data.
    FW_LOG_WARN = 2,
    /// Failed connections, with the reason.
    FW_LOG_INFO = 3,
    /// Each step of connecting and closing.
    FW_LOG_DEBUG = 4,
    /// Everything.
    FW_LOG_TRACE = 5,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_log_level {}

impl From<LogLevel> for fw_log_level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::FW_LOG_OFF,
            LogLevel::Error => Self::FW_LOG_ERROR,
            LogLevel::Warn => Self::FW_LOG_WARN,
            LogLevel::Info => Self::FW_LOG_INFO,
            LogLevel::Debug => Self::FW_LOG_DEBUG,
            LogLevel::Trace => Self::FW_LOG_TRACE,
        }
    }
}

/// Called for each log line, on any thread, concurrently. May call the library.
///
/// \param level The level of the line.
/// \param socket The socket it is about; zero if none.
/// \param context The socket's context as "key=value key=value"; valid until the callback returns.
/// \param message One line, without a line break; valid until the callback returns.
/// \param user_data The user_data passed to fw_set_log.
pub type fw_log_fn = Option<
    unsafe extern "C" fn(
        level: fw_log_level,
        socket: fw_socket,
        context: *const c_char,
        message: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// Sets the function that receives the library's log.
///
/// Replaces the function set before, which may still be running on another thread when the call
/// returns. fw_shutdown does not remove it: remove it after that, before the code it belongs to is
/// unloaded.
///
/// \param max The most detailed level to log.
/// \param log The function; NULL stops logging.
/// \param user_data Passed to log, on any thread. What it points to must stay valid until log is
///   replaced and has returned.
/// \returns OK; INVALID_ARGUMENT (max is not an fw_log_level).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_set_log(
    max: MaybeUninit<fw_log_level>,
    log: fw_log_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        let max = level(max)?;
        let user_data = UserData::new(user_data);
        let sink = log.map(|log| {
            Arc::new(move |level: LogLevel, socket: u64, context: &str, message: &str| {
                let (context, message) = (terminated(context), terminated(message));
                let (context, message) = (context.as_ptr().cast(), message.as_ptr().cast());
                // SAFETY: the texts are valid until the end of the block; the caller of fw_set_log
                // promises that its function can be called with its user_data on any thread.
                unsafe { log(level.into(), fw_socket { id: socket }, context, message, user_data.get()) };
            }) as Arc<LogFn>
        });
        client::set_log(max, sink);
        Ok(())
    })
}

fn level(max: MaybeUninit<fw_log_level>) -> Result<LogLevel, CallError> {
    Ok(match number(max) {
        0 => LogLevel::Off,
        1 => LogLevel::Error,
        2 => LogLevel::Warn,
        3 => LogLevel::Info,
        4 => LogLevel::Debug,
        5 => LogLevel::Trace,
        other => return Err(CallError::argument(format!("{other} is not an fw_log_level"))),
    })
}

/// Lines that nobody takes are dropped beyond this number.
const MAX_LINES: usize = 256;

/// Longer texts are cut, so that the queue is bounded.
const MAX_TEXT: usize = 1024;

struct Line {
    level: LogLevel,
    socket: u64,
    context: String,
    message: String,
}

struct Queue {
    lines: VecDeque<Line>,
    dropped: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { lines: VecDeque::new(), dropped: 0 });

impl Queue {
    fn put(&mut self, line: Line) {
        if self.lines.len() < MAX_LINES {
            self.lines.push_back(line);
        } else {
            self.dropped += 1;
        }
    }

    fn take(&mut self) -> Option<Line> {
        if let Some(line) = self.lines.pop_front() {
            return Some(line);
        }
        let dropped = std::mem::take(&mut self.dropped);
        (dropped > 0).then(|| Line {
            level: LogLevel::Warn,
            socket: 0,
            context: String::new(),
            message: format!("{dropped} log lines were dropped, because the log queue was full"),
        })
    }
}

fn cut(text: &str) -> String {
    text[..whole_characters(text.as_bytes(), MAX_TEXT)].to_owned()
}

/// Queues the library's log for fw_next_log, instead of passing it to a function.
///
/// For runtimes that native code must not call back. Replaces the function set with fw_set_log, and
/// the reverse. The queue holds 256 lines; further ones are dropped, and a line says how many.
///
/// \param max The most detailed level to log; FW_LOG_OFF stops logging and empties the queue.
/// \returns OK; INVALID_ARGUMENT (max is not an fw_log_level).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_queue_log(max: MaybeUninit<fw_log_level>) -> fw_result {
    guard(|| {
        let max = level(max)?;
        if max == LogLevel::Off {
            client::set_log(max, None);
            let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
            *queue = Queue { lines: VecDeque::new(), dropped: 0 };
            return Ok(());
        }
        let sink = |level: LogLevel, socket: u64, context: &str, message: &str| {
            let line = Line { level, socket, context: cut(context), message: cut(message) };
            QUEUE.lock().unwrap_or_else(PoisonError::into_inner).put(line);
        };
        client::set_log(max, Some(Arc::new(sink) as Arc<LogFn>));
        Ok(())
    })
}

/// Takes the next line of the log from the queue of fw_queue_log.
///
/// \param level Receives the level, not NULL.
/// \param socket Receives the socket it is about, zero if none; not NULL.
/// \param context Receives the socket's context as "key=value key=value", NUL-terminated; NULL
///   to leave it out.
/// \param context_cap Size of context in bytes; a longer text is cut. The longest has 1024 bytes.
/// \param message Receives one line without a line break, NUL-terminated; NULL to leave it out.
/// \param message_cap Size of message in bytes; a longer text is cut. The longest has 1024 bytes.
/// \returns true if there was a line; false if there is none, and for NULL.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_next_log(
    level: *mut fw_log_level,
    socket: *mut fw_socket,
    context: *mut c_char,
    context_cap: usize,
    message: *mut c_char,
    message_cap: usize,
) -> bool {
    // SAFETY: the caller promises that as many bytes as the sizes say can be written, or NULL.
    let (context, message) =
        unsafe { (TextOut::new(context, context_cap), TextOut::new(message, message_cap)) };
    guard_or(false, || {
        let level = pointer(level, "level")?;
        let socket = pointer(socket, "socket")?;
        let Some(line) = QUEUE.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(false);
        };
        // SAFETY: not NULL and aligned; the caller promises that they can be written.
        unsafe {
            level.write(line.level.into());
            socket.write(fw_socket { id: line.socket });
        }
        context.put(line.context.as_bytes());
        message.put(line.message.as_bytes());
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_queue_drops_lines_and_says_how_many() {
        let mut queue = Queue { lines: VecDeque::new(), dropped: 0 };
        for number in 0..MAX_LINES + 3 {
            let (context, message) = (String::new(), number.to_string());
            queue.put(Line { level: LogLevel::Info, socket: 1, context, message });
        }
        for number in 0..MAX_LINES {
            assert_eq!(queue.take().map(|line| line.message), Some(number.to_string()));
        }
        assert!(queue.take().is_some_and(|line| line.message.starts_with("3 log lines were dropped")));
        assert!(queue.take().is_none());
        assert_eq!(cut(&"ä".repeat(MAX_TEXT)).len(), MAX_TEXT);
    }

    #[test]
    fn unknown_log_level_is_refused() {
        let mut level = MaybeUninit::<fw_log_level>::uninit();
        // SAFETY: in bounds, and aligned as the type is.
        unsafe { level.as_mut_ptr().cast::<u32>().write(6) };
        // SAFETY: no function.
        let result = unsafe { fw_set_log(level, None, std::ptr::null_mut()) };
        assert_eq!(result, fw_result::FW_RESULT_INVALID_ARGUMENT);
    }
}
