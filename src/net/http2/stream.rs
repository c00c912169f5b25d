//! One stream of a shared HTTP/2 connection, read and written like a socket.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{IoSlice, IoSliceMut, Read};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};

use super::error;
use super::field_filter;
use super::pipe::Pipe;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::HTTP2_SEND_BUFFER;
use crate::net::stream::{ReadOutcome, WriteOutcome};
use crate::wire::response::{ResponseHead, ResponseHeaders, field_text};

/// A stream of a shared connection. Dropping it resets the stream, unless both sides have ended it.
pub struct Http2Stream {
    response: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    send: SendStream<Bytes>,
    waker: Waker,
    /// The rest of a chunk from `h2` that did not fit into the buffers.
    chunk: Bytes,
    /// Data taken from `h2` while the owner was not reading.
    stash: VecDeque<u8>,
    phase: Phase,
    ended: bool,
    pipe: Rc<RefCell<Pipe>>,
    _counted: Counted,
}

/// Counts the stream in its connection while it exists.
pub struct Counted(Rc<Cell<usize>>);

impl Counted {
    pub fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Http2Stream {
    pub(super) fn new(
        (response, send): (ResponseFuture, SendStream<Bytes>),
        waker: Waker,
        pipe: Rc<RefCell<Pipe>>,
        counted: Counted,
    ) -> Self {
        Self {
            response: Some(response),
            receive: None,
            send,
            waker,
            chunk: Bytes::new(),
            stash: VecDeque::new(),
            phase: Phase::Upgrade,
            ended: false,
            pipe,
            _counted: counted,
        }
    }

    /// Sets the phase of errors.
    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Returns the head of the response once, when it has arrived.
    pub fn head(&mut self) -> Result<Option<ResponseHead>, Error> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let context = &mut Context::from_waker(&self.waker);
        let (parts, body) = match Pin::new(response).poll(context) {
            Poll::Pending => return Ok(None),
            Poll::Ready(Ok(response)) => response.into_parts(),
            Poll::Ready(Err(error)) => return Err(self.to_error(&error)),
        };
        self.response = None;
        self.receive = Some(body);
        let mut headers = ResponseHeaders::default();
        for (name, value) in &parts.headers {
            let name = field_filter::sent_as(name.as_str());
            if field_filter::is_malformed_in_refusal(name) && !parts.status.is_success() {
                return Err(error::violation(Reason::PROTOCOL_ERROR, self.phase));
            }
            headers.push(name, &field_text(name, value.as_bytes()));
        }
        let status = parts.status.as_u16();
        Ok(Some(ResponseHead { status, reason: String::new(), version: 1, headers }))
    }

    /// Reads received data. The flow-control window grows by exactly what was read.
    pub fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Result<ReadOutcome, Error> {
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut n = 0;
        for buffer in buffers {
            let mut gap = &mut buffer[..];
            while !gap.is_empty() {
                let count = if self.stash.is_empty() {
                    if self.chunk.is_empty() {
                        match self.next_chunk() {
                            Ok(Some(chunk)) => self.chunk = chunk,
                            Ok(None) => break,
                            // Return the data first; the next read finds the error again.
                            Err(_) if n > 0 => break,
                            Err(error) => return Err(error),
                        }
                    }
                    let count = gap.len().min(self.chunk.len());
                    self.chunk.copy_to_slice(&mut gap[..count]);
                    count
                } else {
                    // Reading from memory cannot fail.
                    self.stash.read(gap).unwrap_or(0)
                };
                n += count;
                gap = &mut gap[count..];
            }
        }
        if n > 0 || room == 0 {
            if let Some(receive) = &mut self.receive {
                // Fails only if more is released than was received.
                let _ = receive.flow_control().release_capacity(n);
            }
            return Ok(ReadOutcome::Data { n, more: true });
        }
        Ok(if self.ended { ReadOutcome::Eof { clean: true } } else { ReadOutcome::WouldBlock })
    }

    /// Moves received data out of `h2`, which stores every small frame separately, while the owner is not
    /// reading. Bounded by the window, which does not grow.
    pub fn hold(&mut self) {
        if !self.chunk.is_empty() && self.stash.is_empty() {
            self.stash.extend(std::mem::take(&mut self.chunk).as_ref());
        }
        // The next read finds an error again.
        while let Ok(Some(chunk)) = self.next_chunk() {
            self.stash.extend(chunk.as_ref());
        }
    }

    /// Accepts as much as the server's windows and the send buffer allow.
    pub fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> Result<WriteOutcome, Error> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum::<usize>().min(HTTP2_SEND_BUFFER);
        if wanted == 0 {
            return Ok(WriteOutcome::Written { n: 0 });
        }
        self.send.reserve_capacity(wanted);
        let mut capacity = self.send.capacity();
        if capacity == 0 {
            let context = &mut Context::from_waker(&self.waker);
            capacity = match self.send.poll_capacity(context) {
                Poll::Pending => return Ok(WriteOutcome::WouldBlock),
                Poll::Ready(Some(Ok(capacity))) => capacity,
                Poll::Ready(Some(Err(error))) => return Err(self.to_error(&error)),
                Poll::Ready(None) => return Err(self.write_ended()),
            };
        }
        let n = wanted.min(capacity);
        let mut bytes = BytesMut::with_capacity(n);
        for buffer in buffers {
            let count = buffer.len().min(n - bytes.len());
            bytes.extend_from_slice(&buffer[..count]);
        }
        match self.send.send_data(bytes.freeze(), false) {
            Ok(()) => Ok(WriteOutcome::Written { n }),
            Err(error) => Err(self.to_error(&error)),
        }
    }

    /// See [`Stream::limit_unsent`](crate::net::stream::Stream::limit_unsent). Affects all streams of the connection.
    pub fn limit_unsent(&mut self) {
        self.pipe.borrow_mut().stream.limit_unsent();
    }

    /// Ends the sending side after everything written (RFC 8441 section 5, the equivalent of a TCP FIN). Does
    /// nothing if the server has ended its side: the reset on drop is enough then, and some servers
    /// (hypercorn 0.18) close the whole connection if they receive further data on such a stream.
    pub fn end(&mut self) {
        if !self.ended {
            // Fails only if the stream is closed already.
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }

    /// Returns the next chunk, if one has arrived.
    fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(receive) = &mut self.receive else { return Ok(None) };
            if self.ended {
                return Ok(None);
            }
            match receive.poll_data(&mut Context::from_waker(&self.waker)) {
                Poll::Pending => return Ok(None),
                Poll::Ready(Some(Ok(chunk))) if chunk.is_empty() => {}
                Poll::Ready(Some(Ok(chunk))) => return Ok(Some(chunk)),
                Poll::Ready(Some(Err(error))) => return Err(self.to_error(&error)),
                Poll::Ready(None) => self.ended = true,
            }
        }
    }

    /// Returns the error for a stream that the server has closed for writing.
    fn write_ended(&mut self) -> Error {
        match self.send.poll_reset(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Ok(reason)) => match &self.pipe.borrow().failed {
                Some(below) => Error { phase: self.phase, ..below.clone() },
                None => error::reset(reason, self.phase),
            },
            Poll::Ready(Err(error)) => self.to_error(&error),
            Poll::Pending => {
                Error::new(ErrorKind::Reset, self.phase, "the WebSocket's HTTP/2 stream has ended")
            }
        }
    }

    fn to_error(&self, error: &h2::Error) -> Error {
        error::from_h2(error, self.pipe.borrow().failed.as_ref(), self.phase)
    }
}
