//! Connection errors.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::diagnostics::name_of;
use super::names::named;
use super::text::terminated;
use crate::error::{Error, ErrorKind, Phase};

/// The kind of a connection error.
///
/// New kinds may be added; numbers are never reused.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_error_kind {
    /// Not an error.
    FW_ERROR_KIND_NONE = 0,
    /// Name resolution failed, or the host has no address.
    FW_ERROR_KIND_RESOLVE = 1,
    /// Connection refused.
    FW_ERROR_KIND_REFUSED = 2,
    /// Host unreachable.
    FW_ERROR_KIND_UNREACHABLE = 3,
    /// Reset, or ended without a closing handshake.
    FW_ERROR_KIND_RESET = 4,
    /// Connect timeout, or a write stalled.
    FW_ERROR_KIND_TIMED_OUT = 5,
    /// Certificate, version, cipher suite or alert.
    FW_ERROR_KIND_TLS = 6,
    /// The server refused the upgrade request: see http_status, which is 0 if the response is not HTTP.
    FW_ERROR_KIND_HTTP = 7,
    /// A proxy refused or failed.
    FW_ERROR_KIND_PROXY = 8,
    /// The server violated the protocol.
    FW_ERROR_KIND_PROTOCOL = 9,
    /// The server sent a text message that is not UTF-8.
    FW_ERROR_KIND_UTF8 = 10,
    /// A message is larger than the maximum message size.
    FW_ERROR_KIND_TOO_LARGE = 11,
    /// A ping was not answered and nothing else was received.
    FW_ERROR_KIND_PING_TIMEOUT = 12,
    /// An extension failed.
    FW_ERROR_KIND_EXTENSION = 13,
    /// Another operating system error: see os_code.
    FW_ERROR_KIND_IO = 14,
    /// Internal error of the library, which was logged.
    FW_ERROR_KIND_INTERNAL = 15,
}

named!(fw_error_kind {
    FW_ERROR_KIND_NONE,
    FW_ERROR_KIND_RESOLVE,
    FW_ERROR_KIND_REFUSED,
    FW_ERROR_KIND_UNREACHABLE,
    FW_ERROR_KIND_RESET,
    FW_ERROR_KIND_TIMED_OUT,
    FW_ERROR_KIND_TLS,
    FW_ERROR_KIND_HTTP,
    FW_ERROR_KIND_PROXY,
    FW_ERROR_KIND_PROTOCOL,
    FW_ERROR_KIND_UTF8,
    FW_ERROR_KIND_TOO_LARGE,
    FW_ERROR_KIND_PING_TIMEOUT,
    FW_ERROR_KIND_EXTENSION,
    FW_ERROR_KIND_IO,
    FW_ERROR_KIND_INTERNAL,
});

impl From<ErrorKind> for fw_error_kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Resolve => Self::FW_ERROR_KIND_RESOLVE,
            ErrorKind::Refused => Self::FW_ERROR_KIND_REFUSED,
            ErrorKind::Unreachable => Self::FW_ERROR_KIND_UNREACHABLE,
            ErrorKind::Reset => Self::FW_ERROR_KIND_RESET,
            ErrorKind::TimedOut => Self::FW_ERROR_KIND_TIMED_OUT,
            ErrorKind::Tls => Self::FW_ERROR_KIND_TLS,
            ErrorKind::Http => Self::FW_ERROR_KIND_HTTP,
            ErrorKind::Proxy => Self::FW_ERROR_KIND_PROXY,
            ErrorKind::Protocol => Self::FW_ERROR_KIND_PROTOCOL,
            ErrorKind::Utf8 => Self::FW_ERROR_KIND_UTF8,
            ErrorKind::TooLarge => Self::FW_ERROR_KIND_TOO_LARGE,
            ErrorKind::PingTimeout => Self::FW_ERROR_KIND_PING_TIMEOUT,
            ErrorKind::Extension => Self::FW_ERROR_KIND_EXTENSION,
            ErrorKind::Io => Self::FW_ERROR_KIND_IO,
            ErrorKind::Internal => Self::FW_ERROR_KIND_INTERNAL,
        }
    }
}

/// Returns the name of an error kind, such as "FW_ERROR_KIND_RESOLVE".
///
/// \param kind Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_error_kind.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_error_kind_name(kind: MaybeUninit<fw_error_kind>) -> *const c_char {
    name_of(kind)
}

/// The phase in which a connection failed.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_phase {
    /// Not an error.
    FW_PHASE_NONE = 0,
    /// Name resolution.
    FW_PHASE_RESOLVE = 1,
    /// TCP connect.
    FW_PHASE_CONNECT = 2,
    /// Proxy handshake.
    FW_PHASE_PROXY = 3,
    /// TLS handshake.
    FW_PHASE_TLS = 4,
    /// HTTP upgrade request and response.
    FW_PHASE_UPGRADE = 5,
    /// The connection was open.
    FW_PHASE_OPEN = 6,
    /// Closing handshake.
    FW_PHASE_CLOSING = 7,
}

named!(fw_phase {
    FW_PHASE_NONE,
    FW_PHASE_RESOLVE,
    FW_PHASE_CONNECT,
    FW_PHASE_PROXY,
    FW_PHASE_TLS,
    FW_PHASE_UPGRADE,
    FW_PHASE_OPEN,
    FW_PHASE_CLOSING,
});

impl From<Phase> for fw_phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Resolve => Self::FW_PHASE_RESOLVE,
            Phase::Connect => Self::FW_PHASE_CONNECT,
            Phase::Proxy => Self::FW_PHASE_PROXY,
            Phase::Tls => Self::FW_PHASE_TLS,
            Phase::Upgrade => Self::FW_PHASE_UPGRADE,
            Phase::Open => Self::FW_PHASE_OPEN,
            Phase::Closing => Self::FW_PHASE_CLOSING,
        }
    }
}

/// Returns the name of a phase, such as "FW_PHASE_RESOLVE".
///
/// \param phase Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_phase.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_phase_name(phase: MaybeUninit<fw_phase>) -> *const c_char {
    name_of(phase)
}

/// Why a connection failed or could not be established.
///
/// Valid until the callback returns or the event is released.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_error {
    /// What went wrong.
    pub kind: fw_error_kind,
    /// In which phase.
    pub phase: fw_phase,
    /// Operating system error code (errno, WSAGetLastError), or 0.
    pub os_code: i32,
    /// HTTP status of a refused upgrade, or 0.
    pub http_status: u16,
    /// TLS alert that was sent or received (RFC 8446 section 6), or 0.
    pub tls_alert: u8,
    /// 1 if a retry may succeed: RESOLVE (also for a name that does not exist), REFUSED,
    /// UNREACHABLE, RESET, TIMED_OUT, PING_TIMEOUT, IO, and HTTP 408, 425, 429, 500, 502, 503, 504.
    /// 0 for other statuses, certificates, protocol violations and messages that are too large.
    pub retriable: u32,
    /// What failed, at which address, and what to do if known. NUL-terminated UTF-8; NULL in an
    /// event that is not an error.
    pub message: *const c_char,
    /// Reserved for later versions; 0.
    pub reserved: [u64; 2],
}

impl fw_error {
    /// All zero: for events that are not errors.
    pub(super) const NONE: fw_error = fw_error {
        kind: fw_error_kind::FW_ERROR_KIND_NONE,
        phase: fw_phase::FW_PHASE_NONE,
        os_code: 0,
        http_status: 0,
        tls_alert: 0,
        retriable: 0,
        message: std::ptr::null(),
        reserved: [0; 2],
    };
}

/// Calls `show` with a borrowed C view of the error.
pub(super) fn with_error(error: &Error, show: impl FnOnce(&fw_error)) {
    let message = terminated(&error.message);
    show(&fw_error { message: message.as_ptr().cast(), ..describe(error) });
}

/// All fields except the message.
pub(super) fn describe(error: &Error) -> fw_error {
    fw_error {
        kind: error.kind.into(),
        phase: error.phase.into(),
        os_code: error.os_code,
        http_status: error.http_status,
        tls_alert: error.tls_alert,
        retriable: error.retriable.into(),
        message: std::ptr::null(),
        reserved: [0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn kinds_and_phases_have_the_same_numbers_in_c_and_rust() {
        use ErrorKind::*;
        for kind in [
            Resolve,
            Refused,
            Unreachable,
            Reset,
            TimedOut,
            Tls,
            Http,
            Proxy,
            Protocol,
            Utf8,
            TooLarge,
            PingTimeout,
            Extension,
            Io,
            Internal,
        ] {
            assert_eq!(fw_error_kind::from(kind) as u32, kind as u32);
        }
        for phase in [
            Phase::Resolve,
            Phase::Connect,
            Phase::Proxy,
            Phase::Tls,
            Phase::Upgrade,
            Phase::Open,
            Phase::Closing,
        ] {
            assert_eq!(fw_phase::from(phase) as u32, phase as u32);
        }
    }

    #[test]
    fn message_of_an_error_is_nul_terminated() {
        let error = Error::new(ErrorKind::Http, Phase::Upgrade, "no").with_http_status(403);
        let mut seen = false;
        with_error(&error, |shown| {
            assert_eq!(shown.kind, fw_error_kind::FW_ERROR_KIND_HTTP);
            assert_eq!((shown.phase, shown.http_status), (fw_phase::FW_PHASE_UPGRADE, 403));
            // SAFETY: valid for the length of this call.
            assert_eq!(unsafe { CStr::from_ptr(shown.message) }, c"no");
            seen = true;
        });
        assert!(seen);
    }
}
