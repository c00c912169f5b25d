//! What the caller chose for TLS, and the connector that comes of it.

use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, KeyLogFile};

use super::Roots;
use super::explain::in_words;
use super::roots::{chain_verifier, check_authority, provider};
use super::verify::{Trust, Verifier};
use crate::error::{CallError, Code};
use crate::limits;
use crate::logging::{self, LogLevel};

/// Settings of TLS. A clone is independent from then on, but remembers sessions together with the
/// original, for as long as both would accept the same servers.
#[derive(Clone)]
pub struct TlsSettings {
    authorities: Vec<CertificateDer<'static>>,
    client_key: Option<Arc<CertifiedKey>>,
    pins: Vec<[u8; 32]>,
    roots: Roots,
    insecure: bool,
    key_log: bool,
    sessions: Arc<ClientSessionMemoryCache>,
    /// Built when first needed. All connectors come from one, because rustls resumes a session only
    /// under the very verifier and client key with which it was made.
    base: Arc<OnceCell<ClientConfig>>,
}

/// Settings ready for connections.
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

    /// Trusts these certificates besides the chosen roots: as authorities, and each as a server's own,
    /// whatever its basicConstraints say. Sections that are no certificates are skipped; a certificate
    /// that cannot be used is refused, and with it the call.
    pub fn add_ca_pem(&mut self, pem: &[u8]) -> Result<(), CallError> {
        let added = certificates(pem, "the CA")?;
        for (index, certificate) in added.iter().enumerate() {
            check_authority(certificate).map_err(|error| {
                let number = index + 1;
                let why = in_words(&error);
                CallError::argument(format!("certificate {number} of the CA's PEM is not usable: {why}"))
            })?;
        }
        self.authorities.extend(added);
        self.base = Arc::default();
        Ok(())
    }

    /// Shows this certificate to servers that ask for one. The key is PKCS#8, SEC1 or PKCS#1; the
    /// certificate may be followed by its intermediates.
    pub fn set_client_cert_pem(&mut self, cert_pem: &[u8], key_pem: &[u8]) -> Result<(), CallError> {
        let chain = certificates(cert_pem, "the client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|error| pem_error("the client key", "PRIVATE KEY", &error))?;
        let client_key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            CallError::argument(match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    "the client key does not belong to the client certificate".to_owned()
                }
                error => format!("the client certificate or its key cannot be used: {}", in_words(&error)),
            })
        })?;
        self.client_key = Some(Arc::new(client_key));
        self.base = Arc::default();
        Ok(())
    }

    /// Accepts only servers whose key (SubjectPublicKeyInfo) has one of the added hashes, on top of
    /// all other checks. With no roots and no added certificate the issuer is not checked.
    pub fn add_pin_sha256(&mut self, pin: [u8; 32]) {
        self.pins.push(pin);
        self.base = Arc::default();
    }

    pub fn set_roots(&mut self, roots: Roots) {
        self.roots = roots;
        self.base = Arc::default();
    }

    /// Accepts any chain for any name at any time. Pins still hold.
    pub fn set_insecure(&mut self, insecure: bool) {
        self.insecure = insecure;
        self.base = Arc::default();
    }

    /// Appends the secrets of each connection to the file that `SSLKEYLOGFILE` names.
    pub fn set_key_log(&mut self, key_log: bool) {
        self.key_log = key_log;
        self.base = Arc::default();
    }

    /// The same trust for a proxy on the way. Pins and the client's certificate are for the server.
    pub fn for_proxy(&self) -> Self {
        Self {
            client_key: None,
            pins: Vec::new(),
            sessions: Arc::new(ClientSessionMemoryCache::new(limits::TLS_SESSIONS)),
            base: Arc::default(),
            ..self.clone()
        }
    }

    /// The connector for these settings: worth keeping, not free to make.
    pub fn connector(&self, http2: bool) -> Result<TlsConnector, CallError> {
        let base = self.base.get_or_try_init(|| self.build())?;
        let mut config = ClientConfig::clone(base);
        // `http/1.1` is named although it is what silence would mean: browsers name it for `wss:`,
        // so every server takes it, and a server that is told cannot answer in another protocol
        // (RFC 7301 section 3.2) that happens to share its certificate.
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
        // Where nobody else is trusted, the pins are all there is to go by.
        if self.roots == Roots::None && self.authorities.is_empty() && !self.pins.is_empty() {
            return Ok(Trust::Pins);
        }
        let verifier = chain_verifier(self.roots, &self.authorities)?;
        Ok(Trust::Chain { verifier, added: self.authorities.clone() })
    }

    fn build(&self) -> Result<ClientConfig, CallError> {
        let trust = self.trust()?;
        if self.insecure && self.pins.is_empty() {
            let danger = "anybody on the way can read and change everything";
            logging::note(LogLevel::Warn, format_args!("certificates are not checked (insecure): {danger}"));
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                CallError::new(Code::Internal, format!("TLS cannot be set up: {}", in_words(&error)))
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(trust, self.pins.clone())));
        let mut config = match &self.client_key {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::store(self.sessions.clone());
        if self.key_log {
            let file = "the file that SSLKEYLOGFILE names";
            logging::note(
                LogLevel::Warn,
                format_args!("the secrets of TLS connections are written to {file}"),
            );
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(config)
    }
}

/// Every certificate in `pem`, at least one.
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
        pem::Error::NoItemsFound => format!("{whose}: no \"-----BEGIN {label}-----\" section in the PEM"),
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
