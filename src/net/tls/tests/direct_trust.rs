//! Certificates that are trusted directly: added as they are, or by the pin of their key.

use std::io::{Read, Write};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::harness::*;
use crate::error::{Error, ErrorKind};
use crate::net::tls::{Roots, TlsSettings};

/// Created by `openssl req -x509 -newkey rsa:2048 -nodes`: self-signed, CA:TRUE.
const OPENSSL: &str = include_str!("openssl/rsa_2048.pem");

/// Returns parameters like those of openssl, for a P-256 key.
fn like_openssl(name: &str) -> CertificateParams {
    let mut params = params(name, &["localhost", "127.0.0.1"]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params
}

fn added(pems: &[&str]) -> TlsSettings {
    let mut settings = TlsSettings::new();
    settings.set_roots(Roots::None);
    for pem in pems {
        settings.add_ca_pem(pem.as_bytes()).unwrap();
    }
    settings
}

fn pinned(pins: &[[u8; 32]]) -> TlsSettings {
    let mut settings = TlsSettings::new();
    settings.set_roots(Roots::None);
    pins.iter().for_each(|pin| settings.add_pin_sha256(*pin));
    settings
}

fn assert_accepted(identity: &Identity, settings: &TlsSettings, host: &str) {
    for version in [&TLS12, &TLS13] {
        let server = Server::tls(server_config_with(identity, &[version]), 1, |mut tls| {
            let mut got = [0; 2];
            tls.read_exact(&mut got).unwrap();
            tls.write_all(&got).unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        });
        let mut client = Client::connect(server.address, settings, host);
        client.handshake().unwrap();
        client.write_all(b"ok");
        assert_eq!(client.read_to_end(100).0, b"ok");
        server.results();
    }
}

fn assert_rejected(identity: &Identity, settings: &TlsSettings, host: &str, words: &str) {
    for version in [&TLS12, &TLS13] {
        let error = rejection(identity, settings, host, version);
        assert_eq!((error.kind, error.retriable), (ErrorKind::Tls, false), "{error}");
        assert!(error.message.contains(words), "{words} in {error}");
        assert_ne!(error.tls_alert, 0, "{error}");
    }
}

fn rejection(
    identity: &Identity,
    settings: &TlsSettings,
    host: &str,
    version: &'static SupportedProtocolVersion,
) -> Error {
    let server = Server::tls(server_config_with(identity, &[version]), 1, |mut tls| {
        tls.read(&mut [0]).expect_err("the client refuses");
    });
    let mut client = Client::connect(server.address, settings, host);
    let error = client.handshake().expect_err("the certificate was accepted");
    drop(client);
    server.results();
    error
}

#[test]
fn added_openssl_certificate_is_trusted() {
    let identity = identity_of(OPENSSL);
    for roots in [Roots::None, Roots::Webpki, Roots::Platform] {
        let mut settings = added(&[OPENSSL]);
        settings.set_roots(roots);
        assert_accepted(&identity, &settings, "localhost");
        assert_accepted(&identity, &settings, "127.0.0.1");
        assert_rejected(&identity, &settings, "other.test", "not for \"other.test\" but for localhost");
    }
    // An additional pin must match as usual.
    let mut settings = added(&[OPENSSL]);
    settings.add_pin_sha256(identity.pin());
    assert_accepted(&identity, &settings, "localhost");
    let mut settings = added(&[OPENSSL]);
    settings.add_pin_sha256([7; 32]);
    assert_rejected(&identity, &settings, "localhost", "is not pinned");
}

#[test]
fn matching_pin_is_enough_without_other_roots() {
    let ca = authority("Untrusted CA");
    for identity in [identity_of(OPENSSL), good(&ca), self_signed(like_openssl("mine"))] {
        assert_accepted(&identity, &pinned(&[[7; 32], identity.pin()]), "localhost");
        assert_accepted(&identity, &pinned(&[identity.pin()]), "127.0.0.1");
        assert_rejected(&identity, &pinned(&[identity.pin()]), "other.test", "not for \"other.test\"");
        assert_rejected(&identity, &pinned(&[[7; 32]]), "localhost", "is not pinned");
        // With other roots the issuer is checked as usual.
        let mut settings = pinned(&[identity.pin()]);
        settings.set_roots(Roots::Webpki);
        let error = rejection(&identity, &settings, "localhost", &TLS13);
        assert!(error.message.contains("fw_tls_add_ca_pem"), "{error}");
        let mut settings = pinned(&[identity.pin()]);
        settings.add_ca_pem(authority("Other CA").pem().as_bytes()).unwrap();
        rejection(&identity, &settings, "localhost", &TLS13);
    }
}

#[test]
fn issuer_pin_does_not_match_server() {
    let ca = authority("Untrusted CA");
    let mut identity = good(&ca);
    identity.chain.push(ca.der().clone());
    let pin = Identity {
        chain: Vec::new(),
        pem: String::new(),
        key: KeyPair::from_pem(&ca.key().serialize_pem()).unwrap(),
    };
    assert_rejected(&identity, &pinned(&[pin.pin()]), "localhost", "not with that of an issuer");
}

#[test]
fn dates_purpose_and_names_are_checked_without_issuer() {
    type Change = fn(&mut CertificateParams);
    let changes: [(Change, &str); 6] = [
        (|params| params.not_after = date_time_ymd(2020, 1, 2), "expired on 2020-01-02"),
        (|params| params.not_before = date_time_ymd(2999, 3, 4), "not valid before 2999-03-04"),
        (|params| params.subject_alt_names.clear(), "no subjectAltName"),
        (|params| params.subject_alt_names.truncate(1), "not for \"127.0.0.1\" but for localhost"),
        (
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "extended key usage",
        ),
        (|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], "extended key usage"),
    ];
    for (change, words) in changes {
        for is_ca in [IsCa::Ca(BasicConstraints::Unconstrained), IsCa::ExplicitNoCa, IsCa::NoCa] {
            // The common name matches the host, but is ignored (RFC 9525 section 2).
            let mut params = like_openssl("127.0.0.1");
            params.is_ca = is_ca;
            change(&mut params);
            let identity = self_signed(params);
            assert_rejected(&identity, &added(&[&identity.pem]), "127.0.0.1", words);
            assert_rejected(&identity, &pinned(&[identity.pin()]), "127.0.0.1", words);
        }
    }
}

#[test]
fn server_extended_key_usage_is_accepted() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    for usages in [vec![ServerAuth], vec![ClientAuth, ServerAuth]] {
        let mut params = like_openssl("mine");
        params.extended_key_usages = usages;
        let identity = self_signed(params);
        assert_accepted(&identity, &added(&[&identity.pem]), "localhost");
        assert_accepted(&identity, &pinned(&[identity.pin()]), "localhost");
    }
}

#[test]
fn certificate_with_key_or_subject_of_added_one_is_rejected() {
    let key = KeyPair::generate().unwrap();
    let of = |params: CertificateParams| {
        let certificate = params.self_signed(&key).unwrap();
        let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
        Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
    };
    let first = of(like_openssl("mine"));
    let settings = added(&[&first.pem]);
    assert_accepted(&first, &settings, "localhost");
    // The same subject and key, another serial number.
    assert_rejected(&of(like_openssl("mine")), &settings, "localhost", "a CA certificate");
    assert_rejected(&of(like_openssl("other")), &settings, "localhost", "a CA certificate");
    // The same subject, another key: not signed with the trusted key.
    let other = self_signed(like_openssl("mine"));
    assert_rejected(&other, &settings, "localhost", "a CA certificate");
    // One byte of the signature is different.
    let mut damaged = of(like_openssl("mine"));
    damaged.chain = vec![{
        let mut der = first.chain[0].to_vec();
        *der.last_mut().unwrap() ^= 1;
        der.into()
    }];
    assert_rejected(&damaged, &settings, "localhost", "a CA certificate");
}

#[test]
fn intermediate_authority_is_rejected_as_server() {
    let root = authority("Test CA");
    let below = issued(like_openssl("below"), &root);
    assert_rejected(&below, &trusting(&root), "localhost", "a CA certificate");
    let mut with_root = issued(like_openssl("below"), &root);
    with_root.chain.push(root.der().clone());
    assert_rejected(&with_root, &trusting(&root), "localhost", "a CA certificate");
    // Accepted if added directly.
    assert_accepted(&below, &added(&[&root.pem(), &below.pem]), "localhost");
}

#[test]
fn only_added_certificates_are_trusted() {
    let [one, two, three] = ["one", "two", "three"].map(|name| self_signed(like_openssl(name)));
    let ca = authority("Test CA");
    let settings = added(&[&one.pem, &format!("{}{}", ca.pem(), two.pem)]);
    assert_accepted(&one, &settings, "localhost");
    assert_accepted(&two, &settings, "localhost");
    assert_accepted(&good(&ca), &settings, "localhost");
    assert_rejected(&three, &settings, "localhost", "a CA certificate");
}

#[test]
fn added_server_certificate_needs_no_issuer() {
    let identity = good(&authority("Untrusted CA"));
    assert_accepted(&identity, &added(&[&identity.pem]), "localhost");
    assert_rejected(&good(&authority("Untrusted CA")), &added(&[&identity.pem]), "localhost", "not trusted");
}

#[test]
fn server_must_possess_key_of_added_certificate() {
    let shown = self_signed(like_openssl("mine"));
    for settings in [added(&[&shown.pem]), pinned(&[shown.pin()])] {
        for version in [&TLS12, &TLS13] {
            let other = KeyPair::generate().unwrap().serialize_der();
            let key = rustls::crypto::ring::sign::any_ecdsa_type(&other.try_into().unwrap()).unwrap();
            let config = server_config_signing(&shown.chain, key, &[version]);
            let server = Server::tls(config, 1, |mut tls| tls.read(&mut [0]).is_err());
            let error = Client::connect(server.address, &settings, "localhost").handshake().unwrap_err();
            assert!(error.message.contains("a signature is invalid"), "{error}");
            assert_eq!(server.results(), [true]);
        }
    }
}

#[test]
fn proxy_uses_added_certificates_but_not_pins() {
    let identity = identity_of(OPENSSL);
    assert_accepted(&identity, &added(&[OPENSSL]).for_proxy(), "localhost");
    let error = pinned(&[identity.pin()]).for_proxy().connector(false).err().unwrap();
    assert!(error.message.contains("pins do not apply to a proxy"), "{error}");
}
