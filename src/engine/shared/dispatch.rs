//! Running the callbacks for one event.

use super::callbacks::Inside;
use super::event::EventKind;
use super::socket::{Callbacks, Socket};
use crate::buffer::Segment;
use crate::session::MessageType;

/// Runs the callbacks for a message. Returns whether there was one. The caller is [`Inside`], once for
/// several messages.
#[inline]
pub fn call_message(
    socket: &Socket,
    callbacks: &Callbacks,
    message_type: MessageType,
    payload: &[u8],
    segment: impl FnOnce() -> Segment,
) -> bool {
    match message_type {
        MessageType::Text => {
            // The session has validated it. A failure would be a bug here, and an empty text is safe.
            let text = callbacks.text.as_ref();
            let text = text.map(|f| f(socket, simdutf8::basic::from_utf8(payload).unwrap_or_default()));
            let shown = callbacks.text_segment.as_ref().map(|f| f(socket, &segment()));
            text.is_some() || shown.is_some()
        }
        MessageType::Binary => {
            let bytes = callbacks.binary.as_ref().map(|f| f(socket, payload));
            let shown = callbacks.binary_no_alloc.as_ref().map(|f| f(socket, &segment()));
            bytes.is_some() || shown.is_some()
        }
    }
}

/// Runs the callback for an event. Returns whether there was one.
pub fn call(socket: &Socket, callbacks: &Callbacks, event: EventKind) -> bool {
    let _inside = Inside::enter();
    match event {
        EventKind::Open => callbacks.open.as_ref().map(|f| f(socket)).is_some(),
        EventKind::Text(payload) => {
            call_message(socket, callbacks, MessageType::Text, payload.as_slice(), || payload.clone())
        }
        EventKind::Binary(payload) => {
            call_message(socket, callbacks, MessageType::Binary, payload.as_slice(), || payload.clone())
        }
        EventKind::IncompleteFrame(frame) => {
            callbacks.incomplete_frame.as_ref().map(|f| f(socket, &frame)).is_some()
        }
        // Only taken as an event: an extension that runs in a callback is an `Extension`.
        EventKind::Encoded { .. } => false,
        EventKind::Request(request) => {
            let called = callbacks.request.as_ref().map(|f| f(socket, &request)).is_some();
            request.finish();
            called
        }
        EventKind::Pong(payload) => callbacks.pong.as_ref().map(|f| f(socket, payload.as_slice())).is_some(),
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            callbacks.reconnecting.as_ref().map(|f| f(socket, &error, attempt, delay_ms)).is_some()
        }
        EventKind::Closed { code, reason } => {
            callbacks.closed.as_ref().map(|f| f(socket, code, &reason)).is_some()
        }
        EventKind::Error(error) => callbacks.error.as_ref().map(|f| f(socket, &error)).is_some(),
        EventKind::Sent { tag, outcome } => {
            callbacks.sent.as_ref().map(|f| f(socket, tag, outcome)).is_some()
        }
    }
}
