//! Verification of a certificate that is trusted directly, without a chain: the caller added this
//! certificate, or pinned its key without other trust anchors.
//!
//! `openssl req -x509` creates such certificates and marks them as a CA (basicConstraints CA:TRUE), which
//! webpki rejects as a server certificate. Dates, extended key usage and names are checked as usual.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::der::{element, elements, extension};

/// Checks everything except the issuer.
pub fn verify(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    if check(&parsed, now)? == Role::Authority {
        // Webpki stops at the CA flag. Verify that it has checked the dates before: at the end of time every
        // certificate has expired.
        let end_of_time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::MAX));
        if !matches!(
            check(&parsed, end_of_time),
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
        ) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        if !allows_servers(certificate) {
            return Err(CertificateError::InvalidPurpose.into());
        }
    }
    verify_server_name(&parsed, server_name)
}

#[derive(PartialEq)]
enum Role {
    EndEntity,
    Authority,
}

/// Runs the checks of webpki: dates, then the CA flag, and last the issuer, whose failure is ignored.
fn check(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Result<Role, Error> {
    let no_roots = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(certificate, &no_roots, &[], now, &[]) {
        Ok(()) | Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Ok(Role::EndEntity),
        Err(error) if is_authority(&error) => Ok(Role::Authority),
        Err(error) => Err(error),
    }
}

/// Returns whether webpki rejected a CA certificate as a server certificate; rustls has no variant for this
/// error.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Returns whether the extended key usage, if present, includes TLS servers (RFC 5280 section 4.2.1.12).
fn allows_servers(certificate: &[u8]) -> bool {
    /// id-ce-extKeyUsage 2.5.29.37.
    const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    /// id-kp-serverAuth 1.3.6.1.5.5.7.3.1.
    const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    let Some(usages) = extension(certificate, EXTENDED_KEY_USAGE) else { return true };
    element(usages).is_some_and(|list| elements(list.content).any(|usage| usage.content == SERVER_AUTH))
}
