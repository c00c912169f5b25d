//! Validates and converts C arguments.
//!
//! A C enum may hold any number and a `bool` any byte, but an invalid Rust enum or `bool` is
//! undefined behaviour. Arguments of these types are `MaybeUninit<T>`, which may hold any bits, has
//! the calling convention of `T`, and is printed as `T` by cbindgen.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::error::CallError;

/// A `#[repr(u32)]` enum.
///
/// # Safety
/// The type has the size of a `u32` and no padding.
pub(super) unsafe trait Enumeration: Sized {}

/// The number that a C enum argument holds.
pub(super) fn number<E: Enumeration>(value: MaybeUninit<E>) -> u32 {
    const { assert!(size_of::<E>() == size_of::<u32>() && align_of::<E>() == align_of::<u32>()) };
    // SAFETY: the size is that of a u32 (`Enumeration`), and C has passed a value.
    unsafe { value.as_ptr().cast::<u32>().read() }
}

/// Converts a C `bool` argument: any byte except 0 is true.
pub(super) fn bool_from_c(value: MaybeUninit<bool>) -> bool {
    // SAFETY: a bool is one byte, and C has passed a value.
    unsafe { value.as_ptr().cast::<u8>().read() != 0 }
}

/// Checks that a pointer is aligned and not NULL. `what` is its name in the error message.
pub(super) fn pointer<T>(pointer: *mut T, what: &str) -> Result<NonNull<T>, CallError> {
    match NonNull::new(pointer) {
        Some(pointer) if pointer.is_aligned() => Ok(pointer),
        Some(_) => Err(CallError::argument(format!("{what} is not aligned"))),
        None => Err(CallError::argument(format!("{what} is NULL"))),
    }
}

/// The `user_data` of a callback.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct UserData(*mut c_void);

// SAFETY: the library never dereferences the pointer, only passes it to the callback. The header
// requires that the callback may be called with it on the threads that its comment names.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(pointer: *mut c_void) -> Self {
        Self(pointer)
    }

    /// A method, because a closure that uses the field would capture only the raw pointer.
    pub(super) fn get(self) -> *mut c_void {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(u32)]
    enum Few {
        _One = 1,
    }

    // SAFETY: `repr(u32)`.
    unsafe impl Enumeration for Few {}

    #[test]
    fn enums_and_bools_may_hold_any_bits() {
        let mut few = MaybeUninit::<Few>::uninit();
        // SAFETY: in bounds, and aligned as the type is.
        unsafe { few.as_mut_ptr().cast::<u32>().write(0xdead_beef) };
        assert_eq!(number(few), 0xdead_beef);
        for byte in [0u8, 1, 2, 255] {
            let mut value = MaybeUninit::<bool>::uninit();
            // SAFETY: in bounds.
            unsafe { value.as_mut_ptr().cast::<u8>().write(byte) };
            assert_eq!(bool_from_c(value), byte != 0);
        }
    }

    #[test]
    fn null_and_misaligned_pointers_are_refused() {
        let null = pointer(std::ptr::null_mut::<u64>(), "out").unwrap_err();
        assert!(null.message.contains("out is NULL"));
        let odd = std::ptr::without_provenance_mut::<u64>(12);
        assert!(pointer(odd, "out").unwrap_err().message.contains("not aligned"));
        assert!(pointer(&mut 5u64, "out").is_ok());
    }
}
