//! A connection and its stages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mio::Token;

use super::candidate::{self, Candidate};
use super::context::Context;
use super::counter_base::CounterBase;
use super::terminal::{DelayedEnd, Draining, Terminal};
use super::transport::{Carrier, Transport};
use super::tunnel::{ProxyRoute, Tunnel};
use crate::capture::Tap;
use crate::clock::Instant;
use crate::engine::shared::callbacks::Wants;
use crate::engine::shared::commands::LookupNumber;
use crate::engine::shared::dispatch;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::key::Key;
use crate::engine::shared::origins::Name;
use crate::engine::shared::request::Draft;
use crate::engine::shared::settings::Plan;
use crate::engine::shared::socket::{Handler, Shared, Socket};
use crate::engine::shared::state::HttpVersion;
use crate::error::Error;
use crate::logging::LogLevel;
use crate::net::dial::Dialler;
use crate::net::resolve::Lookup;
use crate::net::stream::Stream;
use crate::session::Session;
use crate::session::reconnect::Retries;
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// Whether the connection needs further turns.
pub enum TurnResult {
    Continue,
    Finished,
}

/// One connection of a socket, on its worker: from name resolution to the terminal event, including redirects
/// and reconnects.
pub struct Connection {
    pub(super) key: Key,
    /// None after the terminal event.
    pub(super) socket: Option<Socket>,
    pub(super) plan: Plan,
    /// The requested HTTP version.
    pub(super) http: HttpVersion,
    /// An HTTP/2 stream was lost before a response and was retried.
    pub(super) retried_stream: bool,
    pub(super) fallback: Fallback,
    /// A refused upgrade ends without waiting for the body.
    pub(super) skip_body: bool,
    /// The upgrade request: that of the plan, or the one after a redirect.
    pub(super) request: Arc<UpgradeRequest>,
    /// The proxy, if there is one.
    pub(super) route: Option<Box<ProxyRoute>>,
    pub(super) stage: Stage,
    /// Its last name lookup.
    pub(super) lookup: LookupNumber,
    /// Upgrade requests so far, and redirects followed.
    pub(super) requests: u32,
    pub(super) redirects: u32,
    /// The server that was redirected from, if credentials or cookies set for it were not sent to the new
    /// one.
    pub(super) secrets_dropped_for: Option<Box<str>>,
    pub(super) retries: Retries,
    pub(super) tokens: Tokens,
    /// The socket was destroyed, and its queued messages are still sent.
    pub(super) draining: Option<Box<Draining>>,
    /// For connecting, then for lingering.
    pub(super) deadline: Option<Instant>,
    /// No deadline applies while the process is suspended.
    pub(super) suspended_since: Option<Instant>,
    /// When a message that waits in a lane expires, or something moves on the simulated link.
    pub(super) expiry: Option<Instant>,
    /// The earliest timer that is set.
    pub(super) timer: Option<Instant>,
    /// Until the deadlines were checked.
    pub(super) timer_was_due: bool,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// Received bytes were not processed, as the event queue was full.
    pub(super) unprocessed: bool,
    /// That it was full has been logged.
    pub(super) logged_full_queue: bool,
    /// None in poll mode, in which the worker runs no callbacks.
    pub(super) handler: Option<Arc<Handler>>,
    pub(super) handler_version: u32,
    /// What the handler wants, in both modes.
    pub(super) wants: Wants,
    /// The end after a protocol violation, until the game has taken the events before it.
    pub(super) delayed_end: Option<Box<DelayedEnd>>,
    /// The start of the current phase of connecting.
    pub(super) started: Instant,
    pub(super) base: CounterBase,
    /// Set while this connection may replace the one of its socket.
    pub(super) candidate: Option<Box<Candidate>>,
    /// None unless the connection is captured.
    pub(super) capture: Option<Box<Tap>>,
}

/// The progress of a connection.
pub enum Stage {
    Idle,
    /// Before a restart.
    Waiting {
        until: Instant,
        restart: Restart,
    },
    Resolving {
        _lookup: Lookup,
        target: ResolveTarget,
    },
    /// Looks for a NAT64, as the network has no route to the IPv4 addresses.
    FindingNat64(Box<FindingNat64>),
    Connecting(Box<Dialler>),
    ProxyHandshake(Box<Tunnel>),
    TlsHandshake(Box<Stream>),
    /// Waits for a stream of a shared HTTP/2 connection.
    AwaitingStream,
    /// Waits until the game has finished with the upgrade request.
    RequestEvent {
        carrier: Carrier,
        draft: Arc<Draft>,
    },
    /// The upgrade request is sent, or the WebSocket is open.
    Live {
        stream: Transport,
        session: Box<Session>,
    },
}

pub struct FindingNat64 {
    pub _lookup: Option<Lookup>,
    pub peers: Vec<SocketAddr>,
    pub unreachable: Error,
}

/// How a connection restarts.
pub enum Restart {
    /// The same server over HTTP/1.1, after HTTP/2 has failed.
    Http1,
    Redirect(Arc<UpgradeRequest>),
    Retry,
}

/// The host to resolve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveTarget {
    /// The next hop: the proxy, or the server if there is none.
    NextHop,
    /// The server, for a proxy that requires addresses.
    Server,
}

/// The tokens of a connection's sockets: one, or several while addresses are tried.
#[derive(Default)]
pub enum Tokens {
    #[default]
    None,
    One(Token),
    Several(Box<[Token]>),
}

impl Tokens {
    pub fn push(&mut self, token: Token) {
        *self = match std::mem::take(self) {
            Tokens::None => Tokens::One(token),
            Tokens::One(first) => Tokens::Several(Box::new([first, token])),
            Tokens::Several(tokens) => Tokens::Several(tokens.iter().copied().chain([token]).collect()),
        };
    }

    /// Frees them in the worker's table.
    pub fn free(self, context: &mut Context) {
        match self {
            Tokens::None => {}
            Tokens::One(token) => context.free_token(token),
            Tokens::Several(tokens) => tokens.into_iter().for_each(|token| context.free_token(token)),
        }
    }

    /// Frees all but one.
    pub fn free_others(&mut self, kept: Token, context: &mut Context) {
        if let Tokens::Several(tokens) = std::mem::replace(self, Tokens::One(kept)) {
            tokens.into_iter().filter(|token| *token != kept).for_each(|token| context.free_token(token));
        }
    }
}

/// The fallback from HTTP/2 to HTTP/1.1, until the socket is open.
#[derive(Default)]
pub enum Fallback {
    #[default]
    None,
    Http1(Box<Http1Fallback>),
    /// The server does not support HTTP/1.1.
    Unavailable(Box<Name>),
}

pub struct Http1Fallback {
    pub server: Name,
    /// Store it for all sockets if the upgrade succeeds.
    pub remember: bool,
    /// How HTTP/2 failed, during the first attempt over HTTP/1.1.
    pub http2_end: Option<Terminal>,
}

impl Fallback {
    /// Returns whether this server gets requests over HTTP/1.1.
    pub fn applies_to(&self, url: &Url) -> bool {
        matches!(self, Fallback::Http1(fallback) if fallback.server == Name::of(url))
    }

    pub fn is_unavailable(&self) -> bool {
        matches!(self, Fallback::Unavailable(_))
    }
}

impl Connection {
    pub fn new(key: Key, socket: Arc<Shared>, plan: Plan, now: Instant) -> Self {
        // None yet: it is fetched for the first message.
        let handler_version = socket.handler_version().wrapping_sub(1);
        let base = CounterBase::of(&socket);
        Self {
            key,
            deadline: Some(now + plan.settings.connect_timeout),
            socket: Some(Socket(socket)),
            http: plan.http_for(&plan.settings.request.url),
            retried_stream: false,
            fallback: Fallback::None,
            skip_body: false,
            request: plan.settings.request.clone(),
            plan,
            route: None,
            stage: Stage::Idle,
            lookup: LookupNumber::default(),
            requests: 0,
            redirects: 0,
            secrets_dropped_for: None,
            retries: Retries::default(),
            tokens: Tokens::None,
            draining: None,
            suspended_since: None,
            expiry: None,
            timer: None,
            timer_was_due: false,
            readable: false,
            writable: false,
            unprocessed: false,
            logged_full_queue: false,
            wants: Wants::default(),
            handler: None,
            handler_version,
            delayed_end: None,
            started: now,
            base,
            candidate: None,
            capture: None,
        }
    }

    /// The handle of its socket, 0 after the terminal event.
    pub fn socket_id(&self) -> u64 {
        self.socket.as_ref().map_or(0, |Socket(socket)| socket.id)
    }

    /// Whether its turns may run the caller's code: callbacks or extensions.
    pub fn runs_callers_code(&self) -> bool {
        !self.plan.settings.extensions.is_empty()
            || self.socket.as_ref().is_some_and(|Socket(socket)| !socket.polls())
    }

    // ------------------------------------------------------------------ shared by the stages

    /// Takes the connection from its socket. What it still has to do must not keep the callbacks: after the finalizer,
    /// what they use may be gone.
    pub(super) fn leave_socket(&mut self) -> Option<Socket> {
        (self.expiry, self.handler) = (None, None);
        // Reports of the host are for sockets: this would not hear that the process runs again.
        self.suspended_since = None;
        self.socket.take()
    }

    pub(super) fn is_awake(&self) -> bool {
        self.suspended_since.is_none()
    }

    /// Ended, with nothing left to send.
    pub(super) fn is_over(&self) -> bool {
        self.socket.is_none() && !matches!(self.stage, Stage::Live { .. })
    }

    /// Releases its entries in the worker's tables.
    pub(super) fn release(&mut self, context: &mut Context) {
        context.pool.forget(self.key);
        std::mem::take(&mut self.tokens).free(context);
    }

    /// The version of HTTP that is used.
    pub(super) fn http_version(&self) -> u32 {
        match &self.stage {
            Stage::Live { stream, .. } => stream.http_version(),
            // The response over HTTP/2 is reported then.
            _ if self.fallback.is_unavailable() => 2,
            _ => 1,
        }
    }

    pub(super) fn log(&self, level: LogLevel, message: std::fmt::Arguments<'_>) {
        if let Some(Socket(socket)) = &self.socket {
            socket.log(level, message);
        }
    }

    /// Delivers an event that is not a message.
    pub(super) fn deliver(&mut self, event: EventKind, context: &mut Context) {
        let Some(socket) = &self.socket else { return };
        // Statistics include what was delivered.
        self.count(&socket.0);
        if socket.0.polls() {
            context.collect(event.into());
            context.publish(&socket.0);
        } else {
            dispatch::call(socket, socket.0.handler().as_deref(), event);
        }
    }

    /// Updates the socket's counters.
    pub(super) fn count(&self, socket: &Shared) {
        if let Stage::Live { session, .. } = &self.stage {
            self.base.count_received(socket, session);
        }
    }

    /// Stores how long a phase of connecting took, and starts the next one.
    pub(super) fn time(&mut self, now: Instant, counter: candidate::Duration) {
        let took = now.saturating_duration_since(self.started).as_micros() as u64;
        if let Some(candidate) = &mut self.candidate {
            candidate.durations.push((counter, took));
        } else if let Some(Socket(socket)) = &self.socket {
            counter(&socket.counters).store(took, Ordering::Relaxed);
        }
        self.started = now;
    }
}
