//! Proxy selection from environment variables, like curl and most tools do.

use std::net::{IpAddr, Ipv6Addr};

use super::Proxy;
use crate::wire::url::Url;

/// A snapshot of the variables, used for all targets.
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

    /// Whether none of the variables is set.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    pub fn proxy_for(&self, target: &Url) -> Found {
        let find = |name: &str| self.variables.iter().find(|(own, _)| *own == name);
        from_environment(target, |name| find(name).map(|(_, value)| value.clone()))
    }
}

/// The result for one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub proxy: Option<Proxy>,
    /// The variable that names the proxy.
    pub variable: Option<&'static str>,
    /// Why variables were ignored, for the log.
    pub ignored: Vec<String>,
}

/// Selects the proxy for a target: `HTTP_PROXY` for `ws`, `HTTPS_PROXY` for `wss`, `ALL_PROXY` for both, none
/// if `NO_PROXY` excludes the host. Lower case takes precedence. Empty and unusable values are ignored: other
/// programs set these variables, and a connection must not fail because of them.
pub fn from_environment(target: &Url, lookup: impl Fn(&str) -> Option<String>) -> Found {
    let value = |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let excluded = value("no_proxy").or_else(|| value("NO_PROXY"));
    if excluded.is_some_and(|list| bypasses(&list, &target.host, target.port)) {
        return Found::default();
    }
    let own = if target.secure { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
    let mut ignored = Vec::new();
    for name in own.into_iter().chain(["all_proxy", "ALL_PROXY"]) {
        let why = match value(name).map(|text| Proxy::parse(&text)) {
            None => continue,
            Some(Ok(proxy)) if proxy.secure && !cfg!(feature = "tls") => "this build has no TLS".to_owned(),
            Some(Ok(proxy)) => return Found { proxy: Some(proxy), variable: Some(name), ignored },
            Some(Err(error)) => error.message,
        };
        ignored.push(format!("the environment variable {name} is ignored: {why}"));
    }
    Found { ignored, ..Found::default() }
}

/// Returns whether a `NO_PROXY` list, separated by commas or spaces, excludes a host. `*` excludes all hosts;
/// `example.com`, `.example.com` and `*.example.com` the host and its subdomains; `host:port` only that port;
/// `10.0.0.0/8` and `[fd00::]/8` the literal addresses in that block.
pub fn bypasses(no_proxy: &str, host: &str, port: u16) -> bool {
    let entries = no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| entry == "*" || matches_entry(entry, host, port))
}

fn matches_entry(entry: &str, host: &str, port: u16) -> bool {
    if let Some((start, bits)) = entry.split_once('/') {
        return is_in_block(start, bits, host);
    }
    let (name, only_port) = split_entry(entry);
    if only_port.is_some_and(|only| only.parse() != Ok(port)) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return name.parse().is_ok_and(|named: IpAddr| named.to_canonical() == address.to_canonical());
    }
    let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.');
    let host = host.trim_end_matches('.');
    let Some(start) = host.len().checked_sub(name.len()) else { return false };
    // `get` returns `None` if a non-ASCII entry would split a character.
    let same_end = host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(name));
    same_end && !name.is_empty() && (start == 0 || host.as_bytes()[start - 1] == b'.')
}

/// Returns whether the host is a literal address in a CIDR block (RFC 4632, RFC 4291 section 2.3). An
/// IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) counts as the IPv4 address. A malformed block matches
/// nothing.
fn is_in_block(start: &str, bits: &str, host: &str) -> bool {
    let start = match start.strip_prefix('[') {
        Some(inner) => {
            inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok()).map(IpAddr::V6)
        }
        None => start.parse().ok(),
    };
    let bits = bits.parse::<u32>().ok().filter(|_| bits.bytes().all(|byte| byte.is_ascii_digit()));
    let (Some(start), Some(bits), Ok(host)) = (start, bits, host.parse::<IpAddr>()) else { return false };
    let (common, width) = match (start, host.to_canonical()) {
        (IpAddr::V4(start), IpAddr::V4(host)) => ((u32::from(start) ^ u32::from(host)).leading_zeros(), 32),
        (IpAddr::V6(start), IpAddr::V6(host)) => {
            ((u128::from(start) ^ u128::from(host)).leading_zeros(), 128)
        }
        // A block of IPv4-mapped addresses; a shorter prefix is an IPv6 block.
        (IpAddr::V6(start), IpAddr::V4(host)) if bits >= 96 => {
            ((u128::from(start) ^ u128::from(host.to_ipv6_mapped())).leading_zeros(), 128)
        }
        _ => return false,
    };
    (bits..=width).contains(&common)
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address into host and port.
fn split_entry(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|inner| inner.split_once(']'))
        && (rest.is_empty() || rest.starts_with(':'))
    {
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
        let snapshot = Environment::read(lookup).proxy_for(&url);
        assert_eq!(from_environment(&url, lookup), snapshot);
        assert_eq!(snapshot.ignored, [""; 0]);
        snapshot.proxy.map(|proxy| proxy.host)
    }

    #[test]
    fn all_proxy_is_used_if_scheme_variable_is_not_set() {
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
    fn no_proxy_takes_precedence() {
        let variables = [("all_proxy", "p"), ("NO_PROXY", "other, h.example")];
        assert_eq!(chosen("ws://h.example/", &variables), None);
        assert_eq!(chosen("ws://i.example/", &variables).as_deref(), Some("p"));
        let excluded = [("all_proxy", "ftp://p"), ("no_proxy", "*")];
        assert_eq!(chosen("ws://h/", &excluded), None, "and no warning about an unused variable");
    }

    #[test]
    fn unusable_variable_is_ignored_with_reason() {
        let url = Url::parse("ws://h/").unwrap();
        for text in [
            "ftp://x",
            "socks4://x:1080",
            "socks4a://x",
            "SOCKS4://x",
            "http://",
            "http://x/y",
            "x:0",
            "x y",
            "x\u{fffd}",
        ] {
            let found = from_environment(&url, |name| (name == "HTTP_PROXY").then(|| text.to_owned()));
            assert_eq!(found.proxy, None, "{text}");
            let [why] = found.ignored.as_slice() else { panic!("{text}: {:?}", found.ignored) };
            assert!(
                why.starts_with("the environment variable HTTP_PROXY is ignored: the proxy URL"),
                "{why}"
            );
        }
        // The next variable is used.
        let variables = [
            ("http_proxy", "gopher://u:secret@x"),
            ("HTTP_PROXY", "socks4://y"),
            ("ALL_PROXY", " socks://z "),
        ];
        let lookup =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, text)| text.to_string());
        let found = Environment::read(lookup).proxy_for(&url);
        assert_eq!(found.proxy, Proxy::parse("socks5h://z").ok());
        assert_eq!(found.variable, Some("ALL_PROXY"));
        assert_eq!(found.ignored.len(), 2);
        assert!(found.ignored.iter().all(|why| !why.contains("secret")), "{:?}", found.ignored);
    }

    #[test]
    fn common_proxy_spellings_are_accepted() {
        for (text, same) in [
            ("socks://127.0.0.1:1080", "socks5h://127.0.0.1:1080"),
            ("socks://127.0.0.1:1080/", "socks5h://127.0.0.1:1080"),
            ("SOCKS://127.0.0.1", "socks5h://127.0.0.1:1080"),
            ("Socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            (" \thttp://p:3128 ", "http://p:3128"),
            ("p:3128", "http://p:3128"),
            ("p", "http://p:80"),
            #[cfg(feature = "tls")]
            ("HTTPS://p", "https://p:443"),
        ] {
            let url = Url::parse("wss://h/").unwrap();
            let found = from_environment(&url, |name| (name == "all_proxy").then(|| text.to_owned()));
            let variable = Some("all_proxy");
            assert_eq!(
                found,
                Found { proxy: Proxy::parse(same).ok(), variable, ..Found::default() },
                "{text:?}"
            );
        }
        assert_eq!(chosen("ws://h/", &[("all_proxy", ""), ("ALL_PROXY", " \t")]), None);
    }

    #[test]
    fn no_proxy_matches_hosts_suffixes_ports_and_addresses() {
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
            ("10.0.0.0/8,[::1]/128", "10.255.0.1", 1),
            ("10.0.0.0/8,[::1]/128", "::1", 1),
            ("::1/128", "::1", 9),
            ("10.1.2.3/8", "10.9.9.9", 1),
            ("192.168.1.128/25", "192.168.1.255", 1),
            ("127.0.0.1/32", "127.0.0.1", 1),
            ("0.0.0.0/0", "8.8.8.8", 1),
            ("::/0", "2001:db8::1", 1),
            ("fe80::/10", "fe80::1", 1),
            ("[FD00::]/8", "fdab::1", 1),
            // IPv4-mapped addresses, in a block and alone.
            ("10.0.0.0/8", "::ffff:10.1.2.3", 1),
            ("::ffff:10.0.0.0/104", "10.1.2.3", 1),
            ("[::ffff:10.0.0.0]/104", "::ffff:10.1.2.3", 1),
            ("10.1.2.3", "::ffff:10.1.2.3", 1),
            ("[::ffff:10.1.2.3]:9", "10.1.2.3", 9),
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
            ("10.0.0.0/8", "11.0.0.1", 1),
            ("10.0.0.0/8", "::a00:1", 1),
            ("192.168.1.128/25", "192.168.1.127", 1),
            ("[::1]/128", "::2", 1),
            ("[fe80::]/10", "fec0::1", 1),
            ("0.0.0.0/0", "2001:db8::1", 1),
            ("::/0", "10.1.2.3", 1),
            ("::/0", "::ffff:10.1.2.3", 1),
            // Names are not resolved, and never match an address block.
            ("0.0.0.0/0,::/0", "localhost", 1),
            ("10.0.0.0/8", "a.10.0.0.0", 1),
            ("h/8", "h", 1),
            // Malformed.
            ("10.0.0.0/33", "10.0.0.0", 1),
            ("::1/129", "::1", 1),
            ("10.0.0.0/", "10.0.0.0", 1),
            ("10.0.0.0/-1", "10.0.0.0", 1),
            ("10.0.0.0/+8", "10.0.0.0", 1),
            ("10.0.0.0/8/8", "10.0.0.0", 1),
            ("10.0.0.0/8:1", "10.0.0.0", 1),
            ("10.0.0/8", "10.0.0.0", 1),
            ("10.0.0.0/255.0.0.0", "10.0.0.0", 1),
            ("[10.0.0.0]/8", "10.0.0.0", 1),
            ("[::1/128", "::1", 1),
            ("[::1/128]", "::1", 1),
            ("[::1]x", "::1", 1),
            ("/", "10.0.0.0", 1),
            ("10.0.0.0/99999999999999999999", "10.0.0.0", 1),
        ] {
            assert!(!bypasses(list, host, port), "{list} {host}:{port}");
        }
    }
}
