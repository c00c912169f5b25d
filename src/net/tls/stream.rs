//! A TLS connection over a non-blocking socket.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use mio::net::TcpStream;
use rustls::ClientConnection;
#[cfg(test)]
use rustls::ProtocolVersion;
use rustls::pki_types::{DnsName, ServerName};

#[cfg(test)]
use super::TlsVersion;
use super::error::{self, Context, describe};
use super::settings::TlsConnector;
use super::verify::take_refused;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits;
use crate::net::options;
use crate::net::outcome::{Progress, READING, ReadOutcome, WRITING, WriteOutcome};
use crate::net::resolve::literal;
use crate::net::simulated_link::Lower;

/// One TLS connection. Does not own the socket: each call borrows it as a [`Link`].
pub struct TlsStream {
    tls: ClientConnection,
    host: Box<str>,
    /// The peer sent close_notify.
    peer_closed: bool,
    /// An error found after plaintext that must be delivered first.
    failed: Option<Box<Error>>,
}

impl TlsStream {
    /// Creates a connection to `host`, which the certificate must contain. A name is sent as SNI, an address
    /// is not (RFC 6066 section 3).
    pub fn new(connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        let refuse =
            |why: &str| Error::new(ErrorKind::Tls, Phase::Tls, format!("TLS with \"{host}\": {why}"));
        let name = match literal(host, 0) {
            Some(address) => ServerName::IpAddress(address.ip().into()),
            None => DnsName::try_from(host.to_owned())
                .map(ServerName::DnsName)
                .map_err(|_| refuse("this is not a host name, so no certificate can match it"))?,
        };
        let mut tls = ClientConnection::new(connector.config.clone(), name)
            .map_err(|error| refuse(&describe(&error)))?;
        tls.set_buffer_limit(Some(limits::TLS_SEND_BUFFER));
        Ok(Self { tls, host: host.into(), peer_closed: false, failed: None })
    }

    pub fn handshake(&mut self, link: Link<'_>) -> Result<Progress, Error> {
        loop {
            self.flush(link)?;
            if !self.tls.is_handshaking() {
                return Ok(Progress::Done);
            }
            match self.tls.read_tls(&mut Socket::new(link)) {
                Ok(0) => return Err(error::closed_in_handshake(&self.host, link.phase)),
                Ok(_) => self.process(link)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::WouldBlock),
                Err(error) => return Err(Error::io(link.phase, READING, &error)),
            }
        }
    }

    /// Delivers available plaintext, then reads the socket once if the buffers are not full.
    pub fn read(&mut self, link: Link<'_>, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        let mut out = Fill::new(buffers);
        self.deliver(&mut out);
        if out.room() == 0 || (out.filled > 0 && (self.peer_closed || self.failed.is_some())) {
            return Ok(ReadOutcome::Data { n: out.filled, more: true });
        }
        if let Some(error) = &self.failed {
            // Data before the error may have advanced the connection to the next phase.
            return Err(Error { phase: link.phase, ..Error::clone(error) });
        }
        if self.peer_closed {
            return Ok(ReadOutcome::Eof { clean: true });
        }
        let more = match self.receive(link, &mut out) {
            Ok(Received::Bytes { drained }) => !drained || out.room() == 0 || self.peer_closed,
            Ok(Received::WouldBlock) if out.filled == 0 => return Ok(ReadOutcome::WouldBlock),
            Ok(Received::WouldBlock) => false,
            Ok(Received::Eof) if out.filled == 0 => return Ok(ReadOutcome::Eof { clean: false }),
            // The next read reports it again.
            Ok(Received::Eof) => true,
            Err(error) => {
                let error = self.failed.insert(Box::new(error));
                if out.filled == 0 {
                    return Err(Error::clone(error));
                }
                true
            }
        };
        Ok(ReadOutcome::Data { n: out.filled, more })
    }

    /// Accepts plaintext only if no records are pending, so that data stays in the caller's queue, which is
    /// bounded, while the network is stalled.
    pub fn write(&mut self, link: Link<'_>, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        if !self.flush(link)? {
            return Ok(WriteOutcome::WouldBlock);
        }
        let n = self
            .tls
            .writer()
            .write_vectored(buffers)
            .map_err(|error| Error::io(link.phase, WRITING, &error))?;
        self.flush(link)?;
        Ok(WriteOutcome::Written { n })
    }

    /// Writes pending records to the socket; returns whether none is left.
    pub fn flush(&mut self, link: Link<'_>) -> Result<bool, Error> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Socket::new(link)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.write_failed(link, error)),
            }
        }
        Ok(true)
    }

    pub fn wants_write(&self) -> bool {
        self.tls.wants_write()
    }

    pub fn send_close_notify(&mut self) {
        self.tls.send_close_notify();
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    #[cfg(test)]
    pub fn version(&self) -> Option<TlsVersion> {
        match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
            Some(_) => Some(TlsVersion::Tls12),
            None => None,
        }
    }

    /// Reads the socket once and decrypts into `out`. What does not fit stays in rustls.
    fn receive(&mut self, link: Link<'_>, out: &mut Fill) -> Result<Received, Error> {
        let (received, drained) = if out.room() < SMALL_READ {
            let mut socket = Socket::new(link);
            let received = self.tls.read_tls(&mut socket);
            if matches!(received, Ok(1..)) {
                let processed = self.process(link);
                self.deliver(out);
                processed?;
            }
            (received, socket.drained)
        } else {
            // Taken rather than borrowed: code that runs meanwhile may call the host's log function.
            let mut scratch = CIPHERTEXT.take();
            scratch.resize(limits::READ_SIZE, 0);
            // At most the size of the buffers: rustls rejects input while it holds more than one record of
            // plaintext, and this way only a record started earlier can exceed the buffers.
            let asked = out.room().min(scratch.len());
            let received = link.receive(&mut scratch[..asked]);
            let fed = match received {
                Ok(n) => self.feed(link, &scratch[..n], out),
                Err(_) => Ok(()),
            };
            CIPHERTEXT.set(scratch);
            fed?;
            let drained = link.short_read_drains() && matches!(received, Ok(n) if n < asked);
            (received, drained)
        };
        match received {
            Ok(0) => Ok(Received::Eof),
            Ok(_) => Ok(Received::Bytes { drained }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::WouldBlock),
            Err(error) => Err(Error::io(link.phase, READING, &error)),
        }
    }

    fn feed(&mut self, link: Link<'_>, mut ciphertext: &[u8], out: &mut Fill) -> Result<(), Error> {
        while !ciphertext.is_empty() && !self.peer_closed {
            self.tls.read_tls(&mut ciphertext).map_err(|error| Error::io(link.phase, READING, &error))?;
            let processed = self.process(link);
            self.deliver(out);
            processed?;
        }
        Ok(())
    }

    fn deliver(&mut self, out: &mut Fill) {
        while let Some(gap) = out.gap() {
            // An empty buffer is an error here; the end of stream is tracked elsewhere.
            match self.tls.reader().read(gap) {
                Ok(0) | Err(_) => return,
                Ok(n) => out.advance(n),
            }
        }
    }

    fn process(&mut self, link: Link<'_>) -> Result<(), Error> {
        let pending = self.tls.wants_write();
        match self.tls.process_new_packets() {
            Ok(state) => {
                self.peer_closed |= state.peer_has_closed();
                // Sends the response to a key update (RFC 8446 section 4.6.3). Records that would block
                // before wait for the next event.
                if pending { Ok(()) } else { self.flush(link).map(drop) }
            }
            Err(error) => {
                // RFC 8446 section 6.2: the alert is sent before the connection ends.
                let _ = self.tls.write_tls(&mut Socket::new(link));
                Err(self.to_error(&error, link.phase))
            }
        }
    }

    /// Returns the error for a failed write. A server that rejects the connection sends an alert and closes,
    /// and the write may fail before the alert is read: prefers the alert.
    fn write_failed(&mut self, link: Link<'_>, error: io::Error) -> Error {
        const READS: usize = 8;
        for _ in 0..READS {
            if !matches!(self.tls.read_tls(&mut Socket::new(link)), Ok(1..)) {
                break;
            }
            match self.tls.process_new_packets() {
                Ok(state) => self.peer_closed |= state.peer_has_closed(),
                Err(error) => return self.to_error(&error, link.phase),
            }
        }
        Error::io(link.phase, WRITING, &error)
    }

    fn to_error(&self, error: &rustls::Error, phase: Phase) -> Error {
        let spoke_tls = self.tls.protocol_version().is_some();
        error::from_rustls(error, &Context { host: &self.host, phase, spoke_tls, refused: take_refused() })
    }
}

/// The transport below a [`TlsStream`], borrowed for one call: the socket, or the layers on top of it.
#[derive(Clone, Copy)]
pub struct Link<'a> {
    tcp: &'a TcpStream,
    lower: Option<&'a Lower<TlsStream>>,
    /// Without `lower.outer`, for that layer itself.
    below_outer: bool,
    phase: Phase,
    short_read_drains: bool,
}

impl<'a> Link<'a> {
    pub fn new(
        tcp: &'a TcpStream,
        lower: Option<&'a Lower<TlsStream>>,
        phase: Phase,
        short_read_drains: bool,
    ) -> Self {
        Self { tcp, lower, below_outer: false, phase, short_read_drains }
    }

    /// Returns the transport below the outer TLS layer.
    pub fn below(&self) -> Link<'a> {
        Link { below_outer: true, ..*self }
    }

    /// Returns whether a short read means that the socket is drained.
    fn short_read_drains(&self) -> bool {
        // A lower layer may hold more data: only `WouldBlock` means drained.
        self.short_read_drains && self.lower.is_none_or(|lower| self.below_outer && lower.link.is_none())
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.lower {
            None => options::receive(self.tcp, buffer),
            Some(lower) => self.receive_through(lower, buffer),
        }
    }

    fn send(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.lower {
            None => options::send_vectored(self.tcp, buffers),
            Some(lower) => self.send_through(lower, buffers),
        }
    }

    #[cold]
    fn receive_through(&self, lower: &Lower<TlsStream>, buffer: &mut [u8]) -> io::Result<usize> {
        let outer = lower.outer.as_ref().filter(|_| !self.below_outer);
        let Some(outer) = outer else {
            return match &lower.link {
                Some(link) => link.borrow_mut().receive(self.tcp, &mut [IoSliceMut::new(buffer)]),
                None => options::receive(self.tcp, buffer),
            };
        };
        loop {
            match outer.borrow_mut().read(self.below(), &mut [IoSliceMut::new(buffer)]) {
                // A record without application data, such as a session ticket.
                Ok(ReadOutcome::Data { n: 0, more: true }) if !buffer.is_empty() => {}
                Ok(ReadOutcome::Data { n: 0, more: false } | ReadOutcome::WouldBlock) => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(ReadOutcome::Data { n, .. }) => return Ok(n),
                Ok(ReadOutcome::Eof { .. }) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    #[cold]
    fn send_through(&self, lower: &Lower<TlsStream>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let outer = lower.outer.as_ref().filter(|_| !self.below_outer);
        let Some(outer) = outer else {
            return match &lower.link {
                Some(link) => link.borrow_mut().send(self.tcp, buffers),
                None => options::send_vectored(self.tcp, buffers),
            };
        };
        match outer.borrow_mut().write(self.below(), buffers) {
            Ok(WriteOutcome::Written { n }) => Ok(n),
            Ok(WriteOutcome::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// Below this buffer size rustls reads the socket directly, which it does in pieces of this size.
const SMALL_READ: usize = 4 << 10;

thread_local! {
    /// Ciphertext of one read, until rustls has consumed it. One buffer per worker saves 15 of 16 system
    /// calls compared with reads by rustls.
    static CIPHERTEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

enum Received {
    Bytes { drained: bool },
    WouldBlock,
    Eof,
}

/// Adapts the link to `Read` and `Write` for rustls.
struct Socket<'a> {
    link: Link<'a>,
    /// The last read drained the socket.
    drained: bool,
}

impl<'a> Socket<'a> {
    fn new(link: Link<'a>) -> Self {
        Self { link, drained: false }
    }
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.link.receive(buffer)?;
        self.drained = self.link.short_read_drains() && n < buffer.len();
        Ok(n)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.link.send(&[IoSlice::new(buffer)])
    }
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.link.send(buffers)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills a list of buffers in order.
struct Fill<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    /// The position of the first free byte: buffer and offset.
    current: usize,
    offset: usize,
    filled: usize,
    size: usize,
}

impl<'a, 'b> Fill<'a, 'b> {
    fn new(buffers: &'a mut [IoSliceMut<'b>]) -> Self {
        let size = buffers.iter().map(|buffer| buffer.len()).sum();
        Self { buffers, current: 0, offset: 0, filled: 0, size }
    }

    fn room(&self) -> usize {
        self.size - self.filled
    }

    /// Returns the free part of the first buffer that is not full.
    fn gap(&mut self) -> Option<&mut [u8]> {
        while self.buffers.get(self.current)?.len() == self.offset {
            self.current += 1;
            self.offset = 0;
        }
        self.buffers.get_mut(self.current)?.get_mut(self.offset..)
    }

    fn advance(&mut self, n: usize) {
        self.offset += n;
        self.filled += n;
    }
}
