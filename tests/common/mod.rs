//! Shared by the integration tests: a socket that records its events, and waiting with a timeout.
//!
//! The library is global to the process and the tests of a binary run in parallel, so a test either uses
//! only its own sockets, or holds [`exclusive`] while it calls what affects all sockets (`poll`, `pending`,
//! `shutdown`). Timeouts only end a test that hangs: no test passes or fails because of its speed.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use framewire::{Error, EventKind, MessageType, Outcome, Socket};

/// A wait that takes longer fails the test.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// An event with its contents.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Open,
    Text(String),
    Binary(Vec<u8>),
    Frame { is_first: bool, is_final: bool, payload: Vec<u8> },
    Request,
    Pong(Vec<u8>),
    Reconnecting(Error, u32, u32),
    Closed(u16, String),
    Error(Error),
    Sent(u64, Outcome),
    Encoded(MessageType, u8, Vec<u8>),
}

impl Seen {
    pub fn is_terminal(&self) -> bool {
        matches!(self, Seen::Closed(..) | Seen::Error(_))
    }
}

impl From<EventKind> for Seen {
    fn from(event: EventKind) -> Self {
        match event {
            EventKind::Open => Seen::Open,
            EventKind::Text(payload) => {
                Seen::Text(std::str::from_utf8(payload.as_slice()).expect("text is valid UTF-8").to_owned())
            }
            EventKind::Binary(payload) => Seen::Binary(payload.as_slice().to_vec()),
            EventKind::IncompleteFrame(frame) => Seen::Frame {
                is_first: frame.is_first,
                is_final: frame.is_final,
                payload: frame.payload.as_slice().to_vec(),
            },
            EventKind::Request(_) => Seen::Request,
            EventKind::Pong(payload) => Seen::Pong(payload.as_slice().to_vec()),
            EventKind::Reconnecting { error, attempt, delay_ms } => {
                Seen::Reconnecting(*error, attempt, delay_ms)
            }
            EventKind::Closed { code, reason } => Seen::Closed(code, reason.into()),
            EventKind::Error(error) => Seen::Error(*error),
            EventKind::Sent { tag, outcome } => Seen::Sent(tag, outcome),
            EventKind::Encoded { message_type, rsv, payload } => {
                Seen::Encoded(message_type, rsv, payload.as_slice().to_vec())
            }
            _ => panic!("an event of an unknown kind"),
        }
    }
}

/// A socket whose events are taken one by one. Dropping it destroys the socket.
pub struct Client {
    socket: Socket,
}

impl Deref for Client {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.socket.destroy();
    }
}

impl Client {
    pub fn new(url: &str) -> Self {
        Self { socket: Socket::create(url).expect("the URL is valid") }
    }

    /// Creates a socket and starts opening it.
    pub fn opening(url: &str) -> Self {
        let client = Self::new(url);
        client.open().expect("it is closed");
        client
    }

    /// Creates a socket and waits for the open event.
    pub fn opened(url: &str) -> Self {
        let client = Self::opening(url);
        assert_eq!(client.next(), Seen::Open);
        client
    }

    /// Waits for the next event.
    pub fn next(&self) -> Seen {
        let mut event = None;
        wait_until("the next event", || {
            event = self.next_event().expect("the socket exists");
            event.is_some()
        });
        event.expect("it was waited for").kind.into()
    }

    /// Returns all events including the terminal event, after which there must be none.
    pub fn until_end(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let event = self.next();
            let ended = event.is_terminal();
            seen.push(event);
            if ended {
                assert!(
                    self.next_event().expect("the socket exists").is_none(),
                    "an event after the terminal one"
                );
                assert_eq!(self.state(), framewire::State::Closed);
                return seen;
            }
        }
    }

    /// Waits for the terminal event and returns it.
    pub fn end(&self) -> Seen {
        self.until_end().pop().expect("there is a terminal event")
    }

    /// Waits for the error that ends the connection.
    pub fn error(&self) -> Error {
        match self.end() {
            Seen::Error(error) => error,
            other => panic!("expected an error, not {other:?}"),
        }
    }

    /// Waits for the end and returns the close code and reason.
    pub fn closed(&self) -> (u16, String) {
        match self.end() {
            Seen::Closed(code, reason) => (code, reason),
            other => panic!("expected a closed event, not {other:?}"),
        }
    }
}

/// Waits until the condition holds, by polling it.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Runs the tests of this binary that call this one at a time, for calls that affect all sockets.
pub fn exclusive() -> MutexGuard<'static, ()> {
    static EXCLUSIVE: Mutex<()> = Mutex::new(());
    // Poisoned if a test failed; the others still run.
    EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner)
}
