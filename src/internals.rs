//! The library's modules, for its own tests, benchmarks, fuzz targets and command line.
//!
//! Not part of the API: anything in here may change in any release.

macro_rules! reexport {
    ($($(#[$cfg:meta])* $module:ident),+ $(,)?) => {
        $($(#[$cfg])* pub mod $module { pub use crate::$module::*; })+
    };
}

reexport! {
    buffer,
    clock,
    #[cfg(framewire_faults)]
    fault,
    #[cfg(feature = "capi")]
    ffi,
    limits,
    session,
    wire,
}

/// The certificate authorities that Java names on Android, for `tests/java.rs`.
#[cfg(feature = "tls")]
pub use crate::net::tls::java_authorities;
