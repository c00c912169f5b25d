//! References to objects, calls of their methods, and signals.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::collections::Array;
use super::interface::{CallError, ConstPointer, Pointer, api};
use super::string::{GodotString, Name, StringName};
use super::value::{FromGodot, GodotError, Mismatch, Parameter, ToGodot};
use super::variant::{Variant, VariantType};

/// A method of an engine class, looked up at its first call by its name and the hash of its signature.
pub struct MethodBind {
    class: &'static str,
    name: &'static str,
    hash: i64,
    bind: AtomicPtr<std::ffi::c_void>,
}

static EMIT_SIGNAL: MethodBind = MethodBind::new("Object", "emit_signal", 4047867050);
static HAS_CONNECTIONS: MethodBind = MethodBind::new("Object", "has_connections", 2619796661);
static IS_CLASS: MethodBind = MethodBind::new("Object", "is_class", 3927539163);
static GET_CLASS: MethodBind = MethodBind::new("Object", "get_class", 201670096);
static GET_SIGNAL_CONNECTION_LIST: MethodBind =
    MethodBind::new("Object", "get_signal_connection_list", 3147814860);
static SET_PROCESS_INTERNAL: MethodBind = MethodBind::new("Node", "set_process_internal", 2586408642);
static INIT_REF: MethodBind = MethodBind::new("RefCounted", "init_ref", 2240911060);
static REFERENCE: MethodBind = MethodBind::new("RefCounted", "reference", 2240911060);
static UNREFERENCE: MethodBind = MethodBind::new("RefCounted", "unreference", 2240911060);

impl MethodBind {
    pub const fn new(class: &'static str, name: &'static str, hash: i64) -> Self {
        Self { class, name, hash, bind: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    fn pointer(&self) -> Pointer {
        let bind = self.bind.load(Ordering::Relaxed);
        if bind.is_null() { self.find() } else { bind }
    }

    #[cold]
    fn find(&self) -> Pointer {
        let (class, name) = (StringName::new(self.class), StringName::new(self.name));
        // SAFETY: the names are valid.
        let bind =
            unsafe { (api().functions.classdb_get_method_bind)(class.pointer(), name.pointer(), self.hash) };
        assert!(!bind.is_null(), "Godot has no {}.{}", self.class, self.name);
        self.bind.store(bind, Ordering::Relaxed);
        bind
    }

    /// Calls a method without arguments that returns a value.
    ///
    /// # Safety
    ///
    /// The object is valid and of the class of this method, which takes nothing and returns a value of the type
    /// of `result`.
    #[inline]
    pub(super) unsafe fn call<R>(&self, object: Pointer, mut result: R) -> R {
        // SAFETY: the caller's.
        unsafe {
            (api().functions.object_method_bind_ptrcall)(
                self.pointer(),
                object,
                ptr::null(),
                ptr::from_mut(&mut result).cast(),
            );
        }
        result
    }

    /// # Safety
    ///
    /// As for `call`. The method returns a String.
    pub(super) unsafe fn call_for_text(&self, object: Pointer) -> String {
        // SAFETY: the caller's.
        unsafe {
            let text = self.call(object, GodotString::default());
            String::from_pointer(text.pointer()).unwrap_or_default()
        }
    }

    /// # Safety
    ///
    /// As for `call`. The method returns a reference to an object derived from RefCounted, or null.
    pub(super) unsafe fn call_for_object(&self, object: Pointer) -> Option<Reference> {
        // SAFETY: the caller's. Godot's reference is one pointer, which is counted for us.
        let object = unsafe { self.call(object, ptr::null_mut::<std::ffi::c_void>()) };
        (!object.is_null()).then(|| Reference(object))
    }

    /// Calls a method by Variants.
    ///
    /// # Safety
    ///
    /// The object is valid and of the class of this method.
    pub(super) unsafe fn call_variants(&self, object: Pointer, arguments: &[&Variant]) -> Variant {
        let pointers: Vec<ConstPointer> = arguments.iter().map(|argument| argument.pointer()).collect();
        let mut error = CallError { error: CallError::OK, argument: 0, expected: 0 };
        // SAFETY: the caller's. Godot checks the arguments, and initializes the result.
        unsafe {
            Variant::initialized_by(|result| {
                (api().functions.object_method_bind_call)(
                    self.pointer(),
                    object,
                    pointers.as_ptr(),
                    pointers.len() as i64,
                    result,
                    &raw mut error,
                );
            })
        }
    }

    /// # Safety
    ///
    /// As for `call`. The argument has the type of the only parameter.
    unsafe fn call_with<A, R>(&self, object: Pointer, argument: &A, mut result: R) -> R {
        let argument: ConstPointer = ptr::from_ref(argument).cast();
        // SAFETY: the caller's.
        unsafe {
            (api().functions.object_method_bind_ptrcall)(
                self.pointer(),
                object,
                &raw const argument,
                ptr::from_mut(&mut result).cast(),
            );
        }
        result
    }
}

/// Emits a signal. Runs code of scripts.
///
/// Returns `ERR_UNAVAILABLE` if nothing is connected to it: Godot then has no entry for the signal.
///
/// # Safety
///
/// The object is valid.
unsafe fn emit(object: Pointer, signal: &'static Name, arguments: &[Variant]) -> GodotError {
    let mut pointers = [ptr::null(); 8];
    pointers[0] = signal.variant().pointer();
    for (pointer, argument) in pointers[1..].iter_mut().zip(arguments) {
        *pointer = argument.pointer();
    }
    let mut error = CallError { error: CallError::OK, argument: 0, expected: 0 };
    // SAFETY: the caller's. The method takes any number of Variants, and initializes its result.
    let result = unsafe {
        Variant::initialized_by(|result| {
            (api().functions.object_method_bind_call)(
                EMIT_SIGNAL.pointer(),
                object,
                pointers.as_ptr(),
                1 + arguments.len().min(7) as i64,
                result,
                &raw mut error,
            );
        })
    };
    GodotError::from_number(result.get::<i64>().unwrap_or(0))
}

/// # Safety
///
/// The object is valid.
unsafe fn has_connections(object: Pointer, signal: &'static Name) -> bool {
    let name = signal.string_name();
    // SAFETY: the methods take a StringName; the first returns a bool and the second an array.
    unsafe {
        if api().has_connections {
            return HAS_CONNECTIONS.call_with(object, name, 0_u8) != 0;
        }
        !GET_SIGNAL_CONNECTION_LIST.call_with(object, name, Array::default()).is_empty()
    }
}

/// The object of an instance of one of our classes, until Godot frees it.
pub struct Base {
    object: AtomicPtr<std::ffi::c_void>,
    is_counted: bool,
}

impl Base {
    /// # Safety
    ///
    /// The pointer is to a valid object, which is derived from RefCounted if it is counted, and `clear` is called
    /// when it is freed.
    pub(super) unsafe fn new(object: Pointer, is_counted: bool) -> Self {
        Self { object: AtomicPtr::new(object), is_counted }
    }

    pub(super) fn clear(&self) {
        self.object.store(ptr::null_mut(), Ordering::Release);
    }

    fn pointer(&self) -> Pointer {
        self.object.load(Ordering::Acquire)
    }

    /// Returns a reference that keeps the object alive, or `None` if it was freed or is not derived from
    /// RefCounted.
    pub fn reference(&self) -> Option<Reference> {
        let object = self.pointer();
        if object.is_null() || !self.is_counted {
            return None;
        }
        // SAFETY: the object is valid and derived from RefCounted.
        unsafe { (REFERENCE.call(object, 0_u8) != 0).then(|| Reference(object)) }
    }

    /// Returns whether something is connected to a signal of the object.
    pub fn has_connections(&self, signal: &'static Name) -> bool {
        let object = self.pointer();
        // SAFETY: not null, so the object is valid.
        !object.is_null() && unsafe { has_connections(object, signal) }
    }

    /// Starts or ends the notification `NOTIFICATION_INTERNAL_PROCESS` in each frame. The object is a Node.
    pub fn set_process_internal(&self, enabled: bool) {
        let object = self.pointer();
        if !object.is_null() {
            // SAFETY: the object is valid. The method takes a bool and returns nothing.
            unsafe { SET_PROCESS_INTERNAL.call_with(object, &u8::from(enabled), ()) };
        }
    }

    /// Returns the ID of the object, or 0 if it was freed.
    pub fn instance_id(&self) -> u64 {
        let object = self.pointer();
        // SAFETY: not null, so the object is valid.
        if object.is_null() { 0 } else { unsafe { (api().functions.object_get_instance_id)(object) } }
    }
}

/// Emits a signal of the object with this ID; see [`Reference::emit`]. Returns `ERR_UNAVAILABLE` if there is no
/// such object.
pub fn emit_by_id(id: u64, signal: &'static Name, arguments: &[Variant]) -> GodotError {
    // SAFETY: Godot returns the object if it is valid.
    unsafe {
        let object = (api().functions.object_get_instance_from_id)(id);
        if object.is_null() { GodotError::ERR_UNAVAILABLE } else { emit(object, signal, arguments) }
    }
}

/// Returns whether something is connected to a signal of the object with this ID.
pub fn has_connections_by_id(id: u64, signal: &'static Name) -> bool {
    // SAFETY: as above.
    unsafe {
        let object = (api().functions.object_get_instance_from_id)(id);
        !object.is_null() && has_connections(object, signal)
    }
}

/// A counted reference to an object derived from RefCounted.
pub struct Reference(Pointer);

// SAFETY: Godot counts references atomically, and finds methods without locks.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Reference {
    /// # Safety
    ///
    /// The pointer is null or to a valid object.
    unsafe fn to(object: Pointer) -> Option<Self> {
        if object.is_null() {
            return None;
        }
        // SAFETY: the caller's. The class is checked before the method is called.
        unsafe {
            let counted = (api().functions.object_cast_to)(object, api().refcounted_tag);
            (!counted.is_null() && REFERENCE.call(object, 0_u8) != 0).then(|| Self(object))
        }
    }

    /// Takes over a new object, whose references have not been counted yet.
    ///
    /// # Safety
    ///
    /// The pointer is to such an object, derived from RefCounted.
    pub(super) unsafe fn to_new(object: Pointer) -> Self {
        // SAFETY: the caller's.
        unsafe { INIT_REF.call(object, 0_u8) };
        Self(object)
    }

    pub(super) fn pointer(&self) -> Pointer {
        self.0
    }

    /// Emits a signal. Runs code of scripts, so no lock may be held.
    ///
    /// Returns `ERR_UNAVAILABLE` if nothing is connected to it.
    pub fn emit(&self, signal: &'static Name, arguments: &[Variant]) -> GodotError {
        // SAFETY: the reference keeps the object valid.
        unsafe { emit(self.0, signal, arguments) }
    }

    pub fn is_class(&self, class: &str) -> bool {
        let class = GodotString::new(class);
        // SAFETY: as above. The method takes a string and returns a bool.
        unsafe { IS_CLASS.call_with(self.0, &class, 0_u8) != 0 }
    }

    pub fn class_name(&self) -> String {
        // SAFETY: `get_class` takes nothing and returns a string.
        unsafe { GET_CLASS.call_for_text(self.0) }
    }
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        // SAFETY: the object is valid and derived from RefCounted.
        unsafe { REFERENCE.call(self.0, 0_u8) };
        Self(self.0)
    }
}

impl Drop for Reference {
    /// Frees the object with its last reference, which can run code of scripts.
    fn drop(&mut self) {
        // SAFETY: the object is valid; `unreference` returns whether this was its last reference.
        unsafe {
            if UNREFERENCE.call(self.0, 0_u8) != 0 {
                (api().functions.object_destroy)(self.0);
            }
        }
    }
}

/// The class of an argument or result.
pub trait ObjectClass {
    const NAME: &'static str;
}

/// An object of a class derived from RefCounted, or null.
pub struct Nullable<C> {
    pub object: Option<Reference>,
    class: PhantomData<fn() -> C>,
}

impl<C> From<Option<Reference>> for Nullable<C> {
    fn from(object: Option<Reference>) -> Self {
        Self { object, class: PhantomData }
    }
}

/// An object of any class derived from RefCounted: Godot does not check the class of an argument.
impl<C: ObjectClass> FromGodot for Nullable<C> {
    const PARAMETER: Parameter = Parameter::object(C::NAME);

    unsafe fn from_pointer(pointer: ConstPointer) -> Result<Self, Mismatch> {
        // SAFETY: the caller's: an argument is a pointer to a pointer to an object.
        unsafe {
            let object = if pointer.is_null() { ptr::null_mut() } else { *pointer.cast::<Pointer>() };
            let reference = Reference::to(object);
            if !object.is_null() && reference.is_none() {
                return Err(Mismatch);
            }
            Ok(reference.into())
        }
    }

    unsafe fn from_variant(variant: ConstPointer) -> Result<Self, Mismatch> {
        let api = api();
        // SAFETY: the caller's.
        unsafe {
            if (api.functions.variant_get_type)(variant) != VariantType::Object as u32 {
                return Ok(None.into());
            }
            if let Some(id_of) = api.optional.variant_get_object_instance_id
                && (api.functions.object_get_instance_from_id)(id_of(variant)).is_null()
            {
                return Ok(None.into());
            }
            let mut object: Pointer = ptr::null_mut();
            (api.object.from_variant)(ptr::from_mut(&mut object).cast(), variant.cast_mut());
            Self::from_pointer(ptr::from_ref(&object).cast())
        }
    }
}

impl<C: ObjectClass> ToGodot for Nullable<C> {
    const PARAMETER: Option<Parameter> = Some(Parameter::object(C::NAME));

    unsafe fn into_pointer(self, result: Pointer) {
        let object = self.object.as_ref().map_or(ptr::null_mut(), Reference::pointer);
        // SAFETY: the caller's: the result is a reference of Godot, which counts itself.
        unsafe { (api().functions.ref_set_object)(result, object) }
    }

    unsafe fn into_variant(self, uninitialized: Pointer) {
        let mut object = self.object.as_ref().map_or(ptr::null_mut(), Reference::pointer);
        // SAFETY: the caller's. The Variant counts its own reference.
        unsafe { (api().object.to_variant)(uninitialized, ptr::from_mut(&mut object).cast()) }
    }
}
