//! WebSockets over HTTP/2 through a proxy, after a redirect and in a retry.

use std::net::TcpStream;
use std::time::Duration;

use crate::common::{Client, Seen};
use framewire::{ErrorKind, HttpVersion, Reconnect, Roots, Tls};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::relay::relay;
use framewire_servers::{Authority, Behaviour, Http2Server, Scripted};

fn client(url: &str) -> Client {
    let client = Client::new(url);
    client.set_http_version(HttpVersion::Http2).unwrap();
    client
}

fn assert_echoes(client: &Client) {
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.http_version(), 2);
    client.send_text("hello").unwrap();
    assert_eq!(client.next(), Seen::Text("hello".into()));
}

#[test]
fn sockets_with_the_same_proxy_share_a_connection() {
    let server = Http2Server::start(Behaviour::default());
    let port = server.port();
    let proxy = Scripted::start(move |mut peer| {
        if peer.read_head().starts_with("CONNECT ") {
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n");
            let backend = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
            relay(peer.stream(), &backend);
        }
    });
    let clients: Vec<Client> = (0..4).map(|_| client(&server.url("/"))).collect();
    let (proxied, direct) = clients.split_at(3);
    for client in proxied {
        client.set_proxy(Some(&format!("http://127.0.0.1:{}", proxy.port()))).unwrap();
        assert_echoes(client);
    }
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
    assert_echoes(&direct[0]);
    assert_eq!((proxy.connections(), server.connections(), server.streams()), (1, 2, 4));
}

#[test]
fn redirect_to_an_http2_server_works() {
    let authority = Authority::new("Test CA");
    let demands = Demands { alpn: &["h2", "http/1.1"], ..Demands::default() };
    let config = server_config(&authority.good(), demands);
    let target = Http2Server::start(Behaviour { tls: Some(config), ..Behaviour::default() });
    let tls = Tls::create().unwrap();
    tls.set_roots(Roots::None).unwrap();
    tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
    let response =
        format!("HTTP/1.1 307 There\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url("/"));
    let redirecting = Scripted::responding(response);
    let client = Client::new(&redirecting.url());
    client.set_tls(Some(&tls)).unwrap();
    client.set_max_redirects(1).unwrap();
    assert_echoes(&client);
    assert_eq!((redirecting.connections(), target.connections(), target.streams()), (1, 1, 1));
}

#[test]
fn retry_reuses_the_shared_connection() {
    let server = Http2Server::start(Behaviour::default());
    let client = client(&server.url("/cut"));
    let delay = Duration::from_millis(1);
    let reconnect = Reconnect { min_delay: delay, max_delay: delay, ..Reconnect::default() };
    client.set_reconnect(Some(reconnect)).unwrap();
    client.open().unwrap();
    for _ in 0..3 {
        assert_eq!(client.next(), Seen::Open);
        client.send_text("the server resets the stream at this").unwrap();
        match client.next() {
            Seen::Reconnecting(error, 1, _) => assert_eq!(error.kind, ErrorKind::Reset, "{error}"),
            other => panic!("expected a reconnecting event, not {other:?}"),
        }
    }
    assert_eq!(client.next(), Seen::Open);
    assert_eq!((server.connections(), server.streams()), (1, 4));
    assert_eq!(client.stats().reconnects, 3);
}
