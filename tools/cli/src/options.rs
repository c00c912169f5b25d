//! The settings of a connection, as options of every command that connects.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{Args, ValueEnum};
use framewire::{CaptureOptions, Compression, HttpVersion, LogLevel, Reconnect, Roots, Socket, Tls};

use crate::link::LinkOptions;
use crate::output::{Failure, QUIET, status};
use crate::report::printable;
use crate::resolve::{Override, Tunnel, parse_override};
use crate::session::Session;
use crate::values::{milliseconds, pin, size, timeout};

#[derive(Args, Clone, Debug)]
pub struct ConnectionOptions {
    #[command(flatten, next_help_heading = "Request")]
    pub request: RequestOptions,
    #[command(flatten, next_help_heading = "TLS")]
    pub tls: TlsOptions,
    #[command(flatten, next_help_heading = "Connection")]
    pub network: NetworkOptions,
    #[command(flatten)]
    pub link: LinkOptions,
}

#[derive(Args, Clone, Debug)]
pub struct RequestOptions {
    /// Adds a header field to the upgrade request.
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Offers a subprotocol; the order is the order of preference.
    #[arg(short = 's', long, value_name = "NAME")]
    pub subprotocol: Vec<String>,
    /// Sets the Origin header field.
    #[arg(short, long, value_name = "ORIGIN")]
    pub origin: Option<String>,
    /// Sends a cookie.
    #[arg(long, value_name = "NAME=VALUE")]
    pub cookie: Vec<String>,
    /// Keeps cookies of the server for redirects and reconnects.
    #[arg(long)]
    pub cookie_jar: bool,
    /// Basic authentication [env: FRAMEWIRE_USER].
    #[arg(short, long, value_name = "USER:PASSWORD")]
    pub user: Option<String>,
    /// Bearer authentication [env: FRAMEWIRE_BEARER].
    #[arg(long, value_name = "TOKEN", conflicts_with = "user")]
    pub bearer: Option<String>,
    /// HTTP version of the handshake.
    #[arg(long, value_name = "VERSION", default_value = "auto")]
    pub http: Http,
    /// Redirects that are followed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_redirects: u32,
    /// Offers no compression.
    #[arg(long)]
    pub no_compression: bool,
    /// Compression level, from 0 to 9.
    #[arg(long, value_name = "LEVEL", conflicts_with = "no_compression")]
    pub compression_level: Option<u32>,
    /// Compresses each message separately, in both directions.
    #[arg(long, conflicts_with = "no_compression")]
    pub no_context_takeover: bool,
    /// Size of the compression window as a power of two, in both directions, from 8 to 15.
    #[arg(long, value_name = "BITS", conflicts_with = "no_compression")]
    pub window_bits: Option<u8>,
}

const USER: &str = "FRAMEWIRE_USER";
const BEARER: &str = "FRAMEWIRE_BEARER";

/// How a request authenticates.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    /// User and password, separated by a colon.
    Basic(String),
    /// A token.
    Bearer(String),
}

/// Reads an environment variable. An empty one counts as not set.
fn variable(name: &'static str) -> Result<Option<String>, Failure> {
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let value = value.into_string();
    value.map(Some).map_err(|_| Failure::usage(format_args!("the environment variable {name} is not UTF-8")))
}

#[derive(Args, Clone, Debug)]
pub struct TlsOptions {
    /// Accepts any certificate. For development only.
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// Trusts the certificates in this PEM file too.
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Client certificate chain, a PEM file.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Private key of the client certificate, a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Certificate authorities that are trusted.
    #[arg(long, value_name = "WHICH", default_value = "mozilla")]
    pub roots: RootChoice,
    /// SHA-256 hash of the server's public key.
    #[arg(long, value_name = "HASH", value_parser = pin)]
    pub pin: Vec<[u8; 32]>,
    /// Writes session keys to the file that the environment variable SSLKEYLOGFILE names.
    #[arg(long)]
    pub key_log: bool,
}

#[derive(Args, Clone, Debug)]
pub struct NetworkOptions {
    /// Proxy: http://, https://, socks5:// or socks5h://, with user:password@ if needed (default: environment).
    #[arg(short = 'x', long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Ignores the proxy of the environment.
    #[arg(long, conflicts_with = "proxy")]
    pub no_proxy: bool,
    /// Uses these addresses for a host and port, instead of DNS.
    #[arg(long, value_name = "HOST:PORT:ADDRESS[,ADDRESS]", value_parser = parse_override, conflicts_with = "proxy")]
    pub resolve: Vec<Override>,
    /// Time until the connection is open.
    #[arg(long, value_name = "TIME", value_parser = timeout, default_value = "20s")]
    pub connect_timeout: Duration,
    /// Time for the closing handshake.
    #[arg(long, value_name = "TIME", value_parser = timeout, default_value = "5s")]
    pub close_timeout: Duration,
    /// Sends keepalive pings at this interval.
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    pub ping_interval: Option<Duration>,
    /// Time for the answer to a keepalive ping (default: 2s).
    #[arg(long, value_name = "TIME", value_parser = timeout, requires = "ping_interval")]
    pub ping_timeout: Option<Duration>,
    /// Reconnects after errors that are retriable, at most N times in a row; 0 or no N: without limit.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    pub reconnect: Option<u32>,
    /// Shortest delay before a reconnect.
    #[arg(long, value_name = "TIME", value_parser = timeout, requires = "reconnect")]
    pub reconnect_min_delay: Option<Duration>,
    /// Longest delay before a reconnect.
    #[arg(long, value_name = "TIME", value_parser = timeout, requires = "reconnect")]
    pub reconnect_max_delay: Option<Duration>,
    /// Largest message that is accepted.
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "64M")]
    pub max_message_size: usize,
    /// Largest payload of a sent frame.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub max_fragment_size: Option<usize>,
    /// Captures the traffic to a pcapng file; see `framewire record`.
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// Prints log lines of the library: -v connections that fail, -vv each step, -vvv everything.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Http {
    /// HTTP/2 where the server supports it, else HTTP/1.1.
    Auto,
    /// HTTP/1.1 only.
    #[value(name = "1")]
    One,
    /// HTTP/2 only (RFC 8441).
    #[value(name = "2")]
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RootChoice {
    /// Mozilla's list.
    Mozilla,
    /// Those of the operating system.
    Platform,
    /// Only those of --cacert and --pin.
    None,
}

impl Http {
    pub fn version(self) -> HttpVersion {
        match self {
            Http::Auto => HttpVersion::Auto,
            Http::One => HttpVersion::Http1,
            Http::Two => HttpVersion::Http2,
        }
    }
}

impl ConnectionOptions {
    /// Creates a socket with these settings. It is not opened yet.
    pub fn session(&self, url: &str) -> Result<Session, Failure> {
        self.log();
        let socket = Socket::create(url)?;
        self.request.apply(&socket)?;
        if let Some(tls) = self.tls.settings()? {
            socket.set_tls(Some(&tls))?;
        }
        let tunnel = self.network.apply(&socket)?;
        socket.set_link(self.link.conditions())?;
        Ok(Session::new(socket, tunnel))
    }

    fn log(&self) {
        let level = match self.network.verbose {
            0 => LogLevel::Error,
            1 => LogLevel::Info,
            2 => LogLevel::Debug,
            _ => LogLevel::Trace,
        };
        let print = |level, socket: u64, _: &str, message: &str| {
            // It may contain text of the server.
            status(format_args!("{QUIET}[{socket}] {}{QUIET:#}", printable(message)));
            if level == LogLevel::Error {
                let _ = FIRST_ERROR.set(message.to_owned());
            }
        };
        framewire::set_log(level, Some(Arc::new(print)));
    }
}

static FIRST_ERROR: OnceLock<String> = OnceLock::new();

/// Returns the first error in the library's log, such as a capture that cannot be written.
pub fn logged_error() -> Option<&'static str> {
    FIRST_ERROR.get().map(String::as_str)
}

impl RequestOptions {
    fn apply(&self, socket: &Socket) -> Result<(), Failure> {
        for (name, value) in &self.header {
            socket.add_header(name, value)?;
        }
        for name in &self.subprotocol {
            socket.add_protocol(name)?;
        }
        socket.set_origin(self.origin.as_deref())?;
        if !self.cookie.is_empty() {
            socket.add_header("Cookie", &self.cookie.join("; "))?;
        }
        socket.set_cookies(self.cookie_jar)?;
        match self.login(variable)? {
            Some(Login::Basic(user)) => {
                let (user, password) = user.split_once(':').unwrap_or((&user, ""));
                socket.set_basic_auth(user, password)?;
            }
            Some(Login::Bearer(token)) => socket.set_bearer_auth(&token)?,
            None => {}
        }
        socket.set_http_version(self.http.version())?;
        socket.set_max_redirects(self.max_redirects)?;
        socket.set_compression(self.compression())?;
        Ok(())
    }

    /// Returns the login of the options, or without one, that of the environment.
    fn login(
        &self,
        variable: impl Fn(&'static str) -> Result<Option<String>, Failure>,
    ) -> Result<Option<Login>, Failure> {
        let (user, bearer) = match (&self.user, &self.bearer) {
            (None, None) => (variable(USER)?, variable(BEARER)?),
            (user, bearer) => (user.clone(), bearer.clone()),
        };
        match (user, bearer) {
            (Some(_), Some(_)) => Err(Failure::usage(format_args!(
                "the environment variables {USER} and {BEARER} are both set; unset one, or use --user or --bearer"
            ))),
            (Some(user), None) => Ok(Some(Login::Basic(user))),
            (None, token) => Ok(token.map(Login::Bearer)),
        }
    }

    fn compression(&self) -> Option<Compression> {
        if self.no_compression {
            return None;
        }
        let mut compression = Compression::default();
        if let Some(level) = self.compression_level {
            compression.level = level;
        }
        if self.no_context_takeover {
            compression.client_no_context_takeover = true;
            compression.server_no_context_takeover = true;
        }
        if let Some(bits) = self.window_bits {
            compression.client_max_window_bits = bits;
            compression.server_max_window_bits = bits;
        }
        Some(compression)
    }
}

impl TlsOptions {
    /// Returns the settings, `None` for the defaults.
    fn settings(&self) -> Result<Option<Tls>, Failure> {
        let own_files = self.cacert.is_some() || self.cert.is_some();
        if !own_files
            && !self.insecure
            && !self.key_log
            && self.pin.is_empty()
            && self.roots == RootChoice::Mozilla
        {
            return Ok(None);
        }
        let tls = Tls::create()?;
        if let Some(file) = &self.cacert {
            tls.add_ca_pem(&read(file)?).map_err(|error| in_file(file, error))?;
        }
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            tls.set_client_cert_pem(&read(certificate)?, &read(key)?)
                .map_err(|error| in_file(certificate, error))?;
        }
        tls.set_roots(match self.roots {
            RootChoice::Mozilla => Roots::Webpki,
            RootChoice::Platform => Roots::Platform,
            RootChoice::None => Roots::None,
        })?;
        for hash in &self.pin {
            tls.add_pin_sha256(*hash)?;
        }
        tls.set_insecure(self.insecure)?;
        tls.set_key_log(self.key_log)?;
        Ok(Some(tls))
    }
}

impl NetworkOptions {
    fn apply(&self, socket: &Socket) -> Result<Option<Tunnel>, Failure> {
        socket.set_connect_timeout(milliseconds(self.connect_timeout))?;
        socket.set_close_timeout(milliseconds(self.close_timeout))?;
        socket.set_max_message_size(self.max_message_size)?;
        if let Some(bytes) = self.max_fragment_size {
            socket.set_max_fragment_size(bytes)?;
        }
        if let Some(interval) = self.ping_interval {
            socket.set_ping_frequency(milliseconds(interval))?;
            if let Some(timeout) = self.ping_timeout {
                socket.set_close_after_no_message(milliseconds(timeout))?;
            }
            socket.set_start_ping_thread(true)?;
        }
        if let Some(max_attempts) = self.reconnect {
            let defaults = Reconnect::default();
            let min_delay = self.reconnect_min_delay.unwrap_or(defaults.min_delay);
            let max_delay = self.reconnect_max_delay.unwrap_or(defaults.max_delay.max(min_delay));
            socket.set_reconnect(Some(Reconnect {
                min_delay,
                max_delay,
                max_attempts,
                queue_sends: true,
            }))?;
        }
        if let Some(file) = &self.capture {
            check_file(file)?;
            socket.set_capture(file, CaptureOptions::default())?;
        }
        if !self.resolve.is_empty() {
            let tunnel = Tunnel::start(&self.resolve)
                .map_err(|error| Failure::connection(format!("--resolve needs a local port: {error}")))?;
            socket.set_proxy(Some(&tunnel.url()))?;
            return Ok(Some(tunnel));
        }
        match &self.proxy {
            Some(url) => socket.set_proxy(Some(url))?,
            None if self.no_proxy => socket.set_proxy(Some(""))?,
            None => {}
        }
        Ok(None)
    }
}

/// Fails at once if a capture cannot be created, which the library would only log. Keeps the content of a file that
/// exists.
pub fn check_file(file: &Path) -> Result<(), Failure> {
    let checked = match OpenOptions::new().write(true).create_new(true).open(file) {
        // The library creates it so that only the user can read it.
        Ok(_) => std::fs::remove_file(file),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().append(true).open(file).map(restrict)
        }
        Err(error) => Err(error),
    };
    checked.map_err(|error| in_file(file, error))
}

/// Lets only the user read a file that a capture will replace.
fn restrict(file: File) {
    #[cfg(unix)]
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        use std::os::unix::fs::PermissionsExt;
        // Fails for files of another user and on file systems without permissions.
        let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
    }
    drop(file);
}

/// Reads a file that an option names.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| in_file(file, error))
}

fn in_file(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header field is a name, a colon and a value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
