//! Name resolution without blocking the caller.
//!
//! ```text
//!   resolve ──► literal address: done at once
//!          └──► bounded queue ──► up to RESOLVER_THREADS threads in getaddrinfo ──► done
//!   recent  ──► the result of a lookup that is not older than LOOKUP_LIFETIME
//! ```
//!
//! Uses the system's resolver, as it supports VPNs, mDNS, NAT64 and the hosts file. It blocks, up to half a
//! minute on a bad network, and cannot be cancelled; cancelling a lookup only drops its result.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::threads::{self, ThreadHooks, Threads};
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::fault;
use crate::limits;
use crate::logging::{self, LogLevel};

/// The result of a lookup: at least one address, without duplicates.
pub type LookupResult = Result<Vec<SocketAddr>, Error>;
/// Called once, on a resolver thread or inside [`Resolver::resolve`].
pub type Done = Box<dyn FnOnce(LookupResult) + Send>;

/// The resolver threads and their queue. Clones share them.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

/// A pending lookup. Dropping it cancels it: a callback that has not started never runs.
pub struct Lookup {
    pending: Arc<Pending>,
}

/// The results of recent lookups: many sockets connect to the same server.
struct Recent {
    found: Vec<Found>,
    /// How often results were forgotten.
    epoch: u64,
    lifetime: Duration,
}

struct Found {
    host: Box<str>,
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// Separates a link-local address from its zone (RFC 4007 section 11), which the system resolves.
const ZONE: char = '%';

/// Parses `host` as a literal address, with or without brackets around IPv6.
pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

impl Resolver {
    /// Creates a resolver; threads start with the first lookup.
    pub fn new(hooks: ThreadHooks) -> Self {
        let system = |host: &str, port| Ok((host, port).to_socket_addrs()?.collect());
        Self::with_lookup(hooks, Box::new(system), limits::LOOKUP_LIFETIME)
    }

    fn with_lookup(hooks: ThreadHooks, lookup: Box<LookupFn>, lifetime: Duration) -> Self {
        let (sender, jobs) = crossbeam_channel::unbounded();
        Self {
            shared: Arc::new(Shared {
                lookup,
                jobs,
                queue: Mutex::new(Some(sender)),
                unfinished: AtomicUsize::new(0),
                threads: Mutex::new(Threads::new(hooks)),
                recent: Mutex::new(Recent { found: Vec::new(), epoch: 0, lifetime }),
            }),
        }
    }

    /// Returns the addresses of `host` if they were looked up recently.
    pub fn recent(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        lock(&self.shared.recent).get(host, port)
    }

    /// Drops the recent addresses of `host`, or of all hosts: they may be wrong. So may those of lookups that have
    /// begun, which are not kept.
    pub fn forget(&self, host: Option<&str>) {
        let mut recent = lock(&self.shared.recent);
        recent.epoch += 1;
        recent.found.retain(|found| host.is_some_and(|host| *found.host != *host));
    }

    /// Looks up the addresses of `host`. Calls `done` before it returns if no thread is needed: for a literal
    /// address, a full queue, or a stopped resolver.
    pub fn resolve(&self, host: &str, port: u16, done: Done) -> Lookup {
        let pending = Arc::new(Pending(Mutex::new(Some(done))));
        let lookup = Lookup { pending: pending.clone() };
        if let Some(address) = literal(host, port) {
            pending.complete(Ok(vec![address]));
        } else if let Err(why) = self.enqueue(Job { host: host.into(), port, pending: pending.clone() }) {
            pending.complete(Err(failure(host, why)));
        }
        lookup
    }

    /// Stops the threads when their current lookups return. Queued and later lookups fail.
    pub fn stop(&self) {
        // The threads drain the channel and then end.
        *lock(&self.shared.queue) = None;
    }

    /// Joins the threads after [`stop`](Self::stop). Returns false if one still blocks at the deadline.
    pub fn join(&self, deadline: Instant) -> bool {
        lock(&self.shared.threads).join(deadline)
    }

    fn enqueue(&self, job: Job) -> Result<(), &'static str> {
        let shared = &self.shared;
        let queue = lock(&shared.queue);
        let Some(queue) = &*queue else { return Err("the library is shutting down") };
        if queue.len() >= limits::RESOLVER_QUEUE {
            // Remove cancelled lookups from the queue.
            for waiting in shared.jobs.try_iter().take(limits::RESOLVER_QUEUE) {
                if !waiting.pending.is_wanted() || queue.send(waiting).is_err() {
                    shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
        // A channel with a capacity would allocate all of it.
        if queue.len() >= limits::RESOLVER_QUEUE || queue.send(job).is_err() {
            return Err("too many names are waiting to be resolved");
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
                // It is the only job: all earlier ones failed the same way.
                drop(shared.jobs.try_recv());
                shared.unfinished.fetch_sub(1, Ordering::SeqCst);
                Err("the system cannot start a resolver thread")
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
    /// Cancels the lookup without dropping it.
    pub fn cancel(&self) {
        // Drops the callback outside of the lock.
        let _unanswered = self.pending.take();
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.cancel();
    }
}

type LookupFn = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Shared {
    lookup: Box<LookupFn>,
    jobs: Receiver<Job>,
    /// `None` after the resolver has stopped. Lock order: before `threads`.
    queue: Mutex<Option<Sender<Job>>>,
    /// The number of accepted jobs that are not done, which is the number of threads needed.
    unfinished: AtomicUsize,
    threads: Mutex<Threads>,
    recent: Mutex<Recent>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Job {
    host: Box<str>,
    port: u16,
    pending: Arc<Pending>,
}

/// The callback, until it is taken by the resolver thread or by cancelling.
struct Pending(Mutex<Option<Done>>);

impl Pending {
    fn take(&self) -> Option<Done> {
        lock(&self.0).take()
    }

    fn is_wanted(&self) -> bool {
        lock(&self.0).is_some()
    }

    fn complete(&self, result: LookupResult) {
        if let Some(done) = self.take() {
            done(result);
        }
    }
}

impl Shared {
    /// The main loop of a resolver thread.
    fn work(&self) {
        for job in &self.jobs {
            threads::guarded("resolver", "lookup", || {
                if lock(&self.queue).is_none() {
                    job.pending.complete(Err(failure(&job.host, "the library is shutting down")));
                } else if job.pending.is_wanted() {
                    job.pending.complete(self.addresses(&job.host, job.port));
                }
            });
            // Completes the lookup after a panic.
            threads::guarded("resolver", "completion", || {
                if job.pending.is_wanted() {
                    let why = "the library panicked during the lookup";
                    job.pending.complete(Err(failure(&job.host, why)));
                }
            });
            self.unfinished.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn addresses(&self, host: &str, port: u16) -> LookupResult {
        fault::point("net.resolve");
        // Many sockets may have asked for the same host before the first had a result.
        if let Some(addresses) = lock(&self.recent).get(host, port) {
            return Ok(addresses);
        }
        let began = lock(&self.recent).epoch;
        let found = (self.lookup)(host, port);
        if is_localhost(host) {
            let addresses = loopback_only(found.unwrap_or_default(), port);
            lock(&self.recent).put(host, &addresses, began);
            return Ok(addresses);
        }
        match found.map(distinct) {
            Ok(addresses) if addresses.is_empty() => Err(failure(host, "the name has no address")),
            Ok(addresses) => {
                lock(&self.recent).put(host, &addresses, began);
                Ok(addresses)
            }
            Err(error) => {
                let mut failed = failure(host, &error.to_string());
                failed.os_code = error.raw_os_error().unwrap_or(0);
                Err(failed)
            }
        }
    }
}

impl Recent {
    fn get(&mut self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        self.drop_expired();
        let found = self.found.iter().find(|found| *found.host == *host)?;
        let mut addresses = found.addresses.clone();
        addresses.iter_mut().for_each(|address| address.set_port(port));
        Some(addresses)
    }

    /// Keeps the result of a lookup that began in this epoch. The number of an interface may change, so a zone is
    /// always looked up.
    fn put(&mut self, host: &str, addresses: &[SocketAddr], epoch: u64) {
        if epoch != self.epoch {
            return;
        }
        self.drop_expired();
        self.found.retain(|found| *found.host != *host);
        if host.contains(ZONE) || self.found.len() >= limits::MAX_RECENT_LOOKUPS {
            return;
        }
        self.found.push(Found { host: host.into(), addresses: addresses.to_vec(), at: Instant::now() });
    }

    fn drop_expired(&mut self) {
        let (now, lifetime) = (Instant::now(), self.lifetime);
        self.found.retain(|found| now.saturating_duration_since(found.at) < lifetime);
    }
}

/// Returns whether the host is `localhost` or a subdomain (RFC 6761 section 6.3). An address with a zone is
/// not a name.
fn is_localhost(host: &str) -> bool {
    if host.contains(ZONE) {
        return false;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let top = name.rsplit('.').next().unwrap_or(name);
    top.eq_ignore_ascii_case("localhost")
}

/// Keeps loopback addresses only; returns the defaults if there are none (RFC 6761 section 6.3).
fn loopback_only(found: Vec<SocketAddr>, port: u16) -> Vec<SocketAddr> {
    let mut addresses = distinct(found);
    addresses.retain(|address| address.ip().is_loopback());
    if addresses.is_empty() {
        addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        addresses.push(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port));
    }
    addresses
}

/// Removes duplicates and keeps the order of the system (RFC 6724).
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

    const SOON: Duration = Duration::from_secs(20);

    fn reply() -> (Done, Receiver<LookupResult>) {
        let (sender, receiver) = channel();
        let done = move |result| {
            let _ = sender.send(result);
        };
        (Box::new(done), receiver)
    }

    fn finish(resolver: &Resolver) {
        resolver.stop();
        assert!(resolver.join(Instant::now() + SOON));
    }

    /// Returns a resolver whose lookups block until released.
    fn blocking() -> (Resolver, Receiver<String>, Sender<()>) {
        let (asked, questions) = channel();
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let ask = move |host: &str, port| {
            let _ = asked.send(host.to_owned());
            let _ = gate.lock().unwrap().recv();
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
        };
        (
            Resolver::with_lookup(ThreadHooks::default(), Box::new(ask), limits::LOOKUP_LIFETIME),
            questions,
            release,
        )
    }

    #[test]
    fn literal_addresses_need_no_thread() {
        let resolver = Resolver::new(ThreadHooks::default());
        for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80")] {
            let (done, result) = reply();
            let _lookup = resolver.resolve(host, 80, done);
            assert_eq!(result.try_recv().unwrap().unwrap(), [address.parse().unwrap()]);
        }
        assert_eq!(lock(&resolver.shared.threads).count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn zone_becomes_scope_of_address() {
        let resolver = Resolver::new(ThreadHooks::default());
        let ask = |host: &str| {
            let (done, result) = reply();
            let _lookup = resolver.resolve(host, 9, done);
            result.recv_timeout(SOON).unwrap()
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
    fn localhost_is_loopback_on_real_system() {
        let resolver = Resolver::new(ThreadHooks::default());
        for host in ["localhost", "game.localhost", "LOCALHOST."] {
            let (done, result) = reply();
            let _lookup = resolver.resolve(host, 9, done);
            let addresses = result.recv_timeout(SOON).unwrap().unwrap();
            assert!(!addresses.is_empty());
            assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 9));
        }
        finish(&resolver);
    }

    #[test]
    fn localhost_is_always_loopback() {
        let elsewhere = |_: &str, port| Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))]);
        let resolver =
            Resolver::with_lookup(ThreadHooks::default(), Box::new(elsewhere), limits::LOOKUP_LIFETIME);
        let (done, result) = reply();
        let _lookup = resolver.resolve("localhost", 9, done);
        let addresses = result.recv_timeout(SOON).unwrap().unwrap();
        assert_eq!(addresses, ["127.0.0.1:9".parse().unwrap(), "[::1]:9".parse().unwrap()]);
        assert!(!is_localhost("localhost.example"));
        finish(&resolver);
    }

    #[test]
    fn failure_names_host_and_advice() {
        let failing = |_: &str, _| Err(io::Error::other("Name or service not known"));
        let resolver =
            Resolver::with_lookup(ThreadHooks::default(), Box::new(failing), limits::LOOKUP_LIFETIME);
        let (done, result) = reply();
        let _lookup = resolver.resolve("exmaple.test", 80, done);
        let error = result.recv_timeout(SOON).unwrap().unwrap_err();
        assert_eq!((error.kind, error.phase), (ErrorKind::Resolve, Phase::Resolve));
        for part in ["\"exmaple.test\"", "Name or service not known", "check the spelling"] {
            assert!(error.message.contains(part), "{}", error.message);
        }
        finish(&resolver);
    }

    #[test]
    fn addresses_are_deduplicated_and_limited() {
        let many = |_: &str, port| {
            let address = |last| SocketAddr::from(([192, 0, 2, last], port));
            Ok((0..200).map(|number| address(number / 2)).collect())
        };
        let resolver = Resolver::with_lookup(ThreadHooks::default(), Box::new(many), limits::LOOKUP_LIFETIME);
        let (done, result) = reply();
        let _lookup = resolver.resolve("many.test", 1, done);
        let addresses = result.recv_timeout(SOON).unwrap().unwrap();
        assert_eq!(addresses.len(), limits::MAX_ADDRESSES);
        assert_eq!(addresses[1], "192.0.2.1:1".parse().unwrap());
        finish(&resolver);
    }

    #[test]
    fn recent_addresses_are_kept_until_forgotten() {
        let resolver = two_addresses(limits::LOOKUP_LIFETIME);
        assert_eq!(resolver.recent("game.test", 1), None);
        look_up(&resolver, "game.test");
        let port = |port| ["192.0.2.1", "192.0.2.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
        assert_eq!(resolver.recent("game.test", 1).unwrap(), port(1));
        assert_eq!(resolver.recent("game.test", 2).unwrap(), port(2));
        assert_eq!(resolver.recent("other.test", 1), None);
        look_up(&resolver, "other.test");
        resolver.forget(Some("game.test"));
        assert_eq!(resolver.recent("game.test", 1), None);
        assert!(resolver.recent("other.test", 1).is_some());
        resolver.forget(None);
        assert_eq!(resolver.recent("other.test", 1), None);
        finish(&resolver);
    }

    #[test]
    fn recent_addresses_expire_and_are_limited() {
        let resolver = two_addresses(Duration::ZERO);
        look_up(&resolver, "game.test");
        assert_eq!(resolver.recent("game.test", 1), None);
        finish(&resolver);

        let resolver = two_addresses(SOON);
        for number in 0..2 * limits::MAX_RECENT_LOOKUPS {
            look_up(&resolver, &format!("game{number}.test"));
        }
        assert_eq!(lock(&resolver.shared.recent).found.len(), limits::MAX_RECENT_LOOKUPS);
        look_up(&resolver, "fe80::1%eth0");
        assert_eq!(resolver.recent("fe80::1%eth0", 1), None);
        finish(&resolver);
    }

    fn two_addresses(lifetime: Duration) -> Resolver {
        let ask = |_: &str, port| Ok([1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], port))).to_vec());
        Resolver::with_lookup(ThreadHooks::default(), Box::new(ask), lifetime)
    }

    fn look_up(resolver: &Resolver, host: &str) {
        let (done, result) = reply();
        let _lookup = resolver.resolve(host, 1, done);
        result.recv_timeout(SOON).unwrap().unwrap();
    }

    #[test]
    fn cancelled_lookup_never_calls_back() {
        let (resolver, questions, release) = blocking();
        let (done, result) = reply();
        let lookup = resolver.resolve("slow.test", 1, done);
        assert_eq!(questions.recv_timeout(SOON).unwrap(), "slow.test");
        drop(lookup);
        release.send(()).unwrap();
        finish(&resolver);
        assert!(result.try_recv().is_err());
    }

    #[test]
    fn panicking_callback_does_not_end_thread() {
        let resolver = Resolver::new(ThreadHooks::default());
        for _ in 0..2 * limits::RESOLVER_THREADS {
            std::mem::forget(resolver.resolve("localhost", 1, Box::new(|_| panic!("on purpose"))));
        }
        let (done, result) = reply();
        let _lookup = resolver.resolve("localhost", 1, done);
        assert!(result.recv_timeout(SOON).unwrap().is_ok());
        finish(&resolver);
    }

    #[test]
    fn queued_lookups_use_the_result_of_the_first() {
        let (resolver, questions, release) = blocking();
        let mut lookups = Vec::new();
        let results: Vec<_> = (0..100)
            .map(|_| {
                let (done, result) = reply();
                lookups.push(resolver.resolve("game.test", 1, done));
                result
            })
            .collect();
        // Each thread has asked once before the first has a result.
        for _ in 0..limits::RESOLVER_THREADS {
            questions.recv_timeout(SOON).unwrap();
        }
        for _ in 0..limits::RESOLVER_THREADS {
            release.send(()).unwrap();
        }
        for result in results {
            assert!(result.recv_timeout(SOON).unwrap().is_ok());
        }
        assert!(questions.try_recv().is_err());
        finish(&resolver);
    }

    #[test]
    fn result_of_lookup_from_before_forget_is_not_kept() {
        let (resolver, questions, release) = blocking();
        let (done, result) = reply();
        let _lookup = resolver.resolve("game.test", 1, done);
        questions.recv_timeout(SOON).unwrap();
        resolver.forget(None);
        release.send(()).unwrap();
        assert!(result.recv_timeout(SOON).unwrap().is_ok());
        assert_eq!(resolver.recent("game.test", 1), None);
        let (done, result) = reply();
        let _lookup = resolver.resolve("game.test", 1, done);
        questions.recv_timeout(SOON).unwrap();
        release.send(()).unwrap();
        assert!(result.recv_timeout(SOON).unwrap().is_ok());
        assert!(resolver.recent("game.test", 1).is_some());
        finish(&resolver);
    }

    #[test]
    fn blocked_lookups_are_limited_in_threads_and_queue() {
        let (resolver, questions, release) = blocking();
        let mut lookups = Vec::new();
        for _ in 0..limits::RESOLVER_THREADS {
            lookups.push(resolver.resolve("busy.test", 1, reply().0));
            questions.recv_timeout(SOON).unwrap();
        }
        let waiting = (0..limits::RESOLVER_QUEUE).map(|_| resolver.resolve("waits.test", 1, reply().0));
        lookups.extend(waiting);
        assert_eq!(lock(&resolver.shared.threads).count(), limits::RESOLVER_THREADS);

        let (done, result) = reply();
        let refused = resolver.resolve("one-too-many.test", 1, done);
        assert!(result.try_recv().unwrap().unwrap_err().message.contains("too many names"));
        drop(refused);

        // Cancelled lookups free their place in the queue.
        lookups.pop();
        let (done, result) = reply();
        lookups.push(resolver.resolve("fits.test", 1, done));
        assert!(result.try_recv().is_err(), "it is queued");

        // A blocked lookup outlives the deadline; queued lookups fail.
        resolver.stop();
        assert!(!resolver.join(Instant::now()));
        drop(release);
        assert!(resolver.join(Instant::now() + SOON));
        assert!(result.recv_timeout(SOON).unwrap().unwrap_err().message.contains("shutting down"));
    }
}
