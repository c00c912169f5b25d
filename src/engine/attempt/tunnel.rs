//! The talk with a proxy, until the server is at the other end of it.
//!
//! ```text
//!   connected ──(https: TLS with the proxy)──> CONNECT or SOCKS5 ──> reached
//!        ^─────────── the next address of the server ──────────┘
//! ```

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::net::IpAddr;

use mio::event::Event;
use mio::net::TcpStream;

use super::super::library;
use super::super::worker::Context;
use super::{Attempt, Fate, Stage};
use crate::error::{Error, ErrorKind, Phase};
use crate::logging::LogLevel;
use crate::net::stream::{Progress, ReadOutcome, Stream, WriteOutcome};
use crate::wire::proxy::{Proxy, ProxyError, ProxyHandshake, ProxyStep};

/// Proxies answer in a few hundred bytes.
const READ_SIZE: usize = 2048;

/// The way to the server.
pub(super) struct Route {
    pub(super) proxy: Proxy,
    /// Addresses of the server that the proxy has not been asked for yet, where it is told addresses.
    pub(super) targets: VecDeque<IpAddr>,
}

impl Route {
    pub(super) fn new(proxy: Proxy) -> Box<Self> {
        Box::new(Self { proxy, targets: VecDeque::new() })
    }

    pub(super) fn needs_target(&self) -> bool {
        self.proxy.needs_resolved_target()
    }
}

/// A connection to a proxy that is to become one to the server.
pub(super) struct Tunnel {
    stream: Stream,
    /// TLS with the proxy is not done yet.
    securing: bool,
    handshake: ProxyHandshake,
    unsent: Vec<u8>,
    /// What has come and was not used up.
    answer: Vec<u8>,
    /// How much of the answer is read at a time.
    read_size: usize,
}

/// Why there is no tunnel.
enum Trouble {
    /// The proxy said so.
    Answer(ProxyError),
    /// It was not reached, or left.
    Way(Error),
}

impl From<ProxyError> for Trouble {
    fn from(error: ProxyError) -> Self {
        Trouble::Answer(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Way(error)
    }
}

impl Tunnel {
    fn new(stream: Stream, handshake: ProxyHandshake, server_begins: bool) -> Self {
        let unsent = handshake.start();
        // What comes right behind the answer must be left in the stream for whom it is meant.
        let read_size = if server_begins { 1 } else { READ_SIZE };
        Self { stream, securing: true, handshake, unsent, answer: Vec::new(), read_size }
    }

    pub(super) fn ready(&mut self, event: &Event) {
        self.stream.ready(event);
    }

    /// Goes on until the tunnel is there or the network has nothing.
    fn advance(&mut self) -> Result<Progress, Trouble> {
        if self.securing {
            if self.stream.handshake()? == Progress::WouldBlock {
                return Ok(Progress::WouldBlock);
            }
            self.securing = false;
        }
        loop {
            if !self.send()? {
                return Ok(Progress::WouldBlock);
            }
            match self.handshake.feed(&self.answer)? {
                ProxyStep::Done { consumed } if consumed == self.answer.len() => return Ok(Progress::Done),
                // Whoever speaks before it is asked is not the server.
                ProxyStep::Done { .. } => {
                    let message = "it sent more than its answer";
                    return Err(Error::new(ErrorKind::Proxy, Phase::Proxy, message).into());
                }
                ProxyStep::Send { consumed, bytes } => {
                    self.answer.drain(..consumed);
                    self.unsent = bytes;
                    continue;
                }
                ProxyStep::NeedMore { consumed: 0 } => {}
                ProxyStep::NeedMore { consumed } => {
                    self.answer.drain(..consumed);
                    continue;
                }
            }
            let mut buffer = [0; READ_SIZE];
            match self.stream.read_vectored(&mut [IoSliceMut::new(&mut buffer[..self.read_size])])? {
                ReadOutcome::Data { n, .. } => self.answer.extend_from_slice(&buffer[..n]),
                ReadOutcome::WouldBlock => return Ok(Progress::WouldBlock),
                ReadOutcome::Eof { .. } => {
                    let message = "it ended the connection before it had answered";
                    return Err(Error::new(ErrorKind::Reset, Phase::Proxy, message).into());
                }
            }
        }
    }

    /// Whether everything is out.
    fn send(&mut self) -> Result<bool, Error> {
        while !self.unsent.is_empty() {
            match self.stream.write_vectored(&[IoSlice::new(&self.unsent)])? {
                WriteOutcome::Written { n } => drop(self.unsent.drain(..n)),
                WriteOutcome::WouldBlock => return Ok(false),
            }
        }
        self.stream.flush()
    }
}

impl Attempt {
    /// There is a connection to the proxy.
    pub(super) fn tunnel(&mut self, tcp: TcpStream, context: &mut Context) -> Fate {
        match self.begin_tunnel(tcp) {
            Ok(tunnel) => {
                self.stage = Stage::Tunnelling(Box::new(tunnel));
                self.tunnel_step(context)
            }
            Err(error) => self.fail(error, context),
        }
    }

    fn begin_tunnel(&mut self, tcp: TcpStream) -> Result<Tunnel, Error> {
        let url = &self.request.url;
        let Some(route) = &mut self.route else {
            return Err(Error::new(ErrorKind::Internal, Phase::Proxy, "there is no proxy"));
        };
        let proxy = route.proxy.clone();
        let mut stream = Stream::plain(tcp);
        if proxy.secure {
            let connector = match &self.plan.settings.tls {
                Some(tls) => tls.proxy_connector(),
                None => library::default_proxy_tls(),
            };
            let host = proxy.host.clone();
            stream = connector
                .map_err(|error| {
                    Error::new(ErrorKind::Tls, Phase::Proxy, error.to_string()).with_retriable(false)
                })
                .and_then(|connector| stream.secured(&connector, &host))
                .map_err(|error| self.on_the_way(error))?;
        }
        stream.set_phase(Phase::Proxy);
        let target = self.route.as_mut().and_then(|route| route.targets.pop_front());
        let handshake = ProxyHandshake::new(proxy, &url.host, url.port, target, self.request.user_agent())?;
        // Without TLS a server of HTTP/2 sends its SETTINGS at once (RFC 9113 section 3.4).
        let server_begins = self.wants_http2() && !url.secure;
        Ok(Tunnel::new(stream, handshake, server_begins))
    }

    pub(super) fn tunnel_step(&mut self, context: &mut Context) -> Fate {
        let Stage::Tunnelling(tunnel) = &mut self.stage else { return Fate::GoesOn };
        match tunnel.advance() {
            Ok(Progress::WouldBlock) => Fate::GoesOn,
            Ok(Progress::Done) => match std::mem::replace(&mut self.stage, Stage::Idle) {
                Stage::Tunnelling(tunnel) => {
                    self.log(LogLevel::Debug, format_args!("the proxy has opened the tunnel"));
                    self.reached(tunnel.stream, context)
                }
                other => {
                    self.stage = other;
                    Fate::GoesOn
                }
            },
            Err(Trouble::Way(error)) => {
                let error = self.on_the_way(error);
                self.fail(error, context)
            }
            Err(Trouble::Answer(error)) => {
                if self.route.as_ref().is_some_and(|route| !route.targets.is_empty()) {
                    self.log(LogLevel::Debug, format_args!("another address of the server: {error}"));
                    return self.reach(context);
                }
                self.fail(error.into(), context)
            }
        }
    }

    /// An error before the server was reached, as one of the proxy's where there is one.
    pub(super) fn on_the_way(&self, error: Error) -> Error {
        let Some(route) = &self.route else { return error };
        let message = format!(
            "the proxy {}, on the way to {}: {}",
            route.proxy.authority(),
            self.request.url.authority(),
            error.message
        );
        let kind = if error.kind == ErrorKind::TimedOut { error.kind } else { ErrorKind::Proxy };
        Error { kind, phase: Phase::Proxy, message, ..error }
    }
}
