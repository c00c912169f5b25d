//! How a connection ends: for its session, for its socket, and on the wire.
//!
//! ```text
//!   violation ──poll mode: a marker in the event queue──> delayed end ──marker taken, or timeout──┐
//!       └──worker mode────────────────────────────────────────────────────────────────────────────┤
//!   any other end ────────────────────────────────────> terminal event <──────────────────────────┘
//! ```
//!
//! A protocol violation may follow messages directly, which in poll mode the game processes later. Until it
//! has, the socket stays open: nothing more is read, but replies are sent, and after them the close frame with
//! the violation.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::context::Context;
use super::counter_base::CounterBase;
use super::outcomes;
use super::state::{Connection, ResolveTarget, Stage};
use super::terminal::{DelayedEnd, Terminal, failed, log_lost_in_shutdown};
use super::transport::Transport;
use crate::engine::shared::dispatch;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::event_queue::QueuedEvent;
use crate::engine::shared::socket::Socket;
use crate::error::{Error, ErrorKind};
use crate::fault;
use crate::limits::SHUTDOWN_SILENCE;
use crate::logging::LogLevel;
use crate::net::link_model;
use crate::sync::lock;

/// How long the server may take to end a connection after the closing handshake.
const LINGER: Duration = Duration::from_millis(1000);

impl Connection {
    /// Ends the connection as the session says. After a protocol violation in poll mode the end is delayed.
    pub(super) fn session_ended(&mut self, terminal: Option<Terminal>, context: &mut Context) {
        let Some(terminal) = terminal else { return };
        if let (Stage::Live { session, .. }, Some(Socket(socket))) = (&mut self.stage, &self.socket)
            && socket.polls()
            && session.hold_close()
        {
            context.collect(QueuedEvent::Marker { connection: self.key.to_bits() });
            let until = context.now + self.plan.settings.close_timeout;
            self.delayed_end = Some(Box::new(DelayedEnd { terminal, until }));
            return;
        }
        self.finish_session(Some(terminal), context);
    }

    /// The game has taken the marker, and so all events before it.
    pub fn marker_reached(&mut self, context: &Context) {
        if let Some(delayed_end) = &mut self.delayed_end {
            delayed_end.until = context.now;
        }
    }

    /// Delivers a delayed end, when the marker was reached or the time is over.
    pub(super) fn end_if_due(&mut self, context: &mut Context) {
        if let Some(delayed_end) =
            self.delayed_end.take_if(|delayed_end| context.stopping || context.now >= delayed_end.until)
        {
            self.finish_session(Some(delayed_end.terminal), context);
        }
    }

    /// Delivers a terminal event of the session; what the session still has to send is sent.
    pub(super) fn finish_session(&mut self, terminal: Option<Terminal>, context: &mut Context) {
        let Some(terminal) = terminal else { return };
        self.end_for_socket(terminal, context);
        if let Stage::Live { session, .. } = &self.stage
            && (session.has_to_write() || session.close_sent())
        {
            self.linger(context);
        } else {
            self.stop_lingering();
        }
    }

    /// The transport failed.
    pub(super) fn transport_failed(&mut self, error: Error, context: &mut Context) {
        self.stop_draining();
        self.capture_failure(&error);
        let Stage::Live { session, .. } = &mut self.stage else { return };
        let lost = Terminal::of(session.ended(Some(error)));
        let terminal = self.delayed_end.take().map(|delayed_end| delayed_end.terminal).or(lost);
        self.finish_session(terminal, context);
        self.stop_lingering();
    }

    /// Ends immediately and sends nothing more.
    pub(super) fn end(&mut self, terminal: Terminal, context: &mut Context) {
        self.end_for_socket(terminal, context);
        self.stop_lingering();
    }

    /// Ends the connection for its socket, unless it is restarted: its state, then its terminal event.
    fn end_for_socket(&mut self, terminal: Terminal, context: &mut Context) {
        fault::point("engine.end");
        let Some(Socket(socket)) = self.socket.clone() else { return };
        if self.candidate.is_some() && socket.connection.load(Ordering::Relaxed) == self.key.to_bits() {
            // The connection that it was to replace is lost.
            self.candidate = None;
            self.base = CounterBase::of(&socket);
        }
        self.count(&socket);
        self.capture_end(&terminal);
        if let (Terminal::Failed(error), Stage::Live { stream: Transport::Shared(_), .. }) =
            (&terminal, &self.stage)
            && matches!(error.kind, ErrorKind::TimedOut | ErrorKind::PingTimeout)
        {
            context.pool.retire(&self.origin());
        }
        if terminal.error().is_some() {
            context.pool.disband(self.key);
            // The server may have moved.
            context.resolver.forget(Some(&self.name_of(ResolveTarget::NextHop).0));
        }
        let Some(terminal) = self.restart(terminal, &socket, context) else { return };
        self.leave_socket();
        if self.candidate.is_some() {
            if let Some(error) = terminal.error() {
                socket.log(LogLevel::Debug, format_args!("the new attempt is dropped: {error}"));
            }
            socket.candidate.store(0, Ordering::Relaxed);
            return;
        }
        Self::drop_candidate(&socket, context);
        {
            let mut to_worker = lock(&socket.to_worker);
            if let Stage::Live { session, .. } = &mut self.stage {
                session.release_close(&mut to_worker.outbox, context.now);
                self.base.count_sent(&socket, &to_worker.outbox, session);
            }
            self.lose_messages(&mut to_worker.outbox, context);
            socket.connection_ended(&mut to_worker);
            outcomes::take(&mut to_worker.outbox, context);
        }
        outcomes::deliver(&socket, context);
        let event = match terminal {
            Terminal::Closed { code, reason } => {
                socket.log(LogLevel::Debug, format_args!("closed: {code} {reason}"));
                EventKind::Closed { code, reason: reason.into() }
            }
            Terminal::Failed(error) => failed(&socket, error),
            Terminal::Refused { error, head, body } => {
                lock(&socket.info).refused(head, body, self.http_version());
                failed(&socket, error)
            }
        };
        let handle = Socket(socket);
        if handle.0.polls() {
            context.collect(event.into());
            context.publish(&handle.0);
        } else if !handle.0.is_destroyed() {
            dispatch::call(&handle, handle.0.handler().as_deref(), event);
        }
    }

    /// Sets the deadline of a draining connection: its whole time for sending, then as long as the server is
    /// not silent.
    pub(super) fn update_drain_deadline(&mut self, context: &Context) {
        let (Stage::Live { session, stream }, Some(draining)) = (&self.stage, &mut self.draining) else {
            return;
        };
        if std::mem::take(&mut draining.moved) {
            let sends = session.has_to_write() || stream.wants_write();
            let silence = if sends { draining.until } else { context.now + SHUTDOWN_SILENCE };
            self.deadline = Some(silence.min(draining.until));
        }
    }

    /// Stops draining: what is not sent yet is dropped.
    pub(super) fn stop_draining(&mut self) {
        if let (Stage::Live { session, .. }, Some(_)) = (&self.stage, self.draining.take()) {
            log_lost_in_shutdown(&self.request.url, session.queued_payload());
        }
    }

    /// Gives the server time to end the connection first (RFC 6455 section 7.1.1).
    pub(super) fn linger(&mut self, context: &Context) {
        let link = self.plan.settings.link.as_ref();
        let round_trip = link.and_then(|link| link_model::round_trip(link, context.now)).unwrap_or_default();
        self.deadline = Some(context.now + LINGER + round_trip);
    }

    /// Ends the transport, if the socket has had its terminal event.
    pub(super) fn stop_lingering(&mut self) {
        if self.socket.is_some() {
            return;
        }
        if let Stage::Live { stream, session } = &mut self.stage
            && session.close_sent()
            && !session.has_to_write()
        {
            stream.end();
        }
        self.capture = None;
        self.stage = Stage::Idle;
    }
}
