//! The functions of Godot that the binding uses, and where they are kept.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::variant::VariantType;

/// A pointer to an object, a value, a Variant or a name. The interface of Godot names which.
pub type Pointer = *mut c_void;
pub type ConstPointer = *const c_void;

pub type Construct = unsafe extern "C" fn(Pointer, *const ConstPointer);
pub type Destroy = unsafe extern "C" fn(Pointer);
/// Converts between a value and a Variant: destination, which is not initialized, then source.
pub type Convert = unsafe extern "C" fn(Pointer, Pointer);
/// Returns the value in a Variant of a certain type.
pub type InternalGetter = unsafe extern "C" fn(Pointer) -> Pointer;
pub type BuiltinMethod = unsafe extern "C" fn(Pointer, *const ConstPointer, Pointer, i32);
pub type UtilityFunction = unsafe extern "C" fn(Pointer, *const ConstPointer, i32);

pub type MethodCall =
    unsafe extern "C" fn(Pointer, Pointer, *const ConstPointer, i64, Pointer, *mut CallError);
pub type MethodPtrCall = unsafe extern "C" fn(Pointer, Pointer, *const ConstPointer, Pointer);
pub type VirtualCall = unsafe extern "C" fn(Pointer, *const ConstPointer, Pointer);

pub type AnyFunction = unsafe extern "C" fn();
pub type GetProcAddress = unsafe extern "C" fn(*const c_char) -> Option<AnyFunction>;

#[repr(C)]
pub struct CallError {
    pub error: u32,
    pub argument: i32,
    pub expected: i32,
}

impl CallError {
    pub const OK: u32 = 0;
    pub const INVALID_ARGUMENT: u32 = 2;
    pub const TOO_MANY_ARGUMENTS: u32 = 3;
    pub const TOO_FEW_ARGUMENTS: u32 = 4;
    pub const INSTANCE_IS_NULL: u32 = 5;
}

#[repr(C)]
pub struct PropertyInfo {
    pub variant_type: u32,
    pub name: Pointer,
    pub class_name: Pointer,
    pub hint: u32,
    pub hint_string: Pointer,
    pub usage: u32,
}

#[repr(C)]
pub struct MethodInfo {
    pub name: Pointer,
    pub userdata: Pointer,
    pub call: MethodCall,
    pub ptrcall: MethodPtrCall,
    pub flags: u32,
    pub has_result: u8,
    pub result: *mut PropertyInfo,
    pub result_metadata: u32,
    pub argument_count: u32,
    pub arguments: *mut PropertyInfo,
    pub arguments_metadata: *mut u32,
    pub default_count: u32,
    pub defaults: *mut Pointer,
}

/// The functions of a class. Those that the binding does not use are `None`.
#[repr(C)]
pub struct ClassInfo {
    pub is_virtual: u8,
    pub is_abstract: u8,
    pub is_exposed: u8,
    pub is_runtime: u8,
    pub properties: [Option<AnyFunction>; 7],
    pub notification: Option<unsafe extern "C" fn(Pointer, i32, u8)>,
    pub to_string: Option<AnyFunction>,
    pub reference: Option<AnyFunction>,
    pub unreference: Option<AnyFunction>,
    pub create: unsafe extern "C" fn(Pointer) -> Pointer,
    pub free: unsafe extern "C" fn(Pointer, Pointer),
    pub recreate: unsafe extern "C" fn(Pointer, Pointer) -> Pointer,
    pub get_virtual: unsafe extern "C" fn(Pointer, ConstPointer) -> Option<VirtualCall>,
    pub virtual_call_data: Option<AnyFunction>,
    pub call_virtual_with_data: Option<AnyFunction>,
    pub get_rid: Option<AnyFunction>,
    pub userdata: Pointer,
}

#[repr(C)]
pub struct GodotVersion {
    major: u32,
    minor: u32,
    patch: u32,
    text: *const c_char,
}

/// What the entry point fills in.
#[repr(C)]
pub struct Initialization {
    pub minimum_level: u32,
    pub userdata: Pointer,
    pub initialize: unsafe extern "C" fn(Pointer, u32),
    pub deinitialize: unsafe extern "C" fn(Pointer, u32),
}

macro_rules! interface {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// Functions of Godot, under their names there.
        pub struct Interface {
            $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Interface {
            /// # Safety
            ///
            /// `get` is the function that Godot passes to the entry point.
            unsafe fn load(get: GetProcAddress) -> Option<Self> {
                Some(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0");
                        // SAFETY: the name ends with NUL, and Godot's function of that name has this type.
                        unsafe {
                            std::mem::transmute::<
                                AnyFunction,
                                unsafe extern "C" fn($($argument),*) $(-> $result)?,
                            >(get(name.as_ptr().cast())?)
                        }
                    },)*
                })
            }
        }
    };
}

interface! {
    array_operator_index: fn(Pointer, i64) -> Pointer;
    array_operator_index_const: fn(ConstPointer, i64) -> ConstPointer;
    classdb_construct_object: fn(ConstPointer) -> Pointer;
    classdb_get_class_tag: fn(ConstPointer) -> Pointer;
    classdb_get_method_bind: fn(ConstPointer, ConstPointer, i64) -> Pointer;
    classdb_register_extension_class3: fn(Pointer, ConstPointer, ConstPointer, *const ClassInfo);
    classdb_register_extension_class_integer_constant:
        fn(Pointer, ConstPointer, ConstPointer, ConstPointer, i64, u8);
    classdb_register_extension_class_method: fn(Pointer, ConstPointer, *const MethodInfo);
    classdb_register_extension_class_property:
        fn(Pointer, ConstPointer, *const PropertyInfo, ConstPointer, ConstPointer);
    classdb_register_extension_class_signal: fn(Pointer, ConstPointer, ConstPointer, *const PropertyInfo, i64);
    classdb_unregister_extension_class: fn(Pointer, ConstPointer);
    dictionary_operator_index: fn(Pointer, ConstPointer) -> Pointer;
    dictionary_operator_index_const: fn(ConstPointer, ConstPointer) -> ConstPointer;
    get_variant_from_type_constructor: fn(u32) -> Option<Convert>;
    get_variant_to_type_constructor: fn(u32) -> Option<Convert>;
    global_get_singleton: fn(ConstPointer) -> Pointer;
    object_cast_to: fn(ConstPointer, Pointer) -> Pointer;
    object_destroy: fn(Pointer);
    object_get_instance_from_id: fn(u64) -> Pointer;
    object_get_instance_id: fn(ConstPointer) -> u64;
    object_method_bind_call: fn(ConstPointer, Pointer, *const ConstPointer, i64, Pointer, *mut CallError);
    object_method_bind_ptrcall: fn(ConstPointer, Pointer, *const ConstPointer, Pointer);
    object_set_instance: fn(Pointer, ConstPointer, Pointer);
    packed_byte_array_operator_index: fn(Pointer, i64) -> *mut u8;
    packed_byte_array_operator_index_const: fn(ConstPointer, i64) -> *const u8;
    packed_string_array_operator_index_const: fn(ConstPointer, i64) -> Pointer;
    print_error: fn(*const c_char, *const c_char, *const c_char, i32, u8);
    print_warning: fn(*const c_char, *const c_char, *const c_char, i32, u8);
    ref_set_object: fn(Pointer, Pointer);
    string_name_new_with_utf8_chars_and_len: fn(Pointer, *const c_char, i64);
    string_new_with_utf8_chars_and_len: fn(Pointer, *const c_char, i64);
    string_to_utf8_chars: fn(ConstPointer, *mut c_char, i64) -> i64;
    variant_can_convert_strict: fn(u32, u32) -> u8;
    variant_destroy: fn(Pointer);
    variant_get_ptr_builtin_method: fn(u32, ConstPointer, i64) -> Option<BuiltinMethod>;
    variant_get_ptr_constructor: fn(u32, i32) -> Option<Construct>;
    variant_get_ptr_destructor: fn(u32) -> Option<Destroy>;
    variant_get_ptr_utility_function: fn(ConstPointer, i64) -> Option<UtilityFunction>;
    variant_get_type: fn(ConstPointer) -> u32;
    variant_new_copy: fn(Pointer, ConstPointer);
    variant_new_nil: fn(Pointer);
}

/// Functions that exist only in some builds of Godot.
pub struct Optional {
    /// In editors: loads class documentation.
    pub editor_help_load_xml_from_utf8_chars_and_len: Option<unsafe extern "C" fn(*const c_char, i64)>,
    /// Deprecated since Godot 4.5, so newer builds may lack it.
    pub get_godot_version: Option<unsafe extern "C" fn(*mut GodotVersion)>,
    /// Since Godot 4.4: returns a function that returns the value in a Variant of a type.
    pub variant_get_ptr_internal_getter: Option<unsafe extern "C" fn(u32) -> Option<InternalGetter>>,
    /// Since Godot 4.4: 0 if the object was freed.
    pub variant_get_object_instance_id: Option<unsafe extern "C" fn(ConstPointer) -> u64>,
}

/// The functions for a type of values. Types without resources have no constructors and no destructor.
pub struct TypeFunctions {
    pub to_variant: Convert,
    pub from_variant: Convert,
    pub construct: Option<Construct>,
    pub copy: Option<Construct>,
    pub destroy: Option<Destroy>,
}

/// Everything fetched from Godot.
pub struct Api {
    pub functions: Interface,
    pub optional: Optional,
    pub library: Pointer,
    pub boolean: TypeFunctions,
    pub int: TypeFunctions,
    pub float: TypeFunctions,
    pub string: TypeFunctions,
    pub string_name: TypeFunctions,
    pub object: TypeFunctions,
    pub dictionary: TypeFunctions,
    pub array: TypeFunctions,
    pub packed_bytes: TypeFunctions,
    pub packed_strings: TypeFunctions,
    pub array_resize: BuiltinMethod,
    pub array_size: BuiltinMethod,
    pub bytes_resize: BuiltinMethod,
    pub bytes_of_variant: Option<InternalGetter>,
    pub bytes_size: BuiltinMethod,
    pub dictionary_keys: BuiltinMethod,
    pub strings_push_back: BuiltinMethod,
    pub strings_size: BuiltinMethod,
    pub refcounted_tag: Pointer,
    /// Whether Object has the method `has_connections`: since Godot 4.4.
    pub has_connections: bool,
}

static API: AtomicPtr<Api> = AtomicPtr::new(ptr::null_mut());

/// Returns the functions of Godot.
#[inline]
pub fn api() -> &'static Api {
    let api = API.load(Ordering::Acquire);
    assert!(!api.is_null(), "the extension is not initialized");
    // SAFETY: set by `load`, and freed by `unload` after the last call of the extension.
    unsafe { &*api }
}

/// Fetches all functions. Returns false if Godot lacks one of them.
///
/// # Safety
///
/// The arguments are those of the entry point.
pub unsafe fn load(get: GetProcAddress, library: Pointer) -> bool {
    // SAFETY: the caller's.
    match unsafe { Api::load(get, library) } {
        Some(api) => {
            API.store(Box::into_raw(Box::new(api)), Ordering::Release);
            true
        }
        None => false,
    }
}

/// # Safety
///
/// No function of this module is called afterwards, until the next `load`.
pub unsafe fn unload() {
    let api = API.swap(ptr::null_mut(), Ordering::AcqRel);
    if !api.is_null() {
        // SAFETY: from `Box::into_raw` in `load`, and not used any more.
        drop(unsafe { Box::from_raw(api) });
    }
}

impl Api {
    /// # Safety
    ///
    /// As for `load`.
    unsafe fn load(get: GetProcAddress, library: Pointer) -> Option<Self> {
        let optional = |name: &CStr| {
            // SAFETY: the name ends with NUL.
            unsafe { get(name.as_ptr()) }
        };
        // SAFETY: these functions of Godot have the types of the fields.
        let optional = unsafe {
            Optional {
                editor_help_load_xml_from_utf8_chars_and_len: std::mem::transmute::<
                    Option<AnyFunction>,
                    Option<unsafe extern "C" fn(*const c_char, i64)>,
                >(optional(
                    c"editor_help_load_xml_from_utf8_chars_and_len",
                )),
                get_godot_version: std::mem::transmute::<
                    Option<AnyFunction>,
                    Option<unsafe extern "C" fn(*mut GodotVersion)>,
                >(optional(c"get_godot_version")),
                variant_get_ptr_internal_getter: std::mem::transmute::<
                    Option<AnyFunction>,
                    Option<unsafe extern "C" fn(u32) -> Option<InternalGetter>>,
                >(optional(
                    c"variant_get_ptr_internal_getter",
                )),
                variant_get_object_instance_id: std::mem::transmute::<
                    Option<AnyFunction>,
                    Option<unsafe extern "C" fn(ConstPointer) -> u64>,
                >(optional(
                    c"variant_get_object_instance_id",
                )),
            }
        };
        let version = optional.get_godot_version.map(|get_version| {
            let mut version = GodotVersion { major: 0, minor: 0, patch: 0, text: ptr::null() };
            // SAFETY: Godot fills in the structure.
            unsafe { get_version(&raw mut version) };
            (version.major, version.minor)
        });
        // SAFETY: the caller's.
        let functions = unsafe { Interface::load(get) }?;
        let of_type = |variant_type| {
            // SAFETY: these calls take a type and an index, and return null for what does not exist.
            unsafe { TypeFunctions::load(&functions, variant_type) }
        };
        // SAFETY: the call takes a type.
        let bytes_of_variant = optional
            .variant_get_ptr_internal_getter
            .and_then(|getter_of| unsafe { getter_of(VariantType::PackedByteArray as u32) });
        let string_name = of_type(VariantType::StringName)?;
        let destroy_name = string_name.destroy?;
        let builtin = |variant_type: VariantType, name: &str, hash| {
            // SAFETY: the name is initialized here, and destroyed after the call that reads it.
            unsafe {
                let mut method: usize = 0;
                let pointer = ptr::from_mut(&mut method).cast();
                (functions.string_name_new_with_utf8_chars_and_len)(
                    pointer,
                    name.as_ptr().cast(),
                    name.len() as i64,
                );
                let found = (functions.variant_get_ptr_builtin_method)(variant_type as u32, pointer, hash);
                destroy_name(pointer);
                found
            }
        };
        let refcounted_tag = {
            // SAFETY: as above.
            unsafe {
                let mut class: usize = 0;
                let pointer = ptr::from_mut(&mut class).cast();
                (functions.string_name_new_with_utf8_chars_and_len)(pointer, c"RefCounted".as_ptr(), 10);
                let tag = (functions.classdb_get_class_tag)(pointer);
                destroy_name(pointer);
                tag
            }
        };
        Some(Self {
            optional,
            bytes_of_variant,
            library,
            boolean: of_type(VariantType::Bool)?,
            int: of_type(VariantType::Int)?,
            float: of_type(VariantType::Float)?,
            string: of_type(VariantType::String)?,
            string_name,
            object: of_type(VariantType::Object)?,
            dictionary: of_type(VariantType::Dictionary)?,
            array: of_type(VariantType::Array)?,
            packed_bytes: of_type(VariantType::PackedByteArray)?,
            packed_strings: of_type(VariantType::PackedStringArray)?,
            array_resize: builtin(VariantType::Array, "resize", 848867239)?,
            array_size: builtin(VariantType::Array, "size", 3173160232)?,
            bytes_resize: builtin(VariantType::PackedByteArray, "resize", 848867239)?,
            bytes_size: builtin(VariantType::PackedByteArray, "size", 3173160232)?,
            dictionary_keys: builtin(VariantType::Dictionary, "keys", 4144163970)?,
            strings_push_back: builtin(VariantType::PackedStringArray, "push_back", 816187996)?,
            strings_size: builtin(VariantType::PackedStringArray, "size", 3173160232)?,
            refcounted_tag,
            has_connections: version.is_none_or(|version| version >= (4, 4)),
            functions,
        })
    }
}

impl TypeFunctions {
    /// # Safety
    ///
    /// `functions` are Godot's.
    unsafe fn load(functions: &Interface, variant_type: VariantType) -> Option<Self> {
        let number = variant_type as u32;
        // SAFETY: the caller's. Constructor 0 creates a default value, and constructor 1 a copy.
        unsafe {
            Some(Self {
                to_variant: (functions.get_variant_from_type_constructor)(number)?,
                from_variant: (functions.get_variant_to_type_constructor)(number)?,
                construct: (functions.variant_get_ptr_constructor)(number, 0),
                copy: (functions.variant_get_ptr_constructor)(number, 1),
                destroy: (functions.variant_get_ptr_destructor)(number),
            })
        }
    }
}
