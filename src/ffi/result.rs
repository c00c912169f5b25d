//! What every call answers.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::guard::{guard_or, with_last_error};
use super::names::{name_of, named};
use super::text::TextOut;
use crate::error::Code;

/// What a call answers. New ones may be added; a number is never reused.
///
/// A call that does not answer FW_RESULT_OK has changed nothing, and fw_last_error says in words
/// what was wrong.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_result {
    /// Done, or accepted.
    FW_RESULT_OK = 0,
    /// An argument is NULL, out of its range, or not what its function describes.
    FW_RESULT_INVALID_ARGUMENT = 1,
    /// The handle is zero, made up, or stands for something that was destroyed or released.
    FW_RESULT_INVALID_HANDLE = 2,
    /// Not now: the socket, or the library, is in a state in which this cannot be done.
    FW_RESULT_INVALID_STATE = 3,
    /// The URL cannot be used; fw_last_error says why.
    FW_RESULT_INVALID_URL = 4,
    /// A text message that is not valid UTF-8.
    FW_RESULT_INVALID_UTF8 = 5,
    /// Longer than the protocol or a limit allows.
    FW_RESULT_TOO_LARGE = 6,
    /// The send queue is at its limit: nothing was queued, try again later.
    FW_RESULT_WOULD_BLOCK = 7,
    /// This build of the library cannot do it.
    FW_RESULT_NOT_SUPPORTED = 8,
    /// The allocator has no memory left.
    FW_RESULT_OUT_OF_MEMORY = 9,
    /// The time given was not enough.
    FW_RESULT_TIMED_OUT = 10,
    /// The library is shutting down.
    FW_RESULT_SHUT_DOWN = 11,
    /// A fault of the library's own, which was logged. The library stays usable.
    FW_RESULT_INTERNAL = 12,
}

named!(fw_result {
    FW_RESULT_OK,
    FW_RESULT_INVALID_ARGUMENT,
    FW_RESULT_INVALID_HANDLE,
    FW_RESULT_INVALID_STATE,
    FW_RESULT_INVALID_URL,
    FW_RESULT_INVALID_UTF8,
    FW_RESULT_TOO_LARGE,
    FW_RESULT_WOULD_BLOCK,
    FW_RESULT_NOT_SUPPORTED,
    FW_RESULT_OUT_OF_MEMORY,
    FW_RESULT_TIMED_OUT,
    FW_RESULT_SHUT_DOWN,
    FW_RESULT_INTERNAL,
});

impl From<Code> for fw_result {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArgument => Self::FW_RESULT_INVALID_ARGUMENT,
            Code::InvalidHandle => Self::FW_RESULT_INVALID_HANDLE,
            Code::InvalidState => Self::FW_RESULT_INVALID_STATE,
            Code::InvalidUrl => Self::FW_RESULT_INVALID_URL,
            Code::InvalidUtf8 => Self::FW_RESULT_INVALID_UTF8,
            Code::TooLarge => Self::FW_RESULT_TOO_LARGE,
            Code::WouldBlock => Self::FW_RESULT_WOULD_BLOCK,
            Code::NotSupported => Self::FW_RESULT_NOT_SUPPORTED,
            Code::OutOfMemory => Self::FW_RESULT_OUT_OF_MEMORY,
            Code::TimedOut => Self::FW_RESULT_TIMED_OUT,
            Code::ShutDown => Self::FW_RESULT_SHUT_DOWN,
            Code::Internal => Self::FW_RESULT_INTERNAL,
        }
    }
}

/// The name of a result, such as "FW_RESULT_WOULD_BLOCK".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// result: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_result.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_result_name(result: MaybeUninit<fw_result>) -> *const c_char {
    name_of(result)
}

/// Copies out what went wrong in this thread's last call that failed.
///
/// Each thread has its own. Calls that succeed leave it alone, so look at it only after a failure.
/// Functions that answer with a value instead of an fw_result leave their reason here as well.
///
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included; at most 512 are ever needed.
/// Returns: the length of the whole text without its NUL; 0 if nothing has failed on this thread.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_last_error(buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: passed on from our caller.
        let out = unsafe { TextOut::new(buf, cap) };
        Ok(with_last_error(|text| out.put(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn every_code_has_the_number_and_the_name_of_its_result() {
        use Code::*;
        for code in [
            InvalidArgument,
            InvalidHandle,
            InvalidState,
            InvalidUrl,
            InvalidUtf8,
            TooLarge,
            WouldBlock,
            NotSupported,
            OutOfMemory,
            TimedOut,
            ShutDown,
            Internal,
        ] {
            let result = fw_result::from(code);
            assert_eq!(result as u32, code as u32);
            // SAFETY: a static text.
            let name = unsafe { CStr::from_ptr(fw_result_name(MaybeUninit::new(result))) };
            assert_eq!(name.to_str().unwrap(), format!("{result:?}"));
        }
    }

    #[test]
    fn a_number_that_is_no_result_has_a_name_too() {
        let mut result = MaybeUninit::<fw_result>::uninit();
        // SAFETY: in bounds, and aligned as the type is.
        unsafe { result.as_mut_ptr().cast::<u32>().write(u32::MAX) };
        // SAFETY: a static text.
        assert_eq!(unsafe { CStr::from_ptr(fw_result_name(result)) }, c"UNKNOWN");
    }
}
