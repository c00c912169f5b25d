//! Test certificates: valid ones, and each kind of invalid one.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use time::{Duration, OffsetDateTime};

/// A certificate authority for one test.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
    /// The SubjectPublicKeyInfo, which public key pins hash with SHA-256.
    pub public_key_der: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("ring generates keys");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("the parameters are valid") }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Creates a valid certificate for `localhost`, `127.0.0.1` and `::1`.
    pub fn good(&self) -> Identity {
        self.sign(params("localhost", LOCAL))
    }

    pub fn expired(&self) -> Identity {
        let mut params = params("localhost", LOCAL);
        params.not_before = OffsetDateTime::now_utc() - Duration::days(60);
        params.not_after = OffsetDateTime::now_utc() - Duration::days(30);
        self.sign(params)
    }

    pub fn not_yet_valid(&self) -> Identity {
        let mut params = params("localhost", LOCAL);
        params.not_before = OffsetDateTime::now_utc() + Duration::days(30);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(60);
        self.sign(params)
    }

    pub fn for_another_host(&self) -> Identity {
        self.sign(params("elsewhere", &["elsewhere.example"]))
    }

    pub fn client(&self) -> Identity {
        let mut params = params("player", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("ring generates keys");
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are valid");
        identity(certificate.pem(), &key)
    }
}

const LOCAL: &[&str] = &["localhost", "127.0.0.1", "::1"];

/// A self-signed certificate that is not marked as a CA.
pub fn self_signed() -> Identity {
    let key = KeyPair::generate().expect("ring generates keys");
    let mut params = params("localhost", LOCAL);
    params.is_ca = IsCa::ExplicitNoCa;
    let certificate = params.self_signed(&key).expect("the parameters are valid");
    identity(certificate.pem(), &key)
}

/// A certificate like that of `openssl req -x509`: self-signed, and marked as a CA.
pub fn self_signed_like_openssl() -> Identity {
    let key = KeyPair::generate().expect("ring generates keys");
    let mut params = params("localhost", LOCAL);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    let certificate = params.self_signed(&key).expect("the parameters are valid");
    identity(certificate.pem(), &key)
}

fn identity(certificate: String, key: &KeyPair) -> Identity {
    use rcgen::PublicKeyData;
    Identity { certificate, key: key.serialize_pem(), public_key_der: key.subject_public_key_info() }
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("the names are valid");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(30);
    params
}

/// What a TLS server requires and supports.
#[derive(Clone, Copy, Default)]
pub struct Demands<'a> {
    /// Requires a client certificate of this authority.
    pub client_authority: Option<&'a Authority>,
    pub versions: Option<&'static [&'static SupportedProtocolVersion]>,
    /// ALPN protocols (RFC 7301) in order of preference; none ignores the client's offer.
    pub alpn: &'static [&'static str],
}

/// The TLS configuration of a server with this certificate.
pub fn server_config(identity: &Identity, demands: Demands<'_>) -> Arc<ServerConfig> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .map(|certificate| certificate.expect("our own PEM"))
        .collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("our own PEM");
    let versions = demands.versions.unwrap_or(rustls::ALL_VERSIONS);
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("the versions are supported");
    let builder = match demands.client_authority {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(authority.pem().as_bytes()) {
                roots.add(certificate.expect("our own PEM")).expect("our own authority");
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("the store has a root"))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).expect("the key matches the certificate");
    config.alpn_protocols = demands.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Arc::new(config)
}
