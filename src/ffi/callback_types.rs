//! The types of a socket's callbacks, one for each event.

use std::ffi::{c_char, c_void};

use super::buffers::fw_segment;
use super::error::fw_error;
use super::lanes::fw_outcome;
use super::message::fw_frame;
use super::request::fw_request;
use super::socket::fw_socket;

/// Called when the upgrade is complete: messages can be sent.
///
/// \param socket The socket this event belongs to.
/// \param user_data The user_data set with the callback.
pub type fw_open_fn = Option<unsafe extern "C" fn(socket: fw_socket, user_data: *mut c_void)>;

/// Called for each complete text message.
///
/// \param socket The socket this event belongs to.
/// \param text Valid UTF-8, not NUL-terminated; valid until the callback returns; never NULL.
/// \param len Length of the text in bytes; may be 0.
/// \param user_data The user_data set with the callback.
pub type fw_text_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, text: *const c_char, len: usize, user_data: *mut c_void)>;

/// Called for each complete text message, with a segment that can be kept without a copy.
///
/// \param socket The socket this event belongs to.
/// \param segment Valid UTF-8, not NUL-terminated, read-only; valid until the callback returns,
///   longer with fw_segment_retain; never NULL.
/// \param user_data The user_data set with the callback.
pub type fw_text_segment_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, segment: *const fw_segment, user_data: *mut c_void)>;

/// Called for each complete binary message.
///
/// \param socket The socket this event belongs to.
/// \param data The payload, read-only; valid until the callback returns; never NULL.
/// \param len Length of the payload in bytes; may be 0.
/// \param user_data The user_data set with the callback.
pub type fw_binary_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, data: *const u8, len: usize, user_data: *mut c_void)>;

/// Called for each complete binary message, with a segment that can be kept without a copy.
///
/// \param socket The socket this event belongs to.
/// \param segment The payload, read-only; valid until the callback returns, longer with
///   fw_segment_retain; never NULL.
/// \param user_data The user_data set with the callback.
pub type fw_binary_no_alloc_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, segment: *const fw_segment, user_data: *mut c_void)>;

/// Called for each fragment of a fragmented message.
///
/// \param socket The socket this event belongs to.
/// \param frame The fragment; valid until the callback returns; never NULL.
/// \param user_data The user_data set with the callback.
pub type fw_incomplete_frame_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, frame: *const fw_frame, user_data: *mut c_void)>;

/// Called before each upgrade request is sent, while it can still be changed.
///
/// \param socket The socket this event belongs to.
/// \param request The request; valid until the callback returns.
/// \param user_data The user_data set with the callback.
pub type fw_request_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, request: fw_request, user_data: *mut c_void)>;

/// Called for each pong, also for those that answer keepalive pings.
///
/// \param socket The socket this event belongs to.
/// \param data The payload, read-only; valid until the callback returns; never NULL.
/// \param len Length of the payload, 0 to 125 bytes.
/// \param user_data The user_data set with the callback.
pub type fw_pong_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, data: *const u8, len: usize, user_data: *mut c_void)>;

/// Called when the connection failed or could not be established, and will be retried.
///
/// \param socket The socket this event belongs to.
/// \param error Why it failed; valid until the callback returns; never NULL.
/// \param attempt Number of the coming retry, from 1; starts again at 1 after a successful
///   connection.
/// \param delay_ms Milliseconds until the retry.
/// \param user_data The user_data set with the callback.
pub type fw_reconnecting_fn = Option<
    unsafe extern "C" fn(
        socket: fw_socket,
        error: *const fw_error,
        attempt: u32,
        delay_ms: u32,
        user_data: *mut c_void,
    ),
>;

/// Called when the connection was closed, or the caller cancelled it. Terminal event.
///
/// The socket can be opened again, also inside the callback.
///
/// \param socket The socket this event belongs to.
/// \param code The server's close code, 1005 if its close frame has none; 1006 if there was no
///   closing handshake.
/// \param reason UTF-8, NUL-terminated; valid until the callback returns; never NULL. With 1006 a
///   text of the library: who ended the connection.
/// \param len Length of the reason in bytes, without the NUL; may be 0.
/// \param user_data The user_data set with the callback.
pub type fw_closed_fn = Option<
    unsafe extern "C" fn(
        socket: fw_socket,
        code: u16,
        reason: *const c_char,
        len: usize,
        user_data: *mut c_void,
    ),
>;

/// Called once for each message with a tag, when it was sent or dropped.
///
/// \param socket The socket this event belongs to.
/// \param tag The tag of the message.
/// \param outcome What became of the message.
/// \param user_data The user_data set with the callback.
pub type fw_sent_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, tag: u64, outcome: fw_outcome, user_data: *mut c_void)>;

/// Called when the connection failed or could not be established. Terminal event.
///
/// The socket can be opened again, also inside the callback.
///
/// \param socket The socket this event belongs to.
/// \param error Why it failed; valid until the callback returns; never NULL.
/// \param user_data The user_data set with the callback.
pub type fw_error_fn =
    Option<unsafe extern "C" fn(socket: fw_socket, error: *const fw_error, user_data: *mut c_void)>;
