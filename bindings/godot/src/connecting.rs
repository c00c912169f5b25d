//! Connecting and closing.

use framewire::{CallError, EventKind, EventType, Socket};

use crate::errors::LastError;
use crate::gdextension::{GodotError, Preset, TlsOptionsArgument};
use crate::members::methods;
use crate::polling;
use crate::socket::{Authorization, CLOSED, CLOSING, CONNECTING, Connection, FLUSH_TIMEOUT, FramewireSocket};
use crate::startup;
use crate::tls;
use crate::totals;

methods! {
    METHODS:
    /// Starts connecting to a `ws:` or `wss:` URL and returns immediately. The result is emitted as
    /// `opened` or `failed`. If this does not return `OK`, no connection was started; see
    /// `get_last_error()`.
    ///
    /// `tls_client_options` may be a `TLSOptions` for clients. It replaces `tls_ca_pem`, `tls_roots` and
    /// `tls_insecure`: only its certificates are trusted, and `client_unsafe()` without certificates
    /// accepts any certificate. `tls_pins` and the client certificate still apply. A common name override
    /// is rejected.
    method connect_to_url(url, tls_client_options = Preset::Null) => FramewireSocket::connect_to_url;

    /// Starts the closing handshake after all queued messages. `closed` is emitted when it is complete.
    /// While connecting, this cancels the attempt. `code` is 1000 to 1003, 1007 to 1014 or 3000 to 4999, and
    /// `reason` has at most 123 bytes of UTF-8; otherwise, this prints an error and has no other effect.
    ///
    /// A negative code drops the connection immediately, without a handshake. The next `poll()` emits `sent` for its
    /// tags and then `closed`, also if the socket connects again before, and nothing else of it.
    method close(code = Preset::Int(1000), reason = Preset::Text("")) => FramewireSocket::close;

    /// Sets HTTP basic authentication (RFC 7617) for the next `connect_to_url()` and later ones.
    method set_basic_auth(user, password) => FramewireSocket::set_basic_auth;

    /// Sets a bearer token (RFC 6750) for the next `connect_to_url()` and later ones.
    method set_bearer_auth(token) => FramewireSocket::set_bearer_auth;

    /// Removes the credentials set by `set_basic_auth()` or `set_bearer_auth()`.
    method clear_auth() => FramewireSocket::clear_auth;

    /// Sets a key and a value that every log line of this socket contains, at any time; an empty value removes the key.
    /// A socket has at most 32 keys of at most 64 bytes, with values of at most 256 bytes.
    method set_context(key, value) => FramewireSocket::set_context;

    /// Returns what the extension can do, a combination of `CAPABILITY_*` constants. Builds without TLS or HTTP/2
    /// lack some.
    function get_capabilities() => get_capabilities;

    /// Notifies the library that the network may have changed. Every open connection is pinged. If nothing
    /// is received within 3 seconds, it ends or is retried.
    function network_changed() => framewire::network_changed;

    /// Notifies the library that the app is about to sleep (`NOTIFICATION_APPLICATION_PAUSED`). Until
    /// `resume()`, no pings are sent and no timeout expires.
    function suspend() => framewire::suspend;

    /// Notifies the library that the app is awake again (`NOTIFICATION_APPLICATION_RESUMED`). Timeouts
    /// continue, and every connection is checked as by `network_changed()`.
    function resume() => framewire::resume;
}

/// Limits of the library.
const MAX_CLOSE_REASON: usize = 123;
const MAX_CONTEXT_KEYS: usize = 32;

fn get_capabilities() -> i64 {
    i64::from(framewire::capabilities().bits())
}

impl FramewireSocket {
    pub fn connect_to_url(&self, url: String, options: TlsOptionsArgument) -> GodotError {
        if self.state().connection.state != CLOSED {
            let why = "the socket is connecting, open or closing already".to_owned();
            self.state().connection.last_error = LastError::Call(why);
            return GodotError::ERR_ALREADY_IN_USE;
        }
        let started = self.start(&url, &options);
        self.report("connect_to_url", started)
    }

    pub fn close(&self, code: i64, reason: String) {
        if code < 0 {
            self.drop_connection();
            return;
        }
        let closed = self.start_closing(code, &reason);
        self.report("close", closed);
    }

    fn set_basic_auth(&self, user: String, password: String) {
        self.state().authorization = Some(Authorization::Basic { user, password });
    }

    fn set_bearer_auth(&self, token: String) {
        self.state().authorization = Some(Authorization::Bearer(token));
    }

    fn clear_auth(&self) {
        self.state().authorization = None;
    }

    fn set_context(&self, key: String, value: String) {
        let result = {
            let mut state = self.state();
            let value = Some(value).filter(|value| !value.is_empty());
            let is_new = value.is_some() && !state.context.contains_key(&key);
            let result = match &state.connection.socket {
                _ if is_new && state.context.len() >= MAX_CONTEXT_KEYS => {
                    Err(CallError::argument("a socket must have at most 32 context keys"))
                }
                Some(socket) if socket.state() != framewire::State::Unknown => {
                    socket.set_context(&key, value.as_deref())
                }
                _ => Ok(()),
            };
            if result.is_ok() {
                match value {
                    Some(value) => state.context.insert(key, value),
                    None => state.context.remove(&key),
                };
            }
            result
        };
        self.report("set_context", result);
    }

    fn start(&self, url: &str, options: &TlsOptionsArgument) -> Result<(), CallError> {
        startup::start()?;
        let socket = Socket::create(url)?;
        let opened = self.open(url, &socket, options);
        if opened.is_err() {
            let _ = socket.destroy();
        }
        opened
    }

    fn open(&self, url: &str, socket: &Socket, options: &TlsOptionsArgument) -> Result<(), CallError> {
        // Before it opens: a redirect changes the URL.
        let (host, port) = host_and_port(&socket.url());
        // These two call Godot, so the state is not locked yet.
        let wanted = polling::wanted(self);
        let trust = tls::trust(options)?;
        let mut state = self.state();
        if state.connection.state != CLOSED {
            return Err(CallError::state("another thread has connected the socket"));
        }
        state.configure(socket, trust)?;
        // Enabled before opening, because messages may be received before the first poll.
        socket.enable_event(EventType::IncompleteFrame, wanted.fragments)?;
        socket.enable_event(EventType::Request, wanted.requests)?;
        socket.open()?;
        totals::add(socket);
        state.previous = Some(socket.clone());
        // Drops the previous connection with its unread packets.
        state.connection = Connection::default();
        state.generation += 1;
        let connection = &mut state.connection;
        connection.socket = Some(socket.clone());
        connection.state = CONNECTING;
        connection.fragments_enabled = wanted.fragments;
        connection.requests_enabled = wanted.requests;
        connection.url = url.to_owned();
        (connection.host, connection.port) = (host, port);
        Ok(())
    }

    fn start_closing(&self, code: i64, reason: &str) -> Result<(), CallError> {
        let mut state = self.state();
        let connection = &mut state.connection;
        if connection.state == CLOSED || connection.state == CLOSING {
            return Ok(());
        }
        let Some(socket) = &connection.socket else { return Ok(()) };
        // As an invalid argument, because a full send queue is not printed.
        if reason.len() > MAX_CLOSE_REASON {
            return Err(CallError::argument(
                "a close reason must be at most 123 bytes (RFC 6455 section 5.5.1)",
            ));
        }
        match u16::try_from(code) {
            // The server has closed already, and the event is still in the queue.
            Ok(_) if matches!(socket.state(), framewire::State::Closed | framewire::State::Closing) => {}
            Ok(code) => socket.close(code, reason)?,
            Err(_) => return Err(CallError::argument(format!("{code} is not a close code"))),
        }
        connection.state = CLOSING;
        Ok(())
    }

    pub fn drop_connection(&self) {
        self.detach(1006, "dropped by the script", |socket| {
            let _ = socket.destroy();
        });
    }

    /// Closes the connection in the background after what is queued, so that the socket can connect again at once.
    pub fn close_in_background(&self, code: u16, reason: &str) {
        self.detach(code, reason, |socket| {
            let _ = socket.close(code, reason);
            let _ = socket.destroy_when_sent(FLUSH_TIMEOUT);
        });
    }

    fn detach(&self, code: u16, reason: &str, destroy: impl FnOnce(&Socket)) {
        let mut state = self.state();
        let connection = &mut state.connection;
        if connection.state == CLOSED {
            return;
        }
        let mut last = Vec::new();
        if let Some(socket) = connection.socket.take() {
            last = connection.take_outcomes(&socket);
            destroy(&socket);
        }
        connection.events.clear();
        connection.state = CLOSED;
        connection.close_code = -1;
        connection.deferred_end = None;
        last.push(EventKind::Closed { code, reason: reason.into() });
        state.dropped.extend(last);
        state.generation += 1;
    }
}

/// Splits a URL as `Socket::url()` returns it, `ws[s]://host[:port]/...`. An IPv6 address comes without
/// its brackets and its zone.
fn host_and_port(url: &str) -> (String, i64) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.split('%').next().unwrap_or_default(), port.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let default_port = if scheme == "wss" { 443 } else { 80 };
    (host.to_owned(), port.and_then(|port| port.parse().ok()).unwrap_or(default_port))
}
