//! Restarts instead of an end: fallback to HTTP/1.1, redirects, reconnects.
//!
//! ```text
//!   HTTP/2 failed ──────────────────────────> Waiting, no delay ──> HTTP/1.1 (`fallback`)
//!   redirect, and the limit is not reached ──> Waiting, no delay ──> the server that it names
//!   loss, and retries are left ──────────────> Waiting, backoff ───> the server of the socket
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::context::Context;
use super::counter_base::CounterBase;
use super::outcomes;
use super::state::{Connection, Restart, Stage, TurnResult};
use super::terminal::Terminal;
use crate::clock::Instant;
use crate::engine::shared::event::EventKind;
use crate::engine::shared::random;
use crate::engine::shared::socket::{Shared, Socket};
use crate::engine::shared::state::State;
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::session::reconnect::Retry;
use crate::sync::lock;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::UpgradeRequest;

impl Connection {
    /// Restarts the connection instead of ending it. Returns the terminal event if it does not.
    pub(super) fn restart(
        &mut self,
        terminal: Terminal,
        socket: &Arc<Shared>,
        context: &mut Context,
    ) -> Option<Terminal> {
        if let Terminal::Refused { head: Some(head), .. } = &terminal {
            self.take_cookies(socket, head);
        }
        let terminal = self.explain_refusal(terminal);
        if context.stopping {
            return Some(terminal);
        }
        match self.fall_back(terminal, socket, context)? {
            Terminal::Refused { error, head: Some(head), body }
                if self.plan.settings.max_redirects > 0 && head.redirect().is_some() =>
            {
                match self.redirect_request(&head) {
                    Ok((request, secrets_dropped)) if self.detach(socket, context) => {
                        self.log(LogLevel::Debug, format_args!("redirected to {}", request.url));
                        self.redirects += 1;
                        if secrets_dropped {
                            self.secrets_dropped_for = Some(self.request.url.authority().into());
                        }
                        self.wait(context.now, Restart::Redirect(Arc::new(request)), context);
                        None
                    }
                    Ok(_) => Some(Terminal::Refused { error, head: Some(head), body }),
                    Err(error) => Some(Terminal::Refused { error, head: Some(head), body }),
                }
            }
            terminal => self.reconnect(terminal, socket, context),
        }
    }

    /// Schedules a reconnect and reports it, if the settings allow one.
    fn reconnect(
        &mut self,
        terminal: Terminal,
        socket: &Arc<Shared>,
        context: &mut Context,
    ) -> Option<Terminal> {
        let (error, head) = match &terminal {
            Terminal::Failed(error) => (error, None),
            Terminal::Refused { error, head, .. } => (error, head.as_ref()),
            Terminal::Closed { .. } => return Some(terminal),
        };
        let Some(settings) = &self.plan.settings.reconnect else { return Some(terminal) };
        let retry_after = head.and_then(|head| head.retry_after(SystemTime::now()));
        let retry = self.retries.after(error, settings, retry_after, random::number());
        let Some(Retry { attempt, delay }) = retry else { return Some(terminal) };
        if self.candidate.is_some() {
            let connect_timeout = self.plan.settings.connect_timeout;
            self.wait(context.now + delay, Restart::Retry, context);
            self.deadline = Some(context.now + delay + connect_timeout);
            return None;
        }
        if !self.detach(socket, context) {
            return Some(terminal);
        }
        let error = match terminal {
            Terminal::Failed(error) => error,
            Terminal::Refused { error, head, body } => {
                lock(&socket.info).refused(head, body, self.http_version());
                error
            }
            closed => return Some(closed),
        };
        let replacing = self.promote_candidate(socket, context);
        let delay = if replacing { Duration::ZERO } else { delay };
        let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        socket.log(LogLevel::Info, format_args!("{error}; reconnect attempt {attempt} in {delay_ms} ms"));
        self.deadline = None;
        self.wait(context.now + delay, Restart::Retry, context);
        self.deliver(EventKind::Reconnecting { error: Box::new(error), attempt, delay_ms }, context);
        if replacing {
            self.leave_socket();
        }
        None
    }

    /// Restarts when the wait is over.
    pub(super) fn restart_if_due(&mut self, context: &mut Context) -> TurnResult {
        let Stage::Waiting { until, .. } = &self.stage else { return TurnResult::Continue };
        if !self.is_awake() || context.now < *until {
            return TurnResult::Continue;
        }
        let Some(Socket(socket)) = &self.socket else { return TurnResult::Finished };
        let Stage::Waiting { restart, .. } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return TurnResult::Continue;
        };
        match restart {
            Restart::Http1 => {}
            Restart::Redirect(request) => self.request = request,
            Restart::Retry => {
                self.request = self.plan.settings.request.clone();
                (self.redirects, self.secrets_dropped_for) = (0, None);
                self.deadline = Some(context.now + self.plan.settings.connect_timeout);
                if self.candidate.is_none() {
                    socket.latency_us.store(-1, Ordering::Relaxed);
                }
            }
        }
        if self.candidate.is_none() {
            self.base = CounterBase::of(socket);
            lock(&socket.info).reset(&self.request);
        }
        self.start(context)
    }

    /// Adds to a 401 or 403 after a redirect that the credentials were not sent to the new server.
    fn explain_refusal(&self, mut terminal: Terminal) -> Terminal {
        if let Terminal::Refused { error, head: Some(head), .. } = &mut terminal
            && let (401 | 403, Some(server)) = (head.status, &self.secrets_dropped_for)
        {
            error.message.push_str(&format!(
                "; the credentials and cookies that were set for {server} were not sent after its redirect to \
                 {}, another server",
                self.request.url.authority()
            ));
        }
        terminal
    }

    /// The request that follows a redirect, and whether credentials or cookies were removed from it; or why
    /// there is none.
    fn redirect_request(&self, head: &ResponseHead) -> Result<(UpgradeRequest, bool), Error> {
        let (limit, location) = (self.plan.settings.max_redirects, head.redirect().unwrap_or_default());
        let refused = |why: &str| {
            // Without the query, in which a token may be.
            let (path, query) = location.split_once('?').map_or((location, ""), |(path, _)| (path, "?…"));
            let shown: String = path.chars().take(200).filter(|c| !c.is_control()).collect();
            let message = format!(
                "{} answered {}, a redirect to \"{shown}{query}\", which was not followed: {why}",
                self.request.url, head.status
            );
            Error::new(ErrorKind::Http, Phase::Upgrade, message).with_http_status(head.status)
        };
        if self.redirects >= limit {
            return Err(refused(&format!("{limit} were, which is the limit; is it a circle?")));
        }
        let url = self.request.url.resolve_redirect(location).map_err(|error| refused(&error.to_string()))?;
        if url.secure && !cfg!(feature = "tls") {
            return Err(refused("this build of the library has no TLS"));
        }
        let mut secrets_dropped = false;
        let mut request = UpgradeRequest { url, ..UpgradeRequest::clone(&self.request) };
        if !self.request.url.may_pass_secrets_to(&request.url) {
            // Credentials are meant for the server that they were set for.
            secrets_dropped = self.request.url.credentials.is_some();
            for name in ["Authorization", "Cookie", "Proxy-Authorization"] {
                secrets_dropped |= request.headers.remove(name);
            }
        }
        Ok((request, secrets_dropped))
    }

    /// Detaches the transport without a terminal event. False if the caller has closed or destroyed the
    /// socket. Messages that were queued while connecting remain queued; those of a lost connection are
    /// dropped.
    fn detach(&mut self, socket: &Arc<Shared>, context: &mut Context) -> bool {
        if self.candidate.is_some() {
            return true;
        }
        let mut to_worker = lock(&socket.to_worker);
        if socket.is_destroyed() || socket.state() == State::Closing {
            return false;
        }
        if let Stage::Live { session, .. } = &self.stage {
            self.base.count_sent(socket, &to_worker.outbox, session);
        }
        if let Some(commands) = &mut to_worker.commands {
            commands.user_pings.clear();
            // A candidate may be waiting for its own.
            commands.resolved.take_if(|resolved| resolved.connection == self.key.to_bits());
        }
        if socket.state() != State::Connecting {
            self.lose_messages(&mut to_worker.outbox, context);
            to_worker.outbox.close();
            outcomes::take(&mut to_worker.outbox, context);
            socket.buffered.clear();
            to_worker.queue_while_connecting(&self.plan.settings);
        }
        socket.paused.store(false, Ordering::Relaxed);
        socket.set_state(State::Connecting);
        drop(to_worker);
        outcomes::deliver(socket, context);
        true
    }

    /// Releases the transport and restarts at `until`.
    pub(super) fn wait(&mut self, until: Instant, restart: Restart, context: &mut Context) {
        self.capture = None;
        self.stage = Stage::Waiting { until, restart };
        self.delayed_end = None;
        (self.readable, self.writable, self.unprocessed) = (false, false, false);
        self.release(context);
    }

    /// Stores the cookies of a response, if cookies are enabled.
    pub(super) fn take_cookies(&self, socket: &Shared, head: &ResponseHead) {
        if self.plan.settings.cookies {
            let lines = head.headers.get_all("Set-Cookie");
            lock(&socket.cookies).get_or_insert_default().take(&self.request.url, lines, SystemTime::now());
        }
    }

    /// Adds the stored cookies to a request, unless the caller has set a `Cookie` field.
    pub(super) fn add_cookies(&self, socket: &Shared, request: &mut UpgradeRequest) {
        if !self.plan.settings.cookies || request.headers.contains("Cookie") {
            return;
        }
        let cookies =
            lock(&socket.cookies).as_mut().and_then(|jar| jar.header(&request.url, SystemTime::now()));
        if let Some(cookies) = cookies {
            request.headers.add_default("Cookie", &cookies);
        }
    }
}
