//! TLS settings that sockets can share.

use std::fmt;
use std::sync::Arc;

use crate::capabilities::{Capability, require};
use crate::engine::shared::tls::TlsHandle;
use crate::error::{CallError, Code};
use crate::handles::Handles;
use crate::net::tls::{Roots, TlsSettings};
use crate::sync::statics;

statics! {
    static HANDLES: Handles<Tls> = Handles::new();
}

/// TLS settings for [`Socket::set_tls`](crate::Socket::set_tls). Sockets that share them share a session
/// cache.
///
/// A handle: cloning counts a reference. Changes affect connections that are established later.
#[derive(Clone)]
pub struct Tls {
    id: u64,
    pub(super) settings: Arc<TlsHandle>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Tls {
    /// Creates default settings: Mozilla's root certificates, verification enabled, a new session cache.
    ///
    /// Returns [`NotSupported`](Code::NotSupported) in a build without TLS and in browsers ([`Capability::TlsSettings`]).
    pub fn create() -> Result<Tls, CallError> {
        require(Capability::TlsSettings)?;
        let settings = Arc::new(TlsHandle::new(TlsSettings::new()));
        let id = HANDLES
            .insert_with(|id| Tls { id, settings: settings.clone() })
            .map_err(|_| CallError::out_of_memory())?;
        Ok(Tls { id, settings })
    }

    /// Returns the settings with this ID, or [`InvalidHandle`](Code::InvalidHandle) if there are none.
    pub fn from_id(id: u64) -> Result<Tls, CallError> {
        HANDLES.get(id).ok_or_else(stale)
    }

    /// Returns the ID of the settings, for [`from_id`](Tls::from_id).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Destroys the handle. Sockets that use the settings keep them.
    pub fn destroy(&self) -> Result<(), CallError> {
        let removed = HANDLES.remove(self.id).ok_or_else(stale);
        HANDLES.shrink();
        removed.map(drop)
    }

    /// Trusts the certificates in this PEM text in addition to the roots: as certificate authorities, and
    /// each also as the server's own certificate, even if it is marked as a CA.
    ///
    /// Returns [`InvalidArgument`](Code::InvalidArgument) if it contains no usable certificate.
    pub fn add_ca_pem(&self, pem: &[u8]) -> Result<(), CallError> {
        self.settings.change(|settings| settings.add_ca_pem(pem))
    }

    /// Sets the client certificate, for servers that request one: the chain and the private key, both as PEM.
    pub fn set_client_cert_pem(&self, certificate: &[u8], key: &[u8]) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_client_cert_pem(certificate, key))
    }

    /// Pins the SHA-256 hash of the server's public key (SPKI). A server must match one of the pins.
    ///
    /// With [`Roots::None`] and no added certificate, pinning replaces the verification of the issuer.
    pub fn add_pin_sha256(&self, pin: [u8; 32]) -> Result<(), CallError> {
        self.settings.change(|settings| settings.add_pin_sha256(pin));
        Ok(())
    }

    /// Sets which certificate authorities are trusted (default [`Roots::Webpki`]).
    pub fn set_roots(&self, roots: Roots) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_roots(roots));
        Ok(())
    }

    /// Disables certificate verification. For development only.
    pub fn set_insecure(&self, on: bool) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_insecure(on));
        Ok(())
    }

    /// Logs session keys to the file named by the environment variable `SSLKEYLOGFILE` (default off).
    pub fn set_key_log(&self, on: bool) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_key_log(on));
        Ok(())
    }
}

fn stale() -> CallError {
    CallError::new(Code::InvalidHandle, "the TLS settings were destroyed, or their handle was never valid")
}
