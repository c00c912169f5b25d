//! From the name of the server to the upgrade request.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::Token;

use super::context::Context;
use super::state::{Connection, FindingNat64, ResolveTarget, Stage, TurnResult};
use super::terminal::Terminal;
use super::transport::{Carrier, Transport};
use super::tunnel::ProxyRoute;
use crate::engine::http2::Awaited;
use crate::engine::shared::commands::{LookupNumber, Resolved};
use crate::engine::shared::event::EventKind;
use crate::engine::shared::random;
use crate::engine::shared::request::{Draft, Request};
use crate::engine::shared::socket::{Shared, Socket};
use crate::engine::shared::state::HttpVersion;
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::dial::Step;
use crate::net::nat64;
use crate::net::options;
use crate::net::resolve::{self, Lookup};
use crate::net::stream::{Progress, Stream};
use crate::session::{self, Session};
use crate::sync::lock;
use crate::wire::upgrade::UpgradeRequest;

impl Connection {
    /// Starts connecting, from the beginning.
    pub fn start(&mut self, context: &mut Context) -> TurnResult {
        let url = &self.request.url;
        self.log(LogLevel::Debug, format_args!("connecting to {url}"));
        self.started = context.now;
        if let Some(candidate) = &mut self.candidate {
            candidate.durations.clear();
        }
        (self.http, self.retried_stream, self.skip_body) = (self.plan.http_for(url), false, false);
        if self.http == HttpVersion::Auto && self.fallback.applies_to(url) {
            self.http = HttpVersion::Http1;
        }
        let found = self.plan.proxy_for(url);
        for why in found.ignored {
            self.log(LogLevel::Warn, format_args!("{why}"));
        }
        self.route = found.proxy.map(ProxyRoute::new);
        self.obtain_transport(context)
    }

    /// Joins a shared HTTP/2 connection, or connects.
    pub(super) fn obtain_transport(&mut self, context: &mut Context) -> TurnResult {
        match self.join(context) {
            Some(turn_result) => turn_result,
            None => self.connect(context),
        }
    }

    /// Starts connecting.
    pub(super) fn connect(&mut self, context: &mut Context) -> TurnResult {
        self.started = context.now;
        if self.route.as_ref().is_some_and(|route| route.needs_target()) {
            return self.look_up(ResolveTarget::Server, context);
        }
        self.reach_next_hop(context)
    }

    /// Connects to the proxy, or to the server if there is none.
    pub(super) fn reach_next_hop(&mut self, context: &mut Context) -> TurnResult {
        self.look_up(ResolveTarget::NextHop, context)
    }

    fn look_up(&mut self, target: ResolveTarget, context: &mut Context) -> TurnResult {
        let Some(Socket(socket)) = &self.socket else { return TurnResult::Finished };
        let (host, port) = self.name_of(target);
        if let Some(address) = resolve::literal(&host, port) {
            return self.located(target, vec![address], context);
        }
        if let Some(addresses) = context.resolver.recent(&host, port) {
            return self.located(target, addresses, context);
        }
        let (socket, host) = (socket.clone(), host.into_owned());
        self.stage = Stage::Resolving { _lookup: self.start_lookup(&socket, &host, port, context), target };
        TurnResult::Continue
    }

    fn start_lookup(&mut self, socket: &Arc<Shared>, host: &str, port: u16, context: &mut Context) -> Lookup {
        self.lookup = LookupNumber::next();
        let (weak, connection, lookup) = (Arc::downgrade(socket), self.key.to_bits(), self.lookup);
        context.resolver.resolve(
            host,
            port,
            Box::new(move |addresses| {
                if let Some(socket) = weak.upgrade() {
                    lock(&socket.to_worker).commands().add_resolved(Resolved {
                        connection,
                        lookup,
                        addresses,
                    });
                    socket.notify();
                }
            }),
        )
    }

    /// Returns the name to look up, with the zone of an address, and the port.
    pub(super) fn name_of(&self, target: ResolveTarget) -> (Cow<'_, str>, u16) {
        let url = &self.request.url;
        let (host, zone, port) = match &self.route {
            Some(route) if target == ResolveTarget::NextHop => {
                (&route.proxy.host, &route.proxy.zone, route.proxy.port)
            }
            // A zone has no meaning for a proxy (RFC 6874 section 4).
            Some(_) => (&url.host, &None, url.port),
            None => (&url.host, &url.zone, url.port),
        };
        match zone {
            Some(zone) => (format!("{host}%{zone}").into(), port),
            None => (host.as_str().into(), port),
        }
    }

    /// Handles the result of a lookup. The next turn checks whether the connection continues.
    pub fn resolved(&mut self, resolved: Resolved, context: &mut Context) {
        if resolved.lookup != self.lookup {
            return;
        }
        if let Stage::FindingNat64(_) = self.stage {
            // The next turn checks whether the connection continues.
            let _ = self.nat64_found(&resolved.addresses.unwrap_or_default(), context);
            return;
        }
        let Stage::Resolving { target, .. } = self.stage else { return };
        match resolved.addresses {
            Ok(addresses) => drop(self.located(target, addresses, context)),
            Err(error) => {
                let error = if target == ResolveTarget::NextHop { self.proxy_error(error) } else { error };
                self.fail(error, context);
            }
        }
    }

    fn located(
        &mut self,
        target: ResolveTarget,
        addresses: Vec<SocketAddr>,
        context: &mut Context,
    ) -> TurnResult {
        match &mut self.route {
            Some(route) if target == ResolveTarget::Server => {
                route.targets = addresses.iter().map(SocketAddr::ip).collect();
                self.reach_next_hop(context)
            }
            _ => {
                self.time(context.now, |counters| &counters.resolve_us);
                self.dial(addresses, context)
            }
        }
    }

    pub(super) fn deadline_passed(&mut self, context: &mut Context) -> TurnResult {
        if self.socket.is_none() {
            self.stop_draining();
            return TurnResult::Finished;
        }
        let waited = self.plan.settings.connect_timeout.as_millis();
        let url = &self.request.url;
        let (phase, what) = match &mut self.stage {
            Stage::Resolving { target: ResolveTarget::NextHop, .. } if self.route.is_some() => {
                let message = format!("its name was not resolved within {waited} ms");
                let error = self.proxy_error(Error::new(ErrorKind::TimedOut, Phase::Proxy, message));
                return self.fail(error, context);
            }
            Stage::Idle | Stage::Waiting { .. } | Stage::Resolving { .. } => {
                (Phase::Resolve, "the name was not resolved")
            }
            Stage::FindingNat64(_) => return self.nat64_found(&[], context),
            Stage::Connecting(dialler) => {
                let error = dialler.timed_out(self.plan.settings.connect_timeout);
                let error = self.proxy_error(error);
                return self.fail(error, context);
            }
            Stage::ProxyHandshake(_) => {
                let message = format!("it did not respond within {waited} ms; check the proxy's type");
                let error = self.proxy_error(Error::new(ErrorKind::TimedOut, Phase::Proxy, message));
                return self.fail(error, context);
            }
            Stage::TlsHandshake(_) => (Phase::Tls, "the TLS handshake did not complete"),
            Stage::AwaitingStream => match context.pool.awaited_by(self.key) {
                Awaited::Connection => (
                    Phase::Connect,
                    "the HTTP/2 connection that several sockets wait for was not established",
                ),
                Awaited::Settings => (Phase::Upgrade, "the server sent no HTTP/2 SETTINGS"),
                Awaited::StreamLimit => (
                    Phase::Upgrade,
                    "the server allowed no WebSocket on its HTTP/2 connection (its \
                     SETTINGS_MAX_CONCURRENT_STREAMS stayed 0)",
                ),
            },
            Stage::RequestEvent { .. } => (Phase::Upgrade, "the game did not release the upgrade request"),
            Stage::Live { session, .. } => {
                if let Some(refused) = Terminal::of(session.cancel_handshake()) {
                    self.end(refused, context);
                    return self.turn_result(context);
                }
                (Phase::Upgrade, "the server did not respond to the upgrade request")
            }
        };
        let mut message = format!("{what} within {waited} ms: {url}");
        if phase == Phase::Tls {
            message.push_str("; does the server speak TLS on this port?");
        }
        self.fail(Error::new(ErrorKind::TimedOut, phase, message), context)
    }

    fn dial(&mut self, addresses: Vec<SocketAddr>, context: &mut Context) -> TurnResult {
        self.started = context.now;
        self.stage = Stage::Connecting(Box::new(self.dialler(addresses, context)));
        self.dial_step(None, context)
    }

    pub(super) fn dial_step(&mut self, ready: Option<Token>, context: &mut Context) -> TurnResult {
        let Stage::Connecting(dialler) = &mut self.stage else { return TurnResult::Continue };
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
            Step::Pending => TurnResult::Continue,
            Step::Failed(error) => {
                let peers = dialler.addresses();
                if error.kind == ErrorKind::Unreachable && nat64::may_be_needed(&peers) {
                    return self.find_nat64(peers, error, context);
                }
                let error = self.proxy_error(error);
                self.fail(error, context)
            }
            Step::Connected { stream, token, peer } => {
                self.tokens.free_others(token, context);
                self.connected(stream, peer, context)
            }
        }
    }

    /// The network has no route to the IPv4 addresses: looks for the prefix of its NAT64.
    fn find_nat64(
        &mut self,
        peers: Vec<SocketAddr>,
        unreachable: Error,
        context: &mut Context,
    ) -> TurnResult {
        let Some(Socket(socket)) = self.socket.clone() else { return TurnResult::Finished };
        let port = peers.first().map_or(0, SocketAddr::port);
        if let Some(found) = context.resolver.recent(nat64::NAME, port) {
            let finding = FindingNat64 { _lookup: None, peers, unreachable };
            self.stage = Stage::FindingNat64(Box::new(finding));
            return self.nat64_found(&found, context);
        }
        let lookup = Some(self.start_lookup(&socket, nat64::NAME, port, context));
        self.stage = Stage::FindingNat64(Box::new(FindingNat64 { _lookup: lookup, peers, unreachable }));
        TurnResult::Continue
    }

    /// Connects to the addresses that the NAT64 gives to the server, or fails if there is none.
    fn nat64_found(&mut self, found: &[SocketAddr], context: &mut Context) -> TurnResult {
        let Stage::FindingNat64(finding) = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return TurnResult::Continue;
        };
        let FindingNat64 { peers, unreachable, .. } = *finding;
        let addresses = nat64::synthesise(found, &peers);
        if addresses.is_empty() {
            let error = self.proxy_error(unreachable);
            return self.fail(error, context);
        }
        self.log(LogLevel::Debug, format_args!("no route over IPv4; connecting through NAT64"));
        self.dial(addresses, context)
    }

    fn connected(&mut self, tcp: mio::net::TcpStream, peer: SocketAddr, context: &mut Context) -> TurnResult {
        self.log(LogLevel::Debug, format_args!("connected to {peer}"));
        options::apply(&tcp);
        self.writable = true;
        // A cut link ends the connection without an event of the socket.
        self.readable |= self.plan.settings.link.is_some();
        if self.route.is_some() {
            return self.tunnel(tcp, context);
        }
        let stream = self.stream_over(tcp, context);
        self.server_reached(if self.readable { stream } else { stream.with_nothing_to_read() }, context)
    }

    /// The server is reached, directly or through a proxy.
    pub(super) fn server_reached(&mut self, stream: Stream, context: &mut Context) -> TurnResult {
        self.time(context.now, |counters| &counters.connect_us);
        let url = &self.request.url;
        if !url.secure {
            return self.transport_ready(Box::new(stream), context);
        }
        let connector = match &self.plan.settings.tls {
            Some(tls) => tls.connector(self.wants_http2()),
            None => context.default_tls.connector(self.wants_http2()),
        };
        let secured = connector
            .map_err(|error| Error::new(ErrorKind::Tls, Phase::Tls, error.to_string()).with_retriable(false))
            .and_then(|connector| stream.secured(&connector, &url.host));
        match secured {
            Ok(stream) => {
                self.stage = Stage::TlsHandshake(Box::new(stream));
                self.tls_step(context)
            }
            Err(error) => self.fail(error, context),
        }
    }

    pub(super) fn tls_step(&mut self, context: &mut Context) -> TurnResult {
        let Stage::TlsHandshake(stream) = &mut self.stage else { return TurnResult::Continue };
        match stream.handshake() {
            Ok(Progress::WouldBlock) => TurnResult::Continue,
            Ok(Progress::Done) => {
                self.time(context.now, |counters| &counters.tls_us);
                match std::mem::replace(&mut self.stage, Stage::Idle) {
                    Stage::TlsHandshake(stream) => self.transport_ready(stream, context),
                    other => {
                        self.stage = other;
                        TurnResult::Continue
                    }
                }
            }
            Err(error) => self.fail(error, context),
        }
    }

    /// Creates the upgrade request, which the game may change.
    pub(super) fn request_upgrade(&mut self, mut carrier: Carrier, context: &mut Context) -> TurnResult {
        if let Some(turn_result) = self.check_candidate(context) {
            return turn_result;
        }
        let Some(Socket(socket)) = &self.socket else { return TurnResult::Finished };
        let mut request = UpgradeRequest::clone(&self.request);
        self.add_cookies(socket, &mut request);
        request.complete();
        self.requests += 1;
        if !socket.wants_request() {
            return self.send_request(carrier, request, context);
        }
        // The server may have a timeout for the end of the TLS handshake.
        if let Carrier::Own(stream) = &mut carrier
            && let Err(error) = stream.flush()
        {
            return self.fail(error, context);
        }
        let draft = Draft::new(request);
        let notify: std::sync::Weak<Shared> = Arc::downgrade(socket);
        let shown = match Request::new(draft.clone(), self.requests, carrier.http_version(), notify) {
            Ok(shown) => shown,
            Err(error) => {
                return self
                    .fail(Error::new(ErrorKind::Internal, Phase::Upgrade, error.to_string()), context);
            }
        };
        self.stage = Stage::RequestEvent { carrier, draft };
        self.deliver(EventKind::Request(shown), context);
        // In worker mode the callback has run and the request is finished.
        self.send_finished_request(context)
    }

    /// Sends the upgrade request when the game has finished with it.
    pub(super) fn send_finished_request(&mut self, context: &mut Context) -> TurnResult {
        let Stage::RequestEvent { draft, .. } = &self.stage else { return TurnResult::Continue };
        let Some(request) = draft.finished() else { return TurnResult::Continue };
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::RequestEvent { carrier, .. } => self.send_request(carrier, request, context),
            other => {
                self.stage = other;
                TurnResult::Continue
            }
        }
    }

    fn send_request(
        &mut self,
        carrier: Carrier,
        request: UpgradeRequest,
        context: &mut Context,
    ) -> TurnResult {
        self.started = context.now;
        let settings = session::Settings {
            max_message_size: self.plan.settings.max_message_size,
            close_timeout: self.plan.settings.close_timeout,
            pings: self.plan.settings.pings,
            compression: self.plan.settings.compression.clone(),
            extensions: self.plan.settings.extensions.clone(),
        };
        self.capture = None;
        let mut captured_connect = None;
        let made = match carrier {
            Carrier::Own(mut stream) => {
                stream.set_phase(Phase::Upgrade);
                Session::new(&settings, request, random::nonce())
                    .map(|session| (Transport::Own(*stream), session))
            }
            Carrier::Shared(link) => match Session::over_http2(&settings, request) {
                Ok((session, connect)) => {
                    captured_connect = self.plan.settings.capture.as_ref().map(|_| connect.clone());
                    match context.pool.open(link, self.key, connect) {
                        Ok(stream) => {
                            (self.readable, self.writable) = (true, true);
                            Ok((Transport::Shared(Box::new(stream)), session))
                        }
                        Err(error) => {
                            self.stage = Stage::AwaitingStream;
                            return self.stream_lost(error, context);
                        }
                    }
                }
                Err(error) => Err(error),
            },
        };
        match made {
            Ok((stream, mut session)) => {
                session.align_pings(context.epoch);
                self.stage = Stage::Live { stream, session: Box::new(session) };
                self.start_capture(captured_connect.as_ref(), context);
                self.session_turn(context)
            }
            Err(_) => {
                let message = "the allocator has no memory for the connection";
                self.fail(Error::new(ErrorKind::Internal, Phase::Upgrade, message), context)
            }
        }
    }
}
