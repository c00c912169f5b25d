//! Names to addresses, without keeping anybody waiting.
//!
//! The system's resolver blocks for as long as it likes and cannot be cancelled. It is asked on a
//! few threads of its own, which start with the first name; an answer that nobody wants any more
//! is dropped.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::threads::{self, ThreadHooks};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits;

/// Names that may wait to be asked for.
const QUEUE: usize = 1024;

pub type Answer = Result<Vec<SocketAddr>, Error>;
pub type Done = Box<dyn FnOnce(Answer) + Send>;

/// Cloning it counts a reference to the same threads.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    hooks: ThreadHooks,
    questions: Mutex<Option<Sender<Question>>>,
    waiting: Receiver<Question>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    busy: AtomicUsize,
}

struct Question {
    host: String,
    port: u16,
    cancelled: Arc<AtomicBool>,
    done: Done,
}

/// A question under way. When it is dropped the answer is not wanted any more.
pub struct Lookup(Arc<AtomicBool>);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The address, if the host is one.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

impl Resolver {
    pub fn new(hooks: ThreadHooks) -> Self {
        let (questions, waiting) = bounded(QUEUE);
        Self(Arc::new(Inner {
            hooks,
            questions: Mutex::new(Some(questions)),
            waiting,
            threads: Mutex::default(),
            busy: AtomicUsize::new(0),
        }))
    }

    /// Asks for the addresses of a name. `done` is called on a thread of the resolver, or here if
    /// the question cannot be asked, and never once the [`Lookup`] is dropped.
    pub fn resolve(&self, host: &str, port: u16, done: Done) -> Lookup {
        let cancelled = Arc::new(AtomicBool::new(false));
        let lookup = Lookup(cancelled.clone());
        let question = Question { host: host.to_owned(), port, cancelled, done };
        self.0.hire();
        let sent = match &*self.0.questions.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(questions) => questions.try_send(question),
            None => Err(TrySendError::Disconnected(question)),
        };
        if let Err(TrySendError::Full(question) | TrySendError::Disconnected(question)) = sent {
            let message = format!("the name {host} was not resolved: too many names are waiting already");
            (question.done)(Err(Error::new(ErrorKind::Resolve, Phase::Resolve, message)));
        }
        lookup
    }

    /// Asks nothing any more; the threads end when their current question is answered.
    pub fn stop(&self) {
        self.0.questions.lock().unwrap_or_else(PoisonError::into_inner).take();
        while self.0.waiting.try_recv().is_ok() {}
    }

    /// Whether all threads have ended by the deadline.
    pub fn join(&self, deadline: Instant) -> bool {
        let mut threads = self.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(thread) = threads.last() {
            while !thread.is_finished() {
                if Instant::now() >= deadline {
                    return false;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            if let Some(thread) = threads.pop() {
                // A panic of the thread was logged by itself.
                let _ = thread.join();
            }
        }
        true
    }
}

impl Inner {
    /// Starts another thread if all are busy and there may be more.
    fn hire(self: &Arc<Self>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() >= limits::RESOLVER_THREADS || self.busy.load(Ordering::Relaxed) < threads.len() {
            return;
        }
        let (waiting, name) = (self.waiting.clone(), format!("framewire-dns{}", threads.len()));
        let inner = Arc::downgrade(self);
        let body = move || {
            for question in waiting {
                let Some(inner) = inner.upgrade() else { return };
                inner.busy.fetch_add(1, Ordering::Relaxed);
                question.answer();
                inner.busy.fetch_sub(1, Ordering::Relaxed);
            }
        };
        // Without a thread the question waits for another one, or for the connect deadline.
        if let Ok(thread) = threads::spawn(&name, &self.hooks, body) {
            threads.push(thread);
        }
    }
}

impl Question {
    fn answer(self) {
        if self.cancelled.load(Ordering::Relaxed) {
            return;
        }
        let answer = ask_system(&self.host, self.port);
        if !self.cancelled.load(Ordering::Relaxed) {
            (self.done)(answer);
        }
    }
}

fn ask_system(host: &str, port: u16) -> Answer {
    let failed = |reason: String| {
        let message =
            format!("the name {host} was not resolved ({reason}); check its spelling and the network");
        Error::new(ErrorKind::Resolve, Phase::Resolve, message)
    };
    let found = (host, port).to_socket_addrs().map_err(|error| {
        let mut built = failed(error.to_string());
        built.os_code = error.raw_os_error().unwrap_or(0);
        built
    })?;
    let mut seen = HashSet::new();
    let addresses: Vec<SocketAddr> =
        found.filter(|address| seen.insert(*address)).take(limits::MAX_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(failed("it has no addresses".to_owned()));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn ask(resolver: &Resolver, host: &str) -> (Lookup, mpsc::Receiver<Answer>) {
        let (sender, receiver) = mpsc::channel();
        let lookup = resolver.resolve(host, 80, Box::new(move |answer| sender.send(answer).unwrap()));
        (lookup, receiver)
    }

    #[test]
    fn localhost_is_this_machine() {
        let resolver = Resolver::new(ThreadHooks::default());
        let (_lookup, answer) = ask(&resolver, "localhost");
        let addresses = answer.recv().unwrap().unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        resolver.stop();
        assert!(resolver.join(Instant::now() + Duration::from_secs(20)));
    }

    #[test]
    fn a_name_that_cannot_be_resolved_says_which_and_what_to_do() {
        let resolver = Resolver::new(ThreadHooks::default());
        let (_lookup, answer) = ask(&resolver, "no-such-name.invalid");
        let error = answer.recv().unwrap().unwrap_err();
        assert_eq!((error.kind, error.phase), (ErrorKind::Resolve, Phase::Resolve));
        assert!(error.message.contains("no-such-name.invalid") && error.message.contains("spelling"));
    }

    #[test]
    fn addresses_need_no_resolver() {
        assert_eq!(literal("127.0.0.1", 80), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(literal("::1", 443), Some("[::1]:443".parse().unwrap()));
        assert_eq!(literal("localhost", 80), None);
    }

    #[test]
    fn after_stop_questions_are_answered_with_an_error_at_once() {
        let resolver = Resolver::new(ThreadHooks::default());
        resolver.stop();
        let (_lookup, answer) = ask(&resolver, "localhost");
        assert!(answer.recv().unwrap().is_err());
    }
}
