//! RFC 6455 and RFC 7692 as pure bytes.
//!
//! ```text
//!                    proxy                    on the way to the server
//!                      │
//!   url, header ──► upgrade ◄── response      before the connection is open
//!  date, cookies ──────┘
//!                      │
//!                      ▼
//!   frame ──► mask, deflate, utf8, close      while it is open
//!                      │
//!                      ▼
//!                  violation                  what the peer did wrong, and which code answers it
//! ```
//!
//! Everything here maps bytes to bytes: it does not know sockets, threads, clocks or randomness
//! (nonces and mask keys come in as arguments), and it has no `unsafe`.

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
