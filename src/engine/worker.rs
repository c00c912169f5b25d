//! One worker: a loop that waits for the network, for the game and for deadlines, and gives each
//! connection that has something its turn.

mod inbox;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};

#[cfg(all(test, any(shuttle, framewire_loom)))]
pub use self::inbox::Orders;
use self::inbox::{Attended, finish};
pub use self::inbox::{Inbox, News, unattended};
use super::attempt::{Attempt, Fate, end_without_attempt};
use super::event::{EventKind, Letter};
use super::http2::{LinkId, Pool, Turn};
use super::library;
use super::lock;
use super::run::Run;
use super::socket::{Plan, Shared, Socket, State, Wishes};
use super::timers::Timers;
use crate::error::{Error, ErrorKind, Phase};
use crate::fault;
use crate::limits::EVENT_OVERHEAD;
use crate::logging::{self, LogLevel};
use crate::net::resolve::Resolver;
use crate::session::inbound::Scratch;
use crate::session::{MessageType, Payload};
use crate::sync::atomic::Ordering;

/// Readiness events taken from the system at a time.
const EVENTS: usize = 256;
/// Turns of shared connections, and of those on them, before the network is asked again.
const ROUNDS: usize = 4;
/// Attempts of one worker before it comes to the numbers of the next: there are 64 workers at most.
const SERIAL_BITS: u32 = 26;
/// After the last socket's connection has ended, HTTP/2 connections get this long to say goodbye.
const HTTP2_GOODBYE: Duration = Duration::from_millis(250);

/// Between two lives of a worker.
const START_OVER_PAUSE: Duration = Duration::from_millis(10);

const ATTEMPT_PANICKED: &str = "a callback or the library itself panicked while it served this connection";
const WORKER_PANICKED: &str = "the library panicked while it served several connections";

fn internal(what: &str) -> Error {
    Error::new(ErrorKind::Internal, Phase::Open, what)
}

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
    pub routes: Routes,
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
        self.routes[token] = Some(Route::Attempt(key));
        Token(token)
    }
}

impl Context {
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

    /// A message for the game, where it was received.
    #[inline]
    pub fn collect_message(&mut self, message_type: MessageType, payload: &Payload<'_>) {
        let Some(frame) = payload.whole_frame() else {
            let payload = payload.segment();
            return self.collect(Letter::Event(EventKind::message(message_type, payload)));
        };
        if let Some(Letter::Run(run)) = self.batch.last_mut()
            && run.extend(&frame)
        {
            self.batch_charge += EVENT_OVERHEAD + frame.payload_len;
        } else {
            self.collect(Letter::Run(Run::of(&frame)));
        }
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
pub fn run(inbox: Arc<Inbox>, mut poll: Poll, registry: Registry, resolver: Resolver) {
    let _attended = Attended(inbox.clone());
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
    let serial = (inbox.number() as u32) << SERIAL_BITS;
    let mut worker =
        Worker { inbox, context, slots: Vec::new(), free: Vec::new(), serial, owners: Vec::new() };
    while catch_unwind(AssertUnwindSafe(|| serve(&mut worker, &mut poll))).is_err() {
        worker.start_over();
    }
}

/// Returns when the library stops.
fn serve(worker: &mut Worker, poll: &mut Poll) {
    let mut events = Events::with_capacity(EVENTS);
    let mut sockets = Vec::new();
    let mut goodbye = None;
    let mut stop_at = worker.context.stopping.then_some(worker.context.now);
    loop {
        fault::point("engine.serve");
        let orders = worker.inbox.take(&mut sockets);
        // Before anything that may panic: it is said once.
        if let Some(deadline) = orders.stop {
            worker.context.stopping = true;
            stop_at = Some(deadline);
        }
        for socket in sockets.drain(..) {
            worker.obey(socket);
        }
        for key in std::mem::take(&mut worker.context.again) {
            worker.turn(key);
        }
        while let Some((at, key)) = worker.context.timers.pop_due(worker.context.now) {
            worker.timer(at, key);
        }
        if orders.news != News::default() {
            worker.context.pool.hear(orders.news, worker.context.now);
            worker.with_all(|attempt, context| attempt.hear(orders.news, context));
        }
        if orders.stop.is_some() {
            worker.with_all(|attempt, context| attempt.turn(context));
        }
        worker.drive_shared();
        if let Some(at) = &mut stop_at {
            if !worker.has_attempts() {
                *at = (*at).min(*goodbye.get_or_insert(worker.context.now + HTTP2_GOODBYE));
            }
            if worker.is_idle() || worker.context.now >= *at {
                return;
            }
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

    fn has_attempts(&self) -> bool {
        self.slots.iter().any(|slot| slot.attempt.is_some())
    }

    fn is_idle(&self) -> bool {
        !self.has_attempts() && self.context.pool.is_empty() && self.inbox.is_empty()
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

    /// A panic that was no connection's own: what the connections share may be half changed, so all
    /// of them end with the error, and the worker goes on as a new one.
    fn start_over(&mut self) {
        logging::write(LogLevel::Error, 0, "", format_args!("a worker panicked; its connections end"));
        self.with_all(|attempt, context| attempt.fail(internal(WORKER_PANICKED), context));
        // Those that linger for their last bytes are heard no more.
        self.with_all(|_, _| Fate::Over);
        self.context.pool = Pool::default();
        self.context.routes = Routes::default();
        self.context.timers = Timers::default();
        self.context.again.clear();
        // So that a panic that comes again and again does not take a core.
        std::thread::sleep(START_OVER_PAUSE);
    }

    /// Does what the game wants of a socket.
    fn obey(&mut self, socket: Arc<Shared>) {
        if catch_unwind(AssertUnwindSafe(|| self.heed(socket.clone()))).is_ok() {
            return;
        }
        // It may not have come so far as to look.
        socket.take_notification();
        let plan = lock(&socket.to_worker).wishes.as_mut().and_then(|wishes| wishes.open.take());
        drop(plan);
        let key = Key::from_bits(socket.attempt.load(Ordering::Relaxed));
        if let Some(key) = key {
            self.with(key, |attempt, context| attempt.fail(internal(ATTEMPT_PANICKED), context));
        }
        // It panicked before there was an attempt.
        if !matches!(socket.state(), State::Closed) {
            self.end_without_attempt(&socket);
        }
        if socket.is_destroyed() {
            finish(socket);
        }
    }

    fn heed(&mut self, socket: Arc<Shared>) {
        fault::point("engine.obey");
        socket.take_notification();
        let mut to_worker = lock(&socket.to_worker);
        if !Arc::ptr_eq(&socket.worker(), &self.inbox) {
            // It has moved meanwhile.
            drop(to_worker);
            return socket.notify();
        }
        let wishes = to_worker.wishes.take();
        drop(to_worker);
        let Some(wishes) = wishes else {
            // Messages.
            if let Some(key) = Key::from_bits(socket.attempt.load(Ordering::Relaxed)) {
                self.turn(key);
            }
            return;
        };
        let Wishes { open, cancel, fault, destroy, pings, user_pings, resolved, caught_up } = *wishes;
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
                if let Some(what) = fault {
                    return attempt.fail(internal(what), context);
                }
                match (cancel, destroy) {
                    (Some(reason), _) => attempt.cancel(reason, context),
                    (None, Some(farewell)) => attempt.farewell(farewell, context),
                    (None, None) => attempt.turn(context),
                }
            });
        }
        if destroy.is_some() {
            finish(socket);
        }
    }

    fn open(&mut self, socket: &Arc<Shared>, plan: Plan) {
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

    /// The attempt cannot even end any more, or there is none.
    fn end_without_attempt(&mut self, socket: &Arc<Shared>) {
        let context = &mut self.context;
        let end = || end_without_attempt(socket, internal(ATTEMPT_PANICKED), context);
        if catch_unwind(AssertUnwindSafe(end)).is_err() {
            socket.log(LogLevel::Error, format_args!("a callback panicked twice"));
        }
        self.publish_rest(socket.id);
    }

    /// What a panic has kept from being published must not go to the next socket.
    fn publish_rest(&mut self, id: u64) {
        let context = &mut self.context;
        if let Some(Socket(socket)) = library::find(id) {
            let _ = catch_unwind(AssertUnwindSafe(|| context.publish(&socket)));
        }
        context.batch.clear();
        context.batch_charge = 0;
    }

    /// Gives an attempt a turn, ends it if it is over, and keeps its panics from the others.
    fn with(&mut self, key: Key, act: impl FnOnce(&mut Attempt, &mut Context) -> Fate) {
        let Some(slot) = self.slots.get_mut(key.slot as usize) else { return };
        if slot.serial != key.serial {
            return;
        }
        let Some(mut attempt) = slot.attempt.take() else { return };
        let id = attempt.socket_id();
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
                let end = || attempt.fail(internal(ATTEMPT_PANICKED), context);
                let ended = catch_unwind(AssertUnwindSafe(end));
                let socket = library::find(id).filter(|socket| {
                    ended.is_err() && socket.0.attempt.load(Ordering::Relaxed) == key.to_bits()
                });
                if let Some(Socket(socket)) = socket {
                    self.end_without_attempt(&socket);
                }
                self.publish_rest(id);
            }
        }
        // What it has of the caller's, and of the crates below, may panic once more as it goes.
        let context = &mut self.context;
        let _ = catch_unwind(AssertUnwindSafe(|| attempt.give_back(context)));
        self.free.push(key.slot);
    }
}
