//! Names to addresses without blocking anybody.
//!
//! ```text
//! resolve ──> literal address: answered at once
//!        └──> queue (bounded) ──> up to RESOLVER_THREADS threads in getaddrinfo ──> done
//! ```
//!
//! The system's resolver is the only one that knows VPNs, mDNS, NAT64 and the hosts file, and it
//! blocks, for half a minute when the network is bad. A call into it cannot be cancelled; what can
//! be cancelled is that anybody hears of its result.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::threads::{self, ThreadHooks, Threads};
use crate::error::{Error, ErrorKind, Phase};
use crate::fault;
use crate::limits;
use crate::logging::{self, LogLevel};

/// What a lookup ends with: at least one address, no address twice.
pub type Answer = Result<Vec<SocketAddr>, Error>;
/// Called once, on a resolver thread or inside [`Resolver::resolve`].
pub type Done = Box<dyn FnOnce(Answer) + Send>;

/// The resolver threads and their queue. Clones are the same resolver.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

/// A question that was asked. Dropping it takes the question back: a `done` that has not begun
/// never runs.
pub struct Lookup {
    pending: Arc<Pending>,
}

/// Stands between a link-local address and its zone (RFC 4007 section 11), which the system looks up.
const ZONE: char = '%';

/// The address that `host` already is, brackets around IPv6 or not.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

impl Resolver {
    /// Starts no thread before the first name is asked for.
    pub fn new(hooks: ThreadHooks) -> Self {
        Self::asking(hooks, Box::new(|host, port| Ok((host, port).to_socket_addrs()?.collect())))
    }

    fn asking(hooks: ThreadHooks, ask: Box<Ask>) -> Self {
        let (sender, jobs) = crossbeam_channel::bounded(limits::RESOLVER_QUEUE);
        Self {
            shared: Arc::new(Shared {
                ask,
                jobs,
                queue: Mutex::new(Some(sender)),
                unfinished: AtomicUsize::new(0),
                threads: Mutex::new(Threads::new(hooks)),
            }),
        }
    }

    /// Asks for the addresses of `host`. `done` is called inside this call when the answer needs
    /// no thread: a literal address, a full queue, a stopped resolver.
    pub fn resolve(&self, host: &str, port: u16, done: Done) -> Lookup {
        let pending = Arc::new(Pending(Mutex::new(Some(done))));
        let lookup = Lookup { pending: pending.clone() };
        if let Some(address) = literal(host, port) {
            pending.answer(Ok(vec![address]));
        } else if let Err(why) = self.enqueue(Job { host: host.into(), port, pending: pending.clone() }) {
            pending.answer(Err(failure(host, why)));
        }
        lookup
    }

    /// Ends the threads as they come out of the system. Questions that still wait are answered
    /// with an error, later ones at once.
    pub fn stop(&self) {
        // What is in the channel still comes out of it, and then the threads end.
        *lock(&self.shared.queue) = None;
    }

    /// Waits for the threads after [`stop`](Self::stop). False when one still hangs in the system.
    pub fn join(&self, deadline: Instant) -> bool {
        lock(&self.shared.threads).join(deadline)
    }

    fn enqueue(&self, job: Job) -> Result<(), &'static str> {
        let shared = &self.shared;
        let queue = lock(&shared.queue);
        let Some(queue) = &*queue else { return Err("the library is shutting down") };
        if let Err(TrySendError::Full(job)) = queue.try_send(job) {
            // Those that nobody wants any more make room.
            for waiting in shared.jobs.try_iter().take(limits::RESOLVER_QUEUE) {
                if !waiting.pending.is_wanted() || queue.try_send(waiting).is_err() {
                    shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                }
            }
            queue.try_send(job).map_err(|_| "too many names are waiting to be resolved")?;
        }
        let unfinished = shared.unfinished.fetch_add(1, Ordering::SeqCst) + 1;
        let mut threads = lock(&shared.threads);
        if unfinished <= threads.count() || threads.count() >= limits::RESOLVER_THREADS {
            return Ok(());
        }
        let (name, own) = (format!("dns-{}", threads.count()), shared.clone());
        match threads.spawn(&name, move || own.work()) {
            Ok(()) => Ok(()),
            Err(_) if threads.count() == 0 => {
                // It is the only one: the others before it have failed in the same way.
                drop(shared.jobs.try_recv());
                shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                Err("the system has no thread left for the resolver")
            }
            Err(error) => {
                let message = format_args!("cannot start a further resolver thread: {error}");
                logging::note(LogLevel::Debug, message);
                Ok(())
            }
        }
    }
}

impl Lookup {
    /// The same as dropping it, for a lookup that stays where it is.
    pub fn cancel(&self) {
        // What `done` holds is dropped here, outside of the lock.
        let _unanswered = self.pending.take();
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.cancel();
    }
}

type Ask = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Shared {
    ask: Box<Ask>,
    jobs: Receiver<Job>,
    /// None once the resolver has stopped. Locked before `threads`.
    queue: Mutex<Option<Sender<Job>>>,
    /// Jobs that were accepted, and are not done yet: as many threads are wanted.
    unfinished: AtomicUsize,
    threads: Mutex<Threads>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Job {
    host: Box<str>,
    port: u16,
    pending: Arc<Pending>,
}

/// The callback, until somebody takes it: the thread that has the answer, or who cancels.
struct Pending(Mutex<Option<Done>>);

impl Pending {
    fn take(&self) -> Option<Done> {
        lock(&self.0).take()
    }

    fn is_wanted(&self) -> bool {
        lock(&self.0).is_some()
    }

    fn answer(&self, answer: Answer) {
        if let Some(done) = self.take() {
            done(answer);
        }
    }
}

impl Shared {
    /// The life of a resolver thread.
    fn work(&self) {
        for job in &self.jobs {
            threads::guarded("resolver", "lookup", || {
                if lock(&self.queue).is_none() {
                    job.pending.answer(Err(failure(&job.host, "the library is shutting down")));
                } else if job.pending.is_wanted() {
                    job.pending.answer(self.addresses(&job.host, job.port));
                }
            });
            // Whom a panic has left without an answer.
            threads::guarded("resolver", "answer", || {
                if job.pending.is_wanted() {
                    let why = "the library panicked while it asked";
                    job.pending.answer(Err(failure(&job.host, why)));
                }
            });
            self.unfinished.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn addresses(&self, host: &str, port: u16) -> Answer {
        fault::point("net.resolve");
        let asked = (self.ask)(host, port);
        if is_localhost(host) {
            return Ok(loopback_only(asked.unwrap_or_default(), port));
        }
        match asked.map(distinct) {
            Ok(addresses) if addresses.is_empty() => Err(failure(host, "the name has no address")),
            Ok(addresses) => Ok(addresses),
            Err(error) => {
                let mut failed = failure(host, &error.to_string());
                failed.os_code = error.raw_os_error().unwrap_or(0);
                Err(failed)
            }
        }
    }
}

/// RFC 6761 section 6.3: `localhost` and every name below it. An address with a zone is no name.
fn is_localhost(host: &str) -> bool {
    if host.contains(ZONE) {
        return false;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let top = name.rsplit('.').next().unwrap_or(name);
    top.eq_ignore_ascii_case("localhost")
}

/// RFC 6761 section 6.3: such names are loopback whatever the system's resolver says, and also
/// where it says nothing.
fn loopback_only(found: Vec<SocketAddr>, port: u16) -> Vec<SocketAddr> {
    let mut addresses = distinct(found);
    addresses.retain(|address| address.ip().is_loopback());
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        addresses.push(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
    }
    addresses
}

/// Each address once, in the order in which the system (RFC 6724) prefers them.
fn distinct(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    addresses.truncate(limits::MAX_ADDRESSES);
    addresses
}

fn failure(host: &str, why: &str) -> Error {
    let check = match host.contains(ZONE) {
        true => "check the zone: a network interface of this machine",
        false => "check the spelling of the name and the network",
    };
    let message = format!("could not find the address of \"{host}\": {why}; {check}");
    Error::new(ErrorKind::Resolve, Phase::Resolve, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use std::net::SocketAddrV6;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(20);

    fn reply() -> (Done, Receiver<Answer>) {
        let (sender, receiver) = channel();
        let done = move |answer| {
            let _ = sender.send(answer);
        };
        (Box::new(done), receiver)
    }

    fn finish(resolver: &Resolver) {
        resolver.stop();
        assert!(resolver.join(Instant::now() + SOON));
    }

    /// A system resolver that hangs until told otherwise.
    fn hanging() -> (Resolver, Receiver<String>, Sender<()>) {
        let (asked, questions) = channel();
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let ask = move |host: &str, port| {
            let _ = asked.send(host.to_owned());
            let _ = gate.lock().unwrap().recv();
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
        };
        (Resolver::asking(ThreadHooks::default(), Box::new(ask)), questions, release)
    }

    #[test]
    fn literals_need_no_thread() {
        let resolver = Resolver::new(ThreadHooks::default());
        for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80")] {
            let (done, answer) = reply();
            let _lookup = resolver.resolve(host, 80, done);
            assert_eq!(answer.try_recv().unwrap().unwrap(), [address.parse().unwrap()]);
        }
        assert_eq!(lock(&resolver.shared.threads).count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_zone_is_the_scope_of_the_address() {
        let resolver = Resolver::new(ThreadHooks::default());
        let ask = |host: &str| {
            let (done, answer) = reply();
            let _lookup = resolver.resolve(host, 9, done);
            answer.recv_timeout(SOON).unwrap()
        };
        let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap().trim().parse().unwrap();
        let expected = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 0, index));
        assert_eq!(ask("fe80::1%lo").unwrap(), [expected]);
        assert_eq!(ask(&format!("fe80::1%{index}")).unwrap(), [expected]);
        for zone in ["no-such-if", "1x", "a.localhost", "a-name-longer-than-any-interface-has"] {
            let error = ask(&format!("fe80::1%{zone}")).unwrap_err();
            assert_eq!((error.kind, error.phase), (ErrorKind::Resolve, Phase::Resolve), "{error}");
            assert!(error.message.contains(zone) && error.message.contains("interface"), "{error}");
        }
        finish(&resolver);
    }

    #[test]
    fn localhost_is_loopback_on_the_real_system() {
        let resolver = Resolver::new(ThreadHooks::default());
        for host in ["localhost", "game.localhost", "LOCALHOST."] {
            let (done, answer) = reply();
            let _lookup = resolver.resolve(host, 9, done);
            let addresses = answer.recv_timeout(SOON).unwrap().unwrap();
            assert!(!addresses.is_empty());
            assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 9));
        }
        finish(&resolver);
    }

    #[test]
    fn localhost_never_leaves_the_machine() {
        let elsewhere = |_: &str, port| Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))]);
        let resolver = Resolver::asking(ThreadHooks::default(), Box::new(elsewhere));
        let (done, answer) = reply();
        let _lookup = resolver.resolve("localhost", 9, done);
        let addresses = answer.recv_timeout(SOON).unwrap().unwrap();
        assert_eq!(addresses, ["127.0.0.1:9".parse().unwrap(), "[::1]:9".parse().unwrap()]);
        assert!(!is_localhost("localhost.example"));
        finish(&resolver);
    }

    #[test]
    fn a_failure_names_the_host_and_what_to_check() {
        let failing = |_: &str, _| Err(io::Error::other("Name or service not known"));
        let resolver = Resolver::asking(ThreadHooks::default(), Box::new(failing));
        let (done, answer) = reply();
        let _lookup = resolver.resolve("exmaple.test", 80, done);
        let error = answer.recv_timeout(SOON).unwrap().unwrap_err();
        assert_eq!((error.kind, error.phase), (ErrorKind::Resolve, Phase::Resolve));
        for part in ["\"exmaple.test\"", "Name or service not known", "check the spelling"] {
            assert!(error.message.contains(part), "{}", error.message);
        }
        finish(&resolver);
    }

    #[test]
    fn addresses_come_once_each_and_not_too_many() {
        let many = |_: &str, port| {
            let address = |last| SocketAddr::from(([192, 0, 2, last], port));
            Ok((0..200).map(|number| address(number / 2)).collect())
        };
        let resolver = Resolver::asking(ThreadHooks::default(), Box::new(many));
        let (done, answer) = reply();
        let _lookup = resolver.resolve("many.test", 1, done);
        let addresses = answer.recv_timeout(SOON).unwrap().unwrap();
        assert_eq!(addresses.len(), limits::MAX_ADDRESSES);
        assert_eq!(addresses[1], "192.0.2.1:1".parse().unwrap());
        finish(&resolver);
    }

    #[test]
    fn a_cancelled_lookup_is_never_answered() {
        let (resolver, questions, release) = hanging();
        let (done, answer) = reply();
        let lookup = resolver.resolve("slow.test", 1, done);
        assert_eq!(questions.recv_timeout(SOON).unwrap(), "slow.test");
        drop(lookup);
        release.send(()).unwrap();
        finish(&resolver);
        assert!(answer.try_recv().is_err());
    }

    #[test]
    fn a_callback_that_panics_costs_no_thread() {
        let resolver = Resolver::new(ThreadHooks::default());
        for _ in 0..2 * limits::RESOLVER_THREADS {
            std::mem::forget(resolver.resolve("localhost", 1, Box::new(|_| panic!("on purpose"))));
        }
        let (done, answer) = reply();
        let _lookup = resolver.resolve("localhost", 1, done);
        assert!(answer.recv_timeout(SOON).unwrap().is_ok());
        finish(&resolver);
    }

    #[test]
    fn hanging_lookups_are_limited_in_threads_and_bounded_in_waiting() {
        let (resolver, questions, release) = hanging();
        let mut lookups = Vec::new();
        for _ in 0..limits::RESOLVER_THREADS {
            lookups.push(resolver.resolve("busy.test", 1, reply().0));
            questions.recv_timeout(SOON).unwrap();
        }
        let waiting = (0..limits::RESOLVER_QUEUE).map(|_| resolver.resolve("waits.test", 1, reply().0));
        lookups.extend(waiting);
        assert_eq!(lock(&resolver.shared.threads).count(), limits::RESOLVER_THREADS);

        let (done, answer) = reply();
        let refused = resolver.resolve("one-too-many.test", 1, done);
        assert!(answer.try_recv().unwrap().unwrap_err().message.contains("too many names"));
        drop(refused);

        // Cancelled questions make room.
        lookups.pop();
        let (done, answer) = reply();
        lookups.push(resolver.resolve("fits.test", 1, done));
        assert!(answer.try_recv().is_err(), "it waits");

        // A hang in the system outlives the deadline; what still waits hears of the end.
        resolver.stop();
        assert!(!resolver.join(Instant::now()));
        drop(release);
        assert!(resolver.join(Instant::now() + SOON));
        assert!(answer.recv_timeout(SOON).unwrap().unwrap_err().message.contains("shutting down"));
    }
}
