//! TLS 1.2 and 1.3 through rustls and ring, with errors that say what to do.
//!
//! ```text
//! TlsSettings ──connector──> TlsConnector ──new(host)──> TlsStream
//!      └── settings   └── roots, verify, direct             └── session ──errors──> explain
//!                                                                        reasons, names ──┘
//! ```
//!
//! Without the feature `tls` the same names exist, and every use of them says so.
//! It knows no sockets of its own: a [`TlsStream`] is lent the socket for each call.

#[cfg(feature = "tls")]
mod algorithms;
#[cfg(feature = "tls")]
mod der;
#[cfg(feature = "tls")]
mod direct;
#[cfg(feature = "tls")]
mod explain;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod reasons;
#[cfg(feature = "tls")]
mod roots;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod settings;
#[cfg(feature = "tls")]
mod verify;
#[cfg(feature = "tls")]
mod words;

#[cfg(feature = "tls")]
pub use roots::forget_shared;
#[cfg(feature = "tls")]
pub use session::TlsStream;
#[cfg(feature = "tls")]
pub use settings::{TlsConnector, TlsSettings};

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(not(feature = "tls"))]
pub use absent::{TlsConnector, TlsSettings, TlsStream, forget_shared};

#[cfg(all(test, feature = "tls"))]
mod tests;

/// Which certificate authorities are trusted, in addition to those that are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Mozilla's root certificates, built into the library: the same on every platform.
    #[default]
    Webpki,
    /// The operating system's root certificates.
    Platform,
    /// None: only added certificates and pinned keys.
    None,
}

#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}
