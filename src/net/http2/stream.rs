//! One WebSocket's stream of a shared connection, read and written like a socket of its own.

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

use super::explain::{self, explain};
use super::fields;
use super::pipe::Pipe;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::HTTP2_SEND_BUFFER;
use crate::net::stream::{ReadOutcome, WriteOutcome};
use crate::wire::response::{ResponseHead, ResponseHeaders, field_text};

/// A stream of a shared connection. Dropping it resets it, unless both sides had ended theirs.
pub struct Http2Stream {
    response: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    send: SendStream<Bytes>,
    waker: Waker,
    /// What `h2` gave out in one piece and did not fit.
    chunk: Bytes,
    /// What was fetched from `h2` while nobody wanted to read.
    stash: VecDeque<u8>,
    phase: Phase,
    ended: bool,
    pipe: Rc<RefCell<Pipe>>,
    _counted: Counted,
}

/// The stream in its connection's count.
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

    /// The phase that errors carry from here on.
    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// The server's answer, once, when it is there.
    pub fn head(&mut self) -> Result<Option<ResponseHead>, Error> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let context = &mut Context::from_waker(&self.waker);
        let (parts, body) = match Pin::new(response).poll(context) {
            Poll::Pending => return Ok(None),
            Poll::Ready(Ok(response)) => response.into_parts(),
            Poll::Ready(Err(error)) => return Err(self.explained(&error)),
        };
        self.response = None;
        self.receive = Some(body);
        let mut headers = ResponseHeaders::default();
        for (name, value) in &parts.headers {
            let name = fields::sent_as(name.as_str());
            if fields::is_malformed_in_refusal(name) && !parts.status.is_success() {
                return Err(explain::broke_rules(Reason::PROTOCOL_ERROR, self.phase));
            }
            headers.push(name, &field_text(name, value.as_bytes()));
        }
        let status = parts.status.as_u16();
        Ok(Some(ResponseHead { status, reason: String::new(), version: 1, headers }))
    }

    /// Reads what has come. What was read, and only that, is asked for again.
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
                            // What came before goes first; the error stays where it is.
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
                // Fails only for more than was received.
                let _ = receive.flow_control().release_capacity(n);
            }
            return Ok(ReadOutcome::Data { n, more: true });
        }
        Ok(if self.ended { ReadOutcome::Eof { clean: true } } else { ReadOutcome::WouldBlock })
    }

    /// Takes what has come out of `h2`, which keeps every small frame on its own, while nobody reads:
    /// never more than the window, for it is not asked for again.
    pub fn hold(&mut self) {
        if !self.chunk.is_empty() && self.stash.is_empty() {
            self.stash.extend(std::mem::take(&mut self.chunk).as_ref());
        }
        // An error is found again by the next read.
        while let Ok(Some(chunk)) = self.next_chunk() {
            self.stash.extend(chunk.as_ref());
        }
    }

    /// Takes as much as the server's windows, and a buffer of its own, have room for.
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
                Poll::Ready(Some(Err(error))) => return Err(self.explained(&error)),
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
            Err(error) => Err(self.explained(&error)),
        }
    }

    /// Says, behind everything written, that nothing follows (RFC 8441 section 5: in place of TCP's
    /// FIN). Where the server has ended its side the reset that dropping brings says it as well, and
    /// there are servers (hypercorn 0.18) that forget a stream then and lose their head, and with it the
    /// whole connection, over any further data.
    pub fn end(&mut self) {
        if !self.ended {
            // Fails only when the stream is gone already.
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }

    /// The next piece; none when there is none yet, or none will come.
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
                Poll::Ready(Some(Err(error))) => return Err(self.explained(&error)),
                Poll::Ready(None) => self.ended = true,
            }
        }
    }

    /// The server takes no more.
    fn write_ended(&mut self) -> Error {
        match self.send.poll_reset(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Ok(reason)) => match &self.pipe.borrow().failed {
                Some(below) => Error { phase: self.phase, ..below.clone() },
                None => explain::reset(reason, self.phase),
            },
            Poll::Ready(Err(error)) => self.explained(&error),
            Poll::Pending => {
                Error::new(ErrorKind::Reset, self.phase, "the WebSocket's HTTP/2 stream has ended")
            }
        }
    }

    fn explained(&self, error: &h2::Error) -> Error {
        explain(error, self.pipe.borrow().failed.as_ref(), self.phase)
    }
}
