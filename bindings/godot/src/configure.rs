//! Applies the properties to the library's socket.

use std::time::Duration;

use framewire::{CallError, CaptureOptions, Compression, HttpVersion, Reconnect, Roots, Socket};

use crate::settings::Settings;
use crate::socket::{Authorization, FramewireSocket, State};
use crate::tls::{TlsConfig, Trust, decode_pin};

impl State {
    /// Applies all settings to a new socket. `trust` replaces the properties about trust.
    pub fn configure(&mut self, socket: &Socket, trust: Option<Trust>) -> Result<(), CallError> {
        let settings = &self.settings;
        for protocol in &settings.supported_protocols {
            socket.add_protocol(protocol)?;
        }
        for header in &settings.handshake_headers {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| CallError::argument(format!("\"{header}\" is not \"Name: value\"")))?;
            socket.add_header(name.trim(), value.trim())?;
        }
        // An empty one would remove that of `handshake_headers`.
        if !settings.origin.is_empty() {
            socket.set_origin(Some(&settings.origin))?;
        }
        match &self.authorization {
            Some(Authorization::Basic { user, password }) => socket.set_basic_auth(user, password)?,
            Some(Authorization::Bearer(token)) => socket.set_bearer_auth(token)?,
            None => {}
        }
        socket.set_connect_timeout(milliseconds(settings.connect_timeout, "connect_timeout")?)?;
        socket.set_close_timeout(milliseconds(settings.close_timeout, "close_timeout")?)?;
        socket.set_max_message_size(bytes(settings.max_message_size, "max_message_size")?)?;
        if settings.inbound_buffer_size < 1 || settings.max_queued_packets < 1 {
            return Err(CallError::argument("inbound_buffer_size and max_queued_packets must be at least 1"));
        }
        let compression = compression(settings)?;
        if compression != Some(Compression::default()) {
            socket.set_compression(compression)?;
        }
        for (key, value) in &self.context {
            socket.set_context(key, Some(value))?;
        }
        // Without lanes, messages take the shorter way.
        if !settings.lanes.is_empty() {
            socket.set_lanes(&settings.lanes)?;
        }
        // None would disable the one of all sockets.
        if settings.link_conditions.is_some() {
            socket.set_link(settings.link_conditions)?;
        }
        // An empty path would end the capture of all sockets.
        if !settings.capture_path.is_empty() {
            let max_file_bytes = u64::try_from(settings.capture_max_file_bytes)
                .map_err(|_| CallError::argument("capture_max_file_bytes must not be negative"))?;
            let include_secrets = settings.capture_include_secrets;
            socket.set_capture(&settings.capture_path, CaptureOptions { max_file_bytes, include_secrets })?;
        }
        self.configure_fragments(socket)?;
        self.configure_buffer(socket)?;
        self.configure_heartbeat(socket)?;
        socket.set_http_version(http_version(settings.requested_http_version)?)?;
        match settings.proxy.as_str() {
            "" => socket.set_proxy(None)?,
            "none" => socket.set_proxy(Some(""))?,
            proxy => socket.set_proxy(Some(proxy))?,
        }
        socket.set_max_redirects(count(settings.max_redirects, "max_redirects")?)?;
        socket.set_cookies(settings.keep_cookies)?;
        if settings.keep_cookies
            && let Some(previous) = &self.previous
        {
            socket.copy_cookies(previous)?;
        }
        if settings.reconnect {
            socket.set_reconnect(Some(Reconnect {
                min_delay: duration(settings.reconnect_min_delay, "reconnect_min_delay")?,
                max_delay: duration(settings.reconnect_max_delay, "reconnect_max_delay")?,
                max_attempts: count(settings.reconnect_max_attempts, "reconnect_max_attempts")?,
                queue_sends: settings.reconnect_queue_sends,
            }))?;
        }
        let config = tls_config(settings, trust)?;
        socket.set_tls(self.tls_cache.settings(config)?)
    }

    pub fn configure_fragments(&self, socket: &Socket) -> Result<(), CallError> {
        socket.set_max_fragment_size(bytes(self.settings.max_fragment_size, "max_fragment_size")?)
    }

    pub fn configure_buffer(&self, socket: &Socket) -> Result<(), CallError> {
        socket.set_max_buffered_amount(bytes(self.settings.outbound_buffer_size, "outbound_buffer_size")?)
    }

    pub fn configure_heartbeat(&self, socket: &Socket) -> Result<(), CallError> {
        let interval = milliseconds(self.settings.heartbeat_interval, "heartbeat_interval")?;
        let timeout = milliseconds(self.settings.heartbeat_timeout, "heartbeat_timeout")?;
        let enabled = interval > 0;
        if enabled {
            socket.set_ping_frequency(interval)?;
            socket.set_close_after_no_message(if timeout > 0 { timeout } else { interval })?;
        }
        socket.set_start_ping_thread(enabled)
    }
}

/// Combines the TLS properties with the trust of TLS options.
fn tls_config(settings: &Settings, trust: Option<Trust>) -> Result<TlsConfig, CallError> {
    if settings.tls_client_cert_pem.is_empty() && !settings.tls_client_key_pem.is_empty() {
        return Err(CallError::argument("tls_client_key_pem needs the certificate in tls_client_cert_pem"));
    }
    let pins = settings.tls_pins.iter().map(decode_pin).collect::<Result<_, _>>()?;
    let trust = match trust {
        Some(trust) => trust,
        None => Trust {
            ca_pem: settings.tls_ca_pem.clone(),
            roots: roots(settings.tls_roots)?,
            insecure: settings.tls_insecure,
        },
    };
    Ok(TlsConfig {
        trust,
        pins,
        client_cert_pem: settings.tls_client_cert_pem.clone(),
        client_key_pem: settings.tls_client_key_pem.clone(),
        key_log: settings.tls_key_log,
    })
}

fn compression(settings: &Settings) -> Result<Option<Compression>, CallError> {
    let bits = |bits: i64, what: &str| {
        u8::try_from(bits).map_err(|_| CallError::argument(format!("{what} is {bits}, but must be 8 to 15")))
    };
    Ok(if settings.compression {
        Some(Compression {
            level: count(settings.compression_level, "compression_level")?,
            client_no_context_takeover: settings.compression_client_no_context_takeover,
            server_no_context_takeover: settings.compression_server_no_context_takeover,
            client_max_window_bits: bits(
                settings.compression_client_max_window_bits,
                "compression_client_max_window_bits",
            )?,
            server_max_window_bits: bits(
                settings.compression_server_max_window_bits,
                "compression_server_max_window_bits",
            )?,
            min_size_to_compress: bytes(settings.compression_min_size, "compression_min_size")?,
        })
    } else {
        None
    })
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

pub fn count(number: i64, what: &str) -> Result<u32, CallError> {
    u32::try_from(number)
        .map_err(|_| CallError::argument(format!("{what} is {number}, but must be 0 to 4294967295")))
}

pub fn bytes(size: i64, what: &str) -> Result<usize, CallError> {
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
