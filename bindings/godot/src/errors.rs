//! Converts errors of the library to values of Godot.

use framewire::{CallError, Code, Error};
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
        _ => GodotError::FAILED,
    }
}

/// Returns the details of a connection error, for `get_last_error()`.
pub fn describe(error: &Error) -> VarDictionary {
    vdict! {
        "kind" => error.kind.name(),
        "phase" => error.phase.name(),
        "message" => error.message.as_str(),
        "http_status" => i64::from(error.http_status),
        "tls_alert" => i64::from(error.tls_alert),
        "os_code" => i64::from(error.os_code),
        "retriable" => error.retriable,
    }
}
