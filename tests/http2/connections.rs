//! How many connections sockets open to an HTTP/2 server: no more than necessary, however the server behaves.
//! The servers count the connections that they accept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::{Client, Seen, wait_until};
use framewire::{ErrorKind, HttpVersion, LinkConditions, LinkCut, Phase, Reconnect};
use framewire_servers::frames::{
    ACK, DATA, FramePeer, MAX_CONCURRENT_STREAMS, NO_ERROR, REFUSED_STREAM, SETTINGS, STATUS_200,
};
use framewire_servers::{Behaviour, Http2Server, Peer, Scripted};

/// An HTTP/2 server without TLS that is scripted frame by frame.
fn scripted(script: impl Fn(&mut FramePeer, usize) + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |peer: Peer| {
        if let Some(mut frames) = FramePeer::new(&peer) {
            script(&mut frames, peer.number);
        }
    })
}

fn client(server: &Scripted) -> Client {
    let client = Client::new(&server.url());
    client.set_http_version(HttpVersion::Http2).unwrap();
    client
}

fn opening(server: &Scripted, count: usize) -> Vec<Client> {
    let clients: Vec<_> = (0..count).map(|_| client(server)).collect();
    clients.iter().for_each(|client| client.open().unwrap());
    clients
}

fn assert_open(clients: &[Client]) {
    clients.iter().for_each(|client| assert_eq!(client.next(), Seen::Open));
}

#[test]
fn sockets_wait_on_one_connection_until_its_stream_limit_rises() {
    let is_raised = Arc::new(AtomicBool::new(false));
    let own = is_raised.clone();
    let server = scripted(move |peer, _| {
        peer.websockets(0);
        wait_until("the test to continue", || own.load(Ordering::SeqCst));
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 100)]);
        peer.accept_all();
    });
    let clients = opening(&server, 3);
    wait_until("the connection", || server.connections() > 0);
    // Enough time for hundreds of connections if there were no limit.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.connections(), 1);
    // A socket that is opened later waits with the others.
    let late = opening(&server, 1);
    is_raised.store(true, Ordering::SeqCst);
    assert_open(&clients);
    assert_open(&late);
    assert_eq!(server.connections(), 1);
}

#[test]
fn stream_limit_zero_times_out_and_is_named() {
    let server = scripted(|peer, _| {
        peer.websockets(0);
        assert_eq!(peer.request(), None, "a request beyond the limit");
    });
    let clients: Vec<_> = (0..3).map(|_| client(&server)).collect();
    for client in &clients {
        client.set_connect_timeout(500).unwrap();
        client.open().unwrap();
    }
    for client in &clients {
        let error = client.error();
        assert_eq!((error.kind, error.phase), (ErrorKind::TimedOut, Phase::Upgrade), "{error}");
        assert!(error.message.contains("SETTINGS_MAX_CONCURRENT_STREAMS stayed 0"), "{error}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn stream_limit_one_gives_each_socket_a_connection() {
    // From the start, and after a limit of 0.
    for zero_first in [false, true] {
        let server = scripted(move |peer, _| {
            if zero_first {
                peer.websockets(0);
                peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
            } else {
                peer.websockets(1);
            }
            peer.accept_all();
        });
        let clients = opening(&server, 12);
        assert_open(&clients);
        assert_eq!(server.connections(), 12);
    }
}

#[test]
fn lowered_stream_limit_opens_one_more_connection() {
    for lowered in [0, 1] {
        let seen = Arc::new(AtomicBool::new(false));
        let own = seen.clone();
        let server = scripted(move |peer, number| {
            peer.websockets(100);
            if number == 0 {
                for _ in 0..2 {
                    let stream = peer.request().expect("a first request");
                    peer.respond(stream, STATUS_200);
                }
                peer.settings(&[(MAX_CONCURRENT_STREAMS, lowered)]);
                while let Some(frame) = peer.receive() {
                    if (frame.kind, frame.flags) == (SETTINGS, ACK) {
                        own.store(true, Ordering::SeqCst);
                        break;
                    }
                }
            }
            peer.accept_all();
        });
        let first = opening(&server, 2);
        assert_open(&first);
        wait_until("the client's acknowledgement", || seen.load(Ordering::SeqCst));
        let next = opening(&server, 5);
        assert_open(&next);
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn refused_stream_is_retried_once() {
    let server = scripted(|peer, _| {
        peer.websockets(100);
        while let Some(stream) = peer.request() {
            peer.reset(stream, REFUSED_STREAM);
        }
    });
    let clients = opening(&server, 4);
    for client in &clients {
        let error = client.error();
        assert!(error.retriable && error.message.contains("REFUSED_STREAM"), "{error}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn retried_stream_counts_once() {
    let server = scripted(|peer, _| {
        peer.websockets(100);
        if let Some(stream) = peer.request() {
            peer.reset(stream, REFUSED_STREAM);
        }
        peer.accept_all();
    });
    let clients = opening(&server, 1);
    assert_open(&clients);
    assert_eq!(server.connections(), 1);
    // It would not apply to a connection that others share.
    clients[0].set_link(Some(LinkConditions { cut: LinkCut::Reset, ..LinkConditions::default() })).unwrap();
    assert_eq!(clients[0].error().kind, ErrorKind::Reset);
}

#[test]
fn goaway_costs_at_most_one_connection_per_socket() {
    // Instead of a response, and before any request.
    let unanswered = scripted(|peer, _| {
        peer.websockets(100);
        if peer.request().is_some() {
            peer.go_away(0, NO_ERROR);
        }
    });
    let clients = opening(&unanswered, 1);
    assert!(clients[0].error().retriable);
    assert_eq!(unanswered.connections(), 2);

    let refusing = scripted(|peer, _| {
        peer.at_once(|peer| {
            peer.websockets(100);
            peer.go_away(0, NO_ERROR);
        });
        assert_eq!(peer.request(), None);
    });
    let clients = opening(&refusing, 6);
    clients.iter().for_each(|client| assert!(client.error().retriable));
    assert!(refusing.connections() <= 6, "{}", refusing.connections());
}

#[test]
fn waiting_sockets_dial_once_each_after_a_failure() {
    let server = Scripted::start(|peer| peer.reset());
    let clients = opening(&server, 6);
    clients.iter().for_each(|client| drop(client.error()));
    assert!(server.connections() <= 6, "{}", server.connections());
}

#[test]
fn waiting_sockets_share_the_next_connection_after_a_cancel() {
    let server = Http2Server::start(Behaviour::default());
    for round in 1..=10 {
        let clients: Vec<_> = (0..6).map(|_| Client::new(&server.url("/"))).collect();
        for client in &clients {
            client.set_http_version(HttpVersion::Http2).unwrap();
            client.open().unwrap();
        }
        clients[0].abort().unwrap();
        assert_open(&clients[1..]);
        assert!(server.connections() <= 2 * round, "{} in round {round}", server.connections());
    }
}

#[test]
fn each_retry_opens_at_most_two_connections() {
    let server = scripted(|peer, _| {
        peer.websockets(100);
        peer.request();
    });
    let client = client(&server);
    let delay = Duration::from_millis(1);
    let reconnect = Reconnect { min_delay: delay, max_delay: delay, max_attempts: 5, ..Reconnect::default() };
    client.set_reconnect(Some(reconnect)).unwrap();
    client.open().unwrap();
    let events = client.until_end();
    assert_eq!(events.len(), 6);
    assert_eq!(server.connections(), 2 * 6);
}

#[test]
fn meaningless_fields_in_a_connect_response_are_ignored() {
    // content-length and transfer-encoding, each indexed in the static table and literal.
    let blocks: [&'static [u8]; 4] = [
        b"\x5c\x010",
        b"\x00\x0econtent-length\x010",
        b"\x79\x07chunked",
        b"\x00\x11transfer-encoding\x07chunked",
    ];
    for block in blocks {
        let server = scripted(move |peer, _| {
            peer.websockets(100);
            let stream = peer.request().expect("a request");
            peer.respond(stream, &[STATUS_200, block].concat());
            peer.send(DATA, 0, stream, b"\x81\x02hi");
            while peer.receive().is_some() {}
        });
        let client = client(&server);
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        assert_eq!(client.next(), Seen::Text("hi".into()));
        let name = if block.contains(&b'0') { "Content-Length" } else { "Transfer-Encoding" };
        assert!(client.response_header(name).is_some(), "{name}");
        let fields = client.response_headers();
        assert!(fields.iter().any(|(own, _)| *own == name.to_ascii_lowercase()), "{fields:?}");
        assert_eq!(server.connections(), 1);
    }
}
