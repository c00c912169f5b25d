//! The event that a program takes from the event queue.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;

use super::buffers::fw_segment;
use super::diagnostics::name_of;
use super::error::fw_error;
use super::lanes::fw_outcome;
use super::message::fw_opcode;
use super::names::named;
use super::request::fw_request;
use super::socket::fw_socket;

/// The type of an event.
///
/// New types may be added: ignore those that are unknown.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_event_type {
    /// No event.
    FW_EVENT_NONE = 0,
    /// The upgrade is complete: messages can be sent.
    FW_EVENT_OPEN = 1,
    /// A complete text message, in payload.
    FW_EVENT_TEXT = 2,
    /// A complete binary message, in payload.
    FW_EVENT_BINARY = 3,
    /// A fragment of a message: opcode, is_first, is_final, payload. Disabled by default, see
    /// fw_socket_enable_event.
    FW_EVENT_INCOMPLETE_FRAME = 4,
    /// The upgrade request, in request, while it can still be changed. The connection continues
    /// when the event is released. Disabled by default, see fw_socket_enable_event.
    FW_EVENT_REQUEST = 5,
    /// A pong, in payload.
    FW_EVENT_PONG = 6,
    /// The connection failed or could not be established, and will be retried: attempt, delay_ms,
    /// error, and the error message as payload, NUL-terminated. Only with fw_socket_set_reconnect.
    FW_EVENT_RECONNECTING = 7,
    /// The connection was closed or cancelled: close_code, and the reason as payload,
    /// NUL-terminated. Terminal event.
    FW_EVENT_CLOSED = 8,
    /// The connection failed or could not be established: error, and the error message as payload,
    /// NUL-terminated. Terminal event.
    FW_EVENT_ERROR = 9,
    /// A message with a tag was sent or dropped: tag, outcome. See fw_socket_send.
    FW_EVENT_SENT = 10,
    /// A message that the program decodes: payload, opcode, rsv. It is complete, decompressed, and a
    /// text is not validated. Only with fw_socket_offer_extension.
    FW_EVENT_ENCODED = 11,
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
    FW_EVENT_SENT,
    FW_EVENT_ENCODED,
});

/// Returns the name of an event type, such as "FW_EVENT_OPEN".
///
/// \param type Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_event_type.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub extern "C" fn fw_event_type_name(r#type: MaybeUninit<fw_event_type>) -> *const c_char {
    name_of(r#type)
}

/// An event taken from the event queue.
///
/// Release each one with fw_event_release. What it points to is read-only and valid until then;
/// fw_segment_retain keeps the payload longer. Fields that the event's type does not use are zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fw_event {
    /// Which event this is.
    pub r#type: fw_event_type,
    /// The socket this event belongs to. It may have been destroyed meanwhile.
    pub socket: fw_socket,
    /// The pointer set with fw_socket_set_user_data.
    pub user_data: *mut c_void,
    /// The message, fragment, pong, close reason or error message.
    pub payload: fw_segment,
    /// The type of the message.
    pub opcode: fw_opcode,
    /// 1 for a complete message or the first fragment of one, else 0.
    pub is_first: u32,
    /// 1 for a complete message or the last fragment of one, else 0.
    pub is_final: u32,
    /// The close code, see fw_closed_fn.
    pub close_code: u16,
    /// Why the connection failed.
    pub error: fw_error,
    /// The upgrade request.
    pub request: fw_request,
    /// For FW_EVENT_RECONNECTING: number of the coming retry, from 1.
    pub attempt: u32,
    /// For FW_EVENT_RECONNECTING: milliseconds until the retry.
    pub delay_ms: u32,
    /// For FW_EVENT_SENT: the tag of the message.
    pub tag: u64,
    /// For FW_EVENT_SENT: what became of the message.
    pub outcome: fw_outcome,
    /// For FW_EVENT_ENCODED: the reserved bits of the extensions that have encoded the message: RSV1
    /// is 4, RSV2 is 2, RSV3 is 1.
    pub rsv: u32,
    /// Reserved for later versions; 0.
    pub reserved: [u64; 2],
}

impl fw_event {
    /// No event; all zero.
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
        tag: 0,
        outcome: fw_outcome::FW_OUTCOME_NONE,
        rsv: 0,
        reserved: [0; 2],
    };
}
