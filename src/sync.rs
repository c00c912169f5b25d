//! Locks, atomics and the statics made of them, for the rooms that hand things between threads.
//!
//! They are the standard library's. Tests built with `--cfg shuttle` get shuttle's in their place,
//! which try out in which order threads may come to run; see `models`.

#[cfg(not(all(test, shuttle)))]
pub use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(all(test, shuttle))]
pub use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};

/// Statics that the models can use: there each run has its own, as if the process had just begun.
#[cfg(not(all(test, shuttle)))]
macro_rules! statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$attribute])* static $name: $type = $value;)+
    };
}

#[cfg(all(test, shuttle))]
macro_rules! statics {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)+) => {
        $(shuttle::lazy_static! {
            // Shuttle would drop it after the run, which no static is.
            $(#[$attribute])*
            static ref $name: std::mem::ManuallyDrop<$type> = std::mem::ManuallyDrop::new($value);
        })+
    };
}

pub(crate) use statics;
