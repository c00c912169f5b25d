//! A connected, non-blocking byte stream: TCP with up to two layers of TLS.
//!
//! ```text
//!   Stream ──► TLS to the server ──► TLS to a proxy ──► simulated link ──► TCP        each layer is optional
//! ```
//!
//! Readiness is edge-triggered: every result says whether more data may follow without a new event, and every
//! event must be passed to [`Stream::ready`] first.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};

use mio::event::Event;
use mio::net::TcpStream;

use super::link::LinkConditions;
use super::options::{self, SHORT_READ_MEANS_DRAINED};
pub use super::outcome::{Progress, ReadOutcome, WriteOutcome};
use super::outcome::{READING, WRITING};
use super::simulated_link::{Lower, SimulatedLink};
#[cfg(test)]
use super::tls::TlsVersion;
use super::tls::{Link, TlsConnector, TlsStream};
use crate::clock::Instant;
use crate::error::{Error, Phase};

/// A byte stream.
pub struct Stream {
    tcp: TcpStream,
    top: Top,
    /// The layers between `top` and TCP.
    lower: Option<Box<Lower<TlsStream>>>,
    phase: Phase,
    /// A FIN or reset may be pending for which no further event will come.
    may_have_ended: bool,
    limits_unsent: bool,
}

/// The layer that reads and writes use. One choice for each, so that a stream without a simulated link pays nothing
/// for it.
enum Top {
    Tcp,
    Tls(Box<TlsStream>),
    Link,
}

impl Stream {
    pub fn plain(tcp: TcpStream) -> Self {
        Self {
            tcp,
            top: Top::Tcp,
            lower: None,
            phase: Phase::Upgrade,
            may_have_ended: true,
            limits_unsent: false,
        }
    }

    /// Declares that the event for the connection announced no data.
    pub fn with_nothing_to_read(self) -> Self {
        Self { may_have_ended: false, ..self }
    }

    /// Adds TLS; the caller drives the handshake with [`handshake`](Self::handshake). `host` is the name or
    /// address from the URL.
    #[cfg(test)]
    pub fn secure(tcp: TcpStream, connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        Self::plain(tcp).secured(connector, host)
    }

    /// Adds a layer of TLS on top of this stream: a connection, or a tunnel through a proxy, with or without
    /// TLS.
    pub fn secured(self, connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        let tls = Box::new(TlsStream::new(connector, host)?);
        let mut lower = self.lower;
        if let Top::Tls(outer) = self.top {
            lower.get_or_insert_default().outer = Some(RefCell::new(*outer));
        }
        Ok(Self { top: Top::Tls(tls), lower, phase: Phase::Tls, ..self })
    }

    /// Sets the conditions of the simulated link; `None` for a perfect one. Then read and write again.
    pub fn set_link(&mut self, conditions: Option<&LinkConditions>, now: Instant) {
        match (self.lower.as_mut().and_then(|lower| lower.link.as_mut()), conditions) {
            (Some(link), conditions) => link.get_mut().set(conditions, now),
            (None, Some(conditions)) => {
                let link = SimulatedLink::new(conditions, now);
                self.lower.get_or_insert_default().link = Some(RefCell::new(link));
                if let Top::Tcp = self.top {
                    self.top = Top::Link;
                }
            }
            (None, None) => {}
        }
    }

    /// Processes a readiness event. Must be called for every event of the socket before the stream is used.
    ///
    /// One event may announce data and the end of the stream. A short read must not count as having drained
    /// the socket then, as no further event will come.
    pub fn ready(&mut self, event: &Event) {
        self.may_have_ended |= event.is_read_closed() || event.is_error();
        if let Some(link) = self.link() {
            link.borrow_mut().ready(event);
        }
    }

    /// Sets the phase of errors.
    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Continues the TLS handshake until it is done or would block. Done at once without TLS.
    pub fn handshake(&mut self) -> Result<Progress, Error> {
        let short_read_drains = self.short_read_drains();
        let Top::Tls(tls) = &mut self.top else { return Ok(Progress::Done) };
        crate::fault::point("net.secure");
        let progress =
            tls.handshake(Link::new(&self.tcp, self.lower.as_deref(), self.phase, short_read_drains))?;
        self.flush_lower()?;
        Ok(progress)
    }

    /// Reads into the buffers in order, with at most one system call.
    pub fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        crate::fault::point("net.read");
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if room == 0 {
            return Ok(ReadOutcome::Data { n: 0, more: true });
        }
        let short_read_drains = self.short_read_drains();
        let outcome = match &mut self.top {
            Top::Tls(tls) => {
                let link = Link::new(&self.tcp, self.lower.as_deref(), self.phase, short_read_drains);
                tls.read(link, buffers)?
            }
            Top::Tcp => match options::receive_vectored(&self.tcp, buffers) {
                Ok(0) => ReadOutcome::Eof { clean: true },
                Ok(n) => ReadOutcome::Data { n, more: n == room || !short_read_drains },
                Err(error) if error.kind() == ErrorKind::WouldBlock => ReadOutcome::WouldBlock,
                Err(error) => return Err(Error::io(self.phase, READING, &error)),
            },
            Top::Link => self.read_from_link(buffers)?,
        };
        if outcome == ReadOutcome::WouldBlock {
            // No end of stream is pending; a new event will announce it.
            self.may_have_ended = false;
        }
        Ok(outcome)
    }

    /// Writes from the buffers in order. TLS accepts nothing while earlier records are not written to the
    /// socket. After an error, data received before can still be read.
    pub fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        crate::fault::point("net.write");
        let short_read_drains = self.short_read_drains();
        let written = match &mut self.top {
            Top::Tls(tls) => {
                let link = Link::new(&self.tcp, self.lower.as_deref(), self.phase, short_read_drains);
                return tls.write(link, buffers);
            }
            Top::Tcp => options::send_vectored(&self.tcp, buffers),
            Top::Link => self.write_to_link(buffers),
        };
        match written {
            Ok(n) => Ok(WriteOutcome::Written { n }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(WriteOutcome::WouldBlock),
            Err(error) => Err(Error::io(self.phase, WRITING, &error)),
        }
    }

    /// Writes pending TLS records to the socket, and what has passed the simulated link; returns whether no record
    /// is left.
    pub fn flush(&mut self) -> Result<bool, Error> {
        let short_read_drains = self.short_read_drains();
        let flushed = match &mut self.top {
            Top::Tls(tls) => {
                tls.flush(Link::new(&self.tcp, self.lower.as_deref(), self.phase, short_read_drains))?
            }
            Top::Tcp => return Ok(true),
            Top::Link => true,
        };
        Ok(self.flush_lower()? && flushed)
    }

    /// Returns whether [`flush`](Self::flush) must be called after reading and writing.
    pub fn needs_flush(&self) -> bool {
        match &self.top {
            Top::Tcp => false,
            Top::Tls(tls) if self.lower.is_none() => tls.wants_write(),
            Top::Tls(_) => self.has_records() || self.link().is_some(),
            Top::Link => true,
        }
    }

    /// Returns whether TLS records are pending: [`flush`](Self::flush) must be called when the socket becomes
    /// writable.
    pub fn has_records(&self) -> bool {
        let outer = self.lower.as_ref().and_then(|lower| lower.outer.as_ref());
        matches!(&self.top, Top::Tls(tls) if tls.wants_write())
            || outer.is_some_and(|outer| outer.borrow().wants_write())
    }

    /// Returns whether accepted bytes have not reached the kernel yet.
    pub fn wants_write(&self) -> bool {
        self.has_records() || self.link().is_some_and(|link| link.borrow().has_unsent())
    }

    /// Returns whether there is a simulated link.
    pub fn has_link(&self) -> bool {
        self.link().is_some()
    }

    /// Returns when [`wake_link`](Self::wake_link) must be called, which may be in the past.
    pub fn link_deadline(&self) -> Option<Instant> {
        self.link()?.borrow().deadline()
    }

    /// Processes a deadline of the simulated link, if there is one, after which reading, writing and flushing must
    /// be tried again. Returns whether there is one.
    pub fn wake_link(&mut self) -> bool {
        let link = self.link();
        link.inspect(|link| link.borrow_mut().wake()).is_some()
    }

    /// Keeps little in the kernel that is not sent yet, so that messages wait where they can be overtaken.
    pub fn limit_unsent(&mut self) {
        if !self.limits_unsent {
            self.limits_unsent = true;
            options::limit_unsent(&self.tcp);
        }
    }

    /// Queues close_notify (RFC 8446 section 6.1). Flush, then call [`shutdown_write`](Self::shutdown_write).
    pub fn send_close_notify(&mut self) {
        if let Top::Tls(tls) = &mut self.top {
            tls.send_close_notify();
        }
    }

    /// Sends a FIN after everything written.
    pub fn shutdown_write(&mut self) {
        if let Some(link) = self.link() {
            return link.borrow_mut().shutdown_write(&self.tcp);
        }
        // Fails only if the connection is closed, which the next read reports.
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Returns the socket, for registration and deregistration.
    pub fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Returns the local address and the peer's.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.tcp.local_addr().ok().zip(self.tcp.peer_addr().ok())
    }

    /// Returns the protocol that the server selected (ALPN, RFC 7301), after the handshake.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.top {
            Top::Tls(tls) => tls.alpn(),
            Top::Tcp | Top::Link => None,
        }
    }

    #[cfg(test)]
    pub fn tls_version(&self) -> Option<TlsVersion> {
        match &self.top {
            Top::Tls(tls) => tls.version(),
            Top::Tcp | Top::Link => None,
        }
    }

    fn link(&self) -> Option<&RefCell<SimulatedLink>> {
        self.lower.as_ref()?.link.as_ref()
    }

    #[cold]
    fn read_from_link(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        let Some(link) = self.link() else { return Ok(ReadOutcome::WouldBlock) };
        match link.borrow_mut().receive(&self.tcp, buffers) {
            Ok(0) => Ok(ReadOutcome::Eof { clean: true }),
            Ok(n) => Ok(ReadOutcome::Data { n, more: true }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(ReadOutcome::WouldBlock),
            Err(error) => Err(Error::io(self.phase, READING, &error)),
        }
    }

    #[cold]
    fn write_to_link(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.link() {
            Some(link) => link.borrow_mut().send(&self.tcp, buffers),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Writes pending records of the outer TLS layer, and what has passed the link; returns whether no record is
    /// left.
    fn flush_lower(&mut self) -> Result<bool, Error> {
        let Some(lower) = self.lower.as_deref() else { return Ok(true) };
        let link = Link::new(&self.tcp, Some(lower), self.phase, false).below();
        let flushed = match &lower.outer {
            Some(outer) => outer.borrow_mut().flush(link)?,
            None => true,
        };
        if let Some(link) = &lower.link {
            let pumped = link.borrow_mut().pump(&self.tcp);
            pumped.map_err(|error| Error::io(self.phase, WRITING, &error))?;
        }
        Ok(flushed)
    }

    fn short_read_drains(&self) -> bool {
        SHORT_READ_MEANS_DRAINED && !self.may_have_ended
    }
}

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

    /// Reads until data arrives, as loopback delivers with a delay.
    fn read(stream: &mut Stream, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        loop {
            match stream.read_vectored(buffers) {
                Ok(ReadOutcome::WouldBlock) => std::thread::yield_now(),
                outcome => return outcome,
            }
        }
    }

    #[test]
    fn full_buffer_means_more_and_short_read_does_not() {
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

    /// With epoll, one event announces both the end of stream and the data before it.
    #[test]
    fn end_of_stream_after_data_is_detected() {
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
    fn empty_buffers_are_not_end_of_stream() {
        let (mut stream, _peer) = pair();
        assert_eq!(stream.read_vectored(&mut []), Ok(ReadOutcome::Data { n: 0, more: true }));
    }

    #[test]
    fn vectored_writes_block_when_socket_is_full() {
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
    fn peer_can_write_after_our_shutdown() {
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
    fn reset_has_phase_and_os_code() {
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
