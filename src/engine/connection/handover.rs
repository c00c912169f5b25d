//! Make before break: after a network change, a replacement for a connection that may be dead.
//!
//! ```text
//!   probe unanswered ──> candidate: Waiting ─> ... ─> upgraded ──hand over──> the connection of the socket
//!                             │                            │
//!                             ├── the probe is answered ───┴──> dropped
//!                             └── the old connection is lost ──> an ordinary reconnect, already under way
//! ```
//!
//! A candidate is a second connection of the same socket, on the same worker, with its own key. It goes
//! through the same stages, but until it replaces the old one it changes nothing of the socket. It starts at
//! once if the system would use another local address for the same peer now, and otherwise after
//! [`HANDOVER_DELAY`], in which a live connection responds.
//!
//! Messages that are not prepared for the network yet move to the new connection, in order. Those that the
//! old connection has prepared or written are lost if the server has not received them, as in any reconnect.

use std::sync::atomic::Ordering;

use super::candidate::{Candidate, NewCandidate};
use super::context::Context;
use super::counter_base::CounterBase;
use super::outcomes;
use super::state::{Connection, Restart, Stage, TurnResult};
use super::transport::Transport;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::key::Key;
use crate::engine::shared::random;
use crate::engine::shared::socket::{Shared, Socket};
use crate::engine::shared::state::State;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{HANDOVER_DELAY, PROBE_TIMEOUT};
use crate::logging::LogLevel;
use crate::net::options;
use crate::session::Outbox;
use crate::session::reconnect::{Retries, Retry};
use crate::sync::lock;

/// What happens to the two connections after [`Connection::replace`].
pub struct Replaced {
    pub old: TurnResult,
    pub new: TurnResult,
}

impl Connection {
    /// Creates a candidate.
    pub fn candidate(key: Key, candidate: NewCandidate, context: &mut Context) -> Self {
        let NewCandidate { socket, plan, probe, start } = candidate;
        // Checks whether it is still needed when the probe of the old connection has ended.
        context.at(context.now + PROBE_TIMEOUT, key);
        let mut connection = Connection::new(key, socket, plan, context.now);
        connection.deadline = Some(start + connection.plan.settings.connect_timeout);
        connection.stage = Stage::Waiting { until: start, restart: Restart::Retry };
        connection.retries = Retries::first();
        connection.candidate = Some(Box::new(Candidate { probe, opened: None, durations: Vec::new() }));
        connection
    }

    /// Requests a candidate, after the connection was probed. Only where reconnecting is enabled, and not
    /// while this side has stopped reading, as the connection is not suspected then.
    pub(super) fn prepare_handover(&mut self, context: &mut Context) {
        let (Some(Socket(socket)), Stage::Live { session, stream }) = (&self.socket, &self.stage) else {
            return;
        };
        let Some(probe) = session.unanswered_probe() else { return };
        if self.plan.settings.reconnect.is_none()
            || self.candidate.is_some()
            || self.unprocessed
            || self.delayed_end.is_some()
            || context.stopping
            || socket.state() != State::Open
            || socket.candidate.load(Ordering::Relaxed) != 0
        {
            return;
        }
        let addresses = match stream {
            Transport::Own(stream) => stream.addresses(),
            Transport::Shared(_) => context.pool.addresses(self.key),
        };
        let has_moved = addresses.is_some_and(|(local, peer)| {
            options::source_address(peer).map_or(true, |source| source != local.ip())
        });
        let start = if has_moved { context.now } else { context.now + HANDOVER_DELAY };
        let socket = socket.clone();
        context.new_candidates.push(NewCandidate { socket, plan: self.plan.clone(), probe, start });
    }

    /// Continues as the connection of the socket if the old one was lost. Returns the result of the turn if
    /// a candidate is not needed any more, or waits for the handover.
    pub(super) fn check_candidate(&mut self, context: &mut Context) -> Option<TurnResult> {
        let candidate = self.candidate.as_ref()?;
        let Socket(socket) = self.socket.clone()?;
        let key = self.key.to_bits();
        if socket.connection.load(Ordering::Relaxed) == key {
            let candidate = self.candidate.take();
            if let Some(candidate) = &candidate {
                candidate.store_durations(&socket.counters);
            }
            self.base = CounterBase::of(&socket);
            if let Stage::Waiting { until, restart: Restart::Retry } = &mut self.stage {
                *until = context.now;
            }
            if let Some((accepted, head)) = candidate.and_then(|candidate| candidate.opened) {
                self.publish_opened(&socket, accepted, head, false, context);
            }
            return None;
        }
        let is_needed = socket.candidate.load(Ordering::Relaxed) == key
            && candidate.probe.strong_count() > 0
            && socket.state() == State::Open;
        if !is_needed {
            self.log(LogLevel::Debug, format_args!("the new attempt is not needed any more and is dropped"));
            return Some(TurnResult::Finished);
        }
        if candidate.opened.is_some() {
            return Some(TurnResult::Continue);
        }
        // What this connection writes and receives changes no counter of the socket.
        self.base = CounterBase::of(&socket);
        None
    }

    /// The connection that this candidate may replace.
    pub fn replaced_key(&self) -> Option<Key> {
        self.candidate.as_ref()?;
        let Socket(socket) = self.socket.as_ref()?;
        Key::from_bits(socket.connection.load(Ordering::Relaxed)).filter(|key| *key != self.key)
    }

    /// Makes the candidate the connection of the socket, as the old one is lost. Returns whether there is one.
    pub(super) fn promote_candidate(&mut self, socket: &Shared, context: &mut Context) -> bool {
        let Some(key) = Key::from_bits(socket.candidate.swap(0, Ordering::Relaxed)) else { return false };
        socket.connection.store(key.to_bits(), Ordering::Relaxed);
        context.at(context.now, key);
        true
    }

    /// Drops the candidate at the end of the socket's connection.
    pub(super) fn drop_candidate(socket: &Shared, context: &mut Context) {
        if let Some(key) = Key::from_bits(socket.candidate.swap(0, Ordering::Relaxed)) {
            context.at(context.now, key);
        }
    }

    /// Replaces the connection of the socket by its candidate, whose upgrade is complete, unless the old one
    /// has responded or the caller is closing it.
    pub fn replace(&mut self, new: &mut Connection, context: &mut Context) -> Replaced {
        // Delivers what has arrived meanwhile.
        let old = self.turn(context);
        let finished = |old| Replaced { old, new: TurnResult::Finished };
        if let TurnResult::Finished = old {
            return Replaced { old, new: new.turn(context) };
        }
        let Some(Socket(socket)) = self.socket.clone() else {
            return Replaced { old, new: new.turn(context) };
        };
        let Some((accepted, head)) = new.candidate.as_mut().and_then(|candidate| candidate.opened.take())
        else {
            return finished(old);
        };
        if !self.is_unanswered() {
            return finished(old);
        }
        let message = "the network has changed, and the connection did not respond before a new one was open";
        let error = Error::new(ErrorKind::PingTimeout, Phase::Open, message);
        let settings = self.plan.settings.reconnect.as_ref();
        let retry =
            settings.and_then(|settings| self.retries.after(&error, settings, None, random::number()));
        let Some(Retry { attempt, .. }) = retry else { return finished(old) };
        self.count(&socket);
        if !self.move_messages_to(new, &socket, context) {
            return finished(old);
        }
        outcomes::deliver(&socket, context);
        if let Some(candidate) = new.candidate.take() {
            candidate.store_durations(&socket.counters);
        }
        if new.plan.settings.pings != self.plan.settings.pings {
            new.set_pings(self.plan.settings.pings, context);
        }
        socket.log(LogLevel::Info, format_args!("{error}; continuing on the new one"));
        self.deliver(EventKind::Reconnecting { error: Box::new(error), attempt, delay_ms: 0 }, context);
        self.leave_socket();
        new.publish_opened(&socket, accepted, head, true, context);
        // The server may still be reachable over it.
        if let Stage::Live { session, .. } = &mut self.stage {
            session.discard_and_close(&mut Outbox::default());
        }
        self.linger(context);
        Replaced { old: self.turn(context), new: new.turn(context) }
    }

    fn is_unanswered(&self) -> bool {
        let Stage::Live { session, .. } = &self.stage else { return false };
        session.unanswered_probe().is_some() && !self.unprocessed && self.delayed_end.is_none()
    }

    /// Moves unsent messages and the send queue to the new connection. The socket stays open meanwhile. False
    /// if the caller has closed or destroyed it.
    fn move_messages_to(&mut self, new: &mut Connection, socket: &Shared, context: &mut Context) -> bool {
        let (Stage::Live { session, .. }, Stage::Live { session: successor, .. }) =
            (&mut self.stage, &mut new.stage)
        else {
            return false;
        };
        let mut to_worker = lock(&socket.to_worker);
        let is_ending = to_worker
            .commands
            .as_ref()
            .is_some_and(|commands| commands.cancel.is_some() || commands.fault.is_some());
        if is_ending || socket.is_destroyed() || socket.state() != State::Open {
            return false;
        }
        let expired = session.take_from(&mut to_worker.outbox, context.now);
        socket.buffered.take_back(expired);
        self.base.count_sent(socket, &to_worker.outbox, session);
        socket.buffered.remove(session.move_unsent_to(successor));
        to_worker.outbox.release(successor.message_encoding());
        self.lose_messages(&mut to_worker.outbox, context);
        if let Some(commands) = &mut to_worker.commands {
            commands.user_pings.clear();
        }
        new.base = CounterBase::after(socket, &to_worker.outbox);
        socket.paused.store(false, Ordering::Relaxed);
        socket.latency_us.store(-1, Ordering::Relaxed);
        socket.candidate.store(0, Ordering::Relaxed);
        socket.connection.store(new.key.to_bits(), Ordering::Relaxed);
        true
    }
}
