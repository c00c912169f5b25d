use super::*;
use crate::error::{Error, ErrorKind};
use crate::wire::response::{Head, parse_response};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(url: &str) -> UpgradeRequest {
    UpgradeRequest::new(Url::parse(url).unwrap())
}

fn encoded(request: &UpgradeRequest) -> String {
    let mut out = Vec::new();
    request.encode_http1(KEY, &mut out);
    String::from_utf8(out).unwrap()
}

fn check(request: &UpgradeRequest, status_line: &str, fields: &[&str]) -> Result<Accepted, UpgradeError> {
    let text = format!("{status_line}\r\n{}\r\n\r\n", fields.join("\r\n"));
    match parse_response(text.as_bytes()).unwrap() {
        Head::Final { head, .. } => check_response(&head, request, KEY),
        other => panic!("{other:?}"),
    }
}

/// Checks a valid 101 with additional fields.
fn upgrade(request: &UpgradeRequest, fields: &[&str]) -> Result<Accepted, UpgradeError> {
    let mut all = vec!["Upgrade: websocket", "Connection: Upgrade", ACCEPT];
    all.extend(fields);
    check(request, "HTTP/1.1 101 Switching Protocols", &all)
}

#[test]
fn key_and_accept_match_rfc_example() {
    assert_eq!(key_from(*b"the sample nonce"), KEY);
    assert_eq!(accept_for(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn minimal_request_has_only_required_fields() {
    assert_eq!(
        encoded(&request("ws://example.com/chat?x=1")),
        "GET /chat?x=1 HTTP/1.1\r\n\
         Host: example.com\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         \r\n"
    );
}

#[test]
fn complete_request_has_every_field_once() {
    let mut full = request("ws://bob:secret@[::1]:9001/");
    full.protocols = vec!["chat".into(), "v2.chat".into()];
    full.extensions = Some("permessage-deflate; client_max_window_bits".into());
    full.headers.add("Origin", "https://game.example").unwrap();
    full.headers.add("X-Token", "a").unwrap();
    full.headers.add("x-token", "b").unwrap();
    full.complete();
    let text = encoded(&full);
    assert!(text.ends_with(&format!(
        "Host: [::1]:9001\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat, v2.chat\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Origin: https://game.example\r\n\
         X-Token: a\r\n\
         x-token: b\r\n\
         Authorization: Basic Ym9iOnNlY3JldA==\r\n\
         User-Agent: {USER_AGENT}\r\n\
         \r\n"
    )));

    full.headers.add("authorization", "Bearer x").unwrap();
    full.headers.add("origin", "null").unwrap();
    full.headers.add("user-agent", "Game/1").unwrap();
    full.complete();
    let text = encoded(&full).to_ascii_lowercase();
    assert_eq!(text.matches("authorization:").count(), 1);
    assert_eq!(text.matches("origin:").count(), 1);
    assert_eq!(text.matches("user-agent:").count(), 1);
    assert!(text.contains("authorization: bearer x\r\n") && text.contains("origin: null\r\n"));
    assert!(text.contains("user-agent: game/1\r\n"));
}

#[test]
fn default_fields_can_be_removed() {
    let mut asked = request("ws://bob:secret@h/");
    asked.complete();
    assert_eq!(asked.headers.get("user-agent"), Some(concat!("Framewire/", env!("CARGO_PKG_VERSION"))));
    for name in ["Authorization", "User-Agent"] {
        assert!(asked.headers.remove(name));
    }
    let text = encoded(&asked);
    assert!(!text.contains("User-Agent") && !text.contains("Authorization"), "{text}");
}

#[test]
fn request_never_contains_zone() {
    for url in ["ws://[fe80::1%25lo]:9/a", "wss://[fe80::1%251]/"] {
        let mut asked = request(url);
        asked.complete();
        let text = encoded(&asked);
        assert!(
            text.contains("\r\nHost: [fe80::1]") && !text.contains('%') && !text.contains("lo]"),
            "{text}"
        );
        let connect = asked.extended_connect();
        assert!(connect.authority.starts_with("[fe80::1]") && !connect.authority.contains('%'));
    }
}

#[test]
fn tungstenite_server_accepts_request() {
    let mut asked = request("ws://example.com/chat");
    asked.headers.add("X-Token", "a").unwrap();
    let text = encoded(&asked);
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut fields);
    assert!(parsed.parse(text.as_bytes()).unwrap().is_complete());
    let mut rebuilt = http::Request::builder().method("GET").uri(parsed.path.unwrap());
    for field in &*parsed.headers {
        rebuilt = rebuilt.header(field.name, field.value);
    }
    let rebuilt = rebuilt.version(http::Version::HTTP_11).body(()).unwrap();
    let response = tungstenite::handshake::server::create_response(&rebuilt).unwrap();
    let accept = response.headers()["Sec-WebSocket-Accept"].to_str().unwrap();
    assert_eq!(accept, accept_for(KEY));
}

#[test]
fn upgrade_is_accepted_in_any_token_spelling() {
    // A 101 has no body, whatever its head says (RFC 9112 section 6.3).
    for field in ["Content-Length: 0", "Content-Length: 5", "Transfer-Encoding: chunked"] {
        assert!(upgrade(&request("ws://h/"), &[field]).is_ok(), "{field}");
    }
    let plain = request("ws://h/");
    let nothing = Ok(Accepted { protocol: None, extensions: String::new() });
    assert_eq!(upgrade(&plain, &[]), nothing);
    for (upgrade, connection) in [
        ("Upgrade: WebSocket", "Connection: keep-alive, Upgrade"),
        ("upgrade: h2c , WEBSOCKET", "connection: UPGRADE"),
        ("Upgrade: websocket", "Connection: keep-alive\r\nConnection: upgrade"),
        ("Upgrade:websocket", "Connection:\tupgrade\t,x"),
    ] {
        let fields = [upgrade, connection, ACCEPT];
        assert_eq!(check(&plain, "HTTP/1.1 101", &fields), nothing, "{upgrade} {connection}");
    }
}

#[test]
fn folded_lines_belong_to_their_field() {
    let plain = request("ws://h/");
    let accept = "Sec-WebSocket-Accept:\r\n s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let folded = ["Upgrade:\r\n\twebsocket", "Connection: keep-alive,\r\n Upgrade", accept];
    assert!(check(&plain, "HTTP/1.1 101", &folded).is_ok());
    for (fields, error) in [
        (["Upgrade: websocket", "X: y\r\n Connection: Upgrade", ACCEPT], UpgradeError::NoConnectionUpgrade),
        (["X: y\r\n Upgrade: websocket", "Connection: Upgrade", ACCEPT], UpgradeError::NoUpgrade),
        (["Upgrade: web\r\n socket", "Connection: Upgrade", ACCEPT], UpgradeError::NoUpgrade),
    ] {
        assert_eq!(check(&plain, "HTTP/1.1 101", &fields), Err(error));
    }
    let hidden = format!("Connection: Upgrade\r\n {ACCEPT}");
    let fields = ["Upgrade: websocket", &hidden];
    assert_eq!(check(&plain, "HTTP/1.1 101", &fields), Err(UpgradeError::NoConnectionUpgrade));
    let split = "Sec-WebSocket-Accept: s3pPLMBiTxaQ\r\n 9kYGzzhZRbK+xOo=";
    let fields = ["Upgrade: websocket", "Connection: Upgrade", split];
    assert_eq!(check(&plain, "HTTP/1.1 101", &fields), Err(UpgradeError::WrongAccept));
}

#[test]
fn invalid_101_is_rejected_with_specific_error() {
    let plain = request("ws://h/");
    let good = ["Upgrade: websocket", "Connection: Upgrade", ACCEPT];
    let with = |at: usize, field: &'static str| {
        let mut fields = good;
        fields[at] = field;
        check(&plain, "HTTP/1.1 101 x", &fields)
    };
    assert_eq!(check(&plain, "HTTP/1.0 101 x", &good), Err(UpgradeError::Http10));
    assert_eq!(with(0, "A: b"), Err(UpgradeError::NoUpgrade));
    assert_eq!(with(0, "Upgrade: websockets"), Err(UpgradeError::NoUpgrade));
    assert_eq!(with(1, "A: b"), Err(UpgradeError::NoConnectionUpgrade));
    assert_eq!(with(1, "Connection: close"), Err(UpgradeError::NoConnectionUpgrade));
    assert_eq!(with(1, "Connection: not-upgrade"), Err(UpgradeError::NoConnectionUpgrade));
    assert_eq!(with(2, "A: b"), Err(UpgradeError::NoAccept));
    assert_eq!(with(2, "Sec-WebSocket-Accept: "), Err(UpgradeError::WrongAccept));
    assert_eq!(with(2, "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO="), Err(UpgradeError::WrongAccept));
    assert_eq!(upgrade(&plain, &[ACCEPT]), Err(UpgradeError::SeveralAccepts));
    assert_eq!(upgrade(&plain, &["Sec-WebSocket-Accept: x"]), Err(UpgradeError::SeveralAccepts));
}

#[test]
fn subprotocol_must_be_offered() {
    let mut asked = request("ws://h/");
    let chosen =
        |asked: &UpgradeRequest, fields: &[&str]| upgrade(asked, fields).map(|accepted| accepted.protocol);
    assert_eq!(
        chosen(&asked, &["Sec-WebSocket-Protocol: chat"]),
        Err(UpgradeError::ProtocolNotOffered("chat".into()))
    );
    asked.protocols = vec!["chat".into(), "superchat".into()];
    assert_eq!(chosen(&asked, &[]), Ok(None));
    assert_eq!(chosen(&asked, &["Sec-WebSocket-Protocol: superchat"]), Ok(Some("superchat".into())));
    for (fields, error) in [
        (&["Sec-WebSocket-Protocol: Chat"][..], UpgradeError::ProtocolNotOffered("Chat".into())),
        (&["Sec-WebSocket-Protocol:"], UpgradeError::ProtocolNotOffered("".into())),
        (&["Sec-WebSocket-Protocol: chat, superchat"], UpgradeError::SeveralProtocols),
        (&["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"], UpgradeError::SeveralProtocols),
    ] {
        assert_eq!(chosen(&asked, fields), Err(error));
    }
}

#[test]
fn extension_must_be_offered() {
    let mut asked = request("ws://h/");
    let chosen =
        |asked: &UpgradeRequest, fields: &[&str]| upgrade(asked, fields).map(|accepted| accepted.extensions);
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10";
    assert_eq!(
        chosen(&asked, &[deflate]),
        Err(UpgradeError::ExtensionNotOffered("permessage-deflate".into()))
    );
    asked.extensions = Some("permessage-deflate; client_max_window_bits, x-foo".into());
    assert_eq!(chosen(&asked, &[]), Ok("".into()));
    assert_eq!(chosen(&asked, &["Sec-WebSocket-Extensions: "]), Ok("".into()));
    assert_eq!(chosen(&asked, &[deflate]), Ok("permessage-deflate; server_max_window_bits=10".into()));
    assert_eq!(
        chosen(&asked, &["Sec-WebSocket-Extensions: x-foo", deflate]),
        Ok("x-foo, permessage-deflate; server_max_window_bits=10".into())
    );
    assert_eq!(
        chosen(&asked, &["Sec-WebSocket-Extensions: x-foo, x-bar"]),
        Err(UpgradeError::ExtensionNotOffered("x-bar".into()))
    );
    assert_eq!(
        chosen(&asked, &["Sec-WebSocket-Extensions: x-foo;"]),
        Err(UpgradeError::ExtensionSyntax("x-foo;".into()))
    );
    assert!(matches!(chosen(&asked, &[deflate, deflate]), Err(UpgradeError::Extension { .. })));
}

#[test]
fn refusal_has_status_and_advice() {
    let plain = request("ws://h/");
    for (line, status, retriable, words) in [
        ("HTTP/1.1 200 OK", 200, false, "200 (OK): an ordinary page"),
        ("HTTP/1.0 401 Unauthorized", 401, false, "credentials"),
        ("HTTP/1.1 403 Forbidden", 403, false, "origin"),
        ("HTTP/1.1 404 Not Found", 404, false, "path"),
        ("HTTP/1.1 408 x", 408, true, "later"),
        ("HTTP/1.1 425 x", 425, true, "later"),
        ("HTTP/1.1 426 Upgrade Required", 426, false, "version"),
        ("HTTP/1.1 429 x", 429, true, "later"),
        ("HTTP/1.1 500 x", 500, true, "later"),
        ("HTTP/1.1 501 x", 501, false, "server"),
        ("HTTP/1.1 503", 503, true, "answered 503:"),
        ("HTTP/1.1 302 Found", 302, false, "Location"),
        ("HTTP/1.1 999 Odd", 999, false, "no upgrade"),
    ] {
        let error = Error::from(check(&plain, line, &["A: b"]).unwrap_err());
        assert_eq!((error.http_status, error.retriable, error.kind), (status, retriable, ErrorKind::Http));
        assert!(error.message.contains(words), "{line}: {error}");
    }
    let moved = check(&plain, "HTTP/1.1 301 Moved", &["Location: wss://new.example/"]).unwrap_err();
    assert_eq!(moved, UpgradeError::Redirect { status: 301, location: "wss://new.example/".into() });
    assert!(moved.to_string().contains("moved to wss://new.example/, and redirects are off"));
    assert!(!moved.retriable());
}

#[test]
fn server_text_is_shortened_and_escaped() {
    let long = "\u{1}x".repeat(300);
    let text = UpgradeError::protocol_not_offered(&long).to_string();
    assert!(text.len() < 700 && !text.contains('\u{1}') && text.contains('…'), "{text}");
}

#[test]
fn http2_request_has_no_connection_fields() {
    let mut asked = request("wss://Ann:pw@host:8443/a?b=c");
    asked.headers.add("Origin", "https://game.example").unwrap();
    asked.protocols = vec!["one".to_owned(), "two".to_owned()];
    asked.headers.add("X-Game", "7").unwrap();
    asked.complete();
    let connect = asked.extended_connect();
    assert_eq!(
        (connect.secure, connect.authority.as_str(), connect.path.as_str()),
        (true, "host:8443", "/a?b=c")
    );
    let names: Vec<_> = connect.fields.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "sec-websocket-version",
        "sec-websocket-protocol",
        "origin",
        "x-game",
        "authorization",
        "user-agent",
    ];
    assert_eq!(names, expected);
    let http1 = encoded(&asked);
    for (name, value) in &connect.fields {
        let line = http1
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(own, _)| own.eq_ignore_ascii_case(name)));
        assert_eq!(line.map(|(_, value)| value), Some(value.as_str()), "{name}: the same in both versions");
    }
}

#[test]
fn http2_accepts_any_success_and_ignores_accept_key() {
    let asked = request("wss://host/");
    let head = |status, fields: &[(&str, &str)]| {
        let mut headers = ResponseHeaders::default();
        fields.iter().for_each(|(name, value)| headers.push(name, value));
        ResponseHead { status, reason: String::new(), version: 1, headers }
    };
    for status in [200, 204, 299] {
        assert!(check_response_http2(&head(status, &[("sec-websocket-accept", "whatever")]), &asked).is_ok());
    }
    for status in [101, 199, 300, 404, 501] {
        assert!(check_response_http2(&head(status, &[]), &asked).is_err(), "{status}");
    }
    // RFC 9110 section 9.3.6.
    let lengths = [("content-length", "5"), ("transfer-encoding", "chunked")];
    assert!(check_response_http2(&head(200, &lengths), &asked).is_ok());
    // The advice names the method that was sent.
    for (status, words) in [(405, "CONNECT"), (426, "over HTTP/2"), (501, "CONNECT"), (505, "HTTP/2")] {
        let text = check_response_http2(&head(status, &[]), &asked).unwrap_err().to_string();
        assert!(text.contains(words) && !text.contains("GET") && !text.contains("HTTP/1.1"), "{text}");
        let text = check(&asked, &format!("HTTP/1.1 {status} x"), &["A: b"]).unwrap_err().to_string();
        assert!(!text.contains("CONNECT") && !text.contains("HTTP/2"), "{text}");
    }
    let chosen = head(200, &[("sec-websocket-protocol", "never-offered")]);
    assert!(matches!(check_response_http2(&chosen, &asked), Err(UpgradeError::ProtocolNotOffered(_))));
}
