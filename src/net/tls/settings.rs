//! The caller's TLS settings, and the connectors built from them.

use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, KeyLogFile};

use super::Roots;
use super::authority::check_authority;
use super::error::describe;
use super::provider::provider;
use super::roots::chain_verifier;
use super::verify::{Trust, Verifier};
use crate::error::{CallError, Code};
use crate::limits;
use crate::logging::{self, LogLevel};

/// TLS settings. A clone is independent, but shares the session cache with the original while both accept the
/// same servers.
#[derive(Clone)]
pub struct TlsSettings {
    authorities: Vec<CertificateDer<'static>>,
    client_key: Option<Arc<CertifiedKey>>,
    pins: Vec<[u8; 32]>,
    roots: Roots,
    insecure: bool,
    key_log: bool,
    sessions: Arc<ClientSessionMemoryCache>,
    /// Built on first use. All connectors are derived from one config, because rustls resumes a session only
    /// with the same verifier and client key.
    base: Arc<OnceCell<ClientConfig>>,
}

/// Settings prepared for connections.
#[derive(Clone)]
pub struct TlsConnector {
    pub(super) config: Arc<ClientConfig>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsSettings {
    pub fn new() -> Self {
        Self {
            authorities: Vec::new(),
            client_key: None,
            pins: Vec::new(),
            roots: Roots::default(),
            insecure: false,
            key_log: false,
            sessions: Arc::new(ClientSessionMemoryCache::new(limits::TLS_SESSIONS)),
            base: Arc::default(),
        }
    }

    /// Trusts these certificates in addition to the roots: as authorities, and as server certificates
    /// whatever their basicConstraints. Skips PEM sections that are not certificates; fails if a certificate
    /// is unusable.
    pub fn add_ca_pem(&mut self, pem: &[u8]) -> Result<(), CallError> {
        let added = certificates(pem, "the CA")?;
        for (index, certificate) in added.iter().enumerate() {
            check_authority(certificate).map_err(|error| {
                let number = index + 1;
                let why = describe(&error);
                CallError::argument(format!("certificate {number} of the CA's PEM is not usable: {why}"))
            })?;
        }
        self.authorities.extend(added);
        self.base = Arc::default();
        Ok(())
    }

    /// Sends this certificate to servers that request one. The key is PKCS#8, SEC1 or PKCS#1; the certificate
    /// may be followed by its intermediates.
    pub fn set_client_cert_pem(&mut self, cert_pem: &[u8], key_pem: &[u8]) -> Result<(), CallError> {
        let chain = certificates(cert_pem, "the client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| pem_error("the client key", "PRIVATE KEY", &error))?;
        let client_key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            CallError::argument(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    "the client key does not belong to the client certificate".to_owned()
                }
                error => format!("the client certificate or its key cannot be used: {}", describe(&error)),
            })
        })?;
        self.client_key = Some(Arc::new(client_key));
        self.base = Arc::default();
        Ok(())
    }

    /// Accepts only servers whose key (SubjectPublicKeyInfo) has one of the added hashes, in addition to all
    /// other checks. Without roots and added certificates, the issuer is not checked.
    pub fn add_pin_sha256(&mut self, pin: [u8; 32]) {
        self.pins.push(pin);
        self.base = Arc::default();
    }

    pub fn set_roots(&mut self, roots: Roots) {
        self.roots = roots;
        self.base = Arc::default();
    }

    /// Disables verification of chain, name and dates. Pins still apply.
    pub fn set_insecure(&mut self, insecure: bool) {
        self.insecure = insecure;
        self.base = Arc::default();
    }

    /// Appends the secrets of each connection to the file named by `SSLKEYLOGFILE`.
    pub fn set_key_log(&mut self, key_log: bool) {
        self.key_log = key_log;
        self.base = Arc::default();
    }

    /// Returns the settings for a proxy: the same trust, without pins and client certificate, which are for
    /// the server.
    pub fn for_proxy(&self) -> Self {
        Self {
            client_key: None,
            pins: Vec::new(),
            sessions: Arc::new(ClientSessionMemoryCache::new(limits::TLS_SESSIONS)),
            base: Arc::default(),
            ..self.clone()
        }
    }

    /// Builds a connector for these settings. Expensive: reuse it.
    pub fn connector(&self, http2: bool) -> Result<TlsConnector, CallError> {
        let base = self.base.get_or_try_init(|| self.build())?;
        let mut config = ClientConfig::clone(base);
        // Offers `http/1.1` explicitly, like browsers do for `wss:`: then a server cannot select another
        // protocol (RFC 7301 section 3.2) that shares its certificate.
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(TlsConnector { config: Arc::new(config) })
    }

    fn trust(&self) -> Result<Trust, CallError> {
        if self.insecure {
            return Ok(Trust::Anything);
        }
        // Without other trust anchors, only the pins are checked.
        if self.roots == Roots::None && self.authorities.is_empty() && !self.pins.is_empty() {
            return Ok(Trust::Pins);
        }
        let verifier = chain_verifier(self.roots, &self.authorities)?;
        Ok(Trust::Chain { verifier, added: self.authorities.clone() })
    }

    fn build(&self) -> Result<ClientConfig, CallError> {
        let trust = self.trust()?;
        if self.insecure && self.pins.is_empty() {
            let danger = "anyone on the network path can read and modify the data";
            logging::note(LogLevel::Warn, format_args!("certificates are not checked (insecure): {danger}"));
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                CallError::new(Code::Internal, format!("TLS cannot be set up: {}", describe(&error)))
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(trust, self.pins.clone())));
        let mut config = match &self.client_key {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::store(self.sessions.clone());
        if self.key_log {
            let file = "the file named by SSLKEYLOGFILE";
            logging::note(
                LogLevel::Warn,
                format_args!("the secrets of TLS connections are written to {file}"),
            );
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(config)
    }
}

/// Parses all certificates in `pem`, at least one.
fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>, CallError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(pem_error(whose, "CERTIFICATE", &pem::Error::NoItemsFound)),
        Ok(found) => Ok(found),
        Err(error) => Err(pem_error(whose, "CERTIFICATE", &error)),
    }
}

fn pem_error(whose: &str, label: &str, error: &pem::Error) -> CallError {
    CallError::argument(match error {
        pem::Error::NoItemsFound => {
            format!(
                "{whose}: no \"-----BEGIN {label}-----\" section in the PEM; pass the content of a PEM file, not its path"
            )
        }
        pem::Error::MissingSectionEnd { .. } => {
            format!("{whose}: the PEM is damaged: a section has no \"-----END\" line")
        }
        pem::Error::IllegalSectionStart { .. } => {
            format!("{whose}: the PEM is damaged: a \"-----BEGIN\" line is not complete")
        }
        pem::Error::Base64Decode(_) => format!("{whose}: the PEM is damaged: a section is not Base64"),
        _ => format!("{whose}: the PEM is damaged"),
    })
}
