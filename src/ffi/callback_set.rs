//! Sets all callbacks of a socket in one call.

use std::ffi::c_void;

use super::args::pointer;
use super::callback_table::{Functions, set_all};
use super::callback_types::*;

use super::guard::guard;
use super::result::fw_result;
use super::sized::{self, sized};
use super::socket::{fw_finalizer_fn, fw_socket};

/// All callbacks of a socket, for fw_socket_set_callbacks.
///
/// Initialize it with fw_callbacks_init; fw_socket_set_callbacks copies it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_callbacks {
    /// Size of this struct in bytes, set by fw_callbacks_init.
    pub struct_size: u32,
    /// See fw_socket_on_open.
    pub open: fw_open_fn,
    /// See fw_socket_on_text.
    pub text: fw_text_fn,
    /// See fw_socket_on_text_segment.
    pub text_segment: fw_text_segment_fn,
    /// See fw_socket_on_binary.
    pub binary: fw_binary_fn,
    /// See fw_socket_on_binary_no_alloc.
    pub binary_no_alloc: fw_binary_no_alloc_fn,
    /// See fw_socket_on_incomplete_frame.
    pub incomplete_frame: fw_incomplete_frame_fn,
    /// See fw_socket_on_internal_request_created.
    pub internal_request_created: fw_request_fn,
    /// See fw_socket_on_pong.
    pub pong: fw_pong_fn,
    /// See fw_socket_on_reconnecting.
    pub reconnecting: fw_reconnecting_fn,
    /// See fw_socket_on_closed.
    pub closed: fw_closed_fn,
    /// See fw_socket_on_error.
    pub error: fw_error_fn,
    /// Called once with user_data when none of these callbacks is running and none will: after
    /// fw_socket_set_callbacks was called again or the socket was destroyed, before its finalizer.
    /// Runs on any thread, as soon as the last user of the set has noticed: in worker mode with the
    /// next event. Not called if fw_socket_set_callbacks fails. NULL by default.
    pub released: fw_finalizer_fn,
    /// See fw_socket_on_sent.
    pub sent: fw_sent_fn,
}

const DEFAULTS: fw_callbacks = fw_callbacks {
    struct_size: size_of::<fw_callbacks>() as u32,
    open: None,
    text: None,
    text_segment: None,
    binary: None,
    binary_no_alloc: None,
    incomplete_frame: None,
    internal_request_created: None,
    pong: None,
    reconnecting: None,
    closed: None,
    error: None,
    released: None,
    sent: None,
};

sized!(
    fw_callbacks {
        struct_size,
        open,
        text,
        text_segment,
        binary,
        binary_no_alloc,
        incomplete_frame,
        internal_request_created,
        pong,
        reconnecting,
        closed,
        error,
        released,
        sent,
    },
    DEFAULTS
);

/// Initializes a set of callbacks: all are NULL.
///
/// \param callbacks Written to; NULL does nothing.
/// \param struct_size sizeof(fw_callbacks).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_callbacks_init(callbacks: *mut fw_callbacks, struct_size: usize) {
    // SAFETY: the caller promises that struct_size bytes can be written there.
    unsafe { sized::init(callbacks, struct_size) }
}

/// Sets all callbacks of a socket at once.
///
/// Replaces every callback set before, by this function or a fw_socket_on_ function; no event is
/// delivered in between. The functions may be combined. The callbacks run as fw_socket_on_open
/// says.
///
/// In browsers, incomplete_frame, internal_request_created and pong must be NULL, else
/// NOT_SUPPORTED.
///
/// \param socket The socket, in any state.
/// \param callbacks Initialized with fw_callbacks_init, not NULL; copied. NULL members remove.
/// \param user_data Passed to each callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size); NOT_SUPPORTED (a field is set
///   that only a newer library knows).
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_set_callbacks(
    socket: fw_socket,
    callbacks: *const fw_callbacks,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let callbacks = pointer(callbacks.cast_mut(), "callbacks")?;
        // SAFETY: the caller promises a struct of its struct_size.
        let callbacks = unsafe { sized::read(callbacks) }?;
        let functions = Functions {
            open: callbacks.open,
            text: callbacks.text,
            text_segment: callbacks.text_segment,
            binary: callbacks.binary,
            binary_no_alloc: callbacks.binary_no_alloc,
            incomplete_frame: callbacks.incomplete_frame,
            internal_request_created: callbacks.internal_request_created,
            pong: callbacks.pong,
            reconnecting: callbacks.reconnecting,
            closed: callbacks.closed,
            error: callbacks.error,
            sent: callbacks.sent,
        };
        set_all(&socket, functions, user_data, callbacks.released)
    })
}
