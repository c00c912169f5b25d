//! Changes of the network, and suspend and resume of the process.
//!
//! ```text
//!   running ──suspend──> deadlines paused       ──resume──> running, probed immediately
//! ```

use super::context::Context;
use super::state::{Connection, Restart, Stage, TurnResult};
use crate::engine::shared::inbox::NetworkChange;
use crate::logging::LogLevel;

impl Connection {
    /// Handles a report of the host.
    pub fn network_changed(&mut self, change: NetworkChange, context: &mut Context) -> TurnResult {
        // After its terminal event a connection keeps its deadline.
        if self.socket.is_none() {
            return TurnResult::Continue;
        }
        match change.suspended {
            Some(true) => _ = self.suspended_since.get_or_insert(context.now),
            Some(false) => self.resume(context),
            None => {}
        }
        if change.probe && self.suspended_since.is_none() {
            return self.probe(context);
        }
        self.turn(context)
    }

    /// Moves the deadlines by the time of the suspension.
    fn resume(&mut self, context: &Context) {
        let Some(since) = self.suspended_since.take() else { return };
        let suspended = context.now.saturating_duration_since(since);
        if let Some(deadline) = &mut self.deadline {
            *deadline += suspended;
        }
        if let Stage::Live { session, .. } = &mut self.stage {
            session.extend_timeouts(suspended, context.now);
        }
    }

    /// Checks whether the connection still works.
    fn probe(&mut self, context: &mut Context) -> TurnResult {
        match &mut self.stage {
            // Bytes that arrived before say nothing about the connection now.
            Stage::Live { .. } if self.candidate.is_none() => {
                if let TurnResult::Finished = self.turn(context) {
                    return TurnResult::Finished;
                }
                if let Stage::Live { session, .. } = &mut self.stage {
                    session.probe(context.now);
                }
                self.prepare_handover(context);
                self.turn(context)
            }
            // It is handed over in this turn.
            Stage::Live { .. }
                if self.candidate.as_ref().is_some_and(|candidate| candidate.opened.is_some()) =>
            {
                self.turn(context)
            }
            Stage::Waiting { until, restart: Restart::Retry } => {
                *until = context.now;
                self.turn(context)
            }
            Stage::Resolving { .. }
            | Stage::FindingNat64(_)
            | Stage::Connecting(_)
            | Stage::ProxyHandshake(_)
            | Stage::TlsHandshake(_)
            | Stage::Live { .. } => {
                self.log(LogLevel::Debug, format_args!("connecting again, as the network has changed"));
                self.stage = Stage::Idle;
                self.release(context);
                self.start(context)
            }
            // Waits for the game, or for the connection to share.
            Stage::Idle | Stage::Waiting { .. } | Stage::AwaitingStream | Stage::RequestEvent { .. } => {
                self.turn(context)
            }
        }
    }
}
