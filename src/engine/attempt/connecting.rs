//! From the name of the server to an upgraded connection.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::Token;

use super::super::event::EventKind;
use super::super::http2::Awaited;
use super::super::library;
use super::super::lock;
use super::super::masks;
use super::super::request::{Draft, Request};
use super::super::socket::{HttpVersion, Resolved, Socket};
use super::super::transport::Transport;
use super::super::worker::Context;
use super::ending::Terminal;
use super::sharing::Carrier;
use super::tunnel::Route;
use super::{Attempt, Fate, Stage};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::dial::{Dialler, Step};
use crate::net::options;
use crate::net::resolve;
use crate::net::stream::{Progress, Stream};
use crate::session::{self, Session};
use crate::wire::upgrade::UpgradeRequest;

/// Whose addresses are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// Of whoever is connected to: the server, or the proxy.
    Hop,
    /// Of the server, for a proxy that is told addresses.
    Target,
}

impl Attempt {
    /// Begins anew, whatever was found out on the way to another server or in another try.
    pub fn start(&mut self, context: &mut Context) -> Fate {
        let url = &self.request.url;
        self.log(LogLevel::Debug, format_args!("connecting to {url}"));
        self.started = context.now;
        (self.http, self.asked_again, self.in_haste) = (self.plan.http_for(url), false, false);
        if self.http == HttpVersion::Auto && self.fallback.is_to(url) {
            self.http = HttpVersion::Http1;
        }
        let found = self.plan.proxy_for(url);
        for why in found.ignored {
            self.log(LogLevel::Warn, format_args!("{why}"));
        }
        self.route = found.proxy.map(Route::new);
        self.begin(context)
    }

    /// Begins, with a connection that is there or one of its own.
    pub(super) fn begin(&mut self, context: &mut Context) -> Fate {
        match self.join(context) {
            Some(fate) => fate,
            None => self.connect(context),
        }
    }

    /// Names are looked up, addresses are dialled at once.
    pub(super) fn connect(&mut self, context: &mut Context) -> Fate {
        if self.route.as_ref().is_some_and(|route| route.needs_target()) {
            return self.look_up(Sought::Target, context);
        }
        self.reach(context)
    }

    /// Connects to the proxy, or to the server where there is none.
    pub(super) fn reach(&mut self, context: &mut Context) -> Fate {
        self.look_up(Sought::Hop, context)
    }

    fn look_up(&mut self, sought: Sought, context: &mut Context) -> Fate {
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        let url = &self.request.url;
        let (host, zone, port) = match &self.route {
            Some(route) if sought == Sought::Hop => (&route.proxy.host, &route.proxy.zone, route.proxy.port),
            // A zone means nothing to a proxy (RFC 6874 section 4).
            Some(_) => (&url.host, &None, url.port),
            None => (&url.host, &url.zone, url.port),
        };
        let host = match zone {
            Some(zone) => Cow::Owned(format!("{host}%{zone}")),
            None => Cow::Borrowed(host.as_str()),
        };
        if let Some(address) = resolve::literal(&host, port) {
            return self.located(sought, vec![address], context);
        }
        self.lookups += 1;
        let (weak, attempt, lookup) = (Arc::downgrade(socket), self.key.to_bits(), self.lookups);
        let pending = context.resolver.resolve(
            &host,
            port,
            Box::new(move |addresses| {
                if let Some(socket) = weak.upgrade() {
                    lock(&socket.to_worker).wish().resolved = Some(Resolved { attempt, lookup, addresses });
                    socket.notify();
                }
            }),
        );
        self.stage = Stage::Resolving { _lookup: pending, sought };
        Fate::GoesOn
    }

    /// What the resolver says. Whether it goes on is seen in the turn that follows.
    pub fn resolved(&mut self, resolved: Resolved, context: &mut Context) {
        let Stage::Resolving { sought, .. } = self.stage else { return };
        if (resolved.attempt, resolved.lookup) != (self.key.to_bits(), self.lookups) {
            return;
        }
        match resolved.addresses {
            Ok(addresses) => drop(self.located(sought, addresses, context)),
            Err(error) => {
                let error = if sought == Sought::Hop { self.on_the_way(error) } else { error };
                self.fail(error, context);
            }
        }
    }

    fn located(&mut self, sought: Sought, addresses: Vec<SocketAddr>, context: &mut Context) -> Fate {
        match &mut self.route {
            Some(route) if sought == Sought::Target => {
                route.targets = addresses.iter().map(SocketAddr::ip).collect();
                self.reach(context)
            }
            _ => {
                if matches!(self.stage, Stage::Resolving { .. }) {
                    self.time(context.now, |counters| &counters.resolve_us);
                }
                self.dial(addresses, context)
            }
        }
    }

    pub(super) fn out_of_time(&mut self, context: &mut Context) -> Fate {
        if self.socket.is_none() {
            self.give_up_draining();
            return Fate::Over;
        }
        let waited = self.plan.settings.connect_timeout.as_millis();
        let url = &self.request.url;
        let (phase, what) = match &mut self.stage {
            Stage::Resolving { sought: Sought::Hop, .. } if self.route.is_some() => {
                let message = format!("its name was not resolved within {waited} ms");
                let error = self.on_the_way(Error::new(ErrorKind::TimedOut, Phase::Proxy, message));
                return self.fail(error, context);
            }
            Stage::Idle | Stage::Waiting { .. } | Stage::Resolving { .. } => {
                (Phase::Resolve, "the name was not resolved")
            }
            Stage::Dialling(dialler) => {
                let error = dialler.timed_out(self.plan.settings.connect_timeout);
                let error = self.on_the_way(error);
                return self.fail(error, context);
            }
            Stage::Tunnelling(_) => {
                let message = format!("it did not answer within {waited} ms; is it such a proxy?");
                let error = self.on_the_way(Error::new(ErrorKind::TimedOut, Phase::Proxy, message));
                return self.fail(error, context);
            }
            Stage::Securing(_) => (Phase::Tls, "the TLS handshake did not end"),
            Stage::Sharing => match context.pool.awaited_by(self.key) {
                Awaited::Connection => {
                    (Phase::Connect, "the HTTP/2 connection that several sockets wait for was not made")
                }
                Awaited::Settings => (Phase::Upgrade, "the server sent no HTTP/2 SETTINGS"),
                Awaited::Room => (
                    Phase::Upgrade,
                    "the server allowed no WebSocket on its HTTP/2 connection (its \
                     SETTINGS_MAX_CONCURRENT_STREAMS stayed 0)",
                ),
            },
            Stage::Asking { .. } => (Phase::Upgrade, "the game did not release the upgrade request"),
            Stage::Live { session, .. } => {
                if let Some(refused) = Terminal::of(session.give_up_opening()) {
                    self.end(refused, context);
                    return self.fate(context);
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
        self.stage = Stage::Dialling(Box::new(Dialler::new(addresses, context.now)));
        self.dial_step(None, context)
    }

    pub(super) fn dial_step(&mut self, ready: Option<Token>, context: &mut Context) -> Fate {
        let Stage::Dialling(dialler) = &mut self.stage else { return Fate::GoesOn };
        let (key, now) = (self.key, context.now);
        let (tokens, Context { registry, routes, .. }) = (&mut self.tokens, &mut *context);
        let new_token = || {
            let token = routes.new_token(key);
            tokens.push(token);
            token
        };
        let step = match ready {
            Some(token) => dialler.ready(token, now, registry, new_token),
            None => dialler.step(now, registry, new_token),
        };
        match step {
            Step::Pending => Fate::GoesOn,
            Step::Failed(error) => {
                let error = self.on_the_way(error);
                self.fail(error, context)
            }
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
        self.log(LogLevel::Debug, format_args!("connected to {peer}"));
        options::apply(&tcp);
        self.writable = true;
        if self.route.is_some() {
            return self.tunnel(tcp, context);
        }
        let stream = Stream::plain(tcp);
        self.reached(if self.readable { stream } else { stream.with_nothing_to_read() }, context)
    }

    /// The server is at the other end, perhaps of a tunnel.
    pub(super) fn reached(&mut self, stream: Stream, context: &mut Context) -> Fate {
        self.time(context.now, |counters| &counters.connect_us);
        let url = &self.request.url;
        if !url.secure {
            return self.established(Box::new(stream), context);
        }
        let connector = match &self.plan.settings.tls {
            Some(tls) => tls.connector(self.wants_http2()),
            None => library::default_tls(self.wants_http2()),
        };
        let secured = connector
            .map_err(|error| Error::new(ErrorKind::Tls, Phase::Tls, error.to_string()).with_retriable(false))
            .and_then(|connector| stream.secured(&connector, &url.host));
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
        let Some(Socket(socket)) = &self.socket else { return Fate::Over };
        let mut request = UpgradeRequest::clone(&self.request);
        self.add_cookies(socket, &mut request);
        request.complete();
        self.requests += 1;
        if !socket.wants_request() {
            return self.upgrade(carrier, request, context);
        }
        let draft = Draft::new(request);
        let shown = match Request::new(draft.clone(), self.requests, carrier.http_version(), socket) {
            Ok(shown) => shown,
            Err(error) => {
                return self
                    .fail(Error::new(ErrorKind::Internal, Phase::Upgrade, error.to_string()), context);
            }
        };
        self.stage = Stage::Asking { carrier, draft };
        self.tell(EventKind::Request(shown), context);
        // In worker mode the callback has run, and the request is done.
        self.asked(context)
    }

    /// Goes on once the game is done with the request.
    pub(super) fn asked(&mut self, context: &mut Context) -> Fate {
        let Stage::Asking { draft, .. } = &self.stage else { return Fate::GoesOn };
        let Some(request) = draft.finished() else { return Fate::GoesOn };
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Asking { carrier, .. } => self.upgrade(carrier, request, context),
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
                    .map(|session| (Transport::Own(*stream), session))
            }
            Carrier::Shared(link) => match Session::over_http2(&settings, request) {
                Ok((session, connect)) => match context.pool.open(link, self.key, connect) {
                    Ok(stream) => {
                        (self.readable, self.writable) = (true, true);
                        Ok((Transport::Shared(Box::new(stream)), session))
                    }
                    Err(error) => {
                        self.stage = Stage::Sharing;
                        return self.unanswered(error, context);
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
