//! Captures of the traffic of all sockets; those of one socket are properties.

use framewire::{CallError, CaptureOptions};

use crate::errors;
use crate::gdextension::method::Static;
use crate::gdextension::{self, GodotError, Preset};
use crate::members::methods;

methods! {
    METHODS:
    /// Captures the traffic of every socket to a pcapng file, which Wireshark opens: of those that exist and those that
    /// are created later, from their next connection on. An empty path ends the captures. The options are those of
    /// `capture_path`, which captures one socket: `capture_max_file_bytes` and `capture_include_secrets`.
    function set_global_capture(path, max_file_bytes = Preset::Int(0), include_secrets = Preset::Bool(false)) =>
        Static(set_global_capture);
}

fn set_global_capture(path: String, max_file_bytes: i64, include_secrets: bool) -> GodotError {
    let result = if path.is_empty() {
        framewire::end_capture();
        Ok(())
    } else {
        u64::try_from(max_file_bytes)
            .map_err(|_| CallError::argument("max_file_bytes must not be negative"))
            .and_then(|max_file_bytes| {
                framewire::set_capture(path, CaptureOptions { max_file_bytes, include_secrets })
            })
    };
    match result {
        Ok(()) => GodotError::OK,
        Err(error) => {
            gdextension::error(&format!("FramewireSocket.set_global_capture: {error}"));
            errors::code(&error)
        }
    }
}
