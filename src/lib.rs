//! A WebSocket client for game engines.
//!
//! The rooms, from the ground up; each knows only those above it in this list.

pub mod error;
pub mod limits;
pub mod buffer;
pub mod wire;
pub mod session;
pub mod net;
pub mod engine;
pub mod client;
#[cfg(feature = "capi")]
pub mod ffi;
