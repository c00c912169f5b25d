//! Network changes and suspend: which connections stay open.
//!
//! These calls affect every socket of the process, so the tests run one at a time.

#[path = "../common/mod.rs"]
mod common;

use std::net::TcpStream;
use std::time::Duration;

use common::{Client, Seen, exclusive, wait_until};
use framewire::{ErrorKind, HttpVersion, Phase, Reconnect, State, network_changed, resume, suspend};
use framewire_servers::relay::relay;
use framewire_servers::{Behaviour, EchoServer, Http2Server, Scripted};

fn after(milliseconds: u64) -> Option<Reconnect> {
    let delay = Duration::from_millis(milliseconds);
    Some(Reconnect { min_delay: delay, max_delay: delay, ..Reconnect::default() })
}

/// Echoes messages, so that the worker has processed what was queued for it before.
fn assert_echoes(client: &Client) {
    for _ in 0..3 {
        client.send_text("there?").unwrap();
        loop {
            match client.next() {
                Seen::Pong(_) => {}
                event => break assert_eq!(event, Seen::Text("there?".into())),
            }
        }
    }
}

/// A relay that drops the data of the first connection silently.
fn drop_first_connection(port: u16) -> Scripted {
    Scripted::start(move |mut peer| {
        if peer.number == 0 {
            peer.capture();
            return;
        }
        peer.read_head();
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n");
        relay(peer.stream(), &TcpStream::connect(("127.0.0.1", port)).unwrap());
    })
}

#[test]
fn network_change_keeps_live_and_drops_dead_connections() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let (live, dead) = (Client::opened(&server.url("/")), Client::opened(&server.url("/silent")));
    network_changed();
    // Pings are off; this one is the probe.
    assert!(matches!(live.next(), Seen::Pong(_)));
    assert_eq!((live.stats().pings_sent, live.stats().pongs_received), (1, 1));
    assert!(live.latency_us() > 0);
    let error = dead.error();
    assert_eq!(
        (error.kind, error.phase, error.retriable),
        (ErrorKind::PingTimeout, Phase::Open, true),
        "{error}"
    );
    assert!(error.message.contains("3000 ms"), "{error}");
    assert_eq!(live.state(), State::Open);
    assert_echoes(&live);
}

#[test]
fn dead_connections_reconnect_after_a_network_change() {
    let _exclusive = exclusive();
    // The first connection is the one that is lost.
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.wait_for_end();
    });
    let client = Client::new(&server.url());
    client.set_reconnect(after(1)).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    network_changed();
    assert!(matches!(client.next(), Seen::Reconnecting(error, 1, _) if error.kind == ErrorKind::PingTimeout));
    assert_eq!(client.next(), Seen::Open);
}

#[test]
fn pending_retry_starts_at_once() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    for wake in [network_changed, resume] {
        let client = Client::new(&server.url("/drop"));
        client.set_reconnect(after(3_600_000)).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        client.send_text("hang up").unwrap();
        assert!(matches!(client.next(), Seen::Reconnecting(_, 1, 3_600_000)));
        wake();
        assert_eq!(client.next(), Seen::Open);
        assert_eq!(client.stats().reconnects, 1);
    }
}

#[test]
fn connecting_restarts_after_a_network_change() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let proxy = drop_first_connection(server.port());
    let client = Client::new("ws://server.example/");
    client.set_proxy(Some(&format!("127.0.0.1:{}", proxy.port()))).unwrap();
    client.open().unwrap();
    wait_until("the first connection", || proxy.connections() == 1);
    network_changed();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(proxy.connections(), 2);
    client.abort().unwrap();
    assert!(client.end().is_terminal());
}

#[test]
fn timeouts_are_paused_while_suspended() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let watched = |path: &str| {
        let client = Client::new(&server.url(path));
        client.set_start_ping_thread(true).unwrap();
        client.set_ping_frequency(10).unwrap();
        client
    };
    let (live, dead) = (watched("/"), watched("/silent"));
    dead.set_close_after_no_message(20).unwrap();
    let never = Scripted::start(|mut peer| drop(peer.capture()));
    let opening = Client::new(&never.url());
    opening.set_connect_timeout(50).unwrap();
    live.open().unwrap();
    assert_eq!(live.next(), Seen::Open);
    dead.open().unwrap();
    opening.open().unwrap();
    suspend();
    suspend();
    assert_echoes(&live);
    let pings = live.stats().pings_sent;
    // Time must pass while suspended.
    std::thread::sleep(Duration::from_millis(300));
    assert_echoes(&live);
    assert_eq!(live.stats().pings_sent, pings, "no pings while suspended");
    // Whether the suspend was early enough depends on the machine; connections suspended in time must stay
    // open.
    let is_alive = |client: &Client| client.state() != State::Closed;
    let (is_dead_suspended, is_opening_suspended) = (is_alive(&dead), is_alive(&opening));
    resume();
    wait_until("pings again", || {
        let _ = live.next_event();
        live.stats().pings_sent > pings + 2
    });
    assert_eq!(live.state(), State::Open);
    let (dead, opening) = (dead.error(), opening.error());
    assert_eq!((dead.kind, opening.kind), (ErrorKind::PingTimeout, ErrorKind::TimedOut));
    assert!(is_dead_suspended || is_opening_suspended, "neither of the two was suspended in time");
}

/// What is left of it hears of no resume, as that is reported to sockets.
#[test]
fn connection_of_a_socket_that_was_destroyed_while_suspended_ends() {
    let _exclusive = exclusive();
    let (report, ended) = std::sync::mpsc::channel();
    // Does not answer the close frame.
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        report.send(peer.wait_for_end()).unwrap();
    });
    let echo = EchoServer::start();
    let (client, other) = (Client::opened(&server.url()), Client::opened(&echo.url("/")));
    suspend();
    assert_echoes(&other);
    client.destroy().unwrap();
    assert_echoes(&other);
    resume();
    assert_eq!(ended.recv_timeout(common::TIMEOUT), Ok(true));
}

/// The worker learns of both at once, and keeps their order.
#[test]
fn socket_opened_right_after_suspend_is_not_suspended() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| drop(peer.capture()));
    for _ in 0..10 {
        let client = Client::new(&server.url());
        client.set_connect_timeout(20).unwrap();
        suspend();
        client.open().unwrap();
        assert_eq!(client.error().kind, ErrorKind::TimedOut);
        resume();
    }
}

#[test]
fn close_works_while_suspended() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let client = Client::opened(&server.url("/"));
    suspend();
    assert_echoes(&client);
    client.close(1000, "night").unwrap();
    assert_eq!(client.closed(), (1000, "night".into()));
    // A socket that is opened now is not suspended.
    let client = Client::new(&server.url("/silent"));
    client.set_start_ping_thread(true).unwrap();
    client.set_ping_frequency(10).unwrap();
    client.set_close_after_no_message(20).unwrap();
    client.open().unwrap();
    assert_eq!(client.error().kind, ErrorKind::PingTimeout);
    resume();
    // The next test must not see it.
    assert_echoes(&Client::opened(&server.url("/")));
}

#[test]
#[cfg(feature = "http2")]
fn new_sockets_do_not_share_a_connection_from_before_the_change() {
    let _exclusive = exclusive();
    let server = Http2Server::start(Behaviour::default());
    let open = || {
        let client = Client::new(&server.url("/"));
        client.set_http_version(HttpVersion::Http2).unwrap();
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        client
    };
    let old = [open(), open()];
    assert_eq!(server.connections(), 1);
    network_changed();
    for client in &old {
        assert!(matches!(client.next(), Seen::Pong(_)), "the probe is answered");
        assert_echoes(client);
    }
    let new = open();
    assert_echoes(&new);
    assert_eq!(server.connections(), 2);
    suspend();
    resume();
    assert!(matches!(new.next(), Seen::Pong(_)));
    old.iter().chain([&new]).for_each(assert_echoes);
}

#[test]
#[cfg(feature = "http2")]
fn sockets_waiting_for_a_lost_connection_share_the_next() {
    let _exclusive = exclusive();
    let server = Http2Server::start(Behaviour::default());
    let proxy = drop_first_connection(server.port());
    let clients: Vec<Client> = (0..4).map(|_| Client::new(&server.url("/"))).collect();
    for client in &clients {
        client.set_http_version(HttpVersion::Http2).unwrap();
        client.set_proxy(Some(&format!("127.0.0.1:{}", proxy.port()))).unwrap();
        client.open().unwrap();
    }
    wait_until("the first connection", || proxy.connections() == 1);
    network_changed();
    for client in &clients {
        assert_eq!(client.next(), Seen::Open);
        assert_echoes(client);
    }
    assert_eq!((proxy.connections(), server.connections(), server.streams()), (2, 1, 4));
}
