//! RFC 6455 and RFC 7692 as pure bytes.
//!
//! ```text
//!   url ──► upgrade ◄── header        before the connection is open
//!   proxy     │
//!             ▼
//!   frame ──► mask, utf8, close, deflate     while it is open
//!             │
//!             ▼
//!         violation: what the peer did wrong, and the close code that answers it
//! ```
//!
//! Everything here maps bytes to bytes: it does not know sockets, threads, clocks or randomness
//! (nonces and mask keys come in as arguments), and it has no `unsafe`.

#![forbid(unsafe_code)]

pub mod close;
pub mod frame;
pub mod header;
pub mod mask;
pub mod url;
pub mod utf8;
pub mod violation;

pub use frame::{FrameHeader, Opcode};
pub use header::{HeaderError, HeaderList};
pub use url::{Url, UrlError};
pub use violation::Violation;
