//! The upgrade request: what is sent, and what the application can read and change.

use crate::common::{Client, Seen, exclusive};
use framewire::{Code, ErrorKind, EventKind, EventType, Extension, LogLevel, Phase, Piece, Request, Segment};
use framewire_servers::Scripted;
use std::sync::{Arc, Mutex};

const USER_AGENT: &str = concat!("Framewire/", env!("CARGO_PKG_VERSION"));

/// A server that accepts upgrades, and the requests that it received.
fn server() -> (Scripted, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let own = heads.clone();
    let server = Scripted::start(move |mut peer| {
        let head = peer.accept_upgrade();
        own.lock().unwrap().push(head);
        peer.wait_for_end();
    });
    (server, heads)
}

/// The values of a header field in the request that this client sends.
fn sent(client: &Client, heads: &Mutex<Vec<String>>, name: &str) -> Vec<String> {
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    end(client, heads, name)
}

fn end(client: &Client, heads: &Mutex<Vec<String>>, name: &str) -> Vec<String> {
    client.abort().unwrap();
    assert!(client.end().is_terminal());
    let mut head = String::new();
    // The server records a request after responding.
    crate::common::wait_until("the request", || {
        heads.lock().unwrap().pop().is_some_and(|recorded| {
            head = recorded;
            true
        })
    });
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

/// The same for a request that the application changes.
fn sent_after(
    client: &Client,
    heads: &Mutex<Vec<String>>,
    name: &str,
    change: impl FnOnce(&Request),
) -> Vec<String> {
    client.enable_event(EventType::Request, true).unwrap();
    client.open().unwrap();
    let mut event = None;
    crate::common::wait_until("the request", || {
        event = client.next_event().unwrap();
        event.is_some()
    });
    let Some(EventKind::Request(request)) = event.map(|event| event.kind) else { panic!("no request") };
    change(&request);
    drop(request);
    assert_eq!(client.next(), Seen::Open);
    end(client, heads, name)
}

#[test]
fn default_user_agent_can_be_replaced() {
    let (server, heads) = server();
    let client = Client::new(&server.url());
    assert_eq!(sent(&client, &heads, "User-Agent"), [USER_AGENT]);
    let check = |request: &Request| assert_eq!(request.header("user-agent").as_deref(), Some(USER_AGENT));
    assert_eq!(sent_after(&client, &heads, "User-Agent", check), [USER_AGENT]);
    let replaced = sent_after(&client, &heads, "User-Agent", |request| {
        request.set_header("user-agent", "Game/1").unwrap();
    });
    assert_eq!(replaced, ["Game/1"]);
    let added = sent_after(&client, &heads, "User-Agent", |request| {
        request.add_header("User-Agent", "Game/2").unwrap();
    });
    assert_eq!(added, ["Game/2"]);
    let removed = sent_after(&client, &heads, "User-Agent", |request| {
        request.remove_header("USER-AGENT").unwrap();
        assert_eq!(request.header("User-Agent"), None);
    });
    assert_eq!(removed, [""; 0]);

    let client = Client::new(&server.url());
    client.add_header("User-Agent", "Game/3").unwrap();
    assert_eq!(sent(&client, &heads, "user-agent"), ["Game/3"]);
    client.add_header("user-agent", "Game/4").unwrap();
    assert_eq!(sent(&client, &heads, "User-Agent"), ["Game/4"]);
}

#[test]
fn last_value_of_a_setting_wins() {
    let (server, heads) = server();
    let client = Client::new(&server.url().replace("ws://", "ws://bob:secret@"));
    assert_eq!(sent(&client, &heads, "Authorization"), ["Basic Ym9iOnNlY3JldA=="]);
    client.add_header("authorization", "Custom 1").unwrap();
    assert_eq!(sent(&client, &heads, "Authorization"), ["Custom 1"]);
    client.set_bearer_auth("2").unwrap();
    assert_eq!(sent(&client, &heads, "Authorization"), ["Bearer 2"]);
    client.add_header("Authorization", "Custom 3").unwrap();
    assert_eq!(sent(&client, &heads, "Authorization"), ["Custom 3"]);

    client.set_origin(Some("https://1.example")).unwrap();
    client.add_header("Origin", "https://2.example").unwrap();
    assert_eq!(sent(&client, &heads, "Origin"), ["https://2.example"]);
    client.set_origin(Some("https://3.example")).unwrap();
    assert_eq!(sent(&client, &heads, "Origin"), ["https://3.example"]);
    client.set_origin(None).unwrap();
    assert_eq!(sent(&client, &heads, "Origin"), [""; 0]);

    client.add_header("X-Twice", "1").unwrap();
    client.add_header("X-Twice", "2").unwrap();
    assert_eq!(sent(&client, &heads, "X-Twice"), ["1", "2"]);
}

#[test]
fn request_shows_the_headers_that_are_sent_and_can_remove_them() {
    let (server, heads) = server();
    let client = Client::new(&server.url().replace("ws://", "ws://bob:secret@"));
    client.set_origin(Some("https://game.example")).unwrap();
    for (name, value) in [("Origin", "https://game.example"), ("Authorization", "Basic Ym9iOnNlY3JldA==")] {
        let check = |request: &Request| assert_eq!(request.header(name).as_deref(), Some(value));
        assert_eq!(sent_after(&client, &heads, name, check), [value]);
        let remove = |request: &Request| request.remove_header(name).unwrap();
        assert_eq!(sent_after(&client, &heads, name, remove), [""; 0]);
        let replace = |request: &Request| request.set_header(name, "other").unwrap();
        assert_eq!(sent_after(&client, &heads, name, replace), ["other"]);
    }
}

#[test]
fn maximum_number_of_headers_is_sent() {
    let (server, heads) = server();
    let client = Client::new(&server.url());
    for number in 0..framewire::internals::limits::MAX_REQUEST_HEADERS {
        client.add_header("X-Number", &number.to_string()).unwrap();
    }
    assert!(client.add_header("X-Number", "one more").is_err());
    assert_eq!(sent(&client, &heads, "User-Agent"), [USER_AGENT]);
    assert_eq!(sent(&client, &heads, "X-Number").len(), framewire::internals::limits::MAX_REQUEST_HEADERS);
}

#[test]
fn ipv6_zone_selects_the_interface() {
    let error = Client::opening("ws://[fe80::1%25no-such-if]:9/").error();
    assert_eq!((error.kind, error.phase), (ErrorKind::Resolve, Phase::Resolve), "{error}");
    assert!(error.message.contains("fe80::1%no-such-if"), "{error}");

    let client = Client::new("ws://[fe80::1%25lo]:9/");
    assert_eq!(client.url(), "ws://[fe80::1%25lo]:9/");
    #[cfg(target_os = "linux")]
    {
        client.set_connect_timeout(200).unwrap();
        client.open().unwrap();
        let error = client.error();
        assert_eq!(error.phase, Phase::Connect, "{error}");
        let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap();
        // How the system formats an address with a zone.
        assert!(error.message.contains(&format!("[fe80::1%{}]:9", index.trim())), "{error}");
        assert!(!error.message.contains("needs its zone"), "{error}");
    }
    let client = Client::new("ws://[fe80::1]:9/");
    client.set_connect_timeout(200).unwrap();
    client.open().unwrap();
    let error = client.error();
    assert!(error.message.contains("needs its zone"), "{error}");
}

/// An extension with this offer that changes nothing.
struct Offering(&'static str);

impl Extension for Offering {
    fn rsv(&self) -> u8 {
        0
    }
    fn offer(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
    fn accept(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn mark(&self, _: Piece) -> Result<u8, String> {
        Ok(0)
    }
    fn encode(&self, _: Piece, _: &[u8]) -> Result<Option<Segment>, String> {
        Ok(None)
    }
    fn decode(&self, _: Piece, _: &[u8]) -> Result<Option<Segment>, String> {
        Ok(None)
    }
}

#[test]
fn invalid_extension_offer_is_omitted_and_logged() {
    let _exclusive = exclusive();
    let warnings = Arc::new(Mutex::new(0));
    let own = warnings.clone();
    let log = move |_: LogLevel, _: u64, _: &str, message: &str| {
        if message.contains("offer of an extension") {
            *own.lock().unwrap() += 1;
        }
    };
    framewire::set_log(LogLevel::Warn, Some(Arc::new(log)));
    let (server, heads) = server();
    for (offer, is_valid) in [
        ("x-good; key=\"7\"", true),
        ("x-good; a, x-good; b", true),
        ("", false),
        (" , ", false),
        ("x bad", false),
        ("x-bad;", false),
        ("x-bad; a=b c", false),
        ("x-bad, x-other", false),
        ("x-bad\r\nX-Forged: 1", false),
        ("x-bad; a=\"\u{7f}\"", false),
        ("x-\u{e9}", false),
    ] {
        let client = Client::new(&server.url());
        client.set_compression(None).unwrap();
        client.add_extension(Arc::new(Offering(offer))).unwrap();
        let before = *warnings.lock().unwrap();
        let offered = sent(&client, &heads, "Sec-WebSocket-Extensions");
        let expected: &[&str] = if is_valid { &[offer] } else { &[] };
        assert_eq!(offered, expected, "{offer:?}");
        assert_eq!(*warnings.lock().unwrap() - before, usize::from(!is_valid), "{offer:?}");
    }
}

#[test]
fn bearer_token_with_its_scheme_is_refused_with_the_reason() {
    let client = Client::new("ws://127.0.0.1:1/");
    let refused = client.set_bearer_auth("Bearer abc").unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    assert!(refused.message.contains("without the word \"Bearer\""), "{refused}");
    assert!(client.set_bearer_auth("abc").is_ok());
}

#[test]
fn subprotocols_have_the_limits_of_headers() {
    let client = Client::new("ws://127.0.0.1:9/");
    let half = "a".repeat(framewire::internals::limits::MAX_REQUEST_HEADER_BYTES / 2);
    client.add_protocol(&half).unwrap();
    client.add_protocol(&half.replace('a', "b")).unwrap();
    assert_eq!(client.add_protocol("c").unwrap_err().code, Code::TooLarge);
}
