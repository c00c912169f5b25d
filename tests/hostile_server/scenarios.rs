//! Scenarios: correct servers and proxies, at which bytes to inject faults, and in which phase of the
//! connection each byte is.

use std::any::Any;
use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc;

use framewire::{HttpVersion, Phase};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::relay::relay;
use framewire_servers::{Authority, Behaviour, EchoServer, Http2Server, Peer, Scripted, Side};

use crate::common::Client;

pub struct Scenario {
    pub name: &'static str,
    pub port: u16,
    /// Returns the URL for the port of the relay.
    pub url: fn(u16) -> String,
    pub proxy: Option<fn(u16) -> String>,
    pub http: HttpVersion,
    /// Where to inject faults.
    pub places: Vec<Place>,
    /// The phase of the connection after the client has received this many bytes; `None` where the order
    /// of the bytes varies.
    pub phases: Vec<(usize, Option<Phase>)>,
    /// Whether the server refuses the upgrade without a fault.
    pub refuses: bool,
    /// The CA that the client trusts, as PEM.
    pub authority: Option<String>,
    _servers: Vec<Box<dyn Any + Send + Sync>>,
}

/// A position in the bytes of one side.
pub struct Place {
    pub name: &'static str,
    pub side: Side,
    pub at: usize,
}

fn places(side: Side, named: &[(&'static str, usize)]) -> Vec<Place> {
    named.iter().map(|(name, at)| Place { name, side, at: *at }).collect()
}

const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: {accept}\r\n\r\n";
/// `{accept}` is replaced by the value of Sec-WebSocket-Accept.
const HEAD_LEN: usize = HEAD.len() - "{accept}".len() + 28;
/// Messages of each kind, with and without fragments.
const FRAMES: [(u8, &[u8]); 6] = [
    (0x81, b"hello, this is a text"),
    (0x02, b"the first of three"),
    (0x89, b"a ping in between"),
    (0x00, b"the second"),
    (0x80, b"the last"),
    (0x82, &[7; 300]),
];

/// The offset of a frame.
fn frame(number: usize) -> usize {
    HEAD_LEN + FRAMES[..number].iter().map(|(_, payload)| 2 + payload.len()).sum::<usize>()
}

/// The offset of the server's close frame. The frame before it has the longer header.
fn close_frame() -> usize {
    frame(FRAMES.len()) + 2
}

/// The length of what an HTTP/2 server sends before its first DATA.
const HTTP2_HEAD: usize = 90;

/// Sends everything, then waits for the client.
fn serve_frames(mut peer: Peer) {
    peer.respond(HEAD.as_bytes());
    FRAMES.iter().for_each(|(first_byte, payload)| peer.send_frame(*first_byte, payload));
    if peer.read_close().is_some() {
        peer.send_close(1000, "bye, it was a pleasure");
    }
    peer.wait_for_end();
}

/// A WebSocket server that sends first and closes.
pub fn plain() -> Scenario {
    let server = Scripted::start(serve_frames);
    let named = [
        ("the connection", 0),
        ("the status line", 9),
        ("the header fields", 60),
        ("the end of the head", HEAD_LEN - 2),
        ("the header of a frame", frame(0)),
        ("the payload of a frame", frame(0) + 10),
        ("the first fragment", frame(1) + 5),
        ("a ping between fragments", frame(2) + 2),
        ("the last fragment", frame(4) + 3),
        ("a longer length", frame(5) + 1),
        ("the close frame", close_frame() + 1),
    ];
    Scenario {
        phases: phases_after(0),
        ..Scenario::of("ws", server.port(), places(Side::Server, &named), vec![Box::new(server)])
    }
}

/// The phases of `plain`, after this many bytes of a proxy.
fn phases_after(before: usize) -> Vec<(usize, Option<Phase>)> {
    vec![
        (before, Some(Phase::Upgrade)),
        (before + HEAD_LEN, Some(Phase::Open)),
        // The server's close frame is the reply to the client's.
        (before + close_frame() + 1, Some(Phase::Closing)),
    ]
}

/// An echo server, so that faults in the client's bytes have an effect.
fn echoing() -> Scenario {
    let server = EchoServer::start();
    let request = request_length();
    let named = [
        ("the request line", 1),
        ("the header fields of the request", request / 2),
        ("the end of the request", request - 2),
        ("the header of a sent frame", request),
        ("the mask of a sent frame", request + 3),
        ("the payload of a sent frame", request + 10),
    ];
    Scenario::of("an echo", server.port(), places(Side::Client, &named), vec![Box::new(server)])
}

/// Measures the length of the request. The port has five digits, as ephemeral ports do.
fn request_length() -> usize {
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| _ = report.send(peer.read_head().len()));
    let client = Client::opening(&server.url());
    let length = reported.recv().expect("the client sends a request");
    client.end();
    length
}

pub fn refusing() -> Scenario {
    let body = "a".repeat(400);
    let response = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 400\r\n\r\n{body}");
    let head = response.len() - body.len();
    let named = [("its head", 20), ("the length of its body", head - 6), ("its body", head + 100)];
    let server = Scripted::responding(response);
    let scenario =
        Scenario::of("a refusal", server.port(), places(Side::Server, &named), vec![Box::new(server)]);
    Scenario { refuses: true, ..scenario }
}

fn redirecting() -> Scenario {
    let target = EchoServer::start();
    let response =
        format!("HTTP/1.1 307 There\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url("/"));
    let server = Scripted::responding(response);
    let all = places(Side::Server, &[("its status", 10), ("its location", 32), ("its end", 70)]);
    Scenario::of("a redirect", server.port(), all, vec![Box::new(server), Box::new(target)])
}

/// A proxy that accepts everything, in front of the server that sends everything.
fn proxied(
    name: &'static str,
    handshake: fn(&mut Peer),
    response: usize,
    proxy: fn(u16) -> String,
) -> Scenario {
    let server = Scripted::start(serve_frames);
    let backend = server.port();
    let proxy_server = Scripted::start(move |mut peer| {
        handshake(&mut peer);
        if let Ok(server) = TcpStream::connect(("127.0.0.1", backend)) {
            relay(peer.stream(), &server);
        }
    });
    let named = [
        ("the start of its response", 0),
        ("the middle of its response", response / 2),
        ("the end of its response", response - 1),
        ("the server behind it", response + 30),
    ];
    let mut all = places(Side::Server, &named);
    all.extend(places(Side::Client, &[("the request to it", 1), ("the target", 12)]));
    let mut phases = vec![(0, Some(Phase::Proxy))];
    phases.extend(phases_after(response));
    Scenario {
        url: |_| "ws://127.0.0.1:9/".to_owned(),
        proxy: Some(proxy),
        phases,
        ..Scenario::of(name, proxy_server.port(), all, vec![Box::new(proxy_server), Box::new(server)])
    }
}

const TUNNEL: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";
/// The method, and the bound IPv4 address (RFC 1928 sections 3 and 6).
const SOCKS: [&[u8]; 2] = [&[5, 0], &[5, 0, 0, 1, 127, 0, 0, 1, 0, 9]];

pub fn http_proxy() -> Scenario {
    let handshake = |peer: &mut Peer| {
        if !peer.read_head().is_empty() {
            peer.send(TUNNEL);
        }
    };
    proxied("an HTTP proxy", handshake, TUNNEL.len(), |port| format!("http://127.0.0.1:{port}"))
}

pub fn socks_proxy() -> Scenario {
    let handshake = |peer: &mut Peer| {
        // A greeting of one method, then a request for an IPv4 address.
        if peer.stream().read_exact(&mut [0; 3]).is_ok() {
            peer.send(SOCKS[0]);
            if peer.stream().read_exact(&mut [0; 10]).is_ok() {
                peer.send(SOCKS[1]);
            }
        }
    };
    proxied("a SOCKS5 proxy", handshake, SOCKS.concat().len(), |port| format!("socks5://127.0.0.1:{port}"))
}

fn secure() -> Scenario {
    let authority = Authority::new("Test CA");
    let config = server_config(&authority.good(), Demands::default());
    let server = EchoServer::start_tls(config);
    let named = [
        ("the ServerHello", 3),
        ("its key", 80),
        ("the certificate", 250),
        ("the end of the handshake", 480),
        ("the messages within TLS", 4_000),
    ];
    let mut all = places(Side::Server, &named);
    all.extend(places(Side::Client, &[("the ClientHello", 3), ("its extensions", 150)]));
    Scenario {
        url: |port| format!("wss://localhost:{port}/count?n=200&size=20"),
        authority: Some(authority.pem()),
        phases: vec![(0, Some(Phase::Tls)), (500, None), (3_500, Some(Phase::Open))],
        ..Scenario::of("wss", server.port(), all, vec![Box::new(server)])
    }
}

/// WebSockets over HTTP/2 (RFC 8441).
pub fn http2() -> Scenario {
    let server = Http2Server::start(Behaviour::default());
    let named = [
        ("SETTINGS", 3),
        ("a setting", 12),
        ("the acknowledgement of SETTINGS", 40),
        ("HEADERS", 70),
        ("DATA", HTTP2_HEAD + 2),
        ("the payload of DATA", HTTP2_HEAD + 11),
    ];
    let mut all = places(Side::Server, &named);
    let named = [("the preface", 3), ("the client's SETTINGS", 30), ("the request's HEADERS", 80)];
    all.extend(places(Side::Client, &named));
    Scenario {
        http: HttpVersion::Http2,
        phases: vec![
            (0, Some(Phase::Upgrade)),
            // The response and the acknowledgement of SETTINGS, in any order.
            (HTTP2_HEAD - 9, None),
            (HTTP2_HEAD, Some(Phase::Open)),
            (HTTP2_HEAD + 24 + 1, Some(Phase::Closing)),
        ],
        ..Scenario::of("HTTP/2", server.port(), all, vec![Box::new(server)])
    }
}

impl Scenario {
    fn of(
        name: &'static str,
        port: u16,
        places: Vec<Place>,
        servers: Vec<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        Self {
            name,
            port,
            url: |port| format!("ws://127.0.0.1:{port}/"),
            proxy: None,
            http: HttpVersion::Auto,
            places,
            phases: vec![(0, Some(Phase::Upgrade))],
            refuses: false,
            authority: None,
            _servers: servers,
        }
    }

    /// Returns the phase after the client has received this many bytes and no more.
    pub fn phase_after(&self, received: usize) -> Option<Phase> {
        self.phases.iter().rev().find(|(from, _)| *from <= received).and_then(|(_, phase)| *phase)
    }
}

pub fn all() -> Vec<Scenario> {
    vec![plain(), echoing(), refusing(), redirecting(), http_proxy(), socks_proxy(), secure(), http2()]
}
