//! One attempt to connect, and the connection that comes of it, on its worker.
//!
//! ```text
//!   Resolving ─> Dialling ─> Securing ─> Asking ─> Live ──terminal event──> (lingers) ─> over
//!        └───────────┴───────────┴──────────┴── the connect deadline, a cancel, a failure ──^
//! ```
//!
//! `Securing` only for `wss:`, `Asking` only where the game wants to see the upgrade request. After
//! the terminal event an attempt no longer belongs to its socket, which may open the next one; it
//! lingers just to say its last bytes and to let the server end the connection first
//! (RFC 6455 section 7.1.1).

mod connecting;
mod counting;
mod ending;

pub use ending::end_without_attempt;

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mio::Token;
use mio::event::Event;

use self::counting::Base;
use self::ending::{Held, Terminal};
use super::callbacks::{Callbacks, Inside};
use super::counters::add;
use super::delivery;
use super::event::{EventKind, Frame};
use super::lock;
use super::masks;
use super::request::Draft;
use super::socket::{Plan, Resolved, Shared, Socket, State};
use super::worker::{Context, Key};
use crate::error::{Error, ErrorKind, Phase};
use crate::fault;
use crate::limits::{READS_PER_TURN, WRITES_PER_TURN};
use crate::logging::LogLevel;
use crate::net::dial::Dialler;
use crate::net::resolve::{self, Lookup};
use crate::net::stream::{ReadOutcome, Stream, WriteOutcome};
use crate::session::liveness::PingSettings;
use crate::session::sending::MAX_SLICES;
use crate::session::{self, MessageType, Payload, Session, SessionEvent};

/// Whether there is anything left to do for an attempt.
pub enum Fate {
    GoesOn,
    Over,
}

pub struct Attempt {
    key: Key,
    /// None once the terminal event was given.
    socket: Option<Socket>,
    plan: Box<Plan>,
    stage: Stage,
    tokens: Vec<Token>,
    /// Of connecting, then of lingering.
    deadline: Option<Instant>,
    /// The timer that is set.
    timer: Option<Instant>,
    readable: bool,
    writable: bool,
    /// Received bytes wait to be looked at: the game was behind.
    unseen: bool,
    callbacks: Arc<Callbacks>,
    callbacks_version: u32,
    /// A breach of the rules that the game has not come to yet.
    held: Option<Held>,
    started: Instant,
    base: Base,
}

enum Stage {
    Idle,
    Resolving { _lookup: Lookup },
    Dialling(Dialler),
    Securing(Box<Stream>),
    Asking { stream: Box<Stream>, draft: Draft, done: bool },
    Live { stream: Box<Stream>, session: Box<Session> },
}

impl Attempt {
    pub fn new(key: Key, socket: Arc<Shared>, plan: Box<Plan>, now: Instant) -> Self {
        // The version first: at worst the callbacks are newer, and are fetched once more.
        let (callbacks_version, callbacks) = (socket.callbacks_version(), socket.callbacks());
        let base = Base::of(&socket);
        Self {
            key,
            deadline: Some(now + plan.settings.connect_timeout),
            socket: Some(Socket(socket)),
            plan,
            stage: Stage::Idle,
            tokens: Vec::new(),
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

    /// Begins: names are looked up, addresses are dialled at once.
    pub fn start(&mut self, context: &mut Context) -> Fate {
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        let url = &self.plan.settings.request.url;
        socket.log(LogLevel::Debug, format_args!("connecting to {url}"));
        if let Some(address) = resolve::literal(&url.host, url.port) {
            return self.dial(vec![address], context);
        }
        let (weak, attempt) = (Arc::downgrade(socket), self.key.to_bits());
        let lookup = context.resolver.resolve(
            &url.host,
            url.port,
            Box::new(move |addresses| {
                if let Some(socket) = weak.upgrade() {
                    lock(&socket.to_worker).resolved = Some(Resolved { attempt, addresses });
                    socket.notify();
                }
            }),
        );
        self.stage = Stage::Resolving { _lookup: lookup };
        Fate::GoesOn
    }

    pub fn resolved(&mut self, addresses: Result<Vec<SocketAddr>, Error>, context: &mut Context) {
        if !matches!(self.stage, Stage::Resolving { .. }) {
            return;
        }
        self.time(context.now, |counters| &counters.resolve_us);
        match addresses {
            // Whether it goes on is seen in the turn that follows.
            Ok(addresses) => drop(self.dial(addresses, context)),
            Err(error) => {
                self.fail(error, context);
            }
        }
    }

    pub fn request_done(&mut self) {
        if let Stage::Asking { done, .. } = &mut self.stage {
            *done = true;
        }
    }

    pub fn set_pings(&mut self, pings: PingSettings, context: &Context) {
        self.plan.settings.pings = pings;
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
    pub fn farewell(&mut self, context: &mut Context) -> Fate {
        let Some(Socket(socket)) = self.socket.take() else { return Fate::Over };
        let mut to_worker = lock(&socket.to_worker);
        let was_open = matches!(socket.state(), State::Open | State::Closing);
        socket.set_state(State::Closed);
        socket.attempt.store(0, Ordering::Relaxed);
        let Stage::Live { session, .. } = &mut self.stage else { return Fate::Over };
        if !was_open {
            return Fate::Over;
        }
        session.leave(&mut to_worker.outbox);
        drop(to_worker);
        self.linger(context);
        self.turn(context)
    }

    /// Ends with an error that came from outside the connection.
    pub fn fail(&mut self, error: Error, context: &mut Context) -> Fate {
        self.end(Terminal::Failed(error), context);
        Fate::Over
    }

    pub fn ready(&mut self, event: &Event, context: &mut Context) -> Fate {
        match &mut self.stage {
            Stage::Dialling(_) => return self.dial_step(Some(event.token()), context),
            Stage::Securing(stream) | Stage::Asking { stream, .. } | Stage::Live { stream, .. } => {
                stream.ready(event);
            }
            Stage::Idle | Stage::Resolving { .. } => {}
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
        if self.deadline.is_some_and(|deadline| context.now >= deadline) {
            return self.out_of_time(context);
        }
        match &mut self.stage {
            Stage::Idle | Stage::Resolving { .. } => Fate::GoesOn,
            Stage::Dialling(_) => self.dial_step(None, context),
            Stage::Securing(_) => self.secure(context),
            Stage::Asking { done: false, .. } => Fate::GoesOn,
            Stage::Asking { done: true, .. } => self.asked(context),
            Stage::Live { .. } => self.live(context),
        }
    }

    /// Ended, with nothing left to say.
    fn is_over(&self) -> bool {
        self.socket.is_none() && !matches!(self.stage, Stage::Live { .. })
    }

    fn out_of_time(&mut self, context: &mut Context) -> Fate {
        if self.socket.is_none() {
            return Fate::Over;
        }
        let waited = self.plan.settings.connect_timeout.as_millis();
        let url = &self.plan.settings.request.url;
        let (phase, what) = match &mut self.stage {
            Stage::Idle | Stage::Resolving { .. } => (Phase::Resolve, "the name was not resolved"),
            Stage::Dialling(dialler) => {
                let error = dialler.timed_out(self.plan.settings.connect_timeout);
                return self.fail(error, context);
            }
            Stage::Securing(_) => (Phase::Tls, "the TLS handshake did not end"),
            Stage::Asking { .. } => (Phase::Upgrade, "the game did not release the upgrade request"),
            Stage::Live { session, .. } => {
                if let Some(refused) = Terminal::of(session.give_up_opening()) {
                    self.end(refused, context);
                    return Fate::Over;
                }
                (Phase::Upgrade, "the server did not answer the upgrade request")
            }
        };
        let mut message = format!("{what} within {waited} ms: {url}");
        if phase == Phase::Tls {
            message.push_str("; does the server speak TLS on this port?");
        }
        self.fail(Error::new(ErrorKind::TimedOut, phase, message), context)
    }

    // ------------------------------------------------------------------ connected

    /// Reads, looks, writes; publishes what the game is to know.
    fn live(&mut self, context: &mut Context) -> Fate {
        // Before the deadlines: what waits in the socket shows that the peer is alive.
        self.read(context);
        if let Stage::Live { session, .. } = &mut self.stage
            && session.deadline().is_some_and(|deadline| context.now >= deadline)
        {
            let terminal = Terminal::of(session.handle_timeout(context.now));
            self.terminal(terminal, context);
        }
        self.end_if_due(context);
        self.write(context);
        if let Some(Socket(socket)) = &self.socket {
            context.publish(socket);
        }
        self.fate(context)
    }

    fn fate(&self, context: &Context) -> Fate {
        let Stage::Live { session, stream } = &self.stage else { return Fate::Over };
        let silent = !session.has_to_write() && !stream.wants_write();
        match &self.socket {
            Some(_) => Fate::GoesOn,
            // While the library stops nobody waits for the server.
            None if context.stopping && silent => Fate::Over,
            None => Fate::GoesOn,
        }
    }

    fn read(&mut self, context: &mut Context) {
        if self.held.is_some() {
            return;
        }
        if std::mem::take(&mut self.unseen) {
            self.set_reading(true, context);
            if !self.look(context) {
                return;
            }
        }
        for _ in 0..READS_PER_TURN {
            let Stage::Live { stream, session } = &mut self.stage else { return };
            if !self.readable {
                session.settle(&mut context.scratch);
                return;
            }
            let outcome = match session.targets(&mut context.scratch) {
                Ok([first, second]) => {
                    let mut slices = [IoSliceMut::new(first), IoSliceMut::new(second)];
                    let used = if slices[1].is_empty() { 1 } else { 2 };
                    stream.read_vectored(&mut slices[..used])
                }
                Err(_) => {
                    let message = "the allocator has no memory to read into";
                    self.fail_live(Error::new(ErrorKind::Internal, Phase::Open, message), context);
                    return;
                }
            };
            match outcome {
                Ok(ReadOutcome::Data { n, more }) => {
                    self.readable = more;
                    session.received(n, &mut context.scratch, context.now);
                    if let Some(Socket(socket)) = &self.socket {
                        add(&socket.counters.bytes_received, n as u64);
                    }
                    if !self.look(context) {
                        return;
                    }
                }
                Ok(ReadOutcome::WouldBlock) => self.readable = false,
                Ok(ReadOutcome::Eof { .. }) => {
                    self.readable = false;
                    let terminal = Terminal::of(session.ended(None));
                    self.terminal(terminal, context);
                    self.stop_lingering();
                    return;
                }
                Err(error) => {
                    self.readable = false;
                    self.fail_live(error, context);
                    return;
                }
            }
        }
        context.turn_again(self.key);
    }

    /// Passes on what the received bytes hold. False when reading is to stop for now.
    fn look(&mut self, context: &mut Context) -> bool {
        let Some(Socket(socket)) = self.socket.clone() else {
            if let Stage::Live { session, .. } = &mut self.stage {
                let _ = session.next(false, context.now);
            }
            return true;
        };
        let polls = socket.polls();
        let limit = socket.hub.event_queue_bytes;
        let waiting = socket.mailbox.charge();
        let handle = Socket(socket.clone());
        let mut got_message = false;
        let keep_reading = loop {
            if polls && waiting + context.batch_charge >= limit {
                break self.pause(&socket, context);
            }
            if socket.is_destroyed() {
                break false;
            }
            if socket.callbacks_version() != self.callbacks_version {
                self.callbacks_version = socket.callbacks_version();
                self.callbacks = socket.callbacks();
            }
            let stream_frames = socket.wants_frames(&self.callbacks);
            let Stage::Live { session, .. } = &mut self.stage else { break false };
            match session.next(stream_frames, context.now) {
                SessionEvent::Idle => break true,
                SessionEvent::Again => {}
                SessionEvent::Message { message_type, payload } => {
                    got_message = true;
                    if polls {
                        let payload = payload.segment();
                        let event = match message_type {
                            MessageType::Text => EventKind::Text(payload),
                            MessageType::Binary => EventKind::Binary(payload),
                        };
                        context.collect(event.into());
                    } else {
                        call_message(&handle, &self.callbacks, message_type, &payload);
                    }
                }
                SessionEvent::Fragment { message_type, is_first, is_final, payload } => {
                    got_message = true;
                    let payload = payload.segment();
                    let frame = Frame { opcode: message_type, is_first, is_final, payload };
                    self.tell(EventKind::IncompleteFrame(frame), context);
                }
                SessionEvent::Pong(payload) => {
                    let payload = payload.segment();
                    let latency = session.latency();
                    if let Some(latency) = latency {
                        socket.latency_us.store(latency.as_micros() as i64, Ordering::Relaxed);
                    }
                    self.tell(EventKind::Pong(payload), context);
                }
                SessionEvent::Opened { accepted, head } => {
                    self.deadline = None;
                    self.time(context.now, |counters| &counters.upgrade_us);
                    {
                        let mut facts = lock(&socket.facts);
                        facts.protocol = accepted.protocol.unwrap_or_default();
                        facts.extensions = accepted.extensions;
                        facts.head = Some(head);
                        facts.http_version = 1;
                    }
                    if !self.opened(&socket) {
                        break false;
                    }
                    self.tell(EventKind::Open, context);
                }
                event => {
                    let terminal = Terminal::of(event);
                    self.came_to(terminal, context);
                    break self.held.is_none();
                }
            }
        };
        if got_message {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            socket.last_message_us.store(now.as_micros() as u64, Ordering::Relaxed);
        }
        self.count(&socket);
        if self.socket.is_some() {
            context.publish(&socket);
        }
        keep_reading
    }

    /// The socket is open from now on, unless the caller has given up meanwhile.
    fn opened(&mut self, socket: &Arc<Shared>) -> bool {
        let Stage::Live { stream, session } = &mut self.stage else { return false };
        stream.set_phase(Phase::Open);
        let mut to_worker = lock(&socket.to_worker);
        if to_worker.cancel.is_some() || socket.is_destroyed() {
            return false;
        }
        to_worker.outbox.reset(session.treatment());
        socket.buffered.store(0, Ordering::Relaxed);
        socket.set_state(State::Open);
        true
    }

    /// The game is behind: the network waits.
    fn pause(&mut self, socket: &Arc<Shared>, context: &mut Context) -> bool {
        self.unseen = true;
        self.set_reading(false, context);
        context.publish(socket);
        if !socket.pause() {
            context.turn_again(self.key);
        }
        false
    }

    fn set_reading(&mut self, reading: bool, context: &Context) {
        if let Stage::Live { session, .. } = &mut self.stage {
            session.set_reading(reading, context.now);
        }
    }

    fn write(&mut self, context: &mut Context) {
        let Stage::Live { stream, session } = &mut self.stage else { return };
        if let Some(Socket(socket)) = &self.socket {
            let mut to_worker = lock(&socket.to_worker);
            let outbox = &mut to_worker.outbox;
            if !outbox.is_empty() || outbox.is_closed() {
                session.take_from(outbox, context.now);
            }
            self.base.count_sent(socket, outbox, session);
        }
        let mut failure = None;
        for _ in 0..WRITES_PER_TURN {
            if !self.writable || !session.has_to_write() {
                break;
            }
            if let Err(error) = session.prepare(&mut masks::next_key) {
                failure = Some(error);
                break;
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = session.gather(&mut slices);
            if count == 0 {
                continue;
            }
            match stream.write_vectored(&slices[..count]) {
                Ok(WriteOutcome::Written { n }) => {
                    let wrote = session.wrote(n);
                    if let Some(Socket(socket)) = &self.socket {
                        socket.buffered.fetch_sub(wrote.payload, Ordering::Relaxed);
                        add(&socket.counters.bytes_sent, n as u64);
                    }
                }
                Ok(WriteOutcome::WouldBlock) => {
                    self.writable = false;
                    session.write_blocked(context.now);
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if failure.is_none() && self.writable && session.has_to_write() {
            context.turn_again(self.key);
        }
        if failure.is_none() && stream.wants_write() {
            match stream.flush() {
                // Bytes that were stuck below the session have moved.
                Ok(true) => drop(session.wrote(0)),
                Ok(false) => {
                    self.writable = false;
                    session.write_blocked(context.now);
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            self.fail_write(error, context);
        }
    }

    /// A write failed. What the server had sent before may explain it, so that is read first.
    fn fail_write(&mut self, error: Error, context: &mut Context) {
        self.writable = false;
        if self.readable && self.socket.is_some() {
            self.read(context);
        }
        self.fail_live(error, context);
    }

    /// Gives back what the worker's tables hold of the attempt.
    pub fn give_back(mut self: Box<Self>, context: &mut Context) {
        for token in std::mem::take(&mut self.tokens) {
            context.free_token(token);
        }
    }

    // ------------------------------------------------------------------ small things

    /// Sees to it that the worker asks again when the next deadline comes up.
    pub fn set_timer(&mut self, context: &mut Context) {
        let next = match &self.stage {
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

/// A message in worker mode: shown where it was received.
fn call_message(socket: &Socket, callbacks: &Callbacks, message_type: MessageType, payload: &Payload<'_>) {
    let _inside = Inside::enter();
    match message_type {
        MessageType::Text => {
            if let Some(f) = &callbacks.text {
                f(socket, simdutf8::basic::from_utf8(payload.bytes()).unwrap_or_default());
            }
        }
        MessageType::Binary => {
            if let Some(f) = &callbacks.binary {
                f(socket, payload.bytes());
            }
            if let Some(f) = &callbacks.binary_no_alloc {
                f(socket, &payload.segment());
            }
        }
    }
}
