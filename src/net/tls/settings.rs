//! What the caller wants of TLS, and the rustls configuration made of it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, KeyLogFile, RootCertStore};

use super::Roots;
use super::verify::{AnyCertificate, Pinned};
use crate::error::{CallError, Code};

/// Servers whose sessions are remembered for resumption (RFC 8446 section 2.2).
const REMEMBERED_SERVERS: usize = 64;

/// Cheap to clone; clones share the session cache.
#[derive(Clone)]
pub struct TlsSettings {
    roots: Roots,
    extra_roots: Vec<CertificateDer<'static>>,
    client: Option<Arc<ClientCertificate>>,
    pins: Vec<[u8; 32]>,
    insecure: bool,
    key_log: bool,
    sessions: Arc<ClientSessionMemoryCache>,
}

struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Makes streams; cheap to clone.
#[derive(Clone)]
pub struct TlsConnector(pub(super) Arc<ClientConfig>);

impl TlsSettings {
    pub fn new() -> Self {
        Self {
            roots: Roots::Webpki,
            extra_roots: Vec::new(),
            client: None,
            pins: Vec::new(),
            insecure: false,
            key_log: false,
            sessions: Arc::new(ClientSessionMemoryCache::new(REMEMBERED_SERVERS)),
        }
    }

    /// Trusts the certificate authorities in `pem` as well.
    pub fn add_ca_pem(&mut self, pem: &[u8]) -> Result<(), CallError> {
        let found = certificates(pem)?;
        let mut check = RootCertStore::empty();
        for certificate in &found {
            check.add(certificate.clone()).map_err(|error| {
                CallError::argument(format!("a certificate in the PEM cannot be used: {error}"))
            })?;
        }
        self.extra_roots.extend(found);
        Ok(())
    }

    /// Shows this certificate, with the rest of its chain, to servers that ask for one.
    pub fn set_client_cert_pem(&mut self, certificate: &[u8], key: &[u8]) -> Result<(), CallError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            CallError::argument(format!("the PEM holds no private key (PKCS#8, SEC1 or PKCS#1): {error}"))
        })?;
        // Whether the key can be used, and fits the certificate, is found out here and not at the
        // first connection.
        rustls::sign::CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider()).map_err(
            |error| CallError::argument(format!("the private key does not fit the certificate: {error}")),
        )?;
        self.client = Some(Arc::new(ClientCertificate { chain, key }));
        Ok(())
    }

    /// Accepts only servers whose public key (SubjectPublicKeyInfo) has this SHA-256, or that of
    /// another pin.
    pub fn add_pin_sha256(&mut self, pin: [u8; 32]) {
        self.pins.push(pin);
    }

    pub fn set_roots(&mut self, roots: Roots) {
        self.roots = roots;
    }

    /// Accepts any certificate. For development.
    pub fn set_insecure(&mut self, insecure: bool) {
        self.insecure = insecure;
    }

    /// Writes session keys to the file that `SSLKEYLOGFILE` names.
    pub fn set_key_log(&mut self, key_log: bool) {
        self.key_log = key_log;
    }

    pub fn connector(&self) -> Result<TlsConnector, CallError> {
        let unusable =
            |error: rustls::Error| CallError::new(Code::Internal, format!("TLS cannot be set up: {error}"));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        let mut config = match &self.client {
            Some(client) => builder
                .with_client_auth_cert(client.chain.clone(), client.key.clone_key())
                .map_err(unusable)?,
            None => builder.with_no_client_auth(),
        };
        // Some front ends pick HTTP/2 when nothing is offered, which knows no upgrade.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::store(self.sessions.clone());
        if self.key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsConnector(Arc::new(config)))
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, CallError> {
        let chain: Arc<dyn ServerCertVerifier> = if self.insecure {
            Arc::new(AnyCertificate::new(provider()))
        } else if self.roots == Roots::Platform {
            let extra = self.extra_roots.iter().cloned();
            Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider()).map_err(
                |error| {
                    CallError::new(
                        Code::NotSupported,
                        format!("the system's certificate store cannot be used: {error}"),
                    )
                },
            )?)
        } else {
            WebPkiServerVerifier::builder_with_provider(self.root_store()?, provider()).build().map_err(
                |error| CallError::argument(format!("no certificate authority is trusted: {error}")),
            )?
        };
        Ok(if self.pins.is_empty() { chain } else { Arc::new(Pinned::new(chain, self.pins.clone())) })
    }

    fn root_store(&self) -> Result<Arc<RootCertStore>, CallError> {
        let built_in = self.roots == Roots::Webpki;
        if built_in && self.extra_roots.is_empty() {
            return Ok(webpki_roots());
        }
        let mut store = if built_in { RootCertStore::clone(&webpki_roots()) } else { RootCertStore::empty() };
        for certificate in &self.extra_roots {
            store
                .add(certificate.clone())
                .map_err(|error| CallError::argument(format!("a certificate cannot be used: {error}")))?;
        }
        Ok(Arc::new(store))
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self::new()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CallError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(CallError::argument("the PEM holds no certificate")),
        Err(error) => Err(CallError::argument(format!("the PEM cannot be read: {error}"))),
    }
}

/// Mozilla's roots are loaded once; all connectors share them.
static WEBPKI_ROOTS: Mutex<Option<Arc<RootCertStore>>> = Mutex::new(None);
/// Named explicitly: rustls' process-wide default would belong to whoever set it first.
static PROVIDER: Mutex<Option<Arc<CryptoProvider>>> = Mutex::new(None);

fn webpki_roots() -> Arc<RootCertStore> {
    let load = || Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    shared(&WEBPKI_ROOTS, load)
}

fn provider() -> Arc<CryptoProvider> {
    shared(&PROVIDER, || Arc::new(rustls::crypto::ring::default_provider()))
}

fn shared<T>(slot: &Mutex<Option<Arc<T>>>, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(make).clone()
}

/// Lets go of what connectors share: the library has stopped.
pub fn forget_shared() {
    WEBPKI_ROOTS.lock().unwrap_or_else(PoisonError::into_inner).take();
    PROVIDER.lock().unwrap_or_else(PoisonError::into_inner).take();
}
