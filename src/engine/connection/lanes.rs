//! The lanes of a socket, while it has a connection: what begins, what has expired, what became of it.

use super::context::Context;
use super::outcomes;
use super::state::{Connection, Stage};
use crate::engine::shared::socket::Socket;
use crate::session::Outbox;
use crate::sync::lock;

impl Connection {
    /// Drops what has expired while there is no session that takes from the lanes.
    pub(super) fn sweep_lanes(&mut self, context: &mut Context) {
        let Some(Socket(socket)) = self.socket.clone() else { return };
        let mut to_worker = lock(&socket.to_worker);
        let Some(lanes) = &mut to_worker.outbox.lanes else {
            // It was that of a simulated link, which ended with its connection.
            self.expiry = None;
            return;
        };
        let dropped = lanes.sweep(context.now);
        socket.buffered.take_back(dropped);
        lanes.take_outcomes(&mut context.outcomes);
        self.expiry = lanes.expiry();
        drop(to_worker);
        outcomes::deliver(&socket, context);
        context.publish(&socket);
    }

    /// Reports what became of messages: those that the session has written or dropped, and those that had not begun.
    pub(super) fn report_outcomes(&mut self, context: &mut Context) {
        let Stage::Live { session, .. } = &mut self.stage else { return };
        session.take_ended(&mut context.ended);
        let Some(Socket(socket)) = &self.socket else { return context.ended.clear() };
        if !context.ended.is_empty() {
            outcomes::count_ended(&mut lock(&socket.to_worker).outbox, context);
        }
        if !context.outcomes.is_empty() {
            outcomes::deliver(&socket.clone(), context);
        }
    }

    /// Counts the messages that have begun and are not written as lost. To be called with the lock of the outbox,
    /// before it is closed.
    pub(super) fn lose_messages(&mut self, outbox: &mut Outbox, context: &mut Context) {
        if outbox.lanes.is_none() {
            return;
        }
        if let Stage::Live { session, .. } = &mut self.stage {
            session.lose_messages();
            session.take_ended(&mut context.ended);
        }
        outcomes::count_ended(outbox, context);
    }
}
