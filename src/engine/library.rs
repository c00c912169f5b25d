//! The library as a whole: it starts with the first socket, or when told to, and stops when told.
//!
//! ```text
//!   nothing ──start──> running ──shutdown──> stopping ──every thread joined──> nothing
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use super::callbacks;
use super::delivery;
use super::http2;
use super::hub::Hub;
use super::lock;
use super::request;
use super::socket::{Farewell, Plan, Settings, Shared, Socket};
use super::worker::{self, Inbox, News};
use crate::buffer;
use crate::error::{CallError, Code};
use crate::fault;
use crate::handles::Handles;
use crate::limits;
use crate::net::resolve::Resolver;
use crate::net::threads::{ThreadHooks, Threads};
use crate::net::tls::{self, TlsConnector, TlsSettings};
use crate::sync::{Mutex, statics};
use crate::wire::upgrade::UpgradeRequest;

statics! {
    static SOCKETS: Handles<Socket> = Handles::new();
    static LIBRARY: Mutex<Stage> = Mutex::new(Stage::Nothing);
}

enum Stage {
    Nothing,
    Running(Arc<Library>),
    /// A shutdown is on its way, or ran out of time; the next one goes on with it.
    Stopping(Arc<Library>),
}

/// How the library is to run. Zero and none mean the default.
#[derive(Clone, Default)]
pub struct Config {
    /// Threads that carry connections, at most [`limits::MAX_WORKER_THREADS`].
    pub worker_threads: usize,
    /// Unread events of one socket, in bytes, at which it stops reading from the network.
    pub event_queue_bytes: usize,
    /// Called first on each thread of the library.
    pub thread_started: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Called last on each thread of the library.
    pub thread_stopped: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Library {
    hub: Arc<Hub>,
    workers: Vec<Arc<Inbox>>,
    threads: Mutex<Threads>,
    resolver: Resolver,
    next_worker: AtomicUsize,
    /// What sockets without TLS settings of their own use, so that they share a session cache.
    default_tls: TlsHandle,
}

/// TLS settings that may change while sockets use them: later changes reach later connections.
pub struct TlsHandle {
    current: Mutex<(u64, Arc<TlsVersion>)>,
}

/// The settings between two changes, and what was made from them when first needed.
struct TlsVersion {
    settings: TlsSettings,
    /// Without HTTP/2 and with it.
    server: [OnceCell<TlsConnector>; 2],
    proxy: OnceCell<TlsConnector>,
}

impl TlsVersion {
    fn new(settings: TlsSettings) -> Arc<Self> {
        Arc::new(Self { settings, server: Default::default(), proxy: OnceCell::new() })
    }
}

impl TlsHandle {
    pub fn new(settings: TlsSettings) -> Self {
        Self { current: Mutex::new((0, TlsVersion::new(settings))) }
    }

    pub fn change<R>(&self, change: impl FnOnce(&mut TlsSettings) -> R) -> R {
        let mut current = lock(&self.current);
        let mut settings = current.1.settings.clone();
        let changed = change(&mut settings);
        *current = (current.0 + 1, TlsVersion::new(settings));
        changed
    }

    /// Another number after every change.
    pub fn version(&self) -> u64 {
        lock(&self.current).0
    }

    pub fn connector(&self, http2: bool) -> Result<TlsConnector, CallError> {
        let current = self.current();
        current.server[usize::from(http2)].get_or_try_init(|| current.settings.connector(http2)).cloned()
    }

    /// For a proxy that is spoken to over TLS.
    pub fn proxy_connector(&self) -> Result<TlsConnector, CallError> {
        let current = self.current();
        current.proxy.get_or_try_init(|| current.settings.for_proxy().connector(false)).cloned()
    }

    /// Nothing is locked while a connector is made: that may take milliseconds, and the game may want to
    /// change a setting.
    fn current(&self) -> Arc<TlsVersion> {
        lock(&self.current).1.clone()
    }
}

/// Starts the library.
pub fn start(config: Config) -> Result<(), CallError> {
    let mut stage = lock(&LIBRARY);
    match *stage {
        Stage::Nothing => {
            *stage = Stage::Running(launch(config)?);
            Ok(())
        }
        Stage::Running(_) => Err(CallError::state("the library runs already; shut it down first")),
        Stage::Stopping(_) => Err(shutting_down()),
    }
}

/// Makes a socket, and starts the library with defaults if it does not run.
pub fn create(request: UpgradeRequest) -> Result<Socket, CallError> {
    let mut stage = lock(&LIBRARY);
    if let Stage::Nothing = *stage {
        *stage = Stage::Running(launch(Config::default())?);
    }
    let Stage::Running(library) = &*stage else { return Err(shutting_down()) };
    let worker = library.next_worker.fetch_add(1, Ordering::Relaxed) % library.workers.len();
    let (hub, worker) = (library.hub.clone(), library.workers[worker].clone());
    let mut made = None;
    SOCKETS
        .insert_with(|id| {
            let socket = Socket(Arc::new(Shared::new(id, hub, worker, Settings::new(request))));
            made = Some(socket.clone());
            socket
        })
        .map_err(|_| CallError::out_of_memory())?;
    made.ok_or_else(CallError::out_of_memory)
}

/// Sees to it that sockets that may share a connection run on one worker. Call it with the socket's
/// `to_worker` locked, while it is closed.
pub fn place(socket: &Shared, plan: &Plan) {
    let own = socket.worker().number();
    let Some(name) = plan.shared_by() else { return };
    let home = http2::origins::home(name, own);
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

/// The socket behind a handle.
#[inline]
pub fn find(id: u64) -> Option<Socket> {
    SOCKETS.get(id)
}

/// Takes a socket's handle away.
pub fn forget(id: u64) -> Option<Socket> {
    SOCKETS.remove(id)
}

pub fn default_tls(http2: bool) -> Result<TlsConnector, CallError> {
    running()?.default_tls.connector(http2)
}

pub fn default_proxy_tls() -> Result<TlsConnector, CallError> {
    running()?.default_tls.proxy_connector()
}

fn running() -> Result<Arc<Library>, CallError> {
    match &*lock(&LIBRARY) {
        Stage::Running(library) => Ok(library.clone()),
        _ => Err(shutting_down()),
    }
}

/// Tells every connection what the host says of its machine. Without a library there is none.
pub fn tell(news: News) {
    if let Ok(library) = running() {
        for worker in &library.workers {
            worker.tell(news);
        }
    }
}

/// The hub of the running library.
pub fn hub() -> Option<Arc<Hub>> {
    match &*lock(&LIBRARY) {
        Stage::Running(library) => Some(library.hub.clone()),
        _ => None,
    }
}

/// Destroys every socket and joins every thread.
///
/// Open connections first send what is queued and complete the closing handshake. They have all of
/// the timeout for it but its last quarter, at most [`limits::SHUTDOWN_RESERVE`], in which the threads end.
pub fn shutdown(timeout: Duration) -> Result<(), CallError> {
    if callbacks::inside() {
        return Err(CallError::state("a callback is running on this thread, and shutdown would wait for it"));
    }
    let timeout = timeout.min(limits::LONGEST_WAIT);
    let begun = Instant::now();
    let drained = begun + timeout - (timeout / 4).min(limits::SHUTDOWN_RESERVE);
    let deadline = begun + timeout.max(limits::SHUTDOWN_MINIMUM);
    let library = {
        let mut stage = lock(&LIBRARY);
        match std::mem::replace(&mut *stage, Stage::Nothing) {
            Stage::Nothing => return Ok(()),
            Stage::Running(library) | Stage::Stopping(library) => {
                *stage = Stage::Stopping(library.clone());
                library
            }
        }
    };
    let farewell = if timeout.is_zero() { Farewell::Drop } else { Farewell::Drain { until: drained } };
    for socket in SOCKETS.remove_all() {
        destroy(&socket.0, farewell);
    }
    library.resolver.stop();
    for worker in &library.workers {
        worker.stop(drained);
    }
    library.hub.stop();
    if !library.wait_for_threads(deadline) {
        return Err(CallError::new(
            Code::TimedOut,
            "a thread or a callback did not end in time; call again to go on waiting",
        ));
    }
    library.hub.close();
    {
        let mut stage = lock(&LIBRARY);
        // Another thread may have shut this library down meanwhile, and started the next one.
        if matches!(&*stage, Stage::Stopping(stopped) if Arc::ptr_eq(stopped, &library)) {
            *stage = Stage::Nothing;
        }
    }
    drop(library);
    tls::forget_shared();
    http2::origins::forget();
    SOCKETS.shrink();
    request::shrink();
    buffer::lease::shrink();
    buffer::trim();
    Ok(())
}

/// Takes a socket out of the game's sight; its worker does the rest.
pub fn destroy(socket: &Arc<Shared>, farewell: Farewell) {
    delivery::shut(socket);
    lock(&socket.to_worker).wish().destroy = Some(farewell);
    socket.notify();
}

fn launch(config: Config) -> Result<Arc<Library>, CallError> {
    if config.worker_threads > limits::MAX_WORKER_THREADS {
        return Err(CallError::argument(format!("at most {} worker threads", limits::MAX_WORKER_THREADS)));
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
        hub: Arc::new(Hub::new(event_queue_bytes)),
        workers: Vec::new(),
        threads: Mutex::new(Threads::new(hooks.clone())),
        resolver: resolver.clone(),
        next_worker: AtomicUsize::new(0),
        default_tls: TlsHandle::new(TlsSettings::new()),
    };
    for number in 0..count {
        fault::point("engine.launch");
        let started = Inbox::new(number).and_then(|(inbox, poll)| {
            let (own, resolver, registry) = (inbox.clone(), resolver.clone(), poll.registry().try_clone()?);
            let body = move || worker::run(own, poll, registry, resolver);
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

/// A start that failed half-way, or panicked, leaves no thread behind. After a shutdown none is left.
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
    /// Whether every thread has ended, and no callback runs, by the deadline.
    fn wait_for_threads(&self, deadline: Instant) -> bool {
        let workers_ended = lock(&self.threads).join(deadline);
        workers_ended && self.resolver.join(deadline) && until(deadline, || !self.hub.is_delivering())
    }
}

/// Waits in small steps: this is the one call that may take its time, and it happens once.
fn until(deadline: Instant, done: impl Fn() -> bool) -> bool {
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}
