//! What is connected to: the server, and the proxy before it.

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

    /// Selects the proxy as the library does. Address blocks in `NO_PROXY` are not supported here.
    fn proxy_of_environment(&self, lookup: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
        let value =
            |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let excluded = value("no_proxy").or_else(|| value("NO_PROXY")).unwrap_or_default();
        if excluded.split([',', ' ', '\t']).any(|entry| self.matches(entry)) {
            return None;
        }
        let own = if self.is_secure { ["https_proxy", "HTTPS_PROXY"] } else { ["http_proxy", "HTTP_PROXY"] };
        own.into_iter().chain(["all_proxy", "ALL_PROXY"]).find_map(|name| parse_proxy(&value(name)?, name))
    }

    fn matches(&self, entry: &str) -> bool {
        if entry.is_empty() {
            return false;
        }
        let name = match entry.rsplit_once(':') {
            Some((name, port)) if port.parse() == Ok(self.port) => name,
            _ => entry,
        };
        let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.').to_ascii_lowercase();
        let host = self.host.to_ascii_lowercase();
        entry == "*" || (!name.is_empty() && (host == name || host.ends_with(&format!(".{name}"))))
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
    fn credentials_of_a_proxy_are_decoded() {
        let proxy = parse_proxy("http://user:p%40ss@proxy.example", "--proxy").unwrap();
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", BASE64.encode(b"user:p@ss")));
        assert_eq!(proxy.port, 80);
        assert!(parse_proxy("ftp://proxy.example", "--proxy").is_none());
    }
}
