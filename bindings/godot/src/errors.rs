//! Converts errors of the library to values of Godot.

use framewire::{CallError, Code, Error};

use crate::gdextension::{Dictionary, GodotError};

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

/// Functions of the C API that messages name, and the properties of this class for the same.
const NAMES: [(&str, &str); 3] = [
    ("fw_tls_add_ca_pem", "tls_ca_pem"),
    ("fw_tls_add_pin_sha256", "tls_pins"),
    ("fw_tls_set_client_cert_pem", "tls_client_cert_pem and tls_client_key_pem"),
];

/// Lets a message name properties of Godot instead of C functions.
pub fn name_properties(message: &mut String) {
    for (function, property) in NAMES {
        if message.contains(function) {
            *message = message.replace(function, property);
        }
    }
}

/// The last error of a connection or of a call, for `get_last_error()`.
#[derive(Default)]
pub enum LastError {
    #[default]
    None,
    Call(String),
    Connection(Box<Error>),
}

impl LastError {
    pub fn describe(&self) -> Dictionary {
        let mut named = Dictionary::default();
        match self {
            Self::None => {}
            Self::Call(message) => {
                named.set("kind", "call");
                named.set("phase", "");
                named.set("message", message.as_str());
            }
            Self::Connection(error) => {
                named.set("kind", error.kind.name());
                named.set("phase", error.phase.name());
                named.set("message", error.message.as_str());
                named.set("http_status", i64::from(error.http_status));
                named.set("tls_alert", i64::from(error.tls_alert));
                named.set("os_code", i64::from(error.os_code));
                named.set("retriable", error.retriable);
            }
        }
        named
    }
}
