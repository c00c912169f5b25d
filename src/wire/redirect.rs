//! Resolves the `Location` of a redirect like browsers do (WHATWG URL Standard), which accept more than RFC
//! 3986 allows. The result is a valid [`Url`].

use super::url::{Url, UrlError, encode_path, is_scheme, shorten};
use crate::limits;

impl Url {
    /// Resolves a `Location` relative to this URL. Percent-encodes spaces, stray `%` and non-ASCII
    /// characters, treats backslashes as slashes, and drops tabs, line ends and the fragment. Keeps
    /// credentials only where [`may_pass_secrets_to`](Self::may_pass_secrets_to) allows it. Rejects a
    /// redirect from `wss` to `ws`.
    pub fn resolve_redirect(&self, location: &str) -> Result<Url, UrlError> {
        if location.len() > limits::MAX_URL {
            return Err(UrlError::TooLong);
        }
        let location = cleaned(location);
        let (secure, rest) = match location.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "ws" | "http" => (Some(false), rest),
                "wss" | "https" => (Some(true), rest),
                _ => return Err(UrlError::UnknownScheme(shorten(scheme))),
            },
            None => (None, location.as_str()),
        };
        let path = rest.trim_start_matches(['/', '\\']);
        // With fewer slashes it is a path, unless the scheme differs.
        let has_authority =
            rest.len() - path.len() >= 2 || secure.is_some_and(|secure| secure != self.secure);
        let mut target = if has_authority {
            self.absolute(secure.unwrap_or(self.secure), path)?
        } else {
            let (path, query) = encoded(rest);
            Url { path: encode_path(&self.merge_path(&path, &query)), ..self.clone() }
        };
        if target.path.len() > limits::MAX_URL {
            return Err(UrlError::TooLong);
        }
        if self.secure && !target.secure {
            return Err(UrlError::Downgrade);
        }
        if target.credentials.is_none() && self.may_pass_secrets_to(&target) {
            target.credentials.clone_from(&self.credentials);
        }
        Ok(target)
    }

    /// Returns whether credentials for this server may be sent to `target`: it has the same origin, or it is
    /// the same host over TLS and this URL is without TLS. In the second case the port does not matter: the
    /// host received the secrets already, in plain text.
    pub fn may_pass_secrets_to(&self, target: &Url) -> bool {
        self.same_origin(target) || (!self.secure && target.secure && self.same_host(target))
    }

    /// Resolves a location with an authority, at the start of `rest`.
    fn absolute(&self, secure: bool, rest: &str) -> Result<Url, UrlError> {
        let scheme = if secure { "wss" } else { "ws" };
        let (authority, rest) = rest.split_at(rest.find(['/', '\\', '?']).unwrap_or(rest.len()));
        let authority = match authority.rsplit_once('@') {
            Some((user_info, host)) => format!("{}@{host}", encode(user_info, Part::UserInfo)),
            None => authority.to_owned(),
        };
        let (path, query) = encoded(rest);
        let mut target = Url::parse(&format!("{scheme}://{authority}{}{query}", remove_dot_segments(&path)))?;
        if target.zone.is_some() {
            return Err(UrlError::ForeignZone);
        }
        // The server does not know the zone, which is local to this machine.
        if target.host == self.host {
            target.zone.clone_from(&self.zone);
        }
        Ok(target)
    }

    /// Merges a relative path and query with this URL's path (RFC 3986 section 5.2.2).
    fn merge_path(&self, path: &str, query: &str) -> String {
        let own_path = self.path.split('?').next().unwrap_or("/");
        match (path, query) {
            ("", "") => self.path.clone(),
            ("", query) => format!("{own_path}{query}"),
            (path, query) if path.starts_with('/') => remove_dot_segments(path) + query,
            (path, query) => {
                let folder = &own_path[..own_path.rfind('/').map_or(0, |slash| slash + 1)];
                remove_dot_segments(&format!("{folder}{path}")) + query
            }
        }
    }
}

/// Removes surrounding spaces and control characters, inner tabs and line ends, and the fragment.
fn cleaned(location: &str) -> String {
    let location = location.trim_matches(|c| c <= ' ');
    let location = location.split('#').next().unwrap_or_default();
    location.chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect()
}

/// Splits into path and query (which starts with its question mark), both percent-encoded for a request.
fn encoded(text: &str) -> (String, String) {
    let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
    (encode(&path.replace('\\', "/"), Part::Path), encode(query, Part::Query))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    UserInfo,
    Path,
    Query,
}

/// Percent-encodes the characters that the part must not contain and [`encode_path`] leaves, and each stray
/// `%`.
fn encode(text: &str, part: Part) -> String {
    let mut encoded = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let escape = text.get(at + 1..at + 3).filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        let legal = match c {
            '%' => escape.is_some(),
            '\\' => false,
            '@' => part != Part::UserInfo,
            '\'' => part != Part::Query,
            _ => c.is_ascii_graphic(),
        };
        if legal {
            encoded.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    encoded
}

/// Removes dot segments (RFC 3986 section 5.2.4) from a path that is empty or starts with a slash. Escaped
/// dots count as dots.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // "/a/.." resolves to "/", not to an empty path.
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
