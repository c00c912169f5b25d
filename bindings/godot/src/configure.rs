//! Applies the properties to the library's socket.

use crate::socket::{Authorization, FramewireSocket};
use crate::tls::{OptionalTlsOptions, TlsConfig, Trust, decode_pin};
use framewire::{CallError, HttpVersion, Reconnect, Roots, Socket};
use godot::global::Error as GodotError;
use std::time::Duration;

impl FramewireSocket {
    /// Applies all settings to a new socket.
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
                .ok_or_else(|| CallError::argument(format!("\"{header}\" is not \"Name: value\"")))?;
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
            return Err(CallError::argument("inbound_buffer_size and max_queued_packets must be at least 1"));
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
            socket.set_reconnect(Some(Reconnect {
                min_delay: duration(self.reconnect_min_delay, "reconnect_min_delay")?,
                max_delay: duration(self.reconnect_max_delay, "reconnect_max_delay")?,
                max_attempts: count(self.reconnect_max_attempts, "reconnect_max_attempts")?,
                queue_sends: self.reconnect_queue_sends,
            }))?;
        }
        let config = self.tls_config(tls_options)?;
        socket.set_tls(self.tls_cache.settings(config)?)
    }

    /// Combines the TLS properties with the options, which replace the properties about trust.
    fn tls_config(&self, options: &OptionalTlsOptions) -> Result<TlsConfig, CallError> {
        if self.tls_client_cert_pem.is_empty() && !self.tls_client_key_pem.is_empty() {
            return Err(CallError::argument(
                "tls_client_key_pem needs the certificate in tls_client_cert_pem",
            ));
        }
        let pins = self.tls_pins.as_slice().iter().map(decode_pin).collect::<Result<_, _>>()?;
        let trust = match options.trust()? {
            Some(trust) => trust,
            None => Trust {
                ca_pem: self.tls_ca_pem.to_string(),
                roots: roots(self.tls_roots)?,
                insecure: self.tls_insecure,
            },
        };
        Ok(TlsConfig {
            trust,
            pins,
            client_cert_pem: self.tls_client_cert_pem.to_string(),
            client_key_pem: self.tls_client_key_pem.to_string(),
        })
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
        let enabled = interval > 0;
        if enabled {
            socket.set_ping_frequency(interval)?;
            socket.set_close_after_no_message(if timeout > 0 { timeout } else { interval })?;
        }
        socket.set_start_ping_thread(enabled)
    }

    /// Applies a setting that may change at any time to the current connection. Returns false if the
    /// library rejects it.
    pub(crate) fn apply(
        &mut self,
        call: &str,
        change: impl FnOnce(&Self, &Socket) -> Result<(), CallError>,
    ) -> bool {
        let Some(socket) = self.connection.socket.clone() else { return true };
        // A destroyed socket takes no settings; the next connection gets them.
        let changed =
            if socket.state() == framewire::State::Unknown { Ok(()) } else { change(self, &socket) };
        self.report(call, changed) == GodotError::OK
    }
}

fn duration(seconds: f64, what: &str) -> Result<Duration, CallError> {
    Ok(Duration::from_millis(milliseconds(seconds, what)?.into()))
}

/// Converts to milliseconds: at least 1 for a positive time, and `u32::MAX` (49 days) for infinity. The
/// library rejects 0 where it is invalid.
fn milliseconds(seconds: f64, what: &str) -> Result<u32, CallError> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(CallError::argument(format!(
            "{what} is {seconds}, but must be a number of seconds, at least 0"
        )));
    }
    let milliseconds = (seconds * 1000.0) as u32;
    Ok(if seconds > 0.0 { milliseconds.max(1) } else { 0 })
}

fn http_version(number: i64) -> Result<HttpVersion, CallError> {
    match number {
        0 => Ok(HttpVersion::Auto),
        1 => Ok(HttpVersion::Http1),
        2 => Ok(HttpVersion::Http2),
        _ => Err(CallError::argument("requested_http_version must be 0 for automatic, 1 or 2")),
    }
}

fn count(number: i64, what: &str) -> Result<u32, CallError> {
    u32::try_from(number)
        .map_err(|_| CallError::argument(format!("{what} is {number}, but must be 0 to 4294967295")))
}

fn bytes(size: i64, what: &str) -> Result<usize, CallError> {
    usize::try_from(size)
        .map_err(|_| CallError::argument(format!("{what} is {size}, but must be at least 0")))
}

fn roots(number: i64) -> Result<Roots, CallError> {
    match number {
        FramewireSocket::TLS_ROOTS_WEBPKI => Ok(Roots::Webpki),
        FramewireSocket::TLS_ROOTS_PLATFORM => Ok(Roots::Platform),
        FramewireSocket::TLS_ROOTS_NONE => Ok(Roots::None),
        _ => Err(CallError::argument(format!("tls_roots is {number}, which is not a TLS_ROOTS_* constant"))),
    }
}
