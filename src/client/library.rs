//! The library as a whole.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::library::{self, Config};
use crate::engine::shared::delivery::{self, Event};
use crate::engine::shared::inbox::NetworkChange;
use crate::engine::shared::ready_list;
use crate::error::CallError;
use crate::fault;
use crate::logging::{self, LogFn, LogLevel};

/// Starts the library with a configuration of the caller's. Optional: the first socket starts it
/// with defaults. Refused while it runs.
pub fn init(config: Config) -> Result<(), CallError> {
    library::start(config)
}

/// Destroys every socket and joins every thread of the library; when it returns no callback runs
/// or will run.
///
/// Graceful: open connections first send what is queued, then a close frame with code 1001, and wait
/// for the server to answer it, but no longer than it is silent for 250 ms. Sending may take three
/// quarters of the timeout, or all but half a second of it if that is more; what is not sent by then is
/// dropped and counted in the log. With a timeout of zero everything is dropped at once.
///
/// Like [`Socket::destroy`](crate::Socket::destroy) it waives terminal events; the finalizers that have
/// not run yet run here. Refused inside a callback. Gives [`TimedOut`](crate::Code::TimedOut) when a
/// thread or a callback has not ended within the timeout, or 100 ms if that is more; it can be called
/// again then.
pub fn shutdown(timeout: Duration) -> Result<(), CallError> {
    library::shutdown(timeout)
}

/// Runs waiting callbacks on this thread, at most `max_events` and for about `max_microseconds`
/// (0: no limit), round the sockets that have events. Returns how many events ran a callback.
pub fn poll(max_events: u32, max_microseconds: u32) -> usize {
    if ready_list::idle() {
        return 0;
    }
    fault::point("client.poll");
    library::ready_list().map_or(0, |ready_list| delivery::poll(&ready_list, max_events, max_microseconds))
}

/// Events that wait.
pub fn pending() -> usize {
    ready_list::pending()
}

/// Sleeps until an event waits, at most this long. Returns whether one does. It sleeps as told also while
/// the library does not run, and wakes for the first event of a socket that is made meanwhile;
/// a [`shutdown`] ends it early.
pub fn wait(timeout: Duration) -> bool {
    ready_list::wait(library::ready_list().as_deref(), timeout)
}

/// Takes the next event, without a callback.
pub fn next_event() -> Option<Event> {
    if ready_list::idle() {
        return None;
    }
    delivery::next_event(&library::ready_list()?)
}

/// Takes several events, at most `at_most`, in the same order as [`next_event`]: each goes to `put`,
/// until that returns false. Returns how many were taken, 0 when nothing waits.
pub fn next_events(at_most: usize, put: &mut dyn FnMut(Event) -> bool) -> usize {
    if ready_list::idle() {
        return 0;
    }
    library::ready_list().map_or(0, |ready_list| delivery::next_events(&ready_list, at_most, put))
}

/// The machine has another network than before, or may have: every connection is looked at.
///
/// Open ones are pinged at once; where nothing comes back within
/// [`PROBE_TIMEOUT`](crate::limits::PROBE_TIMEOUT) the connection counts as lost. Those that are on their
/// way to the server begin anew, within the time that is left to them, and a reconnect does not wait for
/// its delay.
pub fn network_changed() {
    library::report(NetworkChange { probe: true, ..NetworkChange::default() });
}

/// The process is about to sleep: until [`resume`] nothing that the sockets of this moment wait for is
/// too late, no pings are sent, and no reconnect begins.
pub fn suspend() {
    library::report(NetworkChange { suspended: Some(true), ..NetworkChange::default() });
}

/// The process has woken up: time goes on, and every connection is looked at as by
/// [`network_changed`].
pub fn resume() {
    library::report(NetworkChange { suspended: Some(false), probe: true });
}

/// Sends log lines up to `max` to `log`, which is called on whichever thread logs. `None`: to the
/// `log` crate.
pub fn set_log(max: LogLevel, log: Option<Arc<LogFn>>) {
    logging::set(max, log);
}
