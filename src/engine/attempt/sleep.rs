//! The machine changes its network, or the process sleeps.
//!
//! ```text
//!   awake ──suspend──> deadlines stand still ──resume──> awake, and looked at at once
//! ```

use super::super::worker::{Context, News};
use super::again::Next;
use super::{Attempt, Fate, Stage};
use crate::logging::LogLevel;

impl Attempt {
    pub fn hear(&mut self, news: News, context: &mut Context) -> Fate {
        // One that just says its last bytes is left to its own deadline.
        if self.socket.is_none() {
            return Fate::GoesOn;
        }
        match news.suspended {
            Some(true) => _ = self.suspended_since.get_or_insert(context.now),
            Some(false) => self.wake_up(context),
            None => {}
        }
        if news.look_alive && self.suspended_since.is_none() {
            return self.look_alive(context);
        }
        self.turn(context)
    }

    /// What was waited for during the sleep does not count.
    fn wake_up(&mut self, context: &Context) {
        let Some(since) = self.suspended_since.take() else { return };
        let away = context.now.saturating_duration_since(since);
        if let Some(deadline) = &mut self.deadline {
            *deadline += away;
        }
        if let Stage::Live { session, .. } = &mut self.stage {
            session.forgive(away, context.now);
        }
    }

    /// Nothing that was is taken for granted.
    fn look_alive(&mut self, context: &mut Context) -> Fate {
        match &mut self.stage {
            // What has arrived already says nothing about now.
            Stage::Live { .. } => {
                if let Fate::Over = self.turn(context) {
                    return Fate::Over;
                }
                if let Stage::Live { session, .. } = &mut self.stage {
                    session.probe(context.now);
                }
                self.turn(context)
            }
            Stage::Waiting { until, next: Next::Retry } => {
                *until = context.now;
                self.turn(context)
            }
            Stage::Resolving { .. } | Stage::Dialling(_) | Stage::Tunnelling(_) | Stage::Securing(_) => {
                self.log(LogLevel::Debug, format_args!("connecting anew, as the network has changed"));
                self.stage = Stage::Idle;
                self.let_go(context);
                self.start(context)
            }
            // The game, or the server, has the word, or whoever makes the connection to share.
            Stage::Idle | Stage::Waiting { .. } | Stage::Sharing | Stage::Asking { .. } => self.turn(context),
        }
    }
}
