//! Where every call ends: a result becomes a number, a failure is remembered in words, and a panic
//! stops here.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::result::fw_result;
use super::text::whole_characters;
use crate::error::{CallError, Code};
use crate::fault;
use crate::logging::{self, LogLevel};

/// The longest failure that is remembered, so that 512 bytes hold it with its NUL; what is longer
/// is cut.
const MAX_LAST_ERROR: usize = 511;

/// Runs the body of an exported function that answers with a result.
pub(super) fn guard(body: impl FnOnce() -> Result<(), CallError>) -> fw_result {
    match run(body) {
        Ok(()) => fw_result::FW_RESULT_OK,
        Err(code) => code.into(),
    }
}

/// Runs the body of an exported function that answers with a value: `neutral` is the answer where
/// there is no other.
pub(super) fn guard_or<T>(neutral: T, body: impl FnOnce() -> Result<T, CallError>) -> T {
    run(body).unwrap_or(neutral)
}

fn run<T>(body: impl FnOnce() -> Result<T, CallError>) -> Result<T, Code> {
    // Nothing that a panic leaves half done is looked at again: the body owns what it changes, and
    // what it shares stands behind locks that are whole between any two statements.
    let body = || {
        fault::point("ffi.call");
        body()
    };
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(panic) => {
            let error =
                CallError::new(Code::Internal, format!("a fault of the library's own: {}", words(&*panic)));
            // What logs is the host's function, or a logger of its choice: its faults end here too.
            let _ = catch_unwind(|| logging::write(LogLevel::Error, 0, "", format_args!("{error}")));
            error
        }
    };
    remember(&error.message);
    Err(error.code)
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic without words")
}

/// One thread's last failure. Of fixed size and without a destructor, so that it costs no
/// allocation, and no code of ours is left behind in a thread when the library is unloaded.
struct LastError {
    bytes: [u8; MAX_LAST_ERROR],
    len: usize,
}

const _: () = assert!(!std::mem::needs_drop::<RefCell<LastError>>());

thread_local! {
    static LAST_ERROR: RefCell<LastError> =
        const { RefCell::new(LastError { bytes: [0; MAX_LAST_ERROR], len: 0 }) };
}

fn remember(message: &str) {
    let len = whole_characters(message.as_bytes(), MAX_LAST_ERROR);
    LAST_ERROR.with_borrow_mut(|last| {
        last.bytes[..len].copy_from_slice(&message.as_bytes()[..len]);
        last.len = len;
    });
}

/// Shows this thread's last failure, empty if there was none.
pub(super) fn with_last_error<R>(look: impl FnOnce(&[u8]) -> R) -> R {
    LAST_ERROR.with_borrow(|last| look(&last.bytes[..last.len]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_error() -> String {
        with_last_error(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn a_failure_is_remembered_and_a_success_leaves_it_alone() {
        let result = guard(|| Err(CallError::argument("the first")));
        assert_eq!(result, fw_result::FW_RESULT_INVALID_ARGUMENT);
        assert_eq!(guard(|| Ok(())), fw_result::FW_RESULT_OK);
        assert_eq!(last_error(), "the first");
        assert_eq!(guard_or(-1, || Err(CallError::state("the second"))), -1);
        assert_eq!(last_error(), "the second");
    }

    #[test]
    fn each_thread_has_its_own_last_failure() {
        guard(|| Err(CallError::argument("mine")));
        assert_eq!(std::thread::spawn(last_error).join().unwrap(), "");
        assert_eq!(last_error(), "mine");
    }

    #[test]
    fn a_panic_becomes_a_result() {
        let number = 7;
        assert_eq!(guard(|| panic!("number {number}")), fw_result::FW_RESULT_INTERNAL);
        assert!(last_error().contains("number 7"));
        assert_eq!(guard_or(3, || panic!("plain")), 3);
        assert!(last_error().contains("plain"));
    }

    #[test]
    fn long_failures_are_cut_between_characters() {
        let long = "x".repeat(MAX_LAST_ERROR - 1) + "é";
        guard(|| Err(CallError::argument(long)));
        assert_eq!(last_error(), "x".repeat(MAX_LAST_ERROR - 1));
    }
}
