//! Settings: validation, session resumption, ALPN and the key log.

use std::io::{Read, Write};
use std::net::TcpStream;

use rcgen::PublicKeyData;
use rustls::HandshakeKind;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::harness::*;
use crate::error::{CallError, Code};
use crate::net::stream::Stream;
use crate::net::tls::{Roots, TlsSettings};

fn refused(result: Result<(), CallError>, part: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument);
    assert!(error.message.contains(part), "{error}");
}

/// A test RSA key in PKCS#1 with its certificate; ring cannot generate RSA keys.
const RSA: &[u8] = include_bytes!("rsa.pem");

#[test]
fn unusable_pem_is_rejected_at_once() {
    let mut settings = TlsSettings::new();
    let player = self_signed(params("player", &[]));
    let (cert, key) = (player.pem.clone(), player.key.serialize_pem());
    refused(settings.add_ca_pem(b""), "no \"-----BEGIN CERTIFICATE-----\" section");
    refused(settings.add_ca_pem(b"certs/ca.pem"), "not its path");
    refused(settings.add_ca_pem(b"\xff\x00 no pem"), "no \"-----BEGIN CERTIFICATE-----\" section");
    refused(settings.add_ca_pem(key.as_bytes()), "no \"-----BEGIN CERTIFICATE-----\" section");
    refused(settings.add_ca_pem(&cert.as_bytes()[..cert.len() - 30]), "damaged");
    let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(settings.add_ca_pem(nonsense), "certificate 1 of the CA's PEM is not usable");
    refused(settings.set_client_cert_pem(b"", key.as_bytes()), "the client certificate: no");
    refused(settings.set_client_cert_pem(cert.as_bytes(), b""), "the client key: no");
    refused(settings.set_client_cert_pem(nonsense, key.as_bytes()), "cannot be used");
    let other = self_signed(params("other", &[])).key.serialize_pem();
    refused(settings.set_client_cert_pem(cert.as_bytes(), other.as_bytes()), "does not belong");
    settings.set_roots(Roots::None);
    assert_eq!(settings.connector(false).err().unwrap().code, Code::InvalidState);
}

#[test]
fn keys_of_all_three_formats_are_accepted() {
    let player = self_signed(params("player", &[]));
    let mut settings = TlsSettings::new();
    let pkcs8 = player.key.serialize_pem();
    settings.set_client_cert_pem(player.pem.as_bytes(), pkcs8.as_bytes()).unwrap();
    settings
        .set_client_cert_pem(player.pem.as_bytes(), sec1(&player.key.serialize_der()).as_bytes())
        .unwrap();
    assert!(matches!(PrivateKeyDer::from_pem_slice(RSA), Ok(PrivateKeyDer::Pkcs1(_))));
    settings.set_client_cert_pem(RSA, RSA).unwrap();
    assert!(CertificateDer::from_pem_slice(RSA).is_ok());
    assert!(!player.key.der_bytes().is_empty());
}

/// Returns the ECPrivateKey (RFC 5915) inside a PKCS#8 key of P-256.
fn sec1(pkcs8: &[u8]) -> String {
    // SEQUENCE { INTEGER 1, OCTET STRING of 32 bytes ...
    let start = pkcs8.windows(5).position(|bytes| bytes == [2, 1, 1, 4, 32]).unwrap() - 2;
    let inner = &pkcs8[start..start + 2 + usize::from(pkcs8[start + 1])];
    base64_pem("EC PRIVATE KEY", inner)
}

fn base64_pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for chunk in der.chunks(3) {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text + &format!("\n-----END {label}-----\n")
}

#[test]
fn invalid_host_name_is_an_error() {
    let connector = TlsSettings::new().connector(false).unwrap();
    let server = Server::tcp(1, |_| ());
    let tcp = TcpStream::connect(server.address).unwrap();
    let error = Stream::secure(mio::net::TcpStream::from_std(tcp), &connector, "a b").err().unwrap();
    assert!(error.message.contains("\"a b\"") && error.message.contains("not a host name"), "{error}");
    server.results();
}

/// Connects once and reads the session tickets.
fn connect(server: &Server<Option<HandshakeKind>>, settings: &TlsSettings, http2: bool) {
    let tcp = TcpStream::connect(server.address).unwrap();
    let mut client = Client::over(tcp, settings, "localhost", http2);
    client.handshake().unwrap();
    client.write_all(b"x");
    assert_eq!(client.read_to_end(100).0, b"x");
}

#[test]
fn sessions_are_resumed_until_the_settings_change() {
    use HandshakeKind::{Full, Resumed};
    let ca = authority("Test CA");
    let identity = good(&ca);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let server = Server::tls(server_config_with(&identity, &[version]), 5, |mut tls| {
            let mut got = [0];
            tls.read_exact(&mut got).unwrap();
            tls.write_all(&got).unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
            tls.conn.handshake_kind()
        });
        let mut settings = trusting(&ca);
        connect(&server, &settings, false);
        connect(&server, &settings, false);
        connect(&server, &settings.clone(), true);
        settings.add_pin_sha256(identity.pin());
        connect(&server, &settings, false);
        connect(&server, &trusting(&ca), false);
        let kinds = [Full, Resumed, Resumed, Full, Full].map(Some);
        assert_eq!(server.results(), kinds, "{version:?}");
    }
}

#[test]
fn http2_is_offered_only_if_requested() {
    let ca = authority("Test CA");
    let mut config = server_config(&good(&ca));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = Server::tls(config, 2, |mut tls| tls.conn.complete_io(&mut tls.sock).is_ok());
    for (http2, chosen) in [(false, &b"http/1.1"[..]), (true, b"h2")] {
        let tcp = TcpStream::connect(server.address).unwrap();
        let mut client = Client::over(tcp, &trusting(&ca), "localhost", http2);
        client.handshake().unwrap();
        assert_eq!(client.stream.alpn(), Some(chosen));
    }
    server.results();
}

/// Runs itself again in a child process, because the environment variable is process-wide.
#[test]
fn secrets_are_logged_only_if_enabled() {
    const NAME: &str = "SSLKEYLOGFILE";
    if std::env::var_os(NAME).is_some() {
        let ca = authority("Test CA");
        let server =
            Server::tls(server_config(&good(&ca)), 1, |mut tls| tls.conn.complete_io(&mut tls.sock).is_ok());
        let mut settings = trusting(&ca);
        settings.set_key_log(std::env::var_os("FW_TEST_KEY_LOG").is_some());
        Client::connect(server.address, &settings, "localhost").handshake().unwrap();
        server.results();
        return;
    }
    let this = "net::tls::tests::settings::secrets_are_logged_only_if_enabled";
    for switch in [false, true] {
        let file = std::env::temp_dir().join(format!("framewire-keys-{}-{switch}", std::process::id()));
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args([this, "--exact"]).env(NAME, &file);
        if switch {
            again.env("FW_TEST_KEY_LOG", "1");
        }
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let logged = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        assert_eq!(logged.contains("CLIENT_TRAFFIC_SECRET_0"), switch, "{logged}");
    }
}
