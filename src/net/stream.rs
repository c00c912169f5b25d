//! A connected stream, plain or inside TLS, that never blocks.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use mio::net::TcpStream;

use super::options::SHORT_READ_MEANS_DRAINED;
use super::tls::{TlsConnector, TlsStream};
use crate::error::{Error, Phase};

pub struct Stream {
    tcp: TcpStream,
    tls: Option<TlsStream>,
    /// For errors: how far the connection has come.
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    WouldBlock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// `more`: another read may bring bytes now. Readiness is reported by edges, so the caller
    /// must go on reading while it is set.
    Data {
        n: usize,
        more: bool,
    },
    WouldBlock,
    Eof,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    Written(usize),
    WouldBlock,
}

impl Stream {
    pub fn plain(tcp: TcpStream) -> Self {
        Self { tcp, tls: None, phase: Phase::Upgrade }
    }

    /// A stream whose [`handshake`](Self::handshake) is still to be driven.
    pub fn secure(tcp: TcpStream, connector: &TlsConnector, host: &str) -> Result<Self, Error> {
        Ok(Self { tcp, tls: Some(TlsStream::new(connector, host)?), phase: Phase::Tls })
    }

    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    pub fn handshake(&mut self) -> Result<Progress, Error> {
        match &mut self.tls {
            Some(tls) => tls.handshake(&mut self.tcp),
            None => Ok(Progress::Done),
        }
    }

    /// Reads into the buffers, in order; one system call for a plain stream.
    pub fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        if let Some(tls) = &mut self.tls {
            return tls.read_vectored(&mut self.tcp, buffers, self.phase);
        }
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        loop {
            return match self.tcp.read_vectored(buffers) {
                Ok(0) if room > 0 => Ok(ReadOutcome::Eof),
                Ok(n) => Ok(ReadOutcome::Data { n, more: n == room || !SHORT_READ_MEANS_DRAINED }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(ReadOutcome::WouldBlock),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(Error::io(self.phase, "reading from the connection failed", &error)),
            };
        }
    }

    /// Writes from the buffers, in order; one system call for a plain stream.
    pub fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        if let Some(tls) = &mut self.tls {
            return tls.write_vectored(&mut self.tcp, buffers, self.phase);
        }
        loop {
            return match self.tcp.write_vectored(buffers) {
                Ok(n) => Ok(WriteOutcome::Written(n)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(WriteOutcome::WouldBlock),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(Error::io(self.phase, "writing to the connection failed", &error)),
            };
        }
    }

    /// Encrypted bytes still wait for the network.
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(TlsStream::wants_write)
    }

    /// Hands waiting bytes to the network; whether all of them.
    pub fn flush(&mut self) -> Result<bool, Error> {
        match &mut self.tls {
            Some(tls) => tls.flush(&mut self.tcp, self.phase),
            None => Ok(true),
        }
    }
}
