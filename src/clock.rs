//! The monotonic clock and the time of day.
//!
//! In browsers the clocks of the standard library cannot be used: the layout of `timespec` is not the same in all
//! versions of emscripten.

use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

// The function of JavaScript is not part of the C header.
/// cbindgen:ignore
#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod browser;
#[cfg(target_family = "wasm")]
use browser as source;
#[cfg(not(target_family = "wasm"))]
mod system;
#[cfg(not(target_family = "wasm"))]
use system as source;

pub use source::unix_time;

/// Where the clock starts, so that earlier times exist.
const START: u64 = 1 << 62;

/// A time of the monotonic clock. Of half the size of the standard library's, as each connection stores several, and
/// without overflow: a sum beyond the year 2400 is the last time there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    #[inline]
    pub fn now() -> Self {
        Self::of(START.saturating_add(nanoseconds(source::monotonic())))
    }

    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }

    /// The duration since an earlier time, and zero since a later one.
    #[inline]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    fn of(nanoseconds: u64) -> Self {
        Self(NonZeroU64::new(nanoseconds).unwrap_or(NonZeroU64::MIN))
    }
}

/// At most `u64::MAX`, without arithmetic of 128 bits.
#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into())
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self::of(self.0.get().saturating_add(nanoseconds(duration)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self::of(self.0.get().saturating_sub(nanoseconds(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Returns the earlier of two deadlines.
#[inline]
pub fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let now = Instant::now();
        assert_eq!((now + Duration::from_millis(5)) - now, Duration::from_millis(5));
        assert_eq!(now - (now + Duration::from_millis(5)), Duration::ZERO);
        assert!(now - Duration::from_secs(3600) < now);
        assert_eq!(now + Duration::MAX, now + Duration::MAX + Duration::from_secs(1));
        assert!(now - Duration::MAX < now && now < now + Duration::MAX);
    }

    #[test]
    fn option_is_as_large() {
        assert_eq!(size_of::<Option<Instant>>(), 8);
    }
}
