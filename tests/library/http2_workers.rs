//! Several workers: sockets move to the worker that has the HTTP/2 connection to their server.

#![cfg(feature = "http2")]

#[path = "../common/mod.rs"]
mod common;

use common::{Client, Seen};
use framewire::{Config, HttpVersion};
use framewire_servers::{Behaviour, EchoServer, Http2Server};

#[test]
fn http2_sockets_of_a_server_move_to_one_worker() {
    framewire::init(Config { worker_threads: 3, ..Config::default() }).unwrap();
    let (one, two) = (Http2Server::start(Behaviour::default()), Http2Server::start(Behaviour::default()));
    let plain = EchoServer::start();
    let client = |url: &str, version| {
        let client = Client::new(url);
        client.set_http_version(version).unwrap();
        client
    };
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(client(&one.url("/"), HttpVersion::Http2));
        clients.push(client(&two.url("/"), HttpVersion::Http2));
        clients.push(client(&plain.url("/"), HttpVersion::Auto));
    }
    // The connection is not idle while one socket is left.
    let holders = [&one, &two].map(|server| client(&server.url("/"), HttpVersion::Http2));
    holders.iter().for_each(|holder| holder.open().unwrap());
    holders.iter().for_each(|holder| assert_eq!(holder.next(), Seen::Open));
    // Repeatedly: a socket may move to another worker, and events in transit must follow.
    for round in 0..5 {
        clients.iter().for_each(|client| client.open().unwrap());
        for client in &clients {
            assert_eq!(client.next(), Seen::Open);
            client.send_text("hello").unwrap();
            client.ping(b"and a ping").unwrap();
        }
        for client in &clients {
            let mut seen = [client.next(), client.next()];
            seen.sort_by_key(|seen| matches!(seen, Seen::Pong(_)));
            assert_eq!(seen, [Seen::Text("hello".into()), Seen::Pong(b"and a ping".into())]);
            client.close(1000, "").unwrap();
        }
        clients.iter().for_each(|client| assert_eq!(client.closed().0, 1000, "round {round}"));
    }
    assert_eq!((one.connections(), two.connections()), (1, 1));
}
