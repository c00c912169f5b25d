//! One transport for the engine: a connected socket, with TLS over it or without.
//!
//! ```text
//!   Stream ──> TLS with the server ──> TLS with a proxy ──> TCP        either may be missing
//! ```
//!
//! Readiness is edge-triggered, so every answer says whether more may come without a new edge, and
//! every event is shown to [`Stream::ready`] first.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;

use super::options::{self, SHORT_READ_MEANS_DRAINED};
#[cfg(test)]
use super::tls::TlsVersion;
use super::tls::{TlsConnector, TlsStream};
use crate::error::{Error, Phase};

/// A connection that carries bytes.
pub struct Stream {
    tcp: TcpStream,
    tls: Option<Box<TlsStream>>,
    /// What that TLS runs through, where a proxy is spoken to over TLS too.
    outer: Option<Box<RefCell<TlsStream>>>,
    phase: Phase,
    /// A FIN or a reset may be waiting that no edge will announce any more.
    may_have_ended: bool,
}

/// What is lent to TLS for one call.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "lent to nobody then"))]
pub struct Link<'a> {
    tcp: &'a TcpStream,
    outer: Option<&'a RefCell<TlsStream>>,
    pub(super) phase: Phase,
    short_read_drains: bool,
}

#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "lent to nobody then"))]
impl<'a> Link<'a> {
    /// Whether a read that returns less than was asked for has taken all that there is.
    pub(super) fn short_read_drains(&self) -> bool {
        // What the outer TLS holds is not known here: only `WouldBlock` is an answer.
        self.short_read_drains && self.outer.is_none()
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(outer) = self.outer else { return options::receive(self.tcp, buffer) };
        loop {
            match outer.borrow_mut().read(self.below(), &mut [IoSliceMut::new(buffer)]) {
                // A record that was not for us, such as a session ticket.
                Ok(ReadOutcome::Data { n: 0, more: true }) if !buffer.is_empty() => {}
                Ok(ReadOutcome::Data { n: 0, more: false } | ReadOutcome::WouldBlock) => {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Ok(ReadOutcome::Data { n, .. }) => return Ok(n),
                Ok(ReadOutcome::Eof { .. }) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    pub(super) fn send(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(outer) = self.outer else { return options::send_vectored(self.tcp, buffers) };
        match outer.borrow_mut().write(self.below(), buffers) {
            Ok(WriteOutcome::Written { n }) => Ok(n),
            Ok(WriteOutcome::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// What the outer TLS runs over.
    fn below(&self) -> Link<'a> {
        Link { outer: None, ..*self }
    }
}

/// How far the TLS handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Read once before waiting for readiness: the handshake may have taken it.
    Done,
    WouldBlock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// `n` bytes came; 0 with TLS, when what came was not for us. With `more` another read may
    /// bring more at once, without it a new edge will tell.
    Data {
        n: usize,
        more: bool,
    },
    WouldBlock,
    /// The peer is done. `clean` when nothing can have been cut off: close_notify, or without TLS
    /// a FIN.
    Eof {
        clean: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// So many bytes were taken; after TLS they may still be on their way to the kernel.
    Written { n: usize },
    /// None were. A new edge will tell.
    WouldBlock,
}

impl Stream {
    pub fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None, outer: None, phase: Phase::Upgrade, may_have_ended: true }
    }

    /// The edge that announced the connection announced nothing else.
    pub fn with_nothing_to_read(self) -> Self {
        Self { may_have_ended: false, ..self }
    }

    /// The handshake is driven by [`handshake`](Self::handshake). `host` is a name or an address,
    /// as the URL has it.
    #[cfg(test)]
    pub fn secure(tcp: TcpStream, connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        Self::plain(tcp).secured(connector, host)
    }

    /// TLS through what this stream is so far: a connection, or a tunnel through a proxy, itself
    /// over TLS or not.
    pub fn secured(self, connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        let tls = Box::new(TlsStream::new(connector, host)?);
        let outer = self.tls.map(|outer| Box::new(RefCell::new(*outer)));
        Ok(Self { tls: Some(tls), outer, phase: Phase::Tls, ..self })
    }

    /// Must see every event of the socket before anything else is done about it.
    ///
    /// One edge may announce bytes and the end behind them. A read that gets the bytes and is short
    /// must not count as having emptied the socket then, for there will be no further edge.
    pub fn ready(&mut self, event: &Event) {
        self.may_have_ended |= event.is_read_closed() || event.is_error();
    }

    /// The phase that errors carry from here on.
    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Goes on until the handshake is done or the network has nothing. Without TLS it is done.
    pub fn handshake(&mut self) -> Result<Progress, Error> {
        let Some((tls, link)) = self.tls_and_link() else { return Ok(Progress::Done) };
        crate::fault::point("net.secure");
        let progress = tls.handshake(link)?;
        self.flush_outer()?;
        Ok(progress)
    }

    /// Reads into the buffers, in order, with at most one call into the system.
    pub fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        crate::fault::point("net.read");
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if room == 0 {
            return Ok(ReadOutcome::Data { n: 0, more: true });
        }
        let outcome = match self.tls_and_link() {
            Some((tls, link)) => tls.read(link, buffers)?,
            None => match options::receive_vectored(&self.tcp, buffers) {
                Ok(0) => ReadOutcome::Eof { clean: true },
                Ok(n) => ReadOutcome::Data { n, more: n == room || !self.short_read_drains() },
                Err(error) if error.kind() == ErrorKind::WouldBlock => ReadOutcome::WouldBlock,
                Err(error) => return Err(Error::io(self.phase, READING, &error)),
            },
        };
        if outcome == ReadOutcome::WouldBlock {
            // So there is no end yet either, and an edge will announce it.
            self.may_have_ended = false;
        }
        Ok(outcome)
    }

    /// Takes bytes from the buffers, in order. TLS takes nothing while earlier records still wait
    /// for the network. After an error what the peer sent before can still be read.
    pub fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        crate::fault::point("net.write");
        if let Some((tls, link)) = self.tls_and_link() {
            return tls.write(link, buffers);
        }
        match options::send_vectored(&self.tcp, buffers) {
            Ok(n) => Ok(WriteOutcome::Written { n }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(WriteOutcome::WouldBlock),
            Err(error) => Err(Error::io(self.phase, WRITING, &error)),
        }
    }

    /// Hands what TLS still holds to the kernel. True when nothing is left.
    pub fn flush(&mut self) -> Result<bool, Error> {
        match self.tls_and_link() {
            Some((tls, link)) => Ok(tls.flush(link)? && self.flush_outer()?),
            None => Ok(true),
        }
    }

    /// Whether [`flush`](Self::flush) has something to do when the socket becomes writable.
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
            || self.outer.as_ref().is_some_and(|outer| outer.borrow().wants_write())
    }

    /// Tells the peer over TLS that nothing follows (RFC 8446 section 6.1); flush it, then
    /// [`shutdown_write`](Self::shutdown_write).
    pub fn send_close_notify(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }

    /// Sends a FIN behind everything written.
    pub fn shutdown_write(&mut self) {
        // Fails only when the connection is gone already, which the next read reports.
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// For registering and deregistering.
    pub fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// The protocol that the server chose (RFC 7301), once the handshake is done.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|tls| tls.alpn())
    }

    #[cfg(test)]
    pub fn tls_version(&self) -> Option<TlsVersion> {
        self.tls.as_ref().and_then(|tls| tls.version())
    }

    fn tls_and_link(&mut self) -> Option<(&mut TlsStream, Link<'_>)> {
        let short_read_drains = self.short_read_drains();
        let outer = self.outer.as_deref();
        let link = Link { tcp: &self.tcp, outer, phase: self.phase, short_read_drains };
        self.tls.as_deref_mut().map(|tls| (tls, link))
    }

    /// Hands on what the outer TLS still holds. True when nothing is left.
    fn flush_outer(&mut self) -> Result<bool, Error> {
        let short_read_drains = self.short_read_drains();
        let Some(outer) = &mut self.outer else { return Ok(true) };
        let link = Link { tcp: &self.tcp, outer: None, phase: self.phase, short_read_drains };
        outer.get_mut().flush(link)
    }

    fn short_read_drains(&self) -> bool {
        SHORT_READ_MEANS_DRAINED && !self.may_have_ended
    }
}

pub(super) const READING: &str = "reading from the network";
pub(super) const WRITING: &str = "writing to the network";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn pair() -> (Stream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        (Stream::plain(TcpStream::from_std(ours)), listener.accept().unwrap().0)
    }

    /// Reads until the kernel has passed something on; loopback delivers in its own time.
    fn read(stream: &mut Stream, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        loop {
            match stream.read_vectored(buffers) {
                Ok(ReadOutcome::WouldBlock) => std::thread::yield_now(),
                outcome => return outcome,
            }
        }
    }

    #[test]
    fn a_full_buffer_means_more_and_a_short_read_does_not() {
        let (mut stream, mut peer) = pair();
        assert_eq!(stream.handshake(), Ok(Progress::Done));
        let (mut one, mut two) = ([0; 3], [0; 3]);
        let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(stream.read_vectored(&mut buffers), Ok(ReadOutcome::WouldBlock));
        peer.write_all(b"abcdefgh").unwrap();
        assert_eq!(read(&mut stream, &mut buffers), Ok(ReadOutcome::Data { n: 6, more: true }));
        let short = ReadOutcome::Data { n: 2, more: !SHORT_READ_MEANS_DRAINED };
        assert_eq!(read(&mut stream, &mut buffers), Ok(short));
        assert_eq!((&one, &two), (b"ghc", b"def"));
        drop(peer);
        assert_eq!(read(&mut stream, &mut [IoSliceMut::new(&mut one)]), Ok(ReadOutcome::Eof { clean: true }));
    }

    /// With epoll the end comes in the same edge as the bytes before it.
    #[test]
    fn an_end_behind_bytes_is_not_forgotten() {
        let (mut stream, mut peer) = pair();
        let mut poll = mio::Poll::new().unwrap();
        poll.registry().register(stream.tcp_mut(), mio::Token(0), mio::Interest::READABLE).unwrap();
        let mut buffer = [0; 100];
        let mut buffers = [IoSliceMut::new(&mut buffer)];
        assert_eq!(stream.read_vectored(&mut buffers), Ok(ReadOutcome::WouldBlock));
        peer.write_all(b"bye").unwrap();
        drop(peer);
        let mut events = mio::Events::with_capacity(8);
        let (mut got, mut more) = (0, false);
        loop {
            if !more {
                poll.poll(&mut events, Some(std::time::Duration::from_secs(20))).unwrap();
                assert!(!events.is_empty(), "the end was lost");
                events.iter().for_each(|event| stream.ready(event));
            }
            match stream.read_vectored(&mut buffers).unwrap() {
                ReadOutcome::Data { n, more: again } => (got, more) = (got + n, again),
                ReadOutcome::WouldBlock => more = false,
                ReadOutcome::Eof { clean } => break assert!(clean),
            }
        }
        assert_eq!(got, 3);
    }

    #[test]
    fn no_room_is_not_the_end() {
        let (mut stream, _peer) = pair();
        assert_eq!(stream.read_vectored(&mut []), Ok(ReadOutcome::Data { n: 0, more: true }));
    }

    #[test]
    fn writes_gather_and_then_would_block() {
        let (mut stream, mut peer) = pair();
        let written = stream.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")]);
        assert_eq!(written, Ok(WriteOutcome::Written { n: 4 }));
        let mut got = [0; 4];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"abcd");
        let block = vec![0; 1 << 16];
        while stream.write_vectored(&[IoSlice::new(&block)]) != Ok(WriteOutcome::WouldBlock) {}
        assert_eq!(stream.flush(), Ok(true));
        assert!(!stream.wants_write());
    }

    #[test]
    fn after_shutdown_the_peer_reads_the_end_and_can_still_write() {
        let (mut stream, mut peer) = pair();
        stream.send_close_notify();
        stream.shutdown_write();
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
        peer.write_all(b"last").unwrap();
        let mut buffer = [0; 8];
        let outcome = read(&mut stream, &mut [IoSliceMut::new(&mut buffer)]);
        assert!(matches!(outcome, Ok(ReadOutcome::Data { n: 4, .. })), "{outcome:?}");
    }

    #[test]
    fn a_reset_carries_phase_and_number() {
        let (mut stream, peer) = pair();
        stream.set_phase(Phase::Open);
        socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(peer);
        let mut buffer = [0; 8];
        let error = read(&mut stream, &mut [IoSliceMut::new(&mut buffer)]).unwrap_err();
        assert_eq!((error.kind, error.phase), (ErrorKind::Reset, Phase::Open));
        assert_ne!(error.os_code, 0);
        assert!(error.message.starts_with(READING), "{}", error.message);
    }
}
