//! One worker: a loop that waits for the network, for the game and for deadlines, and gives each
//! connection that has something its turn.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token, Waker};

use super::attempt::{Attempt, Fate};
use super::event::Letter;
use super::http2::{LinkId, Pool, Turn};
use super::hub;
use super::lock;
use super::socket::{Plan, Shared, ToWorker};
use super::timers::Timers;
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::{self, LogLevel};
use crate::net::resolve::Resolver;
use crate::session::inbound::Scratch;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

const WAKE: Token = Token(usize::MAX);
/// Readiness events taken from the system at a time.
const EVENTS: usize = 256;
/// Turns of shared connections, and of those on them, before the network is asked again.
const ROUNDS: usize = 4;
/// Attempts of one worker before it comes to the numbers of the next: there are 64 workers at most.
const SERIAL_BITS: u32 = 26;
/// Connections that are closing when the library stops get this long to say so.
const FAREWELL: Duration = Duration::from_millis(250);

/// Which attempt: its slot, and a number that no other attempt of this worker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    slot: u32,
    serial: u32,
}

impl Key {
    /// For [`Shared::attempt`]; 0 is none.
    pub fn to_bits(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.slot)
    }

    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self { slot: bits as u32, serial: (bits >> 32) as u32 })
    }
}

/// The worker's letter box.
pub struct Inbox {
    /// Of the worker, among those of the library.
    number: usize,
    /// None once the worker has ended.
    sockets: Mutex<Option<Vec<Arc<Shared>>>>,
    /// The worker waits, or is about to, and must be woken.
    sleeping: AtomicBool,
    waker: Box<Wake>,
    stop: Mutex<Option<Instant>>,
    news: Mutex<News>,
}

/// What the host says of the machine that it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The process is about to sleep, or has woken up.
    pub suspended: Option<bool>,
    /// Connections may have died without a sign.
    pub look_alive: bool,
}

/// Ends the worker's wait for the network, or the next one if it does not wait now.
pub type Wake = dyn Fn() -> io::Result<()> + Send + Sync;

impl Inbox {
    pub fn new(number: usize) -> io::Result<(Arc<Self>, Poll)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        Ok((Arc::new(Self::with_waker(number, Box::new(move || waker.wake()))), poll))
    }

    pub fn with_waker(number: usize, waker: Box<Wake>) -> Self {
        Self {
            number,
            sockets: Mutex::new(Some(Vec::new())),
            sleeping: AtomicBool::new(false),
            waker,
            stop: Mutex::default(),
            news: Mutex::default(),
        }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// Something waits in the socket's `to_worker`. False if the worker has ended.
    pub fn put(&self, socket: Arc<Shared>) -> bool {
        match &mut *lock(&self.sockets) {
            Some(sockets) => sockets.push(socket),
            None => return false,
        }
        self.wake();
        true
    }

    /// The worker is to end by then.
    pub fn stop(&self, deadline: Instant) {
        *lock(&self.stop) = Some(deadline);
        self.wake();
    }

    /// For every connection of the worker. What was not heard yet is summed up.
    pub fn tell(&self, news: News) {
        {
            let mut told = lock(&self.news);
            told.suspended = news.suspended.or(told.suspended);
            told.look_alive |= news.look_alive;
        }
        self.wake();
    }

    fn wake(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst)
            && let Err(error) = (self.waker)()
        {
            logging::write(LogLevel::Error, 0, "", format_args!("a worker could not be woken: {error}"));
        }
    }

    // ---------------------------------------------------------------- the worker's side

    /// Swaps what has come in against an empty list.
    pub fn take(&self, sockets: &mut Vec<Arc<Shared>>) {
        if let Some(arrived) = &mut *lock(&self.sockets) {
            std::mem::swap(arrived, sockets);
        }
    }

    /// The deadline by which the worker is to end, once.
    pub fn take_stop(&self) -> Option<Instant> {
        lock(&self.stop).take()
    }

    pub fn take_news(&self) -> News {
        std::mem::take(&mut lock(&self.news))
    }

    /// The worker is about to wait, and wants to be woken. False if something has come in already.
    pub fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        self.is_empty()
    }

    /// The worker waits no longer.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    fn is_empty(&self) -> bool {
        lock(&self.sockets).as_ref().is_none_or(Vec::is_empty)
            && lock(&self.stop).is_none()
            && *lock(&self.news) == News::default()
    }

    /// The worker has ended. What it has not looked at, and will not, is seen to here.
    pub fn close(&self) {
        let sockets = lock(&self.sockets).take();
        for socket in sockets.into_iter().flatten() {
            unattended(socket);
        }
    }
}

/// A socket has something for its worker, which has ended: only that it is destroyed matters.
pub fn unattended(socket: Arc<Shared>) {
    socket.take_notification();
    let destroyed = std::mem::take(&mut lock(&socket.to_worker).destroy);
    if destroyed {
        finish(socket);
    }
}

/// The last that is done of a socket: its finalizer runs where its callbacks did.
fn finish(socket: Arc<Shared>) {
    if socket.polls() {
        socket.hub.clone().finalize_later(socket);
    } else if catch_unwind(AssertUnwindSafe(|| hub::finalize(&socket))).is_err() {
        socket.log(LogLevel::Error, format_args!("the finalizer panicked"));
    }
}

/// Closes the inbox however the worker ends.
struct Attended(Arc<Inbox>);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the attempts of a worker share.
pub struct Context {
    pub registry: Registry,
    pub resolver: Resolver,
    pub scratch: Scratch,
    /// Events of the socket whose turn it is, until they are published together.
    pub batch: Vec<Letter>,
    pub batch_charge: usize,
    pub now: Instant,
    pub stopping: bool,
    /// HTTP/2 connections, which sockets share.
    pub pool: Pool,
    routes: Routes,
    timers: Timers,
    again: Vec<Key>,
}

/// Whom a readiness event is for.
#[derive(Clone, Copy)]
enum Route {
    Attempt(Key),
    Link(LinkId),
}

#[derive(Default)]
struct Routes {
    routes: Vec<Option<Route>>,
    free: Vec<usize>,
}

impl Context {
    pub fn new_token(&mut self, key: Key) -> Token {
        let token = self.routes.free.pop().unwrap_or_else(|| {
            self.routes.routes.push(None);
            self.routes.routes.len() - 1
        });
        self.routes.routes[token] = Some(Route::Attempt(key));
        Token(token)
    }

    /// What the token stands for belongs to a shared connection from now on.
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

    /// The attempt has more to do, after the others have had their turn.
    pub fn turn_again(&mut self, key: Key) {
        self.again.push(key);
    }

    pub fn at(&mut self, deadline: Instant, key: Key) {
        self.timers.add(deadline, key);
    }

    /// Publishes what the turn has collected.
    pub fn publish(&mut self, socket: &Arc<Shared>) {
        if !self.batch.is_empty() {
            socket.hub.publish(socket, &mut self.batch, self.batch_charge);
            self.batch_charge = 0;
        }
    }

    pub fn collect(&mut self, letter: Letter) {
        self.batch_charge += letter.charge();
        self.batch.push(letter);
    }
}

struct Worker {
    inbox: Arc<Inbox>,
    context: Context,
    slots: Vec<Slot>,
    free: Vec<u32>,
    serial: u32,
    /// Of streams that have something to do; kept for its memory.
    owners: Vec<u64>,
}

struct Slot {
    serial: u32,
    attempt: Option<Box<Attempt>>,
}

/// The thread's body: returns when the library stops.
pub fn run(inbox: Arc<Inbox>, mut poll: Poll, resolver: Resolver) {
    let _attended = Attended(inbox.clone());
    let registry = match poll.registry().try_clone() {
        Ok(registry) => registry,
        Err(error) => {
            logging::write(LogLevel::Error, 0, "", format_args!("a worker could not start: {error}"));
            return;
        }
    };
    let context = Context {
        registry,
        resolver,
        scratch: None,
        batch: Vec::new(),
        batch_charge: 0,
        now: Instant::now(),
        stopping: false,
        pool: Pool::default(),
        routes: Routes::default(),
        timers: Timers::default(),
        again: Vec::new(),
    };
    // So that no attempt has the key of one on another worker, whose late letters find none then.
    let serial = (inbox.number as u32) << SERIAL_BITS;
    let mut worker =
        Worker { inbox, context, slots: Vec::new(), free: Vec::new(), serial, owners: Vec::new() };
    let mut events = Events::with_capacity(EVENTS);
    let mut sockets = Vec::new();
    let mut stop_at = None;
    loop {
        worker.inbox.take(&mut sockets);
        for socket in sockets.drain(..) {
            worker.obey(socket);
        }
        for key in std::mem::take(&mut worker.context.again) {
            worker.turn(key);
        }
        while let Some((at, key)) = worker.context.timers.pop_due(worker.context.now) {
            worker.timer(at, key);
        }
        let news = worker.inbox.take_news();
        if news != News::default() {
            worker.context.pool.hear(news, worker.context.now);
            worker.with_all(|attempt, context| attempt.hear(news, context));
        }
        if let Some(deadline) = worker.inbox.take_stop() {
            worker.context.stopping = true;
            stop_at = Some(deadline.min(worker.context.now + FAREWELL));
            worker.with_all(|attempt, context| attempt.turn(context));
        }
        worker.drive_shared();
        if let Some(at) = stop_at
            && (worker.is_idle() || worker.context.now >= at)
        {
            return;
        }
        let timeout = worker.sleep_until(stop_at);
        let result = poll.poll(&mut events, timeout);
        worker.inbox.awake();
        worker.context.now = Instant::now();
        if let Err(error) = result
            && error.kind() != io::ErrorKind::Interrupted
        {
            logging::write(LogLevel::Error, 0, "", format_args!("waiting for the network failed: {error}"));
        }
        for event in &events {
            worker.ready(event);
        }
    }
}

impl Worker {
    /// How long to wait, and the promise to be woken.
    fn sleep_until(&mut self, stop_at: Option<Instant>) -> Option<Duration> {
        if !self.context.again.is_empty() || self.context.pool.needs_drive() {
            return Some(Duration::ZERO);
        }
        if !self.inbox.may_sleep() {
            return Some(Duration::ZERO);
        }
        let next = [self.context.timers.next(), self.context.pool.deadline(), stop_at]
            .into_iter()
            .flatten()
            .min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| slot.attempt.is_none())
            && self.context.pool.is_empty()
            && self.inbox.is_empty()
    }

    fn with_all(&mut self, mut act: impl FnMut(&mut Attempt, &mut Context) -> Fate) {
        for slot in 0..self.slots.len() {
            let key = Key { slot: slot as u32, serial: self.slots[slot].serial };
            self.with(key, &mut act);
        }
    }

    /// Lets shared connections read and write, and gives the attempts on them their turns.
    fn drive_shared(&mut self) {
        for _ in 0..ROUNDS {
            if self.context.pool.is_empty() && !self.context.pool.needs_drive() {
                return;
            }
            let (mut owners, mut tokens) = (std::mem::take(&mut self.owners), Vec::new());
            let Context { registry, now, stopping, pool, .. } = &mut self.context;
            pool.drive(&Turn { registry, now: *now, stopping: *stopping }, &mut owners, &mut tokens);
            for token in tokens {
                self.context.free_token(token);
            }
            for key in owners.drain(..).filter_map(Key::from_bits) {
                self.with(key, |attempt, context| attempt.stream_ready(context));
            }
            self.owners = owners;
            for (key, answer) in self.context.pool.take_answers() {
                self.with(key, |attempt, context| attempt.answered(answer, context));
            }
            if !self.context.pool.needs_drive() {
                return;
            }
        }
    }

    /// Does what the game wants of a socket.
    fn obey(&mut self, socket: Arc<Shared>) {
        socket.take_notification();
        let mut to_worker = lock(&socket.to_worker);
        if !Arc::ptr_eq(&socket.worker(), &self.inbox) {
            // It has moved meanwhile.
            drop(to_worker);
            return socket.notify();
        }
        let ToWorker { open, cancel, destroy, .. } = &mut *to_worker;
        let (open, cancel, destroy) = (open.take(), cancel.take(), std::mem::take(destroy));
        let resolved = to_worker.resolved.take();
        let caught_up = std::mem::take(&mut to_worker.caught_up);
        let pings = to_worker.pings.take();
        let user_pings = std::mem::take(&mut to_worker.user_pings);
        drop(to_worker);
        if let Some(plan) = open {
            self.open(&socket, plan);
        }
        if let Some(key) = Key::from_bits(socket.attempt.load(Ordering::Relaxed)) {
            self.with(key, |attempt, context| {
                if let Some(resolved) = resolved {
                    attempt.resolved(resolved, context);
                }
                if caught_up == key.to_bits() {
                    attempt.caught_up(context);
                }
                if let Some(pings) = pings {
                    attempt.set_pings(pings, context);
                }
                for payload in &user_pings {
                    attempt.ping(payload.as_slice());
                }
                match cancel {
                    Some(reason) => attempt.cancel(reason, context),
                    None if destroy => attempt.farewell(context),
                    None => attempt.turn(context),
                }
            });
        }
        if destroy {
            finish(socket);
        }
    }

    fn open(&mut self, socket: &Arc<Shared>, plan: Box<Plan>) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { serial: 0, attempt: None });
            (self.slots.len() - 1) as u32
        });
        self.serial = self.serial.wrapping_add(1).max(1);
        let key = Key { slot, serial: self.serial };
        socket.attempt.store(key.to_bits(), Ordering::Relaxed);
        let attempt = Box::new(Attempt::new(key, socket.clone(), plan, self.context.now));
        self.slots[slot as usize] = Slot { serial: key.serial, attempt: Some(attempt) };
        self.with(key, |attempt, context| attempt.start(context));
    }

    fn ready(&mut self, event: &mio::event::Event) {
        let token = event.token();
        match self.context.routes.routes.get(token.0).copied().flatten() {
            Some(Route::Attempt(key)) => self.with(key, |attempt, context| attempt.ready(event, context)),
            Some(Route::Link(link)) => self.context.pool.ready(link, event),
            None => {}
        }
    }

    fn turn(&mut self, key: Key) {
        self.with(key, |attempt, context| attempt.turn(context));
    }

    fn timer(&mut self, at: Instant, key: Key) {
        self.with(key, |attempt, context| attempt.timer(at, context));
    }

    /// Gives an attempt a turn, ends it if it is over, and keeps its panics from the others.
    fn with(&mut self, key: Key, act: impl FnOnce(&mut Attempt, &mut Context) -> Fate) {
        let Some(slot) = self.slots.get_mut(key.slot as usize) else { return };
        if slot.serial != key.serial {
            return;
        }
        let Some(mut attempt) = slot.attempt.take() else { return };
        let context = &mut self.context;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let fate = act(&mut attempt, context);
            if let Fate::GoesOn = fate {
                attempt.set_timer(context);
            }
            fate
        }));
        match outcome {
            Ok(Fate::GoesOn) => {
                self.slots[key.slot as usize].attempt = Some(attempt);
                return;
            }
            Ok(Fate::Over) => {}
            Err(_) => {
                let message = "a callback or the library itself panicked while it served this connection";
                let error = Error::new(ErrorKind::Internal, Phase::Open, message);
                let outcome = catch_unwind(AssertUnwindSafe(|| attempt.fail(error, context)));
                if outcome.is_err() {
                    logging::write(LogLevel::Error, 0, "", format_args!("a callback panicked twice"));
                }
            }
        }
        attempt.give_back(&mut self.context);
        self.free.push(key.slot);
    }
}
