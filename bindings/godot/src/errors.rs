//! Converts errors of the library to values of Godot.

use framewire::{CallError, Code, Error, ErrorKind};
use godot::global::Error as GodotError;
use godot::prelude::*;

/// Maps an error code to the one that `WebSocketPeer` returns in the same case.
pub fn code(error: &CallError) -> GodotError {
    match error.code {
        Code::InvalidArgument | Code::InvalidUrl | Code::InvalidUtf8 => GodotError::ERR_INVALID_PARAMETER,
        Code::InvalidHandle | Code::InvalidState => GodotError::FAILED,
        Code::TooLarge | Code::WouldBlock | Code::OutOfMemory => GodotError::ERR_OUT_OF_MEMORY,
        Code::NotSupported => GodotError::ERR_UNAVAILABLE,
        Code::TimedOut => GodotError::ERR_TIMEOUT,
        Code::ShutDown => GodotError::ERR_UNCONFIGURED,
        Code::Internal => GodotError::ERR_BUG,
    }
}

/// Returns the details of a connection error, for `get_last_error()`.
pub fn describe(error: &Error) -> VarDictionary {
    vdict! {
        "kind" => kind(error.kind),
        "phase" => error.phase.name(),
        "message" => error.message.as_str(),
        "http_status" => i64::from(error.http_status),
        "tls_alert" => i64::from(error.tls_alert),
        "os_code" => i64::from(error.os_code),
        "retriable" => error.retriable,
    }
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
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
