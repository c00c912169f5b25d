//! What a program takes from the event queue.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::buffers::fw_segment;
use super::diagnostics::name_of;
use super::error::fw_error;
use super::message::fw_opcode;
use super::names::named;
use super::request::fw_request;
use super::socket::fw_socket;

/// What an event is about. New ones may be added: ignore what you do not know.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_event_type {
    /// No event.
    FW_EVENT_NONE = 0,
    /// The upgrade is done.
    FW_EVENT_OPEN = 1,
    /// A whole text message: payload.
    FW_EVENT_TEXT = 2,
    /// A whole binary message: payload.
    FW_EVENT_BINARY = 3,
    /// A fragment: opcode, is_first, is_final, payload. Only after fw_socket_enable_event.
    FW_EVENT_INCOMPLETE_FRAME = 4,
    /// The upgrade request can be changed: request. The connection goes on when the event is
    /// released. Only after fw_socket_enable_event.
    FW_EVENT_REQUEST = 5,
    /// A pong: payload.
    FW_EVENT_PONG = 6,
    /// The connection was lost, or not made, and will be tried again: attempt, delay_ms, error, and
    /// its message as payload, NUL-terminated. Only with fw_socket_set_reconnect.
    FW_EVENT_RECONNECTING = 7,
    /// Terminal: close_code, and the reason as payload, NUL-terminated.
    FW_EVENT_CLOSED = 8,
    /// Terminal: error, and its message as payload, NUL-terminated.
    FW_EVENT_ERROR = 9,
}

named!(fw_event_type {
    FW_EVENT_NONE,
    FW_EVENT_OPEN,
    FW_EVENT_TEXT,
    FW_EVENT_BINARY,
    FW_EVENT_INCOMPLETE_FRAME,
    FW_EVENT_REQUEST,
    FW_EVENT_PONG,
    FW_EVENT_RECONNECTING,
    FW_EVENT_CLOSED,
    FW_EVENT_ERROR,
});

/// The name of a type of event, such as "FW_EVENT_OPEN".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// type: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_event_type.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_event_type_name(r#type: MaybeUninit<fw_event_type>) -> *const c_char {
    name_of(r#type)
}

/// Something that happened, taken from the queue.
///
/// What it points to is read-only and lives until fw_event_release, which must come for every event
/// taken; a payload longer, when retained. Fields that its type does not name are zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_event {
    /// What happened.
    pub r#type: fw_event_type,
    /// Whom it happened to. May be destroyed by now.
    pub socket: fw_socket,
    /// What fw_socket_set_user_data has stored.
    pub user_data: *mut c_void,
    /// The message, fragment, pong, close reason or error message.
    pub payload: fw_segment,
    /// What the message is.
    pub opcode: fw_opcode,
    /// 1 for a whole message or the first fragment of one, else 0.
    pub is_first: u32,
    /// 1 for a whole message or the last fragment of one, else 0.
    pub is_final: u32,
    /// As in the callback closed.
    pub close_code: u16,
    /// How the connection failed.
    pub error: fw_error,
    /// The upgrade request.
    pub request: fw_request,
    /// Of reconnecting: the number of the try that follows, from 1.
    pub attempt: u32,
    /// Of reconnecting: how long until then, in milliseconds.
    pub delay_ms: u32,
    /// For later versions; 0.
    pub reserved: [u64; 4],
}

impl fw_event {
    /// What is there when nothing is; all zero.
    pub(super) const NONE: fw_event = fw_event {
        r#type: fw_event_type::FW_EVENT_NONE,
        socket: fw_socket { id: 0 },
        user_data: std::ptr::null_mut(),
        payload: fw_segment::NONE,
        opcode: fw_opcode::FW_OPCODE_NONE,
        is_first: 0,
        is_final: 0,
        close_code: 0,
        error: fw_error::NONE,
        request: fw_request { id: 0 },
        attempt: 0,
        delay_ms: 0,
        reserved: [0; 4],
    };
}
