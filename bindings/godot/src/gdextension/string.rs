//! Strings, and the names of members.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use super::interface::{ConstPointer, Pointer, TypeFunctions, api};
use super::value::{Builtin, FromGodot, Mismatch, Parameter, ToGodot, builtin};
use super::variant::{Variant, VariantType};

builtin! {
    /// Godot's String. Arguments and results are of type [`String`], which is converted.
    GodotString, 1, String, string
}

builtin! {
    /// Godot's StringName.
    StringName, 1, StringName, string_name
}

/// Most texts fit into it, so that they are encoded only once.
const FIRST_GUESS: usize = 256;

impl GodotString {
    pub fn new(text: &str) -> Self {
        let mut string = std::mem::MaybeUninit::<Self>::uninit();
        // SAFETY: Godot reads that many bytes and initializes the string.
        unsafe {
            (api().functions.string_new_with_utf8_chars_and_len)(
                string.as_mut_ptr().cast(),
                text.as_ptr().cast(),
                text.len() as i64,
            );
            string.assume_init()
        }
    }

    pub(super) fn pointer(&self) -> Pointer {
        ptr::from_ref(self).cast_mut().cast()
    }
}

/// # Safety
///
/// The pointer is to a string of Godot.
unsafe fn to_rust(string: ConstPointer) -> String {
    let mut bytes: Vec<u8> = Vec::with_capacity(FIRST_GUESS);
    loop {
        // SAFETY: Godot writes at most as many bytes as there is room, and returns the length of the whole text.
        let length = unsafe {
            (api().functions.string_to_utf8_chars)(string, bytes.as_mut_ptr().cast(), bytes.capacity() as i64)
        };
        let length = usize::try_from(length).unwrap_or(0);
        if length <= bytes.capacity() {
            // SAFETY: Godot has written that many bytes.
            unsafe { bytes.set_len(length) };
            // A string of Godot can contain surrogates, which are not UTF-8.
            return String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        }
        bytes.reserve_exact(length);
    }
}

impl FromGodot for String {
    const PARAMETER: Parameter = Parameter::of(VariantType::String);

    unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's.
        Ok(unsafe { to_rust(pointer) })
    }

    unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's.
        let string = unsafe { GodotString::from_variant(variant) }?;
        // SAFETY: the pointer is to a string.
        Ok(unsafe { to_rust(string.pointer()) })
    }
}

impl ToGodot for &str {
    const PARAMETER: Option<Parameter> = Some(Parameter::of(VariantType::String));

    unsafe fn into_pointer(self, result: Pointer) {
        // SAFETY: the caller's.
        unsafe { GodotString::new(self).into_pointer(result) }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe { GodotString::new(self).into_variant(uninitialized) }
    }
}

impl ToGodot for String {
    const PARAMETER: Option<Parameter> = <&str>::PARAMETER;

    unsafe fn into_pointer(self, result: Pointer) {
        // SAFETY: the caller's.
        unsafe { self.as_str().into_pointer(result) }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe { self.as_str().into_variant(uninitialized) }
    }
}

impl StringName {
    pub fn new(text: &str) -> Self {
        let mut name = std::mem::MaybeUninit::<Self>::uninit();
        // SAFETY: Godot reads that many bytes and initializes the name.
        unsafe {
            (api().functions.string_name_new_with_utf8_chars_and_len)(
                name.as_mut_ptr().cast(),
                text.as_ptr().cast(),
                text.len() as i64,
            );
            name.assume_init()
        }
    }

    pub(super) fn pointer(&self) -> Pointer {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Equal names are the same entry in Godot's table.
    ///
    /// # Safety
    ///
    /// The pointer is to a name.
    pub(super) unsafe fn is(&self, other: ConstPointer) -> bool {
        // SAFETY: the caller's: a name is one pointer.
        unsafe { *other.cast::<usize>() == *self.pointer().cast::<usize>() }
    }
}

/// The name of a signal as values of Godot, created at its first use.
pub struct Name {
    text: &'static str,
    values: AtomicPtr<NameValues>,
}

struct NameValues {
    string_name: StringName,
    variant: Variant,
}

/// The names that have been created, so that they are destroyed when the library is unloaded.
static CREATED: Mutex<Vec<&'static Name>> = Mutex::new(Vec::new());

impl Name {
    pub const fn new(text: &'static str) -> Self {
        Self { text, values: AtomicPtr::new(ptr::null_mut()) }
    }

    pub fn text(&self) -> &'static str {
        self.text
    }

    pub(super) fn variant(&'static self) -> &'static Variant {
        &self.values().variant
    }

    pub(super) fn string_name(&'static self) -> &'static StringName {
        &self.values().string_name
    }

    #[inline]
    fn values(&'static self) -> &'static NameValues {
        let values = self.values.load(Ordering::Acquire);
        if values.is_null() {
            return self.create();
        }
        // SAFETY: set by `create`, and freed by `destroy_names` after the last use.
        unsafe { &*values }
    }

    #[cold]
    fn create(&'static self) -> &'static NameValues {
        let mut created = CREATED.lock().unwrap_or_else(PoisonError::into_inner);
        if self.values.load(Ordering::Acquire).is_null() {
            let string_name = StringName::new(self.text);
            let variant = Variant::new(string_name.clone());
            self.values
                .store(Box::into_raw(Box::new(NameValues { string_name, variant })), Ordering::Release);
            created.push(self);
        }
        // SAFETY: set above or by another thread.
        unsafe { &*self.values.load(Ordering::Acquire) }
    }
}

/// # Safety
///
/// No name is in use.
pub(super) unsafe fn destroy_names() {
    let mut created = CREATED.lock().unwrap_or_else(PoisonError::into_inner);
    for name in created.drain(..) {
        let values = name.values.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: from `Box::into_raw` in `create`.
        drop(unsafe { Box::from_raw(values) });
    }
}
