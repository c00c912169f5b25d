//! The clocks of the browser.

use std::time::Duration;

unsafe extern "C" {
    /// Of `framewire.jslib`. Writes microseconds, the lower 32 bits first.
    fn fwjs_clock(is_time_of_day: u32, out: *mut [u32; 2]);
}

/// The time since the page was loaded.
pub fn monotonic() -> Duration {
    read(false)
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
