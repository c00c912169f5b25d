//! The result that exported functions return.

use super::names::named;
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
    /// Malformed URL or other scheme; fw_last_error says why.
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
