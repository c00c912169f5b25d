//! TLS by rustls: settings, verification, the stream, and errors in words.
//!
//! Without the feature `tls` the same names are here and answer `NOT_SUPPORTED`.

#[cfg(feature = "tls")]
mod explain;
#[cfg(feature = "tls")]
mod settings;
#[cfg(feature = "tls")]
mod stream;
#[cfg(feature = "tls")]
mod verify;

#[cfg(not(feature = "tls"))]
mod absent;

#[cfg(feature = "tls")]
pub use settings::{TlsConnector, TlsSettings, forget_shared};
#[cfg(feature = "tls")]
pub use stream::TlsStream;

#[cfg(not(feature = "tls"))]
pub use absent::{TlsConnector, TlsSettings, TlsStream, forget_shared};

/// Which certificate authorities are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Roots {
    /// Mozilla's, compiled in: the same on every machine.
    Webpki = 0,
    /// The operating system's.
    Platform = 1,
    /// None but those that were added.
    None = 2,
}
