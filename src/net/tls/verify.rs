//! Verification of the server's certificate: trust, then pins.

use std::cell::RefCell;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::direct_trust;
use super::names::{self, Names};
use super::provider::provider;

/// How trust is decided, before the pins are checked.
#[derive(Debug)]
pub enum Trust {
    /// Trusts any certificate. Handshake signatures are still verified, so that pins remain effective.
    Anything,
    /// Trusts by pin only: checks dates, usage and names, not the issuer.
    Pins,
    /// Requires a chain to an authority, except for certificates in `added`, byte for byte.
    Chain { verifier: Arc<dyn ServerCertVerifier>, added: Vec<CertificateDer<'static>> },
}

/// The verifier of all connections with the same settings: rustls resumes a session only with the verifier
/// that accepted its certificate.
#[derive(Debug)]
pub struct Verifier {
    trust: Trust,
    /// SHA-256 of acceptable public keys (SubjectPublicKeyInfo); empty accepts every key.
    pins: Vec<[u8; 32]>,
}

/// Details of a rejected certificate that the error of rustls does not contain.
pub struct Refused {
    pub names: Option<Names>,
    /// The SHA-256 of the key, if it is not pinned.
    pub unpinned: Option<[u8; 32]>,
}

thread_local! {
    /// Verification runs inside `process_new_packets`, on the thread that then handles the error. The error
    /// of rustls cannot carry these details without changing the alert.
    static REFUSED: RefCell<Option<Refused>> = const { RefCell::new(None) };
}

/// Takes the details of the certificate that this thread rejected last.
pub fn take_refused() -> Option<Refused> {
    REFUSED.take()
}

impl Verifier {
    pub fn new(trust: Trust, pins: Vec<[u8; 32]>) -> Self {
        Self { trust, pins }
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
        let trusted = match &self.trust {
            Trust::Anything => Ok(()),
            Trust::Pins => direct_trust::verify(end_entity, server_name, now),
            Trust::Chain { added, .. } if added.contains(end_entity) => {
                direct_trust::verify(end_entity, server_name, now)
            }
            Trust::Chain { verifier, .. } => verifier
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop),
        };
        let checked = trusted.map_err(|error| (error, None)).and_then(|()| self.check_pins(end_entity));
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
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
            .inspect_err(|_| REFUSED.set(Some(Refused { names: names::of(cert), unpinned: None })))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
            .inspect_err(|_| REFUSED.set(Some(Refused { names: names::of(cert), unpinned: None })))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
