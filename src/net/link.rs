//! The conditions of a simulated network link: what a program sets, and its limits.
//!
//! `link_model` computes from them when bytes move, `simulated_link` moves the bytes.

use std::time::Duration;

use crate::error::CallError;
use crate::limits::{LONGEST_LINK_DELAY, LONGEST_LINK_STALL_INTERVAL};

/// The conditions of a simulated network link, for [`Socket::set_link`](crate::Socket::set_link).
///
/// The default is a perfect link: every field is zero, and zero is no delay and no limit. Out is from this side to
/// the server, in is from the server to this side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkConditions {
    /// Selects the random numbers of the jitter. Links with equal seeds and conditions delay bytes equally at equal
    /// times after the connection was established.
    pub seed: u32,
    /// The one-way delay, at most 60 s.
    pub out_delay: Duration,
    /// See `out_delay`.
    pub in_delay: Duration,
    /// The mean of a random additional delay, at most 60 s: exponentially distributed, chosen anew every 20 ms. Bytes
    /// keep their order, so those behind a delayed byte wait for it.
    pub out_jitter: Duration,
    /// See `out_jitter`.
    pub in_jitter: Duration,
    /// The longest additional delay, at most 60 s; zero for ten times the mean.
    pub jitter_max: Duration,
    /// The data rate in bytes per second (a token bucket); 0 for no limit.
    pub out_bytes_per_second: u32,
    /// See `out_bytes_per_second`.
    pub in_bytes_per_second: u32,
    /// The size of the token bucket: how much may exceed the rate at once, after a pause. Zero for the bytes of 10 ms at
    /// the rate.
    pub burst_bytes: u32,
    /// How often nothing moves for the duration `stall`: at each multiple of this interval after the connection was
    /// established; at most an hour.
    pub stall_every: Duration,
    /// The length of a stall, less than `stall_every`; zero for no stalls.
    pub stall: Duration,
    /// How the link fails.
    pub cut: LinkCut,
}

/// How a simulated link fails, numbered as in the C ABI (`FW_LINK_CUT_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum LinkCut {
    /// It does not.
    #[default]
    None = 0,
    /// Nothing moves, in either direction, until the conditions change. The connection itself stays.
    Stall = 1,
    /// What is written is lost, and nothing is received, as if the network path had disappeared. An open connection
    /// stays half-open, whatever the conditions change to.
    HalfOpen = 2,
    /// The connection is reset, and so is each new one as soon as it is established.
    Reset = 3,
    /// The server ends the connection without a closing handshake, and so each new one as soon as it is established.
    End = 4,
    /// New connections are refused. Existing ones are not affected.
    Refuse = 5,
}

impl LinkCut {
    /// Whether an open connection cannot continue after it: bytes are lost.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, LinkCut::HalfOpen | LinkCut::Reset | LinkCut::End)
    }
}

impl LinkConditions {
    /// Checks that the values are within their limits.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        let delays = [self.out_delay, self.in_delay, self.out_jitter, self.in_jitter, self.jitter_max];
        if delays.iter().any(|delay| *delay > LONGEST_LINK_DELAY) {
            return Err(CallError::argument(
                "the delays of a link, its jitter and the limit of the jitter must be at most 60000 ms each",
            ));
        }
        if self.stall_every > LONGEST_LINK_STALL_INTERVAL {
            return Err(CallError::argument("the interval between stalls must be at most 3600000 ms"));
        }
        if !self.stall.is_zero() && self.stall >= self.stall_every {
            return Err(CallError::argument("a stall must be shorter than the interval between stalls"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn absurd_values_are_refused() {
        let second = Duration::from_secs(1);
        let (longest, too_long) = (60 * second, 60 * second + Duration::from_millis(1));
        let default = LinkConditions::default();
        let accepted = [
            default,
            LinkConditions { out_delay: longest, in_delay: longest, jitter_max: longest, ..default },
            LinkConditions { out_jitter: longest, in_jitter: longest, ..default },
            LinkConditions { out_bytes_per_second: 1, in_bytes_per_second: u32::MAX, ..default },
            LinkConditions { burst_bytes: u32::MAX, seed: u32::MAX, ..default },
            LinkConditions { stall_every: 3600 * second, stall: 3599 * second, ..default },
            LinkConditions { stall_every: second, ..default },
        ];
        for conditions in accepted {
            assert_eq!(conditions.check(), Ok(()), "{conditions:?}");
        }
        let refused = [
            LinkConditions { out_delay: too_long, ..default },
            LinkConditions { in_delay: Duration::MAX, ..default },
            LinkConditions { out_jitter: too_long, ..default },
            LinkConditions { in_jitter: too_long, ..default },
            LinkConditions { jitter_max: too_long, ..default },
            LinkConditions { stall_every: 3601 * second, ..default },
            LinkConditions { stall_every: second, stall: second, ..default },
            LinkConditions { stall: Duration::from_nanos(1), ..default },
        ];
        for conditions in refused {
            let refusal = conditions.check().unwrap_err();
            assert_eq!(refusal.code, Code::InvalidArgument, "{conditions:?}");
            assert!(refusal.message.contains("must be"), "{}", refusal.message);
        }
    }
}
