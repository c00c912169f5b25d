//! TLS over a socket that never blocks.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::explain;
use super::settings::TlsConnector;
use crate::error::{Error, ErrorKind, Phase};
use crate::net::stream::{Progress, ReadOutcome, WriteOutcome};

/// Plaintext that waits, encrypted, for the network: two full writes of ours go in whole.
const SEND_BUFFER: usize = 128 << 10;

pub struct TlsStream {
    connection: Box<ClientConnection>,
    host: Arc<str>,
    /// The peer has ended its side.
    ended: bool,
}

impl TlsStream {
    pub fn new(connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        // Names and addresses alike: both are checked against the certificate; only names are sent
        // (RFC 6066 section 3).
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::new(ErrorKind::Tls, Phase::Tls, format!("{host} is no name that a certificate can be for"))
                .with_retriable(false)
        })?;
        let mut connection = ClientConnection::new(connector.0.clone(), name)
            .map_err(|error| explain::explain(&error, host, Phase::Tls))?;
        connection.set_buffer_limit(Some(SEND_BUFFER));
        Ok(Self { connection: Box::new(connection), host: host.into(), ended: false })
    }

    pub fn handshake(&mut self, tcp: &mut TcpStream) -> Result<Progress, Error> {
        while self.connection.is_handshaking() {
            self.flush(tcp, Phase::Tls)?;
            if !self.connection.is_handshaking() {
                break;
            }
            match self.connection.read_tls(tcp) {
                Ok(0) => return Err(explain::ended_early(&self.host)),
                Ok(_) => self.process(tcp, Phase::Tls)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::WouldBlock),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(Phase::Tls, "the TLS handshake failed", &error)),
            }
        }
        self.flush(tcp, Phase::Tls)?;
        Ok(Progress::Done)
    }

    pub fn read_vectored(
        &mut self,
        tcp: &mut TcpStream,
        buffers: &mut [IoSliceMut<'_>],
        phase: Phase,
    ) -> Result<ReadOutcome, Error> {
        let mut total = 0;
        let mut drained = false;
        'buffers: for buffer in buffers.iter_mut() {
            let mut filled = 0;
            while filled < buffer.len() {
                match self.connection.reader().read(&mut buffer[filled..]) {
                    // The peer's close_notify.
                    Ok(0) => {
                        self.ended = true;
                        break 'buffers;
                    }
                    Ok(n) => {
                        filled += n;
                        total += n;
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // The peer ended TCP without it; what was received is authentic all the same,
                    // and a WebSocket says itself where it ends.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        self.ended = true;
                        break 'buffers;
                    }
                    Err(error) => return Err(Error::io(phase, "reading from TLS failed", &error)),
                }
                if drained {
                    break 'buffers;
                }
                match self.connection.read_tls(tcp) {
                    Ok(_) => {
                        // An error is reported once everything before it was given out.
                        if let Err(error) = self.process(tcp, phase) {
                            if total == 0 {
                                return Err(error);
                            }
                            break 'buffers;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => drained = true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if total == 0 => {
                        return Err(Error::io(phase, "reading from the connection failed", &error));
                    }
                    Err(_) => break 'buffers,
                }
            }
        }
        if total > 0 {
            return Ok(ReadOutcome::Data { n: total, more: !drained });
        }
        Ok(if self.ended { ReadOutcome::Eof } else { ReadOutcome::WouldBlock })
    }

    pub fn write_vectored(
        &mut self,
        tcp: &mut TcpStream,
        buffers: &[IoSlice<'_>],
        phase: Phase,
    ) -> Result<WriteOutcome, Error> {
        // Gathered, so that records are full before they are sealed.
        let accepted = self
            .connection
            .writer()
            .write_vectored(buffers)
            .map_err(|error| Error::io(phase, "writing to TLS failed", &error))?;
        self.flush(tcp, phase)?;
        Ok(if accepted == 0 { WriteOutcome::WouldBlock } else { WriteOutcome::Written(accepted) })
    }

    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    pub fn flush(&mut self, tcp: &mut TcpStream, phase: Phase) -> Result<bool, Error> {
        while self.connection.wants_write() {
            match self.connection.write_tls(tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(phase, "writing to the connection failed", &error)),
            }
        }
        Ok(true)
    }

    fn process(&mut self, tcp: &mut TcpStream, phase: Phase) -> Result<(), Error> {
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                // The peer learns the reason too, as far as the network takes it.
                let _ = self.flush(tcp, phase);
                Err(explain::explain(&error, &self.host, phase))
            }
        }
    }
}
