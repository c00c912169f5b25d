//! How events come: by callbacks inside fw_poll, by callbacks on the worker, or taken one by one.

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use super::args::{Enumeration, bool_from_c, number, pointer};
use super::event;
use super::event_types::{fw_event, fw_event_type};
use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::socket::fw_socket;
use crate::client::{self, Dispatch, Event, EventType};
use crate::error::CallError;

/// Where a socket's callbacks run.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_dispatch {
    /// Inside fw_poll, on the thread that calls it: the default.
    FW_DISPATCH_POLL = 0,
    /// On the socket's worker thread, as soon as anything happens. Callbacks must be quick: other
    /// sockets wait for them.
    FW_DISPATCH_WORKER = 1,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_dispatch {}

/// Chooses where the socket's callbacks run.
///
/// Events already queued for fw_poll stay there.
///
/// socket: the socket, closed.
/// dispatch: default FW_DISPATCH_POLL.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (no such number); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_dispatch(socket: fw_socket, dispatch: MaybeUninit<fw_dispatch>) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        socket.set_dispatch(match number(dispatch) {
            0 => Dispatch::Poll,
            1 => Dispatch::Worker,
            other => return Err(CallError::argument(format!("{other} is no way of dispatching"))),
        })
    })
}

/// Asks for an event that comes only to those who ask.
///
/// For programs that take events with fw_next_event: FW_EVENT_REQUEST makes every attempt wait until
/// its event is released, FW_EVENT_INCOMPLETE_FRAME replaces whole messages that come in several
/// frames. A callback asks by being set.
///
/// socket: the socket, in any state.
/// type: FW_EVENT_REQUEST or FW_EVENT_INCOMPLETE_FRAME; the others always come.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (another type).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_enable_event(
    socket: fw_socket,
    r#type: MaybeUninit<fw_event_type>,
    enable: MaybeUninit<bool>,
) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        let event_type = match number(r#type) {
            4 => EventType::IncompleteFrame,
            5 => EventType::Request,
            other => return Err(CallError::argument(format!("event {other} cannot be switched"))),
        };
        socket.enable_event(event_type, bool_from_c(enable))
    })
}

/// Runs waiting callbacks within a budget.
///
/// Goes round the sockets that have events, a few events each, and the next call goes on where this
/// one stopped, so that no socket starves another. Without limits it runs what waits when it is
/// called. A callback that has begun is never cut short. Inside a callback it leaves that callback's
/// socket alone.
///
/// max_events: callbacks to run at most; 0 for no limit.
/// max_microseconds: time after which no further callback begins; 0 for no limit.
/// Returns: how many events were given to a callback.
/// Threads: any; one at a time for each socket.
/// Callbacks: runs those of sockets in poll mode, and finalizers, on this thread.
/// Blocks: no; takes what its callbacks take.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_poll(max_events: u32, max_microseconds: u32) -> usize {
    guard_or(0, || Ok(client::poll(max_events, max_microseconds)))
}

/// Runs the waiting callbacks of one socket within a budget.
///
/// As fw_poll, for loading screens and the like that care for one connection.
///
/// socket: the socket.
/// max_events: callbacks to run at most; 0 for no limit.
/// max_microseconds: time after which no further callback begins; 0 for no limit.
/// Returns: how many events were given to a callback; 0 for a handle that is not valid.
/// Threads: any; one at a time for each socket.
/// Callbacks: runs those of this socket, in poll mode, on this thread.
/// Blocks: no; takes what its callbacks take.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_poll(socket: fw_socket, max_events: u32, max_microseconds: u32) -> usize {
    guard_or(0, || socket.get()?.poll(max_events, max_microseconds))
}

/// How many events wait for fw_poll or fw_next_event, over all sockets.
///
/// Returns: a number of events, exact when nothing moves. Inside a callback, its own event and up to 15
/// that were delivered right before it may still be among them.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_pending() -> usize {
    guard_or(0, || Ok(client::pending()))
}

/// Sleeps until an event waits for fw_poll or fw_next_event.
///
/// For tools and servers; a game polls once a frame instead. It sleeps as told also before the first
/// socket exists and after fw_shutdown, and wakes for the first event of a socket created meanwhile.
/// A fw_shutdown on another thread ends it early.
///
/// timeout_ms: how long to sleep at most, in milliseconds; 0 only looks.
/// Returns: true if an event waits; false when the time is over, or the library was shut down meanwhile.
/// Threads: any.
/// Callbacks: none.
/// Blocks: at most timeout_ms.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_wait(timeout_ms: u32) -> bool {
    guard_or(false, || Ok(client::wait(Duration::from_millis(timeout_ms.into()))))
}

/// Takes the next event of any socket.
///
/// The same queue as that of fw_poll, for runtimes into which native code must not call back. Only
/// sockets in poll mode have events here. Callbacks that are set are not called for it.
///
/// out: receives the event; its type is FW_EVENT_NONE when nothing waits; not NULL.
/// Returns: true if an event was taken, which must be released; false when nothing waits, or for
///   NULL; also when there is no memory to show a message, which drops its connection.
/// Threads: any.
/// Callbacks: finalizers of destroyed sockets may run on this thread.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_next_event(out: *mut fw_event) -> bool {
    guard_or(false, || {
        let out = pointer(out, "out")?;
        // SAFETY: not NULL and aligned; the caller's to write.
        unsafe { put_event(out, || Ok(client::next_event())) }
    })
}

/// Takes the next event of one socket.
///
/// As fw_next_event.
///
/// socket: the socket.
/// out: receives the event; its type is FW_EVENT_NONE when nothing waits; not NULL.
/// Returns: true if an event was taken, which must be released; false when nothing waits, for a
///   handle that is not valid, or for NULL; also when there is no memory to show a message, which
///   drops its connection.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_next_event(socket: fw_socket, out: *mut fw_event) -> bool {
    guard_or(false, || {
        let found = socket.get();
        let out = match pointer(out, "out") {
            Ok(out) => out,
            Err(error) => return Err(found.err().unwrap_or(error)),
        };
        // SAFETY: not NULL and aligned; the caller's to write.
        unsafe { put_event(out, || found?.next_event()) }
    })
}

/// Takes the next events of all sockets, several at once.
///
/// As fw_next_event called again and again, in the same order, with fewer locks. Takes at most what
/// waits when it is called. Release them with fw_events_release, or each with fw_event_release.
///
/// out: receives the events, the first so many of count; the others are not written; not NULL.
/// count: how many events fit there; 0 does nothing; more than fit into memory is refused.
/// Returns: how many events were taken; 0 when nothing waits, or for NULL; also when there is no
///   memory to show the first message, which drops its connection.
/// Threads: any.
/// Callbacks: finalizers of destroyed sockets may run on this thread.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_next_events(out: *mut fw_event, count: usize) -> usize {
    let mut taken = 0;
    // What was taken before a failure is the caller's to release.
    guard_or((), || {
        // SAFETY: passed on from our caller.
        unsafe { put_events(out, count, &mut taken, |put| Ok(client::next_events(count, put))) }
    });
    taken
}

/// Takes the next events of one socket, several at once.
///
/// As fw_next_events.
///
/// socket: the socket.
/// out: receives the events, the first so many of count; the others are not written; not NULL.
/// count: how many events fit there; 0 does nothing; more than fit into memory is refused.
/// Returns: how many events were taken; 0 when nothing waits, for a handle that is not valid, or for
///   NULL; also when there is no memory to show the first message, which drops its connection.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_next_events(socket: fw_socket, out: *mut fw_event, count: usize) -> usize {
    let mut taken = 0;
    guard_or((), || {
        let socket = socket.get()?;
        // SAFETY: passed on from our caller.
        unsafe { put_events(out, count, &mut taken, |put| socket.next_events(count, put)) }
    });
    taken
}

/// Releases several events.
///
/// As fw_event_release on each.
///
/// events: count events that were taken, or zeroed; NULL does nothing.
/// count: how many; more than fit into memory does nothing.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_events_release(events: *mut fw_event, count: usize) {
    guard_or((), || {
        let events = array(events, count, "events")?;
        for at in 0..count {
            // SAFETY: `count` events are there.
            unsafe { fw_event_release(events.add(at)) };
        }
        Ok(())
    });
}

/// Releases an event.
///
/// Everything that the event points to becomes invalid. After FW_EVENT_REQUEST the connection continues. The
/// event is zeroed. Releasing it twice, or releasing an event of FW_EVENT_NONE, does nothing.
///
/// event: an event that was taken, or zeroed; NULL does nothing.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_event_release(event: *mut fw_event) {
    guard_or((), || {
        let event = pointer(event, "event")?.as_ptr();
        // Only its numbers are read: the caller may have put anything elsewhere.
        // SAFETY: not NULL and aligned; the caller promises an event that it may write.
        let (payload, request) = unsafe { ((*event).payload.buffer, (*event).request) };
        // SAFETY: as above.
        unsafe { event.write(fw_event::NONE) };
        event::release(payload, request);
        Ok(())
    });
}

/// Puts events where the caller wants them, until one cannot be shown.
///
/// # Safety
/// `out` is NULL, or `count` events can be written there.
unsafe fn put_events(
    out: *mut fw_event,
    count: usize,
    taken: &mut usize,
    take: impl FnOnce(&mut dyn FnMut(Event) -> bool) -> Result<usize, CallError>,
) -> Result<(), CallError> {
    let out = array(out, count, "out")?;
    let mut failed = Ok(());
    take(&mut |event| {
        match event::event_to_c(event) {
            Ok(shown) => {
                // SAFETY: no more than `count` are taken.
                unsafe { out.add(*taken).write(shown) };
                *taken += 1;
            }
            Err(error) => failed = Err(error),
        }
        failed.is_ok()
    })?;
    failed
}

/// An array of the caller's. One of no elements may be NULL.
fn array<T>(first: *mut T, count: usize, what: &str) -> Result<*mut T, CallError> {
    if count == 0 {
        return Ok(NonNull::dangling().as_ptr());
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(CallError::argument(format!("{what} cannot have {count} elements")));
    }
    pointer(first, what).map(NonNull::as_ptr)
}

/// Puts an event, or none, where the caller wants it.
///
/// # Safety
/// `out` can be written.
unsafe fn put_event(
    out: NonNull<fw_event>,
    take: impl FnOnce() -> Result<Option<Event>, CallError>,
) -> Result<bool, CallError> {
    // SAFETY: passed on from our caller. Before anything can fail, so that what is there can always
    // be released.
    unsafe { out.write(fw_event::NONE) };
    let Some(event) = take()? else { return Ok(false) };
    let shown = event::event_to_c(event)?;
    // SAFETY: as above.
    unsafe { out.write(shown) };
    Ok(true)
}
