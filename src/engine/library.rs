//! The library as a whole: started by the first socket or explicitly, stopped by shutdown.
//!
//! ```text
//!   stopped ──start──> running ──shutdown──> stopping ──every thread joined──> stopped
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::connection::context::Context;
use super::shared::commands::DestroyMode;
use super::shared::inbox::NetworkChange;
use super::shared::settings::{Plan, Settings};
use super::shared::socket::{Inbox, ReadyList, Shared, Socket};
use super::shared::tls::TlsHandle;
use super::shared::{callbacks, delivery, origins, request, sockets};
use super::worker;
use crate::buffer;
use crate::error::{CallError, Code};
use crate::fault;
use crate::limits;
use crate::net::resolve::Resolver;
use crate::net::threads::{ThreadHooks, Threads};
use crate::net::tls::{self, TlsSettings};
use crate::sync::{Mutex, lock, statics};
use crate::wire::upgrade::UpgradeRequest;

statics! {
    static LIBRARY: Mutex<Stage> = Mutex::new(Stage::Stopped);
}

enum Stage {
    Stopped,
    Running(Arc<Library>),
    /// A shutdown is running, or has timed out; the next one continues it.
    Stopping(Arc<Library>),
}

/// Configuration of the library, for [`init`](crate::init). Zero and `None` select the default.
#[derive(Clone, Default)]
pub struct Config {
    /// Number of worker threads, at most 64 (default 1).
    pub worker_threads: usize,
    /// Size of the event queue of each socket in bytes (default 4 MiB). When it is full, the socket stops
    /// reading from the network.
    pub event_queue_bytes: usize,
    /// Called on each thread of the library when it starts.
    pub thread_started: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Called on each thread of the library before it ends.
    pub thread_stopped: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Library {
    ready_list: Arc<ReadyList>,
    workers: Vec<Arc<Inbox>>,
    threads: Mutex<Threads>,
    resolver: Resolver,
    next_worker: AtomicUsize,
    /// For sockets without TLS settings, so that they share a session cache.
    default_tls: Arc<TlsHandle>,
}

/// Starts the library.
pub fn start(config: Config) -> Result<(), CallError> {
    let mut stage = lock(&LIBRARY);
    match *stage {
        Stage::Stopped => {
            *stage = Stage::Running(launch(config)?);
            Ok(())
        }
        Stage::Running(_) => Err(CallError::state("the library is running already; shut it down first")),
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
    let worker = library.next_worker.fetch_add(1, Ordering::Relaxed) % library.workers.len();
    sockets::insert(library.ready_list.clone(), library.workers[worker].clone(), Settings::new(request))
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
        Stage::Running(library) => library.workers.get(home).cloned(),
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
        for worker in &library.workers {
            worker.report(change);
        }
    }
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
    if callbacks::inside() {
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
    library.resolver.stop();
    for worker in &library.workers {
        worker.stop(drained);
    }
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
    tls::forget_shared();
    origins::forget();
    sockets::shrink();
    request::shrink();
    buffer::lease::shrink();
    buffer::trim();
    Ok(())
}

/// Drops a socket's events and requests its worker to close the connection.
pub fn destroy(socket: &Arc<Shared>, mode: DestroyMode) {
    socket.discard_events();
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
    let count = match config.worker_threads {
        0 => limits::WORKER_THREADS,
        count => count,
    };
    let event_queue_bytes = match config.event_queue_bytes {
        0 => limits::EVENT_QUEUE_BYTES,
        bytes => bytes.max(limits::MIN_EVENT_QUEUE_BYTES),
    };
    let hooks = ThreadHooks { started: config.thread_started, stopped: config.thread_stopped };
    let resolver = Resolver::new(hooks.clone());
    let mut library = Library {
        ready_list: Arc::new(ReadyList::new(event_queue_bytes)),
        workers: Vec::new(),
        threads: Mutex::new(Threads::new(hooks.clone())),
        resolver: resolver.clone(),
        next_worker: AtomicUsize::new(0),
        default_tls: Arc::new(TlsHandle::new(TlsSettings::new())),
    };
    for number in 0..count {
        fault::point("engine.launch");
        let started = Inbox::new(number).and_then(|(inbox, poll)| {
            let (own, resolver, default_tls) = (inbox.clone(), resolver.clone(), library.default_tls.clone());
            let registry = poll.registry().try_clone()?;
            let body = move || worker::run(own, poll, Context::new(registry, resolver, default_tls));
            lock(&library.threads).spawn(&format!("io-{number}"), body)?;
            Ok(inbox)
        });
        match started {
            Ok(inbox) => library.workers.push(inbox),
            Err(error) => {
                return Err(CallError::new(
                    Code::OutOfMemory,
                    format!("no worker thread could be started: {error}"),
                ));
            }
        }
    }
    Ok(Arc::new(library))
}

fn shutting_down() -> CallError {
    CallError::new(Code::ShutDown, "the library is shutting down")
}

/// Joins the threads of a start that failed or panicked. After a shutdown there are none.
impl Drop for Library {
    fn drop(&mut self) {
        let deadline = Instant::now();
        for worker in &self.workers {
            worker.stop(deadline);
        }
        lock(&self.threads).join(deadline + limits::LONGEST_WAIT);
    }
}

impl Library {
    /// Waits until every thread has ended and no callback runs. False after the deadline.
    fn wait_for_threads(&self, deadline: Instant) -> bool {
        let workers_ended = lock(&self.threads).join(deadline);
        workers_ended && self.resolver.join(deadline) && until(deadline, || !self.ready_list.is_delivering())
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
