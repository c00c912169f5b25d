//! For logs: the names of constants and the description of the last error.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::guard::{guard_or, with_last_error};
use super::names::{self, Named};
use super::result::fw_result;
use super::text::TextOut;

/// The body of an exported function that returns the name of a constant.
pub(super) fn name_of<E: Named>(value: MaybeUninit<E>) -> *const c_char {
    guard_or(names::UNKNOWN, || Ok(names::name(value))).as_ptr()
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
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        Ok(with_last_error(|text| out.put(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    use crate::error::Code;
    use crate::ffi::args::Enumeration;
    use crate::ffi::error::{fw_error_kind, fw_error_kind_name, fw_phase, fw_phase_name};
    use crate::ffi::event_types::{fw_event_type, fw_event_type_name};
    use crate::ffi::lanes::{fw_outcome, fw_outcome_name};
    use crate::ffi::state::{fw_state, fw_state_name};

    const HEADER: &str = include_str!("../../include/framewire.h");

    /// Every constant in the header has its name; other numbers have none.
    fn check<E: Enumeration>(start: &str, name: extern "C" fn(MaybeUninit<E>) -> *const c_char) {
        let mut expected: Vec<(u32, &str)> = HEADER
            .lines()
            .filter_map(|line| line.trim().split_once(',')?.0.split_once(" = "))
            .filter(|(constant, _)| constant.starts_with(start))
            .map(|(constant, number)| (number.parse().expect("a number"), constant))
            .collect();
        assert!(expected.len() >= 5, "{start}: {} constants", expected.len());
        let next = expected.len() as u32;
        expected.extend([next, next + 1, 1 << 31, u32::MAX].map(|number| (number, "UNKNOWN")));
        for (number, constant) in expected {
            let mut value = MaybeUninit::<E>::uninit();
            // SAFETY: in bounds, and aligned as the type is.
            unsafe { value.as_mut_ptr().cast::<u32>().write(number) };
            // SAFETY: a static string.
            let found = unsafe { CStr::from_ptr(name(value)) };
            assert_eq!(found.to_str(), Ok(constant));
        }
    }

    #[test]
    fn constants_have_names_and_other_numbers_are_unknown() {
        check::<fw_result>("FW_RESULT_", fw_result_name);
        check::<fw_state>("FW_STATE_", fw_state_name);
        check::<fw_phase>("FW_PHASE_", fw_phase_name);
        check::<fw_outcome>("FW_OUTCOME_", fw_outcome_name);
        check::<fw_error_kind>("FW_ERROR_KIND_", fw_error_kind_name);
        check::<fw_event_type>("FW_EVENT_", fw_event_type_name);
    }

    #[test]
    fn results_have_number_and_name_of_their_code() {
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
            // SAFETY: a static string.
            let name = unsafe { CStr::from_ptr(fw_result_name(MaybeUninit::new(result))) };
            assert_eq!(name.to_str().unwrap(), format!("{result:?}"));
        }
    }

    #[test]
    fn unknown_result_is_named_unknown() {
        let mut result = MaybeUninit::<fw_result>::uninit();
        // SAFETY: in bounds, and aligned as the type is.
        unsafe { result.as_mut_ptr().cast::<u32>().write(u32::MAX) };
        // SAFETY: a static string.
        assert_eq!(unsafe { CStr::from_ptr(fw_result_name(result)) }, c"UNKNOWN");
    }
}
