//! TLS settings, shared between sockets.

use std::sync::Arc;

use crate::engine::shared::tls::TlsHandle;
use crate::error::{CallError, Code};
use crate::handles::Handles;
use crate::net::tls::{Roots, TlsSettings};
use crate::sync::statics;

statics! {
    static HANDLES: Handles<Tls> = Handles::new();
}

/// Cloning counts a reference. Later changes reach sockets that are opened later.
#[derive(Clone)]
pub struct Tls {
    id: u64,
    pub(super) settings: Arc<TlsHandle>,
}

impl Tls {
    /// Mozilla's roots, verification on, a session cache of its own.
    pub fn create() -> Result<Tls, CallError> {
        if !cfg!(feature = "tls") {
            return Err(CallError::new(Code::NotSupported, "this build of the library has no TLS"));
        }
        let settings = Arc::new(TlsHandle::new(TlsSettings::new()));
        let id = HANDLES
            .insert_with(|id| Tls { id, settings: settings.clone() })
            .map_err(|_| CallError::out_of_memory())?;
        Ok(Tls { id, settings })
    }

    pub fn from_id(id: u64) -> Result<Tls, CallError> {
        HANDLES.get(id).ok_or_else(stale)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes the handle away. Sockets that were given it keep the settings.
    pub fn destroy(&self) -> Result<(), CallError> {
        let removed = HANDLES.remove(self.id).ok_or_else(stale);
        HANDLES.shrink();
        removed.map(drop)
    }

    /// Trusts the certificates in the PEM as well: as authorities, and each as the server's own, even if
    /// it is marked as a CA's.
    pub fn add_ca_pem(&self, pem: &[u8]) -> Result<(), CallError> {
        self.settings.change(|settings| settings.add_ca_pem(pem))
    }

    /// Shows this certificate to servers that ask for one.
    pub fn set_client_cert_pem(&self, certificate: &[u8], key: &[u8]) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_client_cert_pem(certificate, key))
    }

    /// Accepts only servers whose public key has this SHA-256, or that of another pin. With
    /// [`Roots::None`] and no certificate added, the pin replaces the check of the issuer.
    pub fn add_pin_sha256(&self, pin: [u8; 32]) -> Result<(), CallError> {
        self.settings.change(|settings| settings.add_pin_sha256(pin));
        Ok(())
    }

    pub fn set_roots(&self, roots: Roots) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_roots(roots));
        Ok(())
    }

    /// Accepts any certificate. For development.
    pub fn set_insecure(&self, on: bool) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_insecure(on));
        Ok(())
    }

    /// Writes session keys to the file that `SSLKEYLOGFILE` names.
    pub fn set_key_log(&self, on: bool) -> Result<(), CallError> {
        self.settings.change(|settings| settings.set_key_log(on));
        Ok(())
    }
}

fn stale() -> CallError {
    CallError::new(Code::InvalidHandle, "there are no such TLS settings: they were destroyed, or never made")
}
