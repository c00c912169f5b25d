//! What C passes in, before it is trusted.
//!
//! A C enumeration may hold any number and a `bool` any byte, and a Rust enum or `bool` that holds
//! a wrong one is undefined behaviour. They come in as `MaybeUninit<T>`, which promises nothing
//! about its bits, is passed exactly as `T`, and which cbindgen prints as `T`.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::error::CallError;

/// A `#[repr(u32)]` enum.
///
/// # Safety
/// The type has the size of a `u32` and no padding.
pub(super) unsafe trait Enumeration: Sized {}

/// The number behind an enumeration of C's.
pub(super) fn number<E: Enumeration>(value: MaybeUninit<E>) -> u32 {
    const { assert!(size_of::<E>() == size_of::<u32>() && align_of::<E>() == align_of::<u32>()) };
    // SAFETY: the size is that of a u32 (`Enumeration`), and C has passed a value.
    unsafe { value.as_ptr().cast::<u32>().read() }
}

/// A truth value of C's: whatever is not zero is true.
pub(super) fn bool_from_c(value: MaybeUninit<bool>) -> bool {
    // SAFETY: a bool is one byte, and C has passed a value.
    unsafe { value.as_ptr().cast::<u8>().read() != 0 }
}

/// A pointer that something is to be read from or written through. `what` names it for the person
/// who passed it.
pub(super) fn pointer<T>(pointer: *mut T, what: &str) -> Result<NonNull<T>, CallError> {
    match NonNull::new(pointer) {
        Some(pointer) if pointer.is_aligned() => Ok(pointer),
        Some(_) => Err(CallError::argument(format!("{what} is not aligned"))),
        None => Err(CallError::argument(format!("{what} is NULL"))),
    }
}

/// What a caller wants to have back in its callback.
#[derive(Clone, Copy)]
pub(super) struct UserData(*mut c_void);

// SAFETY: the library never looks behind the pointer; it hands it back to the function it came
// with. The header makes the caller promise that the function may be called with it on whichever
// thread the function's comment names.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(pointer: *mut c_void) -> Self {
        Self(pointer)
    }

    /// By method, as a closure that names the field would capture the bare pointer.
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
    fn any_number_and_any_byte_can_come_in() {
        let mut few = MaybeUninit::<Few>::uninit();
        // SAFETY: in bounds, and aligned as the type is.
        unsafe { few.as_mut_ptr().cast::<u32>().write(0xdead_beef) };
        assert_eq!(number(few), 0xdead_beef);
        for byte in [0u8, 1, 2, 255] {
            let mut given = MaybeUninit::<bool>::uninit();
            // SAFETY: in bounds.
            unsafe { given.as_mut_ptr().cast::<u8>().write(byte) };
            assert_eq!(bool_from_c(given), byte != 0);
        }
    }

    #[test]
    fn null_and_misaligned_pointers_are_refused_by_name() {
        let null = pointer(std::ptr::null_mut::<u64>(), "out").unwrap_err();
        assert!(null.message.contains("out is NULL"));
        let odd = std::ptr::without_provenance_mut::<u64>(12);
        assert!(pointer(odd, "out").unwrap_err().message.contains("not aligned"));
        assert!(pointer(&mut 5u64, "out").is_ok());
    }
}
