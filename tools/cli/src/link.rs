//! Options of a simulated link, with the names and the meaning of [`LinkConditions`].

use std::time::Duration;

use clap::{Args, ValueEnum};
use framewire::{LinkConditions, LinkCut};

use crate::values::{duration, rate, size};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Simulated link")]
pub struct LinkOptions {
    /// One-way delay in both directions, such as 60ms.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    delay: Option<Duration>,
    /// One-way delay towards the server.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    out_delay: Option<Duration>,
    /// One-way delay from the server.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    in_delay: Option<Duration>,
    /// Mean of a random additional delay in both directions.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    jitter: Option<Duration>,
    /// The same towards the server only.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    out_jitter: Option<Duration>,
    /// The same from the server only.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    in_jitter: Option<Duration>,
    /// Longest additional delay (default: ten times the mean).
    #[arg(long, value_name = "TIME", value_parser = duration)]
    jitter_max: Option<Duration>,
    /// Data rate in bytes per second in both directions, such as 100k.
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    bytes_per_second: Option<u32>,
    /// Data rate towards the server.
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    out_bytes_per_second: Option<u32>,
    /// Data rate from the server.
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    in_bytes_per_second: Option<u32>,
    /// Bytes that may exceed the rate at once (default: 10 ms at the rate).
    #[arg(long, value_name = "BYTES", value_parser = size)]
    burst_bytes: Option<usize>,
    /// Time between stalls.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "stall")]
    stall_every: Option<Duration>,
    /// Length of each stall.
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "stall_every")]
    stall: Option<Duration>,
    /// How the link fails.
    #[arg(long, value_name = "HOW")]
    cut: Option<Cut>,
    /// Selects the random numbers of the jitter.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cut {
    /// Nothing moves in either direction.
    Stall,
    /// What is written is lost, and nothing is received.
    HalfOpen,
    /// The connection is reset.
    Reset,
    /// The connection ends without a closing handshake.
    End,
    /// New connections are refused.
    Refuse,
}

impl LinkOptions {
    /// Returns the conditions, `None` for a perfect link.
    pub fn conditions(&self) -> Option<LinkConditions> {
        let either = |own: Option<Duration>, both: Option<Duration>| own.or(both).unwrap_or_default();
        let conditions = LinkConditions {
            seed: self.seed,
            out_delay: either(self.out_delay, self.delay),
            in_delay: either(self.in_delay, self.delay),
            out_jitter: either(self.out_jitter, self.jitter),
            in_jitter: either(self.in_jitter, self.jitter),
            jitter_max: self.jitter_max.unwrap_or_default(),
            out_bytes_per_second: self.out_bytes_per_second.or(self.bytes_per_second).unwrap_or(0),
            in_bytes_per_second: self.in_bytes_per_second.or(self.bytes_per_second).unwrap_or(0),
            burst_bytes: self.burst_bytes.map_or(0, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX)),
            stall_every: self.stall_every.unwrap_or_default(),
            stall: self.stall.unwrap_or_default(),
            cut: match self.cut {
                None => LinkCut::None,
                Some(Cut::Stall) => LinkCut::Stall,
                Some(Cut::HalfOpen) => LinkCut::HalfOpen,
                Some(Cut::Reset) => LinkCut::Reset,
                Some(Cut::End) => LinkCut::End,
                Some(Cut::Refuse) => LinkCut::Refuse,
            },
        };
        let perfect = LinkConditions { seed: self.seed, ..LinkConditions::default() };
        (conditions != perfect).then_some(conditions)
    }
}
