//! The response to the upgrade request: parsing prefixes agrees with parsing the whole, only what
//! RFC 6455 section 4.1 allows is an upgrade, and split positions do not affect the session.

use std::time::{Duration, SystemTime};

use framewire::internals::limits::{MAX_COOKIE_BYTES, MAX_COOKIES, MAX_RESPONSE_BODY, MAX_RESPONSE_HEAD};
use framewire::internals::wire::cookies::CookieJar;
use framewire::internals::wire::deflate::DeflateConfig;
use framewire::internals::wire::extensions::{ExtensionParams, parse_extensions};
use framewire::internals::wire::header::check_value;
use framewire::internals::wire::response::{Head, ResponseHead, parse_response};
use framewire::internals::wire::response_body::{BodyDecoder, body_framing};
use framewire::internals::wire::upgrade::{accept_for, check_response, key_from};
use framewire::internals::wire::url::Url;

use super::input::{Input, Pieces};
use super::script::{self, Driver, Event, NONCE};

/// Input: flags, a seed of the split positions, then the server's bytes.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let seed = input.byte();
    let wire = input.rest();
    let (ended, compression) = (flags & 1 != 0, flags & 2 != 0);

    let mut heads = wire;
    for _ in 0..8 {
        match check_prefixes(heads) {
            Some(Head::Interim { consumed }) => heads = &heads[consumed..],
            Some(Head::Final { head, consumed }) => {
                check_upgrade(&head, compression);
                check_cookies(&head, flags & 4 != 0);
                check_body(&head, &heads[consumed..], seed);
                break;
            }
            _ => break,
        }
    }

    let whole = session_events(wire, Pieces::Whole, compression, ended);
    for pieces in [Pieces::Single, Pieces::random(seed)] {
        let other = session_events(wire, pieces, compression, ended);
        let is_same = match (whole.as_slice(), other.as_slice()) {
            // An invalid head is not parsed after every byte, so the error may not be found before
            // the end.
            ([Event::Refused { status: None, .. }], [] | [Event::Failed(_)]) => true,
            (whole, other) => whole == other,
        };
        assert!(is_same, "{pieces:?}: {other:?}, expected {whole:?}");
    }
}

/// Checks that every prefix is incomplete or has the result of the whole input.
fn check_prefixes(wire: &[u8]) -> Option<Head> {
    let whole = parse_response(wire);
    if let Ok(Head::Interim { consumed } | Head::Final { consumed, .. }) = whole {
        assert!(consumed <= wire.len().min(MAX_RESPONSE_HEAD));
        assert!(wire[..consumed].ends_with(b"\n"));
        assert_eq!(parse_response(&wire[..consumed]), whole);
    }
    // A sample of all prefixes, and the longest ones.
    let step = wire.len() / 32 + 1;
    for end in (0..wire.len()).step_by(step).chain(wire.len().saturating_sub(4)..wire.len()) {
        match parse_response(&wire[..end]) {
            Ok(Head::Incomplete) => {}
            early => assert_eq!(early, whole, "truncated to {end} bytes"),
        }
    }
    whole.ok()
}

/// Section 4.1, "the client MUST validate the server's response as follows".
fn check_upgrade(head: &ResponseHead, compression: bool) {
    for (name, value) in head.headers.iter() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
    }
    let mut request = script::request();
    let config = DeflateConfig::default();
    request.extensions = compression.then(|| config.offer());
    request.protocols = vec!["chat".into(), "game.v2".into()];
    let key = key_from(NONCE);
    let Ok(accepted) = check_response(head, &request, &key) else { return };
    assert_eq!((head.status, head.version), (101, 1));
    let has = |name: &str, token: &str| {
        head.headers.get_all(name).any(|line| line.to_ascii_lowercase().contains(token))
    };
    assert!(has("upgrade", "websocket") && has("connection", "upgrade"));
    let accepts: Vec<_> = head.headers.get_all("sec-websocket-accept").collect();
    assert_eq!(accepts, [accept_for(&key)]);
    assert!(accepted.protocol.is_none_or(|protocol| request.protocols.contains(&protocol)));

    let extensions = parse_extensions(&accepted.extensions).expect("check_response parsed them");
    assert!(extensions.len() <= usize::from(compression));
    for extension in extensions {
        assert_eq!(extension.name, "permessage-deflate");
        assert_eq!(parse_extensions(&formatted(&extension)), Ok(vec![extension.clone()]));
        if let Ok(params) = config.accept(&extension) {
            assert!((8..=15).contains(&params.client_max_window_bits));
            assert!((8..=15).contains(&params.server_max_window_bits));
        }
    }
}

fn formatted(extension: &ExtensionParams) -> String {
    let params = extension.params.iter().map(|(name, value)| match value {
        Some(value) => format!("; {name}=\"{value}\""),
        None => format!("; {name}"),
    });
    extension.name.clone() + &params.collect::<String>()
}

/// Checks that cookies are returned unchanged in one field, and not to other hosts (RFC 6265).
fn check_cookies(head: &ResponseHead, secure: bool) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    // Must not panic, for a delay in seconds or a date.
    let _ = head.retry_after(now);
    let url = |text: &str| Url::parse(text).expect("valid URL");
    let lines: Vec<&str> = head.headers.get_all("Set-Cookie").collect();
    let mut jar = CookieJar::default();
    let scheme = if secure { "wss" } else { "ws" };
    jar.take(&url(&format!("{scheme}://a.game.example/play/room?x")), lines.iter().copied(), now);
    for to in ["wss://a.game.example/play/room", "ws://a.game.example/", "wss://b.game.example/play/room/x"] {
        let Some(field) = jar.header(&url(to), now) else { continue };
        assert_eq!(check_value(&field), Ok(()), "{field:?}");
        assert!(field.len() <= MAX_COOKIE_BYTES + 3 * MAX_COOKIES);
        for pair in field.split("; ") {
            let (name, value) = pair.split_once('=').expect("cookie has a name");
            let is_own = |line: &&str| line.contains(name) && line.contains(value);
            assert!(lines.iter().any(is_own), "{pair:?} of {lines:?}");
        }
    }
    for other in ["wss://other.example/play/room", "wss://game.example.other/", "wss://[::1]/play/room"] {
        assert_eq!(jar.header(&url(other), now), None, "cookies sent to {other}");
    }
}

fn check_body(head: &ResponseHead, bytes: &[u8], seed: u8) {
    let mut whole = BodyDecoder::new(body_framing(head));
    let done = whole.feed(bytes);
    assert!(whole.body().len() <= MAX_RESPONSE_BODY && whole.body().len() <= bytes.len());
    assert_eq!(done, whole.is_done());
    for mut pieces in [Pieces::Single, Pieces::random(seed)] {
        let mut decoder = BodyDecoder::new(body_framing(head));
        for piece in pieces.cut(bytes) {
            decoder.feed(piece);
        }
        assert_eq!((decoder.body(), decoder.is_done()), (whole.body(), done), "{pieces:?}");
    }
}

/// Returns the events of a session that reads the response, but nothing after it.
fn session_events(wire: &[u8], pieces: Pieces, compression: bool, ended: bool) -> Vec<Event> {
    let mut settings = script::settings();
    settings.compression = compression.then(DeflateConfig::default);
    let mut driver = Driver::new(&settings);
    driver.stop_when_open = true;
    driver.feed(wire, pieces);
    if ended && !driver.is_open() {
        driver.end();
    }
    driver.events
}
