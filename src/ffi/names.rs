//! The names of enum constants.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use super::args::{Enumeration, number};

/// An enum whose numbers are 0, 1, 2 and so on. Implemented with [`named!`].
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
            $(assert!($type::$name as usize == next, "a constant is missing or out of order"); next += 1;)*
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

pub(super) const UNKNOWN: &CStr = c"UNKNOWN";

/// The constant's name, or [`UNKNOWN`].
pub(super) fn name<E: Named>(value: MaybeUninit<E>) -> &'static CStr {
    E::NAMES.get(number(value) as usize).copied().unwrap_or(UNKNOWN)
}
