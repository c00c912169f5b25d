//! Running the callbacks for one event.

use super::callbacks::Wants;
use super::event::EventKind;
use super::socket::{Handler, Socket};
use crate::buffer::Segment;
use crate::inside::Inside;
use crate::session::MessageType;

/// Runs the callbacks for a message. Returns whether there was one. The caller is [`Inside`], once for
/// several messages. `wants` is what the handler wants.
#[inline]
pub fn call_message(
    socket: &Socket,
    handler: &Handler,
    wants: Wants,
    message_type: MessageType,
    payload: &[u8],
    segment: impl FnOnce() -> Segment,
) -> bool {
    match message_type {
        MessageType::Text => {
            if wants.has(Wants::TEXT) {
                handler.text(socket, payload);
            }
            if wants.has(Wants::TEXT_SEGMENT) {
                handler.text_segment(socket, &segment());
            }
            wants.has(Wants::TEXT) || wants.has(Wants::TEXT_SEGMENT)
        }
        MessageType::Binary => {
            if wants.has(Wants::BINARY) {
                handler.binary(socket, payload);
            }
            if wants.has(Wants::BINARY_SEGMENT) {
                handler.binary_segment(socket, &segment());
            }
            wants.has(Wants::BINARY) || wants.has(Wants::BINARY_SEGMENT)
        }
    }
}

/// Runs the callback for an event, if there is a handler. Returns whether there was a callback.
pub fn call(socket: &Socket, handler: Option<&Handler>, event: EventKind) -> bool {
    let _inside = Inside::enter();
    let message = |handler: &Handler, message_type, payload: &Segment| {
        call_message(socket, handler, handler.wants(), message_type, payload.as_slice(), || payload.clone())
    };
    let called = handler.is_some_and(|handler| match &event {
        EventKind::Open => handler.open(socket),
        EventKind::Text(payload) => message(handler, MessageType::Text, payload),
        EventKind::Binary(payload) => message(handler, MessageType::Binary, payload),
        EventKind::IncompleteFrame(frame) => handler.incomplete_frame(socket, frame),
        // Only taken as an event: an extension that runs in a callback is an `Extension`.
        EventKind::Encoded { .. } => false,
        EventKind::Request(request) => handler.request(socket, request),
        EventKind::Pong(payload) => handler.pong(socket, payload.as_slice()),
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            handler.reconnecting(socket, error, *attempt, *delay_ms)
        }
        EventKind::Closed { code, reason } => handler.closed(socket, *code, reason),
        EventKind::Error(error) => handler.error(socket, error),
        EventKind::Sent { tag, outcome } => handler.sent(socket, *tag, *outcome),
    });
    if let EventKind::Request(request) = event {
        request.finish();
    }
    called
}
