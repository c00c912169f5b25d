//! The C ABI: exported functions over the safe façade in `client`.
//!
//! ```text
//!   C ──> extern "C" fn ──> guard { check the handle, check the pointers, call } ──> fw_result
//! ```
//!
//! Nothing that C passes in is trusted: handles are looked up, enums and booleans arrive as
//! unchecked bits (`args`), strings are validated (`text`), and panics are caught (`guard`).
//!
//! cbindgen generates `include/framewire.h` from this module, in the order of the public modules
//! below; the doc comments of functions and types are its documentation, with Doxygen commands.
//! The defaults that functions do not repeat are on the header's first page, in `cbindgen.toml`.
//!
//! Depends on `client` only, not on `session`, `net`, `wire` or `engine`.

// Names as in the C header.
#![allow(non_camel_case_types)]
// The header's "Caller requirements" say what callers must guarantee.
#![allow(clippy::missing_safety_doc)]

// Blank lines between them keep rustfmt from sorting them.
pub mod result;

pub mod diagnostics;

pub mod capabilities;

pub mod library;

pub mod log;

pub mod device;

pub mod socket;

pub mod error;

pub mod message;

pub mod callback_types;

pub mod callbacks;

pub mod callback_set;

pub mod event_types;

pub mod delivery;

pub mod sending;

pub mod lanes;

pub mod link;

pub mod capture;

pub mod buffers;

pub mod settings;

pub mod route;

pub mod reconnect;

pub mod compression;

pub mod extension;

pub mod tls;

pub mod android;

pub mod state;

pub mod request;

mod allocator;
mod args;
mod callback_table;
mod event;
mod guard;
mod names;
mod sized;
mod text;

#[cfg(test)]
mod tests;
