//! Happy eyeballs (RFC 8305): all addresses of a host, staggered, and the first that answers wins.
//!
//! ```text
//!   waiting addresses ──one at a time, 250 ms apart, at once after a failure──> attempts
//!                                         the first to connect wins, the others are closed
//! ```
//!
//! A state machine over a readiness loop of the caller's; time is passed in.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::error::{Error, ErrorKind, Phase};
use crate::limits::CONNECTION_ATTEMPT_DELAY;

/// Addresses named in an error's text; more are counted.
const NAMED_FAILURES: usize = 8;

pub struct Dialler {
    waiting: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    failures: Vec<(SocketAddr, io::Error)>,
    next_start: Option<Instant>,
}

struct Attempt {
    address: SocketAddr,
    stream: TcpStream,
    token: Token,
}

/// How far the dialling has come.
pub enum Step {
    Pending,
    /// The stream stays registered under the token.
    Connected {
        stream: TcpStream,
        token: Token,
        peer: SocketAddr,
    },
    Failed(Error),
}

impl Dialler {
    /// The families take turns, the first of the list begins (section 4).
    pub fn new(addresses: Vec<SocketAddr>, now: Instant) -> Self {
        let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (first, second): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        let mut waiting = VecDeque::new();
        loop {
            let before = waiting.len();
            waiting.extend(first.next());
            waiting.extend(second.next());
            if waiting.len() == before {
                break;
            }
        }
        Self { waiting, attempts: Vec::new(), failures: Vec::new(), next_start: Some(now) }
    }

    /// Starts what is due.
    pub fn step(&mut self, now: Instant, registry: &Registry, mut new_token: impl FnMut() -> Token) -> Step {
        while self.next_start.is_some_and(|start| now >= start) {
            let Some(address) = self.waiting.pop_front() else {
                self.next_start = None;
                break;
            };
            // Without a failure the next one starts after the delay (section 5).
            self.next_start = Some(now + CONNECTION_ATTEMPT_DELAY);
            if let Err(error) = self.start(address, registry, new_token()) {
                self.failures.push((address, error));
                self.next_start = Some(now);
            }
        }
        if self.waiting.is_empty() {
            self.next_start = None;
        }
        if self.attempts.is_empty() && self.waiting.is_empty() {
            Step::Failed(self.failure())
        } else {
            Step::Pending
        }
    }

    /// The attempt behind the token has become ready: it is connected, or it has failed.
    pub fn ready(
        &mut self,
        token: Token,
        now: Instant,
        registry: &Registry,
        new_token: impl FnMut() -> Token,
    ) -> Step {
        let Some(index) = self.attempts.iter().position(|attempt| attempt.token == token) else {
            return self.step(now, registry, new_token);
        };
        match connected(&self.attempts[index].stream) {
            Ok(false) => Step::Pending,
            Ok(true) => {
                let winner = self.attempts.swap_remove(index);
                for mut loser in self.attempts.drain(..) {
                    let _ = registry.deregister(&mut loser.stream);
                }
                Step::Connected { stream: winner.stream, token, peer: winner.address }
            }
            Err(error) => {
                let mut failed = self.attempts.swap_remove(index);
                let _ = registry.deregister(&mut failed.stream);
                self.failures.push((failed.address, error));
                if self.next_start.is_some() {
                    self.next_start = Some(now);
                }
                self.step(now, registry, new_token)
            }
        }
    }

    /// When [`step`](Self::step) is due again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_start
    }

    fn start(&mut self, address: SocketAddr, registry: &Registry, token: Token) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        self.attempts.push(Attempt { address, stream, token });
        Ok(())
    }

    /// All addresses with their reasons; the kind is that of the last failure that says more than
    /// that this machine has no route for the family.
    fn failure(&mut self) -> Error {
        let telling = self
            .failures
            .iter()
            .rposition(|(_, error)| {
                !matches!(error.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable)
            })
            .unwrap_or(self.failures.len().saturating_sub(1));
        let mut reasons: Vec<String> = self
            .failures
            .iter()
            .take(NAMED_FAILURES)
            .map(|(address, error)| format!("{address}: {error}"))
            .collect();
        if self.failures.len() > NAMED_FAILURES {
            reasons.push(format!("and {} more", self.failures.len() - NAMED_FAILURES));
        }
        let Some((_, error)) = self.failures.get(telling) else {
            return Error::new(ErrorKind::Unreachable, Phase::Connect, "there is no address to connect to");
        };
        let mut built = Error::io(Phase::Connect, "", error);
        built.message = format!("could not connect to {}", reasons.join("; "));
        built
    }
}

fn connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        // Some systems say this of a connection in progress.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::net::TcpListener;
    use std::time::Duration;

    /// An address at which nobody listens.
    fn refused() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// Dials until it is decided. Returns the step and how many attempts were started.
    fn dial(addresses: Vec<SocketAddr>) -> (Step, usize) {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(16);
        let mut dialler = Dialler::new(addresses, Instant::now());
        let mut started = 0;
        let mut new_token = || {
            started += 1;
            Token(started)
        };
        let registry = poll.registry().try_clone().unwrap();
        let mut step = dialler.step(Instant::now(), &registry, &mut new_token);
        while let Step::Pending = step {
            let timeout = dialler.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
            poll.poll(&mut events, timeout.or(Some(Duration::from_secs(10)))).unwrap();
            step = dialler.step(Instant::now(), &registry, &mut new_token);
            for event in &events {
                if let Step::Pending = step {
                    step = dialler.ready(event.token(), Instant::now(), &registry, &mut new_token);
                }
            }
        }
        (step, started)
    }

    #[test]
    fn the_families_take_turns() {
        let list: Vec<SocketAddr> = ["[::1]:1", "[::1]:2", "[::1]:3", "127.0.0.1:4"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let ports: Vec<u16> =
            Dialler::new(list, Instant::now()).waiting.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [1, 4, 2, 3]);
    }

    #[test]
    fn the_second_address_is_tried_when_the_first_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let (step, started) = dial(vec![refused(), good]);
        let Step::Connected { peer, .. } = step else { panic!("not connected") };
        assert_eq!((peer, started), (good, 2));
    }

    #[test]
    fn when_all_refuse_all_are_named() {
        let (first, second) = (refused(), refused());
        let (Step::Failed(error), _) = dial(vec![first, second]) else { panic!("not failed") };
        assert_eq!((error.kind, error.phase), (ErrorKind::Refused, Phase::Connect));
        assert!(error.os_code != 0 && error.retriable);
        assert!(error.message.contains(&first.to_string()) && error.message.contains(&second.to_string()));
    }

    #[test]
    fn no_address_is_an_error_too() {
        let (Step::Failed(error), 0) = dial(Vec::new()) else { panic!("not failed") };
        assert_eq!(error.phase, Phase::Connect);
    }
}
