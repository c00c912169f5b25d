//! Connecting and closing.

use framewire::{CallError, EventKind, EventType, Socket};
use godot::global::Error as GodotError;
use godot::prelude::*;

use crate::answers;
use crate::polling;
use crate::socket::{Authorization, CLOSED, CLOSING, CONNECTING, FramewireSocket, Link};
use crate::tls::OptionalTlsOptions;

#[godot_api(secondary)]
impl FramewireSocket {
    /// Starts connecting to a `ws:` or `wss:` URL and returns at once; `opened` or `failed` tell
    /// how it went. Anything but `OK` means that nothing was started: see `get_last_error()`.
    ///
    /// `tls_client_options` may be a `TLSOptions` for clients. It replaces `tls_ca_pem`, `tls_roots` and
    /// `tls_insecure`: the certificates it trusts are then the only ones, and without any,
    /// `client_unsafe()` accepts all. `tls_pins` and the client certificate still apply. A common name
    /// override is refused.
    #[func]
    pub fn connect_to_url(
        &mut self,
        url: GString,
        #[opt(default = OptionalTlsOptions::default())] tls_client_options: OptionalTlsOptions,
    ) -> GodotError {
        if self.link.state != CLOSED {
            return GodotError::ERR_ALREADY_IN_USE;
        }
        let started = self.start(&url.to_string(), &tls_client_options);
        self.answer("connect_to_url", started)
    }

    /// Starts the closing handshake, behind every message that was sent before; `closed` tells
    /// when it is done. While connecting it cancels. `code` is 1000 or 3000 to 4999, and `reason`
    /// has at most 123 bytes of UTF-8.
    ///
    /// A negative code drops the connection at once, without a handshake.
    #[func]
    pub fn close(&mut self, #[opt(default = 1000)] code: i64, #[opt(default = "")] reason: GString) {
        if code < 0 {
            self.drop_connection();
            return;
        }
        if self.link.state == CLOSED || self.link.state == CLOSING {
            return;
        }
        let Some(socket) = self.link.socket.clone() else { return };
        let closing = match u16::try_from(code) {
            // What the server has closed already needs no more than to be told.
            Ok(_) if socket.state() == framewire::State::Closed => Ok(()),
            Ok(_) if socket.state() == framewire::State::Closing => Ok(()),
            Ok(code) => socket.close(code, &reason.to_string()),
            Err(_) => Err(CallError::argument(format!("{code} is no close code"))),
        };
        if self.answer("close", closing) == GodotError::OK {
            self.link.state = CLOSING;
        }
    }

    /// Logs in with user name and password (RFC 7617) from the next `connect_to_url()` on.
    #[func]
    pub fn set_basic_auth(&mut self, user: GString, password: GString) {
        let (user, password) = (user.to_string(), password.to_string());
        self.authorization = Some(Authorization::Basic { user, password });
    }

    /// Logs in with a token (RFC 6750) from the next `connect_to_url()` on.
    #[func]
    pub fn set_bearer_auth(&mut self, token: GString) {
        self.authorization = Some(Authorization::Bearer(token.to_string()));
    }

    /// Forgets what `set_basic_auth()` or `set_bearer_auth()` was given.
    #[func]
    pub fn clear_auth(&mut self) {
        self.authorization = None;
    }

    fn start(&mut self, url: &str, tls_options: &OptionalTlsOptions) -> Result<(), CallError> {
        let socket = Socket::create(url)?;
        // Before it opens: a redirect changes the URL.
        let server = host_and_port(&socket.url());
        // Asked now, or the first messages would come before the first poll could say so.
        let fragments = polling::wants_fragments(self.to_gd().upcast(), self.node);
        let prepared = self
            .configure(&socket, tls_options)
            .and_then(|()| socket.enable_event(EventType::IncompleteFrame, fragments))
            .and_then(|()| socket.open());
        if let Err(error) = prepared {
            let _ = socket.destroy();
            return Err(error);
        }
        // The former connection goes here, with what nobody has read of it.
        self.link = Link::default();
        let link = &mut self.link;
        link.socket = Some(socket);
        link.state = CONNECTING;
        link.fragments = fragments;
        link.url = url.to_owned();
        (link.host, link.port) = server;
        Ok(())
    }

    fn drop_connection(&mut self) {
        if self.link.state == CLOSED {
            return;
        }
        if let Some(socket) = self.link.socket.take() {
            let _ = socket.destroy();
        }
        self.link.state = CLOSED;
        self.link.close_code = -1;
        self.link.held_end = Some(EventKind::Closed { code: 1006, reason: "dropped by the script".into() });
    }

    /// Remembers and shows what was wrong with a call.
    pub(crate) fn answer(&mut self, call: &str, result: Result<(), CallError>) -> GodotError {
        let Err(error) = result else { return GodotError::OK };
        let code = answers::code(&error);
        self.link.last_error =
            vdict! { "kind" => "call", "phase" => "", "message" => error.message.as_ref() };
        // A full queue and a connection that is gone are the game's daily life, not mistakes.
        if code != GodotError::ERR_OUT_OF_MEMORY && code != GodotError::FAILED {
            godot_error!("FramewireSocket.{call}: {error}");
        }
        code
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
