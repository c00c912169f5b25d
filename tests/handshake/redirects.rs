//! Redirects and cookies: where the request goes, and which headers it carries.

use std::sync::{Arc, Mutex};

use crate::common::{Client, Seen, exclusive};
use framewire::{Error, ErrorKind, LogLevel, Phase, Reconnect};
use framewire_servers::{EchoServer, Scripted};

/// Request heads in the order of arrival.
type Heads = Arc<Mutex<Vec<String>>>;

fn heads(heads: &Heads) -> Vec<String> {
    heads.lock().unwrap().clone()
}

/// A server that reads the request and sends the response that `respond` returns for the number of the
/// connection; `None` accepts the upgrade.
fn server(respond: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> (Scripted, Heads) {
    let seen = Heads::default();
    let own = seen.clone();
    let server = Scripted::start(move |mut peer| {
        let head = peer.read_head();
        own.lock().unwrap().push(head.clone());
        match respond(peer.number) {
            Some(response) => peer.send(response.as_bytes()),
            None => {
                peer.send_upgrade_response(&head, "");
                peer.wait_for_end();
            }
        }
    });
    (server, seen)
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A server that redirects every request to this URL.
fn redirecting(status: u16, location: String) -> (Scripted, Heads) {
    server(move |_| Some(redirect(status, &location)))
}

fn following(url: &str) -> Client {
    let client = Client::new(url);
    client.set_max_redirects(5).unwrap();
    client
}

fn assert_opens(client: &Client) {
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
}

fn open_error(client: &Client) -> Error {
    client.open().unwrap();
    let error = client.error();
    assert_eq!(error.phase, Phase::Upgrade, "{error}");
    error
}

#[test]
fn redirects_are_followed_and_reported() {
    for status in [301, 302, 303, 307, 308] {
        let (second, arrived) = server(|_| None);
        let target = format!("{}there?a=b", second.url());
        let (first, _) = redirecting(status, target.clone());
        let client = following(&first.url());
        client.enable_event(framewire::EventType::Request, true).unwrap();
        client.open().unwrap();
        for (number, url) in [(1, first.url()), (2, target.clone())] {
            let mut event = None;
            crate::common::wait_until("the request", || {
                event = client.next_event().unwrap();
                event.is_some()
            });
            let Some(framewire::EventKind::Request(request)) = event.map(|event| event.kind) else {
                panic!("no request")
            };
            assert_eq!((request.attempt(), request.url()), (number, url));
            request.set_header("X-Number", &number.to_string()).unwrap();
        }
        assert_eq!(client.next(), Seen::Open);
        assert_eq!(client.url(), target);
        assert_eq!(client.response_status(), 101);
        let head = &heads(&arrived)[0];
        assert!(head.starts_with("GET /there?a=b HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nHost: 127.0.0.1:{}\r\n", second.port())), "{head}");
        assert!(head.contains("\r\nX-Number: 2\r\n"), "{head}");
        assert_eq!((first.connections(), second.connections()), (1, 1));
    }
}

#[test]
fn queued_messages_are_sent_after_redirects() {
    let target = framewire_servers::EchoServer::start();
    let (second, _) = redirecting(307, target.url("/"));
    let (first, _) = redirecting(302, second.url());
    let client = following(&first.url());
    client.set_reconnect(Some(Reconnect { queue_sends: true, ..Reconnect::default() })).unwrap();
    client.open().unwrap();
    client.send_text("early").unwrap();
    assert_eq!(client.next(), Seen::Open);
    assert_eq!(client.next(), Seen::Text("early".into()));
    assert_eq!(client.stats().messages_sent, 1);
    crate::common::wait_until("an empty queue", || client.buffered_amount() == 0);
}

#[test]
fn relative_redirect_targets_are_resolved() {
    for (location, line) in [
        ("other", "GET /a/other HTTP/1.1"),
        ("../up?x=y", "GET /up?x=y HTTP/1.1"),
        ("/abs#fragment", "GET /abs HTTP/1.1"),
        ("?z", "GET /a/b?z HTTP/1.1"),
    ] {
        let (one, seen) = server(move |number| (number == 0).then(|| redirect(302, location)));
        let client = following(&format!("{}a/b?q", one.url()));
        assert_opens(&client);
        assert!(heads(&seen)[1].starts_with(line), "{location}: {}", heads(&seen)[1]);
    }
    let (second, seen) = server(|_| None);
    let (first, _) = redirecting(302, format!("//127.0.0.1:{}/x", second.port()));
    assert_opens(&following(&first.url()));
    assert!(heads(&seen)[0].starts_with("GET /x "));
    // http: in Location is the same as ws:.
    let (first, _) = redirecting(302, format!("http://127.0.0.1:{}/y", second.port()));
    assert_opens(&following(&first.url()));
    assert!(heads(&seen)[1].starts_with("GET /y "));
}

#[test]
fn malformed_redirect_targets_are_read_like_browsers_do() {
    for (location, line) in [
        (&b"/caf\xc3\xa9"[..], "GET /caf%C3%A9 HTTP/1.1"),
        (b"/caf\xe9", "GET /caf%E9 HTTP/1.1"),
        (b"/a b?c d", "GET /a%20b?c%20d HTTP/1.1"),
        (b"/100%", "GET /100%25 HTTP/1.1"),
        (b"\\x\\y", "GET /x/y HTTP/1.1"),
        (b"/x\ty", "GET /xy HTTP/1.1"),
        (b"/x\r\n y", "GET /x%20y HTTP/1.1"),
        (b"?\xc3\xa9#\xc3\xa9", "GET /a/b?%C3%A9 HTTP/1.1"),
    ] {
        let seen = Heads::default();
        let own = seen.clone();
        let server = Scripted::start(move |mut peer| {
            let head = peer.read_head();
            own.lock().unwrap().push(head.clone());
            if peer.number == 0 {
                let response = [b"HTTP/1.1 302 x\r\nLocation: ", location, b"\r\nContent-Length: 0\r\n\r\n"];
                peer.send(&response.concat());
            } else {
                peer.send_upgrade_response(&head, "");
                peer.wait_for_end();
            }
        });
        assert_opens(&following(&format!("{}a/b?q", server.url())));
        assert!(heads(&seen)[1].starts_with(line), "{location:?}: {}", heads(&seen)[1]);
    }
    let (second, seen) = server(|_| None);
    let (first, _) = redirecting(302, format!("\\\\127.0.0.1:{}\\x", second.port()));
    assert_opens(&following(&first.url()));
    assert!(heads(&seen)[0].starts_with("GET /x "));
}

#[test]
fn error_401_mentions_credentials_dropped_on_redirect() {
    let unauthorized = |_| Some("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".into());
    type Set = fn(&Client);
    let cases: [(&str, Set, bool); 6] = [
        ("", |client| client.set_bearer_auth("token").unwrap(), true),
        ("", |client| client.set_basic_auth("bob", "secret").unwrap(), true),
        ("", |client| client.add_header("Cookie", "session=1").unwrap(), true),
        ("", |client| client.add_header("Proxy-Authorization", "Basic eA==").unwrap(), true),
        ("bob:secret@", |_| (), true),
        ("", |client| client.add_header("X-Game", "chess").unwrap(), false),
    ];
    for (user, set, expected) in cases {
        let (second, seen) = server(unauthorized);
        let (first, _) = redirecting(307, second.url());
        let client = following(&format!("ws://{user}127.0.0.1:{}/", first.port()));
        set(&client);
        let error = open_error(&client);
        let (from, to) = (format!("127.0.0.1:{}", first.port()), format!("127.0.0.1:{}", second.port()));
        assert_eq!((error.http_status, error.retriable), (401, false));
        let is_mentioned =
            error.message.contains(&format!("set for {from} were not sent after its redirect to {to}"));
        assert_eq!(is_mentioned, expected, "{error}");
        assert!(!error.message.contains("secret") && !error.message.contains("token"), "{error}");
        let head = heads(&seen).pop().unwrap().to_lowercase();
        assert!(!head.contains("authorization") && !head.contains("cookie"), "{head}");

        // Nothing to mention if no credentials were dropped.
        let (one, seen) = server(move |number| match number {
            0 => Some(redirect(307, "/again")),
            _ => unauthorized(number),
        });
        let client = following(&format!("ws://{user}127.0.0.1:{}/", one.port()));
        set(&client);
        let error = open_error(&client);
        assert!(!error.message.contains("not sent"), "{error}");
        assert_eq!(heads(&seen).len(), 2);
    }
}

#[test]
fn credentials_are_sent_only_to_their_origin() {
    let with_secrets = |port: u16, user: &str| {
        let client = following(&format!("ws://{user}127.0.0.1:{port}/"));
        client.add_header("Cookie", "session=1").unwrap();
        client.add_header("X-Game", "chess").unwrap();
        client.set_origin(Some("https://game.example")).unwrap();
        client
    };
    let secret = |head: &str| head.contains("\r\nAuthorization:") || head.contains("\r\nCookie:");
    for (user, header) in [("bob:secret@", false), ("", true)] {
        let (second, seen) = server(|_| None);
        let (first, seen_by_first) = redirecting(307, second.url());
        let client = with_secrets(first.port(), user);
        if header {
            client.set_bearer_auth("token").unwrap();
        }
        assert_opens(&client);
        assert!(secret(&heads(&seen_by_first)[0]));
        let head = &heads(&seen)[0];
        assert!(!secret(head), "{head}");
        assert!(
            head.contains("\r\nX-Game: chess\r\n") && head.contains("\r\nOrigin: https://game.example"),
            "{head}"
        );

        let (one, seen) = server(|number| (number == 0).then(|| redirect(307, "/again")));
        let client = with_secrets(one.port(), user);
        if header {
            client.set_bearer_auth("token").unwrap();
        }
        assert_opens(&client);
        assert!(heads(&seen)[1].contains("\r\nAuthorization:") && heads(&seen)[1].contains("\r\nCookie:"));
    }
}

#[test]
fn redirect_loop_ends_at_the_limit() {
    let (one, _) = redirecting(302, "/".into());
    let client = Client::new(&one.url());
    client.set_max_redirects(3).unwrap();
    let error = open_error(&client);
    assert_eq!((error.kind, error.http_status, error.retriable), (ErrorKind::Http, 302, false), "{error}");
    assert!(error.message.contains("limit"), "{error}");
    assert_eq!(client.response_status(), 302);
    assert_eq!(one.connections(), 4);
    // Each open restarts the count.
    assert_eq!(open_error(&client).http_status, 302);
    assert_eq!(one.connections(), 8);
}

#[test]
fn connect_timeout_covers_all_redirects() {
    let (one, _) = redirecting(302, "/".into());
    let client = Client::new(&one.url());
    client.set_max_redirects(u32::MAX).unwrap();
    client.set_connect_timeout(200).unwrap();
    client.open().unwrap();
    let error = client.error();
    assert_eq!(error.kind, ErrorKind::TimedOut, "{error}");
}

#[test]
fn invalid_redirects_are_errors() {
    for (location, words) in [
        ("ftp://h/", "scheme"),
        ("ws://h:99999/", "port"),
        ("ws://bad host/", "a space"),
        ("ws://b\u{fc}cher.example/", "punycode"),
        ("ws://[fe80::1%25lo]/", "zone"),
        ("mailto:bob", "scheme"),
    ] {
        let (one, _) = redirecting(301, location.into());
        let error = open_error(&following(&one.url()));
        assert_eq!(
            (error.kind, error.http_status, error.retriable),
            (ErrorKind::Http, 301, false),
            "{error}"
        );
        assert!(error.message.contains(words), "{words} in {error}");
    }
    let (one, _) = server(|_| Some("HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n".into()));
    assert_eq!(open_error(&following(&one.url())).http_status, 302);
    let (one, _) = server(|_| Some("HTTP/1.1 300 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".into()));
    assert_eq!(open_error(&following(&one.url())).http_status, 300);
    assert_eq!(one.connections(), 1);
}

#[test]
fn failure_after_a_redirect_names_the_new_server() {
    let (second, _) = server(|_| Some("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".into()));
    let (first, _) = redirecting(302, second.url());
    let client = following(&first.url());
    assert_eq!(open_error(&client).http_status, 403);
    assert_eq!(client.response_body(), b"no");
    assert_eq!(client.url(), second.url());
    // It starts at its own URL again.
    assert_eq!(open_error(&client).http_status, 403);
    assert_eq!(first.connections(), 2);
}

#[cfg(feature = "tls")]
#[test]
fn redirect_from_wss_to_ws_is_refused() {
    use framewire::{Roots, Tls};
    use framewire_servers::certs::{Demands, server_config};
    use framewire_servers::{Authority, TlsFront};

    let authority = Authority::new("Test CA");
    let tls = Tls::create().unwrap();
    tls.set_roots(Roots::None).unwrap();
    tls.add_ca_pem(authority.pem().as_bytes()).unwrap();
    let config = server_config(&authority.good(), Demands::default());
    let (plain, _) = server(|_| None);
    let (first, _) = redirecting(302, plain.url());
    let front = TlsFront::start(config.clone(), first.port());
    let client = following(&format!("wss://localhost:{}/", front.port()));
    client.set_tls(Some(&tls)).unwrap();
    let error = open_error(&client);
    assert_eq!((error.kind, error.http_status, error.retriable), (ErrorKind::Http, 302, false), "{error}");
    assert!(error.message.contains("wss to ws"), "{error}");
    assert_eq!(plain.connections(), 0);

    // From ws to wss is allowed and keeps the credentials.
    type Set = fn(&Client);
    let cases: [(&str, Set, &str); 4] = [
        ("bob:secret@", |_| (), "Authorization: Basic Ym9iOnNlY3JldA=="),
        (
            "",
            |client| client.set_basic_auth("bob", "secret").unwrap(),
            "Authorization: Basic Ym9iOnNlY3JldA==",
        ),
        ("", |client| client.set_bearer_auth("token").unwrap(), "Authorization: Bearer token"),
        ("", |client| client.add_header("Cookie", "session=1").unwrap(), "Cookie: session=1"),
    ];
    let (host, seen) = server(|_| None);
    let upgraded = TlsFront::start(config.clone(), host.port());
    for (user, set, line) in cases {
        // To the same host, and to another one.
        for (name, sent) in [("localhost", true), ("127.0.0.1", false)] {
            let (first, _) = redirecting(302, format!("wss://localhost:{}/", upgraded.port()));
            let client = following(&format!("ws://{user}{name}:{}/", first.port()));
            client.set_tls(Some(&tls)).unwrap();
            set(&client);
            assert_opens(&client);
            let head = heads(&seen).pop().unwrap();
            assert_eq!(head.contains(&format!("\r\n{line}\r\n")), sent, "{name}: {head}");
        }
    }
    let secure = TlsFront::start(config, plain.port());
    let (first, _) = redirecting(302, format!("wss://localhost:{}/", secure.port()));
    let client = following(&first.url());
    client.set_tls(Some(&tls)).unwrap();
    assert_opens(&client);
}

#[test]
fn cookies_are_sent_to_the_server_that_set_them() {
    let (second, arrived) = server(|_| None);
    let target = second.url();
    let (first, seen) = server(move |number| {
        (number < 2).then(|| {
            format!(
                "HTTP/1.1 302 x\r\nLocation: {}\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/other\r\n\
                 Content-Length: 0\r\n\r\n",
                if number == 0 { "/again" } else { &target }
            )
        })
    });
    let client = following(&first.url());
    client.set_cookies(true).unwrap();
    assert_opens(&client);
    let heads_of_first = heads(&seen);
    assert!(!heads_of_first[0].contains("Cookie"), "{}", heads_of_first[0]);
    assert!(heads_of_first[1].contains("\r\nCookie: a=1\r\n"), "{}", heads_of_first[1]);
    // Another port is another origin, but the same host (RFC 6265 section 8.5).
    assert!(heads(&arrived)[0].contains("\r\nCookie: a=1\r\n"));
}

#[test]
fn deleted_cookie_is_not_sent() {
    let seen = Heads::default();
    let own = seen.clone();
    let server = Scripted::start(move |mut peer| {
        let head = peer.read_head();
        own.lock().unwrap().push(head.clone());
        let lines = match peer.number {
            0 => "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/\r\nSet-Cookie: c=3; Path=/\r\n",
            1 => {
                "Set-Cookie: a=; Expires=Thu, 1 Jan 1970 00:00:00 GMT; Path=/\r\nSet-Cookie: b=; Max-Age=0; Path=/\r\n"
            }
            _ => "",
        };
        peer.send_upgrade_response(&head, lines);
        peer.wait_for_end();
    });
    let client = Client::new(&server.url());
    client.set_cookies(true).unwrap();
    for expected in [None, Some("a=1; b=2; c=3"), Some("c=3")] {
        assert_opens(&client);
        client.abort().unwrap();
        assert!(client.end().is_terminal());
        let head = heads(&seen).pop().unwrap();
        assert_eq!(framewire_servers::Peer::field(&head, "Cookie"), expected, "{head}");
    }
}

#[test]
fn cookies_are_kept_until_disabled() {
    let seen = Heads::default();
    let own = seen.clone();
    let server = Scripted::start(move |mut peer| {
        let head = peer.read_head();
        own.lock().unwrap().push(head.clone());
        peer.send_upgrade_response(&head, &format!("Set-Cookie: n={}\r\n", peer.number));
        peer.wait_for_end();
    });
    let client = Client::new(&server.url());
    let next_request_head = || {
        assert_opens(&client);
        client.abort().unwrap();
        assert!(client.end().is_terminal());
        heads(&seen).pop().unwrap()
    };
    assert!(!next_request_head().contains("\r\nCookie"), "no cookie has been set yet");
    assert!(!next_request_head().contains("\r\nCookie"), "cookies are off by default");
    client.set_cookies(true).unwrap();
    assert!(!next_request_head().contains("\r\nCookie"), "no cookie is stored while cookies are off");
    assert!(next_request_head().contains("\r\nCookie: n=2\r\n"));
    assert!(next_request_head().contains("\r\nCookie: n=3\r\n"));
    client.add_header("cookie", "mine=1").unwrap();
    let head = next_request_head();
    assert!(head.contains("\r\ncookie: mine=1\r\n") && !head.contains("n="), "{head}");
    client.set_cookies(false).unwrap();
    client.set_cookies(true).unwrap();
    let other = Client::new(&server.url());
    other.set_cookies(true).unwrap();
    assert_opens(&other);
    assert!(!heads(&seen).pop().unwrap().contains("\r\nCookie"), "each socket has its own cookies");
}

#[test]
fn copied_cookies_are_sent() {
    let seen = Heads::default();
    let own = seen.clone();
    let server = Scripted::start(move |mut peer| {
        let head = peer.read_head();
        own.lock().unwrap().push(head.clone());
        peer.send_upgrade_response(&head, &format!("Set-Cookie: n={}\r\n", peer.number));
        peer.wait_for_end();
    });
    let first = Client::new(&server.url());
    first.set_cookies(true).unwrap();
    assert_opens(&first);
    first.destroy().unwrap();
    let second = Client::new(&server.url());
    second.copy_cookies(&first).unwrap();
    assert_opens(&second);
    assert!(!heads(&seen).pop().unwrap().contains("\r\nCookie"), "cookies are off");
    let third = Client::new(&server.url());
    third.set_cookies(true).unwrap();
    third.copy_cookies(&first).unwrap();
    assert_opens(&third);
    assert!(heads(&seen).pop().unwrap().contains("\r\nCookie: n=0\r\n"));
}

/// Many servers expect a token there, as a browser can send it nowhere else.
#[test]
fn query_is_in_no_log_line_and_no_message() {
    let _exclusive = exclusive();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let own = lines.clone();
    framewire::set_log(
        LogLevel::Trace,
        Some(Arc::new(move |_, _, context, message| {
            own.lock().unwrap().push(format!("{message} {context}"));
        })),
    );
    let echo = EchoServer::start();
    let silent = Scripted::start(|mut peer| assert!(peer.wait_for_end()));
    let (circle, _) = redirecting(302, "/again?token=secret".into());
    let (elsewhere, _) = redirecting(302, echo.url("/?token=secret"));
    for url in [&echo.url("/"), &silent.url(), &circle.url(), &elsewhere.url()] {
        let client = Client::new(&format!("{url}?token=secret"));
        client.set_max_redirects(2).unwrap();
        client.set_connect_timeout(300).unwrap();
        client.open().unwrap();
        let seen = client.next();
        assert!(!format!("{seen:?}").contains("secret"), "{seen:?}");
        assert!(client.url().contains("token=secret"), "the game can read it");
    }
    framewire::set_log(LogLevel::Off, None);
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("connecting to ws://127.0.0.1")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
}
