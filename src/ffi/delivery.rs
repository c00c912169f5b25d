//! Delivers events: callbacks in poll mode or worker mode, or events taken from the queue.

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::time::Duration;

use super::args::{Enumeration, bool_from_c, number, pointer};
use super::buffers::fw_buffer;
use super::event;
use super::event_types::{fw_event, fw_event_type};
use super::guard::{guard, guard_or};
use super::request::fw_request;
use super::result::fw_result;
use super::socket::fw_socket;
use crate::client::{self, Dispatch, Event, EventType, Socket, Taken};
use crate::error::CallError;

/// Where the callbacks of a socket run.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum fw_dispatch {
    /// Inside fw_poll and fw_socket_poll, on the calling thread (the default).
    FW_DISPATCH_POLL = 0,
    /// On the socket's worker thread, as soon as the event occurs. Callbacks must be short: they
    /// delay all sockets of that thread.
    FW_DISPATCH_WORKER = 1,
}

// SAFETY: `repr(u32)`.
unsafe impl Enumeration for fw_dispatch {}

/// Sets where the callbacks of a socket run.
///
/// Events that are already queued for fw_poll stay queued.
///
/// In browsers, FW_DISPATCH_WORKER is NOT_SUPPORTED (FW_CAPABILITY_WORKER_DISPATCH).
///
/// \param socket The socket, closed.
/// \param dispatch Default FW_DISPATCH_POLL.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (unknown value); INVALID_STATE (not closed).
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_set_dispatch(socket: fw_socket, dispatch: MaybeUninit<fw_dispatch>) -> fw_result {
    guard(|| {
        let socket = socket.get()?;
        socket.set_dispatch(match number(dispatch) {
            0 => Dispatch::Poll,
            1 => Dispatch::Worker,
            other => return Err(CallError::argument(format!("{other} is not an fw_dispatch"))),
        })
    })
}

/// Enables an event that is disabled by default, for programs that use fw_next_event.
///
/// While FW_EVENT_REQUEST is enabled, every attempt to connect waits until its event is released.
/// While FW_EVENT_INCOMPLETE_FRAME is enabled, fragmented messages are delivered fragment by
/// fragment, not as a whole. Setting the callback for one of these events enables it as well.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS,
/// FW_CAPABILITY_FRAGMENTS).
///
/// \param socket The socket, in any state.
/// \param type FW_EVENT_REQUEST or FW_EVENT_INCOMPLETE_FRAME; all other events are always enabled.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (another type).
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
            other => {
                return Err(CallError::argument(format!("event type {other} cannot be enabled or disabled")));
            }
        };
        socket.enable_event(event_type, bool_from_c(enable))
    })
}

/// Runs the callbacks of queued events, within a budget.
///
/// Call it once per frame. Serves all sockets in poll mode round-robin, a few events each; the next
/// call continues with the next socket, so that no socket starves another. Without limits, it runs
/// what is queued when it is called. The callbacks, and finalizers of destroyed sockets, run on the
/// calling thread, and the call takes as long as they do; a running callback is never interrupted.
/// Sockets that another thread is polling are skipped, as is, inside a callback, that callback's
/// own socket.
///
/// \param max_events Maximum number of events; 0 for no limit.
/// \param max_microseconds No callback starts after this many microseconds; 0 for no limit.
/// \returns The number of events passed to a callback.
#[unsafe(no_mangle)]
pub extern "C" fn fw_poll(max_events: u32, max_microseconds: u32) -> usize {
    guard_or(0, || Ok(client::poll(max_events, max_microseconds)))
}

/// Runs the callbacks of one socket's queued events, within a budget.
///
/// Like fw_poll, for example for a loading screen that needs only one connection. Does nothing
/// while another thread polls the socket. Runs no finalizers.
///
/// \param socket The socket.
/// \param max_events Maximum number of events; 0 for no limit.
/// \param max_microseconds No callback starts after this many microseconds; 0 for no limit.
/// \returns The number of events passed to a callback; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_socket_poll(socket: fw_socket, max_events: u32, max_microseconds: u32) -> usize {
    guard_or(0, || socket.get()?.poll(max_events, max_microseconds))
}

/// Returns the number of events queued for fw_poll and fw_next_event, over all sockets.
///
/// \returns The number of events, exact while no other thread adds or takes events. Inside a
///   callback it may include that callback's own event and up to 15 delivered just before.
#[unsafe(no_mangle)]
pub extern "C" fn fw_pending() -> usize {
    guard_or(0, || Ok(client::pending()))
}

/// Waits until an event is queued for fw_poll or fw_next_event.
///
/// Blocks up to timeout_ms. For tools and servers; a game calls fw_poll once per frame instead.
/// Also waits before the first socket is created and after fw_shutdown, and then ends with the
/// first event. fw_shutdown on another thread ends the wait.
///
/// In browsers it returns at once (FW_CAPABILITY_WAIT).
///
/// \param timeout_ms Timeout in milliseconds; 0 does not block.
/// \returns true if an event is queued; false after the timeout or a shutdown.
#[unsafe(no_mangle)]
pub extern "C" fn fw_wait(timeout_ms: u32) -> bool {
    guard_or(false, || Ok(client::wait(Duration::from_millis(timeout_ms.into()))))
}

/// Takes the next event of any socket from the event queue.
///
/// For runtimes that native code must not call back. Takes from the same queue as fw_poll,
/// round-robin; sockets in worker mode have no events here. Runs no callbacks, except finalizers of
/// destroyed sockets. Skips sockets that another thread polls or takes events from and, inside a
/// callback, the socket of that callback: it may return false although fw_pending is not 0.
///
/// \param out Receives the event; FW_EVENT_NONE if there is none; not NULL.
/// \returns true if an event was taken, which must be released; false if none is queued, for NULL,
///   and when allocation fails: the message is lost and its connection dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_next_event(out: *mut fw_event) -> bool {
    guard_or(false, || {
        let out = pointer(out, "out")?;
        // SAFETY: not NULL and aligned; the caller promises that it can be written.
        unsafe { put_event(out, || Ok(client::next_event())) }
    })
}

/// Takes the next event of one socket, like fw_next_event, but runs no finalizers.
///
/// \param socket The socket.
/// \param out Receives the event; FW_EVENT_NONE if there is none; not NULL.
/// \returns true if an event was taken, which must be released; false if none is queued, for NULL
///   or an invalid handle, and when allocation fails: the message is lost and its connection
///   dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_next_event(socket: fw_socket, out: *mut fw_event) -> bool {
    guard_or(false, || {
        let found = socket.get();
        let out = match pointer(out, "out") {
            Ok(out) => out,
            Err(error) => return Err(found.err().unwrap_or(error)),
        };
        // SAFETY: not NULL and aligned; the caller promises that it can be written.
        unsafe { put_event(out, || found?.next_event()) }
    })
}

/// Takes several events at once, which needs fewer locks than fw_next_event.
///
/// Takes them in the same order, at most those that are queued when it is called. Runs no
/// callbacks, except finalizers of destroyed sockets, and skips the same sockets as fw_next_event.
/// Release them with fw_events_release, or each one with fw_event_release.
///
/// \param out Array of count events; receives those that were taken, in order.
/// \param count Maximum number of events; 0 does nothing.
/// \returns The number of events taken; 0 if none is queued, for NULL, and when allocation fails
///   for the first messages. Those, at most 32, are lost and their connection is dropped.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_next_events(out: *mut fw_event, count: usize) -> usize {
    let mut taken = 0;
    // Counts the events taken before a failure: the caller has to release them.
    guard_or((), || {
        // SAFETY: as the caller promises.
        unsafe { put_events(out, count, &mut taken, |put| Ok(client::take_events(count, put))) }
    });
    taken
}

/// Takes several events of one socket, like fw_next_events, but runs no finalizers.
///
/// \param socket The socket.
/// \param out Array of count events; receives those that were taken, in order.
/// \param count Maximum number of events; 0 does nothing.
/// \returns The number of events taken; 0 if none is queued, for NULL or an invalid handle, and
///   when allocation fails for the first messages. Those, at most 32, are lost and their connection
///   is dropped.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_socket_next_events(socket: fw_socket, out: *mut fw_event, count: usize) -> usize {
    let mut taken = 0;
    guard_or((), || {
        let socket = socket.get()?;
        // SAFETY: as the caller promises.
        unsafe { put_events(out, count, &mut taken, |put| socket.take_events(count, put)) }
    });
    taken
}

/// Releases several events, each like fw_event_release.
///
/// \param events Array of count events that were taken or are zero; NULL does nothing.
/// \param count Number of events.
/// \since 0.2.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_events_release(events: *mut fw_event, count: usize) {
    guard_or((), || {
        let events = array(events, count, "events")?;
        // SAFETY: the caller promises `count` events.
        event::release_several((0..count).map(|at| unsafe { take_owned(events.add(at)) }));
        Ok(())
    });
}

/// Releases an event.
///
/// What it points to becomes invalid, unless retained, and the event is zeroed. After
/// FW_EVENT_REQUEST the connection continues. Releasing an event twice, or an event of type
/// FW_EVENT_NONE, does nothing.
///
/// \param event An event that was taken or is zero; NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_event_release(event: *mut fw_event) {
    guard_or((), || {
        let event = pointer(event, "event")?.as_ptr();
        // SAFETY: not NULL and aligned; the caller promises an event that it may write.
        let (payload, request) = unsafe { take_owned(event) };
        event::release(payload, request);
        Ok(())
    });
}

/// Returns what an event owns, and zeroes it.
///
/// # Safety
/// It can be read and written.
#[inline]
unsafe fn take_owned(event: *mut fw_event) -> (fw_buffer, fw_request) {
    // Reads only ids, which may hold any value; the other fields may hold invalid bits.
    // SAFETY: as the caller promises.
    let owned = unsafe { ((*event).payload.buffer, (*event).request) };
    // SAFETY: as above.
    unsafe { event.write(fw_event::NONE) };
    owned
}

/// Writes events to an array of the caller, until one cannot be converted.
///
/// # Safety
/// `out` is NULL, or `count` events can be written there.
unsafe fn put_events(
    out: *mut fw_event,
    count: usize,
    taken: &mut usize,
    take: impl FnOnce(&mut dyn FnMut(&Socket, Taken<'_>) -> bool) -> Result<usize, CallError>,
) -> Result<(), CallError> {
    let out = array(out, count, "out")?;
    let mut failed = Ok(());
    take(&mut |socket, events| {
        // SAFETY: at most `count` are taken, and the caller promises room for them.
        match unsafe { event::taken_to_c(socket, events, out.add(*taken), count - *taken) } {
            Ok(written) => *taken += written,
            Err(error) => failed = Err(error),
        }
        failed.is_ok()
    })?;
    failed
}

/// Checks an array that C passed in. It may be NULL if it has no elements.
fn array<T>(first: *mut T, count: usize, what: &str) -> Result<*mut T, CallError> {
    if count == 0 {
        return Ok(NonNull::dangling().as_ptr());
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(CallError::argument(format!("{what} cannot have {count} elements")));
    }
    pointer(first, what).map(NonNull::as_ptr)
}

/// Writes an event, or `NONE`, to the caller's memory.
///
/// # Safety
/// `out` can be written.
unsafe fn put_event(
    out: NonNull<fw_event>,
    take: impl FnOnce() -> Result<Option<Event>, CallError>,
) -> Result<bool, CallError> {
    // SAFETY: as the caller promises. Before anything can fail, so that the caller can release it
    // in any case.
    unsafe { out.write(fw_event::NONE) };
    let Some(event) = take()? else { return Ok(false) };
    let event = event::event_to_c(event)?;
    // SAFETY: as above.
    unsafe { out.write(event) };
    Ok(true)
}
