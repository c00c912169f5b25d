//! The only memory that payloads live in.
//!
//! ```text
//!   pool ── lends ──> Writer ── cuts ──> Segment, Segment, …   (counted)
//!    ^                one owner          anybody, any thread
//!    └──────────── the last one returns the block ─────────┘
//! ```
//!
//! A block has one [`Writer`], who fills it from the front, and any number of [`Segment`]s, which
//! read what is filled. They never touch the same bytes, so no lock is needed. [`lease`] gives
//! segments a handle for callers who cannot count references, such as C.
//!
//! Knows nothing of frames, sockets or messages.

mod block;
pub mod lease;
mod pool;

pub use block::{Exclusive, Segment, Writer};
pub use pool::{OutOfMemory, PoolStats, capacity_for, largest_within, stats, take, take_free, trim};
