//! The turns of a connection, and the commands of its worker.

use std::sync::atomic::Ordering;

use mio::event::Event;

use super::context::Context;
use super::state::{Connection, Stage, TurnResult};
use super::terminal::{Draining, Terminal, log_lost_in_shutdown};
use super::transport::Carrier;
use crate::clock::Instant;
use crate::clock::earlier;
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::state::State;
use crate::error::Error;
use crate::fault;
use crate::net::options::NEW_DATA_MAKES_EVENT;
use crate::session;
use crate::session::keepalive::PingSettings;
use crate::sync::lock;

impl Connection {
    // ------------------------------------------------------------------ commands of the worker

    pub fn set_pings(&mut self, pings: PingSettings, context: &Context) {
        self.plan.settings.pings = pings;
        if let Stage::Live { session, .. } = &mut self.stage {
            session.set_pings(pings, context.now);
            session.align_pings(context.epoch);
        }
    }

    /// Sends a ping of the caller.
    pub fn ping(&mut self, payload: &[u8]) {
        if let Stage::Live { session, .. } = &mut self.stage {
            session.ping(payload);
        }
    }

    /// Ends immediately, without a closing handshake.
    pub fn cancel(&mut self, reason: &'static str, context: &mut Context) -> TurnResult {
        let code = session::connection::ABNORMAL_CLOSURE;
        self.end(Terminal::Closed { code, reason: reason.to_owned() }, context);
        TurnResult::Finished
    }

    /// Closes the connection of a destroyed socket, which gets no event.
    pub fn destroy(&mut self, mode: DestroyMode, context: &mut Context) -> TurnResult {
        let Some(Socket(socket)) = self.leave_socket() else { return TurnResult::Finished };
        let mut to_worker = lock(&socket.to_worker);
        let was_open = matches!(socket.state(), State::Open | State::Closing);
        socket.set_state(State::Closed);
        socket.connection.store(0, Ordering::Relaxed);
        Self::drop_candidate(&socket, context);
        let session = match &mut self.stage {
            Stage::Live { session, .. } if was_open => session,
            _ => {
                to_worker.outbox.close();
                drop(to_worker);
                log_lost_in_shutdown(&self.request.url, socket.buffered.get());
                return TurnResult::Finished;
            }
        };
        match mode {
            DestroyMode::Discard => {
                session.discard_and_close(&mut to_worker.outbox);
                drop(to_worker);
                self.linger(context);
            }
            DestroyMode::Drain { until } => {
                session.drain_and_close(&mut to_worker.outbox, context.now);
                drop(to_worker);
                self.draining = Some(Box::new(Draining { until, moved: true }));
                self.update_drain_deadline(context);
            }
        }
        self.turn(context)
    }

    /// Ends with an error.
    pub fn fail(&mut self, error: Error, context: &mut Context) -> TurnResult {
        self.end(Terminal::Failed(error), context);
        self.turn_result(context)
    }

    pub fn ready(&mut self, event: &Event, context: &mut Context) -> TurnResult {
        match &mut self.stage {
            Stage::Connecting(_) => {
                // Whether to read at once. The server usually sends nothing before the client, so a read
                // would find nothing. It is needed where an edge is only reported after a read that found
                // nothing.
                self.readable = event.is_readable() || event.is_read_closed() || !NEW_DATA_MAKES_EVENT;
                return self.dial_step(Some(event.token()), context);
            }
            Stage::TlsHandshake(stream) | Stage::RequestEvent { carrier: Carrier::Own(stream), .. } => {
                stream.ready(event);
            }
            Stage::ProxyHandshake(tunnel) => tunnel.ready(event),
            Stage::Live { stream, .. } => stream.ready(event),
            Stage::Idle
            | Stage::Waiting { .. }
            | Stage::Resolving { .. }
            | Stage::FindingNat64(_)
            | Stage::AwaitingStream
            | Stage::RequestEvent { .. } => {}
        }
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.turn(context)
    }

    pub fn timer(&mut self, at: Instant, context: &mut Context) -> TurnResult {
        if self.timer == Some(at) {
            self.timer = None;
            self.timer_was_due = true;
        }
        self.wake_link();
        self.turn(context)
    }

    // ------------------------------------------------------------------ a turn

    /// Does what can be done without blocking.
    pub fn turn(&mut self, context: &mut Context) -> TurnResult {
        fault::point("engine.turn");
        if self.is_over() {
            return TurnResult::Finished;
        }
        if let Some(deadline) = self.deadline {
            if let Some(turn_result) = self.check_candidate(context) {
                return turn_result;
            }
            if self.is_awake() && context.now >= deadline && self.deadline.is_some() {
                return self.deadline_passed(context);
            }
        }
        if !matches!(self.stage, Stage::Live { .. }) {
            self.sweep_lanes(context);
        }
        match &mut self.stage {
            Stage::Idle | Stage::Resolving { .. } | Stage::FindingNat64(_) | Stage::AwaitingStream => {
                TurnResult::Continue
            }
            Stage::Waiting { .. } => self.restart_if_due(context),
            Stage::Connecting(_) => self.dial_step(None, context),
            Stage::ProxyHandshake(_) => self.tunnel_step(context),
            Stage::TlsHandshake(_) => self.tls_step(context),
            Stage::RequestEvent { .. } => self.send_finished_request(context),
            Stage::Live { .. } => self.session_turn(context),
        }
    }

    /// Drops the connection and its entries in the worker's tables.
    pub fn discard(mut self: Box<Self>, context: &mut Context) {
        if let (Some(_), Some(Socket(socket))) = (&self.candidate, &self.socket) {
            let key = self.key.to_bits();
            let _ = socket.candidate.compare_exchange(key, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        context.timers.cancel(&mut self.timer, self.key);
        self.release(context);
    }

    /// Sets a timer for the next deadline.
    pub fn set_timer(&mut self, context: &mut Context) {
        if !self.is_awake() {
            return;
        }
        let next = match &self.stage {
            Stage::Waiting { until, .. } => Some(*until),
            Stage::Connecting(dialler) => dialler.next_deadline(),
            Stage::ProxyHandshake(tunnel) => tunnel.stream.link_deadline(),
            Stage::TlsHandshake(stream) => stream.link_deadline(),
            Stage::Live { session, .. } => session.deadline(),
            _ => None,
        };
        let delayed_end = self.delayed_end.as_ref().map(|delayed_end| delayed_end.until);
        let next = earlier(earlier(next, delayed_end), earlier(self.deadline, self.expiry));
        let Some(next) = next else { return };
        context.timers.set(&mut self.timer, next, self.key);
    }
}
