//! Events in the shape that C sees, and who owns what they show.
//!
//! ```text
//!   Event ── show ──> fw_event { payload: lease, request: kept } ── release ──> lease ended,
//!                                                                  request finished
//! ```
//!
//! Everything is held by number, so an event that is released twice, copied or made up frees
//! nothing that is not its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use super::buffers::{fw_buffer, fw_segment};
use super::error::describe;
use super::event_types::{fw_event, fw_event_type};
use super::message::fw_opcode;
use super::request::fw_request;
use super::socket::fw_socket;
use super::text::terminated;
use crate::client::lease;
use crate::client::{Event, EventKind, Request, Segment, Socket};
use crate::error::{CallError, Error};
use crate::logging::{self, LogLevel};

/// The requests of events that are out: a request lives as long as somebody holds it.
static KEPT: Mutex<Vec<Request>> = Mutex::new(Vec::new());

/// Turns an event into what C sees, to be released with [`release`]. A connection whose event is lost
/// by a panic ends, rather than going on with a gap.
pub(super) fn show(event: Event) -> Result<fw_event, CallError> {
    let Event { socket, kind } = event;
    catch_unwind(AssertUnwindSafe(|| show_whole(&socket, kind))).unwrap_or_else(|panic| {
        socket.fault("the library panicked while it showed an event, which is lost");
        resume_unwind(panic)
    })
}

fn show_whole(socket: &Socket, kind: EventKind) -> Result<fw_event, CallError> {
    let mut shown = fw_event {
        socket: fw_socket::from(socket),
        user_data: std::ptr::with_exposed_provenance_mut(socket.user_data()),
        ..fw_event::NONE
    };
    let whole = |shown: &mut fw_event, opcode| {
        (shown.opcode, shown.is_first, shown.is_final) = (opcode, 1, 1);
    };
    match kind {
        EventKind::Open => shown.r#type = fw_event_type::FW_EVENT_OPEN,
        EventKind::Text(payload) => {
            shown.r#type = fw_event_type::FW_EVENT_TEXT;
            whole(&mut shown, fw_opcode::FW_OPCODE_TEXT);
            shown.payload = grant(socket, payload)?;
        }
        EventKind::Binary(payload) => {
            shown.r#type = fw_event_type::FW_EVENT_BINARY;
            whole(&mut shown, fw_opcode::FW_OPCODE_BINARY);
            shown.payload = grant(socket, payload)?;
        }
        EventKind::IncompleteFrame(frame) => {
            shown.r#type = fw_event_type::FW_EVENT_INCOMPLETE_FRAME;
            shown.opcode = frame.opcode.into();
            (shown.is_first, shown.is_final) = (frame.is_first.into(), frame.is_final.into());
            shown.payload = grant(socket, frame.payload)?;
        }
        EventKind::Request(request) => {
            shown.r#type = fw_event_type::FW_EVENT_REQUEST;
            shown.request = fw_request { id: request.id() };
            kept().push(request);
        }
        EventKind::Pong(payload) => {
            shown.r#type = fw_event_type::FW_EVENT_PONG;
            shown.payload = grant(socket, payload)?;
        }
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            shown.r#type = fw_event_type::FW_EVENT_RECONNECTING;
            (shown.attempt, shown.delay_ms) = (attempt, delay_ms);
            put_error(&mut shown, &error);
        }
        EventKind::Closed { code, reason } => {
            shown.r#type = fw_event_type::FW_EVENT_CLOSED;
            shown.close_code = code;
            shown.payload = own(&reason).unwrap_or(fw_segment::NONE);
        }
        EventKind::Error(error) => {
            shown.r#type = fw_event_type::FW_EVENT_ERROR;
            put_error(&mut shown, &error);
        }
    }
    Ok(shown)
}

/// An error, and its message as the payload.
fn put_error(shown: &mut fw_event, error: &Error) {
    shown.payload = own(&error.message).unwrap_or(fw_segment::NONE);
    shown.error = describe(error);
    shown.error.message = match shown.payload.data.is_null() {
        true => c"no memory for the message".as_ptr(),
        // SAFETY: `own` has put the text and its NUL there.
        false => unsafe { shown.payload.data.add(shown.payload.offset) }.cast_const().cast(),
    };
}

/// Gives up what an event holds, by the numbers in it.
pub(super) fn release(payload: fw_buffer, request: fw_request) {
    lease::end(payload.id);
    if request.id == 0 {
        return;
    }
    let mut kept = kept();
    let found = kept.iter().position(|request_kept| request_kept.id() == request.id);
    let request = found.map(|at| kept.swap_remove(at));
    // The connection goes on without our lock.
    drop(kept);
    if let Some(request) = request {
        request.finish();
    }
}

/// Drops the requests of events that were never released: their sockets are gone.
pub(super) fn forget_all() {
    let requests = std::mem::take(&mut *kept());
    drop(requests);
}

/// Shows a received segment for the length of a call.
pub(super) fn lend(socket: &Socket, payload: &Segment, show: impl FnOnce(fw_segment)) {
    if let Ok(segment) = grant(socket, payload.clone()) {
        show(segment);
        lease::end(segment.buffer.id);
    }
}

/// Gives a received segment a number. Without memory for that a message is lost, and the connection
/// ends rather than going on with a gap.
fn grant(socket: &Socket, payload: Segment) -> Result<fw_segment, CallError> {
    lease::grant(payload).map(fw_segment::from).inspect_err(|error| {
        logging::write(
            LogLevel::Error,
            socket.id(),
            "",
            format_args!("a message is lost and the connection dropped: {error}"),
        );
        socket.fault("there was no memory to show a message with, which is lost");
    })
}

/// A text of ours in the place of a payload, with a NUL behind it.
fn own(text: &str) -> Option<fw_segment> {
    // The last event of a connection is shown without it rather than not at all.
    catch_unwind(|| {
        let segment = Segment::copy_of(&terminated(text)).ok()?.slice(0, text.len());
        lease::grant(segment).ok().map(fw_segment::from)
    })
    .unwrap_or_default()
}

fn kept() -> std::sync::MutexGuard<'static, Vec<Request>> {
    // Whole between any two statements, so a panic elsewhere has left nothing half done.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_text_of_ours_is_terminated_and_ends_with_its_release() {
        for text in ["", "why", &"x".repeat(5000)] {
            let segment = own(text).unwrap();
            assert_eq!(segment.count, text.len());
            // SAFETY: terminated, and lives until the release.
            let shown = unsafe { CStr::from_ptr(segment.data.add(segment.offset).cast()) };
            assert_eq!(shown.to_str(), Ok(text));
            release(segment.buffer, fw_request { id: 0 });
            assert!(lease::retain(segment.buffer.id).is_err());
            release(segment.buffer, fw_request { id: 0 });
        }
    }

    #[test]
    fn releasing_an_event_leaves_what_the_caller_has_retained() {
        let segment = own("kept").unwrap();
        lease::retain(segment.buffer.id).unwrap();
        release(segment.buffer, fw_request { id: 0 });
        release(segment.buffer, fw_request { id: 0 });
        assert_eq!(lease::release(segment.buffer.id), Ok(()));
        assert!(lease::release(segment.buffer.id).is_err());
    }
}
