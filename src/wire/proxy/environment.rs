//! Which proxy the environment names: the variables that curl and most tools know.

use std::net::IpAddr;

use super::{Proxy, ProxyError};
use crate::wire::url::Url;

/// The variables as they were at one moment, for every target that comes up later.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(&'static str, String)>,
}

impl Environment {
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        const NAMES: [&str; 8] = [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
            "no_proxy",
            "NO_PROXY",
        ];
        let variables = NAMES.into_iter().filter_map(|name| Some((name, lookup(name)?))).collect();
        Self { variables }
    }

    pub fn proxy_for(&self, target: &Url) -> Result<Option<Proxy>, ProxyError> {
        let find = |name: &str| self.variables.iter().find(|(own, _)| *own == name);
        from_environment(target, |name| find(name).map(|(_, value)| value.clone()))
    }
}

/// The proxy for a target. `HTTP_PROXY` is for `ws`, `HTTPS_PROXY` for `wss`, `ALL_PROXY` for
/// both, unless `NO_PROXY` excludes the host. Lower case wins over upper, empty is not set.
pub fn from_environment(
    target: &Url,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    let value = |name: &str| {
        let found =
            |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        found(name).or_else(|| found(&name.to_ascii_uppercase()))
    };
    let own = if target.secure { "https_proxy" } else { "http_proxy" };
    let Some(proxy) = value(own).or_else(|| value("all_proxy")) else { return Ok(None) };
    if value("no_proxy").is_some_and(|list| bypasses(&list, &target.host, target.port)) {
        return Ok(None);
    }
    Proxy::parse(&proxy).map(Some)
}

/// Whether a `NO_PROXY` list, by commas or spaces, excludes a host: `*` excludes all,
/// `example.com`, `.example.com` and `*.example.com` that host and those below it, and
/// `host:port` only that port.
pub fn bypasses(no_proxy: &str, host: &str, port: u16) -> bool {
    let entries = no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| entry == "*" || matches_entry(entry, host, port))
}

fn matches_entry(entry: &str, host: &str, port: u16) -> bool {
    let (name, only_port) = split_entry(entry);
    if only_port.is_some_and(|only| only.parse() != Ok(port)) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return name.parse() == Ok(address);
    }
    let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.');
    let host = host.trim_end_matches('.');
    let Some(start) = host.len().checked_sub(name.len()) else { return false };
    // Both are ASCII hosts; `get` keeps a stray non-ASCII entry from cutting a character.
    let same_end = host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(name));
    same_end && !name.is_empty() && (start == 0 || host.as_bytes()[start - 1] == b'.')
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn split_entry(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let lookup =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, text)| text.to_string());
        let url = Url::parse(url).unwrap();
        let snapshot = Environment::read(lookup).proxy_for(&url).unwrap();
        assert_eq!(from_environment(&url, lookup).unwrap(), snapshot);
        snapshot.map(|proxy| proxy.host)
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let all =
            [("HTTP_PROXY", "plain:1"), ("HTTPS_PROXY", "http://tls:1"), ("ALL_PROXY", "socks5://any:1")];
        assert_eq!(chosen("ws://h/", &all).as_deref(), Some("plain"));
        assert_eq!(chosen("wss://h/", &all).as_deref(), Some("tls"));
        assert_eq!(chosen("wss://h/", &all[..1]), None);
        assert_eq!(chosen("ws://h/", &all[1..]).as_deref(), Some("any"));
        assert_eq!(chosen("wss://h/", &all[2..]).as_deref(), Some("any"));
        assert_eq!(chosen("ws://h/", &[]), None);
        assert_eq!(chosen("ws://h/", &[("http_proxy", "lower"), all[0]]).as_deref(), Some("lower"));
        assert_eq!(chosen("ws://h/", &[("http_proxy", " "), ("all_proxy", "any")]).as_deref(), Some("any"));
    }

    #[test]
    fn no_proxy_wins_and_a_bad_proxy_is_an_error() {
        let variables = [("all_proxy", "p"), ("NO_PROXY", "other, h.example")];
        assert_eq!(chosen("ws://h.example/", &variables), None);
        assert_eq!(chosen("ws://i.example/", &variables).as_deref(), Some("p"));
        let url = Url::parse("ws://h/").unwrap();
        assert!(from_environment(&url, |name| (name == "HTTP_PROXY").then(|| "ftp://x".into())).is_err());
    }

    #[test]
    fn the_list_excludes_hosts_suffixes_ports_and_addresses() {
        for (list, host, port) in [
            ("*", "any", 1),
            ("a,*", "any", 1),
            ("example.com", "example.com", 1),
            ("EXAMPLE.com", "example.com", 1),
            ("example.com", "a.b.example.com", 1),
            (".example.com", "a.example.com", 1),
            (".example.com", "example.com", 1),
            ("*.example.com", "a.example.com", 1),
            ("example.com.", "example.com", 1),
            ("example.com", "example.com.", 1),
            ("a b,c\td", "d", 1),
            ("h:81", "h", 81),
            ("127.0.0.1", "127.0.0.1", 1),
            ("127.0.0.1:9", "127.0.0.1", 9),
            ("::1", "::1", 1),
            ("[::1]", "::1", 1),
            ("[0:0::1]:9", "::1", 9),
        ] {
            assert!(bypasses(list, host, port), "{list} {host}:{port}");
        }
        for (list, host, port) in [
            ("", "h", 1),
            (",", "h", 1),
            (".", "h", 1),
            ("example.com", "notexample.com", 1),
            ("a.example.com", "example.com", 1),
            ("h:81", "h", 80),
            ("h:x", "h", 80),
            ("0.0.1", "127.0.0.1", 1),
            ("127.0.0.1:9", "127.0.0.1", 8),
            ("[::1]:9", "::1", 8),
            ("::1", "::2", 1),
            ("é", "ab", 1),
        ] {
            assert!(!bypasses(list, host, port), "{list} {host}:{port}");
        }
    }
}
