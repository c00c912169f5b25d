//! What carries the bytes of one WebSocket: a TCP connection, or a stream of a shared HTTP/2 connection.

use std::io::{IoSlice, IoSliceMut};

use mio::event::Event;

use crate::engine::http2::LinkId;
use crate::error::{Error, Phase};
use crate::net::http2::Http2Stream;
use crate::net::stream::{ReadOutcome, Stream, WriteOutcome};

pub enum Transport {
    Own(Stream),
    Shared(Box<Http2Stream>),
}

impl Transport {
    /// The version of HTTP that is used.
    pub fn http_version(&self) -> u32 {
        match self {
            Transport::Own(_) => 1,
            Transport::Shared(_) => 2,
        }
    }

    /// See [`Stream::ready`]. Streams get no readiness events; their connection does.
    pub fn ready(&mut self, event: &Event) {
        if let Transport::Own(stream) = self {
            stream.ready(event);
        }
    }

    pub fn set_phase(&mut self, phase: Phase) {
        match self {
            Transport::Own(stream) => stream.set_phase(phase),
            Transport::Shared(stream) => stream.set_phase(phase),
        }
    }

    /// See [`Stream::limit_unsent`].
    pub fn limit_unsent(&mut self) {
        match self {
            Transport::Own(stream) => stream.limit_unsent(),
            Transport::Shared(stream) => stream.limit_unsent(),
        }
    }

    /// Ends the stream, after the closing handshake (RFC 6455 section 7.1.1).
    pub fn end(&mut self) {
        if let Transport::Shared(stream) = self {
            stream.end();
        }
    }

    #[inline]
    pub fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        match self {
            Transport::Own(stream) => stream.read_vectored(buffers),
            Transport::Shared(stream) => stream.read_vectored(buffers),
        }
    }

    #[inline]
    pub fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        match self {
            Transport::Own(stream) => stream.write_vectored(buffers),
            Transport::Shared(stream) => stream.write_vectored(buffers),
        }
    }

    /// See [`Stream::flush`]. A shared connection is flushed by the worker that drives it.
    #[inline]
    pub fn flush(&mut self) -> Result<bool, Error> {
        match self {
            Transport::Own(stream) => stream.flush(),
            Transport::Shared(_) => Ok(true),
        }
    }

    /// See [`Stream::needs_flush`].
    #[inline]
    pub fn needs_flush(&self) -> bool {
        match self {
            Transport::Own(stream) => stream.needs_flush(),
            Transport::Shared(_) => false,
        }
    }

    /// See [`Stream::has_records`].
    pub fn has_records(&self) -> bool {
        match self {
            Transport::Own(stream) => stream.has_records(),
            Transport::Shared(_) => false,
        }
    }

    /// See [`Stream::wants_write`].
    pub fn wants_write(&self) -> bool {
        match self {
            Transport::Own(stream) => stream.wants_write(),
            Transport::Shared(_) => false,
        }
    }
}

/// What will carry the upgrade request.
pub enum Carrier {
    Own(Box<Stream>),
    /// A stream of this connection, which is not open yet.
    Shared(LinkId),
}

impl Carrier {
    pub fn http_version(&self) -> u32 {
        match self {
            Carrier::Own(_) => 1,
            Carrier::Shared(_) => 2,
        }
    }
}
