//! The names of constants, for logs.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use super::args::{Enumeration, number};
use super::guard::guard_or;

/// An enumeration whose numbers are 0, 1, 2 and so on. Implemented with [`named!`].
pub(super) trait Named: Enumeration {
    const NAMES: &'static [&'static CStr];
}

/// Lists the constants of a `#[repr(u32)]` enum, in the order of their numbers.
macro_rules! named {
    ($type:ident { $($name:ident),* $(,)? }) => {
        // SAFETY: `repr(u32)`.
        unsafe impl $crate::ffi::args::Enumeration for $type {}

        impl $crate::ffi::names::Named for $type {
            const NAMES: &'static [&'static std::ffi::CStr] =
                &[$($crate::ffi::names::c_text(concat!(stringify!($name), "\0"))),*];
        }

        const _: () = {
            let mut next = 0;
            $(assert!($type::$name as usize == next, "a constant is missing, or out of its order"); next += 1;)*
            // Fails to compile when a constant is not listed.
            #[allow(unused)]
            fn all(value: $type) {
                match value { $($type::$name => {})* }
            }
            assert!(next > 0);
        };
    };
}
pub(super) use named;

pub(super) const fn c_text(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("no NUL at the end"),
    }
}

/// The constant's name, or "UNKNOWN".
pub(super) fn name_of<E: Named>(value: MaybeUninit<E>) -> *const c_char {
    let unknown = c"UNKNOWN";
    guard_or(unknown, || Ok(E::NAMES.get(number(value) as usize).copied().unwrap_or(unknown))).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::delivery::{fw_event_type, fw_event_type_name};
    use crate::ffi::error::{fw_error_kind, fw_error_kind_name, fw_phase, fw_phase_name};
    use crate::ffi::result::{fw_result, fw_result_name};
    use crate::ffi::state::{fw_state, fw_state_name};

    const HEADER: &str = include_str!("../../include/framewire.h");

    /// Every number that the header gives a constant has its name, and no other has one.
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
            // SAFETY: a static text.
            let found = unsafe { CStr::from_ptr(name(value)) };
            assert_eq!(found.to_str(), Ok(constant));
        }
    }

    #[test]
    fn every_constant_has_its_name_and_other_numbers_are_unknown() {
        check::<fw_result>("FW_RESULT_", fw_result_name);
        check::<fw_state>("FW_STATE_", fw_state_name);
        check::<fw_phase>("FW_PHASE_", fw_phase_name);
        check::<fw_error_kind>("FW_ERROR_KIND_", fw_error_kind_name);
        check::<fw_event_type>("FW_EVENT_", fw_event_type_name);
    }
}
