//! From properties to the library's settings.

use crate::socket::{Authorization, FramewireSocket};
use crate::tls::{OptionalTlsOptions, TlsChoice};
use framewire::{CallError, HttpVersion, Reconnect, Socket};
use godot::global::Error as GodotError;
use std::time::Duration;

impl FramewireSocket {
    /// Gives a new socket everything that was set.
    pub(crate) fn configure(
        &mut self,
        socket: &Socket,
        tls_options: &OptionalTlsOptions,
    ) -> Result<(), CallError> {
        for protocol in self.supported_protocols.as_slice() {
            socket.add_protocol(&protocol.to_string())?;
        }
        for header in self.handshake_headers.as_slice() {
            let header = header.to_string();
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| CallError::argument(format!("\"{header}\" is no \"Name: value\"")))?;
            socket.add_header(name.trim(), value.trim())?;
        }
        socket.set_origin(Some(&self.origin.to_string()))?;
        match &self.authorization {
            Some(Authorization::Basic { user, password }) => socket.set_basic_auth(user, password)?,
            Some(Authorization::Bearer(token)) => socket.set_bearer_auth(token)?,
            None => {}
        }
        socket.set_connect_timeout(milliseconds(self.connect_timeout, "connect_timeout")?)?;
        socket.set_close_timeout(milliseconds(self.close_timeout, "close_timeout")?)?;
        socket.set_max_message_size(bytes(self.max_message_size, "max_message_size")?)?;
        if self.inbound_buffer_size < 1 || self.max_queued_packets < 1 {
            return Err(CallError::argument("inbound_buffer_size and max_queued_packets are at least 1"));
        }
        if !self.compression {
            socket.set_compression(None)?;
        }
        self.configure_fragments(socket)?;
        self.configure_buffer(socket)?;
        self.configure_heartbeat(socket)?;
        socket.set_http_version(http_version(self.requested_http_version)?)?;
        match self.proxy.to_string().as_str() {
            "" => socket.set_proxy(None)?,
            "none" => socket.set_proxy(Some(""))?,
            proxy => socket.set_proxy(Some(proxy))?,
        }
        socket.set_max_redirects(count(self.max_redirects, "max_redirects")?)?;
        socket.set_cookies(self.keep_cookies)?;
        if self.reconnect {
            let (shortest, longest) = (self.reconnect_min_delay, self.reconnect_max_delay);
            socket.set_reconnect(Some(Reconnect {
                min_delay: Duration::from_millis(milliseconds(shortest, "reconnect_min_delay")?.into()),
                max_delay: Duration::from_millis(milliseconds(longest, "reconnect_max_delay")?.into()),
                max_attempts: count(self.reconnect_max_attempts, "reconnect_max_attempts")?,
                queue_sends: self.reconnect_queue_sends,
            }))?;
        }
        let tls = self.tls_cache.settings(TlsChoice::new(tls_options, self)?)?;
        socket.set_tls(tls)
    }

    pub(crate) fn configure_fragments(&self, socket: &Socket) -> Result<(), CallError> {
        socket.set_max_fragment_size(bytes(self.max_fragment_size, "max_fragment_size")?)
    }

    pub(crate) fn configure_buffer(&self, socket: &Socket) -> Result<(), CallError> {
        socket.set_max_buffered_amount(bytes(self.outbound_buffer_size, "outbound_buffer_size")?)
    }

    pub(crate) fn configure_heartbeat(&self, socket: &Socket) -> Result<(), CallError> {
        let interval = milliseconds(self.heartbeat_interval, "heartbeat_interval")?;
        let timeout = milliseconds(self.heartbeat_timeout, "heartbeat_timeout")?;
        let on = interval > 0;
        if on {
            socket.set_ping_frequency(interval)?;
            socket.set_close_after_no_message(if timeout > 0 { timeout } else { interval })?;
        }
        socket.set_start_ping_thread(on)
    }

    /// Passes a setting that may change at any time to the open connection. Returns false if it was
    /// refused.
    pub(crate) fn apply(
        &mut self,
        call: &str,
        change: impl FnOnce(&Self, &Socket) -> Result<(), CallError>,
    ) -> bool {
        let Some(socket) = self.link.socket.clone() else { return true };
        // A connection that has ended takes no settings; the next one will.
        let changed =
            if socket.state() == framewire::State::Unknown { Ok(()) } else { change(self, &socket) };
        self.answer(call, changed) == GodotError::OK
    }
}

/// At least 1 for any time above 0; where 0 makes no sense, the library refuses it. Infinity becomes 49
/// days, as the conversion by `as` saturates.
fn milliseconds(seconds: f64, what: &str) -> Result<u32, CallError> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(CallError::argument(format!("{what} is {seconds}, not a number of seconds from 0 on")));
    }
    let milliseconds = (seconds * 1000.0) as u32;
    Ok(if seconds > 0.0 { milliseconds.max(1) } else { 0 })
}

fn http_version(number: i64) -> Result<HttpVersion, CallError> {
    match number {
        0 => Ok(HttpVersion::Auto),
        1 => Ok(HttpVersion::Http1),
        2 => Ok(HttpVersion::Http2),
        _ => Err(CallError::argument("requested_http_version is 0 for automatic, 1 or 2")),
    }
}

fn count(number: i64, what: &str) -> Result<u32, CallError> {
    u32::try_from(number).map_err(|_| CallError::argument(format!("{what} is a number from 0 on")))
}

fn bytes(size: i64, what: &str) -> Result<usize, CallError> {
    usize::try_from(size).map_err(|_| CallError::argument(format!("{what} is {size}, not a number of bytes")))
}
