//! Connecting through a proxy.

use mio::net::TcpStream;

use super::context::Context;
use super::state::{Connection, Stage, TurnResult};
use super::tunnel::{Tunnel, TunnelError};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::stream::Progress;
use crate::wire::proxy::ProxyHandshake;

impl Connection {
    /// Starts the handshake, on a connection to the proxy.
    pub(super) fn tunnel(&mut self, tcp: TcpStream, context: &mut Context) -> TurnResult {
        match self.start_tunnel(tcp, context) {
            Ok(tunnel) => {
                self.stage = Stage::ProxyHandshake(Box::new(tunnel));
                self.tunnel_step(context)
            }
            Err(error) => self.fail(error, context),
        }
    }

    fn start_tunnel(&mut self, tcp: TcpStream, context: &Context) -> Result<Tunnel, Error> {
        let url = &self.request.url;
        let Some(route) = &self.route else {
            return Err(Error::new(ErrorKind::Internal, Phase::Proxy, "there is no proxy"));
        };
        let proxy = route.proxy.clone();
        let mut stream = self.stream_over(tcp, context);
        if proxy.secure {
            let connector = match &self.plan.settings.tls {
                Some(tls) => tls.proxy_connector(),
                None => context.default_tls.proxy_connector(),
            };
            let host = proxy.host.clone();
            stream = connector
                .map_err(|error| {
                    Error::new(ErrorKind::Tls, Phase::Proxy, error.to_string()).with_retriable(false)
                })
                .and_then(|connector| stream.secured(&connector, &host))
                .map_err(|error| self.proxy_error(error))?;
        }
        stream.set_phase(Phase::Proxy);
        let target = self.route.as_mut().and_then(|route| route.targets.pop_front());
        let handshake = ProxyHandshake::new(proxy, &url.host, url.port, target, self.request.user_agent())?;
        // Without TLS an HTTP/2 server sends its SETTINGS immediately (RFC 9113 section 3.4).
        let server_speaks_first = self.wants_http2() && !url.secure;
        Ok(Tunnel::new(stream, handshake, server_speaks_first))
    }

    pub(super) fn tunnel_step(&mut self, context: &mut Context) -> TurnResult {
        let Stage::ProxyHandshake(tunnel) = &mut self.stage else { return TurnResult::Continue };
        match tunnel.advance() {
            Ok(Progress::WouldBlock) => TurnResult::Continue,
            Ok(Progress::Done) => match std::mem::replace(&mut self.stage, Stage::Idle) {
                Stage::ProxyHandshake(tunnel) => {
                    self.log(LogLevel::Debug, format_args!("the proxy has opened the tunnel"));
                    self.server_reached(tunnel.stream, context)
                }
                other => {
                    self.stage = other;
                    TurnResult::Continue
                }
            },
            Err(TunnelError::Transport(error)) => {
                let error = self.proxy_error(error);
                self.fail(error, context)
            }
            Err(TunnelError::Refused(error)) => {
                if self.route.as_ref().is_some_and(|route| !route.targets.is_empty()) {
                    self.log(LogLevel::Debug, format_args!("trying the next address of the server: {error}"));
                    return self.reach_next_hop(context);
                }
                self.fail(error.into(), context)
            }
        }
    }

    /// Attributes an error to the proxy, if there is one: the server was not reached yet.
    pub(super) fn proxy_error(&self, error: Error) -> Error {
        let Some(route) = &self.route else { return error };
        let message = format!(
            "the proxy {} (target {}): {}",
            route.proxy.authority(),
            self.request.url.authority(),
            error.message
        );
        let kind = if error.kind == ErrorKind::TimedOut { error.kind } else { ErrorKind::Proxy };
        Error { kind, phase: Phase::Proxy, message, ..error }
    }
}
