//! A certificate that is trusted by itself, not because of who issued it: the caller added this very
//! one, or pinned its key and trusts nobody else.
//!
//! `openssl req -x509` makes such certificates, and marks them as a CA's (basicConstraints CA:TRUE).
//! A chain must not end in a CA's certificate, so webpki refuses it as a server's. Here there is no
//! chain. Dates, extended key usage and names count as always.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::der::{element, elements, extension};

/// Checks everything but the issuer.
pub fn verify(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    if check(&parsed, now)? == Role::Authority {
        // Webpki stops at the role. That it had looked at the dates by then is taken for granted only
        // where it shows: at the end of all time every certificate has expired.
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

/// Webpki's checks, of which the one for the issuer comes last, and the one for the role after those
/// for the dates.
fn check(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Result<Role, Error> {
    let nobody = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], now, &[]) {
        Ok(()) | Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Ok(Role::EndEntity),
        Err(error) if is_authority(&error) => Ok(Role::Authority),
        Err(error) => Err(error),
    }
}

/// Whether this is webpki's refusal of a CA's certificate as a server's, for which rustls has no
/// variant of its own.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Whether the extended key usage, where there is one, names TLS servers (RFC 5280 section 4.2.1.12).
fn allows_servers(certificate: &[u8]) -> bool {
    /// id-ce-extKeyUsage 2.5.29.37.
    const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
    /// id-kp-serverAuth 1.3.6.1.5.5.7.3.1.
    const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
    let Some(usages) = extension(certificate, EXTENDED_KEY_USAGE) else { return true };
    element(usages).is_some_and(|list| elements(list.content).any(|usage| usage.content == SERVER_AUTH))
}
