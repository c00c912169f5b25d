//! The errors of the library: [`CallError`] for a call that fails, [`Error`] for a connection that fails.
//!
//! Independent of sockets and C. The numbers are those of the C ABI and are never reused.

use std::fmt;

/// The error of a call. A failed call has no effect, except that a segment passed to a send function is
/// consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallError {
    /// The kind of failure, for programs.
    pub code: Code,
    /// A description for people.
    pub message: std::borrow::Cow<'static, str>,
}

/// Why a call failed, numbered as in the C ABI (`FW_RESULT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Code {
    /// An argument is out of range or malformed.
    InvalidArgument = 1,
    /// The handle does not refer to an object, or no longer does.
    InvalidHandle = 2,
    /// The object is in a state in which the call is not allowed.
    InvalidState = 3,
    /// The URL is malformed, or has an unknown scheme.
    InvalidUrl = 4,
    /// The text is not valid UTF-8.
    InvalidUtf8 = 5,
    /// The argument is larger than its limit.
    TooLarge = 6,
    /// The queue is at its limit; try again later.
    WouldBlock = 7,
    /// This build of the library does not contain the feature.
    NotSupported = 8,
    /// An allocation failed.
    OutOfMemory = 9,
    /// The call did not finish within its timeout.
    TimedOut = 10,
    /// The library is shutting down.
    ShutDown = 11,
    /// An internal error of the library.
    Internal = 12,
}

impl CallError {
    /// Creates an error.
    pub fn new(code: Code, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// Creates an error with [`Code::InvalidArgument`].
    pub fn argument(message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// Creates an error with [`Code::InvalidState`].
    pub fn state(message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidState, message)
    }

    /// Creates an error with [`Code::OutOfMemory`].
    pub fn out_of_memory() -> Self {
        Self::new(Code::OutOfMemory, "the allocator has no memory left")
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

/// Why a connection failed or could not be established.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// When it went wrong.
    pub phase: Phase,
    /// The operating system's error code (`errno`, `WSAGetLastError`), 0 if none.
    pub os_code: i32,
    /// The HTTP status with which the server or proxy refused, 0 if none.
    pub http_status: u16,
    /// The TLS alert (RFC 8446 section 6) that was sent or received, 0 if none.
    pub tls_alert: u8,
    /// Whether a retry may succeed. Only such errors are retried by [`Reconnect`](crate::Reconnect).
    pub retriable: bool,
    /// What failed, the address it concerns, and what to do where that is known.
    pub message: String,
}

/// The kind of an error, numbered as in the C ABI (`FW_ERROR_KIND_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Name resolution failed.
    Resolve = 1,
    /// Connection refused: no server listens on that port.
    Refused = 2,
    /// Host or network unreachable.
    Unreachable = 3,
    /// The connection was reset, or closed without a closing handshake.
    Reset = 4,
    /// A timeout elapsed.
    TimedOut = 5,
    /// TLS failed, for example because the certificate was rejected.
    Tls = 6,
    /// The server refused the upgrade.
    Http = 7,
    /// The proxy failed or refused the connection.
    Proxy = 8,
    /// The server violated the protocol.
    Protocol = 9,
    /// The server sent text that is not valid UTF-8.
    Utf8 = 10,
    /// A message exceeds the limit for received messages.
    TooLarge = 11,
    /// A keepalive ping was not answered in time.
    PingTimeout = 12,
    /// An extension failed, or the server negotiated one that was not offered.
    Extension = 13,
    /// Another error of the operating system.
    Io = 14,
    /// An internal error of the library, or a panic in a callback.
    Internal = 15,
}

/// The phase in which a connection failed, numbered as in the C ABI (`FW_PHASE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Phase {
    /// Name resolution.
    Resolve = 1,
    /// TCP connection.
    Connect = 2,
    /// Proxy handshake.
    Proxy = 3,
    /// TLS handshake.
    Tls = 4,
    /// WebSocket handshake over HTTP.
    Upgrade = 5,
    /// The connection was open.
    Open = 6,
    /// Closing handshake.
    Closing = 7,
}

impl ErrorKind {
    /// Returns the name in lower case, such as `timed_out`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Resolve => "resolve",
            ErrorKind::Refused => "refused",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::Reset => "reset",
            ErrorKind::TimedOut => "timed_out",
            ErrorKind::Tls => "tls",
            ErrorKind::Http => "http",
            ErrorKind::Proxy => "proxy",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Utf8 => "utf8",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::PingTimeout => "ping_timeout",
            ErrorKind::Extension => "extension",
            ErrorKind::Io => "io",
            ErrorKind::Internal => "internal",
        }
    }
}

impl Phase {
    /// Returns the name in lower case, such as `connect`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Proxy => "proxy",
            Phase::Tls => "tls",
            Phase::Upgrade => "upgrade",
            Phase::Open => "open",
            Phase::Closing => "closing",
        }
    }
}

impl Error {
    /// Sets `retriable` from the kind; the caller overrides it for HTTP statuses and certificates.
    pub(crate) fn new(kind: ErrorKind, phase: Phase, message: impl Into<String>) -> Self {
        let retriable = matches!(
            kind,
            ErrorKind::Resolve
                | ErrorKind::Refused
                | ErrorKind::Unreachable
                | ErrorKind::Reset
                | ErrorKind::TimedOut
                | ErrorKind::PingTimeout
                | ErrorKind::Io
        );
        Self { kind, phase, os_code: 0, http_status: 0, tls_alert: 0, retriable, message: message.into() }
    }

    /// Maps an error of the operating system to a kind. If it wraps an [`Error`], returns that one.
    pub(crate) fn io(phase: Phase, what: &str, error: &std::io::Error) -> Self {
        if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return own.clone();
        }
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::ConnectionRefused => ErrorKind::Refused,
            Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable | Io::NetworkDown => {
                ErrorKind::Unreachable
            }
            Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::BrokenPipe
            | Io::UnexpectedEof
            | Io::NotConnected => ErrorKind::Reset,
            Io::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Io,
        };
        // The system's message for an unresponsive peer does not name the likely cause.
        let hint = match (kind, phase) {
            (ErrorKind::TimedOut, Phase::Open | Phase::Closing) => {
                "; the server or the network path stopped responding"
            }
            _ => "",
        };
        let mut built = Self::new(kind, phase, format!("{what}: {error}{hint}"));
        built.os_code = error.raw_os_error().unwrap_or(0);
        built
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = status;
        self
    }

    pub(crate) fn with_retriable(mut self, retriable: bool) -> Self {
        self.retriable = retriable;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.phase.name())
    }
}

impl std::error::Error for Error {}
