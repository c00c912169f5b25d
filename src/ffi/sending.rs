//! Sends messages and pings.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::args::{Enumeration, number};
use super::buffers::fw_segment;
use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::socket::fw_socket;
use super::text::bytes;
use crate::client::{self, SendFlags};
use crate::error::{CallError, Code};

/// Sends a text message.
///
/// Validates the text and copies it once into the send queue: above 64 KiB, prefer
/// fw_socket_send_text_segment. Messages are sent in the background, in the order of the calls, and
/// fragmented if longer than fw_socket_set_max_fragment_size.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param text UTF-8, len bytes, no NUL needed; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
///
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_UTF8; INVALID_STATE (not
///   open); TOO_LARGE; WOULD_BLOCK (the send queue is full, see fw_socket_set_max_buffered_amount;
///   where lanes are used also: lane 0 is full, or 65536 messages wait); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_text(
    socket: fw_socket,
    text: *const c_char,
    len: usize,
) -> fw_result {
    guard(|| {
        // SAFETY: the caller promises `len` bytes until the call returns.
        let text = unsafe { bytes(text.cast(), len, "text") };
        send_text(socket, text, SendFlags::default())
    })
}

/// Sends a binary message.
///
/// Like fw_socket_send_text, without the UTF-8 validation: above 64 KiB, prefer
/// fw_socket_send_binary_segment.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param data The payload, len bytes; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
///
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (as fw_socket_send_text); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_binary(
    socket: fw_socket,
    data: *const c_void,
    len: usize,
) -> fw_result {
    guard(|| {
        // SAFETY: the caller promises `len` bytes until the call returns.
        let data = unsafe { bytes(data.cast(), len, "data") };
        send_binary(socket, data, SendFlags::default())
    })
}

/// Options of a message. Flags that can be combined with |; new ones may be added.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_send_flags {
    /// No options.
    FW_SEND_DEFAULT = 0,
    /// Do not compress the message, for payloads that are already compressed.
    FW_SEND_UNCOMPRESSED = 1,
    /// Set the reserved bit RSV3: the caller has encoded the message, see
    /// fw_socket_offer_extension.
    FW_SEND_RSV3 = 0x10,
    /// Set the reserved bit RSV2, likewise.
    FW_SEND_RSV2 = 0x20,
    /// Set the reserved bit RSV1, likewise. permessage-deflate uses it: to use it, disable
    /// compression.
    FW_SEND_RSV1 = 0x40,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_send_flags {}

/// Sends a text message with flags, otherwise like fw_socket_send_text.
///
/// In browsers, FW_SEND_UNCOMPRESSED has no effect.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param text UTF-8, len bytes, no NUL needed; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
/// \param flags fw_send_flags, combined with |. With a reserved bit the text is not validated.
///
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, unknown flags, reserved bits that
///   were not offered); INVALID_UTF8; INVALID_STATE (not open); TOO_LARGE; WOULD_BLOCK (the send
///   queue is full); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_text_with(
    socket: fw_socket,
    text: *const c_char,
    len: usize,
    flags: MaybeUninit<fw_send_flags>,
) -> fw_result {
    guard(|| {
        let flags = valid(socket, send_flags(number(flags)))?;
        // SAFETY: the caller promises `len` bytes until the call returns.
        let text = unsafe { bytes(text.cast(), len, "text") };
        send_text(socket, text, flags)
    })
}

/// Sends a binary message with flags, otherwise like fw_socket_send_binary.
///
/// In browsers, FW_SEND_UNCOMPRESSED has no effect.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param data The payload, len bytes; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
/// \param flags fw_send_flags, combined with |.
///
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, unknown flags, reserved bits that
///   were not offered); INVALID_STATE (not open); TOO_LARGE; WOULD_BLOCK (as fw_socket_send_text);
///   OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_send_binary_with(
    socket: fw_socket,
    data: *const c_void,
    len: usize,
    flags: MaybeUninit<fw_send_flags>,
) -> fw_result {
    guard(|| {
        let flags = valid(socket, send_flags(number(flags)))?;
        // SAFETY: the caller promises `len` bytes until the call returns.
        let data = unsafe { bytes(data.cast(), len, "data") };
        send_binary(socket, data, flags)
    })
}

/// Sends a text message from a segment, without a copy if the caller holds its last reference.
///
/// Validates the text. Consumes one reference to the segment, even on failure: without another
/// reference, do not access the bytes after the call.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param segment UTF-8, in a segment from fw_buffer_get or a retained one.
/// \returns OK (queued); INVALID_HANDLE (socket, or the caller holds no reference to the segment);
///   INVALID_ARGUMENT (range outside of the segment); INVALID_UTF8; INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (as fw_socket_send_text); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_send_text_segment(socket: fw_socket, segment: fw_segment) -> fw_result {
    guard(|| {
        let segment = segment.take();
        socket.get()?.send_text_segment(segment?)
    })
}

/// Sends a binary message from a segment, without a copy if the caller holds its last reference.
///
/// Like fw_socket_send_text_segment, without the UTF-8 validation.
///
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param segment A segment from fw_buffer_get or a retained one.
/// \returns OK (queued); INVALID_HANDLE (socket, or the caller holds no reference to the segment);
///   INVALID_ARGUMENT (range outside of the segment); INVALID_STATE (not open); TOO_LARGE;
///   WOULD_BLOCK (as fw_socket_send_text); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_send_binary_segment(socket: fw_socket, segment: fw_segment) -> fw_result {
    guard(|| {
        let segment = segment.take();
        socket.get()?.send_binary_segment(segment?)
    })
}

/// Sends a ping with a payload of the caller.
///
/// The server's pong has the same payload. To detect lost connections, use
/// fw_socket_set_start_ping_thread (keepalive pings) instead.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
///
/// \param socket The socket, open.
/// \param data The payload, len bytes; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, 0 to 125.
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); TOO_LARGE; INVALID_STATE (not
///   open); WOULD_BLOCK (16 pings are queued); OUT_OF_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_ping(socket: fw_socket, data: *const c_void, len: usize) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        // SAFETY: the caller promises `len` bytes until the call returns.
        socket.ping(unsafe { bytes(data.cast(), len, "data") }?)
    })
}

/// Returns the size of the send queue: payload bytes not yet passed to the network.
///
/// \returns The size in bytes; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_buffered_amount(socket: fw_socket) -> usize {
    guard_or(0, || Ok(socket.get()?.buffered_amount()))
}

/// Sets the limit of the send queue (backpressure).
///
/// While fw_socket_buffered_amount is at or above the limit, send functions queue nothing and
/// return WOULD_BLOCK. One message may exceed the limit.
///
/// \param socket The socket, in any state.
/// \param bytes Limit in bytes; default 64 MiB (67108864); 0 means 1.
/// \returns OK; INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_max_buffered_amount(socket: fw_socket, bytes: usize) -> fw_result {
    guard(|| socket.get()?.set_max_buffered_amount(bytes))
}

fn send_text(socket: fw_socket, text: Result<&[u8], CallError>, flags: SendFlags) -> Result<(), CallError> {
    if flags.rsv != 0 {
        return client::send_encoded_text(socket.id, valid(socket, text)?, flags);
    }
    let invalid = || CallError::new(Code::InvalidUtf8, "the text is not valid UTF-8; nothing was queued");
    let text = text.and_then(|text| simdutf8::basic::from_utf8(text).map_err(|_| invalid()));
    client::send_text(socket.id, valid(socket, text)?, flags)
}

fn send_binary(socket: fw_socket, data: Result<&[u8], CallError>, flags: SendFlags) -> Result<(), CallError> {
    client::send_binary(socket.id, valid(socket, data)?, flags)
}

/// Returns an argument. If it is invalid, and the handle too, the error is that of the handle.
fn valid<T>(socket: fw_socket, argument: Result<T, CallError>) -> Result<T, CallError> {
    argument.map_err(|error| socket.get().err().unwrap_or(error))
}

pub(super) fn send_flags(flags: u32) -> Result<SendFlags, CallError> {
    const UNCOMPRESSED: u32 = fw_send_flags::FW_SEND_UNCOMPRESSED as u32;
    const RSV: u32 = 7 * fw_send_flags::FW_SEND_RSV3 as u32;
    if flags & !(UNCOMPRESSED | RSV) != 0 {
        return Err(CallError::argument("flags contains unknown bits"));
    }
    let rsv = ((flags & RSV) / fw_send_flags::FW_SEND_RSV3 as u32) as u8;
    Ok(SendFlags { uncompressed: flags & UNCOMPRESSED != 0, rsv })
}
