//! The C ABI: a thin skin over the safe façade.
//!
//! ```text
//!   C ──> extern "C" fn ──> guard { look at the handle, look at the pointers, call } ──> number
//! ```
//!
//! Every exported function is that one line. What C passes in is never trusted: handles are looked
//! up, enumerations and truth values arrive as bits ([`args`]), text is checked, and a panic ends
//! at the [`guard`].
//!
//! The public modules stand in the order in which one would explain the library; cbindgen makes it
//! the order of `include/framewire.h`, and their comments are its manual. Each function's says, in
//! this order: what it does; what follows; its parameters; Returns; Threads; Callbacks; Blocks;
//! Since.
//!
//! Calls `client` alone; does not know `session`, `net`, `wire` or `engine`.

// The names of this room are those of the C header.
#![allow(non_camel_case_types)]
// What a C caller must keep to stands beside each parameter, as the comments are the C manual.
#![allow(clippy::missing_safety_doc)]

// Blank lines between them keep rustfmt from sorting them.
pub mod result;

pub mod library;

pub mod log;

pub mod device;

pub mod socket;

pub mod error;

pub mod callbacks;

pub mod callback_set;

pub mod delivery;

pub mod sending;

pub mod buffers;

pub mod settings;

pub mod route;

pub mod reconnect;

pub mod compression;

pub mod extension;

pub mod tls;

pub mod state;

pub mod request;

mod allocator;
mod args;
mod closures;
mod event;
mod guard;
mod names;
mod sized;
mod text;

#[cfg(test)]
mod tests;
