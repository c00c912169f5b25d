//! The wire formats: RFC 6455, RFC 7692 and the HTTP around them, as functions on bytes.
//!
//! ```text
//!   proxy                                              before the handshake, if a proxy is used
//!   upgrade ◄── url, header, extensions, response      the handshake
//!   response_body, cookies, date, redirect             other parts of the response
//!   frame, mask, deflate, utf8, close                  the open connection
//!   upgrade_error, violation                           errors of the handshake, errors after it
//! ```
//!
//! Independent of sockets, threads, clocks and randomness: nonces, mask keys and times are arguments. Has no
//! `unsafe`.

#![forbid(unsafe_code)]

pub mod close;
pub mod cookies;
pub mod date;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod header;
pub mod mask;
pub mod proxy;
mod redirect;
pub mod response;
pub mod response_body;
pub mod upgrade;
mod upgrade_error;
pub mod url;
pub mod utf8;
pub mod violation;

pub use frame::{FrameHeader, Opcode};
pub use header::{HeaderError, HeaderList};
pub use upgrade::{UpgradeError, UpgradeRequest};
pub use url::{Url, UrlError};
pub use violation::Violation;
