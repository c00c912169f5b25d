//! Global functions of Godot: its binary serialization format.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::interface::{ConstPointer, Pointer, UtilityFunction, api};
use super::packed::PackedByteArray;
use super::string::StringName;
use super::variant::Variant;

/// A function that is looked up at its first call.
struct Utility {
    name: &'static str,
    hash: i64,
    function: AtomicPtr<()>,
}

static VAR_TO_BYTES: Utility = Utility::new("var_to_bytes", 2947269930);
static VAR_TO_BYTES_WITH_OBJECTS: Utility = Utility::new("var_to_bytes_with_objects", 2947269930);
static BYTES_TO_VAR: Utility = Utility::new("bytes_to_var", 4249819452);
static BYTES_TO_VAR_WITH_OBJECTS: Utility = Utility::new("bytes_to_var_with_objects", 4249819452);

/// Encodes a value. Can run code of scripts, if objects are encoded too.
pub fn var_to_bytes(value: &Variant, with_objects: bool) -> PackedByteArray {
    let function = if with_objects { &VAR_TO_BYTES_WITH_OBJECTS } else { &VAR_TO_BYTES };
    let mut bytes = PackedByteArray::default();
    // SAFETY: the function takes a Variant and returns a packed array of bytes.
    unsafe { function.call(ptr::from_mut(&mut bytes).cast(), value.pointer()) };
    bytes
}

/// Decodes a value; null if the bytes are not one. Can run code of scripts, if objects are allowed.
pub fn bytes_to_var(bytes: &PackedByteArray, with_objects: bool) -> Variant {
    let function = if with_objects { &BYTES_TO_VAR_WITH_OBJECTS } else { &BYTES_TO_VAR };
    let mut value = Variant::nil();
    // SAFETY: the function takes a packed array of bytes and returns a Variant.
    unsafe { function.call(value.pointer_mut(), ptr::from_ref(bytes).cast()) };
    value
}

impl Utility {
    const fn new(name: &'static str, hash: i64) -> Self {
        Self { name, hash, function: AtomicPtr::new(ptr::null_mut()) }
    }

    /// # Safety
    ///
    /// The result and the argument have the types of the function.
    unsafe fn call(&self, result: Pointer, argument: ConstPointer) {
        // SAFETY: the caller's.
        if let Some(function) = self.find() {
            unsafe { function(result, &raw const argument, 1) }
        }
    }

    fn find(&self) -> Option<UtilityFunction> {
        let mut function = self.function.load(Ordering::Relaxed);
        if function.is_null() {
            let name = StringName::new(self.name);
            // SAFETY: the name is valid.
            let found =
                unsafe { (api().functions.variant_get_ptr_utility_function)(name.pointer(), self.hash) }?;
            function = found as *mut ();
            self.function.store(function, Ordering::Relaxed);
        }
        // SAFETY: the pointer is to a function of that type, which Godot has returned.
        Some(unsafe { std::mem::transmute::<*mut (), UtilityFunction>(function) })
    }
}
