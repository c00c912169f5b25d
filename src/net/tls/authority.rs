//! Certificates that can be trusted as authorities.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// Checks that `certificate` can be used as a root.
pub fn check_authority(certificate: &CertificateDer<'static>) -> Result<(), rustls::Error> {
    RootCertStore::empty().add(certificate.clone())
}
