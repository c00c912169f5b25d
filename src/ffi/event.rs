//! Converts events and payloads to their C structs, and tracks what a C event owns.
//!
//! ```text
//!   Event ── event_to_c ──> fw_event { payload, request } ── release ──> lease ended,
//!                                                                       request finished
//! ```
//!
//! An event owns a lease of its payload and an entry in [`REQUESTS`], both by id. Releasing an event
//! twice, or one that is copied or made up, therefore frees nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use super::buffers::{fw_buffer, fw_segment};
use super::error::describe;
use super::event_types::{fw_event, fw_event_type};
use super::message::fw_opcode;
use super::request::fw_request;
use super::socket::fw_socket;
use super::text::terminated;
use crate::client::{Event, EventKind, MessageType, Request, Segment, Socket};
use crate::client::{TakeMessages, Taken, lease, nth_handle};
use crate::error::{CallError, Error};
use crate::logging::{self, LogLevel};

/// Keeps the requests of unreleased events alive.
static REQUESTS: Mutex<Vec<Request>> = Mutex::new(Vec::new());

/// Converts an event; [`release`] frees what it owns. If that panics the event is lost, and the
/// connection is dropped rather than continued with a gap.
pub(super) fn event_to_c(event: Event) -> Result<fw_event, CallError> {
    let Event { socket, kind } = event;
    catch_unwind(AssertUnwindSafe(|| convert(&socket, kind))).unwrap_or_else(|panic| {
        socket.fault("the library panicked while it delivered an event, which is lost");
        resume_unwind(panic)
    })
}

/// Converts what was taken from the queue, and writes it to `out` for at most `room` events. Returns how many
/// were written; if that is none, they are lost and the connection is dropped.
///
/// # Safety
/// `room` events can be written to `out`, at least one.
pub(super) unsafe fn taken_to_c(
    socket: &Socket,
    taken: Taken<'_>,
    out: *mut fw_event,
    room: usize,
) -> Result<usize, CallError> {
    let messages = match taken {
        Taken::Event(kind) => {
            // SAFETY: as the caller promises.
            unsafe { out.write(event_to_c(Event { socket: socket.clone(), kind })?) };
            return Ok(1);
        }
        Taken::Messages(messages) => messages,
    };
    // SAFETY: as the caller promises.
    let convert = AssertUnwindSafe(|| unsafe { messages_to_c(socket, messages, out, room) });
    catch_unwind(convert).unwrap_or_else(|panic| {
        socket.fault("the library panicked while it delivered messages, which are lost");
        resume_unwind(panic)
    })
}

/// Writes messages that share one lease.
///
/// # Safety
/// As [`taken_to_c`].
unsafe fn messages_to_c(
    socket: &Socket,
    messages: &mut TakeMessages,
    out: *mut fw_event,
    room: usize,
) -> Result<usize, CallError> {
    let frames = messages.frames();
    let mut ranges = [(0, 0); lease::MAX_GROUP];
    let mut types = [MessageType::Binary; lease::MAX_GROUP];
    let mut count = 0;
    while count < room.min(lease::MAX_GROUP) {
        let Some(message) = messages.next() else { break };
        ranges[count] = (message.start as u32, message.end as u32);
        types[count] = message.message_type;
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    let leased = lease::create_group(frames, count, ranges);
    let first = leased.inspect_err(|error| lost(socket, error))?;
    let mut event = fw_event {
        socket: fw_socket::from(socket),
        user_data: std::ptr::with_exposed_provenance_mut(socket.user_data()),
        is_first: 1,
        is_final: 1,
        ..fw_event::NONE
    };
    for (index, (&(start, end), message_type)) in ranges[..count].iter().zip(types).enumerate() {
        (event.r#type, event.opcode) = match message_type {
            MessageType::Text => (fw_event_type::FW_EVENT_TEXT, fw_opcode::FW_OPCODE_TEXT),
            MessageType::Binary => (fw_event_type::FW_EVENT_BINARY, fw_opcode::FW_OPCODE_BINARY),
        };
        event.payload = fw_segment {
            data: first.data,
            offset: first.offset + (start - ranges[0].0) as usize,
            count: (end - start) as usize,
            buffer: fw_buffer { id: nth_handle(first.id, index) },
        };
        // SAFETY: the caller promises `room` events.
        unsafe { out.add(index).write(event) };
    }
    Ok(count)
}

fn convert(socket: &Socket, kind: EventKind) -> Result<fw_event, CallError> {
    let mut event = fw_event {
        socket: fw_socket::from(socket),
        user_data: std::ptr::with_exposed_provenance_mut(socket.user_data()),
        ..fw_event::NONE
    };
    let set_whole_message = |event: &mut fw_event, opcode| {
        (event.opcode, event.is_first, event.is_final) = (opcode, 1, 1);
    };
    match kind {
        EventKind::Open => event.r#type = fw_event_type::FW_EVENT_OPEN,
        EventKind::Text(payload) => {
            event.r#type = fw_event_type::FW_EVENT_TEXT;
            set_whole_message(&mut event, fw_opcode::FW_OPCODE_TEXT);
            event.payload = segment_to_c(socket, payload)?;
        }
        EventKind::Binary(payload) => {
            event.r#type = fw_event_type::FW_EVENT_BINARY;
            set_whole_message(&mut event, fw_opcode::FW_OPCODE_BINARY);
            event.payload = segment_to_c(socket, payload)?;
        }
        EventKind::IncompleteFrame(frame) => {
            event.r#type = fw_event_type::FW_EVENT_INCOMPLETE_FRAME;
            event.opcode = frame.opcode.into();
            (event.is_first, event.is_final) = (frame.is_first.into(), frame.is_final.into());
            event.payload = segment_to_c(socket, frame.payload)?;
        }
        EventKind::Encoded { message_type, rsv, payload } => {
            event.r#type = fw_event_type::FW_EVENT_ENCODED;
            set_whole_message(&mut event, message_type.into());
            event.rsv = rsv.into();
            event.payload = segment_to_c(socket, payload)?;
        }
        EventKind::Request(request) => {
            event.r#type = fw_event_type::FW_EVENT_REQUEST;
            event.request = fw_request { id: request.id() };
            requests().push(request);
        }
        EventKind::Pong(payload) => {
            event.r#type = fw_event_type::FW_EVENT_PONG;
            event.payload = segment_to_c(socket, payload)?;
        }
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            event.r#type = fw_event_type::FW_EVENT_RECONNECTING;
            (event.attempt, event.delay_ms) = (attempt, delay_ms);
            set_error(&mut event, &error);
        }
        EventKind::Closed { code, reason } => {
            event.r#type = fw_event_type::FW_EVENT_CLOSED;
            event.close_code = code;
            event.payload = text_to_c(&reason).unwrap_or(fw_segment::NONE);
        }
        EventKind::Error(error) => {
            event.r#type = fw_event_type::FW_EVENT_ERROR;
            set_error(&mut event, &error);
        }
        EventKind::Sent { tag, outcome } => {
            event.r#type = fw_event_type::FW_EVENT_SENT;
            (event.tag, event.outcome) = (tag, outcome.into());
        }
    }
    Ok(event)
}

/// Sets the error, and its message as the payload.
fn set_error(event: &mut fw_event, error: &Error) {
    event.payload = text_to_c(&error.message).unwrap_or(fw_segment::NONE);
    event.error = describe(error);
    event.error.message = match event.payload.data.is_null() {
        true => c"out of memory: no error message".as_ptr(),
        // SAFETY: `text_to_c` has written the text and its NUL there.
        false => unsafe { event.payload.data.add(event.payload.offset) }.cast_const().cast(),
    };
}

/// Releases what an event owns.
pub(super) fn release(payload: fw_buffer, request: fw_request) {
    lease::end(payload.id);
    if request.id != 0 {
        finish(request);
    }
}

/// Releases what several events own: `next` returns the payload and the request of each. Payloads that were
/// leased together are released together.
pub(super) fn release_several(next: impl Iterator<Item = (fw_buffer, fw_request)>) {
    let (mut first, mut count) = (0, 0);
    for (payload, request) in next {
        if count > 0 && payload.id == nth_handle(first, count) {
            count += 1;
        } else {
            lease::end_several(first, count);
            (first, count) = (payload.id, 1);
        }
        if request.id != 0 {
            finish(request);
        }
    }
    lease::end_several(first, count);
}

fn finish(request: fw_request) {
    let mut requests = requests();
    let found = requests.iter().position(|owned| owned.id() == request.id);
    let request = found.map(|at| requests.swap_remove(at));
    // `finish` must not run while the lock is held.
    drop(requests);
    if let Some(request) = request {
        request.finish();
    }
}

/// Drops the requests of events that were never released, after all sockets were destroyed.
pub(super) fn drop_requests() {
    let requests = std::mem::take(&mut *requests());
    drop(requests);
}

/// Calls `callback` with a received segment, which is leased until it returns.
pub(super) fn with_segment(socket: &Socket, payload: &Segment, callback: impl FnOnce(fw_segment)) {
    if let Ok(segment) = segment_to_c(socket, payload.clone()) {
        callback(segment);
        lease::end(segment.buffer.id);
    }
}

/// Leases a received segment. If the lease cannot be allocated the message is lost, and the connection
/// is dropped rather than continued with a gap.
fn segment_to_c(socket: &Socket, payload: Segment) -> Result<fw_segment, CallError> {
    lease::create(payload).map(fw_segment::from).inspect_err(|error| lost(socket, error))
}

/// Messages could not be leased.
fn lost(socket: &Socket, error: &CallError) {
    logging::write(
        LogLevel::Error,
        socket.id(),
        "",
        format_args!("message lost and connection dropped: {error}"),
    );
    socket.fault("there was no memory to deliver a message, which is lost");
}

/// Copies a text into a payload, with a NUL after its end.
fn text_to_c(text: &str) -> Option<fw_segment> {
    // A terminal event must be delivered even if its text cannot be allocated.
    catch_unwind(|| {
        let segment = Segment::copy_of(&terminated(text)).ok()?.slice(0, text.len());
        lease::create(segment).ok().map(fw_segment::from)
    })
    .unwrap_or_default()
}

fn requests() -> std::sync::MutexGuard<'static, Vec<Request>> {
    // Every statement leaves the list consistent, so a poisoned lock does no harm.
    REQUESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn text_payload_is_nul_terminated_and_freed_on_release() {
        for text in ["", "why", &"x".repeat(5000)] {
            let segment = text_to_c(text).unwrap();
            assert_eq!(segment.count, text.len());
            // SAFETY: terminated, and valid until the release.
            let copied = unsafe { CStr::from_ptr(segment.data.add(segment.offset).cast()) };
            assert_eq!(copied.to_str(), Ok(text));
            release(segment.buffer, fw_request { id: 0 });
            assert!(lease::retain(segment.buffer.id).is_err());
            release(segment.buffer, fw_request { id: 0 });
        }
    }

    #[test]
    fn retained_payload_outlives_its_event() {
        let segment = text_to_c("kept").unwrap();
        lease::retain(segment.buffer.id).unwrap();
        release(segment.buffer, fw_request { id: 0 });
        release(segment.buffer, fw_request { id: 0 });
        assert_eq!(lease::release(segment.buffer.id), Ok(()));
        assert!(lease::release(segment.buffer.id).is_err());
    }
}
