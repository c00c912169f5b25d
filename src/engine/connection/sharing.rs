//! WebSockets over HTTP/2: sharing a connection of the pool, and adding one to it.

use super::context::Context;
use super::state::{Connection, Stage, Tokens, TurnResult};
use super::transport::{Carrier, Transport};
use crate::engine::http2::{Joined, Origin, Reply};
use crate::engine::shared::origins;
use crate::engine::shared::state::HttpVersion;
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::stream::Stream;

impl Connection {
    /// Returns whether HTTP/2 is requested.
    pub(super) fn wants_http2(&self) -> bool {
        self.http != HttpVersion::Http1
    }

    /// Looks for a connection to share. None if this one has to connect.
    pub(super) fn join(&mut self, context: &mut Context) -> Option<TurnResult> {
        if !self.wants_http2() {
            return None;
        }
        match context.pool.join(&self.origin(), self.key) {
            Joined::Connect => None,
            Joined::Wait => {
                self.stage = Stage::AwaitingStream;
                Some(TurnResult::Continue)
            }
            Joined::Reserved(link) => Some(self.request_upgrade(Carrier::Shared(link), context)),
        }
    }

    /// Handles the reply of the pool.
    pub fn pool_replied(&mut self, reply: Reply, context: &mut Context) -> TurnResult {
        if !matches!(self.stage, Stage::AwaitingStream) {
            return TurnResult::Continue;
        }
        if matches!(reply, Reply::NoExtendedConnect) {
            origins::remember_http1(origins::Name::of(&self.request.url));
        }
        match reply {
            Reply::Reserved(link) => self.request_upgrade(Carrier::Shared(link), context),
            Reply::Rejoin => self.obtain_transport(context),
            Reply::ConnectAlone => {
                if self.http == HttpVersion::Auto && origins::is_http1(&origins::Name::of(&self.request.url))
                {
                    self.http = HttpVersion::Http1;
                }
                self.connect(context)
            }
            Reply::NoExtendedConnect => {
                let url = &self.request.url;
                let mut message = format!(
                    "{url} speaks HTTP/2, but not WebSockets over it (RFC 8441): its SETTINGS lack \
                     ENABLE_CONNECT_PROTOCOL"
                );
                if self.http == HttpVersion::Http2 {
                    message.push_str("; set the HTTP version to 1 or automatic");
                }
                let error = Error::new(ErrorKind::Http, Phase::Upgrade, message);
                self.fail(error, context)
            }
            Reply::Lost(error) => self.fail(error, context),
        }
    }

    /// TCP and TLS are connected: continues with the negotiated version of HTTP.
    pub(super) fn transport_ready(&mut self, stream: Box<Stream>, context: &mut Context) -> TurnResult {
        let url = &self.request.url;
        let chose_http2 = match stream.alpn() {
            Some(chosen) => chosen == b"h2",
            // RFC 9113 section 3.3: by prior knowledge.
            None => self.http == HttpVersion::Http2 && !url.secure,
        };
        if chose_http2 {
            return self.share(*stream, context);
        }
        if self.http == HttpVersion::Http2 {
            let message = format!("{url} does not speak HTTP/2; set the HTTP version to 1 or automatic");
            return self.fail(Error::new(ErrorKind::Http, Phase::Upgrade, message), context);
        }
        if self.wants_http2() {
            self.http = HttpVersion::Http1;
            origins::remember_http1(origins::Name::of(&self.request.url));
            context.pool.disband(self.key);
        }
        self.request_upgrade(Carrier::Own(stream), context)
    }

    /// The stream was lost before a response. A request that the server has not processed is retried once.
    pub(super) fn stream_lost(&mut self, error: Error, context: &mut Context) -> TurnResult {
        if self.socket.is_some()
            && error.kind == ErrorKind::Reset
            && !std::mem::replace(&mut self.retried_stream, true)
        {
            self.log(LogLevel::Debug, format_args!("{error}; retrying once"));
            context.pool.forget(self.key);
            return self.obtain_transport(context);
        }
        if !matches!(self.stage, Stage::Live { .. }) {
            return self.fail(error, context);
        }
        self.transport_failed(error, context);
        self.turn_result(context)
    }

    /// The stream on a shared connection is readable or writable.
    pub fn stream_ready(&mut self, context: &mut Context) -> TurnResult {
        (self.readable, self.writable) = (true, true);
        let turn_result = self.turn(context);
        if let Stage::Live { stream: Transport::Shared(stream), .. } = &mut self.stage
            && (self.unprocessed || self.delayed_end.is_some())
        {
            stream.hold();
        }
        turn_result
    }

    /// Adds the transport to the pool, and waits for a stream of it as the others do.
    fn share(&mut self, stream: Stream, context: &mut Context) -> TurnResult {
        let Tokens::One(token) = std::mem::take(&mut self.tokens) else { return TurnResult::Continue };
        let origin = self.origin();
        match context.pool.adopt(stream, token, origin, self.key, context.now) {
            Ok(link) => {
                context.reroute(token, link);
                self.stage = Stage::AwaitingStream;
                TurnResult::Continue
            }
            Err(error) => {
                self.tokens.push(token);
                self.fail(error, context)
            }
        }
    }

    pub(super) fn origin(&self) -> Origin {
        let proxy = self.route.as_ref().map(|route| route.proxy.clone());
        let origin = Origin::new(&self.request.url, proxy, self.plan.settings.tls.clone());
        if self.plan.settings.link.is_some() { origin.only_for(self.key) } else { origin }
    }
}
