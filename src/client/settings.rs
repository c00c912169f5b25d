//! Settings. Those of the upgrade are read when the socket opens and refused in between; the
//! others hold at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::{Compression, Extension, Reconnect, Tls};
use crate::engine::shared::settings::Settings;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::state::{HttpVersion, State};
use crate::error::{CallError, Code};
use crate::limits;
use crate::session::liveness::PingSettings;
use crate::sync::lock;
use crate::wire::header::{HeaderError, basic_auth, check_credentials, is_token};
use crate::wire::proxy::{Proxy, ProxyChoice};

const AUTHORIZATION: &str = "Authorization";
const ORIGIN: &str = "Origin";

impl Socket {
    /// The `Origin` header field; `None` or empty for none.
    pub fn set_origin(&self, origin: Option<&str>) -> Result<(), CallError> {
        self.try_while_closed(|settings| {
            let headers = &mut settings.change_request().headers;
            match origin.filter(|origin| !origin.is_empty()) {
                Some(origin) => headers.set(ORIGIN, origin).map_err(refused),
                None => {
                    headers.remove(ORIGIN);
                    Ok(())
                }
            }
        })
    }

    /// Offers a subprotocol, after those offered before.
    pub fn add_protocol(&self, protocol: &str) -> Result<(), CallError> {
        if !is_token(protocol) {
            return Err(CallError::argument(
                "a subprotocol is a token: letters, digits and !#$%&'*+-.^_`|~ (RFC 6455 section 4.1)",
            ));
        }
        self.try_while_closed(|settings| {
            let protocols = &mut settings.change_request().protocols;
            if protocols.iter().any(|offered| offered == protocol) {
                return Err(CallError::argument(
                    "the subprotocol is offered already (RFC 6455 section 4.1 wants each once)",
                ));
            }
            if protocols.len() >= limits::MAX_REQUEST_HEADERS {
                return Err(CallError::new(Code::TooLarge, "too many subprotocols"));
            }
            let bytes: usize = protocols.iter().map(String::len).sum();
            if bytes + protocol.len() > limits::MAX_REQUEST_HEADER_BYTES {
                return Err(CallError::new(Code::TooLarge, "the subprotocols are too long"));
            }
            protocols.push(protocol.to_owned());
            Ok(())
        })
    }

    /// Adds a header field to the upgrade request; Authorization, Origin and User-Agent, which a request has
    /// once, are replaced. Fields of the handshake itself are refused.
    pub fn add_header(&self, name: &str, value: &str) -> Result<(), CallError> {
        self.try_while_closed(|settings| settings.change_request().headers.add(name, value).map_err(refused))
    }

    /// RFC 7617. Replaces any other authorization.
    pub fn set_basic_auth(&self, user: &str, password: &str) -> Result<(), CallError> {
        check_credentials(user, password).map_err(refused)?;
        self.set_authorization(&basic_auth(user, password))
    }

    /// RFC 6750. Replaces any other authorization.
    pub fn set_bearer_auth(&self, token: &str) -> Result<(), CallError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte);
        if token.is_empty() || !token.bytes().all(legal) {
            return Err(CallError::argument(
                "a bearer token has letters, digits and -._~+/= only (RFC 6750 section 2.1)",
            ));
        }
        self.set_authorization(&format!("Bearer {token}"))
    }

    /// Messages larger than this go out as fragments; at least 16 bytes. At any time.
    pub fn set_max_fragment_size(&self, bytes: usize) -> Result<(), CallError> {
        self.living()?;
        if !(limits::MIN_FRAGMENT_SIZE..=limits::MAX_MESSAGE_SIZE_CEILING).contains(&bytes) {
            return Err(CallError::argument("a fragment has at least 16 bytes and less than 2 GiB"));
        }
        self.0.fragment_size.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The largest message that is accepted, after decompression; at most 2 GiB less one byte.
    pub fn set_max_message_size(&self, bytes: usize) -> Result<(), CallError> {
        if !(1..=limits::MAX_MESSAGE_SIZE_CEILING).contains(&bytes) {
            return Err(CallError::argument("the largest message has at least 1 byte and less than 2 GiB"));
        }
        self.while_closed(|settings| settings.max_message_size = bytes)
    }

    /// Sends pings regularly, and ends the connection when nothing comes back. At any time.
    pub fn set_start_ping_thread(&self, on: bool) -> Result<(), CallError> {
        self.change_pings(|pings| pings.enabled = on)
    }

    /// Between two pings; at least 10 ms. At any time.
    pub fn set_ping_frequency(&self, milliseconds: u32) -> Result<(), CallError> {
        let frequency = Duration::from_millis(milliseconds.into());
        if frequency < limits::MIN_PING_FREQUENCY {
            return Err(CallError::argument("the ping frequency is at least 10 ms"));
        }
        self.change_pings(|pings| pings.frequency = frequency)
    }

    /// How long a ping may stay outstanding with nothing at all received since. At any time.
    pub fn set_close_after_no_message(&self, milliseconds: u32) -> Result<(), CallError> {
        if milliseconds == 0 {
            return Err(CallError::argument("a peer needs some time to answer: at least 1 ms"));
        }
        self.change_pings(|pings| pings.patience = Duration::from_millis(milliseconds.into()))
    }

    /// Over all phases of connecting.
    pub fn set_connect_timeout(&self, milliseconds: u32) -> Result<(), CallError> {
        if milliseconds == 0 {
            return Err(CallError::argument("connecting takes some time: at least 1 ms"));
        }
        self.while_closed(|settings| settings.connect_timeout = Duration::from_millis(milliseconds.into()))
    }

    /// From our close frame to the end.
    pub fn set_close_timeout(&self, milliseconds: u32) -> Result<(), CallError> {
        if milliseconds == 0 {
            return Err(CallError::argument("a closing handshake takes some time: at least 1 ms"));
        }
        self.while_closed(|settings| settings.close_timeout = Duration::from_millis(milliseconds.into()))
    }

    /// TLS settings of the caller's own; they stay alive with the socket. `None`: the default.
    pub fn set_tls(&self, tls: Option<&Tls>) -> Result<(), CallError> {
        self.while_closed(|settings| settings.tls = tls.map(|tls| Arc::clone(&tls.settings)))
    }

    /// Which version of HTTP the WebSocket begins with: automatic by default.
    pub fn set_http_version(&self, version: HttpVersion) -> Result<(), CallError> {
        if version == HttpVersion::Http2 && !cfg!(feature = "http2") {
            let message = "this build of the library has no HTTP/2 (feature `http2`)";
            return Err(CallError::new(Code::NotSupported, message));
        }
        self.while_closed(|settings| settings.http = version)
    }

    /// A proxy for the way to the server: `http://`, `https://`, `socks5://` (the server's name is resolved
    /// here) or `socks5h://` (there; `socks://` means the same), with user and password before an `@` where
    /// it wants them. `None`: what the environment says, the default. Empty: none.
    pub fn set_proxy(&self, proxy: Option<&str>) -> Result<(), CallError> {
        let proxy = match proxy {
            None => ProxyChoice::Environment,
            Some("") => ProxyChoice::Direct,
            Some(url) => ProxyChoice::Through(Box::new(
                Proxy::parse(url).map_err(|error| CallError::new(Code::InvalidUrl, error.to_string()))?,
            )),
        };
        if matches!(&proxy, ProxyChoice::Through(proxy) if proxy.secure) && !cfg!(feature = "tls") {
            return Err(CallError::new(Code::NotSupported, "this build of the library has no TLS"));
        }
        self.while_closed(|settings| settings.proxy = proxy)
    }

    /// How many redirects one connection may follow; 0, the default, for none. Never from `wss` to `ws`;
    /// authorization and cookies of the caller's own are sent to the same origin, and to the same host over
    /// TLS where the first was without, and to nobody else.
    pub fn set_max_redirects(&self, count: u32) -> Result<(), CallError> {
        self.while_closed(|settings| settings.max_redirects = count)
    }

    /// Keeps what servers set (RFC 6265), for this socket and as long as it lives, and sends it back.
    /// Off by default; switching it off forgets all.
    pub fn set_cookies(&self, on: bool) -> Result<(), CallError> {
        self.while_closed(|settings| settings.cookies = on)?;
        if !on {
            *lock(&self.0.cookies) = None;
        }
        Ok(())
    }

    /// Tries again after a loss that is not final, until told otherwise; `None`, the default, does
    /// not. Meanwhile the socket is connecting, and sends are refused, or queued if
    /// [`Reconnect::queue_sends`] says so. [`Socket::close`] always wins.
    pub fn set_reconnect(&self, reconnect: Option<Reconnect>) -> Result<(), CallError> {
        if let Some(reconnect) = &reconnect {
            reconnect.check()?;
        }
        self.while_closed(|settings| settings.reconnect = reconnect.map(Box::new))
    }

    /// permessage-deflate (RFC 7692), on by default; `None` offers it to no server.
    pub fn set_compression(&self, compression: Option<Compression>) -> Result<(), CallError> {
        if let Some(compression) = &compression {
            compression.check()?;
        }
        self.while_closed(|settings| settings.compression = compression)
    }

    /// Adds an extension of the caller's own; they work in the order in which they were added.
    pub fn add_extension(&self, extension: Arc<dyn Extension>) -> Result<(), CallError> {
        self.try_while_closed(|settings| {
            if extension.rsv() > 7 {
                return Err(CallError::argument("there are three reserved bits: 4, 2 and 1"));
            }
            if settings.extensions.len() >= limits::MAX_EXTENSIONS {
                return Err(CallError::new(Code::TooLarge, "too many extensions"));
            }
            settings.extensions.push(extension);
            Ok(())
        })
    }

    /// A pair that goes with every log line of the socket; `None` removes it. At any time.
    pub fn set_context(&self, key: &str, value: Option<&str>) -> Result<(), CallError> {
        self.living()?;
        if key.is_empty() || key.len() > 64 || value.is_some_and(|value| value.len() > 256) {
            return Err(CallError::argument("a context key has 1 to 64 bytes, its value at most 256"));
        }
        let mut settings = lock(&self.0.settings);
        let context = &mut Arc::make_mut(&mut settings).context;
        context.retain(|(known, _)| known != key);
        if let Some(value) = value {
            if context.len() >= 32 {
                return Err(CallError::new(Code::TooLarge, "a socket has at most 32 context pairs"));
            }
            context.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    // ---------------------------------------------------------------- within

    fn set_authorization(&self, value: &str) -> Result<(), CallError> {
        self.try_while_closed(|settings| {
            settings.change_request().headers.set(AUTHORIZATION, value).map_err(refused)
        })
    }

    fn change_pings(&self, change: impl FnOnce(&mut PingSettings)) -> Result<(), CallError> {
        self.living()?;
        let mut settings = lock(&self.0.settings);
        let pings = &mut Arc::make_mut(&mut settings).pings;
        change(pings);
        let pings = *pings;
        drop(settings);
        lock(&self.0.to_worker).commands().pings = Some(pings);
        if self.0.state() != State::Closed {
            self.0.notify();
        }
        Ok(())
    }

    pub(super) fn while_closed(&self, change: impl FnOnce(&mut Settings)) -> Result<(), CallError> {
        self.try_while_closed(|settings| {
            change(settings);
            Ok(())
        })
    }

    fn try_while_closed(
        &self,
        change: impl FnOnce(&mut Settings) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        self.living()?;
        let mut settings = lock(&self.0.settings);
        if self.0.state() != State::Closed {
            return Err(CallError::state("this can only be set while the socket is closed"));
        }
        change(Arc::make_mut(&mut settings))
    }
}

fn refused(error: HeaderError) -> CallError {
    CallError::argument(error.to_string())
}
