//! One list of errors: what a call can answer ([`CallError`]), and how a connection can end
//! ([`Error`]: kind, phase, and a text that says what to do).
//!
//! Knows nothing of sockets or C; the numbers are those of the C ABI and are never reused.

use std::fmt;

/// Why a call was refused. A refused call has changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    pub code: Code,
    /// What was wrong, in words, for the person who reads the log.
    pub message: std::borrow::Cow<'static, str>,
}

/// The reasons, numbered as in the C ABI (`FW_RESULT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Code {
    InvalidArgument = 1,
    InvalidHandle = 2,
    InvalidState = 3,
    InvalidUrl = 4,
    InvalidUtf8 = 5,
    TooLarge = 6,
    WouldBlock = 7,
    NotSupported = 8,
    OutOfMemory = 9,
    TimedOut = 10,
    ShutDown = 11,
    Internal = 12,
}

impl CallError {
    pub fn new(code: Code, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
    pub fn argument(message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }
    pub fn state(message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidState, message)
    }
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

/// How a connection ended, or why it could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    pub phase: Phase,
    /// The operating system's number (`errno`, `WSAGetLastError`), 0 where there is none.
    pub os_code: i32,
    /// The status of a refused upgrade or proxy request, 0 where there is none.
    pub http_status: u16,
    /// The TLS alert (RFC 8446 section 6) that was sent or received, 0 where there is none.
    pub tls_alert: u8,
    /// Whether trying again later may help.
    pub retriable: bool,
    /// What failed, against what, and what to do where that is known.
    pub message: String,
}

/// What went wrong, numbered as in the C ABI (`FW_ERROR_KIND_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorKind {
    Resolve = 1,
    Refused = 2,
    Unreachable = 3,
    Reset = 4,
    TimedOut = 5,
    Tls = 6,
    Http = 7,
    Proxy = 8,
    Protocol = 9,
    Utf8 = 10,
    TooLarge = 11,
    PingTimeout = 12,
    Extension = 13,
    Io = 14,
    Internal = 15,
}

/// How far the connection had come, numbered as in the C ABI (`FW_PHASE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Phase {
    Resolve = 1,
    Connect = 2,
    Proxy = 3,
    Tls = 4,
    Upgrade = 5,
    Open = 6,
    Closing = 7,
}

impl Phase {
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
    /// `retriable` starts as the kind suggests; statuses and certificates decide for themselves.
    pub fn new(kind: ErrorKind, phase: Phase, message: impl Into<String>) -> Self {
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

    /// An error of the operating system, told apart by its kind; one of ours that was carried in
    /// such an error, as it was.
    pub fn io(phase: Phase, what: &str, error: &std::io::Error) -> Self {
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
        // What the system says of a peer that is gone without a word tells nobody what to do.
        let hint = match (kind, phase) {
            (ErrorKind::TimedOut, Phase::Open | Phase::Closing) => {
                "; nothing came back any more: the server, or the network on the way, is gone"
            }
            _ => "",
        };
        let mut built = Self::new(kind, phase, format!("{what}: {error}{hint}"));
        built.os_code = error.raw_os_error().unwrap_or(0);
        built
    }

    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = status;
        self
    }

    pub fn with_retriable(mut self, retriable: bool) -> Self {
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
