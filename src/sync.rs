//! Locks, atomics and statics for the modules that several threads use.
//!
//! They are the standard library's. Tests built with `--cfg shuttle` or `--cfg framewire_loom` get those
//! of shuttle or loom in their place, which try out in which order threads may come to run; see `models`.

#[cfg(not(all(test, any(shuttle, framewire_loom))))]
pub use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(all(test, framewire_loom))]
pub use loom::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(all(test, shuttle))]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};

/// Locks a mutex, also a poisoned one: what these locks protect is consistent between any two statements, and
/// a connection whose turn panicked is ended by its worker.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Statics that the models can use: there each run has its own, as if the process had just begun.
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
            // They would drop it after the run, which no static is.
            $(#[$attribute])*
            static ref $name: std::mem::ManuallyDrop<$type> = std::mem::ManuallyDrop::new($value);
        })+
    };
}

/// A constructor for statics. Loom's locks are made anew for each run, and cannot be constant.
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

/// Several of one kind in a static.
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
