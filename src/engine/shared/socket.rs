//! What game threads and worker share of a socket, and its handle.
//!
//! ```text
//!            open()             upgrade done            close(), or close frame received
//!   CLOSED ─────────> CONNECTING ───────────> OPEN ─────────────────────────> CLOSING
//!     ^                    │  ^                 │                                │
//!     │                    │  └── reconnecting ─┤                                │
//!     └────────────────────┴── terminal event ──┴────────────────────────────────┘
//! ```
//!
//! The state changes with `to_worker` locked, so a message that was accepted always belongs to the connection
//! that was open at that time.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::buffered_amount::BufferedAmount;
use super::callbacks::{self, Wants};
use super::commands::{LinkChange, ToWorker};
use super::connection_info::ConnectionInfo;
use super::counters::Counters;
use super::event_queue::{EventQueue, QueuedEvent};
use super::inbox;
use super::queues::{HasHandle, Queue};
use super::ready_list::{self, Ready};
use super::request::Notify;
use super::settings::Settings;
use super::state::{Dispatch, State};
use crate::buffer::OutOfMemory;
use crate::capture::CaptureFile;
use crate::error::{CallError, Code};
use crate::fault;
use crate::inside::Inside;
use crate::limits::{self, EVENT_OVERHEAD};
use crate::logging::{self, LogLevel};
use crate::net::link::LinkConditions;
use crate::session::Outbox;
use crate::session::lanes::{Lane, Lanes, Pushed, Waiting};
use crate::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};
use crate::wire::cookies::CookieJar;

/// A handle to one WebSocket client connection. Cloning it increments a reference count; handles are equal if they belong
/// to the same socket.
#[derive(Clone)]
pub struct Socket(pub(crate) Arc<Shared>);

/// All callbacks of a socket, for [`Socket::set_callbacks`]. `None` disables a callback.
pub type Callbacks = callbacks::Callbacks<Socket>;
/// Runs the callbacks for the events of a socket.
pub type Handler = dyn callbacks::Handler<Socket>;
/// A callback without data.
pub type OnSocket = callbacks::OnSocket<Socket>;
/// A callback with a text message.
pub type OnText = callbacks::OnText<Socket>;
/// A callback with bytes.
pub type OnBytes = callbacks::OnBytes<Socket>;
/// A callback with a message that can be kept without a copy.
pub type OnSegment = callbacks::OnSegment<Socket>;
/// A callback with a fragment.
pub type OnFrame = callbacks::OnFrame<Socket>;
/// A callback with the upgrade request.
pub type OnRequest = callbacks::OnRequest<Socket>;
/// A callback with the error, the number of the reconnect attempt from 1, and the delay before it in
/// milliseconds.
pub type OnReconnecting = callbacks::OnReconnecting<Socket>;
/// A callback with the close code and reason.
pub type OnClosed = callbacks::OnClosed<Socket>;
/// A callback with the error.
pub type OnError = callbacks::OnError<Socket>;
/// A callback with the tag of a message, and what became of it.
pub type OnSent = callbacks::OnSent<Socket>;
pub type Inbox = inbox::Inbox<Shared>;
pub type ReadyList = ready_list::ReadyList<Shared>;

/// What game threads and worker share of a socket.
pub struct Shared {
    pub id: u64,
    pub ready_list: Arc<ReadyList>,
    /// Where its connections run. Changes only at `open`, with `to_worker` locked.
    worker: Mutex<Arc<Inbox>>,

    state: AtomicU8,
    pub destroyed: AtomicBool,
    pub dispatch: AtomicU8,
    /// Upgrade requests are events; see [`Shared::wants_request`].
    pub request_enabled: AtomicBool,
    pub frames_enabled: AtomicBool,
    pub user_data: AtomicUsize,

    /// None if there are no callbacks.
    handler: Mutex<Option<Arc<Handler>>>,
    handler_version: AtomicU32,
    pub finalizer: Mutex<Option<Box<dyn FnOnce() + Send>>>,

    pub to_worker: Queue<Shared>,
    /// The worker was notified that `to_worker` has input, and has not read it yet.
    notified: AtomicBool,
    pub buffered: BufferedAmount,
    /// Changed with `to_worker` locked.
    max_buffered: AtomicUsize,
    /// The limit of [`try_send`](Self::try_send): the same, or 0 once the socket uses lanes.
    max_buffered_directly: AtomicUsize,
    fragment_size: AtomicU32,

    pub event_queue: EventQueue,
    in_ready_list: AtomicBool,
    /// The worker has stopped reading until the game has taken events.
    pub paused: AtomicBool,

    /// A connection keeps the settings that it was opened with.
    pub settings: Mutex<Settings>,
    pub info: Mutex<ConnectionInfo>,
    /// Cookies set by servers, if cookies are enabled.
    pub cookies: Mutex<Option<Box<CookieJar>>>,
    pub counters: Counters,
    /// Round trip in microseconds, -1 before the first.
    pub latency_us: AtomicI64,
    /// Microseconds of Unix time, 0 before the first message.
    pub last_message_us: AtomicU64,

    /// The [`Key`](super::key::Key) of its connection on the worker, 0 for none. Used by the worker alone.
    pub connection: AtomicU64,
    /// The key of a second connection that may replace it after a network change, 0 for none. Changed by the
    /// worker alone.
    pub candidate: AtomicU64,
}

/// Why nothing was appended to the outbox.
pub enum NotQueued {
    OutOfMemory,
    Panic(Box<dyn Any + Send>),
}

impl Shared {
    pub fn new(
        id: u64,
        ready_list: Arc<ReadyList>,
        worker: Arc<Inbox>,
        settings: Settings,
        queue: Queue<Self>,
    ) -> Self {
        let mut info = ConnectionInfo::default();
        info.reset(&settings.request);
        Self {
            id,
            ready_list,
            worker: Mutex::new(worker),
            state: AtomicU8::new(State::Closed as u8),
            destroyed: AtomicBool::new(false),
            dispatch: AtomicU8::new(Dispatch::Poll as u8),
            request_enabled: AtomicBool::new(false),
            frames_enabled: AtomicBool::new(false),
            user_data: AtomicUsize::new(0),
            handler: Mutex::default(),
            handler_version: AtomicU32::new(0),
            finalizer: Mutex::default(),
            to_worker: queue,
            notified: AtomicBool::new(false),
            buffered: BufferedAmount::default(),
            max_buffered: AtomicUsize::new(limits::MAX_BUFFERED_AMOUNT),
            max_buffered_directly: AtomicUsize::new(limits::MAX_BUFFERED_AMOUNT),
            fragment_size: AtomicU32::new(limits::MAX_FRAGMENT_SIZE as u32),
            event_queue: EventQueue::default(),
            in_ready_list: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            settings: Mutex::new(settings),
            info: Mutex::new(info),
            cookies: Mutex::default(),
            counters: Counters::default(),
            latency_us: AtomicI64::new(-1),
            last_message_us: AtomicU64::new(0),
            connection: AtomicU64::new(0),
            candidate: AtomicU64::new(0),
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

    /// To be called with `to_worker` locked.
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

    pub fn handler(&self) -> Option<Arc<Handler>> {
        lock(&self.handler).clone()
    }

    pub fn handler_version(&self) -> u32 {
        self.handler_version.load(Ordering::Acquire)
    }

    /// Returns the handler, what it wants, and its version.
    pub fn fetch_handler(&self) -> (Option<Arc<Handler>>, Wants, u32) {
        // The version first: at worst the handler is newer and is fetched again.
        let version = self.handler_version();
        let handler = self.handler();
        let wants = handler.as_ref().map(|handler| handler.wants()).unwrap_or_default();
        (handler, wants, version)
    }

    /// Replaces the handler with what `change` returns, which runs with a lock held.
    pub fn change_handler<E>(
        &self,
        change: impl FnOnce(Option<&Handler>) -> Result<Option<Arc<Handler>>, E>,
    ) -> Result<(), E> {
        let mut current = lock(&self.handler);
        let changed = change(current.as_deref())?;
        let old = std::mem::replace(&mut *current, changed);
        self.handler_version.fetch_add(1, Ordering::Release);
        drop(current);
        // May drop the caller's closures, so not with the lock held.
        drop(old);
        Ok(())
    }

    /// Whether the game can change the upgrade request before it is sent.
    pub fn wants_request(&self) -> bool {
        self.request_enabled.load(Ordering::Relaxed)
            || self.handler().is_some_and(|handler| handler.wants().has(Wants::REQUEST))
    }

    /// Whether each fragment is an event, besides those with a callback.
    pub fn enables_frames(&self) -> bool {
        self.frames_enabled.load(Ordering::Relaxed)
    }

    // ---------------------------------------------------------------- to the worker

    /// Notifies the worker that `to_worker` has input, once until it reads.
    #[inline]
    pub fn notify(self: &Arc<Self>) {
        if !self.notified.swap(true, Ordering::AcqRel) && !self.worker().put(self.clone()) {
            self.clone().worker_ended();
        }
    }

    pub fn worker(&self) -> Arc<Inbox> {
        lock(&self.worker).clone()
    }

    /// Moves a closed socket to another worker. To be called with `to_worker` locked.
    pub fn move_to(&self, worker: Arc<Inbox>) {
        *lock(&self.worker) = worker;
    }

    /// The worker is about to read `to_worker`.
    pub fn take_notification(&self) {
        // A swap, as in `notify`, so that every thread observes the two in one order.
        self.notified.swap(false, Ordering::AcqRel);
    }

    /// Queues a message if the socket is open, or queues messages while connecting, and the send queue is
    /// below its limit.
    pub fn send(
        self: &Arc<Self>,
        push: impl FnOnce(&mut Outbox, usize) -> Result<(), OutOfMemory>,
        len: usize,
    ) -> Result<(), CallError> {
        let mut to_worker = lock(&self.to_worker);
        self.check_accepts(&to_worker, &self.max_buffered)?;
        let queued = self.queue(&mut to_worker, push);
        if queued.is_ok() {
            self.buffered.add(len);
        }
        drop(to_worker);
        queued.map_err(|failure| self.report(failure))?;
        if !self.is_notified() {
            self.notify();
        }
        Ok(())
    }

    /// Does the same as [`send`](Self::send) for a socket without lanes whose queue is locked. The caller notifies the
    /// worker if this returns true, and reports a failure, both without the lock. `None`: nothing was tried.
    #[inline]
    pub fn try_send(
        &self,
        to_worker: &mut ToWorker,
        push: impl FnOnce(&mut Outbox, usize) -> Result<(), OutOfMemory>,
        len: usize,
    ) -> Option<Result<bool, NotQueued>> {
        self.check_accepts(to_worker, &self.max_buffered_directly).ok()?;
        let queued = self.queue(to_worker, push);
        if queued.is_ok() {
            self.buffered.add(len);
        }
        Some(queued.map(|()| !self.is_notified()))
    }

    /// Queues a message in a lane, if the socket is open or queues messages while connecting.
    pub fn send_in_lane(self: &Arc<Self>, lane: usize, message: Waiting) -> Result<(), CallError> {
        let has_outcome = message.tag != 0 && self.polls();
        let mut to_worker = lock(&self.to_worker);
        self.check_open(&to_worker)?;
        let limit = self.ready_list.event_queue_bytes;
        if has_outcome && self.event_queue.charge() + EVENT_OVERHEAD > limit {
            let message = "the event queue has no room for the outcome; nothing was queued";
            return Err(CallError::new(Code::WouldBlock, message));
        }
        let room = self.max_buffered.load(Ordering::Relaxed).saturating_sub(self.buffered.get());
        let push = |outbox: &mut Outbox| -> Result<Pushed, CallError> {
            let lanes = match &mut outbox.lanes {
                Some(lanes) => lanes,
                none => none.insert(Box::new(Lanes::new(&[])?)),
            };
            lanes.push(lane, message, room)
        };
        match catch_unwind(AssertUnwindSafe(|| push(&mut to_worker.outbox))) {
            Ok(pushed) => {
                let Pushed { added, dropped } = pushed?;
                self.buffered.add(added);
                self.buffered.take_back(dropped);
            }
            Err(panic) => {
                drop(to_worker);
                return Err(self.report(NotQueued::Panic(panic)));
            }
        }
        if has_outcome {
            self.event_queue.reserve(EVENT_OVERHEAD);
        }
        self.max_buffered_directly.store(0, Ordering::Relaxed);
        drop(to_worker);
        self.notify();
        Ok(())
    }

    /// Sets the lanes of the socket.
    pub fn set_lanes(&self, lanes: &[Lane]) -> Result<(), CallError> {
        let mut to_worker = lock(&self.to_worker);
        match &mut to_worker.outbox.lanes {
            Some(current) => current.set(lanes)?,
            none => *none = Some(Box::new(Lanes::new(lanes)?)),
        }
        self.max_buffered_directly.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Sets the simulated link.
    pub fn set_link(self: &Arc<Self>, link: Option<Arc<LinkConditions>>) {
        lock(&self.settings).link = link.clone();
        let mut to_worker = lock(&self.to_worker);
        let earlier = to_worker.commands().link.take();
        to_worker.commands().link = Some(LinkChange::after(link, earlier));
        drop(to_worker);
        if self.state() != State::Closed {
            self.notify();
        }
    }

    /// Sets the file that the next connections are captured to.
    pub fn set_capture(self: &Arc<Self>, file: Option<Arc<CaptureFile>>) {
        lock(&self.settings).capture = file.clone();
        lock(&self.to_worker).commands().capture = Some(file);
        if self.state() != State::Closed {
            self.notify();
        }
    }

    /// Lets the file of a destroyed socket end with its connection: the socket itself may exist for longer.
    pub fn release_capture(&self) {
        let mut settings = lock(&self.settings);
        if settings.capture.is_some() {
            settings.capture = None;
        }
    }

    /// Whether messages wait in lanes.
    pub fn uses_lanes(&self) -> bool {
        self.max_buffered_directly.load(Ordering::Relaxed) == 0
    }

    pub fn set_max_buffered(&self, bytes: usize) {
        let to_worker = lock(&self.to_worker);
        self.max_buffered.store(bytes, Ordering::Relaxed);
        let directly = if to_worker.outbox.lanes.is_some() { 0 } else { bytes };
        self.max_buffered_directly.store(directly, Ordering::Relaxed);
    }

    #[inline]
    fn check_open(&self, to_worker: &ToWorker) -> Result<(), CallError> {
        match self.state() {
            State::Open => Ok(()),
            State::Connecting if to_worker.queues_while_connecting => Ok(()),
            state => Err(not_open(state)),
        }
    }

    #[inline]
    fn check_accepts(&self, to_worker: &ToWorker, limit: &AtomicUsize) -> Result<(), CallError> {
        self.check_open(to_worker)?;
        if self.buffered.get() >= limit.load(Ordering::Relaxed) {
            return Err(CallError::new(
                Code::WouldBlock,
                "the send queue is at its limit; nothing was queued",
            ));
        }
        Ok(())
    }

    /// Whether the worker will read what is queued, without another notification. It clears the mark before it
    /// locks `to_worker`.
    #[inline]
    fn is_notified(&self) -> bool {
        self.notified.load(Ordering::Acquire)
    }

    #[inline]
    pub fn fragment_size(&self) -> usize {
        self.fragment_size.load(Ordering::Relaxed) as usize
    }

    pub fn set_fragment_size(&self, bytes: u32) {
        self.fragment_size.store(bytes, Ordering::Relaxed);
    }

    /// Appends to the outbox. The caller passes a failure to [`report`](Self::report), without the lock.
    #[inline]
    pub fn queue(
        &self,
        to_worker: &mut ToWorker,
        push: impl FnOnce(&mut Outbox, usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), NotQueued> {
        let fragment_size = self.fragment_size();
        match catch_unwind(AssertUnwindSafe(|| push(&mut to_worker.outbox, fragment_size))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(OutOfMemory)) => Err(NotQueued::OutOfMemory),
            Err(panic) => Err(NotQueued::Panic(panic)),
        }
    }

    /// Continues a panic, which may have left the outbox inconsistent, so it ends the connection first.
    #[cold]
    pub fn report(self: &Arc<Self>, failure: NotQueued) -> CallError {
        match failure {
            NotQueued::OutOfMemory => CallError::out_of_memory(),
            NotQueued::Panic(panic) => {
                self.fault("the library panicked while it queued a message");
                resume_unwind(panic)
            }
        }
    }

    /// Closes the socket at the end of its connection. To be called by the worker, before the terminal event.
    pub fn connection_ended(&self, to_worker: &mut ToWorker) {
        to_worker.outbox.close();
        to_worker.discard_commands();
        self.buffered.clear();
        self.paused.store(false, Ordering::Relaxed);
        self.connection.store(0, Ordering::Relaxed);
        self.set_state(State::Closed);
    }

    /// Ends the connection with an error, after a panic on the game's side of it.
    pub fn fault(self: &Arc<Self>, what: &'static str) {
        let mut to_worker = lock(&self.to_worker);
        if self.state() == State::Closed {
            return;
        }
        to_worker.commands().fault = Some(what);
        to_worker.outbox.close();
        self.set_state(State::Closing);
        drop(to_worker);
        self.notify();
    }

    // ---------------------------------------------------------------- events

    /// Queues a worker's batch of events for the game.
    pub fn publish(self: &Arc<Self>, batch: &mut Vec<QueuedEvent>, charge: usize) {
        fault::point("engine.publish");
        let count = self.event_queue.put(batch, charge);
        if count > 0 {
            self.ready_list.make_ready(self);
            ready_list::announce(count);
        }
    }

    /// Drops the events of the socket and delivers no further ones.
    pub fn discard_events(&self) {
        self.destroyed.store(true, Ordering::SeqCst);
        ready_list::settled(self.event_queue.close());
        let mut to_worker = lock(&self.to_worker);
        let pings = to_worker.commands.as_mut().map(|commands| std::mem::take(&mut commands.user_pings));
        drop(to_worker);
        drop(pings);
    }

    // ---------------------------------------------------------------- the end

    /// The socket has input for a worker that has ended. Only whether it is destroyed matters then.
    pub fn worker_ended(self: Arc<Self>) {
        self.take_notification();
        let commands = lock(&self.to_worker).commands.take();
        if commands.is_some_and(|commands| commands.destroy.is_some()) {
            self.finish();
        }
    }

    /// Runs the finalizer where the callbacks ran, or here if no thread delivers there any longer.
    pub fn finish(self: Arc<Self>) {
        if !self.polls() {
            return self.finalize();
        }
        let ready_list = self.ready_list.clone();
        if let Err(socket) = ready_list.queue_finalizer(self) {
            socket.finalize();
        }
    }

    /// Drops the callbacks and runs the finalizer, if it has not run yet. Catches a panic of either, so that
    /// the finalizer and those of other sockets run.
    pub fn finalize(&self) {
        let finalizer = lock(&self.finalizer).take();
        let _inside = Inside::enter();
        // Also drops what the caller's closures own.
        let drop_callbacks = || {
            let _: Result<(), Infallible> = self.change_handler(|_| Ok(None));
        };
        if catch_unwind(AssertUnwindSafe(drop_callbacks)).is_err() {
            self.log(LogLevel::Error, format_args!("a callback panicked when it was dropped"));
        }
        if let Some(finalizer) = finalizer
            && catch_unwind(AssertUnwindSafe(finalizer)).is_err()
        {
            self.log(LogLevel::Error, format_args!("the finalizer panicked"));
        }
    }

    // ---------------------------------------------------------------- reading

    /// Stops reading until the game, which clears the mark, has taken events. False if it already has.
    ///
    /// The worker sets the mark and then reads the charge; the game lowers the charge and then reads the
    /// mark. All four are `SeqCst`, so at least one side reads the other's write.
    pub fn pause(&self) -> bool {
        self.paused.store(true, Ordering::SeqCst);
        !self.resumes()
    }

    /// Whether reading had stopped and resumes now, as half of the queue's limit is free. True once.
    #[inline]
    pub fn resumes(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
            && self.event_queue.charge() <= self.ready_list.event_queue_bytes / 2
            && self.paused.swap(false, Ordering::AcqRel)
    }

    // ---------------------------------------------------------------- logging

    /// The socket's context, for log lines.
    pub fn context(&self) -> String {
        let settings = lock(&self.settings);
        let pairs: Vec<String> =
            settings.context.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(" ")
    }

    pub fn log(&self, level: LogLevel, message: std::fmt::Arguments<'_>) {
        if logging::enabled(level) {
            logging::write(level, self.id, &self.context(), message);
        }
    }
}

impl HasHandle for Shared {
    #[inline]
    fn id(&self) -> u64 {
        self.id
    }
}

impl Ready for Shared {
    fn in_ready_list(&self) -> &AtomicBool {
        &self.in_ready_list
    }
}

impl Notify for Shared {
    fn notify(self: Arc<Self>) {
        if self.candidate.load(Ordering::Relaxed) != 0 {
            // The request may be the one of the candidate, which has a turn only with commands.
            lock(&self.to_worker).commands();
        }
        Shared::notify(&self);
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Socket {}

impl std::hash::Hash for Socket {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Socket({:#x}, {:?})", self.0.id, self.0.state())
    }
}

/// Returns why a message cannot be sent in a state, and when it can.
#[cold]
fn not_open(state: State) -> CallError {
    CallError::state(match state {
        State::Connecting => {
            "the socket is not open: it is still connecting; send after the event open, or queue messages with \
             queue_sends of the reconnect policy"
        }
        State::Closing => {
            "the socket is not open: it is closing; nothing can be sent until it is opened again"
        }
        _ => "the socket is not open: it is closed; open it, and send after the event open",
    })
}
