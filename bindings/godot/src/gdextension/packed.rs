//! Packed arrays.

use std::ptr;

use super::interface::{ConstPointer, Pointer, TypeFunctions, api};
use super::string::GodotString;
use super::value::{Builtin, FromGodot, Mismatch, Parameter, ToGodot, builtin, size};
use super::variant::VariantType;

builtin! {
    /// An array of bytes. Copies share their contents until one of them is changed.
    PackedByteArray, 2, PackedByteArray, packed_bytes
}

builtin! {
    /// An array of strings. Arguments and results are of type `Vec<String>`, which is converted.
    PackedStringArray, 2, PackedStringArray, packed_strings
}

// SAFETY: reference counts are atomic, and shared contents are copied before a change.
unsafe impl Send for PackedByteArray {}
// SAFETY: as above.
unsafe impl Sync for PackedByteArray {}

impl PackedByteArray {
    pub fn len(&self) -> usize {
        // SAFETY: the method returns an int.
        unsafe { size(api().bytes_size, ptr::from_ref(self).cast()) }
    }

    pub fn as_slice(&self) -> &[u8] {
        let length = self.len();
        if length == 0 {
            return &[];
        }
        // SAFETY: the elements lie side by side, and do not change while the array is borrowed.
        unsafe {
            let first =
                (api().functions.packed_byte_array_operator_index_const)(ptr::from_ref(self).cast(), 0);
            std::slice::from_raw_parts(first, length)
        }
    }
}

/// Copies the bytes, once.
impl From<&[u8]> for PackedByteArray {
    fn from(bytes: &[u8]) -> Self {
        let mut array = Self::empty();
        array.assign(bytes);
        array
    }
}

/// Copied into a new array.
impl ToGodot for &[u8] {
    const PARAMETER: Option<Parameter> = Some(<PackedByteArray as Builtin>::PARAMETER);

    unsafe fn into_pointer(self, result: Pointer) {
        // SAFETY: the caller's.
        unsafe { (*result.cast::<PackedByteArray>()).assign(self) }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe {
            let Some(array_of) = api().bytes_of_variant else {
                return PackedByteArray::from(self).into_variant(uninitialized);
            };
            PackedByteArray::empty().into_variant(uninitialized);
            // The array in the Variant, which nothing else knows yet.
            (*array_of(uninitialized).cast::<PackedByteArray>()).assign(self);
        }
    }
}

impl PackedByteArray {
    /// Replaces the contents.
    fn assign(&mut self, bytes: &[u8]) {
        let length = bytes.len() as i64;
        let mut error: i64 = 0;
        let this: Pointer = ptr::from_mut(self).cast();
        // SAFETY: `resize` takes an int and returns one. Afterwards the array has that many elements side by side.
        unsafe {
            let argument: ConstPointer = ptr::from_ref(&length).cast();
            (api().bytes_resize)(this, &raw const argument, ptr::from_mut(&mut error).cast(), 1);
            if error == 0 && length > 0 {
                let first = (api().functions.packed_byte_array_operator_index)(this, 0);
                ptr::copy_nonoverlapping(bytes.as_ptr(), first, bytes.len());
            }
        }
    }
}

/// # Safety
///
/// The pointer is to a packed array of strings.
unsafe fn to_vec(array: ConstPointer) -> Result<Vec<String>, Mismatch> {
    // SAFETY: the caller's; the indices are below the size.
    unsafe {
        (0..size(api().strings_size, array))
            .map(|index| {
                let string = (api().functions.packed_string_array_operator_index_const)(array, index as i64);
                String::from_pointer(string)
            })
            .collect()
    }
}

impl FromGodot for Vec<String> {
    const PARAMETER: Parameter = <PackedStringArray as Builtin>::PARAMETER;

    unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's.
        unsafe { to_vec(pointer) }
    }

    unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's.
        unsafe { to_vec(ptr::from_ref(&PackedStringArray::from_variant(variant)?).cast()) }
    }
}

fn packed(texts: &[String]) -> PackedStringArray {
    let mut array = PackedStringArray::empty();
    for text in texts {
        let text = GodotString::new(text);
        let argument: ConstPointer = text.pointer();
        let mut failed: u8 = 0;
        // SAFETY: `push_back` takes a string and returns a bool.
        unsafe {
            (api().strings_push_back)(
                ptr::from_mut(&mut array).cast(),
                &raw const argument,
                ptr::from_mut(&mut failed).cast(),
                1,
            );
        }
    }
    array
}

impl ToGodot for Vec<String> {
    const PARAMETER: Option<Parameter> = Some(<PackedStringArray as Builtin>::PARAMETER);

    unsafe fn into_pointer(self, result: Pointer) {
        // SAFETY: the caller's.
        unsafe { packed(&self).into_pointer(result) }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe { packed(&self).into_variant(uninitialized) }
    }
}
