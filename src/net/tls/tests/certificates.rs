//! Which server certificates are accepted, and the errors for the others.

use std::io::{Read, Write};

use rcgen::{IsCa, date_time_ymd};
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, RootCertStore, ServerConfig};

use super::harness::*;
use crate::error::{Error, ErrorKind, Phase};
use crate::net::tls::provider::provider;
use crate::net::tls::{Roots, TlsSettings, TlsVersion};

/// Runs a handshake that must fail; returns the error, and the alert that the server received.
fn rejection(identity: &Identity, settings: &TlsSettings, host: &str) -> (Error, Option<u8>) {
    let server = Server::tls(server_config(identity), 1, |mut tls| {
        while tls.conn.is_handshaking() {
            if let Err(error) = tls.conn.complete_io(&mut tls.sock) {
                return alert_in(&error);
            }
        }
        // In TLS 1.3 the server finishes the handshake before it receives the alert.
        tls.read(&mut [0]).err().and_then(|error| alert_in(&error))
    });
    let mut client = Client::connect(server.address, settings, host);
    let error = client.handshake().expect_err("the certificate was accepted");
    drop(client);
    (error, server.results()[0])
}

fn alert_in(error: &std::io::Error) -> Option<u8> {
    match error.get_ref()?.downcast_ref() {
        Some(rustls::Error::AlertReceived(alert)) => Some(u8::from(*alert)),
        _ => None,
    }
}

fn assert_accepted(identity: &Identity, settings: &TlsSettings, host: &str) {
    let server = Server::tls(server_config(identity), 1, |mut tls| {
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
    assert_eq!(client.stream.alpn(), None, "the server chose none");
    assert_eq!(client.stream.tls_version(), Some(TlsVersion::Tls13));
    server.results();
}

#[test]
fn valid_certificate_is_accepted_for_name_and_address() {
    let ca = authority("Test CA");
    let settings = trusting(&ca);
    assert_accepted(&good(&ca), &settings, "localhost");
    assert_accepted(&good(&ca), &settings, "127.0.0.1");
}

#[test]
fn invalid_certificates_are_rejected_with_reason() {
    let ca = authority("Test CA");
    let settings = trusting(&ca);
    let mut expired = params("old", &["localhost"]);
    expired.not_after = date_time_ymd(2020, 1, 2);
    let mut early = params("early", &["localhost"]);
    early.not_before = date_time_ymd(2999, 3, 4);
    let other = authority("Other CA");
    let cases = [
        (issued(expired, &ca), AlertDescription::CertificateExpired, ["expired on 2020-01-02", "clock"]),
        (issued(early, &ca), AlertDescription::CertificateExpired, ["not valid before 2999-03-04", "clock"]),
        (
            issued(params("other", &["other.test", "10.0.0.1"]), &ca),
            AlertDescription::BadCertificate,
            ["not for \"localhost\" but for other.test, 10.0.0.1", "subjectAltName"],
        ),
        (
            self_signed(params("My Server", &["localhost"])),
            AlertDescription::UnknownCA,
            ["\"My Server\" is self-signed", "fw_tls_add_ca_pem"],
        ),
        (
            issued(params("good", &["localhost"]), &other),
            AlertDescription::UnknownCA,
            ["issued by \"Other CA\", which is not trusted", "fw_tls_add_ca_pem"],
        ),
        (
            self_signed({
                let mut params = params("CA as server", &["localhost"]);
                params.is_ca = authority_params("").is_ca;
                params
            }),
            AlertDescription::CertificateUnknown,
            [
                "a CA certificate \"CA as server\"",
                "self-signed ones often are; if it is yours, add this certificate",
            ],
        ),
    ];
    for (identity, alert, parts) in cases {
        let (error, alert_at_server) = rejection(&identity, &settings, "localhost");
        assert_eq!((error.kind, error.phase), (ErrorKind::Tls, Phase::Tls), "{error}");
        assert!(!error.retriable, "{error}");
        assert!(error.message.starts_with("TLS with \"localhost\": "), "{error}");
        for part in parts {
            assert!(error.message.contains(part), "{error}");
        }
        assert_eq!(error.tls_alert, u8::from(alert), "{error}");
        assert_eq!(alert_at_server, Some(error.tls_alert), "{error}");
    }
}

#[test]
fn address_is_checked_against_address_names() {
    let ca = authority("Test CA");
    let (error, _) = rejection(&issued(params("x", &["localhost"]), &ca), &trusting(&ca), "127.0.0.1");
    assert!(error.message.contains("not for \"127.0.0.1\" but for localhost"), "{error}");
}

#[test]
fn added_self_signed_certificate_is_accepted() {
    let mut params = params("mine", &["localhost"]);
    params.is_ca = IsCa::ExplicitNoCa;
    let identity = self_signed(params);
    let mut settings = TlsSettings::new();
    settings.add_ca_pem(identity.pem.as_bytes()).unwrap();
    assert_accepted(&identity, &settings, "localhost");
}

#[test]
fn built_in_roots_reject_private_authority() {
    let ca = authority("Test CA");
    let (error, _) = rejection(&good(&ca), &TlsSettings::new(), "localhost");
    assert!(error.message.contains("\"Test CA\", which is not trusted"), "{error}");
}

#[test]
fn private_authority_can_be_added_to_system_roots() {
    let ca = authority("Test CA");
    let mut settings = TlsSettings::new();
    settings.set_roots(Roots::Platform);
    settings.add_ca_pem(ca.pem().as_bytes()).unwrap();
    assert_accepted(&good(&ca), &settings, "localhost");
    let untrusted = authority("Untrusted CA");
    rejection(&good(&untrusted), &settings, "localhost");
}

#[test]
fn one_of_several_pins_is_enough() {
    let ca = authority("Test CA");
    let identity = good(&ca);
    let mut settings = trusting(&ca);
    settings.add_pin_sha256([7; 32]);
    settings.add_pin_sha256(identity.pin());
    assert_accepted(&identity, &settings, "localhost");
}

#[test]
fn unpinned_key_is_rejected_with_its_hash() {
    let ca = authority("Test CA");
    let identity = good(&ca);
    let mut settings = trusting(&ca);
    settings.add_pin_sha256([7; 32]);
    let (error, alert_at_server) = rejection(&identity, &settings, "localhost");
    let hash: String = identity.pin().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(error.message.contains("is not pinned") && error.message.contains(&hash), "{error}");
    assert_eq!(alert_at_server, Some(error.tls_alert));
}

#[test]
fn pin_does_not_replace_other_checks() {
    let ca = authority("Test CA");
    let identity = good(&authority("Untrusted CA"));
    let mut settings = trusting(&ca);
    settings.add_pin_sha256(identity.pin());
    let (error, _) = rejection(&identity, &settings, "localhost");
    assert!(error.message.contains("\"Untrusted CA\", which is not trusted"), "{error}");
}

#[test]
fn insecure_accepts_any_chain_but_checks_pins() {
    let identity = self_signed(params("any", &["elsewhere.test"]));
    let mut settings = TlsSettings::new();
    settings.set_insecure(true);
    assert_accepted(&identity, &settings, "localhost");
    settings.add_pin_sha256(identity.pin());
    assert_accepted(&identity, &settings, "localhost");
    let (error, _) = rejection(&self_signed(params("any", &["elsewhere.test"])), &settings, "localhost");
    assert!(error.message.contains("is not pinned"), "{error}");
}

#[test]
fn insecure_still_verifies_possession_of_key() {
    let (shown, other) = (self_signed(params("a", &["localhost"])), self_signed(params("b", &["localhost"])));
    let stolen = Identity { chain: shown.chain, pem: shown.pem, key: other.key };
    let mut settings = TlsSettings::new();
    settings.set_insecure(true);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let key = provider().key_provider.load_private_key(stolen.private_key()).unwrap();
        let config = server_config_signing(&stolen.chain, key, &[version]);
        let server = Server::tls(config, 1, |mut tls| tls.read(&mut [0]).is_err());
        let error = Client::connect(server.address, &settings, "localhost").handshake().unwrap_err();
        assert!(error.message.contains("a signature is invalid"), "{error}");
        assert_eq!(server.results(), [true]);
    }
}

fn requires_client_certificate(
    ca: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
) -> Server<Option<usize>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build().unwrap();
    let identity = good(ca);
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.private_key())
        .unwrap();
    Server::tls(config, 1, |mut tls| {
        let handshake = tls.conn.complete_io(&mut tls.sock);
        let certificates = tls.conn.peer_certificates().map(<[_]>::len);
        if handshake.is_ok() {
            tls.conn.send_close_notify();
        }
        let _ = tls.flush();
        // Reads everything, so that closing does not send a reset that would discard the alert.
        let _ = tls.sock.shutdown(std::net::Shutdown::Write);
        let _ = tls.sock.read_to_end(&mut Vec::new());
        certificates
    })
}

#[test]
fn client_certificate_is_sent_on_request() {
    let ca = authority("Test CA");
    let player = issued(params("player", &[]), &ca);
    let mut settings = trusting(&ca);
    settings.set_client_cert_pem(player.pem.as_bytes(), player.key.serialize_pem().as_bytes()).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = requires_client_certificate(&ca, version);
        let mut client = Client::connect(server.address, &settings, "localhost");
        client.handshake().unwrap();
        let (_, end) = client.read_to_end(100);
        assert!(end.is_ok(), "{end:?}");
        drop(client);
        assert_eq!(server.results(), [Some(1)]);
    }
}

#[test]
fn missing_client_certificate_is_explained() {
    let ca = authority("Test CA");
    // TLS 1.2 fails in the handshake.
    let server = requires_client_certificate(&ca, &rustls::version::TLS12);
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    let error = client.handshake().unwrap_err();
    assert_eq!(error.phase, Phase::Tls);
    assert!(error.message.contains("client certificate") && error.tls_alert != 0, "{error}");
    drop(client);
    assert_eq!(server.results(), [None]);
    // In TLS 1.3 the handshake is done on this side, and the alert arrives in a later phase.
    let server = requires_client_certificate(&ca, &rustls::version::TLS13);
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    client.handshake().unwrap();
    client.stream.set_phase(Phase::Upgrade);
    let error = client.read_to_end(100).1.unwrap_err();
    assert_eq!((error.kind, error.phase), (ErrorKind::Tls, Phase::Upgrade));
    assert_eq!(error.tls_alert, u8::from(AlertDescription::CertificateRequired));
    assert!(error.message.contains("fw_tls_set_client_cert_pem"), "{error}");
    drop(client);
    assert_eq!(server.results(), [None]);
}

#[test]
fn tls_1_2_server_is_supported() {
    let ca = authority("Test CA");
    let mut config = server_config_with(&good(&ca), &[&rustls::version::TLS12]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server = Server::tls(config, 1, |mut tls| tls.write_all(b"hello").and_then(|()| tls.flush()).is_ok());
    let mut client = Client::connect(server.address, &trusting(&ca), "localhost");
    client.handshake().unwrap();
    assert_eq!(client.stream.tls_version(), Some(TlsVersion::Tls12));
    assert_eq!(client.stream.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(client.read_to_end(100).0, b"hello");
    assert_eq!(server.results(), [true]);
}

/// Returns the error of a handshake with a server that sends `response` and closes.
fn error_after(response: &'static [u8]) -> Error {
    let server = Server::tcp(1, move |mut tcp| {
        let mut hello = [0; 16 << 10];
        assert_ne!(tcp.read(&mut hello).unwrap(), 0);
        tcp.write_all(response).unwrap();
        tcp.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    let error = Client::connect(server.address, &TlsSettings::new(), "localhost").handshake().unwrap_err();
    server.results();
    error
}

#[test]
fn server_without_tls_is_detected() {
    for response in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-x\r\n", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"]
    {
        let error = error_after(response);
        assert!(error.message.contains("does not speak TLS on this port; use ws:"), "{error}");
        assert_eq!((error.kind, error.retriable), (ErrorKind::Tls, false));
    }
}

#[test]
fn close_during_handshake_is_retriable() {
    let error = error_after(b"");
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Reset, Phase::Tls, true));
    assert!(error.message.contains("closed the connection during the handshake"), "{error}");
}

#[test]
fn server_alerts_are_explained() {
    // Record: alert (21), TLS 1.2, two bytes: fatal, description (RFC 8446 section 6).
    for (response, number, part) in [
        (&[21, 3, 3, 0, 2, 2, 70], 70, "neither TLS 1.2 nor TLS 1.3"),
        (&[21, 3, 3, 0, 2, 2, 40], 40, "no algorithms in common"),
        (&[21, 3, 3, 0, 2, 2, 112], 112, "does not know this host name"),
    ] {
        let error = error_after(response);
        assert!(error.message.contains(part), "{error}");
        assert_eq!((error.kind, error.tls_alert), (ErrorKind::Tls, number));
    }
}
