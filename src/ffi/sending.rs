//! Sending messages.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::args::{Enumeration, number};
use super::buffers::fw_segment;
use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::bytes;
use crate::client::SendFlags;
use crate::error::{CallError, Code};

/// Sends a text message.
///
/// The text is checked, copied once into the send queue and sent in the background, in the order of
/// the calls, in several frames if it is longer than the fragment size.
///
/// socket: the socket, open.
/// text: UTF-8, len bytes, no NUL needed; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one; an empty message is legal.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_UTF8; INVALID_STATE (not
///   open); TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued);
///   OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_text(
    socket: fw_socket,
    text: *const c_char,
    len: usize,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises that many bytes for the length of the call.
        let text = unsafe { bytes(text.cast(), len, "text") }?;
        let text = simdutf8::basic::from_utf8(text).map_err(|_| {
            CallError::new(Code::InvalidUtf8, "the text is not valid UTF-8; nothing was queued")
        })?;
        socket.send_text(text)
    })
}

/// Sends a binary message.
///
/// As fw_socket_send_text, without the check.
///
/// socket: the socket, open.
/// data: len bytes; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one; an empty message is legal.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_binary(
    socket: fw_socket,
    data: *const c_void,
    len: usize,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises that many bytes for the length of the call.
        socket.send_binary(unsafe { bytes(data.cast(), len, "data") }?)
    })
}

/// What is special about one message; bits that can be combined. New ones may be added.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_send_flags {
    /// Nothing.
    FW_SEND_DEFAULT = 0,
    /// It is sent as it is, though compression was agreed on: for what is compressed already.
    FW_SEND_UNCOMPRESSED = 1,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_send_flags {}

/// Sends a text message with flags.
///
/// Otherwise as fw_socket_send_text.
///
/// socket: the socket, open.
/// text: UTF-8, len bytes, no NUL needed; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one.
/// flags: FW_SEND_DEFAULT or FW_SEND_UNCOMPRESSED.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, or unknown flags); INVALID_UTF8;
///   INVALID_STATE (not open); TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was
///   queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_text_with(
    socket: fw_socket,
    text: *const c_char,
    len: usize,
    flags: MaybeUninit<fw_send_flags>,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let flags = send_flags(number(flags))?;
        // SAFETY: the caller promises that many bytes for the length of the call.
        let text = unsafe { bytes(text.cast(), len, "text") }?;
        let text = simdutf8::basic::from_utf8(text).map_err(|_| {
            CallError::new(Code::InvalidUtf8, "the text is not valid UTF-8; nothing was queued")
        })?;
        socket.send_text_with(text, flags)
    })
}

/// Sends a binary message with flags.
///
/// Otherwise as fw_socket_send_binary.
///
/// socket: the socket, open.
/// data: len bytes; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one.
/// flags: FW_SEND_DEFAULT or FW_SEND_UNCOMPRESSED.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, or unknown flags); INVALID_STATE (not
///   open); TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_binary_with(
    socket: fw_socket,
    data: *const c_void,
    len: usize,
    flags: MaybeUninit<fw_send_flags>,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let flags = send_flags(number(flags))?;
        // SAFETY: the caller promises that many bytes for the length of the call.
        socket.send_binary_with(unsafe { bytes(data.cast(), len, "data") }?, flags)
    })
}

/// Sends a text message where it lies.
///
/// Consumes one reference to the segment, even on failure; it is released when the message is sent. No
/// copy is made if it is the last reference: do not access the bytes after the call.
///
/// socket: the socket, open.
/// segment: UTF-8, from fw_buffer_get or retained.
/// Returns: OK (queued); INVALID_HANDLE (socket, or a segment that the caller does not hold);
///   INVALID_ARGUMENT (a range outside of the segment); INVALID_UTF8; INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_send_text_segment(socket: fw_socket, segment: fw_segment) -> fw_result {
    guard(|| {
        let segment = segment.take();
        socket.get()?.send_text_segment(segment?)
    })
}

/// Sends a binary message where it lies.
///
/// As fw_socket_send_text_segment, without the check.
///
/// socket: the socket, open.
/// segment: from fw_buffer_get or retained.
/// Returns: OK (queued); INVALID_HANDLE (socket, or a segment that the caller does not hold);
///   INVALID_ARGUMENT (a range outside of the segment); INVALID_STATE (not open); TOO_LARGE;
///   WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_send_binary_segment(socket: fw_socket, segment: fw_segment) -> fw_result {
    guard(|| {
        let segment = segment.take();
        socket.get()?.send_binary_segment(segment?)
    })
}

/// Sends a ping of the caller's own.
///
/// The answer comes as the event pong with the same payload. To watch a connection, rather use
/// fw_socket_set_start_ping_thread.
///
/// socket: the socket, open.
/// data: len bytes; borrowed for the call; may be NULL when len is 0.
/// len: 0 to 125 bytes.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); TOO_LARGE; INVALID_STATE (not
///   open); WOULD_BLOCK (16 pings wait to be sent); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_ping(socket: fw_socket, data: *const c_void, len: usize) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises that many bytes for the length of the call.
        socket.ping(unsafe { bytes(data.cast(), len, "data") }?)
    })
}

/// Payload bytes accepted by the send calls and not yet handed to the network.
///
/// socket: the socket.
/// Returns: bytes; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_buffered_amount(socket: fw_socket) -> usize {
    guard_or(0, || Ok(socket.get()?.buffered_amount()))
}

/// Limits what may wait in the send queue.
///
/// While fw_socket_buffered_amount is at or past the limit, sends are refused with WOULD_BLOCK and
/// queue nothing; a message that begins below the limit may exceed it.
///
/// socket: the socket, in any state.
/// bytes: default 64 MiB (67108864); 0 counts as 1.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_buffered_amount(socket: fw_socket, bytes: usize) -> fw_result {
    guard(|| socket.get()?.set_max_buffered_amount(bytes))
}

fn send_flags(flags: u32) -> Result<SendFlags, CallError> {
    const UNCOMPRESSED: u32 = fw_send_flags::FW_SEND_UNCOMPRESSED as u32;
    if flags & !UNCOMPRESSED != 0 {
        return Err(CallError::argument("flags holds bits that this version does not know"));
    }
    Ok(SendFlags { uncompressed: flags & UNCOMPRESSED != 0 })
}
