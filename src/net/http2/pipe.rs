//! Adapts the non-blocking stream to `AsyncRead` and `AsyncWrite` for `h2`.
//!
//! Registers no wakers: the owner drives the connection at every readiness event.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::field_filter::FieldFilter;
use crate::error::Error;
use crate::limits::{HTTP2_READ_PER_TURN, READ_SIZE};
use crate::net::stream::{ReadOutcome, Stream, WriteOutcome};

/// The stream below a connection, and its state.
pub struct Pipe {
    pub stream: Stream,
    /// Applied to everything that is read; `None` on the server side.
    filter: Option<FieldFilter>,
    /// Data of one read that `h2` has not consumed yet: it reads 8 KiB at a time.
    ahead: Box<[u8]>,
    taken: usize,
    filled: usize,
    /// There is nothing to read until the next event.
    drained: bool,
    /// The bytes that may still be read in this turn.
    allowance: usize,
    /// The turn ended because of the allowance.
    pub has_more: bool,
    /// Bytes were received, or sent, since the flag was last taken.
    pub received: bool,
    pub sent: bool,
    /// Writing would block until the next event.
    pub blocked: bool,
    close_notify_sent: bool,
    /// Why the stream failed.
    pub failed: Option<Error>,
    pub ended: bool,
}

impl Pipe {
    pub fn new(stream: Stream, filter: Option<FieldFilter>) -> Self {
        Self {
            stream,
            filter,
            ahead: vec![0; READ_SIZE].into_boxed_slice(),
            taken: 0,
            filled: 0,
            drained: false,
            allowance: 0,
            has_more: false,
            received: false,
            sent: false,
            blocked: false,
            close_notify_sent: false,
            failed: None,
            ended: false,
        }
    }

    #[cfg(test)]
    pub fn simulate_readiness(&mut self) {
        self.drained = false;
        self.begin_turn();
    }

    /// Starts a turn, with or without an event.
    pub fn begin_turn(&mut self) {
        self.allowance = HTTP2_READ_PER_TURN;
        self.has_more = false;
        self.blocked = false;
    }

    pub fn ready(&mut self, event: &mio::event::Event) {
        self.stream.ready(event);
        self.drained = false;
    }

    /// A deadline of the simulated link has passed.
    pub fn wake_link(&mut self) {
        self.stream.wake_link();
        self.drained = false;
        if let Err(error) = self.stream.flush() {
            self.fail(error);
        }
    }

    /// Reads once if the buffer is empty. Ready without bytes at the end of the stream.
    fn fill(&mut self) -> Poll<io::Result<()>> {
        while self.taken == self.filled && !self.ended {
            if self.drained {
                return Poll::Pending;
            }
            if self.allowance == 0 {
                self.has_more = true;
                return Poll::Pending;
            }
            match self.stream.read_vectored(&mut [IoSliceMut::new(&mut self.ahead)]) {
                Ok(ReadOutcome::Data { n, more }) => {
                    if let Some(filter) = &mut self.filter {
                        filter.pass(&mut self.ahead[..n]);
                    }
                    (self.taken, self.filled) = (0, n);
                    self.drained = !more;
                    self.received |= n > 0;
                    self.allowance = self.allowance.saturating_sub(n.max(1));
                }
                Ok(ReadOutcome::WouldBlock) => self.drained = true,
                Ok(ReadOutcome::Eof { .. }) => self.ended = true,
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.stream.write_vectored(buffers) {
            Ok(WriteOutcome::Written { n }) => {
                self.sent = true;
                Poll::Ready(Ok(n))
            }
            Ok(WriteOutcome::WouldBlock) => {
                self.blocked = true;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(self.fail(error))),
        }
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        let wanted = self.stream.has_records();
        match self.stream.flush() {
            Ok(true) => {
                self.sent |= wanted;
                Poll::Ready(Ok(()))
            }
            Ok(false) => {
                self.blocked = true;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(self.fail(error))),
        }
    }

    fn shutdown(&mut self) -> Poll<io::Result<()>> {
        if !self.close_notify_sent {
            self.close_notify_sent = true;
            self.stream.send_close_notify();
        }
        let flushed = self.flush();
        if flushed.is_ready() {
            self.stream.shutdown_write();
        }
        flushed
    }

    /// Stores the error, as `h2` cannot carry all of it.
    fn fail(&mut self, error: Error) -> io::Error {
        let carried = match error.os_code {
            0 => io::Error::other(error.message.clone()),
            code => io::Error::from_raw_os_error(code),
        };
        self.failed.get_or_insert(error);
        carried
    }
}

/// The handle to the pipe that `h2` owns.
pub struct Io(pub Rc<RefCell<Pipe>>);

/// Converts a panic to an error. `h2` calls with its lock held: a panic would poison it for every stream,
/// while an error is passed to each.
fn guarded<T>(transfer: impl FnOnce() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    catch_unwind(AssertUnwindSafe(transfer))
        .unwrap_or_else(|_| Poll::Ready(Err(io::Error::other("the library panicked"))))
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        match guarded(|| pipe.fill()) {
            Poll::Ready(Ok(())) => {}
            other => return other,
        }
        let end = pipe.filled.min(pipe.taken + buf.remaining());
        buf.put_slice(&pipe.ahead[pipe.taken..end]);
        pipe.taken = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        guarded(|| self.0.borrow_mut().write(&[IoSlice::new(bytes)]))
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        guarded(|| self.0.borrow_mut().write(buffers))
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().flush()
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().shutdown()
    }
}
