//! TLS on a connected, non-blocking socket.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use rustls::ClientConnection;
#[cfg(test)]
use rustls::ProtocolVersion;
use rustls::pki_types::{DnsName, ServerName};

use super::TlsConnector;
#[cfg(test)]
use super::TlsVersion;
use super::explain::{self, explain, in_words};
use super::verify::take_refused;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits;
use crate::net::resolve::literal;
use crate::net::stream::{Link, Progress, READING, ReadOutcome, WRITING, WriteOutcome};

/// One TLS connection. The socket is lent to each call.
pub struct TlsStream {
    tls: ClientConnection,
    host: Box<str>,
    /// The peer sent close_notify: nothing follows.
    peer_closed: bool,
    /// The end of reading, which may have been found behind plaintext that goes first.
    failed: Option<Box<Error>>,
}

impl TlsStream {
    /// A name goes out as SNI and must be in the certificate; so must an address, which never goes
    /// out (RFC 6066 section 3).
    pub fn new(connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        let refuse =
            |why: &str| Error::new(ErrorKind::Tls, Phase::Tls, format!("TLS with \"{host}\": {why}"));
        let name = match literal(host, 0) {
            Some(address) => ServerName::IpAddress(address.ip().into()),
            None => DnsName::try_from(host.to_owned())
                .map(ServerName::DnsName)
                .map_err(|_| refuse("a certificate cannot be checked for what is not a host name"))?,
        };
        let mut tls = ClientConnection::new(connector.config.clone(), name)
            .map_err(|error| refuse(&in_words(&error)))?;
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
                Ok(0) => return Err(explain::end_in_handshake(&self.host, link.phase)),
                Ok(_) => self.process(link)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::WouldBlock),
                Err(error) => return Err(Error::io(link.phase, READING, &error)),
            }
        }
    }

    /// Delivers plaintext that is there, then reads the socket once when there is room left.
    pub fn read(&mut self, link: Link<'_>, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        let mut out = Fill::new(buffers);
        self.deliver(&mut out);
        if out.room() == 0 || (out.filled > 0 && (self.peer_closed || self.failed.is_some())) {
            return Ok(ReadOutcome::Data { n: out.filled, more: true });
        }
        if let Some(error) = &self.failed {
            // What came before it may have brought the connection further.
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
            // The socket says so again next time.
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

    /// Takes plaintext only when no record waits any more: what a stalled network holds up stays
    /// with the caller, who counts it.
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

    /// Hands records to the kernel. True when none is left.
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

    /// One read of the socket, decrypted into `out`. What does not fit there stays in rustls.
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
            // Taken rather than borrowed: what runs meanwhile may log, and loggers are the host's.
            let mut scratch = CIPHERTEXT.take();
            scratch.resize(limits::READ_SIZE, 0);
            // No more than there is room for. Rustls refuses input while it holds more than one
            // record's worth of plaintext, and only the record that was begun earlier can exceed
            // the room then.
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
            // Empty is an error here, and the end is known from elsewhere.
            match self.tls.reader().read(gap) {
                Ok(0) | Err(_) => return,
                Ok(n) => out.advance(n),
            }
        }
    }

    fn process(&mut self, link: Link<'_>) -> Result<(), Error> {
        let owed = self.tls.wants_write();
        match self.tls.process_new_packets() {
            Ok(state) => {
                self.peer_closed |= state.peer_has_closed();
                // An answer to a key update (RFC 8446 section 4.6.3) has no other occasion. What
                // the network refused before waits for its edge.
                if owed { Ok(()) } else { self.flush(link).map(drop) }
            }
            Err(error) => {
                // RFC 8446 section 6.2: the alert goes out before the connection ends.
                let _ = self.tls.write_tls(&mut Socket::new(link));
                Err(self.explained(&error, link.phase))
            }
        }
    }

    /// A server that is not content sends an alert and closes; the write that fails then may come
    /// before the read that tells why.
    fn write_failed(&mut self, link: Link<'_>, error: io::Error) -> Error {
        const READS: usize = 8;
        for _ in 0..READS {
            if !matches!(self.tls.read_tls(&mut Socket::new(link)), Ok(1..)) {
                break;
            }
            match self.tls.process_new_packets() {
                Ok(state) => self.peer_closed |= state.peer_has_closed(),
                Err(error) => return self.explained(&error, link.phase),
            }
        }
        Error::io(link.phase, WRITING, &error)
    }

    fn explained(&self, error: &rustls::Error, phase: Phase) -> Error {
        let spoke_tls = self.tls.protocol_version().is_some();
        explain(error, &explain::Context { host: &self.host, phase, spoke_tls, refused: take_refused() })
    }
}

/// With less room than this rustls reads the socket itself, which it does in pieces of this size.
const SMALL_READ: usize = 4 << 10;

thread_local! {
    /// What one read of the socket brought, until rustls has taken it: 16 times fewer calls into
    /// the system than rustls alone makes, for one buffer per worker.
    static CIPHERTEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

enum Received {
    Bytes { drained: bool },
    WouldBlock,
    Eof,
}

/// The socket as rustls wants it.
struct Socket<'a> {
    link: Link<'a>,
    /// The last read emptied it.
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

/// Buffers that are filled one after the other.
struct Fill<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    /// Where the gap begins: the buffer, and how far it is filled.
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

    /// The rest of the first buffer that is not full.
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
