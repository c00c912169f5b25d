//! One HTTP/2 connection, shared by the WebSockets of one server.
//!
//! ```text
//!   handshaking ── preface sent ──► running ── closed, and the last stream ended ──► over
//!        └───────────────────────────┴── network error, or protocol violation ────────▲
//! ```

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, PingPong};

use super::Status;
use super::error;
use super::field_filter::FieldFilter;
use super::pipe::{Io, Pipe};
use super::stream::{Counted, Http2Stream};
use super::wakers::Wakers;
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits;
use crate::net::link::LinkConditions;
use crate::net::stream::Stream;
use crate::wire::upgrade::ExtendedConnect;

pub struct Connection {
    state: State,
    /// `None` after `close`.
    requests: Option<SendRequest<Bytes>>,
    pipe: Rc<RefCell<Pipe>>,
    wakers: Arc<Wakers>,
    streams: Rc<Cell<usize>>,
    last_received: Instant,
    pings: Option<PingPong>,
    /// When the outstanding ping was sent.
    ping_sent: Option<Instant>,
    stalled_since: Option<Instant>,
    /// When something moves on the simulated link.
    link_due: Option<Instant>,
}

type Handshake = dyn Future<Output = Result<(SendRequest<Bytes>, client::Connection<Io, Bytes>), h2::Error>>;

enum State {
    Handshaking(Pin<Box<Handshake>>),
    Running(Box<client::Connection<Io, Bytes>>),
    Over,
}

/// The initial stream limit. No server can announce it (RFC 9113 section 6.5.2: 32 bits), so while it is in
/// effect the server's SETTINGS have not been received.
const NO_SETTINGS_YET: usize = usize::MAX - 1;
/// How often the connection may wake itself in one turn.
const ROUNDS: usize = 8;

impl Connection {
    /// Creates a connection on a stream whose TLS handshake is done. Fails only in a build without HTTP/2.
    pub fn new(stream: Stream, now: Instant) -> Result<Self, Error> {
        let pipe = Rc::new(RefCell::new(Pipe::new(stream, Some(FieldFilter::default()))));
        let handshake = client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(NO_SETTINGS_YET)
            .initial_window_size(limits::HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
            .max_header_list_size(limits::MAX_RESPONSE_HEAD as u32)
            .max_send_buffer_size(limits::HTTP2_SEND_BUFFER)
            .handshake(Io(pipe.clone()));
        let wakers = Arc::new(Wakers::default());
        wakers.wake_connection();
        Ok(Self {
            state: State::Handshaking(Box::pin(handshake)),
            requests: None,
            pipe,
            wakers,
            streams: Rc::default(),
            last_received: now,
            pings: None,
            ping_sent: None,
            stalled_since: None,
            link_due: None,
        })
    }

    /// Processes a readiness event of the socket. The caller then drives the connection.
    pub fn ready(&mut self, event: &mio::event::Event) {
        self.pipe.borrow_mut().ready(event);
        self.wakers.wake_connection();
    }

    /// Sets the conditions of the simulated link. The caller then drives the connection.
    pub fn set_link(&mut self, conditions: Option<&LinkConditions>, now: Instant) {
        let mut pipe = self.pipe.borrow_mut();
        pipe.stream.set_link(conditions, now);
        pipe.wake_link();
        self.wakers.wake_connection();
    }

    /// Returns whether `drive` must be called without a further event.
    pub fn needs_drive(&self) -> bool {
        self.wakers.any()
    }

    /// Reads and writes without blocking, and appends the owners of streams that became ready, each once.
    pub fn drive(&mut self, now: Instant, owners: &mut Vec<u64>) {
        crate::fault::point("net.http2");
        if self.wakers.take_connection() {
            self.pipe.borrow_mut().begin_turn();
            for _ in 0..ROUNDS {
                if let Poll::Ready(result) = self.poll() {
                    self.over(result.err());
                }
                if !self.wakers.take_connection() {
                    break;
                }
            }
            self.update_from_pipe(now);
        }
        self.wakers.take_owners(owners);
    }

    pub fn status(&self) -> Status {
        match (&self.state, &self.requests) {
            (State::Over, _) => Status::Over,
            (State::Handshaking(_), _) => Status::Starting,
            (State::Running(_), None) => Status::Draining,
            (State::Running(_), Some(requests)) => {
                if requests.current_max_send_streams() == NO_SETTINGS_YET {
                    return Status::Starting;
                }
                let waker = self.wakers.for_connection();
                match requests.clone().poll_ready(&mut Context::from_waker(&waker)) {
                    // After GOAWAY there are no new streams (RFC 9113 section 6.8).
                    Poll::Ready(Err(_)) => Status::Draining,
                    _ => Status::Ready { websockets: requests.is_extended_connect_protocol_enabled() },
                }
            }
        }
    }

    /// Returns how many streams the server and our own limit allow.
    pub fn most_streams(&self) -> usize {
        let most = self.requests.as_ref().map_or(0, SendRequest::current_max_send_streams);
        most.min(limits::HTTP2_STREAMS)
    }

    /// Returns how many more streams can be opened.
    pub fn room(&self) -> usize {
        self.most_streams().saturating_sub(self.streams.get())
    }

    /// Returns the number of open streams.
    pub fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Opens a stream for a WebSocket (RFC 8441 section 4); the status must be ready. [`drive`](Self::drive)
    /// returns `owner` when the stream becomes ready after it would have blocked.
    pub fn open(&mut self, request: ExtendedConnect, owner: u64) -> Result<Http2Stream, Error> {
        let refused = |what: String| Error::new(ErrorKind::Http, Phase::Upgrade, what).with_retriable(false);
        let Some(requests) = &self.requests else {
            let message = "the HTTP/2 connection accepts no new streams";
            return Err(Error::new(ErrorKind::Reset, Phase::Upgrade, message));
        };
        let uri = http::Uri::builder()
            .scheme(if request.secure { "https" } else { "http" })
            .authority(request.authority.as_str())
            .path_and_query(request.path.as_str())
            .build()
            .map_err(|error| refused(format!("the URL cannot be requested over HTTP/2: {error}")))?;
        let mut built = http::Request::builder().method(http::Method::CONNECT).uri(uri);
        for (name, value) in &request.fields {
            built = built.header(name.as_str(), value.as_str());
        }
        let built = built.version(http::Version::HTTP_2).extension(Protocol::from_static("websocket"));
        let built = built
            .body(())
            .map_err(|error| refused(format!("a header field cannot be sent over HTTP/2: {error}")))?;
        // A new clone, because each stores its pending stream.
        match requests.clone().send_request(built, false) {
            Ok(pair) => {
                let waker = self.wakers.for_stream(owner);
                // The owner must poll for the response once, to register its waker.
                waker.wake_by_ref();
                self.wakers.wake_connection();
                Ok(Http2Stream::new(pair, waker, self.pipe.clone(), Counted::new(&self.streams)))
            }
            Err(error) => Err(error::from_h2(&error, self.pipe.borrow().failed.as_ref(), Phase::Upgrade)),
        }
    }

    /// Opens no new streams; ends the connection with GOAWAY when the last stream ends.
    pub fn close(&mut self) {
        self.requests = None;
        self.wakers.wake_connection();
    }

    /// Returns why the connection ended, for sockets that were waiting for it.
    pub fn failure(&self) -> Error {
        let pipe = self.pipe.borrow();
        let error = pipe.failed.clone().unwrap_or_else(|| {
            let message = "the server ended the HTTP/2 connection before it could be used";
            Error::new(ErrorKind::Reset, Phase::Upgrade, message)
        });
        Error { phase: Phase::Upgrade, ..error }
    }

    pub fn deadline(&self) -> Option<Instant> {
        let stall = self.stalled_since.map(|since| since + limits::WRITE_STALL_TIMEOUT);
        [stall, self.keepalive_deadline(), self.link_due].into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.link_due.take_if(|due| now >= *due).is_some() {
            self.pipe.borrow_mut().wake_link();
            self.wakers.wake_connection();
        }
        if self.stalled_since.is_some_and(|since| now >= since + limits::WRITE_STALL_TIMEOUT) {
            self.over_with(error::stalled(limits::WRITE_STALL_TIMEOUT.as_secs()));
        }
        if self.keepalive_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.ping_sent.is_some() {
            self.over_with(error::silent(limits::HTTP2_PING_TIMEOUT.as_secs()));
        } else if let Some(pings) = &mut self.pings {
            // Fails if a ping is outstanding, which serves the same purpose.
            let _ = pings.send_ping(Ping::opaque());
            self.ping_sent = Some(now);
            self.wakers.wake_connection();
        }
    }

    /// Restarts all timeouts, after the process was suspended.
    pub fn restart_timeouts(&mut self, now: Instant) {
        self.last_received = now;
        self.ping_sent = self.ping_sent.map(|_| now);
        self.stalled_since = self.stalled_since.map(|_| now);
    }

    /// Runs `act` with the socket, for deregistration.
    pub fn with_tcp<R>(&mut self, act: impl FnOnce(&mut mio::net::TcpStream) -> R) -> R {
        act(self.pipe.borrow_mut().stream.tcp_mut())
    }

    /// Simulates a readiness event.
    #[cfg(test)]
    pub fn simulate_readiness(&mut self) {
        self.pipe.borrow_mut().simulate_readiness();
        self.wakers.wake_connection();
    }

    // ------------------------------------------------------------------ private

    fn poll(&mut self) -> Poll<Result<(), h2::Error>> {
        let waker = self.wakers.for_connection();
        let context = &mut Context::from_waker(&waker);
        if let State::Handshaking(handshake) = &mut self.state {
            match handshake.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok((requests, mut connection))) => {
                    self.requests = Some(requests);
                    self.pings = connection.ping_pong();
                    self.state = State::Running(Box::new(connection));
                }
            }
        }
        match &mut self.state {
            State::Running(connection) => Pin::new(&mut **connection).poll(context),
            _ => Poll::Pending,
        }
    }

    fn update_from_pipe(&mut self, now: Instant) {
        let mut pipe = self.pipe.borrow_mut();
        if std::mem::take(&mut pipe.received) {
            (self.last_received, self.ping_sent) = (now, None);
            if let Some(pings) = &mut self.pings {
                // Any byte counts as a response; this only allows the next ping.
                let waker = self.wakers.for_connection();
                let _ = pings.poll_pong(&mut Context::from_waker(&waker));
            }
        }
        if pipe.has_more {
            self.wakers.wake_connection();
        }
        if std::mem::take(&mut pipe.sent) || !pipe.blocked {
            self.stalled_since = None;
        }
        if pipe.blocked {
            self.stalled_since.get_or_insert(now);
        }
        self.link_due = pipe.stream.link_deadline();
    }

    /// Keepalive runs only while streams are open.
    fn keepalive_deadline(&self) -> Option<Instant> {
        if self.streams.get() == 0 || matches!(self.state, State::Over) {
            return None;
        }
        Some(match self.ping_sent {
            Some(sent) => sent + limits::HTTP2_PING_TIMEOUT,
            None => self.last_received + limits::KEEPALIVE_IDLE,
        })
    }

    fn over_with(&mut self, error: Error) {
        self.pipe.borrow_mut().failed.get_or_insert(error);
        self.over(None);
    }

    /// Closes the connection; dropping the one of `h2` notifies its streams.
    fn over(&mut self, error: Option<h2::Error>) {
        if let Some(error) = error {
            let mut pipe = self.pipe.borrow_mut();
            let explained = error::from_h2(&error, pipe.failed.as_ref(), Phase::Open);
            pipe.failed.get_or_insert(explained);
        }
        self.state = State::Over;
        self.requests = None;
        (self.stalled_since, self.link_due) = (None, None);
    }
}
