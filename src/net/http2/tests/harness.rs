//! Test harness: client and server on one thread, run in turns until a condition holds.

use std::cell::RefCell;
use std::future::Future;
use std::io::{IoSlice, IoSliceMut};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{RecvStream, SendStream};

use crate::clock::Instant;
use crate::error::Error;
use crate::net::http2::connection::Connection;
use crate::net::http2::pipe::{Io, Pipe};
use crate::net::http2::stream::Http2Stream;
use crate::net::stream::{ReadOutcome, Stream, WriteOutcome};
use crate::wire::upgrade::ExtendedConnect;

type Handshake = dyn Future<Output = Result<server::Connection<Io, Bytes>, h2::Error>>;

enum Server {
    Handshaking(Pin<Box<Handshake>>),
    Running(Box<server::Connection<Io, Bytes>>),
    Ended,
}

pub struct Harness {
    pub client: Connection,
    pub now: Instant,
    /// All owners returned so far.
    pub owners: Vec<u64>,
    server: Server,
    server_pipe: Rc<RefCell<Pipe>>,
    /// Requests without a response so far.
    pub requests: Vec<(http::Request<RecvStream>, SendResponse<Bytes>)>,
}

/// The server side of a stream.
pub struct Accepted {
    pub request: http::Request<RecvStream>,
    pub send: SendStream<Bytes>,
}

impl Harness {
    pub fn new(configure: impl FnOnce(&mut server::Builder)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let stream = |tcp: TcpStream| {
            tcp.set_nonblocking(true).unwrap();
            Stream::plain(mio::net::TcpStream::from_std(tcp))
        };
        let now = Instant::now();
        let server_pipe = Rc::new(RefCell::new(Pipe::new(stream(server), None)));
        let mut builder = server::Builder::new();
        configure(&mut builder);
        let handshake = builder.handshake(Io(server_pipe.clone()));
        Self {
            client: Connection::new(stream(client), now).unwrap(),
            now,
            owners: Vec::new(),
            server: Server::Handshaking(Box::pin(handshake)),
            server_pipe,
            requests: Vec::new(),
        }
    }

    /// Returns a harness whose server supports WebSockets, after its SETTINGS were received.
    pub fn for_websockets() -> Self {
        let mut harness = Self::new(|server| _ = server.enable_connect_protocol());
        harness.until(|harness| harness.client.status() != super::super::Status::Starting);
        harness
    }

    pub fn client_turn(&mut self) {
        self.client.simulate_readiness();
        self.client.drive(self.now, &mut self.owners);
    }

    pub fn server_turn(&mut self) {
        let context = &mut Context::from_waker(Waker::noop());
        self.server_pipe.borrow_mut().simulate_readiness();
        if let Server::Handshaking(handshake) = &mut self.server {
            match handshake.as_mut().poll(context) {
                Poll::Pending => return,
                Poll::Ready(connection) => self.server = Server::Running(Box::new(connection.unwrap())),
            }
        }
        let Server::Running(connection) = &mut self.server else { return };
        while let Poll::Ready(request) = connection.poll_accept(context) {
            match request {
                Some(Ok(request)) => self.requests.push(request),
                Some(Err(_)) | None => return self.server = Server::Ended,
            }
        }
    }

    pub fn server(&mut self) -> &mut server::Connection<Io, Bytes> {
        match &mut self.server {
            Server::Running(connection) => connection,
            _ => panic!("the server does not run"),
        }
    }

    pub fn server_has_ended(&self) -> bool {
        matches!(self.server, Server::Ended)
    }

    /// Stops the server without GOAWAY.
    pub fn end_server(&mut self) {
        self.server = Server::Ended;
        self.server_pipe.borrow_mut().stream.shutdown_write();
    }

    /// Runs both sides until `done` returns a value.
    pub fn wait<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            self.client_turn();
            self.server_turn();
            if let Some(value) = done(self) {
                return value;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "timed out");
            std::thread::yield_now();
        }
    }

    pub fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        self.wait(|harness| done(harness).then_some(()));
    }

    /// Opens a stream and returns both ends.
    pub fn open(&mut self, owner: u64) -> (Http2Stream, Accepted) {
        let mut stream = self.client.open(connect(), owner).unwrap();
        self.until(|harness| !harness.requests.is_empty());
        let (request, mut respond) = self.requests.remove(0);
        let send = respond.send_response(http::Response::new(()), false).unwrap();
        let head = self.wait(|_| stream.head().unwrap());
        assert_eq!(head.status, 200);
        (stream, Accepted { request, send })
    }
}

pub fn connect() -> ExtendedConnect {
    ExtendedConnect {
        secure: false,
        authority: "game.example:81".to_owned(),
        path: "/lobby?x=1".to_owned(),
        fields: vec![("sec-websocket-version".to_owned(), "13".to_owned())],
    }
}

/// Reads what the server has received on the stream, with or without releasing the window.
pub fn received(accepted: &mut Accepted, release: bool) -> Result<Vec<u8>, h2::Error> {
    let body = accepted.request.body_mut();
    let mut all = Vec::new();
    while let Poll::Ready(Some(chunk)) = body.poll_data(&mut Context::from_waker(Waker::noop())) {
        let chunk = chunk?;
        if release {
            body.flow_control().release_capacity(chunk.len()).unwrap();
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// Reads all available data.
pub fn read(stream: &mut Http2Stream) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    let mut buffer = [0; 5000];
    loop {
        match stream.read_vectored(&mut [IoSliceMut::new(&mut buffer)])? {
            ReadOutcome::Data { n, .. } => all.extend_from_slice(&buffer[..n]),
            ReadOutcome::WouldBlock | ReadOutcome::Eof { .. } => return Ok(all),
        }
    }
}

/// Writes until it would block; returns the count.
pub fn write(stream: &mut Http2Stream, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        let (one, two) = bytes[written..].split_at((bytes.len() - written) / 3);
        match stream.write_vectored(&[IoSlice::new(one), IoSlice::new(two)]).unwrap() {
            WriteOutcome::Written { n } => written += n,
            WriteOutcome::WouldBlock => break,
        }
    }
    written
}

/// Returns bytes in which shifts are detectable.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}
