//! Sets a socket's callbacks, one for each event.

use std::ffi::c_void;

use super::callback_types::*;
use super::closures;
use super::guard::guard;
use super::result::fw_result;
use super::socket::fw_socket;

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
