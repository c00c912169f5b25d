//! The upgrade from HTTP to WebSocket (RFC 6455 sections 4.1 and 4.2.2, RFC 8441): the request, and the
//! validation of the response.

use data_encoding::BASE64;
use tungstenite::handshake::derive_accept_key;

use super::extensions::parse_extensions;
use super::header::{HeaderList, USER_AGENT, basic_auth};
use super::response::{ResponseHead, ResponseHeaders};
use super::url::Url;

pub use super::upgrade_error::UpgradeError;

/// The upgrade request. Header values and protocols are validated where they are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRequest {
    pub url: Url,
    pub protocols: Vec<String>,
    /// The value of `Sec-WebSocket-Extensions`.
    pub extensions: Option<String>,
    /// All fields except those that the handshake owns.
    pub headers: HeaderList,
}

impl UpgradeRequest {
    pub fn new(url: Url) -> Self {
        Self { url, protocols: Vec::new(), extensions: None, headers: HeaderList::new() }
    }

    /// Adds the fields that the caller has not set: the credentials of the URL, and a User-Agent (RFC 9110
    /// section 10.1.5). Called before the request callback, so that the callback sees what is sent.
    pub fn complete(&mut self) {
        if let Some((user, password)) = self.url.credentials.as_deref() {
            self.headers.add_default("Authorization", &basic_auth(user, password));
        }
        self.headers.add_default("User-Agent", USER_AGENT);
    }

    /// Returns the User-Agent for a proxy: the one that the server gets (RFC 9110 section 10.1.5).
    pub fn user_agent(&self) -> &str {
        self.headers.get("User-Agent").unwrap_or(USER_AGENT)
    }

    /// Appends the request in HTTP/1.1 format.
    pub fn encode_http1(&self, key: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("GET {} HTTP/1.1\r\n", self.url.path).as_bytes());
        let mut field = |name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        field("Host", &self.url.host_header());
        field("Upgrade", "websocket");
        field("Connection", "Upgrade");
        field("Sec-WebSocket-Key", key);
        self.common_fields(&mut field);
        out.extend_from_slice(b"\r\n");
    }

    /// Converts the request for HTTP/2 (RFC 8441 section 5): without a key and without connection fields, as
    /// the stream does not own the connection.
    pub fn extended_connect(&self) -> ExtendedConnect {
        let mut fields = Vec::new();
        self.common_fields(&mut |name, value| fields.push((name.to_ascii_lowercase(), value.to_owned())));
        let url = &self.url;
        ExtendedConnect { secure: url.secure, authority: url.host_header(), path: url.path.clone(), fields }
    }

    /// Emits the fields that both versions of HTTP send.
    fn common_fields(&self, field: &mut dyn FnMut(&str, &str)) {
        field("Sec-WebSocket-Version", "13");
        if !self.protocols.is_empty() {
            field("Sec-WebSocket-Protocol", &self.protocols.join(", "));
        }
        if let Some(extensions) = self.extensions.as_deref().filter(|offer| !offer.is_empty()) {
            field("Sec-WebSocket-Extensions", extensions);
        }
        for (name, value) in self.headers.iter() {
            field(name, value);
        }
    }

    fn offers_extension(&self, name: &str) -> bool {
        let offer = parse_extensions(self.extensions.as_deref().unwrap_or_default());
        offer.is_ok_and(|offer| offer.iter().any(|offered| offered.name == name))
    }
}

/// The upgrade request for HTTP/2: an extended CONNECT with `:protocol` websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedConnect {
    pub secure: bool,
    pub authority: String,
    pub path: String,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
}

/// Returns the `Sec-WebSocket-Key` for sixteen random bytes.
pub fn key_from(nonce: [u8; 16]) -> String {
    BASE64.encode(&nonce)
}

/// Returns the `Sec-WebSocket-Accept` for a key (section 4.2.2, step 5.4).
pub fn accept_for(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// What the server accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub protocol: Option<String>,
    /// All `Sec-WebSocket-Extensions` lines as one list; empty for none.
    pub extensions: String,
}

/// Validates an HTTP/1.1 response to the request (section 4.1, "the client MUST validate the server's
/// response as follows").
pub fn check_response(
    head: &ResponseHead,
    request: &UpgradeRequest,
    key: &str,
) -> Result<Accepted, UpgradeError> {
    if head.status != 101 {
        return Err(refusal(head, false));
    }
    if head.version == 0 {
        return Err(UpgradeError::Http10);
    }
    if !has_token(&head.headers, "Upgrade", "websocket") {
        return Err(UpgradeError::NoUpgrade);
    }
    if !has_token(&head.headers, "Connection", "upgrade") {
        return Err(UpgradeError::NoConnectionUpgrade);
    }
    let mut accepts = head.headers.get_all("Sec-WebSocket-Accept");
    match (accepts.next(), accepts.next()) {
        (None, _) => return Err(UpgradeError::NoAccept),
        (Some(_), Some(_)) => return Err(UpgradeError::SeveralAccepts),
        (Some(accept), None) if accept != accept_for(key) => return Err(UpgradeError::WrongAccept),
        (Some(_), None) => {}
    }
    accepted(head, request)
}

/// Validates an HTTP/2 response, where any 2xx accepts and there is no key to verify (RFC 8441 section 5).
/// Ignores `Sec-WebSocket-Accept`, which some gateways forward.
pub fn check_response_http2(head: &ResponseHead, request: &UpgradeRequest) -> Result<Accepted, UpgradeError> {
    match head.status {
        200..300 => accepted(head, request),
        _ => Err(refusal(head, true)),
    }
}

/// Returns the error for a status other than success.
fn refusal(head: &ResponseHead, over_http2: bool) -> UpgradeError {
    match head.redirect() {
        Some(location) => UpgradeError::Redirect { status: head.status, location: location.to_owned() },
        None => UpgradeError::refused(head.status, &head.reason, over_http2),
    }
}

fn accepted(head: &ResponseHead, request: &UpgradeRequest) -> Result<Accepted, UpgradeError> {
    Ok(Accepted {
        protocol: chosen_protocol(&head.headers, &request.protocols)?,
        extensions: chosen_extensions(&head.headers, request)?,
    })
}

/// Returns the subprotocol that the server chose: none, or exactly one that was offered.
pub(super) fn chosen_protocol(
    headers: &ResponseHeaders,
    offered: &[String],
) -> Result<Option<String>, UpgradeError> {
    let mut lines = headers.get_all("Sec-WebSocket-Protocol");
    let Some(chosen) = lines.next() else { return Ok(None) };
    if lines.next().is_some() || chosen.contains(',') {
        return Err(UpgradeError::SeveralProtocols);
    }
    if !offered.iter().any(|protocol| protocol == chosen) {
        return Err(UpgradeError::protocol_not_offered(chosen));
    }
    Ok(Some(chosen.to_owned()))
}

/// Returns the extensions that the server chose; each was offered and appears once.
pub(super) fn chosen_extensions(
    headers: &ResponseHeaders,
    request: &UpgradeRequest,
) -> Result<String, UpgradeError> {
    let text = headers.get_all("Sec-WebSocket-Extensions").collect::<Vec<_>>().join(", ");
    let chosen = parse_extensions(&text)?;
    for (at, extension) in chosen.iter().enumerate() {
        if !request.offers_extension(&extension.name) {
            return Err(UpgradeError::extension_not_offered(&extension.name));
        }
        if chosen[..at].iter().any(|earlier| earlier.name == extension.name) {
            return Err(UpgradeError::extension(&extension.name, "it is listed twice"));
        }
    }
    Ok(text)
}

/// Returns whether a header that is a token list contains `token` on any of its lines.
fn has_token(headers: &ResponseHeaders, name: &str, token: &str) -> bool {
    let mut tokens = headers.get_all(name).flat_map(|line| line.split(','));
    tokens.any(|own| own.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
