//! The terminal event of a connection.

use std::sync::Arc;

use super::context::Context;
use super::outcomes;
use crate::clock::Instant;
use crate::engine::shared::dispatch;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::socket::{Shared, Socket};
use crate::error::Error;
use crate::logging::{self, LogLevel};
use crate::session::SessionEvent;
use crate::sync::lock;
use crate::wire::response::ResponseHead;
use crate::wire::url::Url;

/// How a connection ended: the data of the terminal event.
pub enum Terminal {
    Closed {
        code: u16,
        reason: String,
    },
    Failed(Error),
    /// The server refused the upgrade, with this response.
    Refused {
        error: Error,
        head: Option<ResponseHead>,
        body: Vec<u8>,
    },
}

impl Terminal {
    pub fn of(event: SessionEvent<'_>) -> Option<Self> {
        match event {
            SessionEvent::Closed { code, reason } => Some(Terminal::Closed { code, reason }),
            SessionEvent::Failed(error) => Some(Terminal::Failed(error)),
            SessionEvent::Refused { error, head, body } => Some(Terminal::Refused { error, head, body }),
            _ => None,
        }
    }

    pub fn error(&self) -> Option<&Error> {
        match self {
            Terminal::Failed(error) | Terminal::Refused { error, .. } => Some(error),
            Terminal::Closed { .. } => None,
        }
    }

    pub fn error_mut(&mut self) -> Option<&mut Error> {
        match self {
            Terminal::Failed(error) | Terminal::Refused { error, .. } => Some(error),
            Terminal::Closed { .. } => None,
        }
    }
}

/// A terminal event that waits until the game has taken the events before it.
pub struct DelayedEnd {
    pub terminal: Terminal,
    /// Delivered at the latest then.
    pub until: Instant,
}

/// The connection of a destroyed socket that still sends what was queued.
pub struct Draining {
    /// Messages that are not sent by then are dropped.
    pub until: Instant,
    /// Bytes were sent or received in this turn.
    pub moved: bool,
}

/// Delivers the terminal event of a socket whose connection has panicked.
pub fn end_without_connection(socket: &Arc<Shared>, error: Error, context: &mut Context) {
    {
        let mut to_worker = lock(&socket.to_worker);
        socket.connection_ended(&mut to_worker);
        outcomes::take(&mut to_worker.outbox, context);
    }
    outcomes::deliver(socket, context);
    let event = failed(socket, error);
    if socket.polls() {
        context.collect(event.into());
        context.publish(socket);
    } else if !socket.is_destroyed() {
        dispatch::call(&Socket(socket.clone()), socket.handler().as_deref(), event);
    }
}

/// Logs accepted messages that were dropped, as the destroyed socket has no events.
pub fn log_lost_in_shutdown(url: &Url, bytes: usize) {
    if bytes > 0 {
        let message =
            format_args!("{url}: shutdown dropped {bytes} bytes of queued messages that were not sent");
        logging::write(LogLevel::Warn, 0, "", message);
    }
}

/// Logs an error and creates its event.
pub fn failed(socket: &Arc<Shared>, error: Error) -> EventKind {
    socket.log(LogLevel::Info, format_args!("{error}"));
    EventKind::Error(Box::new(error))
}
