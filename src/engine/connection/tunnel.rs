//! The handshake with a proxy.
//!
//! ```text
//!   connected ──(https: TLS with the proxy)──> CONNECT or SOCKS5 ──> reached
//!        ^─────────── the next address of the server ──────────┘
//! ```

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::net::IpAddr;

use mio::event::Event;

use crate::error::{Error, ErrorKind, Phase};
use crate::net::stream::{Progress, ReadOutcome, Stream, WriteOutcome};
use crate::wire::proxy::{Proxy, ProxyError, ProxyHandshake, ProxyStep};

/// Responses of proxies are a few hundred bytes.
const READ_SIZE: usize = 2048;

/// The proxy to connect through.
pub struct ProxyRoute {
    pub proxy: Proxy,
    /// Addresses of the server that were not tried yet, if the proxy is given addresses instead of a name.
    pub targets: VecDeque<IpAddr>,
}

impl ProxyRoute {
    pub fn new(proxy: Proxy) -> Box<Self> {
        Box::new(Self { proxy, targets: VecDeque::new() })
    }

    pub fn needs_target(&self) -> bool {
        self.proxy.needs_resolved_target()
    }
}

/// A connection to a proxy, until it reaches the server.
pub struct Tunnel {
    pub stream: Stream,
    /// The TLS handshake with the proxy is not done.
    securing: bool,
    handshake: ProxyHandshake,
    unsent: Vec<u8>,
    /// Received bytes that were not consumed.
    response: Vec<u8>,
    /// How much of the response is read at a time.
    read_size: usize,
}

/// Why the tunnel failed.
pub enum TunnelError {
    /// The proxy refused it.
    Refused(ProxyError),
    /// The connection to the proxy failed.
    Transport(Error),
}

impl From<ProxyError> for TunnelError {
    fn from(error: ProxyError) -> Self {
        TunnelError::Refused(error)
    }
}

impl From<Error> for TunnelError {
    fn from(error: Error) -> Self {
        TunnelError::Transport(error)
    }
}

impl Tunnel {
    pub fn new(stream: Stream, handshake: ProxyHandshake, server_speaks_first: bool) -> Self {
        let unsent = handshake.start();
        // Bytes of the server right after the response must stay in the stream.
        let read_size = if server_speaks_first { 1 } else { READ_SIZE };
        Self { stream, securing: true, handshake, unsent, response: Vec::new(), read_size }
    }

    pub fn ready(&mut self, event: &Event) {
        self.stream.ready(event);
    }

    /// Continues the handshake until it is done or would block.
    pub fn advance(&mut self) -> Result<Progress, TunnelError> {
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
            match self.handshake.feed(&self.response)? {
                ProxyStep::Done { consumed } if consumed == self.response.len() => return Ok(Progress::Done),
                // A WebSocket or TLS server sends nothing before the client.
                ProxyStep::Done { .. } => {
                    let message = "it sent data after its response";
                    return Err(Error::new(ErrorKind::Proxy, Phase::Proxy, message).into());
                }
                ProxyStep::Send { consumed, bytes } => {
                    self.response.drain(..consumed);
                    self.unsent = bytes;
                    continue;
                }
                ProxyStep::NeedMore { consumed: 0 } => {}
                ProxyStep::NeedMore { consumed } => {
                    self.response.drain(..consumed);
                    continue;
                }
            }
            let mut buffer = [0; READ_SIZE];
            match self.stream.read_vectored(&mut [IoSliceMut::new(&mut buffer[..self.read_size])])? {
                ReadOutcome::Data { n, .. } => self.response.extend_from_slice(&buffer[..n]),
                ReadOutcome::WouldBlock => return Ok(Progress::WouldBlock),
                ReadOutcome::Eof { .. } => {
                    let message = "it ended the connection before it responded";
                    return Err(Error::new(ErrorKind::Reset, Phase::Proxy, message).into());
                }
            }
        }
    }

    /// Returns whether everything was sent.
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
