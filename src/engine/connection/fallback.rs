//! Falling back to HTTP/1.1 when a WebSocket over HTTP/2 fails, if the caller left the version open.
//!
//! A server that announces WebSockets over HTTP/2 may still not accept one: many gateways announce them and
//! have a backend that supports only the upgrade of HTTP/1.1.
//!
//! | over HTTP/2 | retried over HTTP/1.1 at once | remembered for the origin |
//! | --- | --- | --- |
//! | SETTINGS without ENABLE_CONNECT_PROTOCOL | yes | at once |
//! | 501, 505: method or version not supported; 421: misdirected request | yes | when it is open |
//! | 400, 405, 426: a backend that received a CONNECT, or a GET without the upgrade | yes | when it is open |
//! | any other 5xx without Retry-After: the gateway could not forward it, or the backend failed | yes | when it is open |
//! | a reset with PROTOCOL_ERROR or HTTP_1_1_REQUIRED, a response that violates HTTP/2 | yes | when it is open |
//! | the connection or, twice, the stream lost before a response | yes | no: the network may be the cause |
//! | 5xx with Retry-After: the server limits the rate of requests | no | |
//! | 401, 403, 404, 407, 429 and others: the server understood the request | no | |
//!
//! One such retry for each server until the socket is open. Later reconnects of the socket use HTTP/1.1 too,
//! unless the server turned out not to support it.

use super::context::Context;
use super::state::{Connection, Fallback, Http1Fallback, Restart, Stage};
use super::terminal::Terminal;
use super::transport::Transport;
use crate::engine::shared::origins::{self, Name};
use crate::engine::shared::socket::Shared;
use crate::engine::shared::state::{HttpVersion, State};
use crate::error::ErrorKind;
use crate::logging::LogLevel;
use crate::wire::response::ResponseHead;

impl Connection {
    /// Falls back to HTTP/1.1. Returns the terminal event if it does not, with the errors of both versions if
    /// both were tried.
    pub(super) fn fall_back(
        &mut self,
        terminal: Terminal,
        socket: &Shared,
        context: &mut Context,
    ) -> Option<Terminal> {
        let is_in_time = self.deadline.is_none_or(|deadline| context.now < deadline);
        let is_connecting = socket.state() == State::Connecting || self.candidate.is_some();
        let is_wanted = !socket.is_destroyed() && is_connecting;
        match self.fallback_for(&terminal) {
            Some(remember) if is_in_time && is_wanted => {
                if let Some(error) = terminal.error() {
                    self.log(LogLevel::Debug, format_args!("{error}; falling back to HTTP/1.1"));
                }
                let (server, http2_end) = (Name::of(&self.request.url), Some(terminal));
                self.fallback = Fallback::Http1(Box::new(Http1Fallback { server, remember, http2_end }));
                self.wait(context.now, Restart::Http1, context);
                None
            }
            _ => Some(self.after_fallback(terminal)),
        }
    }

    /// Whether the body of a refusal is not needed, as the connection falls back.
    pub(super) fn skips_body(&self, head: &ResponseHead) -> bool {
        self.may_fall_back() && suggests_http1(head)
    }

    /// Stores that the server needs the fallback, once the socket is open.
    pub(super) fn confirm_fallback(&mut self) {
        if let Fallback::Http1(fallback) = std::mem::take(&mut self.fallback)
            && fallback.remember
            && self.http == HttpVersion::Http1
            && fallback.server == Name::of(&self.request.url)
        {
            origins::remember_http1(fallback.server);
        }
    }

    fn may_fall_back(&self) -> bool {
        let is_over_http2 =
            matches!(self.stage, Stage::AwaitingStream | Stage::Live { stream: Transport::Shared(_), .. });
        let is_known = matches!(&self.fallback, Fallback::Unavailable(server) if **server == Name::of(&self.request.url));
        self.http == HttpVersion::Auto && is_over_http2 && !is_known
    }

    /// Returns whether to fall back, and if so, whether to store that for the origin.
    fn fallback_for(&self, terminal: &Terminal) -> Option<bool> {
        if !self.may_fall_back() {
            return None;
        }
        match terminal {
            Terminal::Refused { head: Some(head), .. } => suggests_http1(head).then_some(true),
            Terminal::Failed(error) => match error.kind {
                ErrorKind::Http | ErrorKind::Protocol => Some(true),
                ErrorKind::Reset | ErrorKind::Io => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds the failure of HTTP/2, if this is the end of the attempt over HTTP/1.1.
    fn after_fallback(&mut self, mut terminal: Terminal) -> Terminal {
        let Fallback::Http1(fallback) = &mut self.fallback else { return terminal };
        let Some(mut before) = fallback.http2_end.take() else { return terminal };
        let has_no_http1 = match &terminal {
            Terminal::Closed { .. } => return terminal,
            Terminal::Failed(error) => error.kind == ErrorKind::Tls,
            Terminal::Refused { head, .. } => head.is_none(),
        };
        if has_no_http1 {
            if let (Some(first), Some(second)) = (before.error_mut(), terminal.error()) {
                first.message.push_str(&format!("; over HTTP/1.1: {}", second.message));
            }
            self.fallback = Fallback::Unavailable(Box::new(fallback.server.clone()));
            return before;
        }
        if let (Some(first), Some(second)) = (before.error(), terminal.error_mut()) {
            second.message.push_str(&format!("; over HTTP/2 before: {}", first.message));
        }
        terminal
    }
}

/// Whether a request that was refused like this over HTTP/2 may succeed over HTTP/1.1.
fn suggests_http1(head: &ResponseHead) -> bool {
    match head.status {
        400 | 405 | 421 | 426 | 501 | 505 => true,
        500..600 => head.headers.get("Retry-After").is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::ResponseHeaders;

    #[test]
    fn only_refusals_that_may_differ_over_http1_are_retried() {
        let suggests = |status, retry_after: Option<&str>| {
            let mut headers = ResponseHeaders::default();
            retry_after.into_iter().for_each(|value| headers.push("retry-after", value));
            suggests_http1(&ResponseHead { status, reason: String::new(), version: 1, headers })
        };
        let statuses: Vec<u16> = (200..600).filter(|status| suggests(*status, None)).collect();
        let expected: Vec<u16> = [400, 405, 421, 426].into_iter().chain(500..600).collect();
        assert_eq!(statuses, expected);
        let with_retry_after: Vec<u16> = (200..600).filter(|status| suggests(*status, Some("1"))).collect();
        assert_eq!(with_retry_after, [400, 405, 421, 426, 501, 505]);
    }
}
