//! TLS 1.2 and 1.3 through rustls and ring, with error messages that say how to fix the problem.
//!
//! ```text
//!   TlsSettings ── connector() ──► TlsConnector ── TlsStream::new(host) ──► TlsStream
//!
//!   stream ──► records, settings ──► roots ──► error ──► certificate_error ──► verify ──► direct_trust      imports
//! ```
//!
//! Without the feature `tls` the same types exist, and every use returns NOT_SUPPORTED. Owns no sockets: each
//! call of a [`TlsStream`] borrows its socket as a [`Link`].

#[cfg(feature = "tls")]
mod algorithms;
#[cfg(feature = "tls")]
mod authority;
#[cfg(feature = "tls")]
mod certificate_error;
#[cfg(feature = "tls")]
mod der;
#[cfg(feature = "tls")]
mod direct_trust;
#[cfg(feature = "tls")]
mod error;
#[cfg(feature = "tls")]
mod humanize;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
mod provider;
#[cfg(feature = "tls")]
mod records;
#[cfg(feature = "tls")]
mod roots;
#[cfg(feature = "tls")]
mod settings;
#[cfg(feature = "tls")]
mod stream;
#[cfg(feature = "tls")]
mod verify;

#[cfg(feature = "tls")]
pub use roots::forget_shared;
#[cfg(all(feature = "internals", feature = "tls"))]
pub use roots::java::authorities as java_authorities;
#[cfg(feature = "tls")]
pub use settings::{TlsConnector, TlsSettings};
#[cfg(feature = "tls")]
pub use stream::{Link, TlsStream};

#[cfg(not(feature = "tls"))]
mod stub;
#[cfg(not(feature = "tls"))]
pub use stub::{Link, TlsConnector, TlsSettings, TlsStream, forget_shared};

#[cfg(all(test, feature = "tls"))]
mod tests;

/// Which certificate authorities are trusted, in addition to those that are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's root certificates, built into the library: the same on every platform.
    #[default]
    Webpki,
    /// The operating system's root certificates. On Android see [`android_init`](crate::android_init).
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
