//! The handshake with a proxy that establishes a tunnel: CONNECT, or SOCKS5 (RFC 1928 and RFC 1929).

use std::net::IpAddr;

use super::{Proxy, ProxyError, ProxyKind};
use crate::limits;
use crate::wire::header::basic_auth;
use crate::wire::response::{Head, ResponseHead, is_worth_parsing, parse_response};
use crate::wire::upgrade_error::UpgradeError;
use crate::wire::url::bracketed;

/// ```text
///   HTTP    start ─► Response ─────────────────────► Done
///   SOCKS5  start ─► Method ─► Login ─► Reply ─────► Done
///                       └──────────────►┘  no authentication required
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `scanned`: bytes of the head that were searched for its end.
    Response {
        interims: usize,
        scanned: usize,
    },
    Method,
    Login,
    Reply,
    Done,
}

#[derive(Clone, Debug)]
pub struct ProxyHandshake {
    proxy: Proxy,
    host: String,
    port: u16,
    address: Option<IpAddr>,
    user_agent: String,
    state: State,
}

/// The next action. The caller removes `consumed` bytes from the input and passes the rest again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyStep {
    NeedMore {
        consumed: usize,
    },
    Send {
        consumed: usize,
        bytes: Vec<u8>,
    },
    /// The tunnel is established. The rest of the input was received through it.
    Done {
        consumed: usize,
    },
}

const SOCKS_VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

impl ProxyHandshake {
    /// `resolved` is the target's address, if known; otherwise the proxy gets the name. `user_agent` is for
    /// HTTP proxies; empty for none.
    pub fn new(
        proxy: Proxy,
        target_host: &str,
        target_port: u16,
        resolved: Option<IpAddr>,
        user_agent: &str,
    ) -> Result<Self, ProxyError> {
        if target_host.len() > 255 {
            // RFC 1928 section 5: the length of the name is one byte.
            return Err(ProxyError::new("the target's name is too long for a proxy"));
        }
        let state = match proxy.kind {
            ProxyKind::Http => State::Response { interims: 0, scanned: 0 },
            ProxyKind::Socks5 { .. } => State::Method,
        };
        let address = resolved.or_else(|| target_host.parse().ok());
        let (host, user_agent) = (target_host.to_owned(), user_agent.to_owned());
        Ok(Self { proxy, host, port: target_port, address, user_agent, state })
    }

    /// Returns the first bytes to send.
    pub fn start(&self) -> Vec<u8> {
        match self.proxy.kind {
            ProxyKind::Http => {
                let target = self.target();
                let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
                if !self.user_agent.is_empty() {
                    request.push_str(&format!("User-Agent: {}\r\n", self.user_agent));
                }
                if let Some((user, password)) = &self.proxy.credentials {
                    request.push_str(&format!("Proxy-Authorization: {}\r\n", basic_auth(user, password)));
                }
                request.push_str("\r\n");
                request.into_bytes()
            }
            ProxyKind::Socks5 { .. } if self.proxy.credentials.is_some() => {
                vec![SOCKS_VERSION, 2, NO_LOGIN, USER_PASSWORD]
            }
            ProxyKind::Socks5 { .. } => vec![SOCKS_VERSION, 1, NO_LOGIN],
        }
    }

    /// Processes the received bytes that previous steps have not consumed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<ProxyStep, ProxyError> {
        match self.state {
            State::Response { interims, scanned } => self.on_response(bytes, interims, scanned),
            State::Method => self.on_method(bytes),
            State::Login => self.on_login(bytes),
            State::Reply => self.on_reply(bytes),
            State::Done => Ok(ProxyStep::Done { consumed: 0 }),
        }
    }

    fn on_response(
        &mut self,
        bytes: &[u8],
        interims: usize,
        scanned: usize,
    ) -> Result<ProxyStep, ProxyError> {
        let head = match is_worth_parsing(bytes, scanned) {
            true => parse_response(bytes).map_err(|error| self.no_http(error))?,
            false => Head::Incomplete,
        };
        match head {
            Head::Incomplete => {
                self.state = State::Response { interims, scanned: bytes.len() };
                Ok(ProxyStep::NeedMore { consumed: 0 })
            }
            Head::Interim { .. } if interims == limits::MAX_INTERIM_RESPONSES => {
                Err(self.failed("sent too many interim responses", false))
            }
            Head::Interim { consumed } => {
                self.state = State::Response { interims: interims + 1, scanned: 0 };
                Ok(ProxyStep::NeedMore { consumed })
            }
            // RFC 9110 section 9.3.6: any 2xx; it has no body, whatever the headers declare.
            Head::Final { head, consumed } if (200..300).contains(&head.status) => {
                self.state = State::Done;
                Ok(ProxyStep::Done { consumed })
            }
            Head::Final { head, .. } => Err(self.refused(&head)),
        }
    }

    fn on_method(&mut self, bytes: &[u8]) -> Result<ProxyStep, ProxyError> {
        self.check_version(bytes)?;
        let [_, method, ..] = *bytes else { return Ok(ProxyStep::NeedMore { consumed: 0 }) };
        match (method, &self.proxy.credentials) {
            (NO_LOGIN, _) => {
                self.state = State::Reply;
                Ok(ProxyStep::Send { consumed: 2, bytes: self.connect_request() })
            }
            (USER_PASSWORD, Some((user, password))) => {
                // RFC 1929 section 2. The lengths were checked when the proxy was parsed.
                let mut login = vec![1];
                for text in [user, password] {
                    let length = u8::try_from(text.len()).map_err(|_| {
                        self.failed("does not accept a user name or password of that length", false)
                    })?;
                    login.push(length);
                    login.extend_from_slice(text.as_bytes());
                }
                self.state = State::Login;
                Ok(ProxyStep::Send { consumed: 2, bytes: login })
            }
            (NO_METHOD, Some(_)) => {
                Err(self.failed("supports neither user name and password nor anonymous access", false))
            }
            (NO_METHOD, None) => {
                Err(self.failed("requires credentials: socks5://user:password@host:port", false))
            }
            _ => Err(self
                .failed("chose an authentication method that was not offered (RFC 1928 section 3)", false)),
        }
    }

    fn on_login(&mut self, bytes: &[u8]) -> Result<ProxyStep, ProxyError> {
        // RFC 1929 requires version 1; some proxies send the version of SOCKS.
        if bytes.first().is_some_and(|version| *version != 1 && *version != SOCKS_VERSION) {
            return Err(self.failed("sent an invalid authentication response (RFC 1929 section 2)", false));
        }
        let [_, status, ..] = *bytes else { return Ok(ProxyStep::NeedMore { consumed: 0 }) };
        if status != 0 {
            return Err(self.failed("does not accept the user name and password", false));
        }
        self.state = State::Reply;
        Ok(ProxyStep::Send { consumed: 2, bytes: self.connect_request() })
    }

    /// RFC 1928 section 6.
    fn on_reply(&mut self, bytes: &[u8]) -> Result<ProxyStep, ProxyError> {
        self.check_version(bytes)?;
        if let Some(code @ 1..) = bytes.get(1) {
            let (what, retriable) = match code {
                1 => ("reports a general failure", true),
                2 => ("does not allow this connection", false),
                3 => ("reports that the network is unreachable", true),
                4 => ("reports that the host is unreachable", true),
                5 => ("reports that the target refused the connection", true),
                6 => ("reports that the connection timed out", true),
                7 => ("does not support CONNECT", false),
                8 => ("does not support this type of address", false),
                _ => ("reports an error code that RFC 1928 does not define", false),
            };
            return Err(self.failed(what, retriable));
        }
        let address_len = match bytes.get(3) {
            Some(&IPV4) => 4,
            Some(&IPV6) => 16,
            Some(&NAME) => match bytes.get(4) {
                Some(length) => 1 + usize::from(*length),
                None => return Ok(ProxyStep::NeedMore { consumed: 0 }),
            },
            Some(_) => return Err(self.failed("sent an unknown address type", false)),
            None => return Ok(ProxyStep::NeedMore { consumed: 0 }),
        };
        let consumed = 4 + address_len + 2;
        if bytes.len() < consumed {
            return Ok(ProxyStep::NeedMore { consumed: 0 });
        }
        self.state = State::Done;
        Ok(ProxyStep::Done { consumed })
    }

    /// RFC 1928 section 4.
    fn connect_request(&self) -> Vec<u8> {
        let mut request = vec![SOCKS_VERSION, CONNECT, 0];
        match self.address {
            Some(IpAddr::V4(address)) => {
                request.push(IPV4);
                request.extend(address.octets());
            }
            Some(IpAddr::V6(address)) => {
                request.push(IPV6);
                request.extend(address.octets());
            }
            None => {
                // At most 255 bytes, checked in `new`.
                request.extend([NAME, self.host.len() as u8]);
                request.extend(self.host.bytes());
            }
        }
        request.extend(self.port.to_be_bytes());
        request
    }

    fn check_version(&self, bytes: &[u8]) -> Result<(), ProxyError> {
        match bytes.first() {
            Some(first) if *first != SOCKS_VERSION => Err(self.failed("does not speak SOCKS5", false)),
            _ => Ok(()),
        }
    }

    fn target(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    fn failed(&self, what: &str, retriable: bool) -> ProxyError {
        let message = format!("the proxy {} (target {}) {what}", self.proxy.authority(), self.target());
        ProxyError { status: 0, retriable, message }
    }

    fn no_http(&self, error: UpgradeError) -> ProxyError {
        self.failed(
            match error {
                UpgradeError::HeadTooLarge | UpgradeError::TooManyHeaders => {
                    "sent a response head that exceeds the limits"
                }
                UpgradeError::NotHttp => "does not speak HTTP/1",
                _ => "sent a malformed HTTP response",
            },
            false,
        )
    }

    fn refused(&self, head: &ResponseHead) -> ProxyError {
        let status = head.status;
        let advice = match (status, self.proxy.credentials.is_some()) {
            // Some proxies send 401 instead of 407.
            (401 | 407, false) => "it requires credentials: http://user:password@host:port",
            (401 | 407, true) => "it does not accept the user name and password",
            (403, _) => "it does not allow this target or this port",
            (400 | 405 | 501, _) => "it does not support CONNECT",
            (300..400, _) => "redirects by a proxy are not followed",
            (500.., _) => "it could not reach the target",
            _ => "no tunnel was established",
        };
        let retriable = matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504);
        ProxyError { status, ..self.failed(&format!("answered {status}: {advice}"), retriable) }
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
