//! TLS: which certificates are trusted, and the errors for the others.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Client, Seen, exclusive};
use framewire::{Error, ErrorKind, EventType, LogLevel, Phase, Roots, Tls};
use framewire_servers::certs::{self, Demands, Identity, server_config};
use framewire_servers::{Authority, EchoServer, Scripted};

const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

/// Settings that trust this authority only.
fn trusting(authority: &Authority) -> Tls {
    let tls = Tls::create().unwrap();
    tls.set_roots(Roots::None).unwrap();
    tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
    tls
}

fn server(identity: &Identity) -> EchoServer {
    EchoServer::start_tls(server_config(identity, Demands::default()))
}

/// A socket for the server, opening with these settings.
fn opening(server: &EchoServer, tls: Option<&Tls>) -> Client {
    let client = Client::new(&server.url("/"));
    client.set_tls(tls).unwrap();
    client.open().unwrap();
    client
}

/// Opens and echoes, so that session tickets have been received.
fn assert_echoes(server: &EchoServer, tls: Option<&Tls>) {
    let client = opening(server, tls);
    assert_eq!(client.next(), Seen::Open);
    client.send_text("hello").unwrap();
    assert_eq!(client.next(), Seen::Text("hello".into()));
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
}

/// The error with which the handshake failed.
fn refused(server: &EchoServer, tls: Option<&Tls>) -> Error {
    let error = opening(server, tls).error();
    assert_eq!(error.kind, ErrorKind::Tls, "{error}");
    assert!(!error.retriable, "{error}");
    assert_ne!(error.tls_alert, 0, "{error}");
    error
}

#[test]
fn invalid_certificates_are_refused_with_the_reason() {
    let (authority, untrusted) = (Authority::new("Test CA"), Authority::new("Untrusted CA"));
    let trusted = trusting(&authority);
    for (identity, words) in [
        (authority.expired(), "expired"),
        (authority.not_yet_valid(), "not valid before"),
        (authority.for_another_host(), "elsewhere.example"),
        (certs::self_signed(), "self-signed"),
        (untrusted.good(), "Untrusted CA"),
    ] {
        let server = server(&identity);
        let error = refused(&server, Some(&trusted));
        assert_eq!(error.phase, Phase::Tls, "{error}");
        assert!(error.message.contains(words), "{words} in {error}");
        assert!(error.message.contains("localhost"), "{error}");
    }
}

#[test]
fn default_settings_do_not_trust_an_unknown_authority() {
    let server = server(&Authority::new("Untrusted CA").good());
    let error = refused(&server, None);
    assert!(error.message.contains("Untrusted CA"), "{error}");
}

#[test]
fn added_authority_is_trusted_by_name_and_address() {
    let authority = Authority::new("Test CA");
    let server = server(&authority.good());
    let tls = trusting(&authority);
    assert_echoes(&server, Some(&tls));
    let by_address = Client::new(&format!("wss://127.0.0.1:{}/", server.port()));
    by_address.set_tls(Some(&tls)).unwrap();
    by_address.open().unwrap();
    assert_eq!(by_address.next(), Seen::Open);
}

#[test]
fn tls_changes_affect_sockets_opened_later() {
    let authority = Authority::new("Test CA");
    let server = server(&authority.good());
    let tls = Tls::create().unwrap();
    refused(&server, Some(&tls));
    tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
    assert_echoes(&server, Some(&tls));
    assert!(tls.add_ca_pem(b"nothing usable").is_err());
    // A socket keeps its settings alive.
    let client = Client::new(&server.url("/"));
    client.set_tls(Some(&tls)).unwrap();
    tls.destroy().unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
}

#[test]
fn pinned_key_must_match() {
    let authority = Authority::new("Test CA");
    let identity = authority.good();
    let server = server(&identity);
    let pin =
        |bytes: &[u8]| <[u8; 32]>::try_from(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    let own = pin(&identity.public_key_der).unwrap();

    let matching = trusting(&authority);
    matching.add_pin_sha256([0; 32]).unwrap();
    matching.add_pin_sha256(own).unwrap();
    assert_echoes(&server, Some(&matching));

    let other = trusting(&authority);
    other.add_pin_sha256([0; 32]).unwrap();
    let error = refused(&server, Some(&other));
    let hex: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(error.message.contains("pinned") && error.message.to_lowercase().contains(&hex), "{error}");
}

/// The certificate that `openssl req -x509` generates, a common one of test servers.
#[test]
fn openssl_self_signed_certificate_is_trusted_when_added_or_pinned() {
    let identity = certs::self_signed_like_openssl();
    let pin = ring::digest::digest(&ring::digest::SHA256, &identity.public_key_der);
    let pin = <[u8; 32]>::try_from(pin.as_ref()).unwrap();
    for versions in [None, Some(TLS12)] {
        let server =
            EchoServer::start_tls(server_config(&identity, Demands { versions, ..Demands::default() }));
        let added = Tls::create().unwrap();
        assert!(refused(&server, Some(&added)).message.contains("fw_tls_add_ca_pem"));
        added.add_ca_pem(identity.certificate.as_bytes()).unwrap();
        assert_echoes(&server, Some(&added));

        let pinned = Tls::create().unwrap();
        pinned.add_pin_sha256(pin).unwrap();
        // With the built-in roots, a pin does not replace verification.
        refused(&server, Some(&pinned));
        pinned.set_roots(Roots::None).unwrap();
        assert_echoes(&server, Some(&pinned));

        let other = self::server(&certs::self_signed_like_openssl());
        refused(&other, Some(&added));
        let error = refused(&other, Some(&pinned));
        assert!(error.message.contains("pinned"), "{error}");
    }
}

#[test]
fn client_certificate_is_sent_on_request() {
    let authority = Authority::new("Test CA");
    for versions in [None, Some(TLS12)] {
        let demands = Demands { client_authority: Some(&authority), versions, ..Demands::default() };
        let server = EchoServer::start_tls(server_config(&authority.good(), demands));
        let without = trusting(&authority);
        let error = refused(&server, Some(&without));
        assert!(error.message.contains("client certificate"), "{error}");

        let with = trusting(&authority);
        let identity = authority.client();
        with.set_client_cert_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap();
        assert_echoes(&server, Some(&with));
    }
}

#[test]
fn insecure_accepts_any_certificate() {
    let authority = Authority::new("Test CA");
    for identity in [certs::self_signed(), authority.expired(), authority.for_another_host()] {
        let server = server(&identity);
        let tls = Tls::create().unwrap();
        tls.set_insecure(true).unwrap();
        assert_echoes(&server, Some(&tls));
        tls.set_insecure(false).unwrap();
        refused(&server, Some(&tls));
    }
}

#[test]
fn insecure_logs_a_warning() {
    let _exclusive = exclusive();
    let server = server(&certs::self_signed());
    let warnings = Arc::new(AtomicUsize::new(0));
    let own = warnings.clone();
    framewire::set_log(
        LogLevel::Warn,
        Some(Arc::new(move |level, _, _, message| {
            let warned = level == LogLevel::Warn && message.starts_with("certificates are not checked");
            own.fetch_add(usize::from(warned), Ordering::SeqCst);
        })),
    );
    let tls = Tls::create().unwrap();
    tls.set_insecure(true).unwrap();
    assert_echoes(&server, Some(&tls));
    assert!(warnings.load(Ordering::SeqCst) > 0);
    framewire::set_log(LogLevel::Off, None);
}

#[test]
fn sockets_with_shared_settings_resume_sessions() {
    let authority = Authority::new("Test CA");
    for versions in [None, Some(TLS12)] {
        let demands = Demands { versions, ..Demands::default() };
        let server = EchoServer::start_tls(server_config(&authority.good(), demands));
        let tls = trusting(&authority);
        assert_echoes(&server, Some(&tls));
        assert_eq!(server.resumed(), 0);
        assert_echoes(&server, Some(&tls));
        assert_eq!(server.resumed(), 1, "{versions:?}");
        // Other settings have their own session cache, and do not trust the server.
        assert_echoes(&server, Some(&trusting(&authority)));
        assert_eq!(server.resumed(), 1);
        refused(&server, None);
    }
}

#[test]
fn tls_1_2_is_supported() {
    let authority = Authority::new("Test CA");
    let demands = Demands { versions: Some(TLS12), ..Demands::default() };
    let server = EchoServer::start_tls(server_config(&authority.good(), demands));
    assert_echoes(&server, Some(&trusting(&authority)));
}

#[test]
fn large_messages_pass_over_tls() {
    let authority = Authority::new("Test CA");
    let server = server(&authority.good());
    let client = opening(&server, Some(&trusting(&authority)));
    assert_eq!(client.next(), Seen::Open);
    let message: Vec<u8> = (0..3_000_000).map(|n| (n % 239) as u8).collect();
    client.send_binary(&message).unwrap();
    let Seen::Binary(echo) = client.next() else { panic!("not a binary message") };
    assert!(echo == message);
}

/// A server may have a timeout for it.
#[test]
fn tls_handshake_is_complete_while_the_game_holds_the_request() {
    let authority = Authority::new("Test CA");
    let config = server_config(&authority.good(), Demands::default());
    let (secured, is_secured) = std::sync::mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut peer.stream()).unwrap();
        }
        secured.send(()).unwrap();
        peer.wait_for_end();
    });
    let client = Client::new(&format!("wss://127.0.0.1:{}/", server.port()));
    client.set_tls(Some(&trusting(&authority))).unwrap();
    client.enable_event(EventType::Request, true).unwrap();
    client.open().unwrap();
    let mut held = None;
    crate::common::wait_until("the request", || {
        held = client.next_event().unwrap();
        held.is_some()
    });
    is_secured.recv_timeout(crate::common::TIMEOUT).unwrap();
    drop(held);
}

#[test]
fn wss_to_a_plain_server_is_explained() {
    for (response, kind) in [
        // Most servers treat the ClientHello as a bad request; some disconnect, some wait for more.
        (Some(&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..]), ErrorKind::Tls),
        (Some(b""), ErrorKind::Reset),
        (None, ErrorKind::TimedOut),
    ] {
        let server = Scripted::start(move |mut peer| {
            let mut hello = [0; 16 << 10];
            assert_ne!((&mut peer.stream()).read(&mut hello).unwrap(), 0);
            match response {
                Some(response) => peer.send(response),
                None => assert!(peer.wait_for_end()),
            }
        });
        let client = Client::new(&format!("wss://127.0.0.1:{}/", server.port()));
        client.set_connect_timeout(if response.is_none() { 200 } else { 60_000 }).unwrap();
        client.open().unwrap();
        let error = client.error();
        assert_eq!((error.kind, error.phase), (kind, Phase::Tls), "{error}");
        assert!(error.message.contains("speak TLS") || error.message.contains("ws:"), "{error}");
    }
}

#[test]
fn ws_to_a_tls_server_is_explained() {
    let authority = Authority::new("Test CA");
    let server = server(&authority.good());
    let error = Client::opening(&format!("ws://127.0.0.1:{}/", server.port())).error();
    assert_eq!((error.phase, error.retriable), (Phase::Upgrade, false), "{error}");
    assert!(error.message.contains("wss"), "{error}");
}
