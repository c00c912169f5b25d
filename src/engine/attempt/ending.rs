//! How a connection ends: for its session, for its socket, and on the wire.
//!
//! ```text
//!   violation ──poll mode: a mark in the mailbox──> held ──the game has come to it, or time──┐
//!       └──worker mode──────────────────────────────────────────────────────────────────────┤
//!   any other end ──────────────────────────────> terminal event <──────────────────────────┘
//! ```
//!
//! What breaks the rules may come right behind messages that the game has yet to see, and in poll
//! mode it sees them later. Until it has, the connection counts as open: nothing is read any more,
//! but the answers go out, and the close frame that names the breach follows them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::delivery;
use super::super::event::{EventKind, Letter};
use super::super::lock;
use super::super::socket::{Shared, Socket, State};
use super::super::transport::Transport;
use super::super::worker::Context;
use super::{Attempt, Stage};
use crate::error::{Error, ErrorKind};
use crate::fault;
use crate::limits::SHUTDOWN_SILENCE;
use crate::logging::{self, LogLevel};
use crate::session::SessionEvent;
use crate::wire::response::ResponseHead;
use crate::wire::url::Url;

/// How long the server may take to end a connection after the closing handshake.
const LINGER: Duration = Duration::from_millis(1000);

/// How a connection ended, for its socket.
pub(super) enum Terminal {
    Closed {
        code: u16,
        reason: String,
    },
    Failed(Error),
    /// The upgrade was refused, with this answer.
    Refused {
        error: Error,
        head: Option<ResponseHead>,
        body: Vec<u8>,
    },
}

impl Terminal {
    pub(super) fn of(event: SessionEvent<'_>) -> Option<Self> {
        match event {
            SessionEvent::Closed { code, reason } => Some(Terminal::Closed { code, reason }),
            SessionEvent::Failed(error) => Some(Terminal::Failed(error)),
            SessionEvent::Refused { error, head, body } => Some(Terminal::Refused { error, head, body }),
            _ => None,
        }
    }

    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Terminal::Failed(error) | Terminal::Refused { error, .. } => Some(error),
            Terminal::Closed { .. } => None,
        }
    }

    pub(super) fn error_mut(&mut self) -> Option<&mut Error> {
        match self {
            Terminal::Failed(error) | Terminal::Refused { error, .. } => Some(error),
            Terminal::Closed { .. } => None,
        }
    }
}

/// An end that waits for the game to come to it.
pub(super) struct Held {
    terminal: Terminal,
    /// However late the game is.
    pub(super) until: Instant,
}

/// A destroyed socket's connection on which what was queued is still sent.
pub(super) struct Draining {
    /// What is not sent by then is lost.
    pub(super) until: Instant,
    /// Bytes have moved in this turn, in either direction.
    pub(super) moved: bool,
}

impl Attempt {
    /// What was received led to an end. Where the server broke the rules, and the game fetches its
    /// events, the end is held.
    pub(super) fn came_to(&mut self, terminal: Option<Terminal>, context: &mut Context) {
        let Some(terminal) = terminal else { return };
        if let (Stage::Live { session, .. }, Some(Socket(socket))) = (&mut self.stage, &self.socket)
            && socket.polls()
            && session.hold_close()
        {
            context.collect(Letter::Mark { attempt: self.key.to_bits() });
            let until = context.now + self.plan.settings.close_timeout;
            self.held = Some(Box::new(Held { terminal, until }));
            return;
        }
        self.terminal(Some(terminal), context);
    }

    /// The game has come to the mark.
    pub fn caught_up(&mut self, context: &Context) {
        if let Some(held) = &mut self.held {
            held.until = context.now;
        }
    }

    /// Ends what was held, once the game has caught up or is too late.
    pub(super) fn end_if_due(&mut self, context: &mut Context) {
        if let Some(held) = self.held.take_if(|held| context.stopping || context.now >= held.until) {
            self.terminal(Some(held.terminal), context);
        }
    }

    /// Gives the terminal event that the session came to, if it came to one.
    pub(super) fn terminal(&mut self, terminal: Option<Terminal>, context: &mut Context) {
        let Some(terminal) = terminal else { return };
        self.end_with(terminal, context);
        if let Stage::Live { session, .. } = &self.stage
            && (session.has_to_write() || session.close_is_out())
        {
            self.linger(context);
        } else {
            self.stop_lingering();
        }
    }

    /// The connection is lost.
    pub(super) fn fail_live(&mut self, error: Error, context: &mut Context) {
        self.give_up_draining();
        let Stage::Live { session, .. } = &mut self.stage else { return };
        let lost = Terminal::of(session.ended(Some(error)));
        let terminal = self.held.take().map(|held| held.terminal).or(lost);
        self.terminal(terminal, context);
        self.stop_lingering();
    }

    /// Ends at once, whatever is still to be said.
    pub(super) fn end(&mut self, terminal: Terminal, context: &mut Context) {
        self.end_with(terminal, context);
        self.stop_lingering();
    }

    /// The socket's part of the end, if it is one for the socket: its state, then its last event.
    fn end_with(&mut self, terminal: Terminal, context: &mut Context) {
        fault::point("engine.end");
        let Some(Socket(socket)) = self.socket.clone() else { return };
        self.count(&socket);
        if let (Terminal::Failed(error), Stage::Live { stream: Transport::Shared(_), .. }) =
            (&terminal, &self.stage)
            && matches!(error.kind, ErrorKind::TimedOut | ErrorKind::PingTimeout)
        {
            context.pool.retire(&self.origin());
        }
        if terminal.error().is_some() {
            context.pool.disband(self.key);
        }
        let Some(terminal) = self.go_on(terminal, &socket, context) else { return };
        self.socket = None;
        {
            let mut to_worker = lock(&socket.to_worker);
            if let Stage::Live { session, .. } = &mut self.stage {
                session.last_words(&mut to_worker.outbox, context.now);
                self.base.count_sent(&socket, &to_worker.outbox, session);
            }
            to_worker.outbox.shut();
            to_worker.forget_wishes();
            socket.buffered.store(0, Ordering::Relaxed);
            socket.paused.store(false, Ordering::Relaxed);
            socket.attempt.store(0, Ordering::Relaxed);
            socket.set_state(State::Closed);
        }
        let event = match terminal {
            Terminal::Closed { code, reason } => {
                socket.log(LogLevel::Debug, format_args!("closed: {code} {reason}"));
                EventKind::Closed { code, reason: reason.into() }
            }
            Terminal::Failed(error) => failed(&socket, error),
            Terminal::Refused { error, head, body } => {
                lock(&socket.facts).refused(head, body, self.http_version());
                failed(&socket, error)
            }
        };
        let handle = Socket(socket);
        if handle.0.polls() {
            context.collect(event.into());
            context.publish(&handle.0);
        } else if !handle.0.is_destroyed() {
            let callbacks = handle.0.callbacks();
            delivery::call(&handle, &callbacks, event);
        }
    }

    /// A draining connection has its whole time to send, and then as long as the server goes on sending.
    pub(super) fn wait_while_it_moves(&mut self, context: &Context) {
        let (Stage::Live { session, stream }, Some(draining)) = (&self.stage, &mut self.draining) else {
            return;
        };
        if std::mem::take(&mut draining.moved) {
            let sends = session.has_to_write() || stream.wants_write();
            let silence = if sends { draining.until } else { context.now + SHUTDOWN_SILENCE };
            self.deadline = Some(silence.min(draining.until));
        }
    }

    /// What has not been sent by now is lost.
    pub(super) fn give_up_draining(&mut self) {
        if let (Stage::Live { session, .. }, Some(_)) = (&self.stage, self.draining.take()) {
            log_lost_in_shutdown(&self.request.url, session.queued_payload());
        }
    }

    pub(super) fn linger(&mut self, context: &Context) {
        self.deadline = Some(context.now + LINGER);
    }

    pub(super) fn stop_lingering(&mut self) {
        if self.socket.is_some() {
            return;
        }
        if let Stage::Live { stream, session } = &mut self.stage
            && session.close_is_out()
            && !session.has_to_write()
        {
            stream.end();
        }
        self.stage = Stage::Idle;
    }
}

/// Ends what no attempt is left to end, as it panicked at every try.
pub fn end_without_attempt(socket: &Arc<Shared>, error: Error, context: &mut Context) {
    {
        let mut to_worker = lock(&socket.to_worker);
        to_worker.outbox.shut();
        to_worker.forget_wishes();
        socket.buffered.store(0, Ordering::Relaxed);
        socket.paused.store(false, Ordering::Relaxed);
        socket.attempt.store(0, Ordering::Relaxed);
        socket.set_state(State::Closed);
    }
    let event = failed(socket, error);
    if socket.polls() {
        context.collect(event.into());
        context.publish(socket);
    } else if !socket.is_destroyed() {
        delivery::call(&Socket(socket.clone()), &socket.callbacks(), event);
    }
}

/// Accepted messages that nobody is left to be told of but the log.
pub(super) fn log_lost_in_shutdown(url: &Url, bytes: usize) {
    if bytes > 0 {
        let message =
            format_args!("{url}: shutdown dropped {bytes} bytes of queued messages that were not sent");
        logging::write(LogLevel::Warn, 0, "", message);
    }
}

fn failed(socket: &Arc<Shared>, error: Error) -> EventKind {
    socket.log(LogLevel::Info, format_args!("{error}"));
    EventKind::Error(Box::new(error))
}
