//! What a socket's handle stands for: what the game's threads and the worker share of it.
//!
//! ```text
//!            open()             upgrade done            close(), or the peer's close
//!   CLOSED ─────────> CONNECTING ───────────> OPEN ─────────────────────────> CLOSING
//!     ^                    │  ^                 │                                │
//!     │                    │  └── reconnecting ─┤                                │
//!     └────────────────────┴── terminal event ──┴────────────────────────────────┘
//! ```
//!
//! The state changes under the lock of `to_worker`, so a send that was accepted always belongs to
//! the connection that was open when it was made.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::callbacks::Callbacks;
use super::counters::Counters;
use super::http2::origins;
use super::hub::Hub;
use super::lock;
use super::mailbox::Mailbox;
use super::worker::{Inbox, unattended};
use crate::buffer::Segment;
use crate::error::Error;
use crate::limits;
use crate::session::Outbox;
use crate::session::extension::Extension;
use crate::session::liveness::PingSettings;
use crate::session::reconnect::Reconnect;
use crate::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::cookies::CookieJar;
use crate::wire::deflate::DeflateConfig;
use crate::wire::proxy::{Environment, Found, Proxy, ProxyChoice};
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::url::Url;

/// The handle: cloning it counts a reference.
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<Shared>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    Connecting = 0,
    Open = 1,
    Closing = 2,
    Closed = 3,
    /// Not a socket.
    Unknown = 4,
}

/// Where callbacks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Dispatch {
    /// Inside `poll`, on the thread that calls it.
    Poll = 0,
    /// On the socket's worker, at once.
    Worker = 1,
}

/// Which version of HTTP a WebSocket may begin with, numbered as in the C ABI (`FW_HTTP_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum HttpVersion {
    /// HTTP/2 for `wss:` where the server has WebSockets over it (RFC 8441), else HTTP/1.1.
    #[default]
    Auto = 0,
    Http1 = 1,
    /// Nothing else will do; for `ws:` by prior knowledge.
    Http2 = 2,
}

/// What game and worker share.
pub struct Shared {
    pub id: u64,
    pub hub: Arc<Hub>,
    /// Where its attempts run. Changes only at `open`, with `to_worker` locked, when it has none.
    worker: Mutex<Arc<Inbox>>,

    state: AtomicU8,
    pub destroyed: AtomicBool,
    pub dispatch: AtomicU8,
    /// Somebody wants to see the upgrade request; see [`Shared::wants_request`].
    pub request_enabled: AtomicBool,
    pub frames_enabled: AtomicBool,
    pub user_data: AtomicUsize,

    callbacks: Mutex<Arc<Callbacks>>,
    callbacks_version: AtomicU32,
    pub finalizer: Mutex<Option<Box<dyn FnOnce() + Send>>>,

    pub to_worker: Mutex<ToWorker>,
    /// The worker knows already that something waits in `to_worker`.
    notified: AtomicBool,
    pub buffered: AtomicUsize,
    pub max_buffered: AtomicUsize,
    pub fragment_size: AtomicUsize,

    pub mailbox: Mailbox,
    /// The socket stands in the hub's line; changes under the lock of that.
    pub in_ready: AtomicBool,
    /// The worker has stopped reading until the game catches up.
    pub paused: AtomicBool,

    /// Shared with the plan of the attempt, which keeps what was set when it began.
    pub settings: Mutex<Arc<Settings>>,
    pub facts: Mutex<Facts>,
    /// What servers have set, while cookies are on.
    pub cookies: Mutex<Option<Box<CookieJar>>>,
    pub counters: Counters,
    /// Microseconds, -1 before the first round trip.
    pub latency_us: AtomicI64,
    /// Microseconds of Unix time, 0 for never.
    pub last_message_us: AtomicU64,

    /// Which of its attempts the worker runs for the socket; the worker's own.
    pub attempt: AtomicU64,
}

/// What the game's threads want of the worker.
pub struct ToWorker {
    pub outbox: Outbox,
    /// While the socket connects, messages wait in the outbox for the connection.
    pub holds: bool,
    /// None most of the time: only messages are frequent.
    pub wishes: Option<Box<Wishes>>,
}

/// What they want beside messages.
#[derive(Default)]
pub struct Wishes {
    pub open: Option<Plan>,
    /// End the attempt now, with this as the reason of the closed event.
    pub cancel: Option<&'static str>,
    /// End the attempt now, with this as its error.
    pub fault: Option<&'static str>,
    /// The socket was destroyed.
    pub destroy: Option<Farewell>,
    pub pings: Option<PingSettings>,
    /// Pings of the caller's own, bounded by [`MAX_WAITING_PINGS`].
    pub user_pings: VecDeque<Segment>,
    pub resolved: Option<Resolved>,
    /// The attempt whose mark the game has come to.
    pub caught_up: u64,
}

/// What becomes of messages that a destroyed socket has queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// They are dropped.
    Drop,
    /// They are sent, and the closing handshake completes, as far as that is done by then.
    Drain { until: Instant },
}

/// What the resolver found, for the attempt that asked.
pub struct Resolved {
    pub attempt: u64,
    /// Which of its questions.
    pub lookup: u32,
    pub addresses: Result<Vec<std::net::SocketAddr>, Error>,
}

/// Pings of the caller's own that may wait for the worker.
pub const MAX_WAITING_PINGS: usize = 16;

/// What the caller has set. Read once, at `open`.
#[derive(Clone)]
pub struct Settings {
    pub request: Arc<UpgradeRequest>,
    pub max_message_size: usize,
    pub connect_timeout: Duration,
    pub close_timeout: Duration,
    pub pings: PingSettings,
    pub compression: Option<DeflateConfig>,
    pub extensions: Vec<Arc<dyn Extension>>,
    pub tls: Option<Arc<super::library::TlsHandle>>,
    pub http: HttpVersion,
    pub proxy: ProxyChoice,
    pub max_redirects: u32,
    pub cookies: bool,
    /// None: a loss is the end.
    pub reconnect: Option<Box<Reconnect>>,
    pub context: Vec<(String, String)>,
}

/// What one attempt needs to know.
pub struct Plan {
    pub settings: Arc<Settings>,
    /// As it was when the socket was opened; empty where the settings do not ask it.
    pub environment: Environment,
}

impl Plan {
    /// The proxy on the way to a server.
    pub fn proxy_for(&self, target: &Url) -> Found {
        match &self.settings.proxy {
            ProxyChoice::Environment => self.environment.proxy_for(target),
            ProxyChoice::Direct => Found::default(),
            ProxyChoice::Through(proxy) => Found { proxy: Some(Proxy::clone(proxy)), ..Found::default() },
        }
    }

    /// The version to begin with, from the settings and from what is known of the server.
    pub fn http_for(&self, target: &Url) -> HttpVersion {
        match self.settings.http {
            // Without TLS there is no asking which one the server speaks (RFC 9113 section 3.3).
            HttpVersion::Auto if !cfg!(feature = "http2") || !target.secure => HttpVersion::Http1,
            HttpVersion::Auto if origins::is_http1(&origins::Name::of(target)) => HttpVersion::Http1,
            version => version,
        }
    }

    /// The server whose connections it may share with others.
    pub fn shared_by(&self) -> Option<origins::Name> {
        let url = &self.settings.request.url;
        (self.http_for(url) != HttpVersion::Http1).then(|| origins::Name::of(url))
    }
}

/// What became known of the last attempt.
#[derive(Default)]
pub struct Facts {
    pub url: Box<str>,
    pub head: Option<ResponseHead>,
    pub body: Vec<u8>,
    pub protocol: Box<str>,
    pub extensions: Box<str>,
    pub http_version: u32,
}

impl Facts {
    /// The upgrade was refused, with this answer in this version of HTTP.
    pub fn refused(&mut self, head: Option<ResponseHead>, body: Vec<u8>, version: u32) {
        self.http_version = head.as_ref().map_or(0, |_| version);
        (self.head, self.body) = (head, body);
    }

    /// Nothing is known yet of an attempt that goes there.
    pub fn begin(&mut self, url: &Url) {
        self.url = url.to_string().into();
        (self.head, self.http_version) = (None, 0);
        self.body.clear();
        (self.protocol, self.extensions) = Default::default();
    }
}

impl Settings {
    /// Lets the outbox take messages while the socket connects, where that is wanted.
    pub fn hold(&self, to_worker: &mut ToWorker) {
        to_worker.holds = self.reconnect.as_ref().is_some_and(|reconnect| reconnect.queue_sends);
        if to_worker.holds {
            let compression = self.compression.as_ref();
            let from =
                compression.map(|config| u32::try_from(config.min_size_to_compress).unwrap_or(u32::MAX));
            to_worker.outbox.hold(from);
        }
    }

    /// An attempt keeps the request that it began with.
    pub fn change_request(&mut self) -> &mut UpgradeRequest {
        Arc::make_mut(&mut self.request)
    }

    pub fn new(request: UpgradeRequest) -> Self {
        Self {
            request: Arc::new(request),
            max_message_size: limits::MAX_MESSAGE_SIZE,
            connect_timeout: limits::CONNECT_TIMEOUT,
            close_timeout: limits::CLOSE_TIMEOUT,
            pings: PingSettings {
                enabled: false,
                frequency: limits::PING_FREQUENCY,
                patience: limits::CLOSE_AFTER_NO_MESSAGE,
            },
            compression: Some(DeflateConfig::default()),
            extensions: Vec::new(),
            tls: None,
            http: HttpVersion::Auto,
            proxy: ProxyChoice::default(),
            max_redirects: 0,
            cookies: false,
            reconnect: None,
            context: Vec::new(),
        }
    }
}

impl Shared {
    pub fn new(id: u64, hub: Arc<Hub>, worker: Arc<Inbox>, settings: Settings) -> Self {
        let facts = Facts { url: settings.request.url.to_string().into(), ..Facts::default() };
        Self {
            id,
            hub,
            worker: Mutex::new(worker),
            state: AtomicU8::new(State::Closed as u8),
            destroyed: AtomicBool::new(false),
            dispatch: AtomicU8::new(Dispatch::Poll as u8),
            request_enabled: AtomicBool::new(false),
            frames_enabled: AtomicBool::new(false),
            user_data: AtomicUsize::new(0),
            callbacks: Mutex::default(),
            callbacks_version: AtomicU32::new(0),
            finalizer: Mutex::default(),
            to_worker: Mutex::new(ToWorker::new()),
            notified: AtomicBool::new(false),
            buffered: AtomicUsize::new(0),
            max_buffered: AtomicUsize::new(limits::MAX_BUFFERED_AMOUNT),
            fragment_size: AtomicUsize::new(limits::MAX_FRAGMENT_SIZE),
            mailbox: Mailbox::default(),
            in_ready: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            settings: Mutex::new(Arc::new(settings)),
            facts: Mutex::new(facts),
            cookies: Mutex::default(),
            counters: Counters::default(),
            latency_us: AtomicI64::new(-1),
            last_message_us: AtomicU64::new(0),
            attempt: AtomicU64::new(0),
        }
    }

    #[inline]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Connecting,
            1 => State::Open,
            2 => State::Closing,
            _ => State::Closed,
        }
    }

    /// Call it with `to_worker` locked.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub fn is_destroyed(&self) -> bool {
        self.destroyed.load(Ordering::Acquire)
    }

    pub fn polls(&self) -> bool {
        self.dispatch.load(Ordering::Relaxed) == Dispatch::Poll as u8
    }

    // ---------------------------------------------------------------- callbacks

    pub fn callbacks(&self) -> Arc<Callbacks> {
        lock(&self.callbacks).clone()
    }

    pub fn callbacks_version(&self) -> u32 {
        self.callbacks_version.load(Ordering::Acquire)
    }

    pub fn change_callbacks(&self, change: impl FnOnce(&mut Callbacks)) {
        let mut current = lock(&self.callbacks);
        let mut changed = Callbacks::clone(&current);
        change(&mut changed);
        let old = std::mem::replace(&mut *current, Arc::new(changed));
        self.callbacks_version.fetch_add(1, Ordering::Release);
        drop(current);
        // May run the drop code of a caller's closure, so not under the lock.
        drop(old);
    }

    /// Whether the upgrade request is shown to the game before it is sent.
    pub fn wants_request(&self) -> bool {
        self.request_enabled.load(Ordering::Relaxed) || self.callbacks().request.is_some()
    }

    /// Whether fragments are passed on one by one.
    pub fn wants_frames(&self, callbacks: &Callbacks) -> bool {
        callbacks.incomplete_frame.is_some() || self.frames_enabled.load(Ordering::Relaxed)
    }

    // ---------------------------------------------------------------- to the worker

    /// Tells the worker that something waits in `to_worker`, once until it looks.
    #[inline]
    pub fn notify(self: &Arc<Self>) {
        if !self.notified.swap(true, Ordering::AcqRel) && !self.worker().put(self.clone()) {
            unattended(self.clone());
        }
    }

    pub fn worker(&self) -> Arc<Inbox> {
        lock(&self.worker).clone()
    }

    /// The next attempt runs there. Call it with `to_worker` locked, while closed.
    pub fn move_to(&self, worker: Arc<Inbox>) {
        *lock(&self.worker) = worker;
    }

    /// The worker is about to look.
    pub fn take_notification(&self) {
        // A swap, as in `notify`, so that the two come one after the other for every thread.
        self.notified.swap(false, Ordering::AcqRel);
    }

    /// Queues a message, if the socket is open, or holds what is sent while it connects, and the queue
    /// is below its limit.
    pub fn send(
        self: &Arc<Self>,
        push: impl FnOnce(&mut Outbox, usize) -> Result<(), crate::buffer::OutOfMemory>,
        len: usize,
    ) -> Result<(), crate::error::CallError> {
        use crate::error::{CallError, Code};
        let to_worker = lock(&self.to_worker);
        match self.state() {
            State::Open => {}
            State::Connecting if to_worker.holds => {}
            _ => return Err(CallError::state("the socket is not open")),
        }
        if self.buffered.load(Ordering::Relaxed) >= self.max_buffered.load(Ordering::Relaxed) {
            return Err(CallError::new(
                Code::WouldBlock,
                "the send queue is at its limit; nothing was queued",
            ));
        }
        let to_worker = self.queue(to_worker, push)?;
        self.buffered.fetch_add(len, Ordering::Relaxed);
        drop(to_worker);
        // The worker takes its mark away before it locks what was locked here: a mark that still
        // stands is that of a look to come.
        if !self.notified.load(Ordering::Acquire) {
            self.notify();
        }
        Ok(())
    }

    /// Puts something into the outbox. What a panic leaves half done there must not be sent, so it
    /// ends the connection on its way to the caller.
    pub fn queue<'a>(
        self: &Arc<Self>,
        mut to_worker: MutexGuard<'a, ToWorker>,
        push: impl FnOnce(&mut Outbox, usize) -> Result<(), crate::buffer::OutOfMemory>,
    ) -> Result<MutexGuard<'a, ToWorker>, crate::error::CallError> {
        let fragment_size = self.fragment_size.load(Ordering::Relaxed);
        match catch_unwind(AssertUnwindSafe(|| push(&mut to_worker.outbox, fragment_size))) {
            Ok(Ok(())) => Ok(to_worker),
            Ok(Err(crate::buffer::OutOfMemory)) => Err(crate::error::CallError::out_of_memory()),
            Err(panic) => {
                drop(to_worker);
                self.fault("the library panicked while it queued a message");
                resume_unwind(panic)
            }
        }
    }

    /// Something panicked on the game's side of the connection, which ends with that as its error.
    pub fn fault(self: &Arc<Self>, what: &'static str) {
        let mut to_worker = lock(&self.to_worker);
        if self.state() == State::Closed {
            return;
        }
        to_worker.wish().fault = Some(what);
        to_worker.outbox.shut();
        self.set_state(State::Closing);
        drop(to_worker);
        self.notify();
    }

    // ---------------------------------------------------------------- reading

    /// The worker stops reading until the game, which clears the mark, has caught up. False if it
    /// had done so already.
    ///
    /// The worker marks and then looks at the charge, the game lowers the charge and then looks at
    /// the mark: with `SeqCst` on all four one of them sees the other.
    pub fn pause(&self) -> bool {
        self.paused.store(true, Ordering::SeqCst);
        !self.resumes()
    }

    /// Whether reading had stopped and goes on: half of the mailbox's bound is free again. Said once.
    #[inline]
    pub fn resumes(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
            && self.mailbox.charge() <= self.hub.event_queue_bytes / 2
            && self.paused.swap(false, Ordering::AcqRel)
    }

    // ---------------------------------------------------------------- logging

    /// The socket's context as one text.
    pub fn context(&self) -> String {
        let settings = lock(&self.settings);
        let pairs: Vec<String> =
            settings.context.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(" ")
    }

    pub fn log(&self, level: crate::logging::LogLevel, message: std::fmt::Arguments<'_>) {
        if crate::logging::enabled(level) {
            crate::logging::write(level, self.id, &self.context(), message);
        }
    }
}

impl ToWorker {
    fn new() -> Self {
        let mut outbox = Outbox::default();
        outbox.shut();
        Self { outbox, holds: false, wishes: None }
    }

    pub fn wish(&mut self) -> &mut Wishes {
        self.wishes.get_or_insert_default()
    }

    /// What was wanted of an attempt is not wanted of the next one.
    pub fn forget_wishes(&mut self) {
        if let Some(wishes) = &mut self.wishes {
            wishes.user_pings.clear();
            (wishes.cancel, wishes.fault, wishes.resolved) = (None, None, None);
        }
    }
}

/// For logs and tests.
impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({:#x}, {:?})", self.0.id, self.0.state())
    }
}
