//! The fallback to HTTP/1.1 when HTTP/2 yields no WebSocket, and how many requests the server gets.

use std::time::Duration;

use crate::common::{Client, Seen};
use framewire::{Error, ErrorKind, HttpVersion, Phase, Reconnect, Roots, Tls};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::{Authority, Behaviour, Http2Server};

const BOTH: &[&str] = &["h2", "http/1.1"];

/// A server over TLS, and settings that trust it.
struct Host {
    server: Http2Server,
    tls: Tls,
}

impl Host {
    fn new(alpn: &'static [&'static str], behaviour: Behaviour) -> Self {
        let authority = Authority::new("Test CA");
        let config = server_config(&authority.good(), Demands { alpn, ..Demands::default() });
        let tls = Tls::create().unwrap();
        tls.set_roots(Roots::None).unwrap();
        tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
        Self { server: Http2Server::start(Behaviour { tls: Some(config), ..behaviour }), tls }
    }

    fn both() -> Self {
        Self::new(BOTH, Behaviour::default())
    }

    fn client(&self, path: &str) -> Client {
        let client = Client::new(&self.server.url(path));
        client.set_tls(Some(&self.tls)).unwrap();
        client
    }

    fn opening(&self, path: &str) -> Client {
        let client = self.client(path);
        client.open().unwrap();
        client
    }

    fn error(&self, path: &str) -> Error {
        self.opening(path).error()
    }

    /// Connections accepted, how many of them use HTTP/1.1, and requests over HTTP/2.
    fn counts(&self) -> (usize, usize, usize) {
        (self.server.connections(), self.server.http1_connections(), self.server.streams())
    }
}

fn assert_echoes(client: &Client, version: u32) {
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.http_version(), version);
    client.send_text("hello").unwrap();
    assert_eq!(client.next(), Seen::Text("hello".into()));
}

fn retries(count: u32) -> Option<Reconnect> {
    let delay = Duration::from_millis(1);
    Some(Reconnect { min_delay: delay, max_delay: delay, max_attempts: count, ..Reconnect::default() })
}

#[test]
fn refused_connect_falls_back_to_http1_once_and_is_cached() {
    let statuses = [400, 405, 421, 426, 500, 501, 502, 503, 504, 505];
    let mut paths: Vec<_> = statuses.iter().map(|status| format!("/status/{status}")).collect();
    paths.extend(["/protocol-error", "/http1-only", "/status/501/later"].map(str::to_owned));
    for path in paths {
        let host = Host::both();
        assert_echoes(&host.opening(&path), 1);
        assert_eq!(host.counts(), (2, 1, 1), "{path}");
        // The result is remembered.
        assert_echoes(&host.opening("/"), 1);
        assert_eq!(host.counts(), (3, 2, 1), "{path}");
    }
}

#[test]
fn definitive_refusals_do_not_fall_back() {
    let host = Host::both();
    let paths = ["401", "403", "404", "407", "410", "429", "502/later", "503/later"];
    for (count, path) in paths.iter().enumerate() {
        let error = host.error(&format!("/status/{path}"));
        assert_eq!(error.http_status, path[..3].parse::<u16>().unwrap(), "{error}");
        assert_eq!((error.kind, error.phase), (ErrorKind::Http, Phase::Upgrade));
        assert_eq!((host.server.http1_connections(), host.server.streams()), (0, count + 1), "{path}");
    }
    assert_echoes(&host.opening("/"), 2);
}

#[test]
fn fallback_does_not_wait_for_the_body() {
    let host = Host::both();
    let client = host.client("/status/501/slow");
    client.set_connect_timeout(600_000).unwrap();
    client.open().unwrap();
    assert_echoes(&client, 1);
}

#[test]
fn each_refused_socket_opens_one_more_connection() {
    let host = Host::both();
    let clients: Vec<_> = (0..12).map(|_| host.opening("/status/501")).collect();
    clients.iter().for_each(|client| assert_echoes(client, 1));
    let (connections, http1, streams) = host.counts();
    assert_eq!((connections, http1), (13, 12));
    assert!(streams <= 12, "{streams}");
}

#[test]
fn queued_messages_are_sent_after_the_fallback() {
    let host = Host::both();
    let client = host.client("/status/501");
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..Reconnect::default() })).unwrap();
    client.open().unwrap();
    client.send_text("early").unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.next(), Seen::Text("early".into()));
}

#[test]
fn retries_after_a_fallback_use_http1() {
    let response = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let host = Host::new(BOTH, Behaviour { http1_response: Some(response), ..Behaviour::default() });
    let client = host.client("/status/502");
    client.set_reconnect(retries(5)).unwrap();
    client.open().unwrap();
    let events = client.until_end();
    assert_eq!(events.len(), 6, "{events:?}");
    let (Seen::Reconnecting(first, 1, _), Seen::Error(last)) = (&events[0], &events[5]) else {
        panic!("{events:?}")
    };
    assert!(
        first.message.contains("answered 503") && first.message.contains("over HTTP/2 before"),
        "{first}"
    );
    assert!(first.message.contains("answered 502"), "{first}");
    assert_eq!((last.http_status, last.message.contains("HTTP/2")), (503, false), "{last}");
    assert_eq!(host.counts(), (7, 6, 1));
    // HTTP/1.1 yielded no WebSocket either, so other sockets still use HTTP/2 first.
    assert_eq!(host.error("/status/403").http_status, 403);
    assert_eq!(host.server.http1_connections(), 6);
}

#[test]
fn server_without_http1_reports_the_http2_error() {
    let host = Host::new(&["h2"], Behaviour::default());
    let client = host.client("/status/502");
    client.set_reconnect(retries(3)).unwrap();
    client.open().unwrap();
    let events = client.until_end();
    let Seen::Reconnecting(first, 1, _) = &events[0] else { panic!("{events:?}") };
    assert!(first.message.contains("; over HTTP/1.1: "), "{first}");
    let Some(Seen::Error(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!((last.http_status, last.retriable, events.len()), (502, true, 4), "{last}");
    assert_eq!((client.response_status(), client.http_version()), (502, 2));
    assert_eq!(host.counts(), (2, 0, 4));

    let without = Host::new(&["h2"], Behaviour { websockets: false, ..Behaviour::default() });
    let error = without.error("/");
    assert!(error.message.contains("ENABLE_CONNECT_PROTOCOL; over HTTP/1.1: "), "{error}");
    assert_eq!((error.kind, without.server.connections()), (ErrorKind::Http, 2));
}

#[test]
fn stream_reset_twice_falls_back_without_caching_it() {
    let host = Host::both();
    assert_echoes(&host.opening("/reset"), 1);
    assert_eq!(host.counts(), (2, 1, 2));
    assert_echoes(&host.opening("/"), 2);
}

#[test]
fn http2_only_does_not_fall_back_on_refusal() {
    let host = Host::both();
    let cases = [
        ("/status/405", "not allow CONNECT"),
        ("/status/421", "does not serve this host"),
        ("/status/426", "version 13 over HTTP/2"),
        ("/status/501", "extended CONNECT"),
        ("/status/505", "HTTP/2"),
        ("/protocol-error", "set the HTTP version to 1"),
    ];
    for (path, words) in cases {
        let client = host.client(path);
        client.set_http_version(HttpVersion::Http2).unwrap();
        client.open().unwrap();
        let error = client.error();
        assert!(error.message.contains(words), "{path}: {error}");
        assert!(!error.message.contains("GET") && !error.message.contains("HTTP/1.1"), "{path}: {error}");
    }
    assert_eq!((host.server.http1_connections(), host.server.streams()), (0, cases.len()));
}

#[test]
fn content_length_in_a_connect_response_is_ignored() {
    let host = Host::both();
    let client = host.opening("/length");
    assert_echoes(&client, 2);
    assert_eq!(client.response_header("Content-Length").as_deref(), Some("0"));
    assert_eq!(host.counts(), (1, 0, 1));
}
