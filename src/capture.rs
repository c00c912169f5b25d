//! Captures the traffic of sockets as pcapng files, which Wireshark opens.
//!
//! ```text
//!   worker ── tap ──► bounded queue ──► thread: conversation ──► packets ──► pcapng file
//! ```
//!
//! A [`tap`] copies the bytes that a connection sends and receives above TLS and HTTP/2. If the queue is full, it
//! counts them instead: workers never wait. The thread splits them into frames ([`framing`]), replaces secrets
//! ([`redaction`]) and writes them as the segments of a TCP connection ([`conversation`], [`packets`], [`pcapng`]).
//!
//! Independent of sockets, sessions and C.

mod options;

#[cfg(not(target_family = "wasm"))]
pub mod conversation;
#[cfg(not(target_family = "wasm"))]
pub mod framing;
#[cfg(not(target_family = "wasm"))]
pub mod http1;
#[cfg(not(target_family = "wasm"))]
pub mod packets;
#[cfg(not(target_family = "wasm"))]
pub mod pcapng;
#[cfg(not(target_family = "wasm"))]
pub mod queue;
#[cfg(not(target_family = "wasm"))]
pub mod recorder;
#[cfg(not(target_family = "wasm"))]
pub mod redaction;
#[cfg(not(target_family = "wasm"))]
pub mod tap;
#[cfg(not(target_family = "wasm"))]
pub mod writer;

pub use options::CaptureOptions;
#[cfg(not(target_family = "wasm"))]
pub use queue::CaptureFile;
#[cfg(not(target_family = "wasm"))]
pub use recorder::{finish, open};
#[cfg(not(target_family = "wasm"))]
pub use tap::Tap;

/// There are none in browsers.
#[cfg(target_family = "wasm")]
pub enum CaptureFile {}
