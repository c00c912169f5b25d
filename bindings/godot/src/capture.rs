//! Captures of the traffic of all sockets; those of one socket are properties.

use framewire::CaptureOptions;

use crate::errors;
use crate::gdextension::method::Static;
use crate::gdextension::{self, GodotError};
use crate::members::methods;

methods! {
    METHODS:
    /// Captures the traffic of every socket to a pcapng file, which Wireshark opens: of those that exist and those that
    /// are created later, from their next connection on. An empty path ends the captures. See `capture_path`, which
    /// captures one socket.
    function set_global_capture(path) => Static(set_global_capture);
}

fn set_global_capture(path: String) -> GodotError {
    let result = if path.is_empty() {
        framewire::end_capture();
        Ok(())
    } else {
        framewire::set_capture(path, CaptureOptions::default())
    };
    match result {
        Ok(()) => GodotError::OK,
        Err(error) => {
            gdextension::error(&format!("FramewireSocket.set_global_capture: {error}"));
            errors::code(&error)
        }
    }
}
