//! Retry policy after a failed or lost connection: exponential backoff with full jitter.
//!
//! The nth consecutive retry waits for a random time between the minimum delay and the minimum delay times
//! 2^n, so that clients that were disconnected together do not reconnect together.

use std::time::Duration;

use crate::error::{CallError, Error};
use crate::limits::{self, MAX_RETRY_AFTER};

/// Settings for reconnecting with exponential backoff and jitter.
///
/// The delay before the nth consecutive retry is random between `min_delay` and `min_delay` * 2^n, at most
/// `max_delay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The shortest delay before a retry (default 250 ms, at least 1 ms).
    pub min_delay: Duration,
    /// The longest delay before a retry (default 30 s).
    pub max_delay: Duration,
    /// The maximum number of consecutive retries, 0 for no limit (the default).
    pub max_attempts: u32,
    /// Queues messages that are sent while the socket connects or reconnects, instead of failing the send.
    pub queue_sends: bool,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            min_delay: limits::RECONNECT_MIN_DELAY,
            max_delay: limits::RECONNECT_MAX_DELAY,
            max_attempts: 0,
            queue_sends: false,
        }
    }
}

impl Reconnect {
    /// Checks that the delays are within their ranges.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        let longest = Duration::from_millis(u32::MAX.into());
        if self.min_delay < Duration::from_millis(1)
            || self.max_delay < self.min_delay
            || self.max_delay > longest
        {
            return Err(CallError::argument(
                "the minimum delay must be at least 1 ms, and the maximum delay not less than the minimum",
            ));
        }
        Ok(())
    }
}

/// The next retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Counts from 1; restarts after a success.
    pub attempt: u32,
    pub delay: Duration,
}

/// The retry state of one socket.
#[derive(Debug, Default)]
pub struct Retries {
    in_a_row: u32,
}

impl Retries {
    /// Returns the next retry after a failed or lost connection, or `None` if the error is final.
    /// `retry_after` is the delay requested by the server, `random` any number.
    pub fn after(
        &mut self,
        error: &Error,
        settings: &Reconnect,
        retry_after: Option<Duration>,
        random: u64,
    ) -> Option<Retry> {
        let is_last = settings.max_attempts != 0 && self.in_a_row >= settings.max_attempts;
        if !error.retriable || is_last {
            return None;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let asked_for = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        Some(Retry { attempt: self.in_a_row, delay: asked_for + self.jittered(settings, random) })
    }

    /// The state during the first retry.
    pub fn first() -> Self {
        Self { in_a_row: 1 }
    }

    /// Resets the count when the connection is open.
    pub fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    /// Returns whether retries have been made since the last success.
    pub fn is_retrying(&self) -> bool {
        self.in_a_row > 0
    }

    fn jittered(&self, settings: &Reconnect, random: u64) -> Duration {
        let (min, max) = (millis(settings.min_delay), millis(settings.max_delay));
        // Beyond 2^32 the maximum delay applies in any case.
        let end = min.saturating_mul(1 << self.in_a_row.min(32)).min(max).max(min);
        Duration::from_millis(min + random % (end - min + 1))
    }
}

/// Converts a delay to milliseconds; delays fit into 32 bits.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::from(u32::MAX)).min(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Phase};

    fn settings(min: u64, max: u64, max_attempts: u32) -> Reconnect {
        Reconnect {
            min_delay: Duration::from_millis(min),
            max_delay: Duration::from_millis(max),
            max_attempts,
            ..Reconnect::default()
        }
    }

    fn lost() -> Error {
        Error::new(ErrorKind::Reset, Phase::Open, "lost")
    }

    /// Returns the shortest and longest delay of each of the first consecutive retries.
    fn windows(settings: &Reconnect, count: usize) -> Vec<(u64, u64)> {
        let mut retries = Retries::default();
        (0..count)
            .map(|_| {
                let before = retries.in_a_row;
                let delays = [0, u64::MAX, u64::MAX / 2, 1, 12_345, 1 << 40].map(|random| {
                    retries.in_a_row = before;
                    retries.after(&lost(), settings, None, random).unwrap().delay.as_millis() as u64
                });
                // The end of the window is reachable.
                let (min, end) = (*delays.iter().min().unwrap(), retries.window_end(settings));
                retries.in_a_row = before;
                let top = retries.after(&lost(), settings, None, end - min).unwrap().delay;
                assert!(delays.iter().all(|delay| (min..=end).contains(delay)), "{delays:?}");
                (min, top.as_millis() as u64)
            })
            .collect()
    }

    impl Retries {
        fn window_end(&self, settings: &Reconnect) -> u64 {
            let min = millis(settings.min_delay);
            (min << self.in_a_row.min(20)).min(millis(settings.max_delay)).max(min)
        }
    }

    #[test]
    fn window_doubles_up_to_maximum_delay() {
        let expected = [(250, 500), (250, 1000), (250, 2000), (250, 4000), (250, 8000), (250, 16_000)];
        assert_eq!(windows(&Reconnect::default(), 6), expected);
        assert_eq!(windows(&settings(250, 3000, 0), 5)[3..], [(250, 3000), (250, 3000)]);
        assert_eq!(windows(&settings(70, 70, 0), 3), [(70, 70); 3]);
    }

    #[test]
    fn maximum_delays_and_counts_do_not_overflow() {
        let longest = settings(u32::MAX.into(), u32::MAX.into(), 0);
        let mut retries = Retries { in_a_row: u32::MAX };
        let retry = retries.after(&lost(), &longest, Some(Duration::MAX), u64::MAX).unwrap();
        assert_eq!(retry.attempt, u32::MAX);
        assert_eq!(retry.delay, MAX_RETRY_AFTER + Duration::from_millis(u32::MAX.into()));
        let mut retries = Retries { in_a_row: 100 };
        assert!(retries.after(&lost(), &settings(1, u32::MAX.into(), 0), None, 9).is_some());
    }

    #[test]
    fn retries_are_counted_until_success() {
        let mut retries = Retries::default();
        let next = |retries: &mut Retries| {
            retries.after(&lost(), &settings(1, 1, 2), None, 0).map(|retry| retry.attempt)
        };
        assert!(!retries.is_retrying());
        assert_eq!((next(&mut retries), next(&mut retries), next(&mut retries)), (Some(1), Some(2), None));
        assert!(retries.is_retrying());
        retries.succeeded();
        assert!(!retries.is_retrying());
        assert_eq!((next(&mut retries), next(&mut retries), next(&mut retries)), (Some(1), Some(2), None));
    }

    #[test]
    fn final_error_is_not_retried() {
        let mut retries = Retries::default();
        let refused = Error::new(ErrorKind::Http, Phase::Upgrade, "401");
        assert_eq!(retries.after(&refused, &Reconnect::default(), None, 0), None);
        assert!(!retries.is_retrying());
    }

    #[test]
    fn retry_after_is_honoured_up_to_limit() {
        let wait = |seconds| {
            let asked = Some(Duration::from_secs(seconds));
            Retries::default().after(&lost(), &settings(100, 100, 0), asked, 0).unwrap().delay
        };
        assert_eq!(wait(0), Duration::from_millis(100));
        assert_eq!(wait(7), Duration::from_millis(7_100));
        assert_eq!(wait(u64::MAX), MAX_RETRY_AFTER + Duration::from_millis(100));
    }
}
