//! What every call answers.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::guard::{guard_or, with_last_error};
use super::names::{name_of, named};
use super::text::TextOut;
use crate::error::Code;

/// The result of a call.
///
/// A call that does not return FW_RESULT_OK has no effect; fw_last_error describes the failure. New
/// results may be added; numbers are never reused.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_result {
    /// Success.
    FW_RESULT_OK = 0,
    /// An argument is NULL, out of range or malformed.
    FW_RESULT_INVALID_ARGUMENT = 1,
    /// The handle is zero, made up, destroyed or released.
    FW_RESULT_INVALID_HANDLE = 2,
    /// The state of the socket or library does not allow the call.
    FW_RESULT_INVALID_STATE = 3,
    /// Malformed or unsupported URL; fw_last_error says why.
    FW_RESULT_INVALID_URL = 4,
    /// A text message is not valid UTF-8.
    FW_RESULT_INVALID_UTF8 = 5,
    /// Larger than the protocol or a limit allows.
    FW_RESULT_TOO_LARGE = 6,
    /// The send queue is full. Nothing was queued; retry later.
    FW_RESULT_WOULD_BLOCK = 7,
    /// This build of the library does not support it.
    FW_RESULT_NOT_SUPPORTED = 8,
    /// Memory allocation failed.
    FW_RESULT_OUT_OF_MEMORY = 9,
    /// The timeout expired.
    FW_RESULT_TIMED_OUT = 10,
    /// The library is shutting down.
    FW_RESULT_SHUT_DOWN = 11,
    /// Internal error, which was logged. The library stays usable.
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

/// Returns the name of a result, such as "FW_RESULT_WOULD_BLOCK".
///
/// \param result Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_result.
#[unsafe(no_mangle)]
pub extern "C" fn fw_result_name(result: MaybeUninit<fw_result>) -> *const c_char {
    name_of(result)
}

/// Copies the description of the last failed call on this thread.
///
/// Functions that return a value instead of an fw_result store their failure too. Successful calls
/// do not clear it, so read it only after a failure.
///
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes; 512 is always enough.
/// \returns The length of the whole text without the NUL; 0 if no call has failed on this thread.
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
