//! Ends that are none for the socket.
//!
//! ```text
//!   no WebSocket over HTTP/2 ──────────> Waiting for nothing ──> HTTP/1.1 (`fallback`)
//!   a redirect, and more are allowed ──> Waiting for nothing ──> the server that it names
//!   a loss, and tries are left ────────> Waiting for the delay ──> the socket's own server
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use super::super::event::EventKind;
use super::super::lock;
use super::super::masks;
use super::super::socket::{Shared, Socket, State};
use super::super::worker::Context;
use super::counting::Base;
use super::ending::Terminal;
use super::{Attempt, Fate, Stage};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::session::reconnect::Retry;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::UpgradeRequest;

/// What is begun after a wait.
pub(super) enum Next {
    /// HTTP/1.1, after HTTP/2.
    Http1,
    Redirect(Arc<UpgradeRequest>),
    Retry,
}

impl Attempt {
    /// Looks for another way. The end comes back if there is none.
    pub(super) fn go_on(
        &mut self,
        terminal: Terminal,
        socket: &Arc<Shared>,
        context: &mut Context,
    ) -> Option<Terminal> {
        if let Terminal::Refused { head: Some(head), .. } = &terminal {
            self.take_cookies(socket, head);
        }
        let terminal = self.explained(terminal);
        if context.stopping {
            return Some(terminal);
        }
        match self.fall_back(terminal, socket, context)? {
            Terminal::Refused { error, head: Some(head), body }
                if self.plan.settings.max_redirects > 0 && head.redirect().is_some() =>
            {
                match self.redirected(&head) {
                    Ok((request, kept_back)) if self.leave(socket) => {
                        self.log(LogLevel::Debug, format_args!("redirected to {}", request.url));
                        self.redirects += 1;
                        if kept_back {
                            self.kept_back_from = Some(self.request.url.authority().into());
                        }
                        self.wait(context.now, Next::Redirect(Arc::new(request)), context);
                        None
                    }
                    Ok(_) => Some(Terminal::Refused { error, head: Some(head), body }),
                    Err(error) => Some(Terminal::Refused { error, head: Some(head), body }),
                }
            }
            terminal => self.try_again(terminal, socket, context),
        }
    }

    /// Tells the game that there will be another try, where there is one to be made.
    fn try_again(
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
        let retry = self.retries.after(error, settings, retry_after, masks::random());
        let Some(Retry { attempt, delay }) = retry else { return Some(terminal) };
        if !self.leave(socket) {
            return Some(terminal);
        }
        let error = match terminal {
            Terminal::Failed(error) => error,
            Terminal::Refused { error, head, body } => {
                lock(&socket.facts).refused(head, body, self.http_version());
                error
            }
            closed => return Some(closed),
        };
        let delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        socket.log(LogLevel::Info, format_args!("{error}; try {attempt} follows in {delay_ms} ms"));
        self.deadline = None;
        self.wait(context.now + delay, Next::Retry, context);
        self.tell(EventKind::Reconnecting { error: Box::new(error), attempt, delay_ms }, context);
        None
    }

    /// Whether the wait is over, and if so, begins again.
    pub(super) fn wait_is_over(&mut self, context: &mut Context) -> Fate {
        let Stage::Waiting { until, .. } = &self.stage else { return Fate::GoesOn };
        if !self.is_awake() || context.now < *until {
            return Fate::GoesOn;
        }
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        let Stage::Waiting { next, .. } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Fate::GoesOn;
        };
        match next {
            Next::Http1 => {}
            Next::Redirect(request) => self.request = request,
            Next::Retry => {
                self.request = self.plan.settings.request.clone();
                (self.redirects, self.kept_back_from) = (0, None);
                self.deadline = Some(context.now + self.plan.settings.connect_timeout);
                socket.latency_us.store(-1, Ordering::Relaxed);
            }
        }
        self.base = Base::of(socket);
        lock(&socket.facts).begin(&self.request.url);
        self.start(context)
    }

    /// Says of a server that wants credentials where those went that there were.
    fn explained(&self, mut terminal: Terminal) -> Terminal {
        if let Terminal::Refused { error, head: Some(head), .. } = &mut terminal
            && let (401 | 403, Some(server)) = (head.status, &self.kept_back_from)
        {
            error.message.push_str(&format!(
                "; the credentials and cookies that were set for {server} were not sent after its redirect to \
                 {}, another server",
                self.request.url.authority()
            ));
        }
        terminal
    }

    /// The request that follows a redirect, and whether secrets were left out of it; or why none does.
    fn redirected(&self, head: &ResponseHead) -> Result<(UpgradeRequest, bool), Error> {
        let (limit, location) = (self.plan.settings.max_redirects, head.redirect().unwrap_or_default());
        let refused = |why: &str| {
            let shown: String = location.chars().take(200).filter(|c| !c.is_control()).collect();
            let message = format!(
                "{} answered {}, a redirect to \"{shown}\", which was not followed: {why}",
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
        let mut kept_back = false;
        let mut request = UpgradeRequest { url, ..UpgradeRequest::clone(&self.request) };
        if !self.request.url.may_pass_secrets_to(&request.url) {
            // What proves who the player is was meant for the server that it was set for.
            kept_back = self.request.url.credentials.is_some();
            for name in ["Authorization", "Cookie", "Proxy-Authorization"] {
                kept_back |= request.headers.remove(name);
            }
        }
        Ok((request, kept_back))
    }

    /// The connection is left behind without an end for the socket. False if the caller has given
    /// up meanwhile.
    fn leave(&mut self, socket: &Arc<Shared>) -> bool {
        let mut to_worker = lock(&socket.to_worker);
        if socket.is_destroyed() || socket.state() == State::Closing {
            return false;
        }
        if let Stage::Live { session, .. } = &self.stage {
            self.base.count_sent(socket, &to_worker.outbox, session);
        }
        to_worker.outbox.shut();
        if let Some(wishes) = &mut to_worker.wishes {
            wishes.user_pings.clear();
            wishes.resolved = None;
        }
        socket.buffered.store(0, Ordering::Relaxed);
        self.plan.settings.hold(&mut to_worker);
        socket.paused.store(false, Ordering::Relaxed);
        socket.set_state(State::Connecting);
        true
    }

    pub(super) fn wait(&mut self, until: Instant, next: Next, context: &mut Context) {
        self.stage = Stage::Waiting { until, next };
        self.held = None;
        (self.readable, self.writable, self.unseen) = (false, false, false);
        self.let_go(context);
    }

    /// Keeps what the server has set, where cookies are on.
    pub(super) fn take_cookies(&self, socket: &Shared, head: &ResponseHead) {
        if self.plan.settings.cookies {
            let lines = head.headers.get_all("Set-Cookie");
            lock(&socket.cookies).get_or_insert_default().take(&self.request.url, lines, SystemTime::now());
        }
    }

    /// Adds what the server had set earlier. A `Cookie` of the caller's own wins.
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
