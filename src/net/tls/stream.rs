//! A TLS connection over a non-blocking socket.

use std::io::{self, IoSlice, IoSliceMut};

use mio::net::TcpStream;
#[cfg(test)]
use rustls::ProtocolVersion;
use rustls::pki_types::{DnsName, ServerName};

#[cfg(test)]
use super::TlsVersion;
use super::error::{self, Context, describe};
use super::records::{Fill, Records, with_scratch};
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
    records: Records,
    host: Box<str>,
    /// The socket has not accepted all of the records that it should.
    blocked: bool,
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
        let records =
            Records::new(connector.config.clone(), name).map_err(|error| refuse(&describe(&error)))?;
        Ok(Self { records, host: host.into(), blocked: false, failed: None })
    }

    /// Once done, the last records of the client may wait, for the next write or flush: they share its packet.
    pub fn handshake(&mut self, link: Link<'_>) -> Result<Progress, Error> {
        loop {
            if !self.records.is_handshaking() {
                return Ok(Progress::Done);
            }
            self.flush(link)?;
            match self.receive(link, &mut Fill::new(&mut []))? {
                Received::Bytes { .. } => {}
                Received::WouldBlock => return Ok(Progress::WouldBlock),
                Received::Eof => return Err(error::closed_in_handshake(&self.host, link.phase)),
            }
        }
    }

    /// Delivers available plaintext, then reads the socket once if the buffers are not full.
    pub fn read(&mut self, link: Link<'_>, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        let mut out = Fill::new(buffers);
        self.records.deliver(&mut out);
        let ended = self.records.peer_closed() || self.failed.is_some();
        if out.room() == 0 || (out.filled() > 0 && ended) {
            return Ok(ReadOutcome::Data { n: out.filled(), more: true });
        }
        if let Some(error) = &self.failed {
            // Data before the error may have advanced the connection to the next phase.
            return Err(Error { phase: link.phase, ..Error::clone(error) });
        }
        if ended {
            return Ok(ReadOutcome::Eof { clean: true });
        }
        let more = match self.receive_and_answer(link, &mut out) {
            Ok(Received::Bytes { drained }) => !drained || out.room() == 0 || self.records.peer_closed(),
            Ok(Received::WouldBlock) if out.filled() == 0 => return Ok(ReadOutcome::WouldBlock),
            Ok(Received::WouldBlock) => false,
            Ok(Received::Eof) if out.filled() == 0 => return Ok(ReadOutcome::Eof { clean: false }),
            // The next read reports it again.
            Ok(Received::Eof) => true,
            Err(error) => {
                let error = self.failed.insert(Box::new(error));
                if out.filled() == 0 {
                    return Err(Error::clone(error));
                }
                true
            }
        };
        Ok(ReadOutcome::Data { n: out.filled(), more })
    }

    /// Accepts plaintext only if no records are blocked, so that data stays in the caller's queue, which is
    /// bounded, while the network is stalled.
    pub fn write(&mut self, link: Link<'_>, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        if self.blocked && !self.flush(link)? {
            return Ok(WriteOutcome::WouldBlock);
        }
        with_scratch(|scratch| {
            let sealed =
                self.records.seal(buffers, scratch).map_err(|error| self.to_error(&error, link.phase))?;
            let records = &scratch[..sealed.records];
            if self.records.sealed().is_empty() {
                let written = self.write_records(link, records)?;
                self.records.sealed().extend(&records[written..]);
            } else {
                self.records.sealed().extend(records);
                self.flush(link)?;
            }
            Ok(WriteOutcome::Written { n: sealed.plaintext })
        })
    }

    /// Writes pending records to the socket; returns whether none is left.
    pub fn flush(&mut self, link: Link<'_>) -> Result<bool, Error> {
        if !self.records.wants_write() {
            return Ok(true);
        }
        let mut outgoing = std::mem::take(self.records.outgoing());
        let written = self.write_records(link, outgoing.bytes());
        outgoing.advance(*written.as_ref().unwrap_or(&0));
        *self.records.outgoing() = outgoing;
        written?;
        Ok(!self.records.wants_write())
    }

    pub fn wants_write(&self) -> bool {
        self.records.wants_write()
    }

    pub fn send_close_notify(&mut self) {
        self.records.send_close_notify();
    }

    pub fn alpn(&self) -> Option<&[u8]> {
        self.records.alpn()
    }

    #[cfg(test)]
    pub fn version(&self) -> Option<TlsVersion> {
        match self.records.version() {
            Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
            Some(_) => Some(TlsVersion::Tls12),
            None => None,
        }
    }

    /// Reads the socket once and decrypts into `out`. What does not fit waits for the next read.
    fn receive(&mut self, link: Link<'_>, out: &mut Fill<'_, '_>) -> Result<Received, Error> {
        with_scratch(|scratch| {
            let start = self.records.continue_in(scratch);
            // No more than has room after decryption, so that little has to wait.
            let most = out.room().saturating_sub(start).clamp(SMALL_READ, limits::READ_SIZE);
            if scratch.len() < start + most {
                scratch.resize(start + most, 0);
            }
            let n = match link.receive(&mut scratch[start..start + most]) {
                Ok(0) => return Ok(Received::Eof),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::WouldBlock),
                Err(error) => return Err(Error::io(link.phase, READING, &error)),
            };
            match self.records.open(&mut scratch[..start + n], out) {
                Ok(()) => Ok(Received::Bytes { drained: link.short_read_drains() && n < most }),
                Err(error) => {
                    // RFC 8446 section 6.2: the alert is sent before the connection ends.
                    let alert = std::mem::take(self.records.outgoing());
                    let _ = link.send(&[IoSlice::new(alert.bytes())]);
                    Err(self.to_error(&error, link.phase))
                }
            }
        })
    }

    fn receive_and_answer(&mut self, link: Link<'_>, out: &mut Fill<'_, '_>) -> Result<Received, Error> {
        let pending = self.records.wants_write();
        let received = self.receive(link, out)?;
        // Records that were blocked before wait for the next event.
        if !pending {
            self.flush(link)?;
        }
        Ok(received)
    }

    /// Writes until the socket accepts no more; returns the count.
    fn write_records(&mut self, link: Link<'_>, records: &[u8]) -> Result<usize, Error> {
        let mut written = 0;
        while written < records.len() {
            match link.send(&[IoSlice::new(&records[written..])]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.write_failed(link, &error)),
            }
        }
        self.blocked = written < records.len();
        Ok(written)
    }

    /// Returns the error for a failed write. A server that rejects the connection sends an alert and closes,
    /// and the write may fail before the alert is read: prefers the alert.
    fn write_failed(&mut self, link: Link<'_>, error: &io::Error) -> Error {
        const READS: usize = 8;
        for _ in 0..READS {
            match self.receive(link, &mut Fill::new(&mut [])) {
                Ok(Received::Bytes { .. }) => {}
                Err(error) if error.kind == ErrorKind::Tls => return error,
                _ => break,
            }
        }
        Error::io(link.phase, WRITING, error)
    }

    fn to_error(&self, error: &rustls::Error, phase: Phase) -> Error {
        let spoke_tls = self.records.version().is_some();
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

/// The least that is read at a time, even if the caller asks for less.
const SMALL_READ: usize = 4 << 10;

enum Received {
    Bytes { drained: bool },
    WouldBlock,
    Eof,
}
