//! The monotonic clock and the time of day, for the modules that also run in browsers.
//!
//! There, the clocks of the standard library cannot be used: the layout of `timespec` is not the same in all
//! versions of emscripten.

// The function of JavaScript is not part of the C header.
/// cbindgen:ignore
#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod browser;
#[cfg(target_family = "wasm")]
pub use browser::{Instant, unix_time};

#[cfg(not(target_family = "wasm"))]
mod system;
#[cfg(not(target_family = "wasm"))]
pub use system::{Instant, unix_time};

/// Returns the earlier of two deadlines.
#[inline]
pub fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
