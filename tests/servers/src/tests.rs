//! The behaviour of the servers that other tests rely on.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tungstenite::error::ProtocolError;
use tungstenite::{Error, Message, WebSocket};

use crate::certs::{Demands, server_config};
use crate::{Authority, EchoServer, Peer, Scripted};

fn connect(server: &EchoServer, path: &str) -> WebSocket<TcpStream> {
    let stream = tcp(server.port());
    let (socket, _) = tungstenite::client(server.url(path), stream).expect("the server upgrades");
    socket
}

/// Connects with a read timeout, so that a test fails instead of hanging.
fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("the timeout is not zero");
    stream
}

#[test]
fn echo_returns_text_binary_and_close() {
    let server = EchoServer::start();
    let mut socket = connect(&server, "/");
    for message in [Message::text("grüß dich"), Message::binary(vec![7; 100_000])] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    let frame = tungstenite::protocol::CloseFrame { code: 4001.into(), reason: "enough".into() };
    socket.close(Some(frame.clone())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Close(Some(frame)));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn count_numbers_messages_and_closes() {
    let server = EchoServer::start();
    let mut socket = connect(&server, "/count?n=3&size=20");
    for number in 0..3_u64 {
        let payload = socket.read().unwrap().into_data();
        assert_eq!((payload.len(), &payload[..8]), (20, &number.to_le_bytes()[..]));
    }
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, "done"));
}

#[test]
fn close_uses_code_and_reason_from_the_query() {
    let server = EchoServer::start();
    let mut socket = connect(&server, "/close?code=4002&reason=gr%C3%BC%C3%9F+dich");
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4002, "grüß dich"));
}

#[test]
fn drop_ends_tcp_without_a_close_frame() {
    let server = EchoServer::start();
    let mut socket = connect(&server, "/drop");
    socket.send(Message::text("go")).unwrap();
    let ended = socket.read().unwrap_err();
    assert!(matches!(ended, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), "{ended}");
}

#[test]
fn fragments_have_the_requested_number() {
    let server = EchoServer::start();
    let mut stream = tcp(server.port());
    write!(
        stream,
        "GET /fragments?n=3&size=10 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let mut frames = [[0; 12]; 3];
    for frame in &mut frames {
        stream.read_exact(frame).unwrap();
    }
    assert_eq!(frames.map(|frame| [frame[0], frame[1], frame[2]]), [[2, 10, 0], [0, 10, 1], [0x80, 10, 2]]);
}

#[test]
fn dropping_the_server_ends_its_connections() {
    let server = EchoServer::start();
    let mut socket = connect(&server, "/silent");
    drop(server);
    assert!(socket.read().is_err());
}

#[test]
fn tls_is_trusted_only_with_its_authority() {
    let (authority, untrusted) = (Authority::new("ours"), Authority::new("another"));
    let server = EchoServer::start_tls(server_config(&authority.good(), Demands::default()));
    assert!(tls_echo(&server, &authority).is_ok());
    assert!(tls_echo(&server, &untrusted).is_err());
}

fn tls_echo(server: &EchoServer, trusted: &Authority) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp(server.port()));
    let (mut socket, _) = tungstenite::client(server.url("/"), stream).map_err(|error| error.to_string())?;
    socket.send(Message::text("secret")).map_err(|error| error.to_string())?;
    assert_eq!(socket.read().unwrap(), Message::text("secret"));
    Ok(())
}

#[test]
fn script_sees_raw_frames() {
    let server = Scripted::start(|mut peer| {
        let head = peer.accept_upgrade();
        assert_eq!(Peer::field(&head, "upgrade"), Some("websocket"));
        let frame = peer.read_frame().expect("the client sends a text");
        assert_eq!((frame.fin, frame.opcode, frame.masked, &frame.payload[..]), (true, 1, true, &b"hi"[..]));
        peer.send_frame(0x81, b"ho");
        assert_eq!(peer.read_close(), Some((1005, String::new())));
    });
    let (mut socket, _) = tungstenite::client(server.url(), tcp(server.port())).unwrap();
    socket.send(Message::text("hi")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("ho"));
    socket.close(None).unwrap();
}

#[test]
fn script_can_reset_and_capture() {
    let server = Scripted::start(|mut peer| match peer.number {
        0 => peer.reset(),
        _ => assert_eq!(peer.capture(), (b"all of it".to_vec(), true)),
    });
    let reset = tcp(server.port()).read(&mut [0; 8]).unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    tcp(server.port()).write_all(b"all of it").unwrap();
}

#[test]
#[should_panic(expected = "seen by the test")]
fn failed_assertion_in_a_script_fails_the_test() {
    let server = Scripted::start(|_| panic!("seen by the test"));
    let _ = tcp(server.port()).read(&mut [0; 8]);
}
