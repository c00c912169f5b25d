//! The target of the proxy: an address, with TLS or without.

use http::Uri;

#[derive(Clone, Debug)]
pub struct Target {
    /// As it was given.
    pub name: String,
    pub host: String,
    pub port: u16,
    pub is_secure: bool,
    /// The value of the Host field, if requests are changed.
    pub host_field: Option<String>,
}

pub fn parse(text: &str) -> Result<Target, String> {
    let form = || "it must be HOST:PORT, ws://HOST[:PORT] or wss://HOST[:PORT]".to_owned();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("tcp://{text}") };
    let uri: Uri = with_scheme.parse().map_err(|_| form())?;
    let (is_secure, is_http, default_port) = match uri.scheme_str() {
        Some("tcp") => (false, false, None),
        Some("ws" | "http") => (false, true, Some(80)),
        Some("wss" | "https") => (true, true, Some(443)),
        _ => return Err(form()),
    };
    if !matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/")) {
        return Err("a target has no path: it comes from the client".to_owned());
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(form)?;
    let port = uri.port_u16().or(default_port).ok_or_else(form)?;
    let host_field = match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok(Target {
        name: text.to_owned(),
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port,
        is_secure,
        host_field: is_http.then_some(host_field),
    })
}

/// Replaces the value of the Host field in a request head.
pub fn replace_host(head: &[u8], host: &str) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(head.len() + host.len());
    for (i, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_host = line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:"));
        if i > 0 && is_host {
            replaced.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
        } else {
            replaced.extend_from_slice(line);
        }
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_addresses_or_urls() {
        let target = parse("wss://play.example.org").unwrap();
        assert_eq!((target.port, target.is_secure), (443, true));
        assert_eq!(target.host_field.as_deref(), Some("play.example.org"));
        assert_eq!(parse("ws://[::1]:8080/").unwrap().host, "::1");
        let raw = parse("127.0.0.1:8080").unwrap();
        assert_eq!((raw.port, raw.host_field), (8080, None));
        for bad in ["", "host", "ftp://host:1", "ws://host/path", "ws://", "host:99999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_host_field_is_replaced() {
        let head = b"GET /?host: HTTP/1.1\r\nhost: 127.0.0.1:9000\r\nX-Host: a\r\n\r\n";
        let expected = b"GET /?host: HTTP/1.1\r\nHost: example.org\r\nX-Host: a\r\n\r\n";
        assert_eq!(replace_host(head, "example.org"), expected);
    }
}
