//! Structs that begin with `struct_size` and may have more fields in other versions.
//!
//! ```text
//!   init    writes the defaults, up to the smaller size
//!   read    copies the caller's fields over the defaults; fields unknown to the library must be 0
//!   write   copies the library's fields, up to the smaller size
//! ```
//!
//! A valid size ends after a whole field. No struct has padding at its end, so every added field
//! makes it larger.

use std::ptr::NonNull;

use super::args::pointer;
use super::guard::guard_or;
use crate::error::{CallError, Code};

/// Upper bound for `struct_size`: a larger value is uninitialized memory, and reading that many
/// bytes could crash.
const LARGEST: usize = 4096;

/// A struct that begins with `struct_size`, a `u32`. Implemented with [`sized!`].
///
/// # Safety
/// The type is `repr(C)`, [`FIELDS`](Sized::FIELDS) lists all of its fields in order, and all bit
/// patterns are valid in them.
pub(super) unsafe trait Sized: Copy {
    const NAME: &'static str;
    /// Start and end offset of each field.
    const FIELDS: &'static [(usize, usize)];

    fn defaults() -> Self;
}

/// Implements [`Sized`] for a struct with these fields and defaults.
macro_rules! sized {
    ($type:ident { struct_size, $($field:ident),* $(,)? }, $defaults:expr) => {
        // SAFETY: the pattern and the checks below cover every field of the `repr(C)` struct in
        // order; its fields are numbers, pointers and nullable functions.
        unsafe impl $crate::ffi::sized::Sized for $type {
            const NAME: &'static str = stringify!($type);
            const FIELDS: &'static [(usize, usize)] = &[
                (0, size_of::<u32>()),
                $({
                    let begin = std::mem::offset_of!($type, $field);
                    (begin, begin + $crate::ffi::sized::size_of_field(|whole: &$type| &whole.$field))
                }),*
            ];

            fn defaults() -> Self {
                $defaults
            }
        }

        const _: () = {
            #[allow(unused)]
            fn all_fields($type { struct_size: _, $($field: _),* }: $type) {}
            $crate::ffi::sized::check::<$type>();
        };
    };
}
pub(super) use sized;

pub(super) const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Fails to compile unless the fields are in order and the last one ends the struct.
pub(super) const fn check<T: Sized>() {
    let mut at = 1;
    while at < T::FIELDS.len() {
        assert!(T::FIELDS[at].0 >= T::FIELDS[at - 1].1, "fields are not listed in order");
        at += 1;
    }
    assert!(T::FIELDS[at - 1].1 == size_of::<T>(), "padding at the end would hide an added field");
    assert!(at > 1 && size_of::<T>() <= LARGEST);
}

/// The body of `fw_X_init`: writes the size and the defaults that fit.
///
/// # Safety
/// `out` is NULL, or `struct_size` bytes can be written there.
pub(super) unsafe fn init<T: Sized>(out: *mut T, struct_size: usize) {
    guard_or((), || {
        let out = pointer(out, "the struct")?;
        if struct_size < size_of::<u32>() {
            return Err(CallError::argument(format!(
                "struct_size {struct_size} is too small for {}",
                T::NAME
            )));
        }
        // SAFETY: guaranteed by the caller.
        unsafe { copy_out(&T::defaults(), out, struct_size) };
        // A larger size is invalid anyway and refused by `read`.
        let stored = u32::try_from(struct_size).unwrap_or(u32::MAX);
        // SAFETY: at least four bytes, aligned.
        unsafe { out.cast::<u32>().write(stored) };
        Ok(())
    });
}

/// Reads a struct that the caller has filled: the fields known to both, over the defaults.
///
/// # Safety
/// `struct_size` bytes can be read.
pub(super) unsafe fn read<T: Sized>(source: NonNull<T>) -> Result<T, CallError> {
    // SAFETY: guaranteed by the caller.
    let (whole, all_known) = unsafe { read_known(source) }?;
    all_known.map(|()| whole)
}

/// As [`read`], and returns the known fields even if others are set.
///
/// # Safety
/// `struct_size` bytes can be read.
pub(super) unsafe fn read_known<T: Sized>(
    source: NonNull<T>,
) -> Result<(T, Result<(), CallError>), CallError> {
    // SAFETY: guaranteed by the caller.
    let struct_size = unsafe { struct_size(source) }?;
    let known = struct_size.min(size_of::<T>());
    let bytes = source.cast::<u8>().as_ptr().cast_const();
    // SAFETY: `struct_size` bytes can be read, and `known` is not larger.
    let unknown = unsafe { std::slice::from_raw_parts(bytes.add(known), struct_size - known) };
    let all_known = if unknown.iter().all(|byte| *byte == 0) {
        Ok(())
    } else {
        let message = format!("{} has a field set that this version of the library does not know", T::NAME);
        Err(CallError::new(Code::NotSupported, message))
    };
    let mut whole = T::defaults();
    // SAFETY: `known` bytes can be read and written, they end after a whole field, and all bit
    // patterns are valid in each (`Sized`).
    unsafe { (&raw mut whole).cast::<u8>().copy_from_nonoverlapping(bytes, known) };
    Ok((whole, all_known))
}

/// Writes the fields known to the caller; leaves `struct_size` unchanged.
///
/// # Safety
/// `struct_size` bytes can be read and written.
pub(super) unsafe fn write<T: Sized>(value: &T, out: NonNull<T>) -> Result<(), CallError> {
    // SAFETY: guaranteed by the caller.
    let struct_size = unsafe { struct_size(out) }?;
    // SAFETY: as above.
    unsafe { copy_out(value, out, struct_size) };
    Ok(())
}

/// Copies all fields after `struct_size` that fit.
///
/// # Safety
/// `struct_size` bytes, at least four, can be written.
unsafe fn copy_out<T: Sized>(value: &T, out: NonNull<T>, struct_size: usize) {
    let begin = size_of::<u32>();
    let count = struct_size.min(size_of::<T>()) - begin;
    let from = (&raw const *value).cast::<u8>();
    // SAFETY: both have that many bytes after `struct_size`, and they are different structs.
    unsafe { out.cast::<u8>().as_ptr().add(begin).copy_from_nonoverlapping(from.add(begin), count) };
}

/// The `struct_size` of a struct, if it is valid.
///
/// # Safety
/// Four bytes can be read.
unsafe fn struct_size<T: Sized>(value: NonNull<T>) -> Result<usize, CallError> {
    // SAFETY: guaranteed by the caller; every version of the struct begins with its size.
    let struct_size = unsafe { value.cast::<u32>().read() } as usize;
    // At least one field after `struct_size`.
    let whole = T::FIELDS[1].1 <= struct_size
        && (struct_size > size_of::<T>() || T::FIELDS.iter().any(|&(_, end)| struct_size == end));
    if whole && struct_size <= LARGEST {
        return Ok(struct_size);
    }
    Err(CallError::argument(format!(
        "struct_size {struct_size} is invalid for {0}; call {0}_init first",
        T::NAME
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The library's version of the struct.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct fw_thing {
        struct_size: u32,
        first: u32,
        second: u64,
        third: u64,
    }

    sized!(
        fw_thing { struct_size, first, second, third },
        fw_thing { struct_size: size_of::<fw_thing>() as u32, first: 1, second: 2, third: 3 }
    );

    /// Memory for a larger struct, filled with a pattern.
    #[repr(C, align(8))]
    struct Memory([u8; 64]);

    impl Memory {
        fn new() -> Self {
            Memory([0xAA; 64])
        }

        fn thing(&mut self) -> *mut fw_thing {
            self.0.as_mut_ptr().cast()
        }

        fn init(size: usize) -> Self {
            let mut memory = Memory::new();
            // SAFETY: 64 bytes are there, of which at most 24 are written.
            unsafe { init(memory.thing(), size) };
            memory
        }

        fn read(&mut self) -> Result<fw_thing, Code> {
            // SAFETY: 64 bytes are there, and larger sizes in these tests are refused.
            unsafe { read(NonNull::new(self.thing()).unwrap()) }.map_err(|error| error.code)
        }
    }

    #[test]
    fn init_writes_at_most_the_smaller_size() {
        for size in [0, 1, 3, 4, 7, 8, 15, 16, 23, 24, 25, 40, 1 << 31, usize::MAX] {
            let memory = Memory::init(size);
            let written = if size < 4 { 0 } else { size.min(size_of::<fw_thing>()) };
            assert!(memory.0[written..].iter().all(|byte| *byte == 0xAA), "size {size}");
            if size >= 4 {
                let stored = u32::from_ne_bytes(memory.0[..4].try_into().unwrap());
                assert_eq!(stored as usize, size.min(u32::MAX as usize));
            }
        }
    }

    #[test]
    fn fields_unknown_to_the_caller_have_defaults() {
        for (size, expected) in [(8, [9, 2, 3]), (16, [9, 9, 3]), (24, [9, 9, 9])] {
            let mut memory = Memory::init(size);
            // SAFETY: 24 bytes are there.
            unsafe {
                let thing = memory.thing();
                ((*thing).first, (*thing).second, (*thing).third) = (9, 9, 9);
            }
            let thing = memory.read().unwrap();
            assert_eq!([u64::from(thing.first), thing.second, thing.third], expected, "size {size}");
        }
    }

    #[test]
    fn struct_size_must_end_after_a_whole_field() {
        for size in [0, 1, 4, 5, 7, 9, 15, 17, 23, LARGEST as u32 + 1, 1 << 31, u32::MAX] {
            let mut memory = Memory::init(24);
            memory.0[..4].copy_from_slice(&size.to_ne_bytes());
            assert_eq!(memory.read(), Err(Code::InvalidArgument), "size {size}");
            let before = memory.0;
            // SAFETY: as above.
            let written = unsafe { write(&fw_thing::defaults(), NonNull::new(memory.thing()).unwrap()) };
            assert_eq!(written.map_err(|error| error.code), Err(Code::InvalidArgument), "size {size}");
            assert_eq!(memory.0, before, "size {size}");
        }
    }

    #[test]
    fn fields_unknown_to_the_library_must_be_zero() {
        for size in [25, 32, 40] {
            let mut memory = Memory::init(size);
            memory.0[24..size].fill(0);
            assert_eq!(memory.read().map(|thing| thing.third), Ok(3));
            memory.0[size - 1] = 1;
            assert_eq!(memory.read(), Err(Code::NotSupported));
            // Bytes after the struct are not checked.
            memory.0[size - 1] = 0;
            assert_eq!(memory.0[size], 0xAA);
        }
    }

    #[test]
    fn write_keeps_struct_size_and_bytes_after_it() {
        let value = fw_thing { struct_size: 24, first: 7, second: 7, third: 7 };
        for (size, written) in [(8, 8), (16, 16), (24, 24), (32, 24)] {
            let mut memory = Memory::init(size);
            // SAFETY: 64 bytes are there.
            unsafe { write(&value, NonNull::new(memory.thing()).unwrap()) }.unwrap();
            assert_eq!(u32::from_ne_bytes(memory.0[..4].try_into().unwrap()), size as u32);
            assert_eq!(memory.0[4], 7);
            assert_eq!(
                memory.0[written - 4..written].iter().filter(|byte| **byte == 7).count() > 0,
                written < 16
            );
            assert!(memory.0[written..].iter().all(|byte| *byte == 0xAA), "size {size}");
        }
    }
}
