//! The only room, with `engine`'s loop, that touches the operating system.
//!
//! ```text
//!   resolve ──addresses──> dial ──a connected socket──> stream (plain, or tls) ──bytes──> …
//!   threads                options
//! ```
//!
//! Everything is non-blocking and driven by a readiness loop that belongs to the caller, except
//! the system's resolver, which blocks and so has threads of its own.
//!
//! Knows nothing of WebSocket, sessions or workers.

pub mod dial;
pub mod options;
pub mod resolve;
pub mod stream;
pub mod threads;
pub mod tls;
