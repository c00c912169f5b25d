//! Variants: values of any type.

use std::mem::MaybeUninit;
use std::ptr;

use super::interface::{ConstPointer, Pointer, api};
use super::value::{FromGodot, Mismatch, Parameter, ToGodot};

/// The types of values that the binding uses, with Godot's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum VariantType {
    /// For a parameter: any type.
    Nil = 0,
    Bool = 1,
    Int = 2,
    Float = 3,
    String = 4,
    StringName = 21,
    Object = 24,
    Dictionary = 27,
    Array = 28,
    PackedByteArray = 29,
    PackedStringArray = 34,
}

/// Large enough for builds of Godot with double precision. Never copied bit by bit into Godot's memory, because
/// a Variant of other builds is smaller.
type Storage = [u64; 5];

/// A value of any type.
#[repr(C)]
pub struct Variant(MaybeUninit<Storage>);

// SAFETY: reference counts of Godot's values are atomic, and this type gives no access to shared contents.
unsafe impl Send for Variant {}
// SAFETY: as above.
unsafe impl Sync for Variant {}

impl Variant {
    pub fn new(value: impl ToGodot) -> Self {
        let mut variant = MaybeUninit::uninit();
        // SAFETY: the storage is large enough for a Variant, and gets initialized.
        unsafe { value.into_variant(ptr::from_mut(&mut variant).cast()) };
        Self(variant)
    }

    pub fn nil() -> Self {
        // SAFETY: initializes the storage.
        unsafe { Self::initialized_by(|storage| (api().functions.variant_new_nil)(storage)) }
    }

    /// Returns null of the type Object.
    pub fn null_object() -> Self {
        let mut object: Pointer = ptr::null_mut();
        // SAFETY: initializes the storage.
        unsafe {
            Self::initialized_by(|storage| {
                (api().object.to_variant)(storage, ptr::from_mut(&mut object).cast())
            })
        }
    }

    /// # Safety
    ///
    /// The function initializes the storage as a Variant.
    pub(super) unsafe fn initialized_by(initialize: impl FnOnce(Pointer)) -> Self {
        let mut variant = MaybeUninit::uninit();
        initialize(ptr::from_mut(&mut variant).cast());
        Self(variant)
    }

    /// # Safety
    ///
    /// The pointer is to a Variant.
    pub(super) unsafe fn copy_of(pointer: ConstPointer) -> Self {
        // SAFETY: the caller's. Godot copies the Variant into the storage.
        unsafe { Self::initialized_by(|storage| (api().functions.variant_new_copy)(storage, pointer)) }
    }

    pub fn is(&self, variant_type: VariantType) -> bool {
        // SAFETY: the pointer is to a Variant.
        unsafe { (api().functions.variant_get_type)(self.pointer()) == variant_type as u32 }
    }

    /// Returns the value, or the one to which Godot converts it without a loss.
    pub fn get<T: FromGodot>(&self) -> Result<T, Mismatch> {
        // SAFETY: the pointer is to a Variant.
        unsafe { read(self.pointer()) }
    }

    pub(super) fn pointer(&self) -> ConstPointer {
        ptr::from_ref(&self.0).cast()
    }

    pub(super) fn pointer_mut(&mut self) -> Pointer {
        ptr::from_mut(&mut self.0).cast()
    }
}

/// Converts a Variant, if its type is the wanted one or one that Godot converts to it.
///
/// # Safety
///
/// The pointer is to a Variant.
pub(super) unsafe fn read<T: FromGodot>(variant: ConstPointer) -> Result<T, Mismatch> {
    let functions = &api().functions;
    // SAFETY: the caller's; the type is checked first.
    unsafe {
        let from = (functions.variant_get_type)(variant);
        let wanted = T::PARAMETER.variant_type;
        let fits = wanted == VariantType::Nil
            || from == wanted as u32
            || (functions.variant_can_convert_strict)(from, wanted as u32) != 0;
        if fits { T::from_variant(variant) } else { Err(Mismatch) }
    }
}

impl Drop for Variant {
    fn drop(&mut self) {
        // SAFETY: initialized by every constructor, and destroyed once.
        unsafe { (api().functions.variant_destroy)(self.pointer_mut()) }
    }
}

impl Clone for Variant {
    fn clone(&self) -> Self {
        // SAFETY: the pointer is to a Variant.
        unsafe { Self::copy_of(self.pointer()) }
    }
}

impl FromGodot for Variant {
    const PARAMETER: Parameter = Parameter::of(VariantType::Nil);

    unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's: the pointer is to a Variant.
        Ok(unsafe { Self::copy_of(pointer) })
    }

    unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's.
        unsafe { Self::from_pointer(variant) }
    }
}

impl ToGodot for Variant {
    const PARAMETER: Option<Parameter> = Some(Parameter::of(VariantType::Nil));

    unsafe fn into_pointer(self, result: Pointer) {
        // SAFETY: the caller's: the result is a Variant, which is replaced.
        unsafe {
            (api().functions.variant_destroy)(result);
            (api().functions.variant_new_copy)(result, self.pointer());
        }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe { (api().functions.variant_new_copy)(uninitialized, self.pointer()) }
    }
}
