//! Starting, stopping and polling the library.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::capabilities::{Capability, capabilities, require};
use crate::capture::CaptureOptions;
use crate::engine::library;
use crate::engine::shared::config::Config;
use crate::engine::shared::delivery::{self, Event, Taken};
use crate::engine::shared::event::EventKind;
use crate::engine::shared::inbox::NetworkChange;
use crate::engine::shared::ready_list;
use crate::engine::shared::socket::Socket;
use crate::error::CallError;
use crate::fault;
use crate::logging::{self, LogFn, LogLevel};
use crate::net::link::LinkConditions;

/// Starts the library with this configuration. Optional: the first socket starts it with defaults.
///
/// Returns [`InvalidState`](crate::Code::InvalidState) while the library runs.
pub fn init(config: Config) -> Result<(), CallError> {
    library::start(config)
}

/// Shuts the library down: destroys every socket and joins every thread. After it returned `Ok`, no callback
/// runs. The library can be started again.
///
/// The shutdown is graceful: open connections send what is queued, then a close frame with code 1001, and
/// wait for the server's close frame, until the server has been silent for 250 ms. Sending may take three
/// quarters of the timeout, or all but half a second of it if that is more; what is not sent by then is
/// dropped and counted in the log. A timeout of zero drops everything immediately.
///
/// In browsers it does not wait: the browser sends what is queued and closes with code 1000.
///
/// Like [`Socket::destroy`](crate::Socket::destroy), it suppresses terminal events; finalizers that have not
/// run yet run now.
///
/// Returns [`InvalidState`](crate::Code::InvalidState) inside a callback, in the log function and on a thread of the
/// library, and
/// [`TimedOut`](crate::Code::TimedOut) when a thread or a callback has not ended within the timeout (at least
/// 100 ms); call it again then.
pub fn shutdown(timeout: Duration) -> Result<(), CallError> {
    library::shutdown(timeout)
}

/// Runs the callbacks of queued events on this thread: at most `max_events`, for about `max_microseconds`
/// (0: no limit). Returns how many events ran a callback.
///
/// Sockets that have events take turns, a few events each, so a busy socket does not delay the others.
pub fn poll(max_events: u32, max_microseconds: u32) -> usize {
    library::drive();
    if ready_list::idle() {
        return 0;
    }
    fault::point("client.poll");
    library::ready_list().map_or(0, |ready_list| delivery::poll(&ready_list, max_events, max_microseconds))
}

/// Returns the number of queued events.
pub fn pending() -> usize {
    library::drive();
    ready_list::pending()
}

/// Blocks until an event is queued or the timeout elapses. Returns whether an event is queued.
///
/// It also waits while the library does not run, for an event of a socket that is created meanwhile.
/// [`shutdown`] ends it early. Without [`Capability::Wait`] it returns immediately.
pub fn wait(timeout: Duration) -> bool {
    library::drive();
    let timeout = if capabilities().contains(Capability::Wait) { timeout } else { Duration::ZERO };
    ready_list::wait(library::ready_list().as_deref(), timeout)
}

/// Takes the next event from the queue, without running a callback. Sockets take turns as in [`poll`].
pub fn next_event() -> Option<Event> {
    library::drive();
    if ready_list::idle() {
        return None;
    }
    delivery::next_event(&library::ready_list()?)
}

/// Takes up to `at_most` events in the order of [`next_event`] and passes each to `put`, until that returns
/// false. Returns how many it took.
pub fn next_events(at_most: usize, put: &mut dyn FnMut(Event) -> bool) -> usize {
    take_events(at_most, &mut |socket, taken| {
        pass_on(taken, &mut |kind| put(Event { socket: socket.clone(), kind }))
    })
}

/// As [`next_events`], with consecutive messages of one block together.
pub(crate) fn take_events(at_most: usize, put: &mut dyn FnMut(&Socket, Taken<'_>) -> bool) -> usize {
    library::drive();
    if ready_list::idle() {
        return 0;
    }
    library::ready_list().map_or(0, |ready_list| delivery::next_events(&ready_list, at_most, put))
}

/// Passes events on one by one.
#[inline]
pub(super) fn pass_on(taken: Taken<'_>, put: &mut impl FnMut(EventKind) -> bool) -> bool {
    match taken {
        Taken::Event(kind) => put(kind),
        Taken::Messages(messages) => {
            while let Some(message) = messages.take() {
                if !put(message) {
                    return false;
                }
            }
            true
        }
    }
}

/// Notifies the library that the network may have changed, for example from Wi-Fi to mobile data.
///
/// Open connections send a ping; one that receives nothing within 3 seconds is lost. Connections that are
/// being established start again, within what is left of their connect timeout. A reconnect that waits for
/// its delay starts immediately.
///
/// Where reconnecting is enabled, a new connection is opened while the old one is probed, immediately if the
/// local address has changed and otherwise after 500 ms without a response. Whichever is ready first is used:
/// if it is the new one, the events are [`EventKind::Reconnecting`] and [`EventKind::Open`], while the socket
/// stays open and continues to accept messages.
pub fn network_changed() {
    library::report(NetworkChange { probe: true, ..NetworkChange::default() });
}

/// Notifies the library that the process is about to be suspended. Until [`resume`], timeouts of existing
/// sockets are paused, no pings are sent and no reconnect starts.
pub fn suspend() {
    library::report(NetworkChange { suspended: Some(true), ..NetworkChange::default() });
}

/// Notifies the library that the process runs again. Timeouts continue, and every connection is checked as by
/// [`network_changed`].
pub fn resume() {
    library::report(NetworkChange { suspended: Some(false), probe: true });
}

/// Sets the simulated network link of every socket, those that exist and those that are created until the library
/// is shut down; see [`Socket::set_link`](crate::Socket::set_link), which changes that of one socket. `None` disables
/// it for all.
///
/// Needs [`Capability::Link`].
pub fn set_link(link: Option<LinkConditions>) -> Result<(), CallError> {
    if let Some(link) = &link {
        require(Capability::Link)?;
        link.check()?;
    }
    library::set_link(link);
    Ok(())
}

/// Captures the traffic of every socket to a pcapng file, which Wireshark opens: of those that exist and of those that
/// are created until the library is shut down or [`end_capture`] is called. See
/// [`Socket::set_capture`](crate::Socket::set_capture), which captures one socket.
///
/// Needs [`Capability::Capture`].
pub fn set_capture(path: impl AsRef<Path>, options: CaptureOptions) -> Result<(), CallError> {
    let path = check_capture(path.as_ref())?;
    library::set_capture(Some((path.to_owned(), options)))
}

/// Ends the captures of every socket.
pub fn end_capture() {
    // Only starting one fails.
    let _ = library::set_capture(None);
}

/// Fails if nothing can be captured to the path.
pub(super) fn check_capture(path: &Path) -> Result<&Path, CallError> {
    require(Capability::Capture)?;
    if path.as_os_str().is_empty() {
        return Err(CallError::argument("the path of the capture is empty"));
    }
    Ok(path)
}

/// Sets the log callback for lines up to the level `max`. It runs on the thread that logs; `None` logs to the
/// `log` crate (the default).
pub fn set_log(max: LogLevel, log: Option<Arc<LogFn>>) {
    logging::set(max, log);
}
