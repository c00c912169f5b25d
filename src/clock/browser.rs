//! The clocks of the browser.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

unsafe extern "C" {
    /// Of `framewire.jslib`. Writes microseconds, the lower 32 bits first.
    fn fwjs_clock(is_time_of_day: u32, out: *mut [u32; 2]);
}

/// A time of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Self(read(false))
    }

    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// The time since 1970.
pub fn unix_time() -> Duration {
    read(true)
}

fn read(is_time_of_day: bool) -> Duration {
    let mut halves = [0; 2];
    // SAFETY: JavaScript writes two numbers to the pointer, until the call returns.
    unsafe { fwjs_clock(is_time_of_day.into(), &mut halves) };
    Duration::from_micros(u64::from(halves[1]) << 32 | u64::from(halves[0]))
}
