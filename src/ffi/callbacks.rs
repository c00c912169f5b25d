//! What a socket calls: one function for each event.

use std::ffi::{c_char, c_void};

use super::buffers::fw_segment;
use super::closures;
use super::error::fw_error;
use super::guard::guard;
use super::request::fw_request;
use super::result::fw_result;
use super::socket::fw_socket;
use crate::client::MessageType;

/// What a message holds, numbered as on the wire (RFC 6455 section 5.2).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_opcode {
    /// In an event that is about no message.
    FW_OPCODE_NONE = 0,
    /// UTF-8.
    FW_OPCODE_TEXT = 1,
    /// Any bytes.
    FW_OPCODE_BINARY = 2,
}

impl From<MessageType> for fw_opcode {
    fn from(opcode: MessageType) -> Self {
        match opcode {
            MessageType::Text => Self::FW_OPCODE_TEXT,
            MessageType::Binary => Self::FW_OPCODE_BINARY,
        }
    }
}

/// One fragment of a message, decoded. Valid until the callback returns; its payload longer, when
/// retained.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_frame {
    /// What the whole message is: the same for all of its fragments.
    pub opcode: fw_opcode,
    /// 1 for the first fragment of a message, else 0.
    pub is_first: u32,
    /// 1 for the last fragment of a message, else 0.
    pub is_final: u32,
    /// A fragment of a text may begin and end within a character; the whole was checked so far.
    pub payload: fw_segment,
    /// For later versions; 0.
    pub reserved: [u64; 2],
}

/// The upgrade is done: messages can be sent.
///
/// socket: the socket this event belongs to.
/// user_data: what was given to fw_socket_on_open.
pub type fw_open_fn = Option<unsafe extern "C" fn(socket: fw_socket, user_data: *mut c_void)>;

/// Sets what is called when the upgrade is done.
///
/// The first event of a connection that succeeds.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_open(
    socket: fw_socket,
    callback: fw_open_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_open(closures::open(callback, user_data)))
}

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

/// Sets what is called for a whole text message.
///
/// Messages without a callback are dropped, at no cost.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_text(
    socket: fw_socket,
    callback: fw_text_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_text(closures::text(callback, user_data)))
}

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

/// Sets what is called for a whole text message that may be kept without a copy.
///
/// Called after text if both are set.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_text_segment(
    socket: fw_socket,
    callback: fw_text_segment_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_text_segment(closures::text_segment(callback, user_data)))
}

/// A whole binary message came.
///
/// socket: the socket this event belongs to.
/// data: len bytes, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_binary.
pub type fw_binary_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, data: *const u8, len: usize, user_data: *mut c_void)>;

/// Sets what is called for a whole binary message.
///
/// Called before binary_no_alloc if both are set.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_binary(
    socket: fw_socket,
    callback: fw_binary_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_binary(closures::binary(callback, user_data)))
}

/// A whole binary message came, shown where it was received.
///
/// fw_segment_retain keeps it longer than the callback, without a copy.
///
/// socket: the socket this event belongs to.
/// segment: the payload, read-only, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_binary_no_alloc.
pub type fw_binary_no_alloc_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, segment: *const fw_segment, user_data: *mut c_void)>;

/// Sets what is called for a whole binary message that may be kept without a copy.
///
/// Called after binary if both are set.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_binary_no_alloc(
    socket: fw_socket,
    callback: fw_binary_no_alloc_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_binary_no_alloc(closures::binary_no_alloc(callback, user_data)))
}

/// A fragment of a message came.
///
/// socket: the socket this event belongs to.
/// frame: the fragment, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_incomplete_frame.
pub type fw_incomplete_frame_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, frame: *const fw_frame, user_data: *mut c_void)>;

/// Sets what is called for each fragment of a message that comes in several.
///
/// While it is set such messages are neither assembled nor stored, and come neither as text nor as
/// binary; messages of one frame still do. Takes effect with the next message.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_incomplete_frame(
    socket: fw_socket,
    callback: fw_incomplete_frame_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_incomplete_frame(closures::incomplete_frame(callback, user_data)))
}

/// The upgrade request is ready to be sent and can still be changed.
///
/// socket: the socket this event belongs to.
/// request: the request; dead when the callback returns.
/// user_data: what was given to fw_socket_on_internal_request_created.
pub type fw_request_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, request: fw_request, user_data: *mut c_void)>;

/// Sets what is called with the upgrade request before every attempt.
///
/// The connection waits until the callback has returned; the connect timeout goes on meanwhile.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_internal_request_created(
    socket: fw_socket,
    callback: fw_request_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        socket.get()?.on_internal_request_created(closures::internal_request_created(callback, user_data))
    })
}

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

/// Sets what is called when a pong comes.
///
/// For round trip times fw_socket_latency_us is simpler.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_pong(
    socket: fw_socket,
    callback: fw_pong_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_pong(closures::pong(callback, user_data)))
}

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

/// Sets what is called when a connection was lost and will be tried again.
///
/// Comes instead of error, where fw_socket_set_reconnect has switched that on. An fw_socket_close inside
/// the callback, or at any time before the next event open, ends it with the event closed.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_reconnecting(
    socket: fw_socket,
    callback: fw_reconnecting_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_reconnecting(closures::reconnecting(callback, user_data)))
}

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

/// Sets what is called when the connection has ended in order.
///
/// Every open ends in exactly one of closed and error, after every message received before it.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_closed(
    socket: fw_socket,
    callback: fw_closed_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_closed(closures::closed(callback, user_data)))
}

/// The connection could not be made, or has failed: terminal.
///
/// The socket can be opened again from here on.
///
/// socket: the socket this event belongs to.
/// error: what happened, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_error.
pub type fw_error_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, error: *const fw_error, user_data: *mut c_void)>;

/// Sets what is called when the connection could not be made, or has failed.
///
/// Every open ends in exactly one of closed and error, after every message received before it.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_error(
    socket: fw_socket,
    callback: fw_error_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| socket.get()?.on_error(closures::error(callback, user_data)))
}
