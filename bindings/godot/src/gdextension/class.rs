//! Registers classes with their members, and creates and frees their instances.

use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use super::interface::{self, ClassInfo, ConstPointer, MethodInfo, Pointer, PropertyInfo, VirtualCall, api};
use super::method::{Function, Method, Receiver, guard, keep_during_calls, ptrcall, with_instance};
use super::object::{Base, Reference};
use super::packed::PackedByteArray;
use super::string::{GodotString, Name, StringName};
use super::value::{GodotError, Parameter, ToGodot};
use super::variant::{Variant, VariantType};

/// A class that scripts can use. Its instances can be used from any thread.
pub trait Class: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    /// The class of the engine from which it is derived.
    const PARENT: &'static str;
    /// Whether it does nothing in the editor.
    const IS_RUNTIME: bool;
    /// Whether it is derived from RefCounted.
    const IS_COUNTED: bool = true;
    const MEMBERS: &'static Members;
    /// Whether the class handles notifications.
    const IS_NOTIFIED: bool = false;

    fn new(base: Base) -> Self;
    fn base(&self) -> &Base;

    /// Handles a notification, a `NOTIFICATION_*` constant of Godot.
    fn notification(&self, _what: i32) {}
}

/// Everything that a class declares.
pub struct Members {
    pub doc: &'static str,
    pub methods: &'static [&'static [Method]],
    pub virtuals: &'static [Virtual],
    pub properties: &'static [&'static [Property]],
    pub signals: &'static [Signal],
    pub constants: &'static [Constant],
}

/// A property, and the names of its accessors.
pub struct Property {
    pub name: &'static str,
    pub doc: &'static str,
    pub parameter: Parameter,
    pub getter: &'static str,
    /// Empty for a property that scripts cannot assign.
    pub setter: &'static str,
}

pub struct Signal {
    pub name: &'static Name,
    pub doc: &'static str,
    pub arguments: &'static [(&'static str, VariantType)],
}

pub struct Constant {
    pub name: &'static str,
    pub value: i64,
    pub doc: &'static str,
}

/// A method that the engine calls, such as `_process`.
pub struct Virtual {
    name: &'static str,
    call: VirtualCall,
}

impl Virtual {
    pub const fn new<F: Function<M>, M>(name: &'static str, function: F) -> Self {
        let _ = function;
        Self { name, call: call_virtual::<F, M> }
    }
}

unsafe extern "C" fn call_virtual<F: Function<M>, M>(
    instance: Pointer,
    arguments: *const ConstPointer,
    result: Pointer,
) {
    // SAFETY: the engine passes an instance of the class, and arguments and result of the method's types.
    unsafe { ptrcall::<F, M>(ptr::null_mut(), instance, arguments, result) }
}

/// A class with the methods `_get_packet` and `_put_packet`, which take pointers.
pub trait PacketPeer: Class {
    fn put_packet(&self, packet: &[u8]) -> GodotError;
    fn get_packet(&self) -> Result<PackedByteArray, GodotError>;
    fn current_packet(&self) -> &CurrentPacket;
}

/// The packet that the engine reads, until it gets the next one.
#[derive(Default)]
pub struct CurrentPacket(Mutex<PackedByteArray>);

impl Virtual {
    pub const fn put_packet<T: PacketPeer>() -> Self {
        Self { name: "_put_packet", call: put_packet::<T> }
    }

    pub const fn get_packet<T: PacketPeer>() -> Self {
        Self { name: "_get_packet", call: get_packet::<T> }
    }
}

unsafe extern "C" fn put_packet<T: PacketPeer>(
    instance: Pointer,
    arguments: *const ConstPointer,
    result: Pointer,
) {
    guard(|| {
        // SAFETY: the engine passes an instance of the class, a pointer to the bytes and their number.
        unsafe {
            let bytes = *(*arguments).cast::<*const u8>();
            let length = usize::try_from(*(*arguments.add(1)).cast::<i64>()).unwrap_or(0);
            let packet = if length == 0 { &[] } else { std::slice::from_raw_parts(bytes, length) };
            with_instance::<T, _>(instance, |peer| {
                peer.map_or(GodotError::ERR_BUG, |peer| peer.put_packet(packet)).into_pointer(result);
            });
        }
    });
}

unsafe extern "C" fn get_packet<T: PacketPeer>(
    instance: Pointer,
    arguments: *const ConstPointer,
    result: Pointer,
) {
    guard(|| {
        // SAFETY: the engine passes an instance of the class, and where to write the pointer and the length. It reads
        // the bytes before the next call, which replaces them.
        unsafe {
            let bytes = *(*arguments).cast::<*mut *const u8>();
            let length = *(*arguments.add(1)).cast::<*mut i32>();
            with_instance::<T, _>(instance, |peer| {
                let Some(peer) = peer else { return };
                let (packet, error) = match peer.get_packet() {
                    Ok(packet) => (packet, GodotError::OK),
                    Err(error) => (PackedByteArray::default(), error),
                };
                let mut current = peer.current_packet().0.lock().unwrap_or_else(PoisonError::into_inner);
                *current = packet;
                let packet = current.as_slice();
                *bytes = packet.as_ptr();
                *length = i32::try_from(packet.len()).unwrap_or(0);
                error.into_pointer(result);
            });
        }
    });
}

const USAGE_DEFAULT: u32 = 6;
const USAGE_NONE: u32 = 0;
const USAGE_CLASS_IS_ENUM: u32 = 1 << 16;
const USAGE_NIL_IS_VARIANT: u32 = 1 << 17;
const METHOD_NORMAL: u32 = 1;
const METHOD_CONST: u32 = 4;
const METHOD_STATIC: u32 = 32;

/// The strings of a [`PropertyInfo`], which Godot copies.
struct Info {
    name: StringName,
    class: StringName,
    hint: GodotString,
    parameter: Parameter,
    usage: u32,
}

impl Info {
    fn new(name: &str, parameter: Parameter, usage: u32) -> Self {
        let kind = match parameter.variant_type {
            VariantType::Nil => USAGE_NIL_IS_VARIANT,
            _ if parameter.is_enum => USAGE_CLASS_IS_ENUM,
            _ => 0,
        };
        Self {
            name: StringName::new(name),
            class: StringName::new(parameter.class),
            hint: GodotString::default(),
            parameter,
            usage: usage | kind,
        }
    }

    fn raw(&self) -> PropertyInfo {
        PropertyInfo {
            variant_type: self.parameter.variant_type as u32,
            name: self.name.pointer(),
            class_name: self.class.pointer(),
            hint: 0,
            hint_string: self.hint.pointer(),
            usage: self.usage,
        }
    }
}

/// Registers a class with all its members.
pub fn register<T: Class>() {
    let api = api();
    let (class, parent) = (StringName::new(T::NAME), StringName::new(T::PARENT));
    let info = ClassInfo {
        is_virtual: 0,
        is_abstract: 0,
        is_exposed: 1,
        is_runtime: T::IS_RUNTIME.into(),
        properties: [None; 7],
        notification: T::IS_NOTIFIED.then_some(notification::<T>),
        to_string: None,
        reference: None,
        unreference: None,
        create: create::<T>,
        free: free::<T>,
        recreate: recreate::<T>,
        get_virtual: get_virtual::<T>,
        virtual_call_data: None,
        call_virtual_with_data: None,
        get_rid: None,
        userdata: ptr::null_mut(),
    };
    // SAFETY: the functions belong to this class; Godot copies the structure.
    unsafe {
        (api.functions.classdb_register_extension_class3)(
            api.library,
            class.pointer(),
            parent.pointer(),
            &raw const info,
        );
    }
    let members = T::MEMBERS;
    for method in members.methods.iter().copied().flatten() {
        register_method(&class, method);
    }
    for property in members.properties.iter().copied().flatten() {
        register_property(&class, property);
    }
    for signal in members.signals {
        register_signal(&class, signal);
    }
    let no_enum = StringName::default();
    for constant in members.constants {
        let name = StringName::new(constant.name);
        // SAFETY: the names are valid.
        unsafe {
            (api.functions.classdb_register_extension_class_integer_constant)(
                api.library,
                class.pointer(),
                no_enum.pointer(),
                name.pointer(),
                constant.value,
                0,
            );
        }
    }
}

pub fn unregister<T: Class>() {
    let class = StringName::new(T::NAME);
    // SAFETY: the name is valid.
    unsafe { (api().functions.classdb_unregister_extension_class)(api().library, class.pointer()) }
}

fn register_method(class: &StringName, method: &'static Method) {
    let name = StringName::new(method.name);
    let arguments: Vec<Info> = method
        .arguments
        .iter()
        .zip(method.parameters)
        .map(|(argument, parameter)| Info::new(argument.name, *parameter, USAGE_DEFAULT))
        .collect();
    let mut argument_infos: Vec<PropertyInfo> = arguments.iter().map(Info::raw).collect();
    let mut metadata = vec![0_u32; arguments.len()];
    let mut defaults: Vec<Variant> = method
        .arguments
        .iter()
        .filter_map(|argument| argument.preset)
        .map(super::method::Preset::to_variant)
        .collect();
    let mut default_pointers: Vec<Pointer> = defaults.iter_mut().map(Variant::pointer_mut).collect();
    let result = method.result.map(|parameter| Info::new("", parameter, USAGE_DEFAULT));
    let mut result_info = result.as_ref().map(Info::raw);
    let info = MethodInfo {
        name: name.pointer(),
        userdata: ptr::from_ref(method).cast_mut().cast(),
        call: method.call,
        ptrcall: method.ptrcall,
        flags: METHOD_NORMAL
            | match method.receiver {
                Receiver::None => METHOD_STATIC,
                Receiver::Const | Receiver::Reader => METHOD_CONST,
                Receiver::Normal => 0,
            },
        has_result: result_info.is_some().into(),
        result: result_info.as_mut().map_or(ptr::null_mut(), ptr::from_mut),
        result_metadata: 0,
        argument_count: argument_infos.len() as u32,
        arguments: argument_infos.as_mut_ptr(),
        arguments_metadata: metadata.as_mut_ptr(),
        default_count: default_pointers.len() as u32,
        defaults: default_pointers.as_mut_ptr(),
    };
    // SAFETY: Godot copies the structure and everything that it refers to, except the method, which is static.
    unsafe {
        (api().functions.classdb_register_extension_class_method)(
            api().library,
            class.pointer(),
            &raw const info,
        );
    }
}

fn register_property(class: &StringName, property: &Property) {
    // An object has no state to save.
    let is_saved = property.parameter.variant_type != VariantType::Object;
    let usage = if is_saved { USAGE_DEFAULT } else { USAGE_NONE };
    let info = Info::new(property.name, property.parameter, usage);
    let (setter, getter) = (StringName::new(property.setter), StringName::new(property.getter));
    let raw = info.raw();
    // SAFETY: Godot copies the structure and the names.
    unsafe {
        (api().functions.classdb_register_extension_class_property)(
            api().library,
            class.pointer(),
            &raw const raw,
            setter.pointer(),
            getter.pointer(),
        );
    }
}

fn register_signal(class: &StringName, signal: &Signal) {
    let name = StringName::new(signal.name.text());
    let arguments: Vec<Info> = signal
        .arguments
        .iter()
        .map(|(name, variant_type)| Info::new(name, Parameter::of(*variant_type), USAGE_DEFAULT))
        .collect();
    let infos: Vec<PropertyInfo> = arguments.iter().map(Info::raw).collect();
    // SAFETY: Godot copies the structures and the names.
    unsafe {
        (api().functions.classdb_register_extension_class_signal)(
            api().library,
            class.pointer(),
            name.pointer(),
            infos.as_ptr(),
            infos.len() as i64,
        );
    }
}

/// # Safety
///
/// The object is valid, and derived from the parent of the class.
unsafe fn base_of<T: Class>(object: Pointer) -> Base {
    // SAFETY: the caller's. `free` clears it.
    unsafe { Base::new(object, T::IS_COUNTED) }
}

/// Creates an object and its instance. The references of the object are not counted yet.
fn create_object<T: Class>() -> (Pointer, Arc<T>) {
    let (class, parent) = (StringName::new(T::NAME), StringName::new(T::PARENT));
    // SAFETY: the names are of a class of the engine and of this class. The instance is freed by `free`.
    unsafe {
        let object = (api().functions.classdb_construct_object)(parent.pointer());
        let instance = Arc::new(T::new(base_of::<T>(object)));
        let pointer = Arc::into_raw(instance.clone()).cast_mut().cast();
        (api().functions.object_set_instance)(object, class.pointer(), pointer);
        (object, instance)
    }
}

/// Creates an object of a class derived from RefCounted.
pub fn create_counted<T: Class>() -> (Reference, Arc<T>) {
    let (object, instance) = create_object::<T>();
    // SAFETY: the object is new.
    (unsafe { Reference::to_new(object) }, instance)
}

unsafe extern "C" fn create<T: Class>(_: Pointer) -> Pointer {
    guard(|| create_object::<T>().0).unwrap_or(ptr::null_mut())
}

/// Creates a new instance for an object that remains, after the library was loaded again.
unsafe extern "C" fn recreate<T: Class>(_: Pointer, object: Pointer) -> Pointer {
    // SAFETY: Godot passes an object of this class.
    let instance =
        guard(|| Arc::into_raw(Arc::new(T::new(unsafe { base_of::<T>(object) }))).cast_mut().cast());
    instance.unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn free<T: Class>(_: Pointer, instance: Pointer) {
    if instance.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: from `create` or `recreate`, and not used by Godot any more.
        let instance = unsafe { Arc::from_raw(instance.cast::<T>()) };
        instance.base().clear();
        keep_during_calls(Box::new(instance));
    });
}

unsafe extern "C" fn notification<T: Class>(instance: Pointer, what: i32, _reversed: u8) {
    // SAFETY: Godot passes an instance of the class, or NULL while it creates or frees one.
    if let Some(instance) = unsafe { instance.cast::<T>().as_ref() } {
        guard(|| instance.notification(what));
    }
}

unsafe extern "C" fn get_virtual<T: Class>(_: Pointer, name: ConstPointer) -> Option<VirtualCall> {
    guard(|| {
        let found = T::MEMBERS.virtuals.iter().find(|candidate| {
            // SAFETY: Godot passes a name.
            unsafe { StringName::new(candidate.name).is(name) }
        });
        found.map(|found| found.call)
    })
    .flatten()
}

/// Gives the editor the documentation of a class, if this Godot is an editor.
pub fn load_docs(xml: &str) {
    if let Some(load) = interface::api().optional.editor_help_load_xml_from_utf8_chars_and_len {
        // SAFETY: Godot reads that many bytes.
        unsafe { load(xml.as_ptr().cast(), xml.len() as i64) }
    }
}
