//! Responses to the upgrade request: which are accepted, and how the others are reported.

use crate::common::{Client, Seen};
use framewire::{Error, ErrorKind, Phase};
use framewire_servers::Scripted;

const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: {accept}\r\n\r\n";

/// A server that sends this response, then waits for the client to disconnect.
fn responding(template: impl Into<Vec<u8>>) -> Scripted {
    let template = template.into();
    Scripted::start(move |mut peer| {
        peer.respond(&template);
        peer.wait_for_end();
    })
}

/// The error of a connection that got this response.
fn refused(template: impl Into<Vec<u8>>) -> (Error, Client) {
    let server = responding(template);
    let client = Client::opening(&server.url());
    let error = client.error();
    assert_eq!(error.phase, Phase::Upgrade, "{error}");
    drop(server);
    (error, client)
}

#[test]
fn refused_upgrade_reports_status_body_and_retriable() {
    for (status, retriable) in [
        (200, false),
        (204, false),
        (301, false),
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (408, true),
        (425, true),
        (426, false),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
    ] {
        let body = if status == 204 { "" } else { "why not" };
        let (error, client) = refused(format!(
            "HTTP/1.1 {status} Text\r\nContent-Length: {}\r\nX-Reason: because\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!((error.kind, error.http_status), (ErrorKind::Http, status), "{error}");
        assert_eq!(error.retriable, retriable, "{status}");
        assert!(error.message.contains(&status.to_string()), "{error}");
        assert_eq!(client.response_status(), status);
        assert_eq!(client.response_header("x-reason").as_deref(), Some("because"));
        assert_eq!(client.response_body(), body.as_bytes(), "{status}");
    }
}

#[test]
fn all_header_fields_are_returned_in_order() {
    let (_, client) = refused(
        "HTTP/1.1 403 No\r\nSet-Cookie: a=1; Path=/\r\nX-Empty:\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    );
    let fields = client.response_headers();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected =
        [("Set-Cookie", "a=1; Path=/"), ("X-Empty", ""), ("set-cookie", "b=2"), ("Content-Length", "0")];
    assert_eq!(fields, expected);
    assert_eq!(client.response_header("SET-COOKIE").as_deref(), Some("a=1; Path=/"));
}

#[test]
fn unfollowed_redirect_names_its_target() {
    let (error, client) =
        refused("HTTP/1.1 301 Moved\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n");
    assert!(error.message.contains("ws://elsewhere.example/"), "{error}");
    assert_eq!((client.response_status(), error.retriable), (301, false));
}

#[test]
fn chunked_body_is_decoded() {
    let (_, client) = refused(
        "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n8;x=y\r\n allowed\r\n0\r\n\r\n",
    );
    assert_eq!(client.response_body(), b"not allowed");
}

#[test]
fn response_body_is_cut_at_1024_bytes() {
    for head in ["Content-Length: 5000\r\n", ""] {
        let mut response = format!("HTTP/1.1 500 Oops\r\n{head}\r\n").into_bytes();
        response.extend((0..5000).map(|n| b'a' + (n % 26) as u8));
        let expected: Vec<u8> = (0..1024).map(|n| b'a' + (n % 26) as u8).collect();
        let (_, client) = refused(response);
        assert_eq!(client.response_body(), expected);
    }
}

#[test]
fn body_delimited_by_connection_end_is_read() {
    let server = Scripted::responding("HTTP/1.1 503 Full\r\n\r\nno room");
    let client = Client::opening(&server.url());
    assert_eq!(client.error().http_status, 503);
    assert_eq!(client.response_body(), b"no room");
}

#[test]
fn incomplete_body_does_not_delay_the_error() {
    for connect_timeout in [200, 60_000] {
        let server = responding("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nhalf");
        let client = Client::new(&server.url());
        client.set_connect_timeout(connect_timeout).unwrap();
        client.open().unwrap();
        let error = client.error();
        assert_eq!((error.kind, error.http_status, error.retriable), (ErrorKind::Http, 403, false));
        assert_eq!(client.response_status(), 403);
        assert_eq!(client.response_body(), b"half");
    }
}

#[test]
fn silent_server_times_out_in_the_upgrade_phase() {
    for template in ["", "HTTP/1.1 101 Swit", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso"] {
        let server = responding(template);
        let client = Client::new(&server.url());
        client.set_connect_timeout(200).unwrap();
        client.open().unwrap();
        let error = client.error();
        assert_eq!((error.kind, error.phase), (ErrorKind::TimedOut, Phase::Upgrade), "{error}");
        assert!(error.retriable);
        assert_eq!(client.response_status(), 0);
    }
}

#[test]
fn connection_lost_before_the_response_is_retriable() {
    for template in ["", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso"] {
        let server = Scripted::responding(template);
        let error = Client::opening(&server.url()).error();
        assert_eq!((error.kind, error.phase), (ErrorKind::Reset, Phase::Upgrade), "{error}");
        assert!(error.retriable);
    }
}

#[test]
fn response_that_is_not_http_is_reported() {
    for garbage in
        [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x50", b"\0\0\0\0", b"\r\n\r\n"]
    {
        let (error, client) = refused(garbage);
        assert_eq!((error.kind, error.http_status, error.retriable), (ErrorKind::Http, 0, false), "{error}");
        assert!(error.message.contains("not HTTP"), "{error}");
        assert_eq!(client.response_status(), 0);
    }
    let (error, _) = refused("HTTP/1.1 101 x\r\nno colon in this line\r\n\r\n");
    assert!(error.message.contains("malformed"), "{error}");
}

#[test]
fn mismatched_101_response_is_refused() {
    let changed = |from: &str, to: &str| {
        assert!(UPGRADE.contains(from));
        UPGRADE.replace(from, to)
    };
    let added = |line: &str| changed("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    for (template, kind, word) in [
        (changed("{accept}", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="), ErrorKind::Protocol, "Accept"),
        (changed("{accept}", "{accept}x"), ErrorKind::Protocol, "Accept"),
        (changed("Sec-WebSocket-Accept: {accept}\r\n", ""), ErrorKind::Protocol, "Accept"),
        (added("Sec-WebSocket-Accept: AAAA"), ErrorKind::Protocol, "more than one"),
        (changed("HTTP/1.1", "HTTP/1.0"), ErrorKind::Protocol, "HTTP/1.0"),
        (changed("Upgrade: websocket\r\n", ""), ErrorKind::Protocol, "Upgrade"),
        (changed("Upgrade: websocket", "Upgrade: h2c"), ErrorKind::Protocol, "Upgrade"),
        (changed("Connection: Upgrade\r\n", ""), ErrorKind::Protocol, "Connection"),
        (changed("Connection: Upgrade", "Connection: keep-alive"), ErrorKind::Protocol, "Connection"),
        (added("Sec-WebSocket-Protocol: chess"), ErrorKind::Protocol, "chess"),
        (added("Sec-WebSocket-Extensions: x-made-up"), ErrorKind::Extension, "x-made-up"),
        (added("Sec-WebSocket-Extensions: permessage-deflate; what=4"), ErrorKind::Extension, "deflate"),
        (added("Sec-WebSocket-Extensions: ;;;"), ErrorKind::Extension, "malformed"),
    ] {
        let (error, client) = refused(template);
        assert_eq!((error.kind, error.http_status, error.retriable), (kind, 101, false), "{error}");
        assert!(error.message.contains(word), "{word} in {error}");
        assert_eq!(client.response_status(), 101);
    }
}

#[test]
fn only_offered_subprotocols_are_accepted() {
    let server = Scripted::start(|mut peer| {
        let chosen = if peer.number == 0 { "go" } else { "chess" };
        peer.accept_upgrade_with(&format!("Sec-WebSocket-Protocol: {chosen}\r\n"));
        peer.wait_for_end();
    });
    let client = Client::new(&server.url());
    client.add_protocol("draughts").unwrap();
    client.add_protocol("go").unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.protocol(), "go");
    client.abort().unwrap();
    assert!(matches!(client.end(), Seen::Closed(..)));

    client.open().unwrap();
    let error = client.error();
    assert_eq!((error.kind, error.phase), (ErrorKind::Protocol, Phase::Upgrade), "{error}");
    assert_eq!(client.protocol(), "");
}

#[test]
fn headers_are_parsed_as_case_insensitive_token_lists() {
    for (from, to) in [
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "connection: UPGRADE"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"),
        ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ("Switching Protocols", ""),
    ] {
        let server = responding(UPGRADE.replace(from, to));
        let client = Client::opened(&server.url());
        assert_eq!((client.response_status(), client.http_version()), (101, 1), "{to}");
    }
}

/// With obsolete line folding (RFC 9112 section 5.2), by CRLF and by LF alone.
fn folded(head: &str) -> [String; 2] {
    let head = head.replacen("\r\n", "\r\nX-Policy: a;\r\n b\r\nX-Tab:\r\n\tc\r\n", 1);
    [head.replace("\r\n", "\n"), head]
}

#[test]
fn folded_headers_are_joined() {
    for template in folded(UPGRADE) {
        let server = responding(template);
        let client = Client::opened(&server.url());
        assert_eq!(client.response_header("X-Policy").as_deref(), Some("a; b"));
        assert_eq!(client.response_header("X-Tab").as_deref(), Some("c"));
    }
    for (head, retriable) in [
        ("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nwhy", false),
        ("HTTP/1.1 503 Full\r\nRetry-After:\r\n 7\r\nContent-Length:\r\n\t3\r\n\r\nwhy", true),
        (
            "HTTP/1.1 307 Moved\r\nLocation:\r\n ws://elsewhere.example/\r\nContent-Length: 3\r\n\r\nwhy",
            false,
        ),
    ] {
        for template in folded(head) {
            let (error, client) = refused(template);
            assert_eq!(error.http_status.to_string(), head[9..12], "{error}");
            assert_eq!((error.retriable, client.response_body()), (retriable, b"why".to_vec()), "{error}");
            assert_eq!(client.response_header("X-Policy").as_deref(), Some("a; b"));
            if error.http_status == 307 {
                assert!(error.message.contains("moved to ws://elsewhere.example/"), "{error}");
            }
            if error.http_status == 503 {
                assert_eq!(client.response_header("Retry-After").as_deref(), Some("7"));
            }
        }
    }
    let (error, _) = refused(UPGRADE.replacen("\r\n", "\r\n folded: first\r\n", 1));
    assert!(error.message.contains("malformed"), "{error}");
}

#[test]
fn folded_response_is_accepted_byte_by_byte() {
    for template in folded(UPGRADE) {
        let server = Scripted::start(move |mut peer| {
            let head = peer.read_head();
            let accept = framewire_servers::Peer::accept_key(&head);
            peer.send_byte_by_byte(template.replace("{accept}", &accept).as_bytes());
            peer.send_byte_by_byte(b"\x81\x02hi\x88\x00");
            peer.wait_for_end();
        });
        let seen = Client::opening(&server.url()).until_end();
        assert_eq!(seen, [Seen::Open, Seen::Text("hi".into()), Seen::Closed(1005, String::new())]);
    }
}

#[test]
fn interim_responses_are_skipped() {
    let server = responding(format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{UPGRADE}"
    ));
    let client = Client::opened(&server.url());
    assert_eq!(client.response_status(), 101);
    assert_eq!(client.response_header("Link"), None);
}

#[test]
fn endless_interim_responses_are_an_error() {
    let (error, _) = refused("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000));
    assert_eq!(error.kind, ErrorKind::Http, "{error}");
}

#[test]
fn oversized_response_heads_are_errors() {
    let long = format!("HTTP/1.1 101 x\r\nX-Long: {}", "x".repeat(300 << 10));
    let (error, _) = refused(long);
    assert_eq!(error.kind, ErrorKind::Http);
    assert!(error.message.contains("65536"), "{error}");

    let many = format!("HTTP/1.1 101 x\r\n{}\r\n", "A: b\r\n".repeat(2000));
    let (error, _) = refused(many);
    assert!(error.message.contains("header fields"), "{error}");
}

#[test]
fn large_response_head_within_the_limit_is_accepted() {
    let large = format!("Switching\r\nX-Large: {}", "x".repeat(50 << 10));
    let server = responding(UPGRADE.replace("Switching Protocols", &large));
    let client = Client::opened(&server.url());
    assert_eq!(client.response_header("X-Large").map(|value| value.len()), Some(50 << 10));
}

#[test]
fn frames_directly_after_the_response_are_received() {
    let mut response = UPGRADE.as_bytes().to_vec();
    response.extend(b"\x81\x05hello\x82\x02\x01\x02\x88\x02\x03\xe8");
    let server = responding(response);
    let seen = Client::opening(&server.url()).until_end();
    let expected =
        [Seen::Open, Seen::Text("hello".into()), Seen::Binary(vec![1, 2]), Seen::Closed(1000, String::new())];
    assert_eq!(seen, expected);
}

#[test]
fn response_is_accepted_byte_by_byte() {
    let server = Scripted::start(|mut peer| {
        let head = peer.read_head();
        let accept = framewire_servers::Peer::accept_key(&head);
        peer.send_byte_by_byte(UPGRADE.replace("{accept}", &accept).as_bytes());
        peer.send_byte_by_byte(b"\x81\x02hi\x88\x00");
        peer.wait_for_end();
    });
    let seen = Client::opening(&server.url()).until_end();
    assert_eq!(seen, [Seen::Open, Seen::Text("hi".into()), Seen::Closed(1005, String::new())]);
}
