//! Simulated links: delay, rate and order over every transport, each cut with its error, and changes at any time.
//!
//! Times are lower bounds only: a slow machine makes everything later.

#![cfg(all(feature = "tls", feature = "http2"))]

#[path = "../common/mod.rs"]
mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::{Duration, Instant};

use common::{Client, Seen, wait_until};
use framewire::{
    Code, ErrorKind, HttpVersion, Lane, LinkConditions, LinkCut, MessageType, Outcome, Phase, Reconnect,
    Roots, SendOptions, Socket, State, Tls,
};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::{Authority, Behaviour, EchoServer, Http2Server, Scripted};

const MS: Duration = Duration::from_millis(1);

static LINKS: RwLock<()> = RwLock::new(());

/// For a test that sets links of its own sockets only.
fn own_links() -> RwLockReadGuard<'static, ()> {
    LINKS.read().unwrap_or_else(PoisonError::into_inner)
}

/// For a test that sets the link of every socket.
fn all_links() -> RwLockWriteGuard<'static, ()> {
    LINKS.write().unwrap_or_else(PoisonError::into_inner)
}

/// An echo server over one of the transports.
struct Target {
    name: &'static str,
    server: Http2Server,
    tls: Option<Tls>,
    version: HttpVersion,
    /// Round trips until the open event.
    round_trips: u32,
}

impl Target {
    fn new(name: &'static str, is_secure: bool, version: HttpVersion, round_trips: u32) -> Self {
        let authority = Authority::new("Test CA");
        let alpn: &[&str] = if version == HttpVersion::Http2 { &["h2"] } else { &["http/1.1"] };
        let config =
            is_secure.then(|| server_config(&authority.good(), Demands { alpn, ..Demands::default() }));
        let tls = is_secure.then(|| {
            let tls = Tls::create().unwrap();
            tls.set_roots(Roots::None).unwrap();
            tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
            tls
        });
        let server = Http2Server::start(Behaviour { tls: config, ..Behaviour::default() });
        Self { name, server, tls, version, round_trips }
    }

    fn all() -> Vec<Self> {
        vec![
            Self::new("wss", true, HttpVersion::Http1, 3),
            Self::new("HTTP/2", false, HttpVersion::Http2, 2),
            Self::new("HTTP/2 over TLS", true, HttpVersion::Http2, 3),
        ]
    }

    fn client(&self) -> Client {
        let client = Client::new(&self.server.url("/"));
        client.set_tls(self.tls.as_ref()).unwrap();
        client.set_http_version(self.version).unwrap();
        client
    }

    /// A client that shares no HTTP/2 connection, not even with a client of the same test that was dropped.
    fn own_client(&self) -> Client {
        let client = self.client();
        if self.version == HttpVersion::Http2 {
            client.set_link(Some(LinkConditions::default())).unwrap();
        }
        client
    }
}

/// Runs a test over every transport.
fn over_every_transport(test: impl Fn(&str, &dyn Fn() -> Client, u32)) {
    let plain = EchoServer::start();
    test("ws", &|| Client::new(&plain.url("/")), 2);
    for target in Target::all() {
        test(target.name, &|| target.own_client(), target.round_trips);
    }
}

fn open(client: &Client) {
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
}

fn assert_echoes(client: &Client, text: &str) {
    client.send_text(text).unwrap();
    assert_eq!(client.next(), Seen::Text(text.into()));
}

fn cut(cut: LinkCut) -> LinkConditions {
    LinkConditions { cut, ..LinkConditions::default() }
}

fn with_pings(client: &Client) {
    client.set_ping_frequency(50).unwrap();
    client.set_close_after_no_message(300).unwrap();
    client.set_start_ping_thread(true).unwrap();
}

#[test]
fn latency_is_at_least_that_of_the_link() {
    let _own = own_links();
    over_every_transport(|name, client, round_trips| {
        let client = client();
        let link = LinkConditions { out_delay: 35 * MS, in_delay: 25 * MS, ..LinkConditions::default() };
        client.set_link(Some(link)).unwrap();
        let started = Instant::now();
        open(&client);
        let took = started.elapsed();
        assert!(took >= 60 * MS * round_trips, "{name}: open after {took:?}");
        let connected = Duration::from_micros(client.stats().connect_us);
        assert!(connected >= 60 * MS, "{name}: connected after {connected:?}");
        for text in ["one", "two", "three"] {
            let sent = Instant::now();
            assert_echoes(&client, text);
            assert!(sent.elapsed() >= 60 * MS, "{name}: {text} after {:?}", sent.elapsed());
        }
        client.close(1000, "").unwrap();
        assert_eq!(client.closed().0, 1000, "{name}");
    });
}

#[test]
fn messages_keep_their_order_over_a_link_that_changes() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        let client = client();
        let link = |number: u32| LinkConditions {
            seed: number,
            out_delay: MS * (number * 7 % 20),
            in_delay: MS * (number * 5 % 20),
            out_jitter: 5 * MS,
            in_jitter: 5 * MS,
            out_bytes_per_second: [0, 100_000][number as usize % 2],
            in_bytes_per_second: [0, 200_000][number as usize % 2],
            stall_every: 50 * MS,
            stall: MS * (number % 20),
            ..LinkConditions::default()
        };
        client.set_link(Some(link(1))).unwrap();
        open(&client);
        let text = |number| format!("{number} {}", "x".repeat(number as usize % 700));
        let (mut sent, mut received) = (0, 0);
        while received < 600 {
            while sent < 600 && sent - received < 30 {
                client.send_text(&text(sent)).unwrap();
                sent += 1;
            }
            if received % 40 == 0 {
                client.set_link((received % 200 > 0).then(|| link(received))).unwrap();
            }
            assert_eq!(client.next(), Seen::Text(text(received)), "{name}");
            received += 1;
        }
        client.close(1000, "").unwrap();
        assert_eq!(client.closed().0, 1000, "{name}");
    });
}

#[test]
fn rate_limits_both_directions() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        for (out, input) in [(200_000, 0), (0, 200_000)] {
            let client = client();
            open(&client);
            let link = LinkConditions {
                out_bytes_per_second: out,
                in_bytes_per_second: input,
                ..LinkConditions::default()
            };
            client.set_link(Some(link)).unwrap();
            // The change is a command; the first message follows it.
            assert_echoes(&client, "limited");
            let started = Instant::now();
            let payload: Vec<u8> =
                (0..102_000u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
            client.send_binary(&payload).unwrap();
            assert_eq!(client.next(), Seen::Binary(payload), "{name}");
            // 100,000 bytes and what the bucket holds.
            assert!(started.elapsed() >= 500 * MS, "{name}: {:?}", started.elapsed());
        }
    });
}

#[test]
fn bytes_that_a_throttled_link_has_no_room_for_stay_in_the_send_queue() {
    let _own = own_links();
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.wait_for_end();
    });
    let client = Client::opened(&server.url());
    let rate = 100_000;
    let started = Instant::now();
    client
        .set_link(Some(LinkConditions { out_bytes_per_second: rate, ..LinkConditions::default() }))
        .unwrap();
    client.set_lanes(&[Lane::default()]).unwrap();
    let payload = vec![7; 10_000];
    for _ in 0..200 {
        client.send_binary(&payload).unwrap();
    }
    for _ in 0..20 {
        std::thread::sleep(10 * MS);
        let queued = client.buffered_amount();
        // What the rate has allowed since, the bucket, and the frame headers.
        let allowed = started.elapsed().as_millis() as usize * rate as usize / 1000 + 20_000;
        assert!(queued + allowed >= 2_000_000, "{queued} bytes are queued, {allowed} may have moved");
    }
}

#[test]
fn every_cut_of_an_open_connection_has_the_error_of_the_real_failure() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        for (failure, kind) in [
            (LinkCut::Reset, ErrorKind::Reset),
            (LinkCut::End, ErrorKind::Reset),
            (LinkCut::HalfOpen, ErrorKind::PingTimeout),
            (LinkCut::Stall, ErrorKind::PingTimeout),
        ] {
            let client = client();
            client.set_link(Some(LinkConditions { in_delay: 10 * MS, ..LinkConditions::default() })).unwrap();
            open(&client);
            assert_echoes(&client, "before");
            if kind == ErrorKind::PingTimeout {
                with_pings(&client);
            }
            client.set_link(Some(cut(failure))).unwrap();
            // Refused if the connection has ended already.
            let _ = client.send_text("lost");
            let seen = client.until_end();
            let Some(Seen::Error(error)) = seen.last() else { panic!("{name}, {failure:?}: {seen:?}") };
            assert_eq!(
                (error.kind, error.phase, error.retriable),
                (kind, Phase::Open, true),
                "{name}, {failure:?}"
            );
            assert!(!seen.contains(&Seen::Text("lost".into())), "{name}, {failure:?}");
        }
    });
}

#[test]
fn every_cut_applies_to_new_connections() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        for (failure, kind) in [
            (LinkCut::Refuse, ErrorKind::Refused),
            (LinkCut::Stall, ErrorKind::TimedOut),
            (LinkCut::HalfOpen, ErrorKind::TimedOut),
            (LinkCut::Reset, ErrorKind::Reset),
            (LinkCut::End, ErrorKind::Reset),
        ] {
            let client = client();
            client.set_connect_timeout(300).unwrap();
            client.set_link(Some(cut(failure))).unwrap();
            client.open().unwrap();
            let error = client.error();
            assert_eq!((error.kind, error.retriable), (kind, true), "{name}, {failure:?}: {error}");
            let in_connect = matches!(failure, LinkCut::Refuse | LinkCut::Stall | LinkCut::HalfOpen);
            assert_eq!(error.phase == Phase::Connect, in_connect, "{name}, {failure:?}: {error}");
            if failure == LinkCut::Refuse {
                assert!(error.message.contains("127.0.0.1:") && error.os_code != 0, "{error}");
            }
            // Without the link it connects.
            client.set_link(None).unwrap();
            client.set_connect_timeout(20_000).unwrap();
            open(&client);
            assert_echoes(&client, "after");
        }
    });
}

#[test]
fn refused_dial_takes_a_round_trip_and_is_retried() {
    let _own = own_links();
    let server = EchoServer::start();
    let client = Client::new(&server.url("/"));
    client.set_reconnect(Some(Reconnect { min_delay: 10 * MS, ..Reconnect::default() })).unwrap();
    let link = LinkConditions { out_delay: 30 * MS, in_delay: 30 * MS, ..cut(LinkCut::Refuse) };
    client.set_link(Some(link)).unwrap();
    let started = Instant::now();
    client.open().unwrap();
    let Seen::Reconnecting(error, 1, _) = client.next() else { panic!("not refused") };
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(started.elapsed() >= 60 * MS, "{:?}", started.elapsed());
    client.set_link(None).unwrap();
    loop {
        match client.next() {
            Seen::Reconnecting(error, ..) => assert_eq!(error.kind, ErrorKind::Refused),
            seen => break assert_eq!(seen, Seen::Open),
        }
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn refusing_leaves_open_connections_alone() {
    let _own = own_links();
    over_every_transport(|_, client, _| {
        let client = client();
        client.set_link(Some(LinkConditions::default())).unwrap();
        open(&client);
        client.set_link(Some(cut(LinkCut::Refuse))).unwrap();
        assert_echoes(&client, "still here");
    });
}

#[test]
fn server_sees_the_reset_too() {
    let _own = own_links();
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        let mut byte = [0];
        let read = std::io::Read::read(&mut peer.stream(), &mut byte);
        let _ = report.send(read.map_err(|error| error.kind()));
    });
    let client = Client::opened(&server.url());
    client.set_link(Some(cut(LinkCut::Reset))).unwrap();
    assert_eq!(client.error().kind, ErrorKind::Reset);
    assert_eq!(reported.recv().unwrap(), Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn stalled_connection_continues_without_the_link() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        let client = client();
        open(&client);
        for link in [None, Some(LinkConditions { in_delay: 5 * MS, ..LinkConditions::default() })] {
            assert_echoes(&client, "before");
            client.set_link(Some(cut(LinkCut::Stall))).unwrap();
            client.send_text("held").unwrap();
            std::thread::sleep(100 * MS);
            assert!(client.next_event().unwrap().is_none(), "{name}: nothing moves");
            client.set_link(link).unwrap();
            assert_eq!(client.next(), Seen::Text("held".into()), "{name}");
        }
        client.close(1000, "").unwrap();
        assert_eq!(client.closed().0, 1000, "{name}");
    });
}

/// The timeouts of the library and of the kernel, 20 seconds for what was sent, without keepalive.
#[test]
fn cut_connection_without_keepalive_times_out() {
    let _own = own_links();
    let mut clients = Vec::new();
    let plain = EchoServer::start();
    let targets = Target::all();
    for failure in [LinkCut::HalfOpen, LinkCut::Stall] {
        clients.push(("ws", failure, Client::new(&plain.url("/"))));
        clients.extend(targets.iter().map(|target| (target.name, failure, target.own_client())));
    }
    for (_, failure, client) in &clients {
        open(client);
        client.set_link(Some(cut(*failure))).unwrap();
    }
    // The worker may take a message in a turn that it has begun, before the change.
    std::thread::sleep(100 * MS);
    let started = Instant::now();
    clients.iter().for_each(|(.., client)| client.send_binary(&[1; 1000]).unwrap());
    for (name, failure, client) in &clients {
        let error = client.error();
        assert_eq!(
            (error.kind, error.phase),
            (ErrorKind::TimedOut, Phase::Open),
            "{name}, {failure:?}: {error}"
        );
        assert!(started.elapsed() >= 15 * 1000 * MS, "{name}, {failure:?}: {:?}", started.elapsed());
    }
}

/// Also if the worker has not read the first change before the second.
#[test]
fn cut_connection_stays_cut() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        for (failure, kind) in [
            (LinkCut::HalfOpen, ErrorKind::PingTimeout),
            (LinkCut::Reset, ErrorKind::Reset),
            (LinkCut::End, ErrorKind::Reset),
        ] {
            let client = client();
            open(&client);
            with_pings(&client);
            client.set_link(Some(cut(failure))).unwrap();
            client.set_link(None).unwrap();
            assert_eq!(client.error().kind, kind, "{name}, {failure:?}");
            open(&client);
        }
    });
}

#[test]
fn change_while_dialling_takes_effect() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        let client = client();
        client.set_link(Some(cut(LinkCut::Stall))).unwrap();
        client.open().unwrap();
        std::thread::sleep(30 * MS);
        assert!(client.next_event().unwrap().is_none());
        client.set_link(Some(LinkConditions { out_delay: 10 * MS, ..LinkConditions::default() })).unwrap();
        assert_eq!(client.next(), Seen::Open, "{name}");
        assert_echoes(&client, "connected");
    });
}

#[test]
fn lost_connection_reconnects_over_the_link_and_the_link_stays() {
    let _own = own_links();
    over_every_transport(|name, client, _| {
        let client = client();
        client.set_reconnect(Some(Reconnect { min_delay: MS, ..Reconnect::default() })).unwrap();
        open(&client);
        client.set_link(Some(cut(LinkCut::Reset))).unwrap();
        let Seen::Reconnecting(error, 1, _) = client.next() else { panic!("{name}: not reset") };
        assert_eq!(error.kind, ErrorKind::Reset);
        client.set_link(Some(LinkConditions { in_delay: 50 * MS, ..LinkConditions::default() })).unwrap();
        while let Seen::Reconnecting(error, ..) = client.next() {
            assert_eq!(error.kind, ErrorKind::Reset, "{name}");
        }
        let sent = Instant::now();
        assert_echoes(&client, "again");
        assert!(sent.elapsed() >= 50 * MS, "{name}");
    });
}

#[test]
fn urgent_message_overtakes_bulk_data_on_a_throttled_link() {
    let _own = own_links();
    let (report, reported) = mpsc::channel();
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        while let Some(frame) = peer.read_frame() {
            if frame.opcode == 8 {
                return peer.send_close(1000, "");
            }
            let _ = report.send(frame.payload.len());
        }
    });
    let client = Client::opened(&server.url());
    let lanes = [Lane::default(), Lane { priority: 1, ..Lane::default() }];
    client.set_lanes(&lanes).unwrap();
    client
        .set_link(Some(LinkConditions { out_bytes_per_second: 400_000, ..LinkConditions::default() }))
        .unwrap();
    let send = |lane, size: usize| {
        let options = SendOptions { lane, ..SendOptions::default() };
        let payload = vec![1; size];
        client.send_message(MessageType::Binary, framewire::Content::Bytes(&payload), options).unwrap();
    };
    (0..100).for_each(|_| send(1, 4096));
    wait_until("the first part", || client.lane_stats(1).unwrap().begun > 0);
    send(0, 64);
    let begun = client.lane_stats(1).unwrap().begun as usize;
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1000);
    drop(server);
    let received: Vec<usize> = reported.iter().collect();
    assert_eq!(received.len(), 101);
    // Those that had begun, and one that may begin before the worker has the message.
    let before = received.iter().position(|size| *size == 64).unwrap();
    assert!(before <= begun + 8, "{before} parts before it, {begun} had begun");
}

#[test]
fn sockets_with_a_link_share_no_http2_connection() {
    let _own = own_links();
    let target = Target::new("HTTP/2 over TLS", true, HttpVersion::Http2, 3);
    let shared: Vec<Client> = (0..3).map(|_| target.client()).collect();
    shared.iter().for_each(|client| client.open().unwrap());
    shared.iter().for_each(|client| assert_eq!(client.next(), Seen::Open));
    assert_eq!(target.server.connections(), 1);
    let delayed = LinkConditions { in_delay: 30 * MS, ..LinkConditions::default() };
    let alone: Vec<Client> = (0..3).map(|_| target.client()).collect();
    for client in &alone {
        client.set_link(Some(delayed)).unwrap();
        client.open().unwrap();
    }
    alone.iter().for_each(|client| assert_eq!(client.next(), Seen::Open));
    assert_eq!(target.server.connections(), 4);
    // A failure of one link is that of one socket; the shared connection is not affected.
    alone[0].set_link(Some(cut(LinkCut::Reset))).unwrap();
    assert_eq!(alone[0].error().kind, ErrorKind::Reset);
    shared[0].set_link(Some(cut(LinkCut::Reset))).unwrap();
    for client in shared.iter().chain(&alone[1..]) {
        assert_echoes(client, "alive");
    }
}

#[test]
fn link_of_every_socket_applies_to_existing_and_later_ones() {
    let _all = all_links();
    let server = EchoServer::start();
    let existing = Client::opened(&server.url("/"));
    let closed = Client::new(&server.url("/"));
    framewire::set_link(Some(LinkConditions { out_delay: 40 * MS, ..LinkConditions::default() })).unwrap();
    let later = Client::new(&server.url("/"));
    let other = Client::new(&server.url("/"));
    other.set_link(None).unwrap();
    for client in [&closed, &later, &other] {
        open(client);
    }
    for client in [&existing, &closed, &later] {
        let sent = Instant::now();
        assert_echoes(client, "delayed");
        assert!(sent.elapsed() >= 40 * MS);
    }
    assert_eq!(other.stats().reconnects, 0);
    framewire::set_link(Some(cut(LinkCut::Reset))).unwrap();
    for client in [&existing, &closed, &later, &other] {
        assert_eq!(client.error().kind, ErrorKind::Reset);
    }
    framewire::set_link(None).unwrap();
    for client in [existing, closed, later, other] {
        open(&client);
        assert_echoes(&client, "perfect");
    }
    // Its link ends with the library.
    framewire::set_link(Some(cut(LinkCut::Refuse))).unwrap();
    framewire::shutdown(Duration::from_secs(10)).unwrap();
    open(&Client::new(&server.url("/")));
}

#[test]
fn absurd_conditions_are_refused_and_change_nothing() {
    let _own = own_links();
    let server = EchoServer::start();
    let client = Client::opened(&server.url("/"));
    for link in [
        LinkConditions { out_delay: Duration::MAX, ..LinkConditions::default() },
        LinkConditions { in_jitter: 60_001 * MS, ..LinkConditions::default() },
        LinkConditions { stall: 5 * MS, stall_every: 5 * MS, ..LinkConditions::default() },
        LinkConditions { stall: 5 * MS, ..LinkConditions::default() },
    ] {
        let refusal = client.set_link(Some(link)).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidArgument);
        assert_eq!(framewire::set_link(Some(link)), Err(refusal));
    }
    assert_echoes(&client, "no link");
    client.destroy().unwrap();
    assert_eq!(client.set_link(None).unwrap_err().code, Code::InvalidHandle);
}

/// A slow, stalling link with the smallest rate, in worker mode: callbacks run, and the library stops in time.
#[test]
fn shutdown_does_not_wait_for_the_link() {
    let _all = all_links();
    let server = EchoServer::start();
    let client = Client::new(&server.url("/"));
    client.set_dispatch(framewire::Dispatch::Worker).unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    client.on_open(Some(Arc::new(move |_: &Socket| _ = count.fetch_add(1, Ordering::SeqCst)))).unwrap();
    client.open().unwrap();
    wait_until("open", || opened.load(Ordering::SeqCst) == 1);
    let link =
        LinkConditions { out_bytes_per_second: 1, out_delay: 60_000 * MS, ..LinkConditions::default() };
    client.set_link(Some(link)).unwrap();
    client.send_binary(&[1; 100_000]).unwrap();
    framewire::shutdown(Duration::from_secs(2)).unwrap();
}

/// Connections are cut at random, and reconnect: whatever happens, each accepted tag is reported once, and no later
/// than the terminal event.
#[test]
fn every_tag_has_one_outcome_over_a_link_that_cuts_at_random() {
    let _own = own_links();
    // On a busy machine, a TLS handshake may take longer than any link here lasts: counted over all transports.
    let all_lost = Cell::new(0);
    over_every_transport(|name, client, _| {
        let client = client();
        client
            .set_reconnect(Some(Reconnect { min_delay: MS, max_delay: 5 * MS, ..Reconnect::default() }))
            .unwrap();
        client.set_lanes(&[Lane::default(), Lane { priority: 1, ..Lane::default() }]).unwrap();
        // A TLS handshake whose bytes a cut has dropped ends only then.
        client.set_connect_timeout(5000).unwrap();
        open(&client);
        with_pings(&client);
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut accepted, mut reported, lost) = (Vec::new(), Vec::new(), Cell::new(0));
        let mut count = |seen: Seen| match seen {
            Seen::Sent(tag, outcome) => {
                reported.push(tag);
                lost.update(|lost| lost + usize::from(outcome == Outcome::Lost));
            }
            Seen::Error(error) => panic!("{name}: {error}"),
            _ => {}
        };
        let mut tag = 0;
        // On a busy machine, the socket is rarely open: until each outcome of a cut has occurred.
        for round in 0..600 {
            if round >= 60 && lost.get() > 0 && accepted.len() > 100 {
                break;
            }
            if round % 20 == 19 {
                client.set_link(None).unwrap();
                wait_until("an open connection", || {
                    while let Some(event) = client.next_event().unwrap() {
                        count(event.kind.into());
                    }
                    client.state() == State::Open
                });
            }
            for _ in 0..random(40) {
                tag += 1;
                let options = SendOptions {
                    lane: random(2) as u32,
                    key: random(4),
                    time_to_live: (random(3) == 0).then(|| MS * random(20) as u32),
                    tag,
                    ..SendOptions::default()
                };
                let payload = vec![round as u8; random(5000) as usize];
                let content = framewire::Content::Bytes(&payload);
                if client.send_message(MessageType::Binary, content, options).is_ok() {
                    accepted.push(tag);
                }
            }
            let cuts = [
                LinkCut::None,
                LinkCut::None,
                LinkCut::Stall,
                LinkCut::Reset,
                LinkCut::End,
                LinkCut::HalfOpen,
            ];
            let link = LinkConditions {
                out_delay: MS * random(10) as u32,
                out_bytes_per_second: [0, 300_000][random(2) as usize],
                cut: cuts[random(cuts.len() as u64) as usize],
                ..LinkConditions::default()
            };
            client.set_link(Some(link)).unwrap();
            std::thread::sleep(MS * random(10) as u32);
            client.set_link((random(2) == 0).then(LinkConditions::default)).unwrap();
            while let Some(event) = client.next_event().unwrap() {
                count(event.kind.into());
            }
        }
        client.set_link(None).unwrap();
        wait_until("an open socket", || client.close(1000, "").is_ok());
        client.until_end().into_iter().for_each(|seen| match seen {
            Seen::Error(_) => {}
            seen => count(seen),
        });
        reported.sort_unstable();
        assert_eq!(reported, accepted, "{name}");
        let lost = lost.get();
        assert!(lost < accepted.len(), "{name}: {lost} of {} were lost", accepted.len());
        all_lost.update(|all| all + lost);
    });
    assert!(all_lost.get() > 0, "no message was lost");
}
