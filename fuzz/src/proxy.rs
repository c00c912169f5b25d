//! The proxy handshake, with responses split anywhere, and the parsing of proxy settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use framewire::internals::limits::MAX_RESPONSE_HEAD;
use framewire::internals::wire::proxy::{
    Environment, Proxy, ProxyError, ProxyHandshake, ProxyKind, ProxyStep, bypasses, from_environment,
};
use framewire::internals::wire::url::Url;

use super::input::{Input, Pieces};

const PASSWORD: &str = "c0rrect-h0rse";

/// Input: flags, a seed of the split positions, then the responses of the proxy; or flags, then settings.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    if flags & 0x80 != 0 {
        return check_settings(input.rest());
    }
    let seed = input.byte();
    let kind = match flags & 3 {
        0 => ProxyKind::Http,
        1 => ProxyKind::Socks5 { remote_dns: true },
        _ => ProxyKind::Socks5 { remote_dns: false },
    };
    let credentials = (flags & 4 != 0).then(|| ("player".to_owned(), PASSWORD.to_owned()));
    let proxy =
        Proxy { kind, secure: false, host: "proxy.example".into(), zone: None, port: 3128, credentials };
    let resolved = match flags >> 3 & 3 {
        0 => None,
        1 => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    };
    let handshake =
        ProxyHandshake::new(proxy, "game.example", 443, resolved, "Fuzz/1").expect("the host name is short");
    let wire = input.rest();
    let whole = run_handshake(handshake.clone(), wire, Pieces::Whole);
    if let Ok(Some(end)) = whole.1 {
        match kind {
            ProxyKind::Http => assert!(wire[..end].ends_with(b"\n")),
            ProxyKind::Socks5 { .. } => assert_eq!(Some(end), socks_end(wire)),
        }
    }
    for pieces in [Pieces::Single, Pieces::random(seed)] {
        let other = run_handshake(handshake.clone(), wire, pieces);
        let is_same = match (&whole, &other) {
            // An invalid head is not parsed after every byte, so the error may not be found before
            // the end.
            ((_, Err(error)), (_, Ok(None))) => kind == ProxyKind::Http && error.status == 0,
            (whole, other) => whole == other,
        };
        assert!(is_same, "{pieces:?}: {other:?}, expected {whole:?}");
    }
}

/// Returns the length of the responses of a SOCKS5 proxy that accepts (RFC 1928, RFC 1929).
fn socks_end(wire: &[u8]) -> Option<usize> {
    let reply = match wire {
        [5, 0, ..] => 2,
        [5, 2, _, 0, ..] => 4,
        _ => return None,
    };
    let address = match wire.get(reply..)? {
        [5, 0, _, 1, ..] => 4,
        [5, 0, _, 3, length, ..] => 1 + usize::from(*length),
        [5, 0, _, 4, ..] => 16,
        _ => return None,
    };
    Some(reply + 4 + address + 2)
}

/// The number of bytes after which the tunnel was established, `None` if it needs more, or an error.
type Outcome = Result<Option<usize>, ProxyError>;

fn run_handshake(mut handshake: ProxyHandshake, wire: &[u8], mut pieces: Pieces) -> (Vec<Vec<u8>>, Outcome) {
    let mut sent = vec![handshake.start()];
    // Like the library: bytes that were not consumed are passed again.
    let (mut start, mut end) = (0, 0);
    while end < wire.len() {
        end += pieces.next(wire.len() - end);
        loop {
            let unread = &wire[start..end];
            let step = match handshake.feed(unread) {
                Ok(step) => step,
                Err(error) => {
                    assert!(!error.message.contains(PASSWORD) && !error.message.contains(char::is_control));
                    return (sent, Err(error));
                }
            };
            match step {
                ProxyStep::NeedMore { consumed } => {
                    start += consumed;
                    if consumed == 0 {
                        assert!(
                            unread.len() <= MAX_RESPONSE_HEAD,
                            "more data is requested than the limit allows"
                        );
                        break;
                    }
                }
                ProxyStep::Send { consumed, bytes } => {
                    assert!(!bytes.is_empty() && sent.len() < 4);
                    start += consumed;
                    sent.push(bytes);
                }
                ProxyStep::Done { consumed } => {
                    start += consumed;
                    assert!(start <= end);
                    assert_eq!(handshake.feed(&wire[start..end]), Ok(ProxyStep::Done { consumed: 0 }));
                    return (sent, Ok(Some(start)));
                }
            }
            assert!(start <= end);
        }
    }
    (sent, Ok(None))
}

/// Checks settings given as lines: a proxy URL, a list of excluded hosts, a target URL.
fn check_settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next_line = || lines.next().unwrap_or_default();
    let (proxy, no_proxy, target) = (next_line(), next_line(), next_line());
    match Proxy::parse(proxy) {
        Ok(parsed) => {
            assert!(parsed.port != 0 && !parsed.host.is_empty());
            let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
            assert_eq!(parsed.credentials.is_some(), rest.contains('@') && !rest.starts_with('@'));
            let reparsed =
                Proxy::parse(&format!("http://{}", parsed.authority())).expect("the authority parses again");
            assert_eq!((reparsed.host, reparsed.port), (parsed.host.clone(), parsed.port));
            if let Ok(mut handshake) = ProxyHandshake::new(parsed, "game.example", 443, None, "") {
                assert!(!handshake.start().is_empty());
                let _ = handshake.feed(b"\x05\x02");
            }
        }
        Err(error) => assert!(!error.message.contains(char::is_control), "{error}"),
    }
    let Ok(target) = Url::parse(target) else { return };
    let direct = bypasses(no_proxy, &target.host, target.port);
    assert!(direct || no_proxy.split([',', ' ', '\t']).all(|entry| entry != "*" && entry != target.host));
    let lookup = |name: &str| match name {
        "no_proxy" => Some(no_proxy.to_owned()),
        "all_proxy" => Some("socks5h://localhost".to_owned()),
        _ => None,
    };
    let found = from_environment(&target, lookup);
    assert!(found.ignored.is_empty(), "a valid proxy was ignored");
    assert_eq!(found.proxy.is_none(), bypasses(no_proxy.trim(), &target.host, target.port));

    // The proxy URL from an environment variable: unusable values are reported in one line for the log.
    let lookup = |name: &str| match name {
        "http_proxy" | "HTTPS_PROXY" => Some(proxy.to_owned()),
        "NO_PROXY" => Some(no_proxy.to_owned()),
        _ => None,
    };
    let found = Environment::read(lookup).proxy_for(&target);
    assert_eq!(found, from_environment(&target, lookup));
    assert!(found.ignored.iter().all(|why| !why.contains(char::is_control)), "{:?}", found.ignored);
    let excluded = bypasses(no_proxy.trim(), &target.host, target.port);
    assert!(!excluded || (found.proxy.is_none() && found.ignored.is_empty()));
    if let (Some(found), false) = (&found.proxy, excluded) {
        assert_eq!(Proxy::parse(proxy.trim()).as_ref(), Ok(found));
    }
}
