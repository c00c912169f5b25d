//! Where a redirect leads: a `Location` read as browsers read it (the URL Standard of the WHATWG), which
//! forgive much that RFC 3986 does not. What comes of it is as strict as any other [`Url`].

use super::url::{Url, UrlError, encode_path, is_scheme, shorten};
use crate::limits;

impl Url {
    /// Where a `Location` leads to from here. Spaces, `%` that escape nothing, and what is not ASCII are
    /// percent-encoded, backslashes are slashes, tabs and line ends are dropped, and so is a fragment, as it
    /// would never be sent. Credentials stay with whom they were set for. From `wss` to `ws` is refused.
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
        // With fewer slashes it is a path, unless the scheme is another one.
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

    /// Whether what proves to this server who the caller is may be shown to that one: the same origin, or the
    /// same host over TLS where this one was without. Who saw the secrets here could only lose them there to
    /// whom it might have passed them anyway, so the port does not matter then.
    pub fn may_pass_secrets_to(&self, target: &Url) -> bool {
        self.same_origin(target) || (!self.secure && target.secure && self.same_host(target))
    }

    /// Another server, or this one by its full name; `rest` begins with the authority.
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
        // A server does not know the zone in which it was found.
        if target.host == self.host {
            target.zone.clone_from(&self.zone);
        }
        Ok(target)
    }

    /// A path and a query without scheme and authority, applied to this URL's path (RFC 3986 section 5.2.2).
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

/// Without spaces and control characters around it, tabs and line ends in it, and its fragment.
fn cleaned(location: &str) -> String {
    let location = location.trim_matches(|c| c <= ' ');
    let location = location.split('#').next().unwrap_or_default();
    location.chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect()
}

/// Path and query, which begins with its question mark, without anything that a request must not have.
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

/// Percent-encodes what the part must not have and [`encode_path`] leaves, and each `%` that begins no escape.
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

/// RFC 3986 section 5.2.4, for a path that begins with a slash or is empty. Escaped dots are dots.
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
        // "/a/.." is the folder "/", not the file "".
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
