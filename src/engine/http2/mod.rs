//! The HTTP/2 connections that a worker's sockets share, and who waits for one.
//!
//! ```text
//!   attempt ──join──> Lead: it dials, and brings the connection ──adopt──┐
//!              │                                                         v
//!              ├────> Wait ──────────────────────────────> link: starting ──SETTINGS──> ready
//!              │        └── Alone: the leader failed           │ no extended CONNECT      │
//!              │                                               └──> Unable, Lost          v
//!              └────> Seat <──────────────── room for one more stream ────────────────────┘
//! ```
//!
//! An attempt that waits gets exactly one [`Answer`]. A seat is kept for whom it was promised to,
//! until a stream comes of it or the attempt ends.
//!
//! An origin never has more connections than sockets, and one that waits for its first stream beside:
//! nobody dials while one is dialled, has not sent its SETTINGS, or allows no stream yet; and whoever
//! dialled is the first to be given a stream.

pub mod origins;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use mio::{Registry, Token};

use super::library::TlsHandle;
use super::worker::{Key, News};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{HTTP2_FAREWELL, HTTP2_IDLE};
use crate::logging::{self, LogLevel};
use crate::net::http2::{Connection, Http2Stream, Status};
use crate::net::stream::Stream;
use crate::wire::proxy::Proxy;
use crate::wire::upgrade::ExtendedConnect;
use crate::wire::url::Url;

/// What two sockets must have in common to share a connection.
#[derive(Clone)]
pub struct Origin {
    server: origins::Name,
    proxy: Option<Proxy>,
    /// With the version of the settings, for a connection that was made under others does not count.
    tls: Option<(Arc<TlsHandle>, u64)>,
}

impl Origin {
    pub fn new(url: &Url, proxy: Option<Proxy>, tls: Option<Arc<TlsHandle>>) -> Self {
        let tls = tls.map(|tls| {
            let version = tls.version();
            (tls, version)
        });
        Self { server: origins::Name::of(url), proxy, tls }
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
        same_tls && self.server == other.server && self.proxy == other.proxy
    }
}

/// Which connection of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId {
    slot: u32,
    serial: u32,
}

/// What an attempt that wants to share is to do.
pub enum Joined {
    /// A stream of this connection is its own to open.
    Seat(LinkId),
    /// For an answer.
    Wait,
    /// Make the connection that others will share.
    Lead,
}

/// What came of waiting.
pub enum Answer {
    Seat(LinkId),
    /// There was no room left, or the one that dialled for all has given up.
    JoinAgain,
    /// The one that dialled for all failed, or found a server without HTTP/2.
    Alone,
    /// The server has HTTP/2, but no WebSockets over it.
    Unable,
    Lost(Error),
}

/// What an attempt waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Connection,
    Settings,
    /// The server allows no streams so far.
    Room,
}

/// The connections of one worker.
#[derive(Default)]
pub struct Pool {
    links: Vec<Option<Link>>,
    leads: Vec<Lead>,
    answers: Vec<(Key, Answer)>,
    serial: u32,
    /// The process sleeps: nothing is too late.
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
    promised: Vec<Key>,
    /// Who was given a stream, and has not ended.
    seated: Vec<Key>,
    /// Somebody was given a stream.
    used: bool,
    /// When it is closed, or dropped if it was.
    deadline: Option<Instant>,
    closed: bool,
    /// Nobody else may join: whether the server is still there is not known.
    retired: bool,
    /// What it is wanted for has changed.
    touched: bool,
}

impl Pool {
    /// Finds a place for an attempt.
    pub fn join(&mut self, origin: &Origin, key: Key) -> Joined {
        for link in self.links.iter_mut().flatten() {
            if link.closed || link.retired || link.origin != *origin {
                continue;
            }
            match link.connection.status() {
                Status::Ready { websockets: true } if link.promise(key) => return Joined::Seat(link.id),
                Status::Ready { websockets: true } if !link.is_to_open() => {}
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
        Joined::Lead
    }

    /// Takes over a connection that an attempt has made. The attempt, and those that it made it for,
    /// wait from now on. `token` is what the connection is registered under.
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
        if let Some(at) = self.leads.iter().position(|lead| lead.leader == key) {
            waiting.extend(self.leads.swap_remove(at).followers);
        }
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
            promised: Vec::new(),
            seated: Vec::new(),
            used: false,
            deadline: None,
            closed: false,
            retired: false,
            touched: true,
        });
        Ok(id)
    }

    /// The leader has no connection to share: each of the others makes its own.
    pub fn disband(&mut self, leader: Key) {
        self.end_lead(leader, || Answer::Alone);
    }

    fn end_lead(&mut self, leader: Key, answer: impl Fn() -> Answer) {
        if let Some(at) = self.leads.iter().position(|lead| lead.leader == leader) {
            let followers = self.leads.swap_remove(at).followers;
            self.answers.extend(followers.into_iter().map(|key| (key, answer())));
        }
    }

    /// The attempt has ended, and wants nothing any more.
    pub fn forget(&mut self, key: Key) {
        if self.leads.is_empty() && self.links.is_empty() {
            return;
        }
        self.end_lead(key, || Answer::JoinAgain);
        for followers in self.leads.iter_mut().map(|lead| &mut lead.followers) {
            followers.retain(|follower| *follower != key);
        }
        for link in self.links.iter_mut().flatten() {
            link.waiting.retain(|waiting| *waiting != key);
            link.promised.retain(|promised| *promised != key);
            link.seated.retain(|seated| *seated != key);
            link.touched = true;
        }
    }

    /// Opens the stream that was promised to the attempt.
    pub fn open(&mut self, id: LinkId, key: Key, request: ExtendedConnect) -> Result<Http2Stream, Error> {
        let Some(link) = self.link(id) else {
            let message = "the HTTP/2 connection ended before the upgrade request was sent";
            return Err(Error::new(ErrorKind::Reset, Phase::Upgrade, message));
        };
        link.promised.retain(|promised| *promised != key);
        link.touched = true;
        if link.connection.room() == 0 {
            let message = "the server allows fewer WebSockets on its HTTP/2 connection than it did before";
            return Err(Error::new(ErrorKind::Reset, Phase::Upgrade, message));
        }
        link.used = true;
        link.seated.push(key);
        link.connection.open(request, key.to_bits())
    }

    fn link(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id.slot as usize).and_then(Option::as_mut).filter(|link| link.id == id)
    }

    /// What the attempt waits for.
    pub fn awaited_by(&self, key: Key) -> Awaited {
        match self.links.iter().flatten().find(|link| link.waiting.contains(&key)) {
            None => Awaited::Connection,
            Some(link) if link.connection.status() == Status::Starting => Awaited::Settings,
            Some(_) => Awaited::Room,
        }
    }

    // ------------------------------------------------------------------ the worker's side

    pub fn ready(&mut self, id: LinkId, event: &mio::event::Event) {
        if let Some(link) = self.link(id) {
            link.connection.ready(event);
        }
    }

    pub fn needs_drive(&self) -> bool {
        let mut links = self.links.iter().flatten();
        !self.answers.is_empty() || links.any(|link| link.touched || link.connection.needs_drive())
    }

    pub fn is_empty(&self) -> bool {
        self.links.iter().all(Option::is_none)
    }

    /// What the host says of its machine.
    pub fn hear(&mut self, news: News, now: Instant) {
        self.suspended = news.suspended.unwrap_or(self.suspended);
        for link in self.links.iter_mut().flatten() {
            if news.suspended == Some(false) {
                link.connection.forgive(now);
            }
            if news.look_alive {
                link.retire(&mut self.answers);
            }
        }
        if news.look_alive {
            // Who dials begins anew, and whoever comes first after that leads.
            let followers = self.leads.drain(..).flat_map(|lead| lead.followers);
            self.answers.extend(followers.map(|key| (key, Answer::JoinAgain)));
        }
    }

    /// A server does not answer: whoever comes next gets a connection of its own.
    pub fn retire(&mut self, origin: &Origin) {
        for link in self.links.iter_mut().flatten().filter(|link| link.origin == *origin) {
            link.retire(&mut self.answers);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        if self.suspended {
            return None;
        }
        let links = self.links.iter().flatten();
        links.filter_map(|link| [link.deadline, link.connection.deadline()].into_iter().flatten().min()).min()
    }

    /// Drives what needs it. `owners` are those whose streams have something to do, `tokens` are free
    /// again.
    pub fn drive(&mut self, turn: &Turn<'_>, owners: &mut Vec<u64>, tokens: &mut Vec<Token>) {
        for place in &mut self.links {
            let Some(link) = place else { continue };
            if !link.has_something_to_do(turn, self.suspended) {
                continue;
            }
            let alive = catch_unwind(AssertUnwindSafe(|| link.turn(turn, owners, &mut self.answers)));
            if alive.is_err() {
                logging::write(LogLevel::Error, 0, "", format_args!("an HTTP/2 connection panicked"));
                let error = Error::new(ErrorKind::Internal, Phase::Upgrade, "the HTTP/2 connection panicked");
                link.answer(&mut self.answers, || Answer::Lost(error.clone()));
                // It has named nobody; each finds its stream at an end.
                owners.extend(link.seated.iter().map(|key| key.to_bits()));
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

    pub fn take_answers(&mut self) -> Vec<(Key, Answer)> {
        std::mem::take(&mut self.answers)
    }
}

/// What the worker knows when it drives.
pub struct Turn<'a> {
    pub registry: &'a Registry,
    pub now: Instant,
    pub stopping: bool,
}

impl Link {
    /// Keeps a seat, if there is one.
    fn promise(&mut self, key: Key) -> bool {
        let free = self.connection.room() > self.promised.len();
        if free {
            self.promised.push(key);
        }
        free
    }

    /// Allows no stream, and never has: a server that is not ready to serve yet. One that is full, or
    /// allows no more later, is followed by the next connection.
    fn is_to_open(&self) -> bool {
        !self.used && self.promised.is_empty() && self.connection.most_streams() == 0
    }

    fn answer(&mut self, answers: &mut Vec<(Key, Answer)>, mut answer: impl FnMut() -> Answer) {
        answers.extend(self.waiting.drain(..).map(|key| (key, answer())));
    }

    fn retire(&mut self, answers: &mut Vec<(Key, Answer)>) {
        if !self.closed {
            (self.retired, self.touched) = (true, true);
            if self.connection.status() == Status::Starting || self.is_to_open() {
                self.answer(answers, || Answer::JoinAgain);
            }
        }
    }

    fn has_something_to_do(&self, turn: &Turn<'_>, suspended: bool) -> bool {
        let due = [self.deadline, self.connection.deadline()].into_iter().flatten().min();
        self.touched
            || self.connection.needs_drive()
            || !suspended && due.is_some_and(|due| turn.now >= due)
            || turn.stopping && !self.closed
    }

    /// False when it is over.
    fn turn(&mut self, turn: &Turn<'_>, owners: &mut Vec<u64>, answers: &mut Vec<(Key, Answer)>) -> bool {
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
            Status::Ready { websockets: true } if self.is_to_open() => {}
            Status::Ready { websockets: true } => {
                for key in std::mem::take(&mut self.waiting) {
                    let seat = self.promise(key);
                    answers.push((key, if seat { Answer::Seat(self.id) } else { Answer::JoinAgain }));
                }
            }
            Status::Ready { websockets: false } => {
                self.answer(answers, || Answer::Unable);
                self.close(turn.now);
            }
            Status::Draining => {
                let failure = self.connection.failure();
                self.answer(answers, || Answer::Lost(failure.clone()));
            }
            Status::Over => {
                // Those who hold streams learn of it from them.
                self.connection.drive(turn.now, owners);
                let failure = self.connection.failure();
                self.answer(answers, || Answer::Lost(failure.clone()));
                return false;
            }
        }
        let is_idle = self.connection.streams() == 0 && self.waiting.is_empty() && self.promised.is_empty();
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
            self.deadline = Some(now + HTTP2_FAREWELL);
        }
    }
}
