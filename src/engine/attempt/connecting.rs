//! From the name of the server to an upgraded connection.

use std::net::SocketAddr;
use std::sync::Arc;

use mio::Token;

use super::super::event::EventKind;
use super::super::library;
use super::super::lock;
use super::super::masks;
use super::super::request::Request;
use super::super::socket::{Resolved, Socket};
use super::super::transport::Transport;
use super::super::worker::Context;
use super::ending::Terminal;
use super::sharing::Carrier;
use super::{Attempt, Fate, Stage};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::dial::{Dialler, Step};
use crate::net::options;
use crate::net::resolve;
use crate::net::stream::{Progress, Stream};
use crate::session::{self, Session};
use crate::sync::Mutex;
use crate::wire::upgrade::UpgradeRequest;

impl Attempt {
    pub fn start(&mut self, context: &mut Context) -> Fate {
        self.log(LogLevel::Debug, format_args!("connecting to {}", self.plan.settings.request.url));
        self.begin(context)
    }

    /// Begins, with a connection that is there or one of its own.
    pub(super) fn begin(&mut self, context: &mut Context) -> Fate {
        match self.join(context) {
            Some(fate) => fate,
            None => self.look_up(context),
        }
    }

    /// Names are looked up, addresses are dialled at once.
    pub(super) fn look_up(&mut self, context: &mut Context) -> Fate {
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        let url = &self.plan.settings.request.url;
        if let Some(address) = resolve::literal(&url.host, url.port) {
            return self.dial(vec![address], context);
        }
        let (weak, attempt) = (Arc::downgrade(socket), self.key.to_bits());
        let lookup = context.resolver.resolve(
            &url.host,
            url.port,
            Box::new(move |addresses| {
                if let Some(socket) = weak.upgrade() {
                    lock(&socket.to_worker).resolved = Some(Resolved { attempt, addresses });
                    socket.notify();
                }
            }),
        );
        self.stage = Stage::Resolving { _lookup: lookup };
        Fate::GoesOn
    }

    pub fn resolved(&mut self, addresses: Result<Vec<SocketAddr>, Error>, context: &mut Context) {
        if !matches!(self.stage, Stage::Resolving { .. }) {
            return;
        }
        self.time(context.now, |counters| &counters.resolve_us);
        match addresses {
            // Whether it goes on is seen in the turn that follows.
            Ok(addresses) => drop(self.dial(addresses, context)),
            Err(error) => {
                self.fail(error, context);
            }
        }
    }

    pub fn request_done(&mut self) {
        if let Stage::Asking { done, .. } = &mut self.stage {
            *done = true;
        }
    }

    pub(super) fn out_of_time(&mut self, context: &mut Context) -> Fate {
        if self.socket.is_none() {
            return Fate::Over;
        }
        let waited = self.plan.settings.connect_timeout.as_millis();
        let url = &self.plan.settings.request.url;
        let (phase, what) = match &mut self.stage {
            Stage::Idle | Stage::Resolving { .. } => (Phase::Resolve, "the name was not resolved"),
            Stage::Dialling(dialler) => {
                let error = dialler.timed_out(self.plan.settings.connect_timeout);
                return self.fail(error, context);
            }
            Stage::Securing(_) => (Phase::Tls, "the TLS handshake did not end"),
            Stage::Sharing if context.pool.has_asked_for(self.key) => {
                (Phase::Upgrade, "the server sent no HTTP/2 SETTINGS")
            }
            Stage::Sharing => {
                (Phase::Connect, "the HTTP/2 connection that several sockets wait for was not made")
            }
            Stage::Asking { .. } => (Phase::Upgrade, "the game did not release the upgrade request"),
            Stage::Live { session, .. } => {
                if let Some(refused) = Terminal::of(session.give_up_opening()) {
                    self.end(refused, context);
                    return Fate::Over;
                }
                (Phase::Upgrade, "the server did not answer the upgrade request")
            }
        };
        let mut message = format!("{what} within {waited} ms: {url}");
        if phase == Phase::Tls {
            message.push_str("; does the server speak TLS on this port?");
        }
        self.fail(Error::new(ErrorKind::TimedOut, phase, message), context)
    }

    fn dial(&mut self, addresses: Vec<SocketAddr>, context: &mut Context) -> Fate {
        self.started = context.now;
        self.stage = Stage::Dialling(Dialler::new(addresses, context.now));
        self.dial_step(None, context)
    }

    pub(super) fn dial_step(&mut self, ready: Option<Token>, context: &mut Context) -> Fate {
        let Stage::Dialling(dialler) = &mut self.stage else { return Fate::GoesOn };
        let (key, now) = (self.key, context.now);
        let tokens = &mut self.tokens;
        let step = {
            // The registry is cloned so that tokens can be drawn while it is in use.
            let Ok(registry) = context.registry.try_clone() else { return Fate::GoesOn };
            let new_token = || {
                let token = context.new_token(key);
                tokens.push(token);
                token
            };
            match ready {
                Some(token) => dialler.ready(token, now, &registry, new_token),
                None => dialler.step(now, &registry, new_token),
            }
        };
        match step {
            Step::Pending => Fate::GoesOn,
            Step::Failed(error) => self.fail(error, context),
            Step::Connected { stream, token, peer } => {
                for other in std::mem::replace(&mut self.tokens, vec![token]) {
                    if other != token {
                        context.free_token(other);
                    }
                }
                self.connected(stream, peer, context)
            }
        }
    }

    fn connected(&mut self, tcp: mio::net::TcpStream, peer: SocketAddr, context: &mut Context) -> Fate {
        self.time(context.now, |counters| &counters.connect_us);
        self.log(LogLevel::Debug, format_args!("connected to {peer}"));
        if let Err(error) = options::apply(&tcp) {
            self.log(LogLevel::Debug, format_args!("socket options: {error}"));
        }
        (self.readable, self.writable) = (true, true);
        let url = &self.plan.settings.request.url;
        if !url.secure {
            return self.established(Box::new(Stream::plain(tcp)), context);
        }
        let connector = match &self.plan.settings.tls {
            Some(tls) => tls.connector(self.wants_http2()),
            None => library::default_tls(self.wants_http2()),
        };
        let secured = connector
            .map_err(|error| Error::new(ErrorKind::Tls, Phase::Tls, error.to_string()).with_retriable(false))
            .and_then(|connector| Stream::secure(tcp, &connector, &url.host));
        match secured {
            Ok(stream) => {
                self.stage = Stage::Securing(Box::new(stream));
                self.secure(context)
            }
            Err(error) => self.fail(error, context),
        }
    }

    pub(super) fn secure(&mut self, context: &mut Context) -> Fate {
        let Stage::Securing(stream) = &mut self.stage else { return Fate::GoesOn };
        match stream.handshake() {
            Ok(Progress::WouldBlock) => Fate::GoesOn,
            Ok(Progress::Done) => {
                self.time(context.now, |counters| &counters.tls_us);
                match std::mem::replace(&mut self.stage, Stage::Idle) {
                    Stage::Securing(stream) => self.established(stream, context),
                    other => {
                        self.stage = other;
                        Fate::GoesOn
                    }
                }
            }
            Err(error) => self.fail(error, context),
        }
    }

    /// Shows the upgrade request to the game, if it wants to see it.
    pub(super) fn ask(&mut self, carrier: Carrier, context: &mut Context) -> Fate {
        let request = self.plan.settings.request.clone();
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        if !socket.wants_request() {
            return self.upgrade(carrier, request, context);
        }
        let http_version = match &carrier {
            Carrier::Own(_) => 1,
            Carrier::Shared(_) => 2,
        };
        let draft = Arc::new(Mutex::new(request));
        let shown = match Request::new(draft.clone(), 1, http_version, socket) {
            Ok(shown) => shown,
            Err(error) => {
                return self
                    .fail(Error::new(ErrorKind::Internal, Phase::Upgrade, error.to_string()), context);
            }
        };
        self.stage = Stage::Asking { carrier, draft, done: false };
        self.tell(EventKind::Request(shown), context);
        // In worker mode the callback has run, and the request is done.
        self.turn_if_asked(context)
    }

    fn turn_if_asked(&mut self, context: &mut Context) -> Fate {
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        if std::mem::take(&mut lock(&socket.to_worker).request_done) {
            return self.asked(context);
        }
        Fate::GoesOn
    }

    pub(super) fn asked(&mut self, context: &mut Context) -> Fate {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Asking { carrier, draft, .. } => {
                let request = lock(&draft).clone();
                self.upgrade(carrier, request, context)
            }
            other => {
                self.stage = other;
                Fate::GoesOn
            }
        }
    }

    fn upgrade(&mut self, carrier: Carrier, request: UpgradeRequest, context: &mut Context) -> Fate {
        self.started = context.now;
        let settings = session::Settings {
            max_message_size: self.plan.settings.max_message_size,
            close_timeout: self.plan.settings.close_timeout,
            pings: self.plan.settings.pings,
            compression: self.plan.settings.compression.clone(),
            extensions: self.plan.settings.extensions.clone(),
        };
        let made = match carrier {
            Carrier::Own(mut stream) => {
                stream.set_phase(Phase::Upgrade);
                Session::new(&settings, request, masks::nonce())
                    .map(|session| (Transport::Own(stream), session))
            }
            Carrier::Shared(link) => match Session::over_http2(&settings, request) {
                Ok((session, connect)) => match context.pool.open(link, self.key, connect) {
                    Ok(stream) => {
                        (self.readable, self.writable) = (true, true);
                        Ok((Transport::Shared(Box::new(stream)), session))
                    }
                    Err(error) => {
                        self.unanswered(error, context);
                        return self.fate(context);
                    }
                },
                Err(error) => Err(error),
            },
        };
        match made {
            Ok((stream, session)) => {
                self.stage = Stage::Live { stream, session: Box::new(session) };
                self.live(context)
            }
            Err(_) => {
                let message = "the allocator has no memory for the connection";
                self.fail(Error::new(ErrorKind::Internal, Phase::Upgrade, message), context)
            }
        }
    }
}
