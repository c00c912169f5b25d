//! The worker threads of the library: start, stop and join.

use std::path::Path;
use std::sync::Arc;

use mio::{Poll, Registry, Token, Waker};

use super::connection::context::Context;
use super::shared::config::Config;
use super::shared::socket::Inbox;
use super::shared::tls::TlsHandle;
use super::worker;
use crate::capture::{self, CaptureFile, CaptureOptions};
use crate::clock::Instant;
use crate::error::{CallError, Code};
use crate::fault;
use crate::limits;
use crate::logging::{self, LogLevel};
use crate::net::resolve::Resolver;
use crate::net::threads::{ThreadHooks, Threads};
use crate::net::tls::TlsSettings;
use crate::net::watch::Watch;
use crate::sync::{Mutex, lock};

/// The waker's token among a worker's readiness events.
const WAKE: Token = Token(usize::MAX);

/// The workers, their threads and the resolver.
pub struct Workers {
    inboxes: Vec<Arc<Inbox>>,
    threads: Mutex<Threads>,
    resolver: Resolver,
    /// The thread that writes captures, while there are any.
    captures: Mutex<Threads>,
}

impl Workers {
    /// Starts the threads. If one cannot be started, the others end.
    pub fn start(config: Config) -> Result<Self, CallError> {
        let count = match config.worker_threads {
            0 => limits::WORKER_THREADS,
            count => count,
        };
        let hooks = ThreadHooks { started: config.thread_started, stopped: config.thread_stopped };
        let resolver = Resolver::new(hooks.clone());
        // For sockets without TLS settings, so that they share a session cache.
        let default_tls = Arc::new(TlsHandle::new(TlsSettings::new()));
        let mut workers = Self {
            inboxes: Vec::new(),
            threads: Mutex::new(Threads::new(hooks.clone())),
            resolver: resolver.clone(),
            captures: Mutex::new(Threads::new(hooks)),
        };
        let (watches, epoch) = (!config.ignore_network_changes, Instant::now());
        for number in 0..count {
            fault::point("engine.launch");
            let started = inbox(number).and_then(|(inbox, poll)| {
                let (own, resolver, default_tls) = (inbox.clone(), resolver.clone(), default_tls.clone());
                let registry = poll.registry().try_clone()?;
                let body = move || {
                    let mut context = Context::new(registry, resolver, default_tls, epoch);
                    context.watch = watches.then(|| watch(&context.registry)).flatten();
                    worker::run(own, poll, context);
                };
                lock(&workers.threads).spawn(&format!("io-{number}"), body)?;
                Ok(inbox)
            });
            match started {
                Ok(inbox) => workers.inboxes.push(inbox),
                Err(error) => {
                    return Err(CallError::new(
                        Code::OutOfMemory,
                        format!("no worker thread could be started: {error}"),
                    ));
                }
            }
        }
        Ok(workers)
    }

    /// The inbox of each worker.
    pub fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    /// Stops the workers, at the latest at `deadline`, and the resolver.
    pub fn stop(&self, deadline: Instant) {
        self.resolver.stop();
        for inbox in &self.inboxes {
            inbox.stop(deadline);
        }
    }

    /// Waits until every thread has ended. False after the deadline.
    pub fn join(&self, deadline: Instant) -> bool {
        if !lock(&self.threads).join(deadline) {
            return false;
        }
        // After the last connections have ended.
        capture::finish();
        lock(&self.captures).join(deadline) && self.resolver.join(deadline)
    }

    /// Opens a file for captures.
    pub fn open_capture(&self, path: &Path, options: CaptureOptions) -> Result<Arc<CaptureFile>, CallError> {
        capture::open(path, options, |body| lock(&self.captures).spawn("capture", body))
    }
}

/// Joins the threads of a start that failed or panicked. After a shutdown there are none.
impl Drop for Workers {
    fn drop(&mut self) {
        let deadline = Instant::now();
        for inbox in &self.inboxes {
            inbox.stop(deadline);
        }
        lock(&self.threads).join(deadline + limits::LONGEST_WAIT);
    }
}

/// Runs what is due on the calling thread: nothing, as the workers have threads.
#[inline]
pub fn drive() {}

/// Starts watching the network, where that is possible. Elsewhere the host reports changes.
fn watch(registry: &Registry) -> Option<Watch> {
    Watch::new(registry, worker::WATCH)
        .inspect_err(|error| {
            logging::write(LogLevel::Debug, 0, "", format_args!("the network is not watched: {error}"));
        })
        .ok()
}

fn inbox(number: usize) -> std::io::Result<(Arc<Inbox>, Poll)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    Ok((Arc::new(Inbox::new(number, Box::new(move || waker.wake()))), poll))
}
