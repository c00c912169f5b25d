//! Methods that scripts call: a function in Rust, its name, arguments and documentation.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use super::interface::{CallError, ConstPointer, MethodCall, MethodPtrCall, Pointer, api};
use super::print;
use super::value::{FromGodot, Mismatch, Parameter, ToGodot};
use super::variant::{self, Variant};

pub struct Argument {
    pub name: &'static str,
    /// The value if it is left out.
    pub preset: Option<Preset>,
}

/// The default value of an argument.
#[derive(Clone, Copy)]
pub enum Preset {
    Bool(bool),
    Int(i64),
    Text(&'static str),
    EmptyBytes,
    EmptyDictionary,
    Null,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    None,
    /// The method changes nothing that scripts can see.
    Const,
    /// As `Const`, and it does not call Godot, so its instance cannot be freed during the call.
    Reader,
    Normal,
}

/// A method of a class.
pub struct Method {
    pub name: &'static str,
    pub doc: &'static str,
    pub receiver: Receiver,
    pub arguments: &'static [Argument],
    pub parameters: &'static [Parameter],
    pub result: Option<Parameter>,
    pub(super) call: MethodCall,
    pub(super) ptrcall: MethodPtrCall,
}

impl Method {
    pub const fn new<F: Function<M>, M>(
        name: &'static str,
        receiver: Receiver,
        function: F,
        arguments: &'static [Argument],
        doc: &'static str,
    ) -> Self {
        // The function itself has no size: it is known by its type.
        let _ = function;
        assert!(arguments.len() == F::PARAMETERS.len(), "the names of arguments do not match the function");
        Self {
            name,
            doc,
            receiver,
            arguments,
            parameters: F::PARAMETERS,
            result: <F::Result as ToGodot>::PARAMETER,
            call: call::<F, M>,
            ptrcall: if matches!(receiver, Receiver::Reader) { read::<F, M> } else { ptrcall::<F, M> },
        }
    }
}

impl Preset {
    pub fn to_variant(self) -> Variant {
        match self {
            Self::Bool(value) => Variant::new(value),
            Self::Int(value) => Variant::new(value),
            Self::Text(value) => Variant::new(value),
            Self::EmptyBytes => Variant::new(super::packed::PackedByteArray::default()),
            Self::EmptyDictionary => Variant::new(super::collections::Dictionary::default()),
            Self::Null => Variant::null_object(),
        }
    }

    /// Returns the value as class documentation shows it.
    pub fn text(self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Text(value) => format!("\"{value}\""),
            Self::EmptyBytes => "PackedByteArray()".into(),
            Self::EmptyDictionary => "{}".into(),
            Self::Null => "null".into(),
        }
    }
}

/// Where the arguments of a call come from.
pub trait Source {
    fn get<T: FromGodot>(&self, index: usize) -> Result<T, Mismatch>;
}

/// Arguments by pointers. Invariant: as many as the function has parameters, of their types.
struct Pointers(*const ConstPointer);

impl Source for Pointers {
    fn get<T: FromGodot>(&self, index: usize) -> Result<T, Mismatch> {
        // SAFETY: the invariant.
        unsafe { T::from_pointer(*self.0.add(index)) }
    }
}

/// Arguments by Variants, of any type. Invariant: `count` of them, and presets for those left out.
struct Variants<'a> {
    pointers: *const ConstPointer,
    count: usize,
    arguments: &'a [Argument],
}

impl Source for Variants<'_> {
    fn get<T: FromGodot>(&self, index: usize) -> Result<T, Mismatch> {
        if index < self.count {
            // SAFETY: the invariant.
            return unsafe { variant::read(*self.pointers.add(index)) };
        }
        let preset = self.arguments.get(index).and_then(|argument| argument.preset).ok_or(Mismatch)?;
        preset.to_variant().get()
    }
}

/// An argument of another type: its index.
pub struct WrongArgument(usize);

/// A function or closure without captures that can be a method. `M` tells its kinds of signatures apart.
pub trait Function<M>: Copy + 'static {
    type Instance: Send + Sync + 'static;
    type Result: ToGodot;
    const PARAMETERS: &'static [Parameter];

    fn invoke(
        self,
        instance: Option<&Self::Instance>,
        arguments: &impl Source,
    ) -> Result<Self::Result, WrongArgument>;
}

/// A static method.
pub struct Free;
/// A method of an instance, which stays alive during the call.
pub struct Bound<T, A>(std::marker::PhantomData<(T, A)>);

impl<F: Fn() -> R + Copy + 'static, R: ToGodot> Function<(Free, R)> for F {
    type Instance = ();
    type Result = R;
    const PARAMETERS: &'static [Parameter] = &[];

    fn invoke(self, _: Option<&()>, _: &impl Source) -> Result<R, WrongArgument> {
        Ok(self())
    }
}

/// A function with arguments that can be a static method. The type tells it apart from one of an instance.
#[derive(Clone, Copy)]
pub struct Static<F>(pub F);

macro_rules! static_functions {
    ($($argument:ident $index:literal),+) => {
        impl<F, R, $($argument),+> Function<(Free, ($($argument,)+), R)> for Static<F>
        where
            F: Fn($($argument),+) -> R + Copy + 'static,
            R: ToGodot,
            $($argument: FromGodot),+
        {
            type Instance = ();
            type Result = R;
            const PARAMETERS: &'static [Parameter] = &[$($argument::PARAMETER),+];

            fn invoke(self, _: Option<&()>, arguments: &impl Source) -> Result<R, WrongArgument> {
                Ok((self.0)($(arguments.get::<$argument>($index).map_err(|_| WrongArgument($index))?),+))
            }
        }
    };
}

static_functions!(A 0);
static_functions!(A 0, B 1, C 2);

macro_rules! functions {
    ($($argument:ident $index:literal),*) => {
        impl<T, F, R, $($argument),*> Function<(Bound<T, ($($argument,)*)>, R)> for F
        where
            T: Send + Sync + 'static,
            F: Fn(&T, $($argument),*) -> R + Copy + 'static,
            R: ToGodot,
            $($argument: FromGodot),*
        {
            type Instance = T;
            type Result = R;
            const PARAMETERS: &'static [Parameter] = &[$($argument::PARAMETER),*];

            fn invoke(
                self,
                instance: Option<&T>,
                _arguments: &impl Source,
            ) -> Result<R, WrongArgument> {
                let instance = instance.expect("a method that is not static has an instance");
                Ok(self(instance, $(_arguments.get::<$argument>($index).map_err(|_| WrongArgument($index))?),*))
            }
        }
    };
}

functions!();
functions!(A 0);
functions!(A 0, B 1);

/// Creates a function from its type.
fn function<F: Copy>() -> F {
    const { assert!(size_of::<F>() == 0, "the closure captures something") };
    // SAFETY: a value without size has no bytes to initialize, and `F` has a value: `Method::new` got one.
    unsafe { NonNull::<F>::dangling().read() }
}

/// Calls `f` with the instance, which stays alive meanwhile, even if `f` makes Godot free its object.
///
/// # Safety
///
/// The pointer is null or was returned by `class::create` for this type, and no other thread frees the object
/// during the call: Godot's rule for every method.
pub(super) unsafe fn with_instance<T, R>(instance: Pointer, f: impl FnOnce(Option<&T>) -> R) -> R {
    CALLS.with(|calls| {
        let _call = calls.enter();
        // SAFETY: the caller's. `class::free` gives its reference to `keep_during_calls`.
        f(unsafe { instance.cast::<T>().as_ref() })
    })
}

/// The calls of this thread in which instances are used. It is cheaper to count them than the references to each
/// instance, and nearly every call of a script is short.
struct Calls {
    depth: Cell<usize>,
    /// Instances freed during a call: a `Box<Vec<Box<dyn Any>>>`. A type without a destructor, because the
    /// library could not be unloaded while a thread has one to run.
    freed: Cell<*mut Vec<Box<dyn Any>>>,
}

thread_local! {
    static CALLS: Calls = const { Calls { depth: Cell::new(0), freed: Cell::new(ptr::null_mut()) } };
}

struct Call<'a>(&'a Calls);

impl Calls {
    fn enter(&self) -> Call<'_> {
        self.depth.set(self.depth.get() + 1);
        Call(self)
    }

    #[cold]
    fn drop_freed(freed: *mut Vec<Box<dyn Any>>) {
        // SAFETY: from `Box::into_raw` in `keep_during_calls`, and taken out of the cell.
        drop(unsafe { Box::from_raw(freed) });
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let depth = self.0.depth.get() - 1;
        self.0.depth.set(depth);
        if depth == 0 && !self.0.freed.get().is_null() {
            Calls::drop_freed(self.0.freed.replace(ptr::null_mut()));
        }
    }
}

/// Drops an instance after the calls of this thread.
pub(super) fn keep_during_calls(instance: Box<dyn Any>) {
    CALLS.with(|calls| {
        if calls.depth.get() == 0 {
            drop(instance);
            return;
        }
        if calls.freed.get().is_null() {
            calls.freed.set(Box::into_raw(Box::default()));
        }
        // SAFETY: not null, and no other reference to the list exists.
        unsafe { (*calls.freed.get()).push(instance) };
    });
}

/// Runs code that Godot calls. A panic is printed and returns `None`: it may not unwind into Godot.
pub(super) fn guard<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            // Printing cannot be allowed to unwind either.
            let _ = catch_unwind(|| print::error(&format!("Framewire: panic: {text}")));
            None
        }
    }
}

/// Godot calls a method by pointers: of as many arguments as it has, of its types.
pub(super) unsafe extern "C" fn ptrcall<F: Function<M>, M>(
    _: Pointer,
    instance: Pointer,
    arguments: *const ConstPointer,
    result: Pointer,
) {
    guard(|| {
        // SAFETY: Godot passes an instance of the class, arguments and a result of the method's types.
        unsafe {
            with_instance::<F::Instance, _>(instance, |instance| {
                match function::<F>().invoke(instance, &Pointers(arguments)) {
                    Ok(value) => value.into_pointer(result),
                    Err(WrongArgument(index)) => print::error(&format!("argument {index} has another type")),
                }
            });
        }
    });
}

/// As `ptrcall`, for a method that does not call Godot.
unsafe extern "C" fn read<F: Function<M>, M>(
    _: Pointer,
    instance: Pointer,
    arguments: *const ConstPointer,
    result: Pointer,
) {
    guard(|| {
        // SAFETY: as for `ptrcall`. Nothing frees the instance: the method runs no code but its own.
        unsafe {
            let instance = instance.cast::<F::Instance>().as_ref();
            if let Ok(value) = function::<F>().invoke(instance, &Pointers(arguments)) {
                value.into_pointer(result);
            }
        }
    });
}

/// Godot calls a method by Variants. Their number and types are checked here.
unsafe extern "C" fn call<F: Function<M>, M>(
    method: Pointer,
    instance: Pointer,
    arguments: *const ConstPointer,
    count: i64,
    result: Pointer,
    error: *mut CallError,
) {
    guard(|| {
        // SAFETY: the pointer is from the registration of the method.
        let method = unsafe { &*method.cast::<Method>() };
        let refuse = |kind, argument: usize, expected: u32| {
            // SAFETY: Godot passes a place for the error.
            unsafe {
                *error = CallError { error: kind, argument: argument as i32, expected: expected as i32 };
            }
        };
        let parameters = method.arguments.len();
        let required = method.arguments.iter().take_while(|argument| argument.preset.is_none()).count();
        let count = usize::try_from(count).unwrap_or(0);
        if count > parameters {
            return refuse(CallError::TOO_MANY_ARGUMENTS, 0, parameters as u32);
        }
        if count < required {
            return refuse(CallError::TOO_FEW_ARGUMENTS, 0, required as u32);
        }
        if instance.is_null() && method.receiver != Receiver::None {
            return refuse(CallError::INSTANCE_IS_NULL, 0, 0);
        }
        // SAFETY: Godot passes an instance of the class, that many Variants, and an initialized Variant.
        unsafe {
            let source = Variants { pointers: arguments, count, arguments: method.arguments };
            with_instance::<F::Instance, _>(instance, |instance| {
                match function::<F>().invoke(instance, &source) {
                    Ok(value) => {
                        (api().functions.variant_destroy)(result);
                        value.into_variant(result);
                        refuse(CallError::OK, 0, 0);
                    }
                    Err(WrongArgument(index)) => {
                        let wanted = method.parameters[index].variant_type;
                        refuse(CallError::INVALID_ARGUMENT, index, wanted as u32);
                    }
                }
            });
        }
    });
}
