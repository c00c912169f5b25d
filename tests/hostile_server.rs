//! Whatever becomes of what a server says, at whichever byte: one end, in time, and nothing is kept.

mod common;

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Client, Seen, alone};
use framewire::{Roots, Tls, buffer};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::relay::relay;
use framewire_servers::{Authority, EchoServer, Fault, HostileRelay, Scripted};

/// For a machine that is busy; the deadlines that are set are far shorter.
const PATIENCE: Duration = Duration::from_secs(40);
/// Connections at a time.
const AT_ONCE: usize = 24;
/// Of each, at most: what a message may have, and what is read ahead of it.
const MEMORY_EACH: usize = 1 << 20;
const LARGEST_MESSAGE: usize = 64 << 10;

/// An honest server, and where in what it says its phases begin.
struct Scene {
    name: &'static str,
    port: u16,
    /// The URL with the port of whoever stands in front of the server, and the proxy with it.
    url: fn(u16) -> String,
    proxy: Option<fn(u16) -> String>,
    phases: Vec<(&'static str, usize)>,
    /// How it ends when nothing is harmed.
    refuses: bool,
    _servers: Vec<Box<dyn std::any::Any + Send + Sync>>,
}

const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: {accept}\r\n\r\n";
/// The key's answer takes the place of its mark.
const HEAD_LEN: usize = HEAD.len() - "{accept}".len() + 28;

/// Says one of everything, in frames that are cut and not, and then goes the client's way.
fn play(mut peer: framewire_servers::Peer) {
    peer.answer(HEAD.as_bytes());
    peer.send_frame(0x81, b"hello, this is a text");
    peer.send_frame(0x02, b"the first of three");
    peer.send_frame(0x89, b"a ping in between");
    peer.send_frame(0x00, b"the second");
    peer.send_frame(0x80, b"the last");
    peer.send_frame(0x82, &[7; 300]);
    if peer.read_close().is_some() {
        peer.send_close(1000, "bye, it was a pleasure");
    }
    peer.wait_for_end();
}

fn plain() -> Scene {
    let server = Scripted::start(play);
    let (text, first) = (HEAD_LEN, HEAD_LEN + 23);
    Scene {
        name: "ws",
        port: server.port(),
        url: |port| format!("ws://127.0.0.1:{port}/"),
        proxy: None,
        phases: vec![
            ("the connection", 0),
            ("the status line", 9),
            ("the header fields", 60),
            ("the end of the head", HEAD_LEN - 2),
            ("the header of a frame", text),
            ("the payload of a frame", text + 10),
            ("the first fragment", first + 5),
            ("a ping between fragments", first + 22),
            ("the last fragment", first + 20 + 19 + 12 + 3),
            ("a longer length", first + 20 + 19 + 12 + 10 + 1),
            ("the close frame", first + 20 + 19 + 12 + 10 + 304 + 1),
        ],
        refuses: false,
        _servers: vec![Box::new(server)],
    }
}

fn refusing() -> Scene {
    let body = "a".repeat(400);
    let answer = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 400\r\n\r\n{body}");
    let head = answer.len() - 400;
    let server = Scripted::answering(answer);
    Scene {
        name: "a refusal",
        port: server.port(),
        url: |port| format!("ws://127.0.0.1:{port}/"),
        proxy: None,
        phases: vec![("its head", 20), ("the length of its body", head - 6), ("its body", head + 100)],
        refuses: true,
        _servers: vec![Box::new(server)],
    }
}

fn redirecting() -> Scene {
    let target = EchoServer::start();
    let answer = format!("HTTP/1.1 307 There\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url("/"));
    let server = Scripted::answering(answer);
    Scene {
        name: "a redirect",
        port: server.port(),
        url: |port| format!("ws://127.0.0.1:{port}/"),
        proxy: None,
        phases: vec![("its status", 10), ("its location", 32), ("its end", 70)],
        refuses: false,
        _servers: vec![Box::new(server), Box::new(target)],
    }
}

/// A proxy that says yes to all and leads to a server that says everything.
fn proxied(
    name: &'static str,
    agree: fn(&mut framewire_servers::Peer),
    answer: usize,
    proxy: fn(u16) -> String,
) -> Scene {
    let server = Scripted::start(play);
    let backend = server.port();
    let proxy_server = Scripted::start(move |mut peer| {
        agree(&mut peer);
        if let Ok(server) = TcpStream::connect(("127.0.0.1", backend)) {
            relay(peer.stream(), &server);
        }
    });
    Scene {
        name,
        port: proxy_server.port(),
        url: |_| "ws://127.0.0.1:9/".to_owned(),
        proxy: Some(proxy),
        phases: vec![
            ("its first word", 0),
            ("its answer", answer / 2),
            ("its end", answer - 1),
            ("the server behind it", answer + 30),
        ],
        refuses: false,
        _servers: vec![Box::new(proxy_server), Box::new(server)],
    }
}

const TUNNEL: &[u8] = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";

fn http_proxy() -> Scene {
    let agree = |peer: &mut framewire_servers::Peer| {
        if !peer.read_head().is_empty() {
            peer.send(TUNNEL);
        }
    };
    proxied("an HTTP proxy", agree, TUNNEL.len(), |port| format!("http://127.0.0.1:{port}"))
}

fn socks_proxy() -> Scene {
    let agree = |peer: &mut framewire_servers::Peer| {
        use std::io::Read;
        let mut stream = peer.stream();
        // A greeting of one method, then a request for an IPv4 address (RFC 1928 sections 3 and 4).
        if stream.read_exact(&mut [0; 3]).is_ok() {
            peer.send(&[5, 0]);
            if peer.stream().read_exact(&mut [0; 10]).is_ok() {
                peer.send(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 9]);
            }
        }
    };
    proxied("a SOCKS5 proxy", agree, 12, |port| format!("socks5://127.0.0.1:{port}"))
}

fn secure(authority: &Authority) -> Scene {
    let config = server_config(&authority.good(), Demands::default());
    let server = EchoServer::start_tls(config);
    Scene {
        name: "wss",
        port: server.port(),
        url: |port| format!("wss://localhost:{port}/count?n=60&size=20"),
        proxy: None,
        phases: vec![
            ("the ServerHello", 3),
            ("its key", 80),
            ("the certificate", 250),
            ("the end of the handshake", 480),
            ("the messages within TLS", 1_200),
        ],
        refuses: false,
        _servers: vec![Box::new(server)],
    }
}

/// What the client of a scene does: it listens for a moment, and then closes.
fn visit(scene: &Scene, tls: &Tls, harm: Option<(Fault, usize)>) -> (Vec<Seen>, usize) {
    let hostile = HostileRelay::start(scene.port, harm).expect("the loopback address has a free port");
    let client = Client::new(&(scene.url)(hostile.port()));
    client.set_tls(Some(tls)).unwrap();
    client.set_proxy(Some(&scene.proxy.map_or(String::new(), |proxy| proxy(hostile.port())))).unwrap();
    client.set_max_redirects(3).unwrap();
    client.set_connect_timeout(1_500).unwrap();
    client.set_close_timeout(700).unwrap();
    client.set_max_message_size(LARGEST_MESSAGE).unwrap();
    client.open().unwrap();
    let begun = Instant::now();
    let (mut seen, mut opened): (Vec<Seen>, Option<Instant>) = (Vec::new(), None);
    while !seen.last().is_some_and(Seen::is_terminal) {
        assert!(begun.elapsed() < PATIENCE, "no end of {}, {harm:?}: {seen:?}", scene.name);
        match client.next_event().unwrap() {
            Some(event) => {
                let event = Seen::from(event.kind);
                if event == Seen::Open {
                    opened = Some(Instant::now());
                }
                // A flood is not kept.
                if seen.len() < 1_000 || event.is_terminal() {
                    seen.push(event);
                }
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
        if opened.is_some_and(|opened| opened.elapsed() > Duration::from_millis(300)) {
            // Too late is no mistake.
            let _ = client.close(1000, "enough");
            opened = None;
        }
    }
    assert!(client.next_event().unwrap().is_none(), "{}, {harm:?}: an event behind the last", scene.name);
    assert!(seen.iter().filter(|event| **event == Seen::Open).count() <= 1, "{}, {harm:?}", scene.name);
    drop(client);
    let carried = hostile.carried();
    (seen, carried)
}

/// Whether it went as if nothing had been harmed.
fn is_well(scene: &Scene, seen: &[Seen]) -> bool {
    match seen {
        [Seen::Error(error)] => scene.refuses && error.http_status == 403,
        [Seen::Open, .., Seen::Closed(1000, _)] => !scene.refuses,
        _ => false,
    }
}

/// Runs all of them, some at a time, and says the most memory that was in use meanwhile.
fn all_of<T: Sync>(jobs: &[T], run: impl Fn(&T) + Sync) -> usize {
    let (next, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let running = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::SeqCst)) {
                    run(job);
                    let _one_looks = running.lock();
                    most.fetch_max(buffer::stats().bytes_in_use as usize, Ordering::SeqCst);
                }
            });
        }
    });
    most.into_inner()
}

fn scenes() -> (Vec<Scene>, Tls) {
    let authority = Authority::new("Test CA");
    let tls = Tls::create().unwrap();
    tls.set_roots(Roots::None).unwrap();
    tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
    let scenes = vec![plain(), refusing(), redirecting(), http_proxy(), socks_proxy(), secure(&authority)];
    (scenes, tls)
}

#[test]
fn every_fault_in_every_phase_ends_once_and_leaves_nothing() {
    let _alone = alone();
    let (scenes, tls) = scenes();
    let mut pairs = Vec::new();
    for scene in &scenes {
        let (seen, _) = visit(scene, &tls, None);
        assert!(is_well(scene, &seen), "{} unharmed: {seen:?}", scene.name);
        for (phase, at) in &scene.phases {
            pairs.extend(Fault::ALL.map(|fault| (scene, *phase, fault, *at)));
        }
    }
    let well = AtomicUsize::new(0);
    let most = all_of(&pairs, |(scene, phase, fault, at)| {
        let (seen, carried) = visit(scene, &tls, Some((*fault, *at)));
        assert!(carried >= *at, "{}, {phase}: the server said {carried} bytes only", scene.name);
        let is_well = is_well(scene, &seen);
        assert!(is_well || !fault.is_harmless(), "{}, {phase}, {fault:?}: {seen:?}", scene.name);
        well.fetch_add(is_well.into(), Ordering::SeqCst);
    });
    println!("{} pairs of phase and fault, {} ended well", pairs.len(), well.into_inner());
    assert!(most <= AT_ONCE * MEMORY_EACH, "{most} bytes");
    drop(scenes);
    // Workers keep a block each to read into, as long as they live.
    framewire::shutdown(PATIENCE).unwrap();
    assert_eq!(buffer::stats().bytes_in_use, 0);
}

#[test]
fn an_end_at_every_byte_is_one_end() {
    let _alone = alone();
    let scenes = [plain(), http_proxy(), socks_proxy(), refusing()];
    let tls = Tls::create().unwrap();
    let mut cuts = Vec::new();
    for scene in &scenes {
        let (_, said) = visit(scene, &tls, None);
        for fault in [Fault::Finish, Fault::Reset] {
            cuts.extend((0..said).map(|at| (scene, fault, at)));
        }
    }
    all_of(&cuts, |(scene, fault, at)| {
        let (seen, _) = visit(scene, &tls, Some((*fault, *at)));
        match seen.last() {
            Some(Seen::Error(error)) => assert!(!error.message.is_empty(), "{}, {at}", scene.name),
            Some(Seen::Closed(..)) => {}
            other => panic!("{}, {fault:?} at {at}: {other:?}", scene.name),
        }
    });
    println!("{} ends, one at each byte", cuts.len());
}
