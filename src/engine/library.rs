//! The library as a whole: started by the first socket or explicitly, stopped by shutdown.
//!
//! ```text
//!   stopped ──start──> running ──shutdown──> stopping ──every thread joined──> stopped
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[cfg(target_family = "wasm")]
use super::browser as workers;
use super::shared::commands::DestroyMode;
use super::shared::config::Config;
use super::shared::inbox::NetworkChange;
use super::shared::settings::{Plan, Settings, forget_opened};
use super::shared::socket::{ReadyList, Shared, Socket};
use super::shared::{delivery, origins, request, sockets};
#[cfg(not(target_family = "wasm"))]
use super::workers;
use crate::buffer;
use crate::capture::{CaptureFile, CaptureOptions};
use crate::clock::Instant;
use crate::error::{CallError, Code};
use crate::inside::inside;
use crate::limits;
use crate::net::link::LinkConditions;
use crate::net::tls;
use crate::sync::{Mutex, lock, statics};
use crate::wire::upgrade::UpgradeRequest;

statics! {
    static LIBRARY: Mutex<Stage> = Mutex::new(Stage::Stopped);
    /// The simulated link of sockets that are created later.
    static LINK: Mutex<Option<Arc<LinkConditions>>> = Mutex::new(None);
    /// The capture of sockets that are created later.
    static CAPTURE: Mutex<Option<Capture>> = Mutex::new(None);
    /// Held while a setting of every socket changes, so that two changes do not mix. Lock order: before all others.
    static CHANGE: Mutex<()> = Mutex::new(());
}

/// The capture of every socket.
struct Capture {
    path: PathBuf,
    options: CaptureOptions,
    /// None until a socket needs it.
    file: Option<Arc<CaptureFile>>,
}

enum Stage {
    Stopped,
    Running(Arc<Library>),
    /// A shutdown is running, or has timed out; the next one continues it.
    Stopping(Arc<Library>),
}

struct Library {
    ready_list: Arc<ReadyList>,
    workers: workers::Workers,
    next_worker: AtomicUsize,
}

/// Starts the library.
pub fn start(config: Config) -> Result<(), CallError> {
    let mut stage = lock(&LIBRARY);
    match *stage {
        Stage::Stopped => {
            *stage = Stage::Running(launch(config)?);
            Ok(())
        }
        Stage::Running(_) => Err(CallError::state(
            "the library is running already: configure it before the first socket is created, or shut it down first",
        )),
        Stage::Stopping(_) => Err(shutting_down()),
    }
}

/// Creates a socket, and starts the library with defaults if it is not running.
pub fn create(request: UpgradeRequest) -> Result<Socket, CallError> {
    let mut stage = lock(&LIBRARY);
    if let Stage::Stopped = *stage {
        *stage = Stage::Running(launch(Config::default())?);
    }
    let Stage::Running(library) = &*stage else { return Err(shutting_down()) };
    let inboxes = library.workers.inboxes();
    let worker = library.next_worker.fetch_add(1, Ordering::Relaxed) % inboxes.len();
    let mut settings = Settings::new(request);
    // Locked until the socket is in the table, so that a change reaches it one way or the other.
    let link = lock(&LINK);
    settings.link = link.clone();
    let mut capture = lock(&CAPTURE);
    if let Some(capture) = &mut *capture {
        if capture.file.is_none() {
            capture.file = Some(library.workers.open_capture(&capture.path, capture.options)?);
        }
        settings.capture.clone_from(&capture.file);
    }
    sockets::insert(library.ready_list.clone(), inboxes[worker].clone(), settings)
}

/// Sets the simulated link of every socket, and of those that are created until the library is shut down.
pub fn set_link(link: Option<LinkConditions>) {
    let link = link.map(Arc::new);
    let _alone = lock(&CHANGE);
    // Not locked while sockets are changed: a socket that opens locks its commands before the library.
    lock(&LINK).clone_from(&link);
    for Socket(socket) in sockets::all() {
        socket.set_link(link.clone());
    }
}

/// Opens a file for captures.
pub fn open_capture(path: &Path, options: CaptureOptions) -> Result<Arc<CaptureFile>, CallError> {
    running()?.workers.open_capture(path, options)
}

/// Sets the capture of every socket, and of those that are created until the library is shut down.
pub fn set_capture(capture: Option<(PathBuf, CaptureOptions)>) -> Result<(), CallError> {
    // Without a running library there are no sockets. The first one opens the file.
    let file = match (&capture, running()) {
        (Some((path, options)), Ok(library)) => Some(library.workers.open_capture(path, *options)?),
        _ => None,
    };
    let _alone = lock(&CHANGE);
    // Not locked while sockets are changed, as above; files are closed without the lock too.
    let capture = capture.map(|(path, options)| Capture { path, options, file: file.clone() });
    let earlier = std::mem::replace(&mut *lock(&CAPTURE), capture);
    drop(earlier);
    for Socket(socket) in sockets::all() {
        socket.set_capture(file.clone());
    }
    Ok(())
}

/// Moves a closed socket to the worker on which the sockets of its server share HTTP/2 connections. To be
/// called with the socket's `to_worker` locked.
pub fn place(socket: &Shared, plan: &Plan) {
    let own = socket.worker().number();
    let Some(name) = plan.shared_by() else { return };
    let home = origins::home(name, own);
    if home == own {
        return;
    }
    let worker = match &*lock(&LIBRARY) {
        Stage::Running(library) => library.workers.inboxes().get(home).cloned(),
        _ => None,
    };
    if let Some(worker) = worker {
        socket.move_to(worker);
    }
}

fn running() -> Result<Arc<Library>, CallError> {
    match &*lock(&LIBRARY) {
        Stage::Running(library) => Ok(library.clone()),
        _ => Err(shutting_down()),
    }
}

/// Reports a change of the machine to every connection. Does nothing if the library is not running.
pub fn report(change: NetworkChange) {
    if let Ok(library) = running() {
        for worker in library.workers.inboxes() {
            worker.report(change);
        }
    }
}

/// Runs what is due on the calling thread, if there are no worker threads.
#[inline]
pub fn drive() {
    workers::drive();
}

/// The ready list of the running library.
pub fn ready_list() -> Option<Arc<ReadyList>> {
    match &*lock(&LIBRARY) {
        Stage::Running(library) => Some(library.ready_list.clone()),
        _ => None,
    }
}

/// Destroys every socket and joins every thread.
///
/// Open connections first send what is queued and complete the closing handshake. They have the timeout for
/// it except its last quarter, at most [`limits::SHUTDOWN_RESERVE`], in which the threads end.
pub fn shutdown(timeout: Duration) -> Result<(), CallError> {
    if inside() {
        return Err(CallError::state("a callback is running on this thread, and shutdown would wait for it"));
    }
    let timeout = timeout.min(limits::LONGEST_WAIT);
    let started = Instant::now();
    let drained = started + timeout - (timeout / 4).min(limits::SHUTDOWN_RESERVE);
    let deadline = started + timeout.max(limits::SHUTDOWN_MINIMUM);
    let library = {
        let mut stage = lock(&LIBRARY);
        match std::mem::replace(&mut *stage, Stage::Stopped) {
            Stage::Stopped => return Ok(()),
            Stage::Running(library) | Stage::Stopping(library) => {
                *stage = Stage::Stopping(library.clone());
                library
            }
        }
    };
    let mode = if timeout.is_zero() { DestroyMode::Discard } else { DestroyMode::Drain { until: drained } };
    for socket in sockets::remove_all() {
        destroy(&socket.0, mode);
    }
    library.workers.stop(drained);
    library.ready_list.stop();
    if !library.wait_for_threads(deadline) {
        return Err(CallError::new(
            Code::TimedOut,
            "a thread or a callback did not end in time; call again to continue waiting",
        ));
    }
    delivery::close(&library.ready_list);
    {
        let mut stage = lock(&LIBRARY);
        // Another thread may have shut this library down meanwhile, and started the next one.
        if matches!(&*stage, Stage::Stopping(stopped) if Arc::ptr_eq(stopped, &library)) {
            *stage = Stage::Stopped;
        }
    }
    drop(library);
    *lock(&LINK) = None;
    *lock(&CAPTURE) = None;
    tls::forget_shared();
    origins::forget();
    forget_opened();
    sockets::shrink();
    request::shrink();
    buffer::lease::shrink();
    buffer::trim();
    Ok(())
}

/// Drops a socket's events and requests its worker to close the connection.
pub fn destroy(socket: &Arc<Shared>, mode: DestroyMode) {
    socket.discard_events();
    socket.release_capture();
    lock(&socket.to_worker).commands().destroy = Some(mode);
    socket.notify();
}

fn launch(config: Config) -> Result<Arc<Library>, CallError> {
    if config.worker_threads > limits::MAX_WORKER_THREADS {
        return Err(CallError::argument(format!(
            "worker_threads must be at most {}",
            limits::MAX_WORKER_THREADS
        )));
    }
    let event_queue_bytes = match config.event_queue_bytes {
        0 => limits::EVENT_QUEUE_BYTES,
        bytes => bytes.max(limits::MIN_EVENT_QUEUE_BYTES),
    };
    let ready_list = Arc::new(ReadyList::new(event_queue_bytes));
    Ok(Arc::new(Library {
        ready_list,
        workers: workers::Workers::start(config)?,
        next_worker: AtomicUsize::new(0),
    }))
}

fn shutting_down() -> CallError {
    CallError::new(Code::ShutDown, "the library is shutting down")
}

impl Library {
    /// Waits until every thread has ended and no callback runs. False after the deadline.
    fn wait_for_threads(&self, deadline: Instant) -> bool {
        self.workers.join(deadline) && until(deadline, || !self.ready_list.is_delivering())
    }
}

/// Waits by sleeping in small steps: shutdown is the one function that may block.
fn until(deadline: Instant, done: impl Fn() -> bool) -> bool {
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}
