//! The check of the server's certificate: the chain, then the pins.

use std::cell::RefCell;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::names::{self, Names};
use super::roots::provider;

/// One for all connections of the same settings: sessions are resumed only under the verifier that
/// accepted their certificate.
#[derive(Debug)]
pub struct Verifier {
    /// None accepts every chain. Handshake signatures are checked all the same, so that the pins
    /// still mean something.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    /// SHA-256 of acceptable public keys (SubjectPublicKeyInfo); empty accepts every key.
    pins: Vec<[u8; 32]>,
}

/// What rustls' error does not tell of the certificate that was refused.
pub struct Refused {
    pub names: Option<Names>,
    /// The key's SHA-256, when it is not among the pins.
    pub unpinned: Option<[u8; 32]>,
}

thread_local! {
    /// Verification runs inside `process_new_packets`, on the thread that then sees the error, and
    /// rustls has no place to carry this from the one to the other without changing the alert.
    static REFUSED: RefCell<Option<Refused>> = const { RefCell::new(None) };
}

/// What is known of the certificate that this thread refused last.
pub fn take_refused() -> Option<Refused> {
    REFUSED.take()
}

impl Verifier {
    pub fn new(chain: Option<Arc<dyn ServerCertVerifier>>, pins: Vec<[u8; 32]>) -> Self {
        Self { chain, pins }
    }

    fn check_pins(&self, end_entity: &CertificateDer<'_>) -> Result<(), (Error, Option<[u8; 32]>)> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let certificate = ParsedCertificate::try_from(end_entity).map_err(|error| (error, None))?;
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &certificate.subject_public_key_info()).as_ref());
        if self.pins.contains(&key) {
            return Ok(());
        }
        Err((CertificateError::ApplicationVerificationFailure.into(), Some(key)))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = match &self.chain {
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map(drop)
            }
            None => Ok(()),
        };
        let checked = chain.map_err(|error| (error, None)).and_then(|()| self.check_pins(end_entity));
        checked.map(|()| ServerCertVerified::assertion()).map_err(|(error, unpinned)| {
            REFUSED.set(Some(Refused { names: names::of(end_entity), unpinned }));
            error
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.chain {
            Some(chain) => chain.verify_tls12_signature(message, cert, dss),
            None => verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.chain {
            Some(chain) => chain.verify_tls13_signature(message, cert, dss),
            None => verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match &self.chain {
            Some(chain) => chain.supported_verify_schemes(),
            None => provider().signature_verification_algorithms.supported_schemes(),
        }
    }
}
