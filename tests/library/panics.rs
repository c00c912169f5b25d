//! Panics in callbacks of a Rust application: the connection of that socket ends with an error; other sockets
//! are not affected.

#[path = "../common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{TIMEOUT, exclusive, wait_until};
use framewire::{Dispatch, Error, ErrorKind, LogLevel, Socket, State, poll, set_log, shutdown};
use framewire_servers::EchoServer;

/// A socket with callbacks that count its events.
struct Player {
    socket: Socket,
    echoes: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
    errors: Arc<Mutex<Vec<Error>>>,
}

impl Player {
    fn new(server: &EchoServer, dispatch: Dispatch) -> Self {
        Self::at(&server.url("/"), dispatch)
    }

    fn at(url: &str, dispatch: Dispatch) -> Self {
        let socket = Socket::create(url).unwrap();
        socket.set_dispatch(dispatch).unwrap();
        let player = Self { socket, echoes: Arc::default(), ends: Arc::default(), errors: Arc::default() };
        let (echoes, ends, errors) = (player.echoes.clone(), player.ends.clone(), player.errors.clone());
        player.socket.on_text(Some(Arc::new(move |_, _| count(&echoes)))).unwrap();
        let closed = ends.clone();
        let on_closed = move |_: &Socket, _, _: &str| count(&closed);
        player.socket.on_closed(Some(Arc::new(on_closed))).unwrap();
        let on_error = move |_: &Socket, error: &Error| {
            errors.lock().unwrap().push(error.clone());
            ends.fetch_add(1, Ordering::SeqCst);
        };
        player.socket.on_error(Some(Arc::new(on_error))).unwrap();
        player
    }

    fn open(&self) {
        self.socket.open().unwrap();
        until("the open connection", || self.socket.is_open());
    }

    fn assert_echo(&self) {
        let before = self.echoes.load(Ordering::SeqCst);
        self.socket.send_text("still here").unwrap();
        until("the echo", || self.echoes.load(Ordering::SeqCst) > before);
    }

    fn ends(&self) -> usize {
        self.ends.load(Ordering::SeqCst)
    }
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_until(what, || {
        poll(0, 0);
        holds()
    });
}

/// Which callback panics.
type RegisterPanic = fn(&Socket);

fn in_open(socket: &Socket) {
    socket.on_open(Some(Arc::new(|_| panic!("on purpose")))).unwrap();
}
fn in_text(socket: &Socket) {
    socket.on_text(Some(Arc::new(|_, _| panic!("on purpose")))).unwrap();
}
fn in_binary(socket: &Socket) {
    socket.on_binary(Some(Arc::new(|_, _| panic!("on purpose")))).unwrap();
}
fn in_binary_no_alloc(socket: &Socket) {
    socket.on_binary_no_alloc(Some(Arc::new(|_, _| panic!("on purpose")))).unwrap();
}
fn in_pong(socket: &Socket) {
    socket.on_pong(Some(Arc::new(|_, _| panic!("on purpose")))).unwrap();
}
fn in_frame(socket: &Socket) {
    socket.on_incomplete_frame(Some(Arc::new(|_, _| panic!("on purpose")))).unwrap();
}
fn in_request(socket: &Socket) {
    socket.on_internal_request_created(Some(Arc::new(|_, _| panic!("on purpose")))).unwrap();
}

#[test]
fn panic_in_a_callback_ends_its_connection_with_an_error() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let cases: [(&str, RegisterPanic); 7] = [
        ("open", in_open),
        ("text", in_text),
        ("binary", in_binary),
        ("binary_no_alloc", in_binary_no_alloc),
        ("pong", in_pong),
        ("incomplete_frame", in_frame),
        ("request", in_request),
    ];
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let other = Player::new(&server, dispatch);
        other.open();
        for (name, register) in cases {
            // Fragments are sent without a request.
            let path = if name == "incomplete_frame" { "/fragments?n=3&size=10" } else { "/" };
            let player = Player::at(&server.url(path), dispatch);
            register(&player.socket);
            player.socket.open().unwrap();
            until("the open connection or its end", || player.socket.is_open() || player.ends() > 0);
            // A send fails if the callback before it has ended the connection.
            let _ = player.socket.send_text("a text");
            let _ = player.socket.send_binary(&[0; 20]);
            let _ = player.socket.ping(b"ping");
            until("the end", || player.ends() > 0);
            let errors = player.errors.lock().unwrap().clone();
            assert_eq!(errors.len(), 1, "{name}, {dispatch:?}: closed without an error");
            assert_eq!(errors[0].kind, ErrorKind::Internal, "{name}, {dispatch:?}: {:?}", errors[0]);
            assert!(errors[0].message.contains("panicked"), "{:?}", errors[0]);
            assert_eq!(player.socket.state(), State::Closed);
            other.assert_echo();
            assert_eq!((player.ends(), other.ends()), (1, 0), "{name}, {dispatch:?}");
            player.socket.destroy().unwrap();
        }
        other.socket.destroy().unwrap();
    }
    shutdown(TIMEOUT).unwrap();
}

#[test]
fn panicking_terminal_callback_runs_once_and_socket_can_reopen() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let player = Player::new(&server, dispatch);
        let ends = Arc::new(AtomicUsize::new(0));
        let counted = ends.clone();
        let register = move |_: &Socket, _, _: &str| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        };
        player.socket.on_closed(Some(Arc::new(register))).unwrap();
        for round in 1..=2 {
            player.open();
            player.assert_echo();
            player.socket.close(1000, "").unwrap();
            until("the end", || ends.load(Ordering::SeqCst) == round);
        }
        player.socket.destroy().unwrap();
        shutdown(TIMEOUT).unwrap();
        assert_eq!((ends.load(Ordering::SeqCst), player.ends()), (2, 0), "{dispatch:?}");
    }
}

#[test]
fn panicking_finalizer_does_not_stop_others() {
    let _exclusive = exclusive();
    let finalized = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
        let finalized = finalized.clone();
        let finalizer = move || {
            finalized.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        };
        socket.set_finalizer(Some(Box::new(finalizer))).unwrap();
        socket.destroy().unwrap();
    }
    shutdown(TIMEOUT).unwrap();
    assert_eq!(finalized.load(Ordering::SeqCst), 3);
}

#[test]
fn panicking_log_callback_does_not_affect_connections() {
    let _exclusive = exclusive();
    let server = EchoServer::start();
    let lines = Arc::new(AtomicUsize::new(0));
    let counted = lines.clone();
    set_log(
        LogLevel::Trace,
        Some(Arc::new(move |_, _, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        })),
    );
    let player = Player::new(&server, Dispatch::Poll);
    player.open();
    player.assert_echo();
    player.socket.close(1000, "").unwrap();
    until("the end", || player.ends() == 1);
    set_log(LogLevel::Off, None);
    assert!(lines.load(Ordering::SeqCst) > 0 && player.errors.lock().unwrap().is_empty());
    player.socket.destroy().unwrap();
    shutdown(TIMEOUT).unwrap();
}
