//! What is connected to: the server, and the proxy before it.

use std::net::{IpAddr, Ipv6Addr};

use data_encoding::BASE64;
use http::Uri;

use crate::options::ConnectionOptions;
use crate::output::Failure;

pub struct Target {
    pub url: String,
    pub host: String,
    pub port: u16,
    pub is_secure: bool,
    pub proxy: Option<Proxy>,
}

pub struct Proxy {
    pub scheme: String,
    pub host: String,
    pub port: u16,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
    /// The option or the environment variable that names it.
    pub source: String,
}

impl Target {
    pub fn parse(url: &str, options: &ConnectionOptions) -> Result<Self, Failure> {
        let uri: Uri = url.parse().map_err(|error| Failure::usage(format_args!("{url}: {error}")))?;
        let is_secure = matches!(uri.scheme_str(), Some("wss" | "https"));
        let host = bare(uri.host().unwrap_or_default());
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let mut target = Self { url: url.to_owned(), host, port, is_secure, proxy: None };
        target.proxy = match &options.network.proxy {
            Some(url) => Some(parse_proxy(url, "--proxy").ok_or_else(|| {
                Failure::usage(
                    "the proxy URL is not usable: it must be http://, https://, socks5:// or socks5h://",
                )
            })?),
            None if options.network.no_proxy || !options.network.resolve.is_empty() => None,
            None => target.proxy_of_environment(|name| std::env::var(name).ok()),
        };
        Ok(target)
    }

    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The host and port that TCP connects to.
    pub fn first_hop(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.host, self.port),
        }
    }

    /// Selects the proxy as the library does.
    fn proxy_of_environment(&self, lookup: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
        let value =
            |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let excluded = value("no_proxy").or_else(|| value("NO_PROXY")).unwrap_or_default();
        if excluded.split([',', ' ', '\t']).any(|entry| matches(entry, &self.host, self.port)) {
            return None;
        }
        let own = if self.is_secure { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
        own.into_iter().chain(["all_proxy", "ALL_PROXY"]).find_map(|name| parse_proxy(&value(name)?, name))
    }
}

/// Returns whether an entry of `NO_PROXY` excludes a host. The rules are those of the library.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
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
    let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.').to_ascii_lowercase();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    !name.is_empty() && (host == name || host.ends_with(&format!(".{name}")))
}

/// Returns whether the host is a literal address in a CIDR block. An IPv4-mapped IPv6 address counts as the IPv4
/// address. A malformed block matches nothing.
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

fn parse_proxy(text: &str, source: &str) -> Option<Proxy> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = with_scheme.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        "socks5" | "socks5h" | "socks" => 1080,
        _ => return None,
    };
    let credentials = uri.authority()?.as_str().rsplit_once('@').map(|(credentials, _)| decode(credentials));
    let authorization = credentials.map(|credentials| format!("Basic {}", BASE64.encode(&credentials)));
    let (host, port) = (bare(uri.host()?), uri.port_u16().unwrap_or(default_port));
    Some(Proxy { scheme, host, port, authorization, source: source.to_owned() })
}

/// Decodes percent-encoded credentials.
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digit: u8| (digit as char).to_digit(16);
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push((high * 16 + low) as u8);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*first),
        }
    }
    decoded
}

/// Removes the brackets of an IPv6 address.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, is_secure: bool) -> Target {
        Target { url: String::new(), host: host.to_owned(), port: 443, is_secure, proxy: None }
    }

    #[test]
    fn the_environment_selects_the_proxy() {
        let find = |target: &Target, variables: &[(&str, &str)]| {
            let lookup = |name: &str| {
                variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
            };
            target
                .proxy_of_environment(lookup)
                .map(|proxy| (proxy.source, authority(&proxy.host, proxy.port)))
        };
        let server = target("play.example.org", true);
        let proxy = ("HTTPS_PROXY", "proxy.example:3128");
        let found = Some(("HTTPS_PROXY".to_owned(), "proxy.example:3128".to_owned()));
        assert_eq!(find(&server, &[proxy]), found);
        assert_eq!(find(&target("play.example.org", false), &[proxy]), None);
        assert_eq!(find(&server, &[proxy, ("NO_PROXY", "other.org")]), found);
        for excluded in ["*", "example.org", ".example.org", "*.example.org", "play.example.org:443"] {
            assert_eq!(find(&server, &[proxy, ("no_proxy", excluded)]), None, "{excluded}");
        }
    }

    #[test]
    fn no_proxy_has_address_blocks() {
        for (entry, host, port) in [
            ("127.0.0.0/8", "127.0.0.1", 1),
            ("0.0.0.0/0", "8.8.8.8", 1),
            ("[fd00::]/8", "fdab::1", 1),
            ("::1/128", "::1", 1),
            ("10.0.0.0/8", "::ffff:10.1.2.3", 1),
            ("[::ffff:10.0.0.0]/104", "10.1.2.3", 1),
            ("10.1.2.3", "::ffff:10.1.2.3", 1),
            ("[::1]:9", "::1", 9),
            ("h:81", "h", 81),
            ("example.com", "example.com.", 1),
        ] {
            assert!(matches(entry, host, port), "{entry} {host}:{port}");
        }
        for (entry, host, port) in [
            ("", "h", 1),
            (".", "h", 1),
            ("10.0.0.0/8", "11.0.0.1", 1),
            ("192.168.1.128/25", "192.168.1.127", 1),
            ("10.0.0.0/33", "10.0.0.0", 1),
            ("10.0.0.0/", "10.0.0.0", 1),
            ("example.com/8", "example.com", 1),
            ("::/0", "10.1.2.3", 1),
            ("0.0.1", "127.0.0.1", 1),
            ("[::1]:9", "::1", 8),
            ("h:81", "h", 80),
        ] {
            assert!(!matches(entry, host, port), "{entry} {host}:{port}");
        }
    }

    #[test]
    fn credentials_of_a_proxy_are_decoded() {
        let proxy = parse_proxy("http://user:p%40ss@proxy.example", "--proxy").unwrap();
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", BASE64.encode(b"user:p@ss")));
        assert_eq!(proxy.port, 80);
        assert!(parse_proxy("ftp://proxy.example", "--proxy").is_none());
    }
}
