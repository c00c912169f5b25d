//! A simulated link on a TCP socket: moves the bytes when the model says so.
//!
//! ```text
//!   TLS, or the WebSocket ──► send ──► model ──pump──► TCP
//!                         ◄── receive ◄── model ◄──fill── TCP
//! ```
//!
//! Never blocks. [`deadline`](SimulatedLink::deadline) returns when a read or write that would have blocked may
//! continue, or bytes leave the link. Each waits for one timer: after [`wake`](SimulatedLink::wake) it must be tried
//! again.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;

use mio::event::Event;
use mio::net::TcpStream;

use super::link::LinkConditions;
use super::link_model::{Direction, LinkEnd, LinkModel};
use super::options;
use crate::clock::Instant;
use crate::limits::LINK_READ_SIZE;

/// What is between a stream and its socket, if there is anything.
pub struct Lower<Tls> {
    /// The TLS layer of a proxy.
    pub outer: Option<RefCell<Tls>>,
    /// Below `outer`.
    pub link: Option<RefCell<SimulatedLink>>,
}

impl<Tls> Default for Lower<Tls> {
    fn default() -> Self {
        Self { outer: None, link: None }
    }
}

pub struct SimulatedLink {
    model: LinkModel,
    buffer: Box<[u8]>,
    /// The readiness of the TCP socket.
    readable: bool,
    writable: bool,
    /// The last read, or write, would have blocked.
    reader_waits: bool,
    writer_waits: bool,
    /// When the end of the TCP stream arrives, and its error.
    ended: Option<(Instant, Option<io::Error>)>,
    /// Why bytes could not leave the link.
    failed: Option<io::Error>,
    /// The TCP stream ends after the bytes in flight.
    shuts_down: bool,
}

impl SimulatedLink {
    /// Creates the link of a connection that is established now.
    pub fn new(conditions: &LinkConditions, now: Instant) -> Self {
        Self {
            model: LinkModel::new(conditions, now),
            buffer: vec![0; LINK_READ_SIZE].into_boxed_slice(),
            readable: true,
            writable: true,
            reader_waits: false,
            writer_waits: false,
            ended: None,
            failed: None,
            shuts_down: false,
        }
    }

    /// Changes the conditions; `None` for a perfect link. Then try to read and write again.
    pub fn set(&mut self, conditions: Option<&LinkConditions>, now: Instant) {
        self.model.set(conditions, now);
        if let (None, Some((due, _))) = (conditions, &mut self.ended) {
            *due = now;
        }
    }

    /// Processes a readiness event of the TCP socket.
    pub fn ready(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Reads what has arrived.
    pub fn receive(&mut self, tcp: &TcpStream, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let now = Instant::now();
        self.reader_waits = false;
        match self.model.end(now) {
            Some(LinkEnd::EndOfStream) => return Ok(0),
            Some(end) => return Err(end_error(end, tcp)),
            None => {}
        }
        self.fill(tcp, now);
        let n = self.deliver(buffers, now);
        if n > 0 {
            return Ok(n);
        }
        match &mut self.ended {
            Some((due, error)) if *due <= now && self.model.moves(now) && !self.model.has(Direction::In) => {
                error.take().map_or(Ok(0), Err)
            }
            _ => {
                self.reader_waits = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }

    /// Accepts what the rate allows now.
    pub fn send(&mut self, tcp: &TcpStream, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let now = Instant::now();
        self.writer_waits = false;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match self.model.end(now) {
            // As the kernel does until it learns that the peer has closed.
            Some(LinkEnd::EndOfStream) => return Ok(buffers.iter().map(|buffer| buffer.len()).sum()),
            Some(end) => return Err(end_error(end, tcp)),
            None => {}
        }
        let room = self.model.room(Direction::Out, now);
        if room == 0 {
            self.writer_waits = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut accepted = 0;
        for buffer in buffers {
            let count = buffer.len().min(room - accepted);
            self.model.enter(Direction::Out, &buffer[..count], now);
            accepted += count;
        }
        self.move_out(tcp, now);
        Ok(accepted)
    }

    /// Writes to the socket what has passed the link.
    pub fn pump(&mut self, tcp: &TcpStream) -> io::Result<()> {
        self.move_out(tcp, Instant::now());
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Whether accepted bytes have not left the link.
    pub fn has_unsent(&self) -> bool {
        self.model.has(Direction::Out)
    }

    /// Ends the TCP stream after the bytes in flight.
    pub fn shutdown_write(&mut self, tcp: &TcpStream) {
        self.shuts_down = true;
        self.move_out(tcp, Instant::now());
    }

    /// Returns when [`wake`](Self::wake) must be called, which may be in the past.
    pub fn deadline(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        let mut add = |at: Option<Instant>| next = [next, at].into_iter().flatten().min();
        if self.reader_waits {
            add(self.model.arrives_at(Direction::In, now));
            if let (Some((due, _)), false) = (&self.ended, self.model.has(Direction::In)) {
                add(self.model.happens_at(*due, now));
            }
            if self.readable {
                add(self.model.room_at(Direction::In, now));
            }
            add(self.model.dies_at());
        }
        if self.writer_waits {
            add(self.model.room_at(Direction::Out, now));
        }
        if self.writable {
            add(self.model.arrives_at(Direction::Out, now));
        }
        next
    }

    /// The deadline has passed: reading and writing are worth another attempt.
    pub fn wake(&mut self) {
        // So that a timer follows only a new attempt, and never another timer.
        (self.reader_waits, self.writer_waits) = (false, false);
    }

    /// Takes what the TCP socket has received, as far as the link has room.
    fn fill(&mut self, tcp: &TcpStream, now: Instant) {
        while self.readable && self.ended.is_none() {
            let room = self.model.room(Direction::In, now).min(self.buffer.len());
            if room == 0 {
                return;
            }
            let error = match options::receive(tcp, &mut self.buffer[..room]) {
                Ok(0) => None,
                Ok(n) => {
                    self.model.enter(Direction::In, &self.buffer[..n], now);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return;
                }
                Err(error) => Some(error),
            };
            self.readable = false;
            // Over a half-open connection the end is not received either.
            if !self.model.loses() {
                self.ended = Some((self.model.would_arrive_at(Direction::In, now), error));
            }
        }
    }

    fn deliver(&mut self, buffers: &mut [IoSliceMut<'_>], now: Instant) -> usize {
        let mut delivered = 0;
        for buffer in buffers {
            let mut filled = 0;
            while filled < buffer.len() {
                let arrived = self.model.arrived(Direction::In, now);
                let count = arrived.len().min(buffer.len() - filled);
                if count == 0 {
                    return delivered;
                }
                buffer[filled..filled + count].copy_from_slice(&arrived[..count]);
                self.model.take(Direction::In, count);
                filled += count;
                delivered += count;
            }
        }
        delivered
    }

    fn move_out(&mut self, tcp: &TcpStream, now: Instant) {
        while self.writable {
            let arrived = self.model.arrived(Direction::Out, now);
            if arrived.is_empty() {
                break;
            }
            match options::send_vectored(tcp, &[IoSlice::new(arrived)]) {
                Ok(n) => self.model.take(Direction::Out, n),
                Err(error) => {
                    self.writable = false;
                    if error.kind() != io::ErrorKind::WouldBlock {
                        self.failed = Some(error);
                    }
                }
            }
        }
        if self.shuts_down && !self.has_unsent() {
            self.shuts_down = false;
            // Fails only if the connection is closed, which the next read reports.
            let _ = tcp.shutdown(Shutdown::Write);
        }
    }
}

fn end_error(end: LinkEnd, tcp: &TcpStream) -> io::Error {
    match end {
        LinkEnd::TimedOut => options::timed_out(),
        LinkEnd::Reset | LinkEnd::EndOfStream => {
            // For the server too.
            options::reset_on_close(tcp);
            options::reset()
        }
    }
}
