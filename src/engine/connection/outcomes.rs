//! What became of the messages of lanes: collected with the lock of the outbox, delivered without it.

use std::sync::Arc;

use super::context::Context;
use crate::engine::shared::dispatch;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::socket::{Shared, Socket};
use crate::session::Outbox;

/// Counts the messages that the session has written or dropped. To be called with the lock of the outbox.
pub fn count_ended(outbox: &mut Outbox, context: &mut Context) {
    let Some(lanes) = &mut outbox.lanes else { return context.ended.clear() };
    for (begun, is_written) in context.ended.drain(..) {
        if is_written {
            lanes.sent(begun);
        } else {
            lanes.lost(begun);
        }
    }
    lanes.take_outcomes(&mut context.outcomes);
}

/// Takes the outcomes of messages that the end of the connection has dropped. To be called with the lock of the outbox,
/// after it was closed.
pub fn take(outbox: &mut Outbox, context: &mut Context) {
    if let Some(lanes) = &mut outbox.lanes {
        lanes.take_outcomes(&mut context.outcomes);
    }
}

/// Delivers the outcomes, without a lock.
pub fn deliver(socket: &Arc<Shared>, context: &mut Context) {
    if context.outcomes.is_empty() {
        return;
    }
    let outcomes = std::mem::take(&mut context.outcomes);
    if socket.is_destroyed() {
        return;
    }
    let handle = Socket(socket.clone());
    let polls = socket.polls();
    let handler = if polls { None } else { socket.handler() };
    for (tag, outcome) in outcomes {
        // A callback may destroy it.
        if socket.is_destroyed() {
            return;
        }
        let event = EventKind::Sent { tag, outcome };
        if polls {
            context.collect_reserved(event.into());
        } else {
            dispatch::call(&handle, handler.as_deref(), event);
        }
    }
}
