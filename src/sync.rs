//! Locks, atomics and statics for modules that share data between threads.
//!
//! They are those of the standard library. Tests built with `--cfg shuttle` or `--cfg framewire_loom` use
//! those of shuttle or loom instead, which explore thread interleavings; see `models`. In browsers, where there are
//! no threads, they are our own.

#[cfg(all(not(target_family = "wasm"), not(all(test, any(shuttle, framewire_loom)))))]
pub use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(target_family = "wasm")]
mod browser;
#[cfg(target_family = "wasm")]
pub use self::browser::{Condvar, Mutex, MutexGuard};
#[cfg(target_family = "wasm")]
pub use std::sync::atomic;

#[cfg(all(test, framewire_loom))]
pub use loom::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(all(test, shuttle))]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};

/// Locks a mutex, also a poisoned one: what these locks protect is consistent between any two statements, and
/// a connection whose turn panicked is ended by its worker.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Declares statics. In the models, each run has its own set.
#[cfg(not(all(test, any(shuttle, framewire_loom))))]
macro_rules! statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$attribute])* static $name: $type = $value;)+
    };
}

#[cfg(all(test, framewire_loom))]
pub(crate) use loom::lazy_static;
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::lazy_static;

#[cfg(all(test, any(shuttle, framewire_loom)))]
macro_rules! statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)+) => {
        $($crate::sync::lazy_static! {
            // The checkers would drop it after the run, but statics are never dropped.
            $(#[$attribute])*
            static ref $name: std::mem::ManuallyDrop<$type> = std::mem::ManuallyDrop::new($value);
        })+
    };
}

/// Declares a constructor for statics: `const`, except with loom, whose locks are not `const`.
#[cfg(not(all(test, framewire_loom)))]
macro_rules! const_fn {
    ($visible:vis fn $name:ident() -> $type:ty $body:block) => {
        $visible const fn $name() -> $type $body
    };
}

#[cfg(all(test, framewire_loom))]
macro_rules! const_fn {
    ($visible:vis fn $name:ident() -> $type:ty $body:block) => {
        $visible fn $name() -> $type $body
    };
}

/// Creates an array of values in a static.
#[cfg(not(all(test, framewire_loom)))]
macro_rules! array {
    ($value:expr; $count:expr) => {
        [const { $value }; $count]
    };
}

#[cfg(all(test, framewire_loom))]
macro_rules! array {
    ($value:expr; $count:expr) => {
        [(); $count].map(|()| $value)
    };
}

pub(crate) use {array, const_fn, statics};
