//! One attempt to connect, and the connection that comes of it, on its worker.
//!
//! ```text
//!      ┌────────────────── a redirect, or a loss and another try ──────────────────┐
//!   Waiting       ┌──────────────> Sharing (HTTP/2) ──────────────────┐             │
//!      └> Resolving ─> Dialling ─> Tunnelling ─> Securing ─> Asking ─> Live ───────┤
//!              └───────────┴───────────┴────────────┴───────────┴──── any end ─────┤
//!                                                            terminal event <──────┘
//!                                                (lingers) ─> over <─┘
//! ```
//!
//! `Tunnelling` only through a proxy, `Securing` only for `wss:`, `Asking` only where the game wants to
//! see the upgrade request. Ends are the connect deadline, a cancel, a failure, a close. After the
//! terminal event an attempt no longer belongs to its socket, which may open the next one; it
//! lingers just to say its last bytes and to let the server end the connection first
//! (RFC 6455 section 7.1.1).
//!
//! | file | what it does |
//! | --- | --- |
//! | `connecting` | from the name to the upgrade request on its way |
//! | `sharing` | HTTP/2: whose connection |
//! | `fallback` | HTTP/1.1 after all |
//! | `tunnel` | the talk with a proxy |
//! | `again` | ends that are none for the socket: redirects, and other tries |
//! | `sleep` | what a change of the network, or a sleep of the process, does to it |
//! | `counting` | what it adds to its socket's counters |
//! | `live` | bytes between stream and session, events to the game |
//! | `ending` | how it ends, and what the socket is told |

mod again;
mod connecting;
mod counting;
mod ending;
mod fallback;
mod live;
mod sharing;
mod sleep;
mod tunnel;

pub use ending::end_without_attempt;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mio::Token;
use mio::event::Event;

use self::again::Next;
use self::connecting::Sought;
use self::counting::Base;
use self::ending::{Draining, Held, Terminal};
use self::fallback::Fallback;
use self::sharing::Carrier;
use self::tunnel::{Route, Tunnel};
use super::callbacks::Callbacks;
use super::delivery;
use super::event::EventKind;
use super::lock;
use super::request::Draft;
use super::socket::{Farewell, HttpVersion, Plan, Shared, Socket, State};
use super::transport::Transport;
use super::worker::{Context, Key};
use crate::error::Error;
use crate::fault;
use crate::logging::LogLevel;
use crate::net::dial::Dialler;
use crate::net::options::EDGES_COME_UNASKED;
use crate::net::resolve::Lookup;
use crate::net::stream::Stream;
use crate::session::liveness::PingSettings;
use crate::session::reconnect::Retries;
use crate::session::{self, Session};
use crate::wire::upgrade::UpgradeRequest;

/// Whether there is anything left to do for an attempt.
pub enum Fate {
    GoesOn,
    Over,
}

pub struct Attempt {
    key: Key,
    /// None once the terminal event was given.
    socket: Option<Socket>,
    plan: Plan,
    /// Which version may still come of it.
    http: HttpVersion,
    /// A stream of HTTP/2 that was not answered was given a second chance.
    asked_again: bool,
    fallback: Fallback,
    /// The body of a refusal is not waited for.
    in_haste: bool,
    /// What is asked, and of whom: the plan's, unless a redirect has led elsewhere.
    request: Arc<UpgradeRequest>,
    /// The proxy on the way there.
    route: Option<Box<Route>>,
    stage: Stage,
    /// Names asked for so far.
    lookups: u32,
    /// Requests made so far, and redirects followed.
    requests: u32,
    redirects: u32,
    /// The server whose redirect led to one that must not see what was set for it.
    kept_back_from: Option<Box<str>>,
    retries: Retries,
    tokens: Vec<Token>,
    /// The library stops, and what the socket had queued is still sent.
    draining: Option<Draining>,
    /// Of connecting, then of lingering.
    deadline: Option<Instant>,
    /// While the process sleeps nothing is too late.
    suspended_since: Option<Instant>,
    /// The timer that is set.
    timer: Option<Instant>,
    readable: bool,
    writable: bool,
    /// Received bytes wait to be looked at: the game was behind.
    unseen: bool,
    callbacks: Arc<Callbacks>,
    callbacks_version: u32,
    /// A breach of the rules that the game has not come to yet.
    held: Option<Box<Held>>,
    started: Instant,
    base: Base,
}

enum Stage {
    Idle,
    /// Between two connections.
    Waiting {
        until: Instant,
        next: Next,
    },
    Resolving {
        _lookup: Lookup,
        sought: Sought,
    },
    Dialling(Box<Dialler>),
    Tunnelling(Box<Tunnel>),
    Securing(Box<Stream>),
    /// Waits for a connection that it shares with others, or until such a one is ready.
    Sharing,
    Asking {
        carrier: Carrier,
        draft: Arc<Draft>,
    },
    Live {
        stream: Transport,
        session: Box<Session>,
    },
}

impl Attempt {
    pub fn new(key: Key, socket: Arc<Shared>, plan: Plan, now: Instant) -> Self {
        // The version first: at worst the callbacks are newer, and are fetched once more.
        let (callbacks_version, callbacks) = (socket.callbacks_version(), socket.callbacks());
        let base = Base::of(&socket);
        Self {
            key,
            deadline: Some(now + plan.settings.connect_timeout),
            socket: Some(Socket(socket)),
            http: plan.http_for(&plan.settings.request.url),
            asked_again: false,
            fallback: Fallback::None,
            in_haste: false,
            request: plan.settings.request.clone(),
            plan,
            route: None,
            stage: Stage::Idle,
            lookups: 0,
            requests: 0,
            redirects: 0,
            kept_back_from: None,
            retries: Retries::default(),
            tokens: Vec::new(),
            draining: None,
            suspended_since: None,
            timer: None,
            readable: false,
            writable: false,
            unseen: false,
            callbacks,
            callbacks_version,
            held: None,
            started: now,
            base,
        }
    }

    /// The handle of its socket, 0 once that was told the end.
    pub fn socket_id(&self) -> u64 {
        self.socket.as_ref().map_or(0, |Socket(socket)| socket.id)
    }

    // ------------------------------------------------------------------ what the worker tells

    pub fn set_pings(&mut self, pings: PingSettings, context: &Context) {
        Arc::make_mut(&mut self.plan.settings).pings = pings;
        if let Stage::Live { session, .. } = &mut self.stage {
            session.set_pings(pings, context.now);
        }
    }

    /// A ping of the caller's own.
    pub fn ping(&mut self, payload: &[u8]) {
        if let Stage::Live { session, .. } = &mut self.stage {
            session.ping(payload);
        }
    }

    /// The caller gives up: at once, without a closing handshake.
    pub fn cancel(&mut self, reason: &'static str, context: &mut Context) -> Fate {
        let code = session::established::ABNORMAL_CLOSURE;
        self.end(Terminal::Closed { code, reason: reason.to_owned() }, context);
        Fate::Over
    }

    /// The socket was destroyed: nobody listens any more, but the server is told.
    pub fn farewell(&mut self, farewell: Farewell, context: &mut Context) -> Fate {
        let Some(Socket(socket)) = self.socket.take() else { return Fate::Over };
        let mut to_worker = lock(&socket.to_worker);
        let was_open = matches!(socket.state(), State::Open | State::Closing);
        socket.set_state(State::Closed);
        socket.attempt.store(0, Ordering::Relaxed);
        let session = match &mut self.stage {
            Stage::Live { session, .. } if was_open => session,
            _ => {
                to_worker.outbox.shut();
                drop(to_worker);
                ending::log_lost_in_shutdown(&self.request.url, socket.buffered.load(Ordering::Relaxed));
                return Fate::Over;
            }
        };
        match farewell {
            Farewell::Drop => {
                session.leave(&mut to_worker.outbox);
                drop(to_worker);
                self.linger(context);
            }
            Farewell::Drain { until } => {
                session.leave_when_sent(&mut to_worker.outbox, context.now);
                drop(to_worker);
                self.draining = Some(Draining { until, moved: true });
                self.wait_while_it_moves(context);
            }
        }
        self.turn(context)
    }

    /// Ends with an error that came from outside the connection.
    pub fn fail(&mut self, error: Error, context: &mut Context) -> Fate {
        self.end(Terminal::Failed(error), context);
        self.fate(context)
    }

    pub fn ready(&mut self, event: &Event, context: &mut Context) -> Fate {
        match &mut self.stage {
            Stage::Dialling(_) => {
                // Of the connection that this may be the readiness of: no server speaks first, so a read
                // would mostly find nothing. Elsewhere an edge comes only after one that has found nothing.
                self.readable = event.is_readable() || event.is_read_closed() || !EDGES_COME_UNASKED;
                return self.dial_step(Some(event.token()), context);
            }
            Stage::Securing(stream) | Stage::Asking { carrier: Carrier::Own(stream), .. } => {
                stream.ready(event);
            }
            Stage::Tunnelling(tunnel) => tunnel.ready(event),
            Stage::Live { stream, .. } => stream.ready(event),
            Stage::Idle
            | Stage::Waiting { .. }
            | Stage::Resolving { .. }
            | Stage::Sharing
            | Stage::Asking { .. } => {}
        }
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.turn(context)
    }

    pub fn timer(&mut self, at: Instant, context: &mut Context) -> Fate {
        if self.timer == Some(at) {
            self.timer = None;
        }
        self.turn(context)
    }

    // ------------------------------------------------------------------ a turn

    /// Does what can be done now.
    pub fn turn(&mut self, context: &mut Context) -> Fate {
        fault::point("engine.turn");
        if self.is_over() {
            return Fate::Over;
        }
        if self.is_awake() && self.deadline.is_some_and(|deadline| context.now >= deadline) {
            return self.out_of_time(context);
        }
        match &mut self.stage {
            Stage::Idle | Stage::Resolving { .. } | Stage::Sharing => Fate::GoesOn,
            Stage::Waiting { .. } => self.wait_is_over(context),
            Stage::Dialling(_) => self.dial_step(None, context),
            Stage::Tunnelling(_) => self.tunnel_step(context),
            Stage::Securing(_) => self.secure(context),
            Stage::Asking { .. } => self.asked(context),
            Stage::Live { .. } => self.live(context),
        }
    }

    fn is_awake(&self) -> bool {
        self.suspended_since.is_none()
    }

    /// Ended, with nothing left to say.
    fn is_over(&self) -> bool {
        self.socket.is_none() && !matches!(self.stage, Stage::Live { .. })
    }

    /// Gives back what the worker's tables hold of the attempt.
    pub fn give_back(mut self: Box<Self>, context: &mut Context) {
        self.let_go(context);
    }

    fn let_go(&mut self, context: &mut Context) {
        context.pool.forget(self.key);
        for token in std::mem::take(&mut self.tokens) {
            context.free_token(token);
        }
    }

    // ------------------------------------------------------------------ small things

    /// The version of HTTP that is spoken, where one is.
    fn http_version(&self) -> u32 {
        match &self.stage {
            Stage::Live { stream, .. } => stream.http_version(),
            // Then it is the answer over HTTP/2 that is told.
            _ if self.fallback.is_useless() => 2,
            _ => 1,
        }
    }

    /// Sees to it that the worker asks again when the next deadline comes up.
    pub fn set_timer(&mut self, context: &mut Context) {
        if !self.is_awake() {
            return;
        }
        let next = match &self.stage {
            Stage::Waiting { until, .. } => Some(*until),
            Stage::Dialling(dialler) => dialler.next_deadline(),
            Stage::Live { session, .. } => session.deadline(),
            _ => None,
        };
        let held = self.held.as_ref().map(|held| held.until);
        let Some(next) = [next, held, self.deadline].into_iter().flatten().min() else { return };
        if self.timer.is_none_or(|timer| next < timer) {
            self.timer = Some(next);
            context.at(next, self.key);
        }
    }

    /// Tells the game something that is not a message.
    fn tell(&mut self, event: EventKind, context: &mut Context) {
        let Some(socket) = &self.socket else { return };
        // What is counted is never behind what is delivered.
        self.count(&socket.0);
        if socket.0.polls() {
            context.collect(event.into());
            context.publish(&socket.0);
        } else {
            let callbacks = socket.0.callbacks();
            delivery::call(socket, &callbacks, event);
        }
    }

    fn log(&self, level: LogLevel, message: std::fmt::Arguments<'_>) {
        if let Some(Socket(socket)) = &self.socket {
            socket.log(level, message);
        }
    }
}
