//! Pooled payload memory. All payloads live here.
//!
//! ```text
//!   lease ──► segment ──► pool ──► block        imports
//!
//!   pool ── take ──► Writer ── segment() ──► Segment, Segment, …   (reference counted, any thread)
//!    ▲                                          │
//!    └───────── dropping the last reference ────┘
//! ```
//!
//! A block has one [`Writer`], which fills it from the front, and any number of [`Segment`]s, which read the
//! filled part. They never access the same bytes, so no lock is needed. [`lease`] gives segments a handle for
//! callers that cannot count references, such as C.
//!
//! Does not depend on frames, sockets or messages.

#[allow(unsafe_code)]
mod block;
pub mod lease;
mod pool;
#[allow(unsafe_code)]
mod segment;

pub use pool::{OutOfMemory, PoolStats, capacity_for, largest_within, trim};
pub use segment::{Exclusive, Segment, Writer, take, take_free};

/// Returns a snapshot of the pool's counters.
pub fn stats() -> PoolStats {
    pool::stats(lease::count() as u64)
}
