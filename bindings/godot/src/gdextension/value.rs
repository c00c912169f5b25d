//! Converts arguments and results between Rust and Godot.

use std::ptr;

use super::interface::{BuiltinMethod, ConstPointer, Pointer, TypeFunctions, api};
use super::variant::VariantType;

/// The type of an argument, a result or a property, as Godot shows it.
#[derive(Clone, Copy)]
pub struct Parameter {
    pub variant_type: VariantType,
    /// The class of an object, or the name of an enumeration; otherwise empty.
    pub class: &'static str,
    pub is_enum: bool,
}

impl Parameter {
    pub const fn of(variant_type: VariantType) -> Self {
        Self { variant_type, class: "", is_enum: false }
    }

    pub const fn object(class: &'static str) -> Self {
        Self { variant_type: VariantType::Object, class, is_enum: false }
    }

    /// Returns the name of the type in class documentation.
    pub fn type_name(&self) -> &'static str {
        match self.variant_type {
            VariantType::Nil => "Variant",
            VariantType::Bool => "bool",
            VariantType::Int => "int",
            VariantType::Float => "float",
            VariantType::String => "String",
            VariantType::StringName => "StringName",
            VariantType::Object => self.class,
            VariantType::Dictionary => "Dictionary",
            VariantType::Array => "Array",
            VariantType::PackedByteArray => "PackedByteArray",
            VariantType::PackedStringArray => "PackedStringArray",
        }
    }
}

/// The value has another type.
#[derive(Debug)]
pub struct Mismatch;

/// A type of arguments.
pub trait FromGodot: Sized {
    const PARAMETER: Parameter;

    /// Copies the argument of a call by pointers.
    ///
    /// # Safety
    ///
    /// The pointer is to a value of that type.
    unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch>;

    /// Copies the argument of a call by Variants.
    ///
    /// # Safety
    ///
    /// The pointer is to a Variant that Godot can convert to that type.
    unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch>;
}

/// A type of results, and of arguments of signals.
pub trait ToGodot {
    /// `None` for no result.
    const PARAMETER: Option<Parameter>;

    /// Replaces the result of a call by pointers.
    ///
    /// # Safety
    ///
    /// The pointer is to an initialized value of that type.
    unsafe fn into_pointer(self, result: Pointer);

    /// # Safety
    ///
    /// The pointer is to memory for a Variant, which this initializes.
    unsafe fn into_variant(self, uninitialized: Pointer);
}

impl ToGodot for () {
    const PARAMETER: Option<Parameter> = None;

    unsafe fn into_pointer(self, _: Pointer) {}

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe { (api().functions.variant_new_nil)(uninitialized) }
    }
}

/// Numbers and truth values, which are copied bit by bit. Godot's bool has one byte.
macro_rules! plain {
    ($type:ty, $stored:ty, $variant_type:ident, $functions:ident, $to:expr, $from:expr) => {
        impl FromGodot for $type {
            const PARAMETER: Parameter = Parameter::of(VariantType::$variant_type);

            unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch> {
                // SAFETY: the caller's.
                Ok($from(unsafe { *pointer.cast::<$stored>() }))
            }

            unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch> {
                let mut value: $stored = Default::default();
                // SAFETY: the caller's. Godot only reads the Variant.
                unsafe {
                    (api().$functions.from_variant)(ptr::from_mut(&mut value).cast(), variant.cast_mut())
                };
                Ok($from(value))
            }
        }

        impl ToGodot for $type {
            const PARAMETER: Option<Parameter> = Some(Parameter::of(VariantType::$variant_type));

            unsafe fn into_pointer(self, result: Pointer) {
                // SAFETY: the caller's.
                unsafe { *result.cast::<$stored>() = $to(self) }
            }

            unsafe fn into_variant(self, uninitialized: Pointer) {
                let mut value: $stored = $to(self);
                // SAFETY: the caller's.
                unsafe { (api().$functions.to_variant)(uninitialized, ptr::from_mut(&mut value).cast()) }
            }
        }
    };
}

plain!(bool, u8, Bool, boolean, u8::from, |stored: u8| stored != 0);
plain!(i64, i64, Int, int, |value| value, |stored| stored);
plain!(f64, f64, Float, float, |value| value, |stored| stored);

/// An error code of Godot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GodotError(i64);

impl GodotError {
    pub const OK: Self = Self(0);
    pub const FAILED: Self = Self(1);
    pub const ERR_UNAVAILABLE: Self = Self(2);
    pub const ERR_UNCONFIGURED: Self = Self(3);
    pub const ERR_OUT_OF_MEMORY: Self = Self(6);
    pub const ERR_ALREADY_IN_USE: Self = Self(22);
    pub const ERR_TIMEOUT: Self = Self(24);
    pub const ERR_INVALID_PARAMETER: Self = Self(31);
    pub const ERR_BUG: Self = Self(47);

    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }
}

impl ToGodot for GodotError {
    const PARAMETER: Option<Parameter> =
        Some(Parameter { variant_type: VariantType::Int, class: "Error", is_enum: true });

    unsafe fn into_pointer(self, result: Pointer) {
        // SAFETY: the caller's.
        unsafe { self.0.into_pointer(result) }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        // SAFETY: the caller's.
        unsafe { self.0.into_variant(uninitialized) }
    }
}

/// A value of Godot with resources, in words of the machine.
///
/// # Safety
///
/// The type has the size and alignment of Godot's value, which can be moved in memory, and `functions` returns
/// the functions of its type, with constructors and destructor.
pub(super) unsafe trait Builtin: Sized {
    const PARAMETER: Parameter;

    fn functions() -> &'static TypeFunctions;

    /// # Safety
    ///
    /// The pointer is to a value of that type.
    unsafe fn copy_of(pointer: ConstPointer) -> Self {
        let copy = Self::functions().copy.expect("the type has a copy constructor");
        // SAFETY: the constructor initializes the value from its only argument.
        unsafe {
            let mut value = std::mem::MaybeUninit::<Self>::uninit();
            copy(value.as_mut_ptr().cast(), &raw const pointer);
            value.assume_init()
        }
    }

    fn empty() -> Self {
        let construct = Self::functions().construct.expect("the type has a default constructor");
        // SAFETY: the constructor initializes the value.
        unsafe {
            let mut value = std::mem::MaybeUninit::<Self>::uninit();
            construct(value.as_mut_ptr().cast(), ptr::null());
            value.assume_init()
        }
    }

    /// # Safety
    ///
    /// The value is not used afterwards.
    unsafe fn destroy(pointer: Pointer) {
        let destroy = Self::functions().destroy.expect("the type has a destructor");
        // SAFETY: the caller's.
        unsafe { destroy(pointer) }
    }
}

/// Calls the method `size` of a value.
///
/// # Safety
///
/// The method belongs to the type of the value, takes nothing and returns an int.
pub(super) unsafe fn size(method: BuiltinMethod, value: ConstPointer) -> usize {
    let mut size: i64 = 0;
    // SAFETY: the caller's. The method does not change the value.
    unsafe { method(value.cast_mut(), ptr::null(), ptr::from_mut(&mut size).cast(), 0) };
    usize::try_from(size).unwrap_or(0)
}

/// Implements creation, copies, destruction and conversions of a type with resources.
macro_rules! builtin {
    ($(#[$doc:meta])* $name:ident, $words:literal, $variant_type:ident, $functions:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name([usize; $words]);

        // SAFETY: Godot's value has this many words, no pointers into itself, and these functions.
        unsafe impl Builtin for $name {
            const PARAMETER: Parameter = Parameter::of(VariantType::$variant_type);

            fn functions() -> &'static TypeFunctions {
                &api().$functions
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::empty()
            }
        }

        impl Clone for $name {
            fn clone(&self) -> Self {
                // SAFETY: the pointer is to a value of this type.
                unsafe { Self::copy_of(std::ptr::from_ref(self).cast()) }
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the last use of the value.
                unsafe { Self::destroy(std::ptr::from_mut(self).cast()) }
            }
        }

        impl FromGodot for $name {
            const PARAMETER: Parameter = <Self as Builtin>::PARAMETER;

            unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch> {
                // SAFETY: the caller's.
                Ok(unsafe { Self::copy_of(pointer) })
            }

            unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch> {
                let mut value = std::mem::MaybeUninit::<Self>::uninit();
                // SAFETY: the caller's. Godot initializes the value, and only reads the Variant.
                unsafe {
                    (Self::functions().from_variant)(value.as_mut_ptr().cast(), variant.cast_mut());
                    Ok(value.assume_init())
                }
            }
        }

        impl ToGodot for $name {
            const PARAMETER: Option<Parameter> = Some(<Self as Builtin>::PARAMETER);

            unsafe fn into_pointer(self, result: Pointer) {
                // SAFETY: the caller's. The old result is destroyed, and the value moved there.
                unsafe {
                    Self::destroy(result);
                    result.cast::<Self>().write(self);
                }
            }

            unsafe fn into_variant(mut self, uninitialized: Pointer) {
                // SAFETY: the caller's.
                unsafe { (Self::functions().to_variant)(uninitialized, std::ptr::from_mut(&mut self).cast()) }
            }
        }
    };
}

pub(super) use builtin;
