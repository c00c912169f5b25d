//! Arrays and dictionaries.

use std::ptr;

use super::interface::{ConstPointer, Pointer, TypeFunctions, api};
use super::value::{Builtin, FromGodot, Mismatch, Parameter, ToGodot, builtin, size};
use super::variant::{Variant, VariantType};

builtin! {
    /// An array of Variants. Copies are references to the same array.
    Array, 1, Array, array
}

builtin! {
    /// A dictionary. Copies are references to the same dictionary.
    Dictionary, 1, Dictionary, dictionary
}

// SAFETY: the reference count is atomic, and the binding changes no array that others know.
unsafe impl Send for Array {}

impl Array {
    pub fn len(&self) -> usize {
        // SAFETY: the method returns an int.
        unsafe { size(api().array_size, ptr::from_ref(self).cast()) }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the elements.
    pub fn to_vec(&self) -> Vec<Variant> {
        // SAFETY: the indices are below the size, and the elements are Variants.
        let element = |index| unsafe {
            let this: ConstPointer = ptr::from_ref(self).cast();
            Variant::copy_of((api().functions.array_operator_index_const)(this, index as i64))
        };
        (0..self.len()).map(element).collect()
    }

    /// Creates an array of `length` elements, which `fill` puts into it.
    pub fn filled(length: usize, fill: impl FnOnce(&mut Filler<'_>)) -> Self {
        let mut array = Self::empty();
        let this: Pointer = ptr::from_mut(&mut array).cast();
        let size = length as i64;
        let mut error: i64 = 0;
        // SAFETY: `resize` takes an int and returns one.
        unsafe {
            let argument: ConstPointer = ptr::from_ref(&size).cast();
            (api().array_resize)(this, &raw const argument, ptr::from_mut(&mut error).cast(), 1);
        }
        if error == 0 {
            fill(&mut Filler { array: &mut array, next: 0, length: size });
        }
        array
    }
}

/// Puts values into a new array, one after the other.
pub struct Filler<'a> {
    array: &'a mut Array,
    /// The index of the next element. Invariant: it and those behind it are null Variants.
    next: i64,
    length: i64,
}

impl Filler<'_> {
    /// Does nothing if the array is full.
    pub fn put(&mut self, value: impl ToGodot) {
        if self.next < self.length {
            let this: Pointer = ptr::from_mut(self.array).cast();
            // SAFETY: the index is below the size. The element is a null Variant, which has no resources.
            unsafe { value.into_variant((api().functions.array_operator_index)(this, self.next)) }
            self.next += 1;
        }
    }
}

impl Dictionary {
    /// Copies the keys and values.
    pub fn to_vec(&self) -> Vec<(Variant, Variant)> {
        let this: Pointer = ptr::from_ref(self).cast_mut().cast();
        let mut keys = Array::empty();
        // SAFETY: the method takes nothing, returns an array and does not change the dictionary.
        unsafe { (api().dictionary_keys)(this, ptr::null(), ptr::from_mut(&mut keys).cast(), 0) };
        // SAFETY: the dictionary has the key, so Godot returns its value, a Variant.
        let value = |key: &Variant| unsafe {
            Variant::copy_of((api().functions.dictionary_operator_index_const)(this, key.pointer()))
        };
        let with_value = |key: Variant| {
            let value = value(&key);
            (key, value)
        };
        keys.to_vec().into_iter().map(with_value).collect()
    }

    pub fn set(&mut self, key: &str, value: impl ToGodot) {
        let key = Variant::new(key);
        // SAFETY: Godot returns the value of the key, a new null Variant if there was none.
        unsafe {
            let this: Pointer = ptr::from_mut(self).cast();
            let entry = (api().functions.dictionary_operator_index)(this, key.pointer());
            (api().functions.variant_destroy)(entry);
            value.into_variant(entry);
        }
    }
}
