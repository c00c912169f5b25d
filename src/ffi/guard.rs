//! Runs the bodies of exported functions: converts errors to results, stores their descriptions for
//! fw_last_error, and catches panics.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::result::fw_result;
use super::text::whole_characters;
use crate::error::{CallError, Code};
use crate::fault;
use crate::logging::{self, LogLevel};

/// Longest stored description; longer ones are truncated. 512 bytes hold it with its NUL.
const MAX_LAST_ERROR: usize = 511;

/// Runs the body of an exported function that returns an `fw_result`.
pub(super) fn guard(body: impl FnOnce() -> Result<(), CallError>) -> fw_result {
    match run(body) {
        Ok(()) => fw_result::FW_RESULT_OK,
        Err(code) => code.into(),
    }
}

/// Runs the body of an exported function that returns a value, `fallback` on failure.
pub(super) fn guard_or<T>(fallback: T, body: impl FnOnce() -> Result<T, CallError>) -> T {
    run(body).unwrap_or(fallback)
}

fn run<T>(body: impl FnOnce() -> Result<T, CallError>) -> Result<T, Code> {
    // Unwind safety: the body owns what it changes, and shared state is behind locks and consistent
    // between any two statements, so nothing half changed is used after a panic.
    let body = || {
        fault::point("ffi.call");
        body()
    };
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(panic) => {
            let error = CallError::new(Code::Internal, format!("internal error: {}", panic_message(&*panic)));
            // Logging calls code of the host, which may panic too.
            let _ = catch_unwind(|| logging::write(LogLevel::Error, 0, "", format_args!("{error}")));
            error
        }
    };
    store(&error.message);
    Err(error.code)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic without a message")
}

/// The description of a thread's last error. Fixed size and without a destructor: it costs no
/// allocation, and no code of the library is registered with a thread when the library is unloaded.
struct LastError {
    bytes: [u8; MAX_LAST_ERROR],
    len: usize,
}

const _: () = assert!(!std::mem::needs_drop::<RefCell<LastError>>());

thread_local! {
    static LAST_ERROR: RefCell<LastError> =
        const { RefCell::new(LastError { bytes: [0; MAX_LAST_ERROR], len: 0 }) };
}

fn store(message: &str) {
    let len = whole_characters(message.as_bytes(), MAX_LAST_ERROR);
    LAST_ERROR.with_borrow_mut(|last| {
        last.bytes[..len].copy_from_slice(&message.as_bytes()[..len]);
        last.len = len;
    });
}

/// Calls `read` with the description of this thread's last error, empty if there was none.
pub(super) fn with_last_error<R>(read: impl FnOnce(&[u8]) -> R) -> R {
    LAST_ERROR.with_borrow(|last| read(&last.bytes[..last.len]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_error() -> String {
        with_last_error(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn failure_is_stored_and_success_keeps_it() {
        let result = guard(|| Err(CallError::argument("the first")));
        assert_eq!(result, fw_result::FW_RESULT_INVALID_ARGUMENT);
        assert_eq!(guard(|| Ok(())), fw_result::FW_RESULT_OK);
        assert_eq!(last_error(), "the first");
        assert_eq!(guard_or(-1, || Err(CallError::state("the second"))), -1);
        assert_eq!(last_error(), "the second");
    }

    #[test]
    fn last_error_is_per_thread() {
        guard(|| Err(CallError::argument("mine")));
        assert_eq!(std::thread::spawn(last_error).join().unwrap(), "");
        assert_eq!(last_error(), "mine");
    }

    #[test]
    fn panic_becomes_internal_result() {
        let number = 7;
        assert_eq!(guard(|| panic!("number {number}")), fw_result::FW_RESULT_INTERNAL);
        assert!(last_error().contains("number 7"));
        assert_eq!(guard_or(3, || panic!("plain")), 3);
        assert!(last_error().contains("plain"));
    }

    #[test]
    fn long_descriptions_are_truncated_between_characters() {
        let long = "x".repeat(MAX_LAST_ERROR - 1) + "é";
        guard(|| Err(CallError::argument(long)));
        assert_eq!(last_error(), "x".repeat(MAX_LAST_ERROR - 1));
    }
}
