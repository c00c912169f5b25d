//! The simulated link of a connection.
//!
//! It is part of the stream; over HTTP/2, of the connection of the pool. Here are the times that it adds: before
//! dialling, and for the timers of the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;

use super::context::Context;
use super::state::{Connection, Stage};
use super::transport::{Carrier, Transport};
use crate::engine::shared::commands::LinkChange;
use crate::logging::LogLevel;
use crate::net::dial::Dialler;
use crate::net::link::{LinkConditions, LinkCut};
use crate::net::link_model;
use crate::net::stream::Stream;

/// When dialling starts over a link that lets nothing through: after every connect timeout.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Connection {
    /// Changes the simulated link. The caller then gives the connection a turn.
    pub fn change_link(&mut self, change: LinkChange, context: &mut Context) {
        let LinkChange { conditions, cut } = change;
        if let Some(cut) = cut {
            self.set_link(Some(Arc::new(LinkConditions { cut, ..LinkConditions::default() })), context);
        }
        self.set_link(conditions, context);
    }

    fn set_link(&mut self, link: Option<Arc<LinkConditions>>, context: &mut Context) {
        if self.plan.settings.link == link {
            return;
        }
        self.plan.settings.link.clone_from(&link);
        let (conditions, now) = (link.as_deref(), context.now);
        match &mut self.stage {
            Stage::Connecting(dialler) => {
                let addresses = dialler.addresses();
                dialler.close(&context.registry);
                std::mem::take(&mut self.tokens).free(context);
                self.stage = Stage::Connecting(Box::new(self.dialler(addresses, context)));
            }
            Stage::ProxyHandshake(tunnel) => tunnel.stream.set_link(conditions, now),
            Stage::TlsHandshake(stream) | Stage::RequestEvent { carrier: Carrier::Own(stream), .. } => {
                stream.set_link(conditions, now);
            }
            Stage::Live { stream: Transport::Own(stream), .. } => {
                stream.set_link(conditions, now);
                (self.readable, self.writable) = (true, true);
            }
            Stage::Live { stream: Transport::Shared(_), .. } => {
                if !context.pool.set_link(self.key, conditions, now) {
                    let message =
                        "the link applies to the next connection: other sockets share the HTTP/2 connection";
                    self.log(LogLevel::Warn, format_args!("{message}"));
                }
            }
            // It applies when the connection is made.
            Stage::Idle
            | Stage::Waiting { .. }
            | Stage::Resolving { .. }
            | Stage::FindingNat64(_)
            | Stage::AwaitingStream
            | Stage::RequestEvent { .. } => {}
        }
    }

    /// The attempts to connect, which begin after a round trip over the link.
    pub(super) fn dialler(&self, addresses: Vec<SocketAddr>, context: &Context) -> Dialler {
        let Some(link) = &self.plan.settings.link else { return Dialler::new(addresses, context.now) };
        let delay = link_model::round_trip(link, context.now).unwrap_or(NEVER);
        let mut dialler = Dialler::new(addresses, context.now + delay);
        if link.cut == LinkCut::Refuse {
            dialler.refuse();
        }
        dialler
    }

    /// The stream of a TCP connection that is established now.
    pub(super) fn stream_over(&self, tcp: TcpStream, context: &Context) -> Stream {
        let mut stream = Stream::plain(tcp);
        if let Some(link) = &self.plan.settings.link {
            stream.set_link(Some(link), context.now);
        }
        stream
    }

    /// A timer has fired: something may have moved on the link.
    pub(super) fn wake_link(&mut self) {
        let has_link = match &mut self.stage {
            Stage::Live { stream: Transport::Own(stream), .. } => stream.wake_link(),
            Stage::ProxyHandshake(tunnel) => tunnel.stream.wake_link(),
            Stage::TlsHandshake(stream) => stream.wake_link(),
            _ => false,
        };
        if has_link {
            (self.readable, self.writable, self.expiry) = (true, true, None);
        }
    }
}
