//! Misconfigured servers: the error message says what to change.

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, CustomExtension, GeneralSubtree, IsCa, NameConstraints};
use rustls::sign::{Signer, SigningKey};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, SignatureAlgorithm, SignatureScheme};

use super::harness::*;
use crate::error::{Error, ErrorKind};
use crate::net::tls::{Roots, TlsSettings};

fn trusting_pem(pem: &str) -> TlsSettings {
    let mut settings = TlsSettings::new();
    settings.set_roots(Roots::None);
    settings.add_ca_pem(pem.as_bytes()).unwrap();
    settings
}

/// Returns the errors of connections to a server with this configuration, over TLS 1.2 and 1.3.
fn handshake_errors(
    config: impl Fn(&'static rustls::SupportedProtocolVersion) -> rustls::ServerConfig,
    settings: &TlsSettings,
) -> [Error; 2] {
    [&TLS12, &TLS13].map(|version| {
        let server = Server::tls(config(version), 1, |mut tls| {
            let _ = tls.read(&mut [0]);
            let _ = tls.sock.shutdown(std::net::Shutdown::Write);
            let _ = tls.sock.read_to_end(&mut Vec::new());
        });
        let mut client = Client::connect(server.address, settings, "localhost");
        let error = match client.handshake() {
            // In TLS 1.3 the server may reject the client after its handshake is done.
            Ok(()) => client.read_to_end(100).1.expect_err("the server was accepted"),
            Err(error) => error,
        };
        drop(client);
        server.results();
        error
    })
}

fn assert_error(error: &Error, alert: AlertDescription, parts: &[&str]) {
    assert_eq!((error.kind, error.retriable), (ErrorKind::Tls, false), "{error}");
    assert_eq!(error.tls_alert, u8::from(alert), "{error}");
    for part in parts {
        assert!(error.message.contains(part), "{part} in {error}");
    }
    crate::plain_text::check(&error.message);
}

#[test]
fn unsupported_openssl_certificates_are_rejected_with_advice() {
    let [p521, rsa_2048] = [include_str!("openssl/p521.pem"), include_str!("openssl/rsa_2048.pem")];
    let version_1 = include_str!("openssl/version_1.pem");
    for (shown, trusted, alert, parts) in [
        (
            include_str!("openssl/signed_by_p521.pem"),
            p521,
            AlertDescription::DecryptError,
            [
                "signed by ECDSA with SHA-512 (usual for keys on P-521), which is not accepted",
                "on P-256 or P-384",
            ],
        ),
        (
            include_str!("openssl/signed_with_sha1.pem"),
            rsa_2048,
            AlertDescription::DecryptError,
            ["signed by RSA with SHA-1, which is not accepted", "SHA-256"],
        ),
        (
            version_1,
            version_1,
            AlertDescription::CertificateUnknown,
            ["not X.509 version 3", "subjectAltName"],
        ),
    ] {
        let identity = identity_of(shown);
        let key = rustls::crypto::ring::sign::any_supported_type(&identity.private_key()).unwrap();
        let errors = handshake_errors(
            |version| server_config_signing(&identity.chain, key.clone(), &[version]),
            &trusting_pem(trusted),
        );
        errors.iter().for_each(|error| assert_error(error, alert, &parts));
    }
}

/// Produces invalid RSA signatures, or claims a P-521 key, which is not offered.
#[derive(Debug, Clone)]
struct InvalidSigner(Option<SignatureScheme>);

impl SigningKey for InvalidSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.filter(|scheme| offered.contains(scheme)).map(|_| Box::new(self.clone()) as Box<dyn Signer>)
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        if self.0.is_some() { SignatureAlgorithm::RSA } else { SignatureAlgorithm::ECDSA }
    }
}

impl Signer for InvalidSigner {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![1; 128])
    }
    fn scheme(&self) -> SignatureScheme {
        self.0.unwrap()
    }
}

#[test]
fn too_small_rsa_key_is_reported_with_size() {
    let pem = include_str!("openssl/rsa_1024.pem");
    let signer = Arc::new(InvalidSigner(Some(SignatureScheme::RSA_PSS_SHA256)));
    for error in handshake_errors(
        |version| server_config_signing(&chain_of(pem), signer.clone(), &[version]),
        &trusting_pem(pem),
    ) {
        assert_error(&error, AlertDescription::DecryptError, &["RSA key has 1024 bits", "2048 to 8192"]);
    }
}

#[test]
fn p521_key_error_lists_offered_algorithms() {
    let pem = include_str!("openssl/p521.pem");
    let config = |version| server_config_signing(&chain_of(pem), Arc::new(InvalidSigner(None)), &[version]);
    // Over TLS 1.2 this server closes without an alert.
    let [_, error] = handshake_errors(config, &trusting_pem(pem));
    let offer = "ECDSA on P-256 or P-384";
    assert_error(
        &error,
        AlertDescription::HandshakeFailure,
        &["no algorithms in common", offer, "on the server"],
    );
}

#[test]
fn chains_violating_ca_constraints_are_rejected_with_constraint() {
    let good_params = || params("good", &["localhost"]);
    let root = authority("Test CA");
    let mut extended = good_params();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    extended.custom_extensions.push(unknown);

    let of = |params: rcgen::CertificateParams, by: &Authority| {
        rcgen::CertifiedIssuer::signed_by(params, rcgen::KeyPair::generate().unwrap(), by).unwrap()
    };
    let mut constrained = authority_params("Constrained CA");
    constrained.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("elsewhere.test".into())],
        excluded_subtrees: Vec::new(),
    });
    let constrained = of(constrained, &root);
    let mut short = authority_params("Short CA");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let short = of(short, &root);
    let below_short = of(authority_params("CA too many"), &short);
    let mut no_authority = authority_params("no CA");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    let no_authority = of(no_authority, &root);

    let through = |by: &[&Authority]| {
        let mut identity = issued(good_params(), by[0]);
        identity.chain.extend(by.iter().map(|authority| authority.der().clone()));
        identity
    };
    for (identity, words) in [
        (issued(extended, &root), "extension marked critical"),
        (through(&[&constrained]), "nameConstraints"),
        (through(&[&below_short, &short]), "pathLenConstraint"),
        (through(&[&no_authority]), "not a CA"),
    ] {
        let key = rustls::crypto::ring::sign::any_supported_type(&identity.private_key()).unwrap();
        let config = |version| server_config_signing(&identity.chain, key.clone(), &[version]);
        for error in handshake_errors(config, &trusting(&root)) {
            assert_error(&error, AlertDescription::CertificateUnknown, &[words]);
        }
    }
}

#[test]
fn alpn_without_http_is_explained() {
    let ca = authority("Test CA");
    for error in handshake_errors(
        |version| {
            let mut config = server_config_with(&good(&ca), &[version]);
            config.alpn_protocols = vec![b"mqtt".to_vec()];
            config
        },
        &trusting(&ca),
    ) {
        assert_error(&error, AlertDescription::NoApplicationProtocol, &["ALPN", "http/1.1"]);
    }
}

#[test]
fn rejected_client_certificate_is_explained() {
    let (ca, untrusted) = (authority("Test CA"), authority("Untrusted CA"));
    let player = issued(params("player", &[]), &untrusted);
    let mut settings = trusting(&ca);
    settings.set_client_cert_pem(player.pem.as_bytes(), player.key.serialize_pem().as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = crate::net::tls::provider::provider();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = verifier.build().unwrap();
    let identity = good(&ca);
    for error in handshake_errors(
        |version| {
            rustls::ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[version])
                .unwrap()
                .with_client_cert_verifier(verifier.clone())
                .with_single_cert(identity.chain.clone(), identity.private_key())
                .unwrap()
        },
        &settings,
    ) {
        assert_error(
            &error,
            AlertDescription::UnknownCA,
            &["does not accept the client certificate", "unknown_ca"],
        );
    }
}

/// Returns the error of a handshake with a server that sends `respond(hello)` and closes.
fn error_after(respond: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Error {
    let server = Server::tcp(1, move |mut tcp| {
        let mut hello = [0; 16 << 10];
        let n = tcp.read(&mut hello).unwrap();
        tcp.write_all(&respond(&hello[..n])).unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    let error = Client::connect(server.address, &TlsSettings::new(), "localhost").handshake().unwrap_err();
    server.results();
    error
}

/// A ServerHello (RFC 8446 section 4.1.3) in a separate record.
fn server_hello(
    version: [u8; 2],
    random: &[u8],
    session: &[u8],
    suite: [u8; 2],
    extensions: &[u8],
) -> Vec<u8> {
    let mut body = [&version[..], random, &[session.len() as u8], session, &suite, &[0]].concat();
    if !extensions.is_empty() {
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
    }
    let length = body.len() as u16;
    let record =
        [&[22, version[0], version[1]][..], &(length + 4).to_be_bytes(), &[2, 0], &length.to_be_bytes()];
    [record.concat(), body].concat()
}

#[test]
fn old_tls_versions_are_rejected_with_required_ones() {
    // ServerHello of TLS 1.1 and 1.0, and a server that rejects at once.
    for version in [[3, 2], [3, 1]] {
        let error = error_after(move |_| server_hello(version, &[7; 32], &[], [0xc0, 0x13], &[]));
        assert_error(
            &error,
            AlertDescription::ProtocolVersion,
            &["neither TLS 1.2 nor TLS 1.3", "on the server"],
        );
    }
    let error = error_after(|_| vec![21, 3, 1, 0, 2, 2, 70]);
    assert_error(
        &error,
        AlertDescription::ProtocolVersion,
        &["neither TLS 1.2 nor TLS 1.3", "on the server"],
    );
}

#[test]
fn missing_common_algorithm_error_lists_offer() {
    let offer = ["AES-GCM", "no CBC", "X25519, P-256 and P-384", "RSA (2048 to 8192 bits)"];
    for number in [40, 71] {
        let error = error_after(move |_| vec![21, 3, 3, 0, 2, 2, number]);
        assert_error(&error, AlertDescription::from(number), &offer);
        assert!(error.message.contains("fw_tls_set_client_cert_pem"), "{error}");
    }
    // ECDHE-RSA-AES128-SHA (CBC), which was not offered.
    let error = error_after(|_| server_hello([3, 3], &[7; 32], &[], [0xc0, 0x13], &[]));
    assert_error(&error, AlertDescription::IllegalParameter, &offer);
    assert!(error.message.contains("selected unoffered cipher suite"), "{error}");
    // A HelloRetryRequest for secp521r1.
    let error = error_after(|hello| {
        const RETRY: [u8; 32] = [
            0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
            0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
        ];
        let session = &hello[44..44 + usize::from(hello[43])];
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 25];
        server_hello([3, 3], &RETRY, session, [0x13, 0x01], &extensions)
    });
    assert_error(&error, AlertDescription::IllegalParameter, &offer);
}

#[test]
fn damaged_responses_are_explained_without_identifiers() {
    // An oversized record after a valid ServerHello of TLS 1.2.
    let error = error_after(|_| {
        let hello = server_hello([3, 3], &[7; 32], &[], [0xc0, 0x2f], &[0, 23, 0, 0]);
        [&hello[..], &[22, 3, 3, 0xff, 0xff], &[0; 400]].concat()
    });
    assert_error(&error, AlertDescription::DecodeError, &["invalid TLS data (message too large)"]);
    // A Finished in place of the certificate.
    let error = error_after(|_| {
        let hello = server_hello([3, 3], &[7; 32], &[], [0xc0, 0x2f], &[0, 23, 0, 0]);
        [&hello[..], &[22, 3, 3, 0, 4, 20, 0, 0, 0]].concat()
    });
    assert!(
        error.message.contains("unexpected message: finished") || error.message.contains("invalid TLS data"),
        "{error}"
    );
    crate::plain_text::check(&error.message);
}

#[test]
fn bad_pem_is_explained_without_identifiers() {
    let player = self_signed(params("player", &[]));
    let (cert, key) = (player.pem.clone(), player.key.serialize_pem());
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let old_key = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let mut settings = TlsSettings::new();
    let small = include_str!("openssl/rsa_1024.pem");
    let p521 = include_str!("openssl/p521.pem");
    for error in [
        settings.add_ca_pem(nonsense.as_bytes()),
        settings.add_ca_pem(&cert.as_bytes()[..cert.len() - 30]),
        settings.add_ca_pem(b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"),
        settings.add_ca_pem(b"-----BEGIN CERTIFICATE\nAAAA\n-----END CERTIFICATE-----\n"),
        settings.set_client_cert_pem(nonsense.as_bytes(), key.as_bytes()),
        settings.set_client_cert_pem(cert.as_bytes(), no_key.as_bytes()),
        settings.set_client_cert_pem(cert.as_bytes(), old_key.as_bytes()),
        settings.set_client_cert_pem(small.as_bytes(), small.as_bytes()),
        settings.set_client_cert_pem(p521.as_bytes(), p521.as_bytes()),
    ] {
        let message = error.expect_err("invalid PEM was accepted").message;
        crate::plain_text::check(&message);
    }
}
