//! A WebSocket client for game engines.
//!
//! The rooms, from the ground up; each knows only those above it in this list.

pub mod buffer;
pub mod client;
pub mod engine;
pub mod error;
#[cfg(framewire_faults)]
pub mod fault;
#[cfg(not(framewire_faults))]
mod fault;
#[cfg(feature = "capi")]
pub mod ffi;
pub mod handles;
pub mod limits;
pub mod logging;
#[cfg(all(test, any(shuttle, framewire_loom)))]
mod models;
pub mod net;
#[cfg(test)]
mod plain_text;
pub mod session;
pub(crate) mod sync;
pub mod wire;

pub use client::*;
pub use error::{CallError, Code, Error, ErrorKind, Phase};
