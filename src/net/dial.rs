//! Connects to one of several addresses: happy eyeballs (RFC 8305 sections 4 and 5) as a state machine over
//! non-blocking sockets. The time is an argument.
//!
//! ```text
//!              step, or the previous attempt failed           writable, peer known
//!   waiting ───────────────────────────────────────► in flight ──────────────────────► Connected
//!                                                      └── error ──► failed ── all ──► Failed
//! ```

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::options;
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits;
use crate::logging::{self, LogLevel};

/// The connection attempts to a list of addresses.
pub struct Dialler {
    attempts: Vec<Attempt>,
    /// The next attempt to start.
    next: usize,
    /// When it starts, unless an earlier attempt fails before.
    due: Instant,
    /// Every attempt is refused: a simulated link is cut.
    refuses: bool,
}

/// The result of a step.
#[derive(Debug)]
pub enum Step {
    /// Continue at the next readiness event or at [`Dialler::next_deadline`].
    Pending,
    /// Connected. The stream stays registered under `token`; all others are closed and deregistered.
    Connected {
        stream: TcpStream,
        token: Token,
        peer: SocketAddr,
    },
    Failed(Error),
}

impl Dialler {
    /// Creates the attempts, of which the first one is due at `start`.
    pub fn new(addresses: Vec<SocketAddr>, start: Instant) -> Self {
        let waiting = |peer| Attempt { peer, state: State::Waiting };
        let attempts = interleave(addresses).map(waiting).collect();
        Self { attempts, next: 0, due: start, refuses: false }
    }

    /// Makes every attempt fail as if the server refused it.
    pub fn refuse(&mut self) {
        self.refuses = true;
    }

    /// Starts the attempts that are due.
    pub fn step(&mut self, now: Instant, registry: &Registry, new_token: impl FnMut() -> Token) -> Step {
        crate::fault::point("net.dial");
        self.start(now, now >= self.due, registry, new_token)
    }

    /// Processes a readiness event of the socket under `token`.
    pub fn ready(
        &mut self,
        token: Token,
        now: Instant,
        registry: &Registry,
        new_token: impl FnMut() -> Token,
    ) -> Step {
        let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.token() == Some(token)) else {
            // An event that was queued when its attempt ended.
            return Step::Pending;
        };
        match attempt.outcome() {
            Outcome::InFlight => Step::Pending,
            Outcome::Connected => {
                let State::InFlight { stream, token } = attempt.take() else {
                    // Unreachable: only attempts in flight have a token.
                    return Step::Pending;
                };
                let peer = attempt.peer;
                self.close(registry);
                Step::Connected { stream, token, peer }
            }
            Outcome::Failed(error) => {
                attempt.fail(error, registry);
                // RFC 8305 section 5: start the next attempt at once.
                self.start(now, true, registry, new_token)
            }
        }
    }

    /// Returns when `step` is due again; `None` after the last attempt has started.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.next < self.attempts.len()).then_some(self.due)
    }

    /// Returns the tokens of the sockets in flight, for routing their events here.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.attempts.iter().filter_map(Attempt::token)
    }

    /// Closes and deregisters all sockets.
    pub fn close(&mut self, registry: &Registry) {
        for attempt in &mut self.attempts {
            if let State::InFlight { mut stream, .. } = attempt.take() {
                deregister(&mut stream, registry);
            }
        }
        self.next = self.attempts.len();
    }

    /// Returns the addresses, in the order in which they are tried.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.attempts.iter().map(|attempt| attempt.peer).collect()
    }

    /// Returns the error for a connect timeout. Must be called before `close`.
    pub fn timed_out(&self, after: Duration) -> Error {
        let message = format!("no connection within {} ms: {}", after.as_millis(), self.list());
        Error::new(ErrorKind::TimedOut, Phase::Connect, message)
    }

    fn start(
        &mut self,
        now: Instant,
        mut is_due: bool,
        registry: &Registry,
        mut new_token: impl FnMut() -> Token,
    ) -> Step {
        while is_due && self.next < self.attempts.len() {
            let attempt = &mut self.attempts[self.next];
            self.next += 1;
            self.due = now + limits::CONNECTION_ATTEMPT_DELAY;
            match self.refuses {
                true => attempt.state = State::Failed(options::refused()),
                false => attempt.begin(registry, &mut new_token),
            }
            // If it failed at once (no route, unsupported family), start the next.
            is_due = attempt.token().is_none();
        }
        let is_alive = self.next < self.attempts.len() || self.tokens().next().is_some();
        if is_alive { Step::Pending } else { Step::Failed(self.failure()) }
    }

    fn failure(&self) -> Error {
        let failures = self.attempts.iter().filter_map(|attempt| match &attempt.state {
            State::Failed(error) => Some(error),
            _ => None,
        });
        // The most specific error; the last one among equals.
        let Some(worst) = failures.max_by_key(|error| specificity(error)) else {
            return Error::new(ErrorKind::Resolve, Phase::Connect, "no address to connect to");
        };
        let mut error = Error::io(Phase::Connect, "", worst);
        let lacks_zone = self.attempts.iter().any(|attempt| match attempt.peer {
            SocketAddr::V6(peer) => peer.ip().is_unicast_link_local() && peer.scope_id() == 0,
            SocketAddr::V4(_) => false,
        });
        let hint = match lacks_zone {
            true => "; a link-local address needs its zone, as in [fe80::1%25eth0]",
            false => hint(error.kind, worst),
        };
        error.message = format!("could not connect: {}{hint}", self.list());
        error
    }

    /// Formats the addresses with their results, up to a limit.
    fn list(&self) -> String {
        const SHOWN: usize = 8;
        let mut list = String::new();
        for attempt in self.attempts.iter().take(SHOWN) {
            let between = if list.is_empty() { "" } else { ", " };
            // Writing into a string cannot fail.
            let _ = match &attempt.state {
                State::Waiting => write!(list, "{between}{} (not tried yet)", attempt.peer),
                State::InFlight { .. } => write!(list, "{between}{} (no answer)", attempt.peer),
                State::Failed(error) => write!(list, "{between}{} ({error})", attempt.peer),
            };
        }
        if self.attempts.len() > SHOWN {
            let _ = write!(list, " and {} more", self.attempts.len() - SHOWN);
        }
        list
    }
}

struct Attempt {
    peer: SocketAddr,
    state: State,
}

enum State {
    Waiting,
    InFlight { stream: TcpStream, token: Token },
    Failed(io::Error),
}

enum Outcome {
    InFlight,
    Connected,
    Failed(io::Error),
}

impl Attempt {
    fn token(&self) -> Option<Token> {
        match self.state {
            State::InFlight { token, .. } => Some(token),
            _ => None,
        }
    }

    fn begin(&mut self, registry: &Registry, new_token: impl FnOnce() -> Token) {
        let started = TcpStream::connect(self.peer).and_then(|mut stream| {
            options::without_delay(&stream);
            let token = new_token();
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(State::InFlight { stream, token })
        });
        self.state = started.unwrap_or_else(State::Failed);
    }

    fn outcome(&self) -> Outcome {
        let State::InFlight { stream, .. } = &self.state else { return Outcome::InFlight };
        match stream.take_error() {
            Ok(Some(error)) | Err(error) => return Outcome::Failed(error),
            Ok(None) => {}
        }
        match stream.peer_addr() {
            // TCP allows a socket to connect to itself if it gets the target port as its own port, which
            // happens if no local server listens there.
            Ok(peer) if stream.local_addr().is_ok_and(|local| local == peer) => {
                Outcome::Failed(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => Outcome::Connected,
            Err(error) if options::is_connecting(&error) => Outcome::InFlight,
            Err(error) => Outcome::Failed(error),
        }
    }

    fn fail(&mut self, error: io::Error, registry: &Registry) {
        if let State::InFlight { mut stream, .. } = std::mem::replace(&mut self.state, State::Failed(error)) {
            deregister(&mut stream, registry);
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Waiting)
    }
}

/// Deregisters the socket. Closing is enough on most systems, but not where mio keeps state.
fn deregister(stream: &mut TcpStream, registry: &Registry) {
    if let Err(error) = registry.deregister(stream) {
        logging::note(LogLevel::Debug, format_args!("cannot deregister a connection attempt: {error}"));
    }
}

/// Alternates between address families (RFC 8305 section 4), starting with the one that the system prefers.
fn interleave(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let pairs = std::iter::from_fn(move || {
        let pair = [first.next(), second.next()];
        pair.iter().any(Option::is_some).then_some(pair)
    });
    pairs.flatten().flatten().take(limits::MAX_ADDRESSES)
}

/// Ranks errors: those about the server above those about the path to it.
fn specificity(error: &io::Error) -> u8 {
    match Error::io(Phase::Connect, "", error).kind {
        ErrorKind::Refused | ErrorKind::Reset => 3,
        ErrorKind::TimedOut => 2,
        ErrorKind::Unreachable => 0,
        _ => 1,
    }
}

fn hint(kind: ErrorKind, error: &io::Error) -> &'static str {
    match kind {
        _ if options::lacks_descriptors(error) => "; raise the limit of open files of the process",
        ErrorKind::Refused => "; is the server running, and is the port right?",
        ErrorKind::Unreachable => "; check the network",
        ErrorKind::TimedOut => "; a firewall may be dropping the packets",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::net::{TcpListener, TcpStream as StdStream};

    /// A dialler with its poll and a virtual clock.
    struct Harness {
        poll: Poll,
        dialler: Dialler,
        tokens: usize,
        now: Instant,
    }

    impl Harness {
        fn new(addresses: &[SocketAddr]) -> Self {
            let now = Instant::now();
            let dialler = Dialler::new(addresses.to_vec(), now);
            Self { poll: Poll::new().unwrap(), dialler, tokens: 0, now }
        }

        fn step(&mut self) -> Step {
            let tokens = &mut self.tokens;
            self.dialler.step(self.now, self.poll.registry(), || next(tokens))
        }

        /// Processes readiness events without advancing the clock.
        fn run(&mut self) -> Step {
            let mut events = Events::with_capacity(8);
            loop {
                self.poll.poll(&mut events, Some(Duration::from_secs(20))).unwrap();
                assert!(!events.is_empty(), "nothing happened on loopback");
                for event in &events {
                    let tokens = &mut self.tokens;
                    let step =
                        self.dialler.ready(event.token(), self.now, self.poll.registry(), || next(tokens));
                    if !matches!(step, Step::Pending) {
                        return step;
                    }
                }
            }
        }
    }

    fn next(tokens: &mut usize) -> Token {
        *tokens += 1;
        Token(*tokens)
    }

    #[cfg(unix)]
    #[test]
    fn error_without_descriptors_names_the_limit() {
        let mut harness = Harness::new(&[dead().1]);
        harness.dialler.attempts[0].state = State::Failed(io::Error::from_raw_os_error(libc::EMFILE));
        let error = harness.dialler.failure();
        for part in ["Too many open files", "raise the limit of open files"] {
            assert!(error.message.contains(part), "{}", error.message);
        }
    }

    /// Returns an address without a listener. The socket is bound, so that no other process takes the port.
    fn dead() -> (socket2::Socket, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Returns a listener with a full backlog: further SYN packets are dropped.
    #[cfg(target_os = "linux")]
    fn black_hole() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
        let (socket, address) = dead();
        socket.listen(0).unwrap();
        let first = StdStream::connect(address).unwrap();
        first.set_nonblocking(true).unwrap();
        let more = (0..4).map(|_| TcpStream::connect(address).unwrap());
        let fillers = std::iter::once(TcpStream::from_std(first)).chain(more).collect();
        (socket, fillers, address)
    }

    #[test]
    fn address_families_alternate() {
        let parse = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let turns = parse(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(interleave(mixed).collect::<Vec<_>>(), turns);
        let four_first = parse(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"]);
        let turns = parse(&["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"]);
        assert_eq!(interleave(four_first).collect::<Vec<_>>(), turns);
        assert_eq!(interleave(Vec::new()).count(), 0);
    }

    #[test]
    fn single_address_connects() {
        let (listener, address) = listening();
        let mut harness = Harness::new(&[address]);
        assert!(matches!(harness.step(), Step::Pending));
        assert_eq!(harness.dialler.tokens().collect::<Vec<_>>(), [Token(1)]);
        assert_eq!(harness.dialler.next_deadline(), None);
        let Step::Connected { stream, token, peer } = harness.run() else { panic!("not connected") };
        assert_eq!((token, peer), (Token(1), address));
        assert!(stream.nodelay().unwrap());
        assert_eq!(listener.accept().unwrap().1, stream.local_addr().unwrap());
    }

    #[test]
    fn refused_address_is_followed_by_the_next_at_once() {
        let (_dead, refused) = dead();
        let (_listener, good) = listening();
        let mut harness = Harness::new(&[refused, good]);
        assert!(matches!(harness.step(), Step::Pending));
        assert_eq!(harness.dialler.next_deadline(), Some(harness.now + limits::CONNECTION_ATTEMPT_DELAY));
        // The clock does not advance, so only the refusal can have started the second attempt.
        let Step::Connected { peer, .. } = harness.run() else { panic!("not connected") };
        assert_eq!(peer, good);
        assert_eq!(harness.dialler.tokens().count(), 0);
    }

    #[test]
    fn error_lists_all_refused_addresses() {
        let (_one, first) = dead();
        let (_two, second) = dead();
        let mut harness = Harness::new(&[first, second]);
        harness.step();
        let Step::Failed(error) = harness.run() else { panic!("connected") };
        assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Refused, Phase::Connect, true));
        assert_ne!(error.os_code, 0);
        for part in [&first.to_string(), &second.to_string(), "is the server running"] {
            assert!(error.message.contains(part), "{}", error.message);
        }
    }

    #[test]
    fn refusal_is_more_specific_than_missing_route() {
        let (_dead, refused) = dead();
        let mut harness = Harness::new(&[refused, refused]);
        harness.step();
        let _ = harness.run();
        let unreachable = io::Error::from(io::ErrorKind::NetworkUnreachable);
        harness.dialler.attempts[1].state = State::Failed(unreachable);
        assert_eq!(harness.dialler.failure().kind, ErrorKind::Refused);
    }

    #[test]
    fn empty_address_list_fails() {
        assert!(matches!(Harness::new(&[]).step(), Step::Failed(_)));
    }

    #[test]
    fn long_address_list_is_shortened() {
        let addresses: Vec<SocketAddr> = (0..60).map(|port| ([127, 0, 0, 1], 1000 + port).into()).collect();
        let message = Dialler::new(addresses, Instant::now()).timed_out(Duration::from_secs(20)).message;
        assert!(message.contains("20000 ms") && message.ends_with("and 24 more"), "{message}");
        assert!(message.len() < 500);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn next_attempt_starts_after_delay_if_first_is_silent() {
        let (_hole, _fillers, silent) = black_hole();
        let (listener, good) = listening();
        let mut harness = Harness::new(&[silent, good]);
        harness.step();
        let due = harness.dialler.next_deadline().unwrap();
        assert_eq!(due, harness.now + limits::CONNECTION_ATTEMPT_DELAY);
        harness.now = due - Duration::from_millis(1);
        assert!(matches!(harness.step(), Step::Pending));
        assert_eq!(harness.dialler.tokens().count(), 1, "before the delay");
        harness.now = due;
        assert!(matches!(harness.step(), Step::Pending));
        assert_eq!(harness.dialler.tokens().count(), 2);
        assert!(harness.dialler.timed_out(Duration::ZERO).message.contains("(no answer)"));

        let Step::Connected { peer, token, .. } = harness.run() else { panic!("not connected") };
        assert_eq!((peer, token), (good, Token(2)));
        assert_eq!(harness.dialler.tokens().count(), 0, "the other attempt is closed");
        assert_eq!(harness.dialler.next_deadline(), None);
        drop(listener);
    }
}
