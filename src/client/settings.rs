//! Settings. Those that affect how a connection is established can only change while the socket is closed;
//! the others take effect at any time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::library::check_capture;
use crate::capabilities::{Capability, require};
use crate::capture::CaptureOptions;
use crate::client::{Compression, Extension, Reconnect, Tls};
use crate::engine::library;
use crate::engine::shared::settings::Settings;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::state::{HttpVersion, State};
use crate::error::{CallError, Code};
use crate::limits;
use crate::net::link::LinkConditions;
use crate::session::keepalive::PingSettings;
use crate::sync::lock;
use crate::wire::header::{HeaderError, basic_auth, check_credentials, is_token};
use crate::wire::proxy::{Proxy, ProxyChoice};

const AUTHORIZATION: &str = "Authorization";
const ORIGIN: &str = "Origin";

impl Socket {
    /// Sets the `Origin` header field; `None` or an empty string removes it (the default).
    ///
    /// Needs [`Capability::Headers`].
    pub fn set_origin(&self, origin: Option<&str>) -> Result<(), CallError> {
        if origin.is_some_and(|origin| !origin.is_empty()) {
            require(Capability::Headers)?;
        }
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

    /// Offers a subprotocol, after those added before. [`protocol`](Socket::protocol) returns the server's
    /// choice.
    pub fn add_protocol(&self, protocol: &str) -> Result<(), CallError> {
        if !is_token(protocol) {
            return Err(CallError::argument(
                "a subprotocol must be a token: letters, digits and !#$%&'*+-.^_`|~ (RFC 6455 section 4.1)",
            ));
        }
        self.try_while_closed(|settings| {
            let protocols = &mut settings.change_request().protocols;
            if protocols.iter().any(|offered| offered == protocol) {
                return Err(CallError::argument(
                    "the subprotocol was added before; each must be unique (RFC 6455 section 4.1)",
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

    /// Adds a header field to the upgrade request. `Authorization`, `Origin` and `User-Agent` replace an
    /// earlier value. Header fields of the handshake itself return
    /// [`InvalidArgument`](Code::InvalidArgument).
    ///
    /// Needs [`Capability::Headers`].
    pub fn add_header(&self, name: &str, value: &str) -> Result<(), CallError> {
        require(Capability::Headers)?;
        self.try_while_closed(|settings| settings.change_request().headers.add(name, value).map_err(refused))
    }

    /// Sets Basic authentication (RFC 7617). Replaces any other `Authorization`.
    ///
    /// Needs [`Capability::Headers`].
    pub fn set_basic_auth(&self, user: &str, password: &str) -> Result<(), CallError> {
        require(Capability::Headers)?;
        check_credentials(user, password).map_err(refused)?;
        self.set_authorization(&basic_auth(user, password))
    }

    /// Sets a bearer token (RFC 6750). Replaces any other `Authorization`.
    ///
    /// Needs [`Capability::Headers`].
    pub fn set_bearer_auth(&self, token: &str) -> Result<(), CallError> {
        require(Capability::Headers)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte);
        if token.is_empty() || !token.bytes().all(legal) {
            return Err(CallError::argument(
                "a bearer token must contain only letters, digits and -._~+/=: (RFC 6750 section 2.1), without the word \
                 \"Bearer\" before it",
            ));
        }
        self.set_authorization(&format!("Bearer {token}"))
    }

    /// Sets the largest payload of one frame in bytes (default 32767, at least 16). Takes effect at any time.
    ///
    /// Larger messages are sent in fragments, with control frames between them.
    ///
    /// Needs [`Capability::Fragments`].
    pub fn set_max_fragment_size(&self, bytes: usize) -> Result<(), CallError> {
        require(Capability::Fragments)?;
        self.check_not_destroyed()?;
        let range = limits::MIN_FRAGMENT_SIZE..=limits::MAX_MESSAGE_SIZE_CEILING;
        let bytes =
            Some(bytes).filter(|bytes| range.contains(bytes)).and_then(|bytes| u32::try_from(bytes).ok());
        self.0.set_fragment_size(bytes.ok_or_else(|| {
            CallError::argument("the fragment size must be at least 16 bytes and less than 2 GiB")
        })?);
        Ok(())
    }

    /// Sets the largest message that is accepted, after decompression (default 64 MiB, less than 2 GiB).
    ///
    /// A larger one closes the connection with code 1009 and ends it with an error.
    pub fn set_max_message_size(&self, bytes: usize) -> Result<(), CallError> {
        if !(1..=limits::MAX_MESSAGE_SIZE_CEILING).contains(&bytes) {
            return Err(CallError::argument(
                "the message size limit must be at least 1 byte and less than 2 GiB",
            ));
        }
        self.while_closed(|settings| settings.max_message_size = bytes)
    }

    /// Enables keepalive pings (default off). Takes effect at any time.
    ///
    /// Sends a ping every [`set_ping_frequency`](Socket::set_ping_frequency) milliseconds, and ends the
    /// connection with an error when nothing is received for
    /// [`set_close_after_no_message`](Socket::set_close_after_no_message) milliseconds after a ping.
    ///
    /// Needs [`Capability::Ping`].
    pub fn set_start_ping_thread(&self, on: bool) -> Result<(), CallError> {
        if on {
            require(Capability::Ping)?;
        }
        self.change_pings(|pings| pings.enabled = on)
    }

    /// Sets the interval between keepalive pings (default 1000 ms, at least 10 ms). Takes effect at any time.
    ///
    /// Needs [`Capability::Ping`].
    pub fn set_ping_frequency(&self, milliseconds: u32) -> Result<(), CallError> {
        require(Capability::Ping)?;
        let frequency = Duration::from_millis(milliseconds.into());
        if frequency < limits::MIN_PING_FREQUENCY {
            return Err(CallError::argument("the ping frequency must be at least 10 ms"));
        }
        self.change_pings(|pings| pings.frequency = frequency)
    }

    /// Sets how long a keepalive ping may stay unanswered with nothing received since (default 2000 ms).
    /// Takes effect at any time.
    ///
    /// Needs [`Capability::Ping`].
    pub fn set_close_after_no_message(&self, milliseconds: u32) -> Result<(), CallError> {
        require(Capability::Ping)?;
        if milliseconds == 0 {
            return Err(CallError::argument("the ping timeout must be at least 1 ms"));
        }
        self.change_pings(|pings| pings.timeout = Duration::from_millis(milliseconds.into()))
    }

    /// Sets the timeout from [`open`](Socket::open) to the open event, over all phases (default 20000 ms).
    pub fn set_connect_timeout(&self, milliseconds: u32) -> Result<(), CallError> {
        if milliseconds == 0 {
            return Err(CallError::argument("the connect timeout must be at least 1 ms"));
        }
        self.while_closed(|settings| settings.connect_timeout = Duration::from_millis(milliseconds.into()))
    }

    /// Sets the timeout of the closing handshake (default 5000 ms).
    pub fn set_close_timeout(&self, milliseconds: u32) -> Result<(), CallError> {
        if milliseconds == 0 {
            return Err(CallError::argument("the close timeout must be at least 1 ms"));
        }
        self.while_closed(|settings| settings.close_timeout = Duration::from_millis(milliseconds.into()))
    }

    /// Sets the TLS settings, which the socket keeps alive. `None` selects the default settings.
    ///
    /// Needs [`Capability::TlsSettings`].
    pub fn set_tls(&self, tls: Option<&Tls>) -> Result<(), CallError> {
        if tls.is_some() {
            require(Capability::TlsSettings)?;
        }
        self.while_closed(|settings| settings.tls = tls.map(|tls| Arc::clone(&tls.settings)))
    }

    /// Sets the HTTP version of the handshake (default [`HttpVersion::Auto`]). Others need
    /// [`Capability::HttpVersion`] and [`Capability::Http2`].
    pub fn set_http_version(&self, version: HttpVersion) -> Result<(), CallError> {
        if version != HttpVersion::Auto {
            require(Capability::HttpVersion)?;
        }
        if version == HttpVersion::Http2 {
            require(Capability::Http2)?;
        }
        self.while_closed(|settings| settings.http = version)
    }

    /// Sets the proxy: `http://`, `https://`, `socks5://` (resolves the server's name locally) or
    /// `socks5h://` (resolves it at the proxy; `socks://` is the same), optionally with `user:password@`.
    ///
    /// `None` uses the environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`; the default). An
    /// empty string disables the proxy.
    ///
    /// Needs [`Capability::Proxy`].
    pub fn set_proxy(&self, proxy: Option<&str>) -> Result<(), CallError> {
        if proxy.is_some() {
            require(Capability::Proxy)?;
        }
        let proxy = match proxy {
            None => ProxyChoice::Environment,
            Some("") => ProxyChoice::Direct,
            Some(url) => ProxyChoice::Through(Box::new(
                Proxy::parse(url).map_err(|error| CallError::new(Code::InvalidUrl, error.to_string()))?,
            )),
        };
        if matches!(&proxy, ProxyChoice::Through(proxy) if proxy.secure) {
            require(Capability::Tls)?;
        }
        self.while_closed(|settings| settings.proxy = proxy)
    }

    /// Sets how many redirects one connection may follow (default 0).
    ///
    /// A redirect from `wss` to `ws` is an error. `Authorization` and `Cookie` header fields that you set are
    /// sent to the same origin and, when a redirect upgrades to TLS, to the same host, never to another host.
    ///
    /// Needs [`Capability::Redirects`].
    pub fn set_max_redirects(&self, count: u32) -> Result<(), CallError> {
        if count > 0 {
            require(Capability::Redirects)?;
        }
        self.while_closed(|settings| settings.max_redirects = count)
    }

    /// Enables a cookie jar (RFC 6265) for this socket (default off). Disabling it deletes all cookies.
    ///
    /// Needs [`Capability::Cookies`].
    pub fn set_cookies(&self, on: bool) -> Result<(), CallError> {
        if on {
            require(Capability::Cookies)?;
        }
        self.while_closed(|settings| settings.cookies = on)?;
        if !on {
            *lock(&self.0.cookies) = None;
        }
        Ok(())
    }

    /// Copies the cookies of another socket, which may have been destroyed. They replace those of this socket.
    ///
    /// For a program that creates a socket for each connection: a socket that opens again keeps its cookies.
    /// Needs [`Capability::Cookies`].
    pub fn copy_cookies(&self, from: &Socket) -> Result<(), CallError> {
        require(Capability::Cookies)?;
        self.check_not_destroyed()?;
        let cookies = lock(&from.0.cookies).clone();
        *lock(&self.0.cookies) = cookies;
        Ok(())
    }

    /// Enables reconnecting after errors that are retriable; `None` disables it (the default).
    ///
    /// Between attempts the socket is connecting: sends return [`InvalidState`](Code::InvalidState), or are
    /// queued with [`Reconnect::queue_sends`] until a connection opens. [`Socket::close`] cancels reconnecting.
    pub fn set_reconnect(&self, reconnect: Option<Reconnect>) -> Result<(), CallError> {
        if let Some(reconnect) = &reconnect {
            reconnect.check()?;
        }
        self.while_closed(|settings| settings.reconnect = reconnect.map(Box::new))
    }

    /// Simulates a bad network: delay, jitter, a limited data rate, stalls and failures. `None` disables the link (the
    /// default). Takes effect at any time.
    ///
    /// The link is between TCP and TLS: it delays dialling and handshakes too. See [`LinkConditions`]. It holds at
    /// most 4 MiB in each direction, and then stops reading or accepting. Over HTTP/2 a socket with a link has a
    /// connection of its own; if it shares one already, the link applies to its next connection.
    ///
    /// Needs [`Capability::Link`].
    pub fn set_link(&self, link: Option<LinkConditions>) -> Result<(), CallError> {
        if let Some(link) = &link {
            require(Capability::Link)?;
            link.check()?;
        }
        self.check_not_destroyed()?;
        self.0.set_link(link.map(Arc::new));
        Ok(())
    }

    /// Captures the traffic of the socket to a pcapng file, which Wireshark opens. Ends an earlier capture of the socket.
    ///
    /// Applies to connections that start from now on: `open`, redirects and reconnects. A connection that is open now is
    /// not captured. Sockets with the same path share one file, with the options of the first; a file that exists is
    /// replaced. The file is complete when the last of them has ended its capture or was dropped, or after
    /// [`shutdown`](crate::shutdown).
    ///
    /// It contains what was sent and received, above TLS and HTTP/2, as synthetic TCP connections with one segment for
    /// each frame. A thread of the library writes it. The queue to it holds up to 8 MiB; what does not fit is counted in
    /// the file instead of being written, and the socket never waits. If the file cannot be created or written, that is
    /// logged, the capture ends, and the socket continues.
    ///
    /// The values of `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` are replaced, unless
    /// [`CaptureOptions::include_secrets`] is set. URLs and messages are not. On Unix, only the user can read the file.
    ///
    /// Needs [`Capability::Capture`].
    pub fn set_capture(&self, path: impl AsRef<Path>, options: CaptureOptions) -> Result<(), CallError> {
        let path = check_capture(path.as_ref())?;
        self.check_not_destroyed()?;
        self.0.set_capture(Some(library::open_capture(path, options)?));
        Ok(())
    }

    /// Ends the capture of the socket.
    pub fn end_capture(&self) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        self.0.set_capture(None);
        Ok(())
    }

    /// Sets the parameters of permessage-deflate (RFC 7692); `None` disables compression (default on).
    ///
    /// Needs [`Capability::CompressionSettings`].
    pub fn set_compression(&self, compression: Option<Compression>) -> Result<(), CallError> {
        require(Capability::CompressionSettings)?;
        if let Some(compression) = &compression {
            compression.check()?;
        }
        self.while_closed(|settings| settings.compression = compression)
    }

    /// Adds your own extension. Outgoing messages pass the extensions in the order in which they were added.
    ///
    /// Needs [`Capability::Extensions`].
    pub fn add_extension(&self, extension: Arc<dyn Extension>) -> Result<(), CallError> {
        require(Capability::Extensions)?;
        self.try_while_closed(|settings| {
            if extension.rsv() > 7 {
                return Err(CallError::argument("the reserved bits must be a combination of 4, 2 and 1"));
            }
            if settings.extensions.len() >= limits::MAX_EXTENSIONS {
                return Err(CallError::new(Code::TooLarge, "too many extensions"));
            }
            settings.extensions.push(extension);
            Ok(())
        })
    }

    /// Sets a key and a value that every log line of the socket contains; `None` removes the key. Takes
    /// effect at any time.
    pub fn set_context(&self, key: &str, value: Option<&str>) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        if key.is_empty() || key.len() > 64 || value.is_some_and(|value| value.len() > 256) {
            return Err(CallError::argument("a context key must be 1 to 64 bytes, its value at most 256"));
        }
        let mut settings = lock(&self.0.settings);
        let context = &mut settings.context;
        context.retain(|(known, _)| known != key);
        if let Some(value) = value {
            if context.len() >= 32 {
                return Err(CallError::new(Code::TooLarge, "a socket must have at most 32 context keys"));
            }
            context.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    }

    // ---------------------------------------------------------------- internal

    fn set_authorization(&self, value: &str) -> Result<(), CallError> {
        self.try_while_closed(|settings| {
            settings.change_request().headers.set(AUTHORIZATION, value).map_err(refused)
        })
    }

    fn change_pings(&self, change: impl FnOnce(&mut PingSettings)) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        let mut settings = lock(&self.0.settings);
        let pings = &mut settings.pings;
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
        self.check_not_destroyed()?;
        let mut settings = lock(&self.0.settings);
        if self.0.state() != State::Closed {
            return Err(CallError::state(
                "this can only be set while the socket is closed: before it is opened, or after its last event",
            ));
        }
        change(&mut settings)
    }
}

fn refused(error: HeaderError) -> CallError {
    CallError::argument(error.to_string())
}
