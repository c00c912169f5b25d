//! The types of a socket's callbacks: one function for each event.

use std::ffi::{c_char, c_void};

use super::buffers::fw_segment;
use super::error::fw_error;
use super::message::fw_frame;
use super::request::fw_request;
use super::socket::fw_socket;

/// The upgrade is done: messages can be sent.
///
/// socket: the socket this event belongs to.
/// user_data: what was given to fw_socket_on_open.
pub type fw_open_fn = Option<unsafe extern "C" fn(socket: fw_socket, user_data: *mut c_void)>;

/// A whole text message came.
///
/// Valid UTF-8, not NUL-terminated: it lies where it was received.
///
/// socket: the socket this event belongs to.
/// text: len bytes, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_text.
pub type fw_text_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, text: *const c_char, len: usize, user_data: *mut c_void)>;

/// A whole text message came, shown where it was received.
///
/// Valid UTF-8, not NUL-terminated. fw_segment_retain keeps it longer than the callback, without a
/// copy.
///
/// socket: the socket this event belongs to.
/// segment: the payload, read-only, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_text_segment.
pub type fw_text_segment_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, segment: *const fw_segment, user_data: *mut c_void)>;

/// A whole binary message came.
///
/// socket: the socket this event belongs to.
/// data: len bytes, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_binary.
pub type fw_binary_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, data: *const u8, len: usize, user_data: *mut c_void)>;

/// A whole binary message came, shown where it was received.
///
/// fw_segment_retain keeps it longer than the callback, without a copy.
///
/// socket: the socket this event belongs to.
/// segment: the payload, read-only, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_binary_no_alloc.
pub type fw_binary_no_alloc_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, segment: *const fw_segment, user_data: *mut c_void)>;

/// A fragment of a message came.
///
/// socket: the socket this event belongs to.
/// frame: the fragment, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_incomplete_frame.
pub type fw_incomplete_frame_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, frame: *const fw_frame, user_data: *mut c_void)>;

/// The upgrade request is ready to be sent and can still be changed.
///
/// socket: the socket this event belongs to.
/// request: the request; dead when the callback returns.
/// user_data: what was given to fw_socket_on_internal_request_created.
pub type fw_request_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, request: fw_request, user_data: *mut c_void)>;

/// A pong came.
///
/// Answers to the library's own pings are shown as well.
///
/// socket: the socket this event belongs to.
/// data: len bytes, borrowed until the callback returns; never NULL.
/// len: 0 to 125 bytes.
/// user_data: what was given to fw_socket_on_pong.
pub type fw_pong_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, data: *const u8, len: usize, user_data: *mut c_void)>;

/// The connection was lost, or not made, and will be tried again.
///
/// socket: the socket this event belongs to.
/// error: why; valid until the callback returns.
/// attempt: which try it will be, from 1, and from 1 again after a success.
/// delay_ms: how long from now, in milliseconds.
/// user_data: what was given to fw_socket_on_reconnecting.
pub type fw_reconnecting_fn = Option<
    unsafe extern "C" fn(
        socket: fw_socket,
        error: *const fw_error,
        attempt: u32,
        delay_ms: u32,
        user_data: *mut c_void,
    ),
>;

/// The connection has ended in order: terminal.
///
/// A closing handshake ended it, or the caller cancelled. The socket can be opened again from here on.
///
/// socket: the socket this event belongs to.
/// code: of the server's close frame, 1005 if it had none; 1006 without a handshake.
/// reason: len bytes of UTF-8 and a NUL, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_closed.
pub type fw_closed_fn = Option<
    unsafe extern "C" fn(
        socket: fw_socket,
        code: u16,
        reason: *const c_char,
        len: usize,
        user_data: *mut c_void,
    ),
>;

/// The connection could not be made, or has failed: terminal.
///
/// The socket can be opened again from here on.
///
/// socket: the socket this event belongs to.
/// error: what happened, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_error.
pub type fw_error_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, error: *const fw_error, user_data: *mut c_void)>;
