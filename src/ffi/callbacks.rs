//! The functions that set a callback, one for each event.

use std::ffi::c_void;

use super::callback_table::{Name, set_one};
use super::callback_types::*;
use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;

/// Sets the callback for the open event: the upgrade is complete and messages can be sent.
///
/// Like all fw_socket_on_ functions, replaces the callback set before, which may still be running
/// on another thread when the call returns. In poll mode the callback runs inside fw_poll and
/// fw_socket_poll, on the thread that calls them; in worker mode on the socket's worker thread.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback. What it points to must stay valid until the callback is
///   replaced and has returned, or until the finalizer runs.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_open(
    socket: fw_socket,
    callback: fw_open_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::open, user_data, |functions| functions.open = callback))
}

/// Sets the callback for complete text messages.
///
/// A message without a callback is discarded, without a copy.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_text(
    socket: fw_socket,
    callback: fw_text_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::text, user_data, |functions| functions.text = callback))
}

/// Sets the callback for complete text messages, as segments that can be kept without a copy.
///
/// If fw_socket_on_text is set as well, its callback runs first.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_text_segment(
    socket: fw_socket,
    callback: fw_text_segment_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::text_segment, user_data, |functions| functions.text_segment = callback))
}

/// Sets the callback for complete binary messages.
///
/// A message without a callback is discarded, without a copy.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_binary(
    socket: fw_socket,
    callback: fw_binary_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::binary, user_data, |functions| functions.binary = callback))
}

/// Sets the callback for complete binary messages, as segments that can be kept without a copy.
///
/// If fw_socket_on_binary is set as well, its callback runs first.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_binary_no_alloc(
    socket: fw_socket,
    callback: fw_binary_no_alloc_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        set_one(socket, Name::binary_no_alloc, user_data, |functions| functions.binary_no_alloc = callback)
    })
}

/// Sets the callback for the fragments of fragmented messages.
///
/// While it is set, fragmented messages are delivered fragment by fragment, for streaming: they are
/// neither assembled nor stored, and not delivered as text or binary. Messages of a single frame
/// still are. Takes effect with the next message.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_FRAGMENTS).
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_incomplete_frame(
    socket: fw_socket,
    callback: fw_incomplete_frame_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        set_one(socket, Name::incomplete_frame, user_data, |functions| functions.incomplete_frame = callback)
    })
}

/// Sets the callback that can change the upgrade request, for example to set a new token.
///
/// Runs before every attempt: also for a reconnect, after a redirect, and after the fallback from
/// HTTP/2 to HTTP/1.1. The connection waits until it has returned, while the connect timeout runs.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_internal_request_created(
    socket: fw_socket,
    callback: fw_request_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| {
        set_one(socket, Name::internal_request_created, user_data, |functions| {
            functions.internal_request_created = callback;
        })
    })
}

/// Sets the callback for pongs.
///
/// For round-trip times, fw_socket_latency_us is simpler.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_pong(
    socket: fw_socket,
    callback: fw_pong_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::pong, user_data, |functions| functions.pong = callback))
}

/// Sets the callback for the reconnecting event: the connection failed and will be retried.
///
/// Replaces the error event where fw_socket_set_reconnect allows another retry. fw_socket_close,
/// inside the callback or at any time before the next open event, cancels the retries: the closed
/// event follows.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_reconnecting(
    socket: fw_socket,
    callback: fw_reconnecting_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::reconnecting, user_data, |functions| functions.reconnecting = callback))
}

/// Sets the callback for the closed event: the connection was closed or cancelled.
///
/// Terminal: each fw_socket_open ends in exactly one closed or error event, after all messages
/// received before it.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_closed(
    socket: fw_socket,
    callback: fw_closed_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::closed, user_data, |functions| functions.closed = callback))
}

/// Sets the callback for the error event: the connection failed or could not be established.
///
/// Terminal: each fw_socket_open ends in exactly one closed or error event, after all messages
/// received before it.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_error(
    socket: fw_socket,
    callback: fw_error_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::error, user_data, |functions| functions.error = callback))
}

/// Sets the callback for the sent event: a message with a tag was sent or dropped.
///
/// Runs once for each accepted tag of fw_socket_send, before the terminal event.
///
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_on_sent(
    socket: fw_socket,
    callback: fw_sent_fn,
    user_data: *mut c_void,
) -> fw_result {
    guard(|| set_one(socket, Name::sent, user_data, |functions| functions.sent = callback))
}
