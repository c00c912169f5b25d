//! The pool of HTTP/2 connections that a worker's sockets share.
//!
//! ```text
//!   join ──> Connect: the leader makes the connection ──adopt──┐
//!      │                                                       v
//!      ├───> Wait ───────────────────────────────> link: starting ──SETTINGS──> ready
//!      │       └── ConnectAlone: the leader failed       │ no extended CONNECT      │
//!      │                                                 └──> NoExtendedConnect, Lost │
//!      └───> Reserved <──────────── capacity for one more stream ────────────────────┘
//! ```
//!
//! A connection that waits gets exactly one [`Reply`]. A reserved stream is kept for it until it opens the
//! stream or ends.
//!
//! An origin never has more HTTP/2 connections than sockets, plus one that waits for its first stream: none
//! is opened while another is being opened, has not sent its SETTINGS, or allows no stream yet; and the
//! leader gets the first stream.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mio::{Registry, Token};

use super::shared::inbox::NetworkChange;
use super::shared::key::Key;
use super::shared::origins;
use super::shared::tls::TlsHandle;
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{HTTP2_GOAWAY_TIMEOUT, HTTP2_IDLE};
use crate::logging::{self, LogLevel};
use crate::net::http2::{Connection, Http2Stream, Status};
use crate::net::link::LinkConditions;
use crate::net::stream::Stream;
use crate::wire::proxy::Proxy;
use crate::wire::upgrade::ExtendedConnect;
use crate::wire::url::Url;

/// What two sockets must have in common to share a connection.
#[derive(Clone)]
pub struct Origin {
    server: origins::Name,
    proxy: Option<Proxy>,
    /// With the version of the settings: connections made before a change are not shared after it.
    tls: Option<(Arc<TlsHandle>, u64)>,
    /// The only connection of a socket that uses it, as it passes a simulated link.
    only_for: Option<Key>,
}

impl Origin {
    pub fn new(url: &Url, proxy: Option<Proxy>, tls: Option<Arc<TlsHandle>>) -> Self {
        let tls = tls.map(|tls| {
            let version = tls.version();
            (tls, version)
        });
        Self { server: origins::Name::of(url), proxy, tls, only_for: None }
    }

    /// Declares that only this connection of a socket uses it.
    pub fn only_for(self, key: Key) -> Self {
        Self { only_for: Some(key), ..self }
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some((own, version)), Some((others, other_version))) => {
                Arc::ptr_eq(own, others) && version == other_version
            }
            (None, None) => true,
            _ => false,
        };
        same_tls
            && self.server == other.server
            && self.proxy == other.proxy
            && self.only_for == other.only_for
    }
}

/// Identifies a shared connection of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId {
    slot: u32,
    serial: u32,
}

/// The result of joining the pool.
pub enum Joined {
    /// A stream of this connection is reserved.
    Reserved(LinkId),
    /// Wait for an [`Reply`].
    Wait,
    /// Make the connection that others will share.
    Connect,
}

/// The result of waiting.
pub enum Reply {
    /// A stream of this connection is reserved.
    Reserved(LinkId),
    /// Join again: there was no capacity left, or the leader has failed.
    Rejoin,
    /// Connect without sharing: the leader failed, or the server does not support HTTP/2.
    ConnectAlone,
    /// The server supports HTTP/2, but not WebSockets over it.
    NoExtendedConnect,
    Lost(Error),
}

/// What a waiting connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Connection,
    Settings,
    /// The server allows no stream yet.
    StreamLimit,
}

/// The shared connections of one worker.
#[derive(Default)]
pub struct Pool {
    links: Vec<Option<Link>>,
    leads: Vec<Lead>,
    replies: Vec<(Key, Reply)>,
    serial: u32,
    /// The process is suspended: no deadline applies.
    suspended: bool,
}

struct Lead {
    origin: Origin,
    leader: Key,
    followers: Vec<Key>,
}

struct Link {
    id: LinkId,
    origin: Origin,
    connection: Connection,
    token: Token,
    waiting: Vec<Key>,
    reserved: Vec<Key>,
    /// The owners of open streams.
    streams: Vec<Key>,
    /// A stream was opened.
    used: bool,
    /// When it is closed, or after that, dropped.
    deadline: Option<Instant>,
    closed: bool,
    /// No longer shared: the server may be unreachable.
    retired: bool,
    /// It must be driven, as its waiters or streams have changed.
    touched: bool,
}

impl Pool {
    /// Finds a connection for a socket.
    pub fn join(&mut self, origin: &Origin, key: Key) -> Joined {
        for link in self.links.iter_mut().flatten() {
            if link.closed || link.retired || link.origin != *origin {
                continue;
            }
            match link.connection.status() {
                Status::Ready { websockets: true } if link.reserve(key) => return Joined::Reserved(link.id),
                Status::Ready { websockets: true } if !link.awaits_first_stream() => {}
                Status::Starting | Status::Ready { websockets: true } => {
                    link.waiting.push(key);
                    return Joined::Wait;
                }
                _ => {}
            }
        }
        if let Some(lead) = self.leads.iter_mut().find(|lead| lead.origin == *origin) {
            lead.followers.push(key);
            return Joined::Wait;
        }
        self.leads.push(Lead { origin: origin.clone(), leader: key, followers: Vec::new() });
        Joined::Connect
    }

    /// Adds a connection that the leader has opened. The leader and its followers wait from now on. The
    /// transport is registered under `token`.
    pub fn adopt(
        &mut self,
        stream: Stream,
        token: Token,
        origin: Origin,
        key: Key,
        now: Instant,
    ) -> Result<LinkId, Error> {
        let connection = Connection::new(stream, now)?;
        let mut waiting = vec![key];
        // The TLS settings may have changed since it began to connect: the connection is for those who have asked for
        // the same, or for its socket alone.
        let origin = match self.leads.iter().position(|lead| lead.leader == key) {
            Some(at) => {
                let Lead { origin, followers, .. } = self.leads.swap_remove(at);
                waiting.extend(followers);
                origin
            }
            None => origin.only_for(key),
        };
        let slot = self.links.iter().position(Option::is_none).unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        self.serial = self.serial.wrapping_add(1);
        let id = LinkId { slot: slot as u32, serial: self.serial };
        self.links[slot] = Some(Link {
            id,
            origin,
            connection,
            token,
            waiting,
            reserved: Vec::new(),
            streams: Vec::new(),
            used: false,
            deadline: None,
            closed: false,
            retired: false,
            touched: true,
        });
        Ok(id)
    }

    /// The leader has no connection to share: each follower connects separately.
    pub fn disband(&mut self, leader: Key) {
        self.end_lead(leader, || Reply::ConnectAlone);
    }

    fn end_lead(&mut self, leader: Key, reply: impl Fn() -> Reply) {
        if let Some(at) = self.leads.iter().position(|lead| lead.leader == leader) {
            let followers = self.leads.swap_remove(at).followers;
            self.replies.extend(followers.into_iter().map(|key| (key, reply())));
        }
    }

    /// Removes a connection that has ended.
    pub fn forget(&mut self, key: Key) {
        if self.leads.is_empty() && self.links.is_empty() {
            return;
        }
        self.end_lead(key, || Reply::Rejoin);
        for followers in self.leads.iter_mut().map(|lead| &mut lead.followers) {
            followers.retain(|follower| *follower != key);
        }
        for link in self.links.iter_mut().flatten() {
            link.waiting.retain(|waiting| *waiting != key);
            link.reserved.retain(|reserved| *reserved != key);
            link.streams.retain(|streams| *streams != key);
            link.touched = true;
        }
    }

    /// Opens the reserved stream.
    pub fn open(&mut self, id: LinkId, key: Key, request: ExtendedConnect) -> Result<Http2Stream, Error> {
        let Some(link) = self.link(id) else {
            let message = "the HTTP/2 connection ended before the upgrade request was sent";
            return Err(Error::new(ErrorKind::Reset, Phase::Upgrade, message));
        };
        link.reserved.retain(|reserved| *reserved != key);
        link.touched = true;
        if link.connection.room() == 0 {
            let message = "the server allows fewer WebSockets on its HTTP/2 connection than it did before";
            return Err(Error::new(ErrorKind::Reset, Phase::Upgrade, message));
        }
        link.used = true;
        let stream = link.connection.open(request, key.to_bits())?;
        link.streams.push(key);
        Ok(stream)
    }

    /// Sets the simulated link of the connection that carries the stream of `key`. False if others share it.
    pub fn set_link(&mut self, key: Key, conditions: Option<&LinkConditions>, now: Instant) -> bool {
        let Some(link) = self.links.iter_mut().flatten().find(|link| link.streams.contains(&key)) else {
            return true;
        };
        if link.origin.only_for.is_none() && conditions.is_some() {
            if link.streams.len() + link.waiting.len() + link.reserved.len() > 1 {
                return false;
            }
            link.origin.only_for = Some(key);
        }
        link.connection.set_link(conditions, now);
        true
    }

    fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id.slot as usize).and_then(Option::as_mut).filter(|link| link.id == id)
    }

    /// What the connection waits for.
    pub fn awaited_by(&self, key: Key) -> Awaited {
        match self.links.iter().flatten().find(|link| link.waiting.contains(&key)) {
            None => Awaited::Connection,
            Some(link) if link.connection.status() == Status::Starting => Awaited::Settings,
            Some(_) => Awaited::StreamLimit,
        }
    }

    /// The local address and the peer's of the connection that carries the stream of `key`.
    pub fn addresses(&mut self, key: Key) -> Option<(SocketAddr, SocketAddr)> {
        let link = self.links.iter_mut().flatten().find(|link| link.streams.contains(&key))?;
        link.connection.with_tcp(|tcp| tcp.local_addr().ok().zip(tcp.peer_addr().ok()))
    }

    // ------------------------------------------------------------------ the worker's side

    pub fn ready(&mut self, id: LinkId, event: &mio::event::Event) {
        if let Some(link) = self.link(id) {
            link.connection.ready(event);
        }
    }

    pub fn needs_drive(&self) -> bool {
        let mut links = self.links.iter().flatten();
        !self.replies.is_empty() || links.any(|link| link.touched || link.connection.needs_drive())
    }

    pub fn is_empty(&self) -> bool {
        self.links.iter().all(Option::is_none)
    }

    /// Handles a report of the host.
    pub fn network_changed(&mut self, change: NetworkChange, now: Instant) {
        self.suspended = change.suspended.unwrap_or(self.suspended);
        for link in self.links.iter_mut().flatten() {
            if change.suspended == Some(false) {
                link.connection.restart_timeouts(now);
            }
            if change.probe {
                link.retire(&mut self.replies);
            }
        }
        if change.probe {
            // Leaders connect again, and the first to join after that leads.
            let followers = self.leads.drain(..).flat_map(|lead| lead.followers);
            self.replies.extend(followers.map(|key| (key, Reply::Rejoin)));
        }
    }

    /// Stops sharing the connections to a server that does not respond.
    pub fn retire(&mut self, origin: &Origin) {
        for link in self.links.iter_mut().flatten().filter(|link| link.origin == *origin) {
            link.retire(&mut self.replies);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        if self.suspended {
            return None;
        }
        let links = self.links.iter().flatten();
        links.filter_map(|link| [link.deadline, link.connection.deadline()].into_iter().flatten().min()).min()
    }

    /// Drives the connections that need it. Appends the owners of streams that are ready, and tokens that are
    /// free.
    pub fn drive(&mut self, turn: &PoolTurn<'_>, owners: &mut Vec<u64>, tokens: &mut Vec<Token>) {
        for place in &mut self.links {
            let Some(link) = place else { continue };
            if !link.needs_turn(turn, self.suspended) {
                continue;
            }
            let alive = catch_unwind(AssertUnwindSafe(|| link.turn(turn, owners, &mut self.replies)));
            if alive.is_err() {
                logging::write(LogLevel::Error, 0, "", format_args!("an HTTP/2 connection panicked"));
                let error = Error::new(ErrorKind::Internal, Phase::Upgrade, "the HTTP/2 connection panicked");
                link.reply_to_waiting(&mut self.replies, || Reply::Lost(error.clone()));
                // Every owner finds that its stream has ended.
                owners.extend(link.streams.iter().map(|key| key.to_bits()));
            }
            if !alive.unwrap_or(false) {
                link.connection.with_tcp(|tcp| {
                    if let Err(error) = turn.registry.deregister(tcp) {
                        log::debug!("an HTTP/2 connection could not be deregistered: {error}");
                    }
                });
                tokens.push(link.token);
                *place = None;
            }
        }
        while let Some(None) = self.links.last() {
            self.links.pop();
        }
    }

    pub fn take_replies(&mut self) -> Vec<(Key, Reply)> {
        std::mem::take(&mut self.replies)
    }
}

/// What driving uses of the worker.
pub struct PoolTurn<'a> {
    pub registry: &'a Registry,
    pub now: Instant,
    pub stopping: bool,
}

impl Link {
    /// Reserves a stream, if there is capacity.
    fn reserve(&mut self, key: Key) -> bool {
        let free = self.connection.room() > self.reserved.len();
        if free {
            self.reserved.push(key);
        }
        free
    }

    /// Whether the server allows no stream and never has, as it may do until it is ready. When a connection
    /// is full, or its limit is lowered later, another connection is opened.
    fn awaits_first_stream(&self) -> bool {
        !self.used && self.reserved.is_empty() && self.connection.most_streams() == 0
    }

    fn reply_to_waiting(&mut self, replies: &mut Vec<(Key, Reply)>, mut reply: impl FnMut() -> Reply) {
        replies.extend(self.waiting.drain(..).map(|key| (key, reply())));
    }

    fn retire(&mut self, replies: &mut Vec<(Key, Reply)>) {
        if !self.closed {
            (self.retired, self.touched) = (true, true);
            if self.connection.status() == Status::Starting || self.awaits_first_stream() {
                self.reply_to_waiting(replies, || Reply::Rejoin);
            }
        }
    }

    fn needs_turn(&self, turn: &PoolTurn<'_>, suspended: bool) -> bool {
        let due = [self.deadline, self.connection.deadline()].into_iter().flatten().min();
        self.touched
            || self.connection.needs_drive()
            || !suspended && due.is_some_and(|due| turn.now >= due)
            || turn.stopping && !self.closed
    }

    /// Returns false when the connection has ended.
    fn turn(&mut self, turn: &PoolTurn<'_>, owners: &mut Vec<u64>, replies: &mut Vec<(Key, Reply)>) -> bool {
        self.touched = false;
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| turn.now >= deadline);
        if is_due(self.connection.deadline()) {
            self.connection.handle_timeout(turn.now);
        }
        if self.connection.needs_drive() {
            self.connection.drive(turn.now, owners);
        }
        match self.connection.status() {
            Status::Starting => {}
            Status::Ready { websockets: true } if self.awaits_first_stream() => {}
            Status::Ready { websockets: true } => {
                for key in std::mem::take(&mut self.waiting) {
                    let is_reserved = self.reserve(key);
                    replies.push((key, if is_reserved { Reply::Reserved(self.id) } else { Reply::Rejoin }));
                }
            }
            Status::Ready { websockets: false } => {
                self.reply_to_waiting(replies, || Reply::NoExtendedConnect);
                self.close(turn.now);
            }
            Status::Draining => {
                let failure = self.connection.failure();
                self.reply_to_waiting(replies, || Reply::Lost(failure.clone()));
            }
            Status::Over => {
                // Streams report the end to their owners.
                self.connection.drive(turn.now, owners);
                let failure = self.connection.failure();
                self.reply_to_waiting(replies, || Reply::Lost(failure.clone()));
                return false;
            }
        }
        let is_idle = self.connection.streams() == 0 && self.waiting.is_empty() && self.reserved.is_empty();
        if self.closed {
            return !(is_idle && is_due(self.deadline));
        }
        if !is_idle {
            self.deadline = None;
        } else if turn.stopping || self.retired || is_due(self.deadline) {
            self.close(turn.now);
        } else {
            self.deadline.get_or_insert(turn.now + HTTP2_IDLE);
        }
        true
    }

    fn close(&mut self, now: Instant) {
        if !self.closed {
            self.closed = true;
            self.connection.close();
            self.deadline = Some(now + HTTP2_GOAWAY_TIMEOUT);
        }
    }
}
