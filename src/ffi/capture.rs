//! Captures of traffic.

use std::ffi::c_char;

use super::args::pointer;
use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::fw_socket;
use super::text::string;
use crate::client::{self, CaptureOptions};

/// How a capture is written, for fw_socket_set_capture.
///
/// Initialize it with fw_capture_init. 0 is the default everywhere.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_capture {
    /// sizeof(fw_capture), set by fw_capture_init.
    pub struct_size: u32,
    /// 1: the values of Authorization, Proxy-Authorization, Cookie and Set-Cookie are written; 0: they
    /// are replaced.
    pub include_secrets: u32,
    /// The largest size of the file in bytes, at which the capture ends; 0 for no limit.
    pub max_file_bytes: u64,
}

sized!(
    fw_capture { struct_size, include_secrets, max_file_bytes },
    fw_capture { struct_size: size_of::<fw_capture>() as u32, include_secrets: 0, max_file_bytes: 0 }
);

/// Initializes the options of a capture with the defaults.
///
/// \param capture Written to; NULL does nothing.
/// \param struct_size sizeof(fw_capture).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_capture_init(capture: *mut fw_capture, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(capture, struct_size) }
}

/// Captures the traffic of a socket to a pcapng file, which Wireshark opens.
///
/// Ends an earlier capture of the socket. Applies to connections that start from now on:
/// fw_socket_open, redirects and reconnects. A connection that is open now is not captured. Sockets with
/// the same path share one file, with the options of the first; a file that exists is replaced. The
/// file is complete when the last of them has ended its capture or was destroyed, or after fw_shutdown.
///
/// The file contains what was sent and received, above TLS and HTTP/2, as synthetic TCP connections with
/// one segment for each frame. A thread of the library creates and writes it. The queue to it holds up to
/// 8 MiB; what does not fit is counted in the file instead of being written, and the socket never waits.
/// If the file cannot be created or written, or reaches its limit, that is logged, the capture ends, and
/// the socket continues.
///
/// The values of Authorization, Proxy-Authorization, Cookie and Set-Cookie are replaced, unless
/// include_secrets is set. URLs with their queries, other header fields and messages are not. On Unix, a
/// file that is created is readable by its owner only.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_CAPTURE).
///
/// \param socket The socket, in any state; the zero handle for every socket, those that exist and those
///   that are created until fw_shutdown.
/// \param path The file, UTF-8, copied; NULL ends the capture.
/// \param options Initialized with fw_capture_init, copied; NULL for the defaults.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (path empty or not UTF-8, struct_size); NOT_SUPPORTED (in
///   browsers, or a field is set that only a newer library knows); OUT_OF_MEMORY (no thread can be
///   started); SHUT_DOWN.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_capture(
    socket: fw_socket,
    path: *const c_char,
    options: *const fw_capture,
) -> fw_result {
    guard(|| {
        let socket = match socket.id {
            0 => None,
            _ => Some(socket.get()?),
        };
        let options = if options.is_null() {
            CaptureOptions::default()
        } else {
            let options = pointer(options.cast_mut(), "options")?;
            // SAFETY: the caller promises a struct of its struct_size.
            let options = unsafe { sized::read(options) }?;
            CaptureOptions {
                max_file_bytes: options.max_file_bytes,
                include_secrets: options.include_secrets != 0,
            }
        };
        if path.is_null() {
            return match socket {
                Some(socket) => socket.end_capture(),
                None => {
                    client::end_capture();
                    Ok(())
                }
            };
        }
        // SAFETY: the caller promises a NUL-terminated string.
        let path = unsafe { string(path, "path") }?;
        match socket {
            Some(socket) => socket.set_capture(path, options),
            None => client::set_capture(path, options),
        }
    })
}
