//! URLs, redirects and header fields: accepted ones are encoded as one request that another parser
//! reads the same way.

use std::net::{Ipv4Addr, Ipv6Addr};

use framewire::internals::limits::{MAX_REQUEST_HEADERS, MAX_URL};
use framewire::internals::wire::header::HeaderList;
use framewire::internals::wire::upgrade::key_from;
use framewire::internals::wire::url::{Url, UrlError};

use super::script::{NONCE, request};

/// Input, separated by U+0001: a URL, a redirect, then header fields with arbitrary values.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\u{1}');
    let Some(first) = lines.next() else { return };
    let url = match Url::parse(first) {
        Ok(url) => url,
        Err(error) => return check_error(&error),
    };
    assert!(first.is_ascii());
    check_parts(&url);
    let location = lines.next().unwrap_or_default();
    let headers = headers(lines);
    check_request(&url, &headers);
    match url.resolve_redirect(location) {
        Ok(target) => {
            check_parts(&target);
            assert!(target.secure || !url.secure, "redirect downgrades TLS");
            if target.credentials.is_some() && !location.contains('@') {
                let to_tls =
                    !url.secure && target.secure && (&target.host, &target.zone) == (&url.host, &url.zone);
                assert!(target.same_origin(&url) || to_tls, "credentials are sent to another host");
            }
            check_request(&target, &headers);
        }
        Err(error) => check_error(&error),
    }
}

/// Checks that an error is fit for logs: no control characters, and long values are truncated.
fn check_error(error: &UrlError) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 2000);
}

fn check_parts(url: &Url) {
    let host = &url.host;
    if host.contains(':') {
        assert!(host.parse::<Ipv6Addr>().is_ok(), "{host:?}");
    } else {
        let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        assert!(!host.is_empty() && host.bytes().all(plain), "{host:?}");
        let looks_numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        assert!(!looks_numeric || host.parse::<Ipv4Addr>().is_ok(), "{host:?}");
    }
    assert_ne!(url.port, 0);
    assert!(url.path.starts_with('/') && url.path.len() <= 3 * MAX_URL + 1);
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
    assert!(url.path.bytes().all(plain), "{:?}", url.path);
    if let Some((user, password)) = url.credentials.as_deref() {
        assert!(
            !user.contains(':') && !user.contains(char::is_control) && !password.contains(char::is_control)
        );
    }
    // The displayed URL is the same, without the credentials.
    let shown = url.full();
    match Url::parse(&shown) {
        Ok(reparsed) => assert_eq!(reparsed, Url { credentials: None, ..url.clone() }, "{shown}"),
        Err(error) => assert_eq!((error, shown.len() > MAX_URL), (UrlError::TooLong, true), "{shown}"),
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> HeaderList {
    let mut list = HeaderList::new();
    for line in lines.take(MAX_REQUEST_HEADERS + 2) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let before = list.clone();
        match list.add(name, value) {
            Ok(()) => assert!(list.iter().any(|field| field == (name, value))),
            Err(error) => {
                assert_eq!(list, before, "a rejected field changed the list");
                assert!(!error.to_string().contains(char::is_control), "{error}");
            }
        }
        // Replaces all fields of that name.
        if line.len() % 3 == 0 && list.set(name, value).is_ok() {
            assert_eq!(list.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).count(), 1);
        }
    }
    list
}

fn check_request(url: &Url, headers: &HeaderList) {
    let mut request = request();
    request.url = url.clone();
    request.headers = headers.clone();
    request.complete();
    let mut bytes = Vec::new();
    request.encode_http1(&key_from(NONCE), &mut bytes);

    let lone = bytes.iter().enumerate().any(|(index, byte)| match byte {
        b'\n' => bytes[index - 1] != b'\r',
        b'\r' => bytes.get(index + 1) != Some(&b'\n'),
        b'\t' => false,
        _ => *byte < b' ' || *byte > b'~',
    });
    assert!(!lone, "{}", String::from_utf8_lossy(&bytes));
    let mut fields = [httparse::EMPTY_HEADER; MAX_REQUEST_HEADERS + 16];
    let mut parsed = httparse::Request::new(&mut fields);
    assert_eq!(parsed.parse(&bytes), Ok(httparse::Status::Complete(bytes.len())));
    assert_eq!((parsed.method, parsed.version), (Some("GET"), Some(1)));
    assert_eq!(parsed.path, Some(url.path.as_str()));

    let find = |name: &str| {
        let of_name = parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        of_name.map(|field| str::from_utf8(field.value).expect("requests are ASCII")).collect::<Vec<_>>()
    };
    assert_eq!(find("host"), [url.host_header()]);
    assert_eq!(find("upgrade"), ["websocket"]);
    assert_eq!(find("sec-websocket-key"), [key_from(NONCE)]);
    assert_eq!(find("user-agent").len(), 1);
    for name in ["origin", "authorization"] {
        assert!(find(name).len() <= 1, "{name}");
    }
    if let Some(zone) = &url.zone {
        assert!(host_is_link_local(&url.host) && !url.host_header().contains('%'), "{zone}");
    }
    for (name, _) in headers.iter() {
        let values: Vec<_> =
            headers.iter().filter(|(field, _)| is(field, name)).map(|(_, value)| value).collect();
        assert_eq!(find(name), values);
    }
}

fn host_is_link_local(host: &str) -> bool {
    host.parse::<Ipv6Addr>().is_ok_and(|address| address.segments()[0] & 0xFFC0 == 0xFE80)
}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}
