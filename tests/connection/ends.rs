//! How a connection ends: with one terminal event after everything that was received before it; after
//! `destroy`, only the finalizer runs.
//!
//! Finalizers run in `poll`, which delivers the events of all sockets, so the tests run one at a time.

#![cfg(feature = "tls")]

#[path = "../common/mod.rs"]
mod common;

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::{Client, Seen, exclusive, wait_until};
use framewire::{
    Callbacks, Code, Dispatch, ErrorKind, EventKind, EventType, OnClosed, Phase, Socket, State, poll,
    pool_stats,
};
use framewire_servers::{EchoServer, Scripted};

/// A server that upgrades and then only reads.
fn upgrade_and_read() -> Scripted {
    Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.wait_for_end();
    })
}

/// A server that accepts connections and sends nothing.
fn accept_silently() -> Scripted {
    Scripted::start(|mut peer| {
        peer.wait_for_end();
    })
}

/// An address that neither accepts nor refuses connections: its backlog is full.
struct Unreachable {
    _listener: socket2::Socket,
    _queued: Vec<TcpStream>,
    port: u16,
}

impl Unreachable {
    fn new() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
        }
        Self { _listener: listener, _queued: queued, port: address.port() }
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }
}

fn wss(server: &Scripted) -> String {
    format!("wss://127.0.0.1:{}/", server.port())
}

// -------------------------------------------------------------------- by the server

#[test]
fn server_close_is_reported_and_echoed() {
    let _exclusive = exclusive();
    for (frame, expected, echoed) in [
        (&b"\x88\x02\x03\xE8"[..], (1000, ""), 1000),
        (b"\x88\x00", (1005, ""), 1005),
        (b"\x88\x06\x0F\xA1full", (4001, "full"), 4001),
        (b"\x88\x05\x03\xF3f\xC3\xBC", (1011, "fü"), 1011),
    ] {
        let (report, reported) = mpsc::channel();
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            peer.send(frame);
            let _ = report.send(peer.read_close());
        });
        let client = Client::opening(&server.url());
        assert_eq!(client.closed(), (expected.0, expected.1.to_owned()));
        assert_eq!(reported.recv().unwrap(), Some((echoed, String::new())));
    }
}

#[test]
fn messages_before_a_close_are_delivered_despite_a_reset() {
    let _exclusive = exclusive();
    for resets in [false, true] {
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            let mut bytes = Vec::new();
            for number in 0..1000u16 {
                bytes.extend([0x82, 2]);
                bytes.extend(number.to_be_bytes());
            }
            bytes.extend(b"\x88\x02\x03\xE8");
            peer.send(&bytes);
            if resets {
                // The client has replied, so it has the close frame; the rest is cut off.
                let _ = peer.read_close();
                peer.reset();
            }
        });
        let seen = Client::opening(&server.url()).until_end();
        assert_eq!(seen.len(), 1002);
        for (number, event) in seen[1..1001].iter().enumerate() {
            assert_eq!(*event, Seen::Binary((number as u16).to_be_bytes().to_vec()));
        }
        assert_eq!(seen[1001], Seen::Closed(1000, String::new()));
    }
}

#[test]
fn messages_before_a_reset_are_delivered() {
    let _exclusive = exclusive();
    let (reset, wait_for_reset) = mpsc::channel();
    let wait_for_reset = Mutex::new(wait_for_reset);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x81\x04last");
        // Only after it has arrived: a reset discards data that is still in transit.
        let _ = wait_for_reset.lock().unwrap().recv();
        peer.reset();
    });
    let client = Client::opened(&server.url());
    wait_until("the message", || client.stats().messages_received == 1);
    reset.send(()).unwrap();
    wait_until("the end", || client.state() == State::Closed);
    let seen = client.until_end();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0], Seen::Text("last".into()));
    assert!(
        matches!(&seen[1], Seen::Error(error) if error.kind == ErrorKind::Reset && error.phase == Phase::Open && error.retriable),
        "{seen:?}"
    );
}

#[test]
fn end_without_close_frame_is_an_error() {
    let _exclusive = exclusive();
    for resets in [false, true] {
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            peer.send(b"\x01\x03unf");
            if resets {
                peer.reset();
            }
        });
        let error = Client::opening(&server.url()).error();
        assert_eq!(error.kind, ErrorKind::Reset, "{error}");
        assert!(error.retriable);
    }
}

#[test]
fn reset_during_upgrade_names_the_phase() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.read_head();
        peer.reset();
    });
    let error = Client::opening(&server.url()).error();
    assert_eq!(
        (error.kind, error.phase, error.retriable),
        (ErrorKind::Reset, Phase::Upgrade, true),
        "{error}"
    );
}

#[test]
fn reset_during_tls_handshake_names_the_phase() {
    let _exclusive = exclusive();
    let server = Scripted::start(|peer| {
        let mut hello = [0; 5];
        (&mut peer.stream()).read_exact(&mut hello).unwrap();
        peer.reset();
    });
    let error = Client::opening(&wss(&server)).error();
    assert_eq!((error.kind, error.phase, error.retriable), (ErrorKind::Reset, Phase::Tls, true), "{error}");
}

#[test]
fn reset_while_closing_is_closed() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        let _ = peer.read_close();
        peer.reset();
    });
    let client = Client::opened(&server.url());
    client.close(1000, "").unwrap();
    assert_eq!(client.closed().0, 1006);
}

#[test]
fn refused_connections_and_unknown_hosts_are_reported() {
    let _exclusive = exclusive();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = Client::opening(&format!("ws://127.0.0.1:{port}/")).error();
    assert_eq!(
        (error.kind, error.phase, error.retriable),
        (ErrorKind::Refused, Phase::Connect, true),
        "{error}"
    );
    assert_ne!(error.os_code, 0);
    assert!(error.message.contains(&port.to_string()), "{error}");
}

// -------------------------------------------------------------------- by the client

#[test]
fn close_follows_queued_messages_and_reports_the_reply() {
    let _exclusive = exclusive();
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let server = Scripted::start(move |mut peer| {
        peer.accept_upgrade();
        assert_eq!(peer.read_frame().map(|frame| frame.payload), Some(b"first".to_vec()));
        assert_eq!(peer.read_close(), Some((3001, "bye".to_owned())));
        wait.lock().unwrap().recv().unwrap();
        // Receives what the server still sends, then its reply.
        peer.send(b"\x81\x04late");
        peer.send_close(3001, "bye");
    });
    let client = Client::opened(&server.url());
    client.send_text("first").unwrap();
    client.close(3001, "bye").unwrap();
    assert_eq!(client.state(), State::Closing);
    assert_eq!(client.close(1000, "").unwrap_err().code, Code::InvalidState);
    assert_eq!(client.send_text("never").unwrap_err().code, Code::InvalidState);
    go.send(()).unwrap();
    let seen = client.until_end();
    assert_eq!(seen, [Seen::Text("late".into()), Seen::Closed(3001, "bye".into())]);
}

#[test]
fn both_sides_can_close_simultaneously() {
    let _exclusive = exclusive();
    // Both close frames are in transit: the server's is not a reply.
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        assert_eq!(peer.read_close(), Some((1000, "done".to_owned())));
        peer.send_close(1001, "away");
        assert_eq!(peer.read_frame(), None, "a second close frame");
    });
    let client = Client::opened(&server.url());
    client.close(1000, "done").unwrap();
    assert_eq!(client.closed(), (1001, "away".to_owned()));
}

#[test]
fn close_in_open_callback_can_cross_the_server_close() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.respond(
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: {accept}\r\n\r\n\x88\x02\x03\xE9",
        );
        assert!(peer.read_close().is_some());
        assert_eq!(peer.read_frame(), None, "a second close frame");
    });
    let client = Client::new(&server.url());
    client.set_dispatch(Dispatch::Worker).unwrap();
    let (report, reported) = mpsc::channel();
    client.on_open(Some(Arc::new(|socket| socket.close(1000, "").unwrap()))).unwrap();
    client
        .on_closed(Some(Arc::new(move |_, code, _| {
            let _ = report.send(code);
        })))
        .unwrap();
    client.open().unwrap();
    assert_eq!(reported.recv().unwrap(), 1001);
    assert!(reported.try_recv().is_err(), "a second terminal event");
}

#[test]
fn unanswered_close_ends_after_the_close_timeout() {
    let _exclusive = exclusive();
    let server = upgrade_and_read();
    let client = Client::new(&server.url());
    client.set_close_timeout(100).unwrap();
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client.close(0, "").unwrap();
    let (code, reason) = client.closed();
    assert_eq!(code, 1006);
    assert!(reason.contains("100 ms"), "{reason}");
}

#[test]
fn abort_ends_immediately() {
    let _exclusive = exclusive();
    let server = upgrade_and_read();
    let client = Client::opened(&server.url());
    client.abort().unwrap();
    assert_eq!(client.closed().0, 1006);
    assert_eq!(client.abort().unwrap_err().code, Code::InvalidState);
    // Also while waiting for the server's close frame.
    client.open().unwrap();
    assert_eq!(client.next(), Seen::Open);
    client.close(1000, "").unwrap();
    client.abort().unwrap();
    assert_eq!(client.closed().0, 1006);
}

/// Opens a socket and waits until it hangs in this phase.
fn hanging(phase: &str) -> (Client, Box<dyn std::any::Any>) {
    match phase {
        // The resolver is looking up the name, or is about to.
        "resolve" => {
            let server = accept_silently();
            (Client::opening(&format!("ws://localhost:{}/", server.port())), Box::new(server))
        }
        "connect" => {
            let server = Unreachable::new();
            (Client::opening(&server.url()), Box::new(server))
        }
        "tls" => {
            let server = accept_silently();
            let client = Client::opening(&wss(&server));
            wait_until("the connection", || server.connections() == 1);
            (client, Box::new(server))
        }
        "request" => {
            let server = accept_silently();
            let client = Client::new(&server.url());
            client.enable_event(EventType::Request, true).unwrap();
            client.open().unwrap();
            let mut request = None;
            wait_until("the request", || {
                request = client.next_event().unwrap();
                request.is_some()
            });
            let request = request.unwrap();
            assert!(matches!(request.kind, EventKind::Request(_)));
            (client, Box::new((server, request)))
        }
        "upgrade" => {
            let server = accept_silently();
            let client = Client::opening(&server.url());
            wait_until("the request on the wire", || client.stats().bytes_sent > 0);
            (client, Box::new(server))
        }
        other => panic!("no such phase: {other}"),
    }
}

const PHASES: [&str; 5] = ["resolve", "connect", "tls", "request", "upgrade"];

#[test]
fn close_and_abort_cancel_in_every_phase() {
    let _exclusive = exclusive();
    for phase in PHASES {
        for aborts in [false, true] {
            let (client, rest) = hanging(phase);
            if aborts { client.abort() } else { client.close(1000, "") }.unwrap();
            let seen = client.until_end();
            assert!(matches!(&seen[..], [Seen::Closed(1006, _)]), "{phase}: {seen:?}");
            assert_eq!(client.stats().messages_received, 0);
            drop(rest);
        }
    }
}

#[test]
fn cancelled_socket_can_be_opened_again() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    let client = Client::opening(&echo.url("/"));
    for _ in 0..50 {
        client.close(1000, "").unwrap();
        let seen = client.until_end();
        assert!(matches!(seen.last(), Some(Seen::Closed(..))), "{seen:?}");
        client.open().unwrap();
    }
    assert_eq!(client.next(), Seen::Open);
    client.send_text("still here").unwrap();
    assert_eq!(client.next(), Seen::Text("still here".into()));
}

#[test]
fn connect_timeout_names_the_phase() {
    let _exclusive = exclusive();
    for (phase, expected) in [
        ("connect", Phase::Connect),
        ("tls", Phase::Tls),
        ("request", Phase::Upgrade),
        ("upgrade", Phase::Upgrade),
    ] {
        let (client, rest) = hanging(phase);
        // Once to see that it hangs in this phase, then again with a timeout.
        client.abort().unwrap();
        let _ = client.end();
        client.set_connect_timeout(150).unwrap();
        client.open().unwrap();
        let held = (phase == "request").then(|| {
            let mut request = None;
            wait_until("the request", || {
                request = client.next_event().unwrap();
                request.is_some()
            });
            request
        });
        let error = client.error();
        assert_eq!((error.kind, error.phase), (ErrorKind::TimedOut, expected), "{phase}: {error}");
        assert!(error.retriable && error.message.contains("150 ms"), "{phase}: {error}");
        drop((held, rest));
    }
}

#[test]
fn missing_pongs_end_the_connection() {
    let _exclusive = exclusive();
    let server = upgrade_and_read();
    let client = Client::new(&server.url());
    client.set_start_ping_thread(true).unwrap();
    client.set_ping_frequency(20).unwrap();
    client.set_close_after_no_message(60).unwrap();
    client.open().unwrap();
    let error = client.error();
    assert_eq!(
        (error.kind, error.phase, error.retriable),
        (ErrorKind::PingTimeout, Phase::Open, true),
        "{error}"
    );
    assert!(client.stats().pings_sent >= 1);
}

#[test]
fn socket_can_be_reopened_after_every_kind_of_end() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| match peer.number % 5 {
        0 => {
            peer.accept_upgrade();
            peer.send_close(1000, "");
            let _ = peer.read_close();
        }
        1 => {
            peer.accept_upgrade();
        }
        2 => {
            peer.accept_upgrade();
            peer.send(b"\x83\x00");
            let _ = peer.read_close();
        }
        3 => peer.respond(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"),
        _ => {
            peer.accept_upgrade();
            peer.send(b"\x81\x02ok");
            let _ = peer.read_close();
            peer.send_close(1000, "");
        }
    });
    let client = Client::new(&server.url());
    for round in 0..3 {
        for kind in 0..4 {
            client.open().unwrap();
            let seen = client.until_end();
            assert_eq!(matches!(seen.last(), Some(Seen::Closed(..))), kind == 0, "{round}: {seen:?}");
        }
        client.open().unwrap();
        assert_eq!((client.next(), client.next()), (Seen::Open, Seen::Text("ok".into())));
        // No data of earlier attempts remains.
        assert_eq!((client.response_status(), client.response_body()), (101, Vec::new()));
        client.close(1000, "").unwrap();
        assert_eq!(client.closed().0, 1000);
    }
    assert_eq!(server.connections(), 15);
}

// -------------------------------------------------------------------- in callbacks

/// Polls until the condition holds.
fn poll_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_until(what, || {
        poll(0, 0);
        holds()
    });
}

#[test]
fn open_in_terminal_callback_reconnects() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(4000, "");
        let _ = peer.read_close();
    });
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let client = Client::new(&server.url());
        client.set_dispatch(dispatch).unwrap();
        let (opened, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let own = opened.clone();
        let count = move |_: &Socket| {
            own.fetch_add(1, Ordering::SeqCst);
        };
        client.on_open(Some(Arc::new(count))).unwrap();
        let own = closed.clone();
        client
            .on_closed(Some(Arc::new(move |socket, code, _| {
                assert_eq!((code, socket.state()), (4000, State::Closed));
                if own.fetch_add(1, Ordering::SeqCst) < 9 {
                    socket.open().unwrap();
                }
            })))
            .unwrap();
        client.open().unwrap();
        poll_until("ten ends", || closed.load(Ordering::SeqCst) == 10);
        assert_eq!(opened.load(Ordering::SeqCst), 10);
        assert_eq!(client.state(), State::Closed);
    }
}

#[test]
fn destroy_in_every_phase_runs_only_the_finalizer() {
    let _exclusive = exclusive();
    for phase in PHASES {
        let (client, rest) = hanging(phase);
        let (events, finalized) = count_callbacks(&client);
        client.destroy().unwrap();
        assert_eq!(client.state(), State::Unknown);
        assert_eq!(client.open().unwrap_err().code, Code::InvalidHandle);
        poll_until("the finalizer", || finalized.load(Ordering::SeqCst) == 1);
        drop(rest);
        drop(client);
        poll(0, 0);
        assert_eq!((events.load(Ordering::SeqCst), finalized.load(Ordering::SeqCst)), (0, 1), "{phase}");
    }
}

/// A server that sends a text and does not answer the close frame.
fn saying_ok() -> Scripted {
    Scripted::start(|mut peer| {
        peer.accept_upgrade();
        peer.send(b"\x81\x02ok");
        peer.wait_for_end();
    })
}

/// The finalizer may free what the callbacks use, also while the connection still waits for the server's close frame.
#[test]
fn callbacks_are_dropped_before_the_finalizer_runs() {
    let _exclusive = exclusive();
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let server = saying_ok();
        let socket = Socket::create(&server.url()).unwrap();
        socket.set_dispatch(dispatch).unwrap();
        let texts = Arc::new(AtomicUsize::new(0));
        let own = texts.clone();
        socket
            .on_text(Some(Arc::new(move |_, _| {
                own.fetch_add(1, Ordering::SeqCst);
            })))
            .unwrap();
        let (users, seen) = (Arc::downgrade(&texts), Arc::new(AtomicUsize::new(0)));
        let own = seen.clone();
        socket
            .set_finalizer(Some(Box::new(move || own.store(users.strong_count(), Ordering::SeqCst))))
            .unwrap();
        socket.open().unwrap();
        poll_until("the text", || texts.load(Ordering::SeqCst) == 1);
        socket.destroy().unwrap();
        poll_until("the finalizer", || seen.load(Ordering::SeqCst) != 0);
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{dispatch:?}: a callback is still there");
    }
}

/// Sets callbacks and a finalizer of a destroyed socket, also when it is dropped.
struct Attempts {
    socket: Socket,
    /// How often all of them were refused.
    refused: Arc<AtomicUsize>,
    /// Counts the closures that exist.
    closures: Arc<()>,
}

impl Attempts {
    fn new(socket: &Socket) -> Self {
        Self { socket: socket.clone(), refused: Arc::default(), closures: Arc::default() }
    }

    fn try_all(&self) {
        let own = self.closures.clone();
        let finalizer = self.socket.set_finalizer(Some(Box::new(move || {
            panic!("a refused finalizer runs: {own:?}");
        })));
        let own = self.closures.clone();
        let closed: Arc<OnClosed> = Arc::new(move |_, _, _| {
            panic!("a refused callback runs: {own:?}");
        });
        let callback = self.socket.on_closed(Some(closed.clone()));
        let callbacks = Callbacks { closed: Some(closed), ..Callbacks::default() };
        let all = self.socket.set_callbacks(callbacks);
        let removed = self.socket.set_finalizer(None);
        for result in [finalizer, callback, all, removed] {
            assert_eq!(result.unwrap_err().code, Code::InvalidHandle);
        }
        assert_eq!(Arc::strong_count(&self.closures), 1, "a refused closure is kept");
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        self.try_all();
    }
}

/// In the callback that has destroyed it, while its callbacks are dropped, and in its finalizer.
#[test]
fn destroyed_socket_accepts_neither_callbacks_nor_finalizer() {
    let _exclusive = exclusive();
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let server = saying_ok();
        let socket = Socket::create(&server.url()).unwrap();
        socket.set_dispatch(dispatch).unwrap();
        let attempts = Attempts::new(&socket);
        let refused = attempts.refused.clone();
        let in_callback = move |socket: &Socket, _: &str| {
            socket.destroy().unwrap();
            attempts.try_all();
        };
        socket.on_text(Some(Arc::new(in_callback))).unwrap();
        let (order, attempts) = (Arc::new(Mutex::new(Vec::new())), Attempts::new(&socket));
        let (finalized, earlier) = (order.clone(), refused.clone());
        socket
            .set_finalizer(Some(Box::new(move || {
                attempts.try_all();
                finalized.lock().unwrap().push(earlier.load(Ordering::SeqCst));
            })))
            .unwrap();
        socket.open().unwrap();
        poll_until("the finalizer", || !order.lock().unwrap().is_empty());
        drop(server);
        poll(0, 0);
        // After the attempts of the callback and of its end.
        assert_eq!(*order.lock().unwrap(), [2], "{dispatch:?}");
        assert_eq!(refused.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn finalizer_runs_after_a_panic_while_callbacks_are_dropped() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let _exclusive = exclusive();
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
        socket.set_dispatch(dispatch).unwrap();
        let (panics, finalized) = (Panics, Arc::new(AtomicUsize::new(0)));
        socket.on_open(Some(Arc::new(move |_| _ = &panics))).unwrap();
        let own = finalized.clone();
        let finalizer = move || {
            own.fetch_add(1, Ordering::SeqCst);
        };
        socket.set_finalizer(Some(Box::new(finalizer))).unwrap();
        socket.destroy().unwrap();
        poll_until("the finalizer", || finalized.load(Ordering::SeqCst) == 1);
    }
}

/// Registers every callback with a counter, and the finalizer with its own.
fn count_callbacks(socket: &Socket) -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (events, finalized) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = |events: &Arc<AtomicUsize>| {
        let events = events.clone();
        move || {
            events.fetch_add(1, Ordering::SeqCst);
        }
    };
    let f = count(&events);
    socket.on_open(Some(Arc::new(move |_| f()))).unwrap();
    let f = count(&events);
    socket.on_text(Some(Arc::new(move |_, _| f()))).unwrap();
    let f = count(&events);
    socket.on_binary(Some(Arc::new(move |_, _| f()))).unwrap();
    let f = count(&events);
    socket.on_pong(Some(Arc::new(move |_, _| f()))).unwrap();
    let f = count(&events);
    socket.on_closed(Some(Arc::new(move |_, _, _| f()))).unwrap();
    let f = count(&events);
    socket.on_error(Some(Arc::new(move |_, _| f()))).unwrap();
    let f = count(&finalized);
    socket.set_finalizer(Some(Box::new(f))).unwrap();
    (events, finalized)
}

/// Which callback destroys its own socket.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Inside {
    Open,
    Text,
    Binary,
    Segment,
    Frame,
    Pong,
    Request,
    Closed,
    Error,
}

#[test]
fn no_callback_runs_after_destroy_in_a_callback() {
    let _exclusive = exclusive();
    use Inside::*;
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        for inside in [Open, Text, Binary, Segment, Frame, Pong, Request, Closed, Error] {
            // More events of each kind are queued after the one that the callback handles.
            let server = Scripted::start(move |mut peer| {
                peer.accept_upgrade();
                peer.send(match inside {
                    Error => &b"\x83\x00"[..],
                    Closed => b"\x88\x00",
                    _ => b"\x8A\x01p\x02\x01a\x80\x01b\x82\x01x\x81\x01y\x82\x01x\x81\x01y\x8A\x01p\x88\x00",
                });
                peer.wait_for_end();
            });
            let socket = Socket::create(&server.url()).unwrap();
            socket.set_dispatch(dispatch).unwrap();
            let (events, finalized) = count_callbacks(&socket);
            let destroyed = Arc::new(AtomicUsize::new(usize::MAX));
            let last = {
                let (destroyed, events) = (destroyed.clone(), events.clone());
                move |socket: &Socket| {
                    socket.destroy().unwrap();
                    assert_eq!(socket.state(), State::Unknown);
                    destroyed.store(events.load(Ordering::SeqCst), Ordering::SeqCst);
                }
            };
            match inside {
                Open => socket.on_open(Some(Arc::new(last))),
                Text => socket.on_text(Some(Arc::new(move |s, _| last(s)))),
                Binary => socket.on_binary(Some(Arc::new(move |s, _| last(s)))),
                Segment => socket
                    .on_binary(None)
                    .and_then(|()| socket.on_binary_no_alloc(Some(Arc::new(move |s, _| last(s))))),
                Frame => socket.on_incomplete_frame(Some(Arc::new(move |s, _| last(s)))),
                Pong => socket.on_pong(Some(Arc::new(move |s, _| last(s)))),
                Request => socket.on_internal_request_created(Some(Arc::new(move |s, _| last(s)))),
                Closed => socket.on_closed(Some(Arc::new(move |s, _, _| last(s)))),
                Error => socket.on_error(Some(Arc::new(move |s, _| last(s)))),
            }
            .unwrap();
            socket.open().unwrap();
            poll_until("the finalizer", || finalized.load(Ordering::SeqCst) > 0);
            drop(server);
            poll(0, 0);
            let at_the_end = (events.load(Ordering::SeqCst), finalized.load(Ordering::SeqCst));
            assert_eq!(at_the_end, (destroyed.load(Ordering::SeqCst), 1), "{dispatch:?} {inside:?}");
        }
    }
}

// -------------------------------------------------------------------- with a full event queue

#[test]
fn terminal_event_follows_a_full_event_queue() {
    let _exclusive = exclusive();
    const MESSAGES: usize = 20_000;
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        for number in 0..MESSAGES as u32 {
            let mut payload = vec![0; 1000];
            payload[..4].copy_from_slice(&number.to_be_bytes());
            peer.send_frame(0x82, &payload);
        }
        peer.send_close(1000, "done");
        let _ = peer.read_close();
    });
    let client = Client::opened(&server.url());
    // No event is taken until the socket has stopped reading.
    wait_until("a full event queue", || client.stats().bytes_received >= 3 << 20);
    let seen = client.until_end();
    assert_eq!(seen.len(), MESSAGES + 1);
    for (number, event) in seen[..MESSAGES].iter().enumerate() {
        let Seen::Binary(payload) = event else { panic!("{number}: {event:?}") };
        assert_eq!(payload[..4], (number as u32).to_be_bytes());
    }
    assert_eq!(seen[MESSAGES], Seen::Closed(1000, "done".into()));
}

#[test]
fn destroy_releases_a_full_event_queue() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.accept_upgrade();
        // More than the queue and the sockets' buffers hold; ends when the client does.
        for _ in 0..40_000 {
            peer.send_frame(0x82, &[7; 1000]);
        }
    });
    let before = pool_stats().bytes_in_use;
    let client = Client::opened(&server.url());
    let (events, finalized) = count_callbacks(&client);
    wait_until("a full event queue", || client.stats().bytes_received >= 3 << 20);
    client.destroy().unwrap();
    poll_until("the finalizer", || finalized.load(Ordering::SeqCst) == 1);
    assert_eq!(events.load(Ordering::SeqCst), 0);
    wait_until("the memory", || pool_stats().bytes_in_use <= before + (256 << 10));
}
