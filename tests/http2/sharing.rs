//! Sharing HTTP/2 connections between sockets: stream limits, flow control, and every way in which they end.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{Client, Seen, wait_until};
use framewire::{ErrorKind, HttpVersion, Phase, Roots, Socket, Tls};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::relay::relay;
use framewire_servers::{Authority, Behaviour, EchoServer, Http2Server, Scripted};

const BOTH: &[&str] = &["h2", "http/1.1"];

/// A TLS server for both HTTP versions, and settings that trust it.
fn secure(alpn: &'static [&'static str], behaviour: Behaviour) -> (Http2Server, Tls) {
    let authority = Authority::new("Test CA");
    let config = server_config(&authority.good(), Demands { alpn, ..Demands::default() });
    let tls = Tls::create().unwrap();
    tls.set_roots(Roots::None).unwrap();
    tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
    (Http2Server::start(Behaviour { tls: Some(config), ..behaviour }), tls)
}

fn client(url: &str, tls: Option<&Tls>, version: HttpVersion) -> Client {
    let client = Client::new(url);
    client.set_tls(tls).unwrap();
    client.set_http_version(version).unwrap();
    client
}

/// A socket that is opening over HTTP/2 without TLS.
fn open_plain(server: &Http2Server, path: &str) -> Client {
    let client = client(&server.url(path), None, HttpVersion::Http2);
    client.open().unwrap();
    client
}

fn assert_echoes(client: &Client, text: &str) {
    client.send_text(text).unwrap();
    assert_eq!(client.next(), Seen::Text(text.into()));
}

/// Records the HTTP version of each upgrade request.
fn record_versions(client: &Client) -> Arc<AtomicU32> {
    let versions = Arc::new(AtomicU32::new(0));
    let own = versions.clone();
    client.set_dispatch(framewire::Dispatch::Worker).unwrap();
    client
        .on_internal_request_created(Some(Arc::new(move |_: &Socket, request| {
            own.store(own.load(Ordering::SeqCst) * 10 + request.http_version(), Ordering::SeqCst);
        })))
        .unwrap();
    versions
}

#[test]
fn auto_uses_http2_if_the_server_supports_it() {
    let (server, tls) = secure(BOTH, Behaviour::default());
    let client = client(&server.url("/"), Some(&tls), HttpVersion::Auto);
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!((client.http_version(), client.response_status()), (2, 200));
    assert_echoes(&client, "hello");
    client.close(4000, "enough").unwrap();
    assert_eq!(client.closed(), (4000, "enough".to_owned()));
    assert_eq!((server.connections(), server.streams()), (1, 1));
    wait_until("the stream's end", || server.open_streams() == 0);
}

#[test]
fn several_dozen_sockets_share_one_connection() {
    let (server, tls) = secure(BOTH, Behaviour::default());
    let clients: Vec<_> = (0..48).map(|_| client(&server.url("/"), Some(&tls), HttpVersion::Auto)).collect();
    clients.iter().for_each(|client| client.open().unwrap());
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(client.next(), Seen::Open);
        client.send_text(&number.to_string()).unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(client.next(), Seen::Text(number.to_string()));
    }
    assert_eq!((server.connections(), server.streams()), (1, 48));
    // Destroying one socket does not affect the others.
    clients[0].abort().unwrap();
    assert_eq!(clients[0].closed().0, 1006);
    wait_until("one stream less", || server.open_streams() == 47);
    clients[1..].iter().for_each(|client| assert_echoes(client, "still here"));
    assert_eq!(server.connections(), 1);
}

#[test]
fn full_connection_is_followed_by_another() {
    let server = Http2Server::start(Behaviour { max_streams: 2, ..Behaviour::default() });
    let clients: Vec<_> = (0..5).map(|_| open_plain(&server, "/")).collect();
    for client in &clients {
        assert_eq!(client.next(), Seen::Open);
        assert_echoes(client, "hello");
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn server_without_extended_connect_gets_one_http2_attempt() {
    let (server, tls) = secure(BOTH, Behaviour { websockets: false, ..Behaviour::default() });
    let first = client(&server.url("/"), Some(&tls), HttpVersion::Auto);
    let versions = record_versions(&first);
    first.open().unwrap();
    wait_until("the open socket", || first.is_open());
    assert_eq!((first.http_version(), first.response_status()), (1, 101));
    assert_eq!((server.connections(), server.http1_connections(), server.streams()), (2, 1, 0));
    assert_eq!(versions.load(Ordering::SeqCst), 1, "only for the version that was used");
    // The result is remembered.
    let second = client(&server.url("/"), Some(&tls), HttpVersion::Auto);
    second.open().unwrap();
    assert_eq!(second.next(), Seen::Open);
    assert_echoes(&second, "hello");
    assert_eq!((server.connections(), server.http1_connections()), (3, 2));
}

#[test]
fn waiting_sockets_dial_alone_without_http2() {
    for alpn in [&["http/1.1"][..], &[]] {
        let (server, tls) = secure(alpn, Behaviour::default());
        let clients: Vec<_> =
            (0..12).map(|_| client(&server.url("/"), Some(&tls), HttpVersion::Auto)).collect();
        clients.iter().for_each(|client| client.open().unwrap());
        for client in &clients {
            assert_eq!(client.next(), Seen::Open);
            assert_eq!(client.http_version(), 1);
            assert_echoes(client, "hello");
        }
        assert_eq!(server.http1_connections(), 12);
    }
}

#[test]
fn http2_only_does_not_fall_back() {
    let (without, tls) = secure(BOTH, Behaviour { websockets: false, ..Behaviour::default() });
    let (old, old_tls) = secure(&["http/1.1"], Behaviour::default());
    for (server, tls, words) in [(&without, &tls, "RFC 8441"), (&old, &old_tls, "does not speak HTTP/2")] {
        let clients = [(); 3].map(|()| client(&server.url("/"), Some(tls), HttpVersion::Http2));
        clients.iter().for_each(|client| client.open().unwrap());
        for client in &clients {
            let error = client.error();
            assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Http, Phase::Upgrade, false));
            assert!(error.message.contains(words), "{error}");
        }
    }
    assert_eq!(without.http1_connections(), 0);
}

#[test]
fn http1_only_does_not_offer_http2() {
    let (server, tls) = secure(BOTH, Behaviour::default());
    let client = client(&server.url("/"), Some(&tls), HttpVersion::Http1);
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!((client.http_version(), server.http1_connections()), (1, 1));
}

#[test]
fn ws_uses_http2_only_with_prior_knowledge() {
    let server = Http2Server::start(Behaviour::default());
    let client = open_plain(&server, "/headers");
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.http_version(), 2);
    let Seen::Text(head) = client.next() else { panic!("not text") };
    assert!(head.contains("/headers"), "{head}");

    let plain = EchoServer::start();
    let automatic = Client::opened(&plain.url("/"));
    assert_eq!(automatic.http_version(), 1);
}

#[test]
fn http1_response_to_http2_is_an_error() {
    let plain = EchoServer::start();
    let client = client(&plain.url("/"), None, HttpVersion::Http2);
    client.open().unwrap();
    let error = client.error();
    assert_eq!(error.phase, Phase::Upgrade, "{error}");
}

#[test]
fn request_can_be_changed_and_has_version_2() {
    let (server, tls) = secure(BOTH, Behaviour::default());
    let client = client(&server.url("/headers"), Some(&tls), HttpVersion::Auto);
    client.add_protocol("chat").unwrap();
    let versions = record_versions(&client);
    let received_head = Arc::new(std::sync::Mutex::new(String::new()));
    let own = received_head.clone();
    client.on_text(Some(Arc::new(move |_: &Socket, text: &str| own.lock().unwrap().push_str(text)))).unwrap();
    client.add_header("X-Game", "seven").unwrap();
    client.open().unwrap();
    wait_until("the head", || !received_head.lock().unwrap().is_empty());
    let head = received_head.lock().unwrap().to_lowercase();
    assert!(head.contains("x-game: seven\r\n"), "{head}");
    assert_eq!(versions.load(Ordering::SeqCst), 2);
    assert_eq!(client.protocol(), "chat");
}

#[test]
fn refused_connect_reports_status_and_body() {
    let server = Http2Server::start(Behaviour::default());
    let client = open_plain(&server, "/forbidden");
    let error = client.error();
    assert_eq!((error.kind, error.phase, error.http_status), (ErrorKind::Http, Phase::Upgrade, 403));
    assert_eq!(client.response_body(), b"members only");
    assert_eq!(client.http_version(), 2);
}

#[test]
fn stream_reset_without_response_is_retried_once() {
    let server = Http2Server::start(Behaviour::default());
    let error = open_plain(&server, "/reset").error();
    assert_eq!((error.kind, error.phase), (ErrorKind::Reset, Phase::Upgrade));
    assert!(error.message.contains("INTERNAL_ERROR"), "{error}");
    assert_eq!(server.streams(), 2);
    // Requests that the server did not process are repeated without an event.
    let client = open_plain(&server, "/refused-once");
    assert_eq!(client.next(), Seen::Open);
    assert_echoes(&client, "hello");
}

#[test]
fn http_1_1_required_falls_back() {
    let (server, tls) = secure(BOTH, Behaviour::default());
    let automatic = client(&server.url("/http1-only"), Some(&tls), HttpVersion::Auto);
    automatic.open().unwrap();
    assert_eq!(automatic.next(), Seen::Open);
    assert_eq!(automatic.http_version(), 1);
    let strict = client(&server.url("/http1-only"), Some(&tls), HttpVersion::Http2);
    strict.open().unwrap();
    let error = strict.error();
    assert!(error.message.contains("HTTP_1_1_REQUIRED"), "{error}");
}

#[test]
fn stream_reset_ends_one_socket_only() {
    let server = Http2Server::start(Behaviour::default());
    let (cut, other) = (open_plain(&server, "/cut"), open_plain(&server, "/"));
    assert_eq!((cut.next(), other.next()), (Seen::Open, Seen::Open));
    cut.send_text("now").unwrap();
    let error = cut.error();
    assert_eq!((error.kind, error.phase), (ErrorKind::Reset, Phase::Open), "{error}");
    assert_echoes(&other, "hello");
    assert_eq!(server.connections(), 1);
}

#[test]
fn goaway_keeps_open_streams_and_moves_new_sockets() {
    let server = Http2Server::start(Behaviour::default());
    let old = open_plain(&server, "/");
    assert_eq!(old.next(), Seen::Open);
    server.go_away();
    assert_echoes(&old, "still served");
    server.serve_again();
    let new = open_plain(&server, "/");
    assert_eq!(new.next(), Seen::Open);
    assert_echoes(&new, "on the next connection");
    assert_echoes(&old, "and still");
    assert_eq!(server.connections(), 2);
}

#[test]
fn silent_connection_is_no_longer_shared() {
    let server = Http2Server::start(Behaviour::default());
    let (other, silent) =
        (open_plain(&server, "/"), client(&server.url("/silent"), None, HttpVersion::Http2));
    silent.set_start_ping_thread(true).unwrap();
    silent.set_ping_frequency(20).unwrap();
    silent.set_close_after_no_message(40).unwrap();
    assert_eq!(other.next(), Seen::Open);
    silent.open().unwrap();
    assert_eq!(silent.error().kind, ErrorKind::PingTimeout);
    assert_eq!(server.connections(), 1);
    // Open sockets stay on the old connection.
    assert_echoes(&other, "hello");
    let next = open_plain(&server, "/");
    assert_eq!(next.next(), Seen::Open);
    assert_echoes(&next, "on the next connection");
    assert_eq!(server.connections(), 2);
}

#[test]
fn lost_connection_ends_each_of_its_sockets_once() {
    let server = Http2Server::start(Behaviour::default());
    let clients: Vec<_> = (0..6).map(|_| open_plain(&server, "/")).collect();
    clients.iter().for_each(|client| assert_eq!(client.next(), Seen::Open));
    drop(server);
    for client in &clients {
        match client.end() {
            Seen::Error(error) => assert_eq!((error.kind, error.phase), (ErrorKind::Reset, Phase::Open)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn large_messages_pass_flow_control_both_ways() {
    let server = Http2Server::start(Behaviour::default());
    let client = open_plain(&server, "/");
    assert_eq!(client.next(), Seen::Open);
    let message: Vec<u8> = (0..5_000_000).map(|n| (n % 239) as u8).collect();
    client.send_binary(&message).unwrap();
    let Seen::Binary(echo) = client.next() else { panic!("not a binary message") };
    assert!(echo == message);
    wait_until("nothing more to send", || client.buffered_amount() == 0);
    let fragments = open_plain(&server, "/fragments?n=40&size=50000");
    assert_eq!(fragments.next(), Seen::Open);
    let Seen::Binary(whole) = fragments.next() else { panic!("not a binary message") };
    assert_eq!(whole.len(), 2_000_000);
}

#[test]
fn backpressure_affects_one_stream_only() {
    let server = Http2Server::start(Behaviour::default());
    const COUNT: u32 = 6000;
    // More than the event queue, the flow-control window and the socket buffers hold.
    let flooded = open_plain(&server, &format!("/count?n={COUNT}&size=4096"));
    let other = open_plain(&server, "/");
    assert_eq!(other.next(), Seen::Open);
    let received = || flooded.stats().bytes_received;
    wait_until("a full event queue", || received() >= 3 << 20);
    for _ in 0..50 {
        assert_echoes(&other, "not held up");
    }
    assert!(received() < u64::from(COUNT) * 4096 / 2, "the rest stays at the server");
    assert_eq!(flooded.next(), Seen::Open);
    for number in 0..COUNT {
        let Seen::Binary(message) = flooded.next() else { panic!("not a binary message") };
        assert_eq!(message[..8], u64::from(number).to_le_bytes());
    }
    assert_eq!(flooded.closed(), (1000, "done".to_owned()));
}

#[test]
fn closed_send_window_counts_as_buffered_amount() {
    let server = Http2Server::start(Behaviour::default());
    let client = open_plain(&server, "/silent");
    assert_eq!(client.next(), Seen::Open);
    // The server reads and discards this, so all of it is sent.
    client.send_binary(&vec![1; 3_000_000]).unwrap();
    wait_until("nothing more to send", || client.buffered_amount() == 0);

    let stuck = open_plain(&server, "/push?hz=1&size=1");
    assert_eq!(stuck.next(), Seen::Open);
    // This server reads nothing, and socket buffers hold a few megabytes at most.
    const SIZE: usize = 60_000_000;
    stuck.send_binary(&vec![1; SIZE]).unwrap();
    wait_until("full socket buffers", || {
        let before = stuck.buffered_amount();
        std::thread::sleep(std::time::Duration::from_millis(100));
        before < SIZE && stuck.buffered_amount() == before
    });
    assert!(stuck.buffered_amount() > SIZE / 2, "{}", stuck.buffered_amount());
}

#[test]
fn silent_http2_server_times_out_in_the_upgrade_phase() {
    let server = Scripted::start(|peer| {
        let mut sink = Vec::new();
        let _ = std::io::Read::read_to_end(&mut peer.stream(), &mut sink);
    });
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let client = client(&server.url(), None, HttpVersion::Http2);
            client.set_connect_timeout(300).unwrap();
            client.open().unwrap();
            client
        })
        .collect();
    for client in &clients {
        let error = client.error();
        assert_eq!((error.kind, error.phase), (ErrorKind::TimedOut, Phase::Upgrade), "{error}");
    }
}

#[test]
fn cancelling_the_dialling_socket_keeps_the_waiting_ones() {
    let server = Http2Server::start(Behaviour::default());
    for _ in 0..20 {
        let clients: Vec<_> = (0..4).map(|_| open_plain(&server, "/")).collect();
        // The socket that dials for the others may be among them.
        clients[0].abort().unwrap();
        assert_eq!(clients[0].end(), Seen::Closed(1006, "aborted by the caller".to_owned()));
        for client in &clients[1..] {
            assert_eq!(client.next(), Seen::Open);
        }
    }
}

#[test]
fn destroyed_socket_ends_its_stream() {
    let _exclusive = crate::common::exclusive();
    let server = Http2Server::start(Behaviour::default());
    let client = open_plain(&server, "/");
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.http_version(), 2);
    client.destroy().unwrap();
    wait_until("the stream's end", || server.open_streams() == 0);
}

/// The connection has been verified with the settings from before the change, however long its handshake takes.
#[test]
fn connection_is_not_shared_after_a_change_of_the_settings_during_its_handshake() {
    let (server, tls) = secure(BOTH, Behaviour::default());
    let (arrived, has_arrived) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let port = server.port();
    let relayed = Scripted::start(move |peer| {
        if peer.number == 0 {
            arrived.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        }
        relay(peer.stream(), &TcpStream::connect(("127.0.0.1", port)).unwrap());
    });
    let url = format!("wss://127.0.0.1:{}/", relayed.port());
    let before = client(&url, Some(&tls), HttpVersion::Http2);
    before.open().unwrap();
    has_arrived.recv_timeout(crate::common::TIMEOUT).unwrap();
    tls.set_insecure(false).unwrap();
    go.send(()).unwrap();
    assert_eq!(before.next(), Seen::Open);
    let after = client(&url, Some(&tls), HttpVersion::Http2);
    after.open().unwrap();
    assert_eq!(after.next(), Seen::Open);
    assert_eq!(relayed.connections(), 2);
}
