//! Connecting and closing.

use framewire::{CallError, EventKind, EventType, Socket, State};
use godot::global::Error as GodotError;
use godot::prelude::*;

use crate::polling;
use crate::socket::{Authorization, CLOSED, CLOSING, CONNECTING, Connection, FramewireSocket};
use crate::tls::OptionalTlsOptions;

#[godot_api(secondary)]
impl FramewireSocket {
    /// Starts connecting to a `ws:` or `wss:` URL and returns immediately. The result is emitted as
    /// `opened` or `failed`. If this does not return `OK`, no connection was started; see
    /// `get_last_error()`.
    ///
    /// `tls_client_options` may be a `TLSOptions` for clients. It replaces `tls_ca_pem`, `tls_roots` and
    /// `tls_insecure`: only its certificates are trusted, and `client_unsafe()` without certificates
    /// accepts any certificate. `tls_pins` and the client certificate still apply. A common name override
    /// is rejected.
    #[func]
    pub fn connect_to_url(
        &mut self,
        url: GString,
        #[opt(default = OptionalTlsOptions::default())] tls_client_options: OptionalTlsOptions,
    ) -> GodotError {
        if self.connection.state != CLOSED {
            return GodotError::ERR_ALREADY_IN_USE;
        }
        let started = self.start(&url.to_string(), &tls_client_options);
        self.report("connect_to_url", started)
    }

    /// Starts the closing handshake after all queued messages. `closed` is emitted when it is complete.
    /// While connecting, this cancels the attempt. `code` is 1000 or 3000 to 4999, and `reason` has at most
    /// 123 bytes of UTF-8.
    ///
    /// A negative code drops the connection immediately, without a handshake.
    #[func]
    pub fn close(&mut self, #[opt(default = 1000)] code: i64, #[opt(default = "")] reason: GString) {
        if code < 0 {
            self.drop_connection();
            return;
        }
        if self.connection.state == CLOSED || self.connection.state == CLOSING {
            return;
        }
        let Some(socket) = self.connection.socket.clone() else { return };
        let closing = match u16::try_from(code) {
            // The server has closed already, and the event is still in the queue.
            Ok(_) if matches!(socket.state(), State::Closed | State::Closing) => Ok(()),
            Ok(code) => socket.close(code, &reason.to_string()),
            Err(_) => Err(CallError::argument(format!("{code} is not a close code"))),
        };
        if self.report("close", closing) == GodotError::OK {
            self.connection.state = CLOSING;
        }
    }

    /// Sets HTTP basic authentication (RFC 7617) for the next `connect_to_url()` and later ones.
    #[func]
    pub fn set_basic_auth(&mut self, user: GString, password: GString) {
        let (user, password) = (user.to_string(), password.to_string());
        self.authorization = Some(Authorization::Basic { user, password });
    }

    /// Sets a bearer token (RFC 6750) for the next `connect_to_url()` and later ones.
    #[func]
    pub fn set_bearer_auth(&mut self, token: GString) {
        self.authorization = Some(Authorization::Bearer(token.to_string()));
    }

    /// Removes the credentials set by `set_basic_auth()` or `set_bearer_auth()`.
    #[func]
    pub fn clear_auth(&mut self) {
        self.authorization = None;
    }

    fn start(&mut self, url: &str, tls_options: &OptionalTlsOptions) -> Result<(), CallError> {
        let socket = Socket::create(url)?;
        // Before it opens: a redirect changes the URL.
        let server = host_and_port(&socket.url());
        // Enabled before opening, because messages may be received before the first poll.
        let fragments_enabled = polling::wants_fragments(self.to_gd().upcast(), self.node);
        let prepared = self
            .configure(&socket, tls_options)
            .and_then(|()| socket.enable_event(EventType::IncompleteFrame, fragments_enabled))
            .and_then(|()| socket.open());
        if let Err(error) = prepared {
            let _ = socket.destroy();
            return Err(error);
        }
        // Drops the previous connection with its unread packets.
        self.connection = Connection::default();
        let connection = &mut self.connection;
        connection.socket = Some(socket);
        connection.state = CONNECTING;
        connection.fragments_enabled = fragments_enabled;
        connection.url = url.to_owned();
        (connection.host, connection.port) = server;
        Ok(())
    }

    fn drop_connection(&mut self) {
        if self.connection.state == CLOSED {
            return;
        }
        if let Some(socket) = self.connection.socket.take() {
            let _ = socket.destroy();
        }
        self.connection.state = CLOSED;
        self.connection.close_code = -1;
        self.connection.deferred_end =
            Some(EventKind::Closed { code: 1006, reason: "dropped by the script".into() });
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
