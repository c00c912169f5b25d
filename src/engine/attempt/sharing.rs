//! HTTP/2 or not: finding a connection to share, and bringing one.

use super::super::http2::{Answer, Joined, LinkId, Origin, origins};
use super::super::socket::HttpVersion;
use super::super::transport::Transport;
use super::super::worker::Context;
use super::{Attempt, Fate, Stage};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::stream::Stream;

/// What the upgrade request will travel on.
pub(super) enum Carrier {
    Own(Box<Stream>),
    /// A stream yet to be opened, of this connection.
    Shared(LinkId),
}

impl Carrier {
    pub(super) fn http_version(&self) -> u32 {
        match self {
            Carrier::Own(_) => 1,
            Carrier::Shared(_) => 2,
        }
    }
}

impl Attempt {
    /// Whether the server is still to be asked for HTTP/2.
    pub(super) fn wants_http2(&self) -> bool {
        self.http != HttpVersion::Http1
    }

    /// Looks for a connection to share. None if there is one to be made.
    pub(super) fn join(&mut self, context: &mut Context) -> Option<Fate> {
        if !self.wants_http2() {
            return None;
        }
        match context.pool.join(&self.origin(), self.key) {
            Joined::Lead => None,
            Joined::Wait => {
                self.stage = Stage::Sharing;
                Some(Fate::GoesOn)
            }
            Joined::Seat(link) => Some(self.ask(Carrier::Shared(link), context)),
        }
    }

    /// What came of waiting for others.
    pub fn answered(&mut self, answer: Answer, context: &mut Context) -> Fate {
        if !matches!(self.stage, Stage::Sharing) {
            return Fate::GoesOn;
        }
        if matches!(answer, Answer::Unable) {
            origins::remember_http1(origins::Name::of(&self.request.url));
        }
        match answer {
            Answer::Seat(link) => self.ask(Carrier::Shared(link), context),
            Answer::JoinAgain => self.begin(context),
            Answer::Alone => {
                if self.http == HttpVersion::Auto && origins::is_http1(&origins::Name::of(&self.request.url))
                {
                    self.http = HttpVersion::Http1;
                }
                self.connect(context)
            }
            Answer::Unable => {
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
            Answer::Lost(error) => self.fail(error, context),
        }
    }

    /// TCP, and TLS where it is wanted, are done: in which version does it go on?
    pub(super) fn established(&mut self, stream: Box<Stream>, context: &mut Context) -> Fate {
        let url = &self.request.url;
        let chose_http2 = match stream.alpn() {
            Some(chosen) => chosen == b"h2",
            // RFC 9113 section 3.3: by prior knowledge.
            None => self.http == HttpVersion::Http2 && !url.secure,
        };
        if chose_http2 {
            return self.bring(*stream, context);
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
        self.ask(Carrier::Own(stream), context)
    }

    /// The stream ended before the server answered. What it took no notice of is asked once more.
    pub(super) fn unanswered(&mut self, error: Error, context: &mut Context) -> Fate {
        if self.socket.is_some()
            && error.kind == ErrorKind::Reset
            && !std::mem::replace(&mut self.asked_again, true)
        {
            self.log(LogLevel::Debug, format_args!("{error}; asking once more"));
            return self.begin(context);
        }
        if !matches!(self.stage, Stage::Live { .. }) {
            return self.fail(error, context);
        }
        self.fail_live(error, context);
        self.fate(context)
    }

    /// The stream on a shared connection has something to do.
    pub fn stream_ready(&mut self, context: &mut Context) -> Fate {
        (self.readable, self.writable) = (true, true);
        let fate = self.turn(context);
        if let Stage::Live { stream: Transport::Shared(stream), .. } = &mut self.stage
            && (self.unseen || self.held.is_some())
        {
            stream.hold();
        }
        fate
    }

    /// Gives the connection to all who want to share it; this attempt is one of them.
    fn bring(&mut self, stream: Stream, context: &mut Context) -> Fate {
        let Some(token) = self.tokens.pop() else { return Fate::GoesOn };
        let origin = self.origin();
        match context.pool.adopt(stream, token, origin, self.key, context.now) {
            Ok(link) => {
                context.reroute(token, link);
                self.stage = Stage::Sharing;
                Fate::GoesOn
            }
            Err(error) => {
                self.tokens.push(token);
                self.fail(error, context)
            }
        }
    }

    pub(super) fn origin(&self) -> Origin {
        let proxy = self.route.as_ref().map(|route| route.proxy.clone());
        Origin::new(&self.request.url, proxy, self.plan.settings.tls.clone())
    }
}
