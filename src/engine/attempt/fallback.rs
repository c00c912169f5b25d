//! One try over HTTP/1.1 where HTTP/2 led to no WebSocket and the caller left the version open.
//!
//! A server that announces WebSockets over HTTP/2 may still not take this one: many gateways announce
//! them and have a backend that knows only the upgrade of HTTP/1.1.
//!
//! | over HTTP/2 | the same request over HTTP/1.1, at once | remembered for the origin |
//! | --- | --- | --- |
//! | SETTINGS without ENABLE_CONNECT_PROTOCOL | yes | at once |
//! | 501, 505: the method or the version is not supported; 421: not on this connection | yes | once it is open |
//! | 400, 405, 426: what a backend says that sees a CONNECT, or a GET without its upgrade | yes | once it is open |
//! | any other 5xx without Retry-After: the gateway could not pass it on, or the backend broke at it | yes | once it is open |
//! | a reset with PROTOCOL_ERROR or HTTP_1_1_REQUIRED, an answer against the rules of HTTP/2 | yes | once it is open |
//! | the connection or, twice, the stream lost before an answer | yes | no: it may have been the network |
//! | 5xx with Retry-After: the server asks for less, not for more | no | |
//! | 401, 403, 404, 407, 429 and the rest: the server has understood the request | no | |
//!
//! There is one such try for each server until the socket is open. Later tries of the socket use HTTP/1.1
//! too, unless the server turned out to have none.

use super::super::http2::origins::{self, Name};
use super::super::socket::{HttpVersion, Shared, State};
use super::super::transport::Transport;
use super::super::worker::Context;
use super::again::Next;
use super::ending::Terminal;
use super::{Attempt, Stage};
use crate::error::ErrorKind;
use crate::logging::LogLevel;
use crate::wire::response::ResponseHead;
use crate::wire::url::Url;

/// What became of HTTP/1.1 in place of HTTP/2, until the socket is open.
#[derive(Default)]
pub(super) enum Fallback {
    #[default]
    None,
    Http1 {
        server: Name,
        /// For all sockets, once it has led to a WebSocket.
        remember: bool,
        /// How HTTP/2 ended, while the first try goes on.
        because: Option<Box<Terminal>>,
    },
    /// The server has no HTTP/1.1.
    Useless(Name),
}

impl Fallback {
    /// Whether this server is to be asked in HTTP/1.1.
    pub(super) fn is_to(&self, url: &Url) -> bool {
        matches!(self, Fallback::Http1 { server, .. } if *server == Name::of(url))
    }

    pub(super) fn is_useless(&self) -> bool {
        matches!(self, Fallback::Useless(_))
    }
}

impl Attempt {
    /// Turns to HTTP/1.1 after such an end over HTTP/2. The end comes back if there is nothing to gain,
    /// with what both versions said if both were asked.
    pub(super) fn fall_back(
        &mut self,
        terminal: Terminal,
        socket: &Shared,
        context: &mut Context,
    ) -> Option<Terminal> {
        let is_in_time = self.deadline.is_none_or(|deadline| context.now < deadline);
        let is_wanted = !socket.is_destroyed() && socket.state() == State::Connecting;
        match self.falls_back_on(&terminal) {
            Some(remember) if is_in_time && is_wanted => {
                if let Some(error) = terminal.error() {
                    self.log(LogLevel::Debug, format_args!("{error}; HTTP/1.1 is tried"));
                }
                let (server, because) = (Name::of(&self.request.url), Some(Box::new(terminal)));
                self.fallback = Fallback::Http1 { server, remember, because };
                self.wait(context.now, Next::Http1, context);
                None
            }
            _ => Some(self.after_fallback(terminal)),
        }
    }

    /// The refusal is one after which its body is not waited for.
    pub(super) fn is_in_haste(&self, head: &ResponseHead) -> bool {
        self.may_fall_back() && asks_for_http1(head)
    }

    /// The socket is open.
    pub(super) fn fallback_is_over(&mut self) {
        if let Fallback::Http1 { server, remember: true, .. } = std::mem::take(&mut self.fallback)
            && self.http == HttpVersion::Http1
            && server == Name::of(&self.request.url)
        {
            origins::remember_http1(server);
        }
    }

    fn may_fall_back(&self) -> bool {
        let is_over_http2 =
            matches!(self.stage, Stage::Sharing | Stage::Live { stream: Transport::Shared(_), .. });
        let is_known =
            matches!(&self.fallback, Fallback::Useless(server) if *server == Name::of(&self.request.url));
        self.http == HttpVersion::Auto && is_over_http2 && !is_known
    }

    /// And whether that is remembered for the origin.
    fn falls_back_on(&self, terminal: &Terminal) -> Option<bool> {
        if !self.may_fall_back() {
            return None;
        }
        match terminal {
            Terminal::Refused { head: Some(head), .. } => asks_for_http1(head).then_some(true),
            Terminal::Failed(error) => match error.kind {
                ErrorKind::Http | ErrorKind::Protocol => Some(true),
                ErrorKind::Reset | ErrorKind::Io => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Says what HTTP/2 had come to, where this is the end of the try over HTTP/1.1.
    fn after_fallback(&mut self, mut terminal: Terminal) -> Terminal {
        let Fallback::Http1 { server, because, .. } = &mut self.fallback else { return terminal };
        let Some(mut before) = because.take() else { return terminal };
        let has_no_http1 = match &terminal {
            Terminal::Closed { .. } => return terminal,
            Terminal::Failed(error) => error.kind == ErrorKind::Tls,
            Terminal::Refused { head, .. } => head.is_none(),
        };
        if has_no_http1 {
            if let (Some(first), Some(second)) = (before.error_mut(), terminal.error()) {
                first.message.push_str(&format!("; over HTTP/1.1: {}", second.message));
            }
            self.fallback = Fallback::Useless(server.clone());
            return *before;
        }
        if let (Some(first), Some(second)) = (before.error(), terminal.error_mut()) {
            second.message.push_str(&format!("; over HTTP/2 before: {}", first.message));
        }
        terminal
    }
}

/// Whether the answer to an extended CONNECT says nothing of the same request in HTTP/1.1.
fn asks_for_http1(head: &ResponseHead) -> bool {
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
    fn only_what_may_differ_over_http1_is_asked_again() {
        let asks = |status, retry_after: Option<&str>| {
            let mut headers = ResponseHeaders::default();
            retry_after.into_iter().for_each(|value| headers.push("retry-after", value));
            asks_for_http1(&ResponseHead { status, reason: String::new(), version: 1, headers })
        };
        let statuses: Vec<u16> = (200..600).filter(|status| asks(*status, None)).collect();
        let expected: Vec<u16> = [400, 405, 421, 426].into_iter().chain(500..600).collect();
        assert_eq!(statuses, expected);
        let patient: Vec<u16> = (200..600).filter(|status| asks(*status, Some("1"))).collect();
        assert_eq!(patient, [400, 405, 421, 426, 501, 505]);
    }
}
