//! A server that sends what the recorded server sent.
//!
//! ```text
//!            accept          request           response          client's close, FIN, RST
//!   session ────────► choose ───────► respond ─────────► play ────────────────────────────► Played
//!                                                         │ frame due, pong due
//!                                                         ▼
//!                                                        send
//! ```
//!
//! A frame that followed the client's nth message waits for that message, so that the replay works at any
//! speed and with a client that takes longer than the recorded one. [`Options::by_clock`] uses the recorded
//! times only.

mod player;
mod script;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Request, Session};

/// How long [`Replay::finish`] waits for connections to end.
const FINISH: Duration = Duration::from_secs(5);

/// Called with each notice, on the thread of its connection.
pub type OnNotice = dyn Fn(&Notice) + Send + Sync;

/// How to play.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// 2.0 plays twice as fast as recorded; 0 without delays.
    pub speed: f64,
    /// Sends each frame at its recorded time after the response, whatever the client has sent.
    pub by_clock: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { speed: 1.0, by_clock: false }
    }
}

/// What happens on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The index of the session.
    pub session: usize,
    /// The client sent something else than the recorded client.
    pub is_difference: bool,
    /// A sentence.
    pub text: String,
}

/// A session that was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// The index of the session.
    pub session: usize,
    /// Frames that were sent, pongs included, and those that were left out, as the client ended earlier.
    pub sent: usize,
    pub left_out: usize,
    /// Messages that the client sent.
    pub received: usize,
    /// What the client did differently: a sentence each.
    pub differences: Vec<String>,
}

/// A running replay. Each connection plays the next session: the first one with the same path that was not
/// played yet, else the first one. Dropping it ends its connections.
pub struct Replay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    sessions: Vec<Session>,
    options: Options,
    on_notice: Box<OnNotice>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_stopped: bool,
    /// By session.
    is_taken: Vec<bool>,
    played: Vec<Played>,
    open: Vec<(Weak<TcpStream>, JoinHandle<()>)>,
}

impl Replay {
    /// Listens on a free port of the loopback address.
    pub fn start(sessions: Vec<Session>, options: Options) -> io::Result<Self> {
        Self::listen((Ipv4Addr::LOCALHOST, 0), sessions, options, Box::new(|_| {}))
    }

    pub fn listen(
        address: impl ToSocketAddrs,
        sessions: Vec<Session>,
        options: Options,
        on_notice: Box<OnNotice>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let state = State { is_taken: vec![false; sessions.len()], ..State::default() };
        let state = Mutex::new(state);
        let shared = Shared { sessions, options, on_notice, state, changed: Condvar::new() };
        let shared = Arc::new(shared);
        let own = shared.clone();
        let acceptor = std::thread::spawn(move || accept(&listener, &own));
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the first session on this server.
    pub fn url(&self) -> String {
        let target = self.shared.sessions.first().map_or("/", |session| &session.request.target);
        format!("ws://{}{target}", self.address)
    }

    /// Waits until every session was played. Returns false at the timeout.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.shared.state();
        while state.played.len() < self.shared.sessions.len() {
            let left = deadline.map_or(Duration::from_secs(3600), |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Accepts no more connections, waits up to 5 seconds for the open ones, and returns the sessions that
    /// were played, in the order of their ends.
    pub fn finish(self) -> Vec<Played> {
        let deadline = Instant::now() + FINISH;
        let mut state = self.shared.state();
        // A connection that has not sent its request yet plays nothing.
        let taken = |state: &State| state.is_taken.iter().filter(|&&is_taken| is_taken).count();
        while state.played.len() < taken(&state) && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        let shared = self.shared.clone();
        drop(self);
        std::mem::take(&mut shared.state().played)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.shared.state().is_stopped = true;
        // Wakes the acceptor. Not every system connects to the address that stands for all.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                Ipv4Addr::LOCALHOST.into()
            } else {
                Ipv6Addr::LOCALHOST.into()
            });
        }
        let _ = TcpStream::connect(address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let open = std::mem::take(&mut self.shared.state().open);
        for (stream, thread) in open {
            if let Some(stream) = stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses the session for a request.
    fn take(&self, request: &Request) -> Option<usize> {
        let mut state = self.state();
        let free = || (0..self.sessions.len()).filter(|&index| !state.is_taken[index]);
        let same = free().find(|&index| self.sessions[index].request.target == request.target);
        let chosen = same.or_else(|| free().next())?;
        state.is_taken[chosen] = true;
        Some(chosen)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().is_stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        let (weak, own) = (Arc::downgrade(&stream), shared.clone());
        let thread = std::thread::spawn(move || {
            if let Some(played) = player::play(stream, &own) {
                own.state().played.push(played);
                own.changed.notify_all();
            }
        });
        let mut state = shared.state();
        state.open.retain(|(_, thread)| !thread.is_finished());
        state.open.push((weak, thread));
    }
}
