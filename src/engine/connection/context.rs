//! What a connection uses of its worker during a turn.

use std::sync::Arc;

use mio::{Registry, Token};

use super::candidate::NewCandidate;
use super::timers::Timers;
use crate::clock::Instant;
use crate::engine::http2::{LinkId, Pool};
use crate::engine::shared::event::EventKind;
use crate::engine::shared::event_queue::QueuedEvent;
use crate::engine::shared::key::Key;
use crate::engine::shared::message_run::MessageRun;
use crate::engine::shared::ready_list;
use crate::engine::shared::socket::Shared;
use crate::engine::shared::tls::TlsHandle;
use crate::limits::EVENT_OVERHEAD;
use crate::net::resolve::Resolver;
use crate::net::watch::Watch;
use crate::session::inbound::Scratch;
use crate::session::lanes::{Begun, Outcome};
use crate::session::{MessageType, Payload};

/// What the connections of a worker share.
pub struct Context {
    pub registry: Registry,
    pub resolver: Resolver,
    /// For sockets without TLS settings.
    pub default_tls: Arc<TlsHandle>,
    pub scratch: Scratch,
    /// Events of the socket whose turn it is, until they are published together.
    pub batch: Vec<QueuedEvent>,
    pub batch_charge: usize,
    /// Events were published, and the threads that wait for some were not woken yet.
    has_published: bool,
    /// The time when the turn started.
    pub now: Instant,
    /// The pings of all sockets are aligned to this time.
    pub epoch: Instant,
    /// The library stops.
    pub stopping: bool,
    /// HTTP/2 connections, which sockets share.
    pub pool: Pool,
    pub routes: Routes,
    pub timers: Timers,
    /// Of the socket whose turn it is: messages of lanes that were written or dropped, and what became of those with
    /// tags.
    pub ended: Vec<(Begun, bool)>,
    pub outcomes: Vec<(u64, Outcome)>,
    /// Connections that have more to do, to run after the others.
    pub run_again: Vec<Key>,
    /// Candidates to add to the worker's connections.
    pub new_candidates: Vec<NewCandidate>,
    /// Candidates that are ready to replace the connection of their socket. Each has a timer that is due.
    pub handovers: Vec<Key>,
    /// None where the network is not watched.
    pub watch: Option<Watch>,
}

/// The receiver of a readiness event.
#[derive(Clone, Copy)]
pub enum Route {
    Connection(Key),
    Link(LinkId),
}

/// The receivers of readiness events, by token.
#[derive(Default)]
pub struct Routes {
    routes: Vec<Option<Route>>,
    free: Vec<usize>,
}

impl Routes {
    pub fn new_token(&mut self, key: Key) -> Token {
        let token = self.free.pop().unwrap_or_else(|| {
            self.routes.push(None);
            self.routes.len() - 1
        });
        self.routes[token] = Some(Route::Connection(key));
        Token(token)
    }

    pub fn get(&self, token: Token) -> Option<Route> {
        self.routes.get(token.0).copied().flatten()
    }
}

impl Context {
    pub fn new(registry: Registry, resolver: Resolver, default_tls: Arc<TlsHandle>, epoch: Instant) -> Self {
        Self {
            epoch,
            registry,
            resolver,
            default_tls,
            scratch: None,
            batch: Vec::new(),
            batch_charge: 0,
            has_published: false,
            now: Instant::now(),
            stopping: false,
            pool: Pool::default(),
            routes: Routes::default(),
            timers: Timers::default(),
            ended: Vec::new(),
            outcomes: Vec::new(),
            run_again: Vec::new(),
            new_candidates: Vec::new(),
            handovers: Vec::new(),
            watch: None,
        }
    }

    /// Hands the token to a shared connection.
    pub fn reroute(&mut self, token: Token, link: LinkId) {
        if let Some(route) = self.routes.routes.get_mut(token.0) {
            *route = Some(Route::Link(link));
        }
    }

    pub fn free_token(&mut self, token: Token) {
        if let Some(route) = self.routes.routes.get_mut(token.0)
            && route.take().is_some()
        {
            self.routes.free.push(token.0);
        }
    }

    /// Schedules another turn for the connection, after those of the others.
    pub fn turn_again(&mut self, key: Key) {
        self.run_again.push(key);
    }

    /// Schedules a turn for the connection at this time.
    pub fn at(&mut self, deadline: Instant, key: Key) {
        self.timers.add(deadline, key);
    }

    /// Publishes the events that the turn has collected.
    pub fn publish(&mut self, socket: &Arc<Shared>) {
        if !self.batch.is_empty() {
            socket.publish(&mut self.batch, self.batch_charge);
            self.batch_charge = 0;
            self.has_published = true;
        }
    }

    /// Wakes the threads that wait for what was published.
    pub fn wake_sleepers(&mut self) {
        if std::mem::take(&mut self.has_published) {
            ready_list::wake_sleepers();
        }
    }

    pub fn collect(&mut self, event: QueuedEvent) {
        self.batch_charge += event.charge();
        self.batch.push(event);
    }

    /// Collects an event for which the queue is charged already.
    pub fn collect_reserved(&mut self, event: QueuedEvent) {
        self.batch.push(event);
    }

    /// Collects a message, in the block into which it was received.
    #[inline]
    pub fn collect_message(&mut self, message_type: MessageType, payload: &Payload<'_>) {
        let Some(frame) = payload.whole_frame() else {
            let payload = payload.segment();
            return self.collect(QueuedEvent::Event(EventKind::message(message_type, payload)));
        };
        if let Some(QueuedEvent::Messages(run)) = self.batch.last_mut()
            && run.extend(&frame)
        {
            self.batch_charge += EVENT_OVERHEAD + frame.payload_len;
        } else {
            self.collect(QueuedEvent::Messages(MessageRun::of(&frame)));
        }
    }
}
