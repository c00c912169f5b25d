//! The upgrade from HTTP/1.1 to WebSocket (RFC 6455 sections 4.1 and 4.2.2): the request, and
//! whether a response accepts it.

use data_encoding::BASE64;
use tungstenite::handshake::derive_accept_key;

use super::header::{HeaderList, USER_AGENT, basic_auth};
use super::url::Url;

pub use super::extensions::{ExtensionParams, parse_extensions};
pub use super::response::{
    BodyDecoder, BodyFraming, Head, ResponseHead, ResponseHeaders, body_framing, parse_response,
};
pub use super::upgrade_error::UpgradeError;

/// What is asked of the server. Header values and protocols are checked where they are set.
#[derive(Clone, Debug)]
pub struct UpgradeRequest {
    pub url: Url,
    pub protocols: Vec<String>,
    /// The value of `Sec-WebSocket-Extensions`.
    pub extensions: Option<String>,
    /// All fields but those that the handshake owns.
    pub headers: HeaderList,
}

impl UpgradeRequest {
    pub fn new(url: Url) -> Self {
        Self { url, protocols: Vec::new(), extensions: None, headers: HeaderList::new() }
    }

    /// Adds the fields that the caller has left to the library: the credentials of the URL, and a User-Agent
    /// (RFC 9110 section 10.1.5). Done before the request is shown, so that what is shown is what is sent.
    pub fn complete(&mut self) {
        if let Some((user, password)) = self.url.credentials.as_deref() {
            self.headers.add_default("Authorization", &basic_auth(user, password));
        }
        self.headers.add_default("User-Agent", USER_AGENT);
    }

    /// What a proxy is told of the client (RFC 9110 section 10.1.5): what the server will be.
    pub fn user_agent(&self) -> &str {
        self.headers.get("User-Agent").unwrap_or(USER_AGENT)
    }

    /// Appends the request as HTTP/1.1 sends it.
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

    /// The request as HTTP/2 sends it (RFC 8441 section 5): no key, and nothing that is about the
    /// connection, which it does not have for itself.
    pub fn extended_connect(&self) -> ExtendedConnect {
        let mut fields = Vec::new();
        self.common_fields(&mut |name, value| fields.push((name.to_ascii_lowercase(), value.to_owned())));
        let url = &self.url;
        ExtendedConnect { secure: url.secure, authority: url.host_header(), path: url.path.clone(), fields }
    }

    /// What both versions of HTTP send.
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

/// An upgrade request for HTTP/2, where it is an extended CONNECT with `:protocol` websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedConnect {
    pub secure: bool,
    pub authority: String,
    pub path: String,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
}

/// The `Sec-WebSocket-Key` for sixteen random bytes.
pub fn key_from(nonce: [u8; 16]) -> String {
    BASE64.encode(&nonce)
}

/// The `Sec-WebSocket-Accept` that answers a key (section 4.2.2, step 5.4).
pub fn accept_for(key: &str) -> String {
    derive_accept_key(key.as_bytes())
}

/// What the server chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub protocol: Option<String>,
    /// `Sec-WebSocket-Extensions` of all lines, one list; empty for none.
    pub extensions: String,
}

/// Whether the response upgrades the connection as asked (section 4.1, "the client MUST
/// validate the server's response as follows").
pub fn check_response(
    head: &ResponseHead,
    request: &UpgradeRequest,
    key: &str,
) -> Result<Accepted, UpgradeError> {
    if head.status != 101 {
        return Err(UpgradeError::from_status(head, false));
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

/// The same over HTTP/2, where any success is consent, and there is no key to prove anything by
/// (RFC 8441 section 5). Gateways pass a `Sec-WebSocket-Accept` on all the same; it means nothing.
pub fn check_response_http2(head: &ResponseHead, request: &UpgradeRequest) -> Result<Accepted, UpgradeError> {
    match head.status {
        200..300 => accepted(head, request),
        _ => Err(UpgradeError::from_status(head, true)),
    }
}

fn accepted(head: &ResponseHead, request: &UpgradeRequest) -> Result<Accepted, UpgradeError> {
    Ok(Accepted {
        protocol: chosen_protocol(&head.headers, &request.protocols)?,
        extensions: chosen_extensions(&head.headers, request)?,
    })
}

/// None, or exactly one that was offered.
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

/// Each was offered, and none is there twice.
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
            return Err(UpgradeError::extension(&extension.name, "is in the answer twice"));
        }
    }
    Ok(text)
}

/// Whether a header that is a list of tokens, over all its lines, has this one.
fn has_token(headers: &ResponseHeaders, name: &str, token: &str) -> bool {
    let mut tokens = headers.get_all(name).flat_map(|line| line.split(','));
    tokens.any(|own| own.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
}

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
