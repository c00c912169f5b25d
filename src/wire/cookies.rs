//! Cookies (RFC 6265): stores what servers set, and builds the `Cookie` header.
//!
//! Parses `Set-Cookie` by the algorithms of section 5; the time is an argument. There is no public suffix
//! list: a domain cookie is accepted for any domain with two or more labels that the server belongs to.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::date;
use super::header::check_value;
use super::url::Url;
use crate::limits;

/// The cookies of one socket.
#[derive(Clone, Debug, Default)]
pub struct CookieJar {
    /// In the order in which they were first set.
    cookies: Vec<Stored>,
}

#[derive(Clone, Debug)]
struct Stored {
    name: String,
    value: String,
    /// Without a leading dot, in lower case.
    domain: String,
    /// For the host only, not for its subdomains.
    host_only: bool,
    path: String,
    secure: bool,
    /// `None` for a session cookie, valid as long as the jar.
    expires: Option<SystemTime>,
}

impl CookieJar {
    /// Stores the `Set-Cookie` lines of a response from `url` (RFC 6265 section 5.3). Ignores invalid lines,
    /// like browsers do.
    pub fn take<'a>(&mut self, url: &Url, lines: impl Iterator<Item = &'a str>, now: SystemTime) {
        for cookie in lines.filter_map(|line| Stored::parse(line, url, now)) {
            let same = |own: &Stored| {
                (&own.name, &own.domain, &own.path) == (&cookie.name, &cookie.domain, &cookie.path)
            };
            let place = self.cookies.iter().position(same);
            match (place, cookie.is_alive(now)) {
                (Some(place), true) => self.cookies[place] = cookie,
                (Some(place), false) => drop(self.cookies.remove(place)),
                (None, true) => self.cookies.push(cookie),
                (None, false) => {}
            }
        }
        self.cookies.retain(|cookie| cookie.is_alive(now));
        // Evict the oldest.
        while self.cookies.len() > limits::MAX_COOKIES || self.bytes() > limits::MAX_COOKIE_BYTES {
            self.cookies.remove(0);
        }
    }

    /// Returns the value of the `Cookie` header for a request (RFC 6265 section 5.4).
    pub fn header(&self, url: &Url, now: SystemTime) -> Option<String> {
        let fits = |cookie: &&Stored| cookie.is_alive(now) && cookie.belongs_to(url);
        let mut fitting: Vec<&Stored> = self.cookies.iter().filter(fits).collect();
        // Longer paths first; the sort is stable, so the order of creation decides among equals.
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            fitting.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn bytes(&self) -> usize {
        self.cookies.iter().map(Stored::bytes).sum()
    }
}

impl Stored {
    fn bytes(&self) -> usize {
        self.name.len() + self.value.len() + self.domain.len() + self.path.len()
    }

    fn parse(line: &str, url: &Url, now: SystemTime) -> Option<Self> {
        let SetCookie { name, value, attributes } = SetCookie::parse(line)?;
        if check_value(&format!("{name}={value}")).is_err() {
            return None;
        }
        let (domain, host_only) = match attributes.domain.filter(|domain| !domain.is_empty()) {
            // Section 5.3 step 5: a public suffix that equals the host makes a host-only cookie.
            Some(domain) if domain == url.host && url.zone.is_none() => {
                (domain.clone(), !domain.contains('.'))
            }
            Some(domain) if domain.contains('.') && is_below(&url.host, &domain) => (domain, false),
            Some(_) => return None,
            None => (host_of(url).into_owned(), true),
        };
        // Only a secure server may set secure cookies; the name prefixes require attributes (the successor of
        // RFC 6265, section 4.1.3).
        let secure = attributes.secure;
        if secure && !url.secure
            || name.starts_with("__Secure-") && !secure
            || name.starts_with("__Host-") && !(secure && host_only && attributes.path == Some("/"))
        {
            return None;
        }
        let path = attributes.path.unwrap_or_else(|| default_path(&url.path)).to_owned();
        // `Max-Age` takes precedence over `Expires` (section 5.3 step 3). A time that overflows never
        // expires.
        let expires = match attributes.max_age {
            Some(0) => Some(SystemTime::UNIX_EPOCH),
            Some(seconds) => now.checked_add(Duration::from_secs(seconds)),
            None => attributes.expires,
        };
        Some(Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain,
            host_only,
            path,
            secure,
            expires,
        })
    }

    fn is_alive(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn belongs_to(&self, url: &Url) -> bool {
        let host = host_of(url) == self.domain || (!self.host_only && is_below(&url.host, &self.domain));
        host && (url.secure || !self.secure) && path_matches(&self.path, &url.path)
    }
}

/// A parsed `Set-Cookie` line (RFC 6265 section 5.2).
struct SetCookie<'a> {
    name: &'a str,
    value: &'a str,
    attributes: Attributes<'a>,
}

/// The attributes; the last valid one of each name counts. HttpOnly, SameSite and others are ignored: they
/// only matter to browsers.
#[derive(Default)]
struct Attributes<'a> {
    expires: Option<SystemTime>,
    /// In seconds; 0 deletes the cookie.
    max_age: Option<u64>,
    /// In lower case, without its leading dot.
    domain: Option<String>,
    /// None for the default path.
    path: Option<&'a str>,
    secure: bool,
}

impl<'a> SetCookie<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (pair, mut rest) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (trim(name), trim(value));
        if name.is_empty() {
            return None;
        }
        let mut attributes = Attributes::default();
        while !rest.is_empty() {
            let attribute;
            (attribute, rest) = rest.split_once(';').unwrap_or((rest, ""));
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            attributes.take(trim(name), trim(value));
        }
        Some(Self { name, value, attributes })
    }
}

impl<'a> Attributes<'a> {
    /// RFC 6265 sections 5.2.1 to 5.2.5.
    fn take(&mut self, name: &str, value: &'a str) {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Expires") {
            self.expires = date::parse(value).or(self.expires);
        } else if is("Max-Age") {
            self.max_age = max_age(value).or(self.max_age);
        } else if is("Domain") && !value.is_empty() {
            self.domain = Some(value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase());
        } else if is("Path") {
            self.path = Some(value).filter(|path| path.starts_with('/'));
        } else if is("Secure") {
            self.secure = true;
        }
    }
}

/// Parses digits with an optional minus sign (RFC 6265 section 5.2.2).
fn max_age(value: &str) -> Option<u64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Parsing fails only on overflow.
    Some(if value.starts_with('-') { 0 } else { digits.parse().unwrap_or(u64::MAX) })
}

/// Removes surrounding white space (WSP of RFC 5234).
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Returns the host with the zone of a link-local address: in another zone it is another machine.
fn host_of(url: &Url) -> Cow<'_, str> {
    match &url.zone {
        Some(zone) => Cow::Owned(format!("{}%{zone}", url.host)),
        None => Cow::Borrowed(&url.host),
    }
}

/// Returns whether `host` is a subdomain of `domain` (RFC 6265 section 5.1.3).
fn is_below(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    above.is_some_and(|rest| !rest.is_empty()) && host.parse::<IpAddr>().is_err()
}

/// Returns the directory of the request path (RFC 6265 section 5.1.4).
fn default_path(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => &path[..slash],
    }
}

/// Returns whether the cookie's path covers the request's (RFC 6265 section 5.1.4).
fn path_matches(cookie: &str, request: &str) -> bool {
    let request = request.split('?').next().unwrap_or_default();
    let Some(rest) = request.strip_prefix(cookie) else { return false };
    rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + NOW
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// Returns the `Cookie` header for `to` after `from` has set these cookies.
    fn sent(from: &str, lines: &[&str], to: &str) -> String {
        let mut jar = CookieJar::default();
        jar.take(&url(from), lines.iter().copied(), now());
        jar.header(&url(to), now()).unwrap_or_default()
    }

    #[test]
    fn cookies_are_sent_to_their_host_only() {
        assert_eq!(sent("ws://a.example/", &["x=1", "y=two"], "ws://a.example/any"), "x=1; y=two");
        for other in ["ws://b.a.example/", "ws://example/", "ws://xa.example/", "ws://b.example/"] {
            assert_eq!(sent("ws://a.example/", &["x=1"], other), "", "{other}");
        }
        assert_eq!(sent("ws://[fe80::1%25a]/", &["x=1"], "wss://[fe80::1%25a]:9/"), "x=1");
        for other in ["ws://[fe80::1%25b]/", "ws://[fe80::1]/"] {
            assert_eq!(sent("ws://[fe80::1%25a]/", &["x=1"], other), "", "{other}");
        }
        // RFC 6265 section 8.5: cookies do not depend on port or scheme.
        assert_eq!(sent("ws://a.example/", &["x=1"], "wss://a.example:99/"), "x=1");
    }

    #[test]
    fn domain_cookies_cover_subdomains_and_reject_foreign_domains() {
        let set = |domain: &str, to: &str| sent("ws://a.b.example/", &[&format!("x=1; Domain={domain}")], to);
        for domain in ["b.example", ".b.example", "B.Example", "a.b.example"] {
            assert_eq!(set(domain, "ws://a.b.example/"), "x=1", "{domain}");
        }
        assert_eq!(set("b.example", "ws://c.b.example/"), "x=1");
        assert_eq!(set("b.example", "ws://b.example/"), "x=1");
        assert_eq!(set("b.example", "ws://xb.example/"), "");
        assert_eq!(set("b.example", "ws://example/"), "");
        for domain in ["example", "c.b.example", "x.example", "xa.b.example", "b.exampl"] {
            assert_eq!(set(domain, "ws://a.b.example/"), "", "{domain}");
        }
        assert_eq!(sent("ws://127.0.0.1/", &["x=1; Domain=0.0.1"], "ws://127.0.0.1/"), "");
        assert_eq!(sent("ws://127.0.0.1/", &["x=1; Domain=127.0.0.1"], "ws://127.0.0.1/"), "x=1");
    }

    #[test]
    fn cookie_path_covers_subpaths_and_longer_paths_come_first() {
        let set = |from: &str, path: &str, to: &str| {
            sent(&format!("ws://h{from}"), &[&format!("x=1{path}")], &format!("ws://h{to}"))
        };
        assert_eq!(set("/a/b", "", "/a/c?q"), "x=1");
        assert_eq!(set("/a/b", "", "/b"), "");
        assert_eq!(set("/a/b", "; Path=/", "/b"), "x=1");
        assert_eq!(set("/", "; Path=/a", "/a"), "x=1");
        assert_eq!(set("/", "; Path=/a", "/a/b"), "x=1");
        assert_eq!(set("/", "; Path=/a", "/ab"), "");
        assert_eq!(set("/", "; Path=/a/", "/a/b"), "x=1");
        assert_eq!(set("/a?b/c", "", "/z"), "x=1");
        assert_eq!(
            sent("ws://h/", &["x=1; Path=/", "y=2; Path=/a/b", "x=3; Path=/a"], "ws://h/a/b/c"),
            "y=2; x=3; x=1"
        );
    }

    #[test]
    fn secure_cookies_are_sent_over_tls_only() {
        assert_eq!(sent("wss://h/", &["x=1; Secure"], "wss://h/"), "x=1");
        assert_eq!(sent("wss://h/", &["x=1; Secure; HttpOnly; SameSite=Lax"], "ws://h/"), "");
        assert_eq!(sent("ws://h/", &["x=1; Secure"], "wss://h/"), "");
        assert_eq!(sent("wss://h/", &["__Secure-x=1", "__Host-x=1; Secure"], "wss://h/"), "");
        assert_eq!(sent("wss://h/", &["__Host-x=1; Secure; Path=/"], "wss://h/"), "__Host-x=1");
    }

    #[test]
    fn cookies_are_replaced_expired_and_deleted() {
        let set = |lines: &[&str]| sent("ws://h/", lines, "ws://h/");
        assert_eq!(set(&["x=1", "y=2", "x=3"]), "x=3; y=2");
        assert_eq!(set(&["x=1", "x=deleted; Max-Age=0"]), "");
        assert_eq!(set(&["x=1", "x=deleted; Max-Age=-5"]), "");
        assert_eq!(set(&["x=1", "x=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]), "");
        assert_eq!(set(&["x=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]), "x=1");
        assert_eq!(set(&["x=1; Max-Age=99999999999999999999"]), "x=1");

        let mut jar = CookieJar::default();
        let lines = ["a=1; Max-Age=10", "b=1; Expires=Tue, 14 Nov 2023 22:13:40 GMT", "c=1"];
        jar.take(&url("ws://h/"), lines.into_iter(), now());
        let at = |seconds| jar.header(&url("ws://h/"), now() + Duration::from_secs(seconds));
        assert_eq!(at(9).as_deref(), Some("a=1; b=1; c=1"));
        assert_eq!(at(10).as_deref(), Some("b=1; c=1"));
        assert_eq!(at(21).as_deref(), Some("c=1"));
    }

    #[test]
    fn past_date_in_any_format_deletes_cookie() {
        for date in [
            "Thu, 1 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Thu, 01-Jan-1970 00:00:00 GMT",
            "Thu, 01-Jan-70 00:00:00 GMT",
            "Thu Jan  1 00:00:00 1970",
            "Thu, 01 Jan 1970 00:00:00 UTC",
            "Thu, 01 Jan 1970 00:00:00",
            "Thu, 01 Jan 1970 0:0:0 GMT",
            "Thursday, 1 January 1970 00:00:00 GMT",
            "thu, 01 jan 1970 00:00:00 gmt",
            "01 Jan 1970 00:00:00 +0000",
            "1970 Jan 1 00:00:00",
            "Mon, 01-Jan-1601 00:00:00 GMT",
            "Tue, 14 Nov 2023 22:13:20 GMT",
        ] {
            let deletion = format!("a=; Expires={date}; Path=/");
            assert_eq!(sent("ws://h/", &["a=1; Path=/", &deletion], "ws://h/"), "", "{date}");
        }
        for date in ["Tue, 14 Nov 2023 22:13:21 GMT", "Wed, 31 Dec 9999 23:59:59 GMT", "never", "", "1970"] {
            let kept = format!("a=2; Expires={date}; Path=/");
            assert_eq!(sent("ws://h/", &["a=1; Path=/", &kept], "ws://h/"), "a=2", "{date}");
        }
    }

    #[test]
    fn last_valid_attribute_counts() {
        let past = "Thu, 01 Jan 1970 00:00:00 GMT";
        let set = |attributes: &str| {
            let line = format!("x=1;{attributes}");
            sent("ws://a.b.example/c/d", &[&line], "ws://a.b.example/c/d")
        };
        for attributes in [
            format!("Expires={past}; Max-Age=1"),
            format!("Max-Age=1; Expires={past}"),
            format!("Expires={past}; Expires=Wed, 01 Jan 2098 00:00:00 GMT"),
            "Max-Age=0; Max-Age=1".into(),
            "Max-Age=+0".into(),
            "Max-Age=0x".into(),
            "Max-Age=-".into(),
            "Max-Age=".into(),
            "Max-Age".into(),
            "Max-Age = 5 ; ;;=; =x; Unknown=y".into(),
            "Domain=; Path=".into(),
            "Domain=.; Path=relative".into(),
            "Domain=other.example; Domain=b.example".into(),
            "Path=/elsewhere; Path=/c".into(),
            "Path=/elsewhere; Path=".into(),
            "HTTPONLY; samesite=None".into(),
        ] {
            assert_eq!(set(&attributes), "x=1", "{attributes}");
        }
        for attributes in [
            "MAX-AGE=0".into(),
            "max-age=-1".into(),
            "Max-Age=00".into(),
            "Max-Age=1; Max-Age=0; Max-Age=soon".into(),
            format!("EXPIRES={past}"),
            format!("Expires={past}; Expires=never"),
            "Domain=b.example; Domain=other.example".into(),
            "Domain=..b.example".into(),
            "Path=/c; Path=/elsewhere".into(),
            "secure=no".into(),
        ] {
            assert_eq!(set(&attributes), "", "{attributes}");
        }
        let default_path = sent("ws://h/c/d", &["x=1; Path=/; Path="], "ws://h/e");
        assert_eq!(default_path, "", "an empty Path means the default path");
    }

    #[test]
    fn names_and_values_are_only_trimmed() {
        for (line, expected) in [
            (" x = 1 ;Path=/", "x=1"),
            ("x=\"a b\"", "x=\"a b\""),
            ("x=a=b", "x=a=b"),
            ("x=", "x="),
            ("x y=z", "x y=z"),
        ] {
            assert_eq!(sent("ws://h/", &[line], "ws://h/"), expected, "{line:?}");
        }
        // A host of one label counts as a public suffix: the cookie becomes host-only.
        assert_eq!(sent("ws://localhost/", &["x=1; Domain=localhost"], "ws://localhost/"), "x=1");
        assert_eq!(sent("ws://localhost/", &["x=1; Domain=localhost"], "ws://a.localhost/"), "");
    }

    #[test]
    fn unsendable_cookies_are_dropped_and_jar_is_bounded() {
        for line in ["", "=x", "x", "x=\u{e9}", "x=a\tb\u{7f}", "; Path=/", "\u{0}=1"] {
            assert_eq!(sent("ws://h/", &[line], "ws://h/"), "", "{line:?}");
        }
        let flood: Vec<String> = (0..500).map(|n| format!("n{n}=1")).collect();
        let lines: Vec<&str> = flood.iter().map(String::as_str).collect();
        let header = sent("ws://h/", &lines, "ws://h/");
        assert_eq!(header.split("; ").count(), limits::MAX_COOKIES);
        assert!(header.ends_with("n499=1"), "{header}");
        let large: Vec<String> = (0..20).map(|n| format!("n{n}={}", "x".repeat(3000))).collect();
        let lines: Vec<&str> = large.iter().map(String::as_str).collect();
        let header = sent("ws://h/", &lines, "ws://h/");
        assert!((10_000..=limits::MAX_COOKIE_BYTES + 200).contains(&header.len()), "{}", header.len());
    }

    #[test]
    fn paths_count_towards_the_limit() {
        let mut jar = CookieJar::default();
        let long = "x".repeat(limits::MAX_COOKIE_BYTES / 4);
        let lines: Vec<String> =
            (0..limits::MAX_COOKIES).map(|n| format!("n{n}=; Path=/{n}{long}")).collect();
        jar.take(&url("ws://h/"), lines.iter().map(String::as_str), now());
        let names: Vec<&str> = jar.cookies.iter().map(|cookie| &*cookie.name).collect();
        assert_eq!(names, ["n61", "n62", "n63"]);
    }

    #[test]
    fn path_that_is_not_ascii_covers_no_request() {
        // Of invalid UTF-8, U+FFFD is left. URLs contain ASCII only.
        for path in ["/\u{e9}", "/caf\u{e9}", "/caf\u{e9}/", "/caf\u{fffd}", "/\u{1f36a}"] {
            let lines = [&*format!("x=1; Path={path}"), "x=2; Path=/caf", "x=3; Path=/"];
            for to in
                ["ws://h/", "ws://h/c", "ws://h/caf", "ws://h/caf/", "ws://h/caf%C3%A9/", "ws://h/caf%E9"]
            {
                let sent = sent("ws://h/", &lines, to);
                assert!(["x=2; x=3", "x=3"].contains(&&*sent), "{path} {to}: {sent}");
            }
        }
        // An invalid one does not replace the default path of a valid one.
        assert_eq!(sent("ws://h/a/b", &["x=1; Path=\u{e9}"], "ws://h/a/c"), "x=1");
    }
}
