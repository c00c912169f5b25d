//! A worker: a loop that waits for the network, for commands and for deadlines, and gives each connection
//! that has work its turn.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::connection::context::{Context, Route, Routes};
use super::connection::timers::Timers;
use super::connection::{Connection, Replaced, TurnResult, end_without_connection};
use super::http2::{Pool, PoolTurn};
use super::shared::commands::Commands;
use super::shared::inbox::NetworkChange;
use super::shared::key::Key;
use super::shared::settings::Plan;
use super::shared::socket::{Inbox, Shared, Socket};
use super::shared::sockets;
use super::shared::state::State;
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::fault;
use crate::limits::NETWORK_CHANGE_INTERVAL;
use crate::logging::{self, LogLevel};
use crate::sync::atomic::Ordering;
use crate::sync::lock;

/// The token of what watches the network.
pub const WATCH: Token = Token(usize::MAX - 1);
/// The key of its timer. No connection has it.
const WATCH_TIMER: Key = Key { slot: u32::MAX, serial: 0 };
/// Readiness events read from the system at a time.
const EVENTS: usize = 256;
/// Turns of shared connections and their streams before the network is polled again.
const ROUNDS: usize = 4;
/// A worker has 2^26 serial numbers before it reaches those of the next one. There are 64 workers at most.
const SERIAL_BITS: u32 = 26;
/// How long HTTP/2 connections may take to close after the last socket's connection has ended.
const HTTP2_CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// The pause before a worker restarts after a panic.
const RESTART_PAUSE: Duration = Duration::from_millis(10);

const CONNECTION_PANICKED: &str = "a callback or the library itself panicked while it served this connection";
const WORKER_PANICKED: &str = "the library panicked while it served several connections";

fn internal(what: &str) -> Error {
    Error::new(ErrorKind::Internal, Phase::Open, what)
}

struct Worker {
    inbox: Arc<Inbox>,
    context: Context,
    slots: Vec<Slot>,
    free: Vec<u32>,
    serial: u32,
    /// Sockets that were announced after the report of a network change, until that is handled.
    later: Vec<Arc<Shared>>,
    /// Owners of streams that are ready. Kept to reuse its memory.
    owners: Vec<u64>,
    /// When the network was last found changed, and whether the next report has a timer.
    reported: Option<Instant>,
    report_is_due: bool,
}

struct Slot {
    serial: u32,
    connection: Option<Box<Connection>>,
}

/// Runs a worker until the library stops.
pub fn run(inbox: Arc<Inbox>, mut poll: Poll, context: Context) {
    let _close_on_exit = CloseOnExit(inbox.clone());
    // Each worker has its own range of serial numbers, so that a late command for a connection of another
    // worker finds none here.
    let serial = (inbox.number() as u32) << SERIAL_BITS;
    let mut worker = Worker {
        inbox,
        context,
        slots: Vec::new(),
        free: Vec::new(),
        serial,
        later: Vec::new(),
        owners: Vec::new(),
        reported: None,
        report_is_due: false,
    };
    while catch_unwind(AssertUnwindSafe(|| serve(&mut worker, &mut poll))).is_err() {
        worker.restart();
    }
}

/// Closes the inbox however the worker ends.
struct CloseOnExit(Arc<Inbox>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        self.0.close().into_iter().for_each(Shared::worker_ended);
    }
}

/// Returns when the library stops.
fn serve(worker: &mut Worker, poll: &mut Poll) {
    let mut events = Events::with_capacity(EVENTS);
    let mut sockets = Vec::new();
    let mut http2_deadline = None;
    let mut stop_at = worker.context.stopping.then_some(worker.context.now);
    loop {
        fault::point("engine.serve");
        // Before the inbox: where the threads share a core, it holds their answers already.
        worker.context.wake_sleepers();
        let commands = worker.inbox.take(&mut sockets);
        // Before anything that may panic, as it is reported once.
        if let Some(deadline) = commands.stop {
            worker.context.stopping = true;
            stop_at = Some(deadline);
        }
        // Those that a panic has left come first.
        let earlier = std::mem::replace(&mut worker.later, commands.announced_after(&mut sockets));
        for socket in earlier.into_iter().chain(sockets.drain(..)) {
            worker.handle_commands(socket);
        }
        for key in std::mem::take(&mut worker.context.run_again) {
            worker.turn(key);
        }
        while let Some((at, key)) = worker.context.timers.pop_due(worker.context.now) {
            worker.timer(at, key);
        }
        if commands.change != NetworkChange::default() {
            worker.network_changed(commands.change);
        }
        for socket in std::mem::take(&mut worker.later) {
            worker.handle_commands(socket);
        }
        if commands.stop.is_some() {
            worker.with_all(|connection, context| connection.turn(context));
        }
        worker.drive_shared();
        worker.context.wake_sleepers();
        if let Some(at) = &mut stop_at {
            if !worker.has_connections() {
                *at = (*at).min(*http2_deadline.get_or_insert(worker.context.now + HTTP2_CLOSE_TIMEOUT));
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
    /// Returns how long to wait, and requests a wakeup.
    fn sleep_until(&mut self, stop_at: Option<Instant>) -> Option<Duration> {
        if !self.context.run_again.is_empty() || self.context.pool.needs_drive() {
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

    fn has_connections(&self) -> bool {
        self.slots.iter().any(|slot| slot.connection.is_some())
    }

    fn is_idle(&self) -> bool {
        !self.has_connections() && self.context.pool.is_empty() && self.inbox.is_empty()
    }

    fn with_all(&mut self, mut act: impl FnMut(&mut Connection, &mut Context) -> TurnResult) {
        for slot in 0..self.slots.len() {
            let key = Key { slot: slot as u32, serial: self.slots[slot].serial };
            self.with(key, &mut act);
        }
    }

    /// Drives the shared connections and runs the turns of the connections on them.
    fn drive_shared(&mut self) {
        for _ in 0..ROUNDS {
            if self.context.pool.is_empty() && !self.context.pool.needs_drive() {
                return;
            }
            let (mut owners, mut tokens) = (std::mem::take(&mut self.owners), Vec::new());
            let Context { registry, now, stopping, pool, .. } = &mut self.context;
            pool.drive(&PoolTurn { registry, now: *now, stopping: *stopping }, &mut owners, &mut tokens);
            for token in tokens {
                self.context.free_token(token);
            }
            for key in owners.drain(..).filter_map(Key::from_bits) {
                self.with(key, |connection, context| connection.stream_ready(context));
            }
            self.owners = owners;
            for (key, reply) in self.context.pool.take_replies() {
                self.with(key, |connection, context| connection.pool_replied(reply, context));
            }
            if !self.context.pool.needs_drive() {
                return;
            }
        }
    }

    /// Restarts after a panic outside of a connection's turn: what the connections share may be inconsistent,
    /// so all of them end with an error.
    fn restart(&mut self) {
        logging::write(LogLevel::Error, 0, "", format_args!("a worker panicked; its connections end"));
        self.with_all(|connection, context| connection.fail(internal(WORKER_PANICKED), context));
        // Connections that still drain end without sending the rest.
        self.with_all(|_, _| TurnResult::Finished);
        self.context.pool = Pool::default();
        self.context.routes = Routes::default();
        self.context.timers = Timers::default();
        self.report_is_due = false;
        self.context.run_again.clear();
        self.context.new_candidates.clear();
        self.context.handovers.clear();
        // A panic that repeats must not use a whole core.
        std::thread::sleep(RESTART_PAUSE);
    }

    /// Executes the commands for a socket.
    fn handle_commands(&mut self, socket: Arc<Shared>) {
        if catch_unwind(AssertUnwindSafe(|| self.execute(socket.clone()))).is_ok() {
            return;
        }
        // It may have panicked before it read them.
        socket.take_notification();
        let plan = lock(&socket.to_worker).commands.as_mut().and_then(|commands| commands.open.take());
        drop(plan);
        let key = Key::from_bits(socket.connection.load(Ordering::Relaxed));
        if let Some(key) = key {
            self.with(key, |connection, context| connection.fail(internal(CONNECTION_PANICKED), context));
        }
        // It panicked before there was a connection.
        if !matches!(socket.state(), State::Closed) {
            self.end_without_connection(&socket);
        }
        if socket.is_destroyed() {
            socket.finish();
        }
    }

    fn execute(&mut self, socket: Arc<Shared>) {
        fault::point("engine.commands");
        socket.take_notification();
        let mut to_worker = lock(&socket.to_worker);
        if !Arc::ptr_eq(&socket.worker(), &self.inbox) {
            // It was moved to another worker.
            drop(to_worker);
            return socket.notify();
        }
        let commands = to_worker.commands.take();
        drop(to_worker);
        let Some(commands) = commands else {
            // Only messages.
            if let Some(key) = Key::from_bits(socket.connection.load(Ordering::Relaxed)) {
                self.turn(key);
            }
            return;
        };
        let Commands {
            open,
            cancel,
            fault,
            destroy,
            pings,
            link,
            capture,
            user_pings,
            resolved,
            marker_reached,
        } = *commands;
        if let Some(plan) = open {
            self.open(&socket, plan);
        }
        if let Some(resolved) = resolved
            && let Some(key) = Key::from_bits(resolved.connection)
        {
            self.with(key, |connection, context| {
                connection.resolved(resolved, context);
                connection.turn(context)
            });
        }
        if let Some(key) = Key::from_bits(socket.connection.load(Ordering::Relaxed)) {
            self.with(key, |connection, context| {
                if marker_reached == key.to_bits() {
                    connection.marker_reached(context);
                }
                if let Some(pings) = pings {
                    connection.set_pings(pings, context);
                }
                if let Some(change) = link.clone() {
                    connection.change_link(change, context);
                }
                if let Some(file) = capture.clone() {
                    connection.set_capture(file);
                }
                for payload in &user_pings {
                    connection.ping(payload.as_slice());
                }
                if let Some(what) = fault {
                    return connection.fail(internal(what), context);
                }
                match (cancel, destroy) {
                    (Some(reason), _) => connection.cancel(reason, context),
                    (None, Some(mode)) => connection.destroy(mode, context),
                    (None, None) => connection.turn(context),
                }
            });
        }
        if let Some(key) = Key::from_bits(socket.candidate.load(Ordering::Relaxed)) {
            self.with(key, |connection, context| {
                if let Some(pings) = pings {
                    connection.set_pings(pings, context);
                }
                if let Some(change) = link {
                    connection.change_link(change, context);
                }
                if let Some(file) = capture {
                    connection.set_capture(file);
                }
                connection.turn(context)
            });
        }
        if destroy.is_some() {
            // The finalizer is the caller's code too; see `with`.
            self.context.wake_sleepers();
            socket.finish();
        }
    }

    fn open(&mut self, socket: &Arc<Shared>, plan: Plan) {
        // The turn may have begun long before the call, and timeouts and delays count from here.
        self.context.now = Instant::now();
        let key = self.new_key();
        socket.connection.store(key.to_bits(), Ordering::Relaxed);
        let connection = Connection::new(key, socket.clone(), plan, self.context.now);
        self.insert(key, connection);
        self.with(key, |connection, context| connection.start(context));
    }

    fn new_key(&mut self) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { serial: 0, connection: None });
            (self.slots.len() - 1) as u32
        });
        self.serial = self.serial.wrapping_add(1).max(1);
        Key { slot, serial: self.serial }
    }

    fn insert(&mut self, key: Key, connection: Connection) {
        self.slots[key.slot as usize] = Slot { serial: key.serial, connection: Some(Box::new(connection)) };
    }

    /// Handles a report of the host, or of what watches the network.
    fn network_changed(&mut self, change: NetworkChange) {
        self.context.resolver.forget(None);
        self.context.pool.network_changed(change, self.context.now);
        self.with_all(|connection, context| connection.network_changed(change, context));
        self.add_candidates();
    }

    /// The configuration of the network may have changed. Reports it to the connections, but not more often
    /// than every [`NETWORK_CHANGE_INTERVAL`].
    fn watch_ready(&mut self) {
        if self.context.watch.as_mut().is_none_or(|watch| !watch.read()) {
            return;
        }
        let due = self.reported.map_or(self.context.now, |reported| reported + NETWORK_CHANGE_INTERVAL);
        if due <= self.context.now {
            self.report_network();
        } else if !std::mem::replace(&mut self.report_is_due, true) {
            self.context.at(due, WATCH_TIMER);
        }
    }

    fn report_network(&mut self) {
        (self.reported, self.report_is_due) = (Some(self.context.now), false);
        logging::write(LogLevel::Debug, 0, "", format_args!("the network has changed"));
        self.network_changed(NetworkChange { probe: true, ..NetworkChange::default() });
    }

    /// Adds the connections that may replace others after a network change.
    fn add_candidates(&mut self) {
        for candidate in std::mem::take(&mut self.context.new_candidates) {
            let key = self.new_key();
            candidate.socket.candidate.store(key.to_bits(), Ordering::Relaxed);
            let connection = Connection::candidate(key, candidate, &mut self.context);
            self.insert(key, connection);
            self.turn(key);
        }
    }

    /// Replaces the connection of a socket by its candidate.
    fn hand_over(&mut self, candidate: Key) {
        let Some(old) = self.find(candidate).and_then(Connection::replaced_key) else { return };
        let (Some(mut connection), Some(mut successor)) = (self.take(old), self.take(candidate)) else {
            return self.turn(candidate);
        };
        let context = &mut self.context;
        context.wake_sleepers();
        let outcome = catch_unwind(AssertUnwindSafe(|| connection.replace(&mut successor, context)));
        self.slots[old.slot as usize].connection = Some(connection);
        self.slots[candidate.slot as usize].connection = Some(successor);
        let outcomes = match outcome {
            Ok(Replaced { old, new }) => (Some(old), Some(new)),
            Err(_) => (None, None),
        };
        for (key, turn_result) in [(old, outcomes.0), (candidate, outcomes.1)] {
            self.with(key, |connection, context| {
                turn_result.unwrap_or_else(|| connection.fail(internal(CONNECTION_PANICKED), context))
            });
        }
    }

    fn find(&self, key: Key) -> Option<&Connection> {
        let slot = self.slots.get(key.slot as usize).filter(|slot| slot.serial == key.serial)?;
        slot.connection.as_deref()
    }

    fn take(&mut self, key: Key) -> Option<Box<Connection>> {
        let slot = self.slots.get_mut(key.slot as usize).filter(|slot| slot.serial == key.serial)?;
        slot.connection.take()
    }

    fn ready(&mut self, event: &mio::event::Event) {
        let token = event.token();
        match self.context.routes.get(token) {
            Some(Route::Connection(key)) => {
                self.with(key, |connection, context| connection.ready(event, context))
            }
            Some(Route::Link(link)) => self.context.pool.ready(link, event),
            None if token == WATCH => self.watch_ready(),
            None => {}
        }
    }

    fn turn(&mut self, key: Key) {
        self.with(key, |connection, context| connection.turn(context));
    }

    fn timer(&mut self, at: Instant, key: Key) {
        if key == WATCH_TIMER {
            return self.report_network();
        }
        self.with(key, |connection, context| connection.timer(at, context));
        if !self.context.handovers.is_empty() {
            std::mem::take(&mut self.context.handovers).into_iter().for_each(|key| self.hand_over(key));
        }
    }

    /// Ends a socket whose connection cannot end it: it has panicked twice, or there is none.
    fn end_without_connection(&mut self, socket: &Arc<Shared>) {
        let context = &mut self.context;
        context.wake_sleepers();
        let end = || end_without_connection(socket, internal(CONNECTION_PANICKED), context);
        if catch_unwind(AssertUnwindSafe(end)).is_err() {
            socket.log(LogLevel::Error, format_args!("a callback panicked twice"));
        }
        self.publish_rest(socket.id);
    }

    /// Publishes what a panic has left collected: it must not go to the next socket.
    fn publish_rest(&mut self, id: u64) {
        let context = &mut self.context;
        if let Some(Socket(socket)) = sockets::find(id) {
            let _ = catch_unwind(AssertUnwindSafe(|| context.publish(&socket)));
        }
        context.batch.clear();
        context.batch_charge = 0;
    }

    /// Runs a turn of a connection, removes it if it is finished, and ends it if it panics.
    fn with(&mut self, key: Key, act: impl FnOnce(&mut Connection, &mut Context) -> TurnResult) {
        let Some(slot) = self.slots.get_mut(key.slot as usize) else { return };
        if slot.serial != key.serial {
            return;
        }
        let Some(mut connection) = slot.connection.take() else { return };
        let id = connection.socket_id();
        let context = &mut self.context;
        if connection.runs_callers_code() {
            // It may wait for a thread that waits for what was published.
            context.wake_sleepers();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let turn_result = act(&mut connection, context);
            if let TurnResult::Continue = turn_result {
                connection.set_timer(context);
            }
            turn_result
        }));
        match outcome {
            Ok(TurnResult::Continue) => {
                self.slots[key.slot as usize].connection = Some(connection);
                return;
            }
            Ok(TurnResult::Finished) => {}
            Err(_) => {
                let end = || connection.fail(internal(CONNECTION_PANICKED), context);
                let ended = catch_unwind(AssertUnwindSafe(end));
                let socket = sockets::find(id).filter(|socket| {
                    ended.is_err() && socket.0.connection.load(Ordering::Relaxed) == key.to_bits()
                });
                if let Some(Socket(socket)) = socket {
                    self.end_without_connection(&socket);
                }
                self.publish_rest(id);
            }
        }
        // Dropping values of the caller and of other crates may panic again.
        let context = &mut self.context;
        let _ = catch_unwind(AssertUnwindSafe(|| connection.discard(context)));
        self.free.push(key.slot);
    }
}
