//! Passes the library's log to C.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

use super::args::{Enumeration, UserData, number};
use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::terminated;
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
        let max = match number(max) {
            0 => LogLevel::Off,
            1 => LogLevel::Error,
            2 => LogLevel::Warn,
            3 => LogLevel::Info,
            4 => LogLevel::Debug,
            5 => LogLevel::Trace,
            other => return Err(CallError::argument(format!("{other} is not an fw_log_level"))),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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
