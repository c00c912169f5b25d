//! Prints errors and warnings where Godot shows its own.

use std::ffi::CString;
use std::panic::Location;

use super::interface::api;

#[track_caller]
pub fn error(message: &str) {
    print(message, Location::caller(), true);
}

#[track_caller]
pub fn warning(message: &str) {
    print(message, Location::caller(), false);
}

fn print(message: &str, location: &Location<'_>, is_error: bool) {
    // A text from C has no NUL inside.
    let c_string = |text: &str| CString::new(text.replace('\0', " ")).unwrap_or_default();
    let (message, file) = (c_string(message), c_string(location.file()));
    let line = i32::try_from(location.line()).unwrap_or(0);
    let functions = &api().functions;
    let print = if is_error { functions.print_error } else { functions.print_warning };
    // SAFETY: the texts end with NUL, and Godot copies them.
    unsafe { print(message.as_ptr(), c"framewire".as_ptr(), file.as_ptr(), line, 0) }
}
