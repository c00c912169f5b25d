//! A panic anywhere in the library becomes an `error` event or `FW_RESULT_INTERNAL`; other sockets are not
//! affected, and nothing leaks.
//!
//! Each run uses the C ABI with a panic injected at one pass of one fault point: see `src/fault.rs`.
//! `cargo xtask test "a panic in each module"` builds what these tests need.
//!
//! Every `unsafe` here is a call of the C ABI with valid pointers, or reads what the library passes to a
//! callback.

#![cfg(framewire_faults)]
#![allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use framewire::internals::fault;
use framewire::internals::ffi::buffers::{fw_buffer_pool_stats, fw_pool_stats, fw_pool_stats_init};
use framewire::internals::ffi::callbacks::*;
use framewire::internals::ffi::delivery::*;
use framewire::internals::ffi::diagnostics::fw_last_error;
use framewire::internals::ffi::error::fw_error;
use framewire::internals::ffi::event_types::*;
use framewire::internals::ffi::library::fw_shutdown;
use framewire::internals::ffi::result::fw_result::{self, *};
use framewire::internals::ffi::sending::{fw_socket_send_binary, fw_socket_send_text};
use framewire::internals::ffi::settings::{fw_http, fw_socket_set_http_version, fw_socket_set_tls};
use framewire::internals::ffi::socket::*;
use framewire::internals::ffi::state::fw_socket_is_open;
use framewire::internals::ffi::tls::{fw_tls, fw_tls_add_ca_pem, fw_tls_create, fw_tls_destroy};
use framewire::{Dispatch, Error, EventKind, Socket, wait};
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::http2::{Behaviour, Http2Server};
use framewire_servers::{Authority, EchoServer, Scripted};

/// A wait that takes longer fails the test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Large enough to be compressed, sent in fragments, and received in a separate block.
const LARGE: usize = 150_000;

/// How the application receives events.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Poll,
    Pull,
}

struct Servers {
    plain: EchoServer,
    secure: EchoServer,
    compressing: Scripted,
    /// HTTP/2, one connection for all.
    shared: Http2Server,
    ca: String,
}

impl Servers {
    fn start() -> Self {
        let authority = Authority::new("Faults");
        Self {
            plain: EchoServer::start(),
            secure: EchoServer::start_tls(server_config(&authority.good(), Demands::default())),
            // Echoes compressed payloads unchanged, so that the client can decompress them.
            compressing: Scripted::start(|mut peer| {
                peer.accept_upgrade_with("Sec-WebSocket-Extensions: permessage-deflate\r\n");
                while let Some(frame) = peer.read_frame() {
                    let first = u8::from(frame.fin) << 7 | frame.rsv << 4 | frame.opcode;
                    peer.send_frame(first, &frame.payload);
                    if frame.opcode == 8 {
                        return;
                    }
                }
            }),
            shared: Http2Server::start(Behaviour::default()),
            ca: authority.pem(),
        }
    }
}

/// One socket and its recorded events.
#[derive(Default)]
struct Player {
    name: &'static str,
    socket: u64,
    worker: bool,
    opens: AtomicUsize,
    echoes: AtomicUsize,
    ends: AtomicUsize,
    errors: Mutex<Vec<(u32, String)>>,
    finalized: AtomicUsize,
    /// Accepted calls of `fw_socket_open`.
    opened: AtomicUsize,
}

impl Player {
    fn handle(&self) -> fw_socket {
        fw_socket { id: self.socket }
    }

    fn errors(&self) -> MutexGuard<'_, Vec<(u32, String)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &fw_error) {
        // SAFETY: an error event's message is terminated, and valid until the event ends.
        let message = unsafe { CStr::from_ptr(error.message) }.to_string_lossy().into_owned();
        self.errors().push((error.kind as u32, message));
        self.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ends.load(Ordering::SeqCst) == self.opened.load(Ordering::SeqCst)
    }
}

/// SAFETY: every callback below is registered with a `Player` that outlives its socket.
unsafe fn player<'a>(user_data: *mut c_void) -> &'a Player {
    unsafe { &*user_data.cast::<Player>() }
}

unsafe extern "C" fn on_open(_: fw_socket, user_data: *mut c_void) {
    unsafe { player(user_data) }.opens.fetch_add(1, Ordering::SeqCst);
}
unsafe extern "C" fn on_text(_: fw_socket, _: *const c_char, _: usize, user_data: *mut c_void) {
    unsafe { player(user_data) }.echoes.fetch_add(1, Ordering::SeqCst);
}
unsafe extern "C" fn on_binary(_: fw_socket, _: *const u8, _: usize, user_data: *mut c_void) {
    unsafe { player(user_data) }.echoes.fetch_add(1, Ordering::SeqCst);
}
unsafe extern "C" fn on_closed(_: fw_socket, _: u16, _: *const c_char, _: usize, user_data: *mut c_void) {
    unsafe { player(user_data) }.ends.fetch_add(1, Ordering::SeqCst);
}
unsafe extern "C" fn on_error(_: fw_socket, error: *const fw_error, user_data: *mut c_void) {
    unsafe { player(user_data).failed(&*error) };
}
unsafe extern "C" fn on_finalizer(user_data: *mut c_void) {
    unsafe { player(user_data) }.finalized.fetch_add(1, Ordering::SeqCst);
}

struct Harness {
    mode: Mode,
    players: Vec<Box<Player>>,
    /// Calls that returned `FW_RESULT_INTERNAL`.
    internal: usize,
    tls: fw_tls,
}

impl Harness {
    /// Repeats a call if it failed because of the panic; any other failure is wrong.
    fn call(&mut self, what: &str, call: impl Fn() -> fw_result) -> fw_result {
        let mut result = call();
        if result == FW_RESULT_INTERNAL {
            self.internal += 1;
            result = call();
        }
        // INVALID_STATE: the fault has closed the connection, or is about to.
        assert!(matches!(result, FW_RESULT_OK | FW_RESULT_INVALID_STATE), "{what} gave {result:?}");
        result
    }

    fn add_player(&mut self, name: &'static str, url: &str, worker: bool) -> usize {
        let url = CString::new(url).unwrap();
        let mut socket = fw_socket { id: 0 };
        let out = &raw mut socket;
        // SAFETY: a text, and a place to write to.
        self.call("fw_socket_create", || unsafe { fw_socket_create(url.as_ptr(), out) });
        let player = Box::new(Player { name, socket: socket.id, worker, ..Player::default() });
        let user_data = (&raw const *player).cast_mut().cast::<c_void>();
        let dispatch = if worker { fw_dispatch::FW_DISPATCH_WORKER } else { fw_dispatch::FW_DISPATCH_POLL };
        // SAFETY: the functions take what they are registered for, and the player outlives the socket.
        unsafe {
            self.call("dispatch", || fw_socket_set_dispatch(socket, MaybeUninit::new(dispatch)));
            self.call("on_open", || fw_socket_on_open(socket, Some(on_open), user_data));
            self.call("on_text", || fw_socket_on_text(socket, Some(on_text), user_data));
            self.call("on_binary", || fw_socket_on_binary(socket, Some(on_binary), user_data));
            self.call("on_closed", || fw_socket_on_closed(socket, Some(on_closed), user_data));
            self.call("on_error", || fw_socket_on_error(socket, Some(on_error), user_data));
            self.call("finalizer", || fw_socket_set_finalizer(socket, Some(on_finalizer), user_data));
        }
        if name == "secure" {
            let tls = self.tls;
            self.call("set_tls", || fw_socket_set_tls(socket, tls));
        }
        if name == "shared" {
            let version = MaybeUninit::new(fw_http::FW_HTTP_2);
            self.call("set_http_version", || fw_socket_set_http_version(socket, version));
        }
        self.players.push(player);
        self.players.len() - 1
    }

    fn open(&mut self, index: usize) {
        let socket = self.players[index].handle();
        let result = self.call("fw_socket_open", || fw_socket_open(socket));
        assert_eq!(result, FW_RESULT_OK);
        self.players[index].opened.fetch_add(1, Ordering::SeqCst);
        self.until("an open connection or an end", |player| {
            // Checks the state as well: the panic may have prevented the open event.
            fw_socket_is_open(player.handle()) || player.has_ended()
        });
    }

    /// Sends a text and a large message and waits for the echoes.
    fn echo(&mut self, index: usize) {
        static BYTES: [u8; LARGE] = [b'x'; LARGE];
        let socket = self.players[index].handle();
        let before = self.players[index].echoes.load(Ordering::SeqCst);
        let mut sent = 0;
        for len in [100, LARGE] {
            // SAFETY: the length is that of the buffer or less.
            let text = || unsafe { fw_socket_send_text(socket, BYTES.as_ptr().cast(), len) };
            sent += usize::from(self.call("send_text", text) == FW_RESULT_OK);
            // SAFETY: as above.
            let binary = || unsafe { fw_socket_send_binary(socket, BYTES.as_ptr().cast(), len) };
            sent += usize::from(self.call("send_binary", binary) == FW_RESULT_OK);
        }
        let players = &raw const self.players;
        self.until("the echo or an end", |_| {
            // SAFETY: the list is not changed during the call.
            let player = unsafe { &(&*players)[index] };
            player.echoes.load(Ordering::SeqCst) == before + sent || player.has_ended()
        });
    }

    /// Delivers events until the condition holds for every player.
    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(&Player) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.players.iter().all(|player| holds(player)) {
            self.deliver();
            if Instant::now() > deadline {
                let waiting = self.players.iter().find(|player| !holds(player));
                let waiting = waiting.map(|player| (player.name, player.ends.load(Ordering::SeqCst)));
                panic!("timed out waiting for {what} of {waiting:?}");
            }
            fw_wait(1);
        }
    }

    fn deliver(&mut self) {
        if self.mode == Mode::Poll {
            fw_poll(0, 0);
            return;
        }
        let mut event = MaybeUninit::<fw_event>::zeroed();
        // SAFETY: a place to write to.
        while unsafe { fw_next_event(event.as_mut_ptr()) } {
            // SAFETY: it was written.
            let event = unsafe { &mut *event.as_mut_ptr() };
            if let Some(player) = self.players.iter().find(|player| player.socket == event.socket.id) {
                match event.r#type {
                    fw_event_type::FW_EVENT_OPEN => drop(player.opens.fetch_add(1, Ordering::SeqCst)),
                    fw_event_type::FW_EVENT_TEXT | fw_event_type::FW_EVENT_BINARY => {
                        player.echoes.fetch_add(1, Ordering::SeqCst);
                    }
                    fw_event_type::FW_EVENT_CLOSED => drop(player.ends.fetch_add(1, Ordering::SeqCst)),
                    fw_event_type::FW_EVENT_ERROR => player.failed(&event.error),
                    _ => {}
                }
            }
            // Twice: the first may be the call that panics, and a second does nothing.
            for _ in 0..2 {
                // SAFETY: as it was written.
                unsafe { fw_event_release(event) };
            }
        }
    }
}

/// The result of a run.
struct Outcome {
    /// Whether the panic occurred while it could be reported: after the terminal event, cleanup of a
    /// connection may fail silently.
    in_time: bool,
    internal: usize,
    errors: Vec<(&'static str, u32, String)>,
    /// This thread's last error message, where functions without a result report failures.
    last_error: String,
}

/// Opens, echoes on and closes sockets, with a panic at the `nth` pass of `point`.
fn run(servers: &Servers, mode: Mode, point: &'static str, nth: usize) -> Outcome {
    let mut harness = Harness { mode, players: Vec::new(), internal: 0, tls: fw_tls { id: 0 } };
    // Shown when the test fails.
    println!("{point}, pass {nth}, {mode:?}");
    replace_last_error();
    fault::arm(point, nth);
    let tls = &raw mut harness.tls;
    // SAFETY: a place to write to, and a text.
    unsafe {
        harness.call("fw_tls_create", || fw_tls_create(tls));
        let tls = harness.tls;
        harness.call("ca", || fw_tls_add_ca_pem(tls, servers.ca.as_ptr().cast(), servers.ca.len()));
    }
    let by_name = format!("ws://localhost:{}/", servers.plain.port());
    let urls = [
        ("plain", servers.plain.url("/"), false),
        ("plain", servers.plain.url("/"), true),
        ("by name", by_name, false),
        ("secure", servers.secure.url("/"), true),
        ("secure", servers.secure.url("/"), false),
        ("compressing", servers.compressing.url(), false),
        ("shared", servers.shared.url("/"), false),
        ("shared", servers.shared.url("/"), true),
    ];
    for (name, url, worker) in &urls {
        let index = harness.add_player(name, url, *worker);
        harness.open(index);
    }
    for index in 0..urls.len() {
        if !harness.players[index].has_ended() {
            harness.echo(index);
        }
    }
    harness
        .players
        .iter()
        .for_each(|player| assert!(player.ends.load(Ordering::SeqCst) <= 1, "{}", player.name));
    // Affected sockets can be opened again, and all continue.
    for index in 0..urls.len() {
        if harness.players[index].has_ended() {
            harness.open(index);
        }
        if !harness.players[index].has_ended() {
            harness.echo(index);
        }
    }
    let in_time = fault::passes(point) >= nth;
    for index in 0..urls.len() {
        if !harness.players[index].has_ended() {
            let socket = harness.players[index].handle();
            // SAFETY: NULL is no reason.
            harness.call("fw_socket_close", || unsafe { fw_socket_close(socket, 1000, std::ptr::null()) });
        }
    }
    harness.until("the end", Player::has_ended);
    for player in &harness.players {
        let socket = player.handle();
        let mut result = fw_socket_destroy(socket);
        if result == FW_RESULT_INTERNAL {
            harness.internal += 1;
            result = fw_socket_destroy(socket);
        }
        assert_eq!(result, FW_RESULT_OK);
    }
    let tls = harness.tls;
    harness.call("fw_tls_destroy", || fw_tls_destroy(tls));
    harness.call("fw_shutdown", || fw_shutdown(TIMEOUT.as_millis() as u32));
    fault::disarm();
    harness.check_cleanup();
    let errors = harness.players.iter().flat_map(|player| {
        player.errors().iter().map(|(kind, text)| (player.name, *kind, text.clone())).collect::<Vec<_>>()
    });
    Outcome { in_time, internal: harness.internal, errors: errors.collect(), last_error: last_error() }
}

impl Harness {
    /// Checks that everything ended once and nothing leaked.
    fn check_cleanup(&self) {
        for player in &self.players {
            let (ends, opened) = (player.ends.load(Ordering::SeqCst), player.opened.load(Ordering::SeqCst));
            assert_eq!(ends, opened, "one end for each open of {} (worker: {})", player.name, player.worker);
            assert_eq!(player.finalized.load(Ordering::SeqCst), 1, "the finalizer of {}", player.name);
        }
        let mut pool = MaybeUninit::<fw_pool_stats>::zeroed();
        // SAFETY: a place to write to; all zero is a valid one.
        let pool = unsafe {
            fw_pool_stats_init(pool.as_mut_ptr(), size_of::<fw_pool_stats>());
            fw_buffer_pool_stats(pool.as_mut_ptr());
            pool.assume_init()
        };
        assert_eq!((pool.blocks_in_use, pool.leases), (0, 0), "leaked payloads");
        let deadline = Instant::now() + TIMEOUT;
        while own_threads() > 0 {
            assert!(Instant::now() < deadline, "a leaked thread");
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

fn own_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("framewire-")).count()
}

/// Counts descriptors of this process; the servers close theirs slightly later than the client.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn last_error() -> String {
    let mut buffer = [0u8; 512];
    // SAFETY: the length is that of the buffer or less.
    unsafe { fw_last_error(buffer.as_mut_ptr().cast(), buffer.len()) };
    CStr::from_bytes_until_nul(&buffer).unwrap().to_string_lossy().into_owned()
}

fn replace_last_error() {
    // Another error replaces the message.
    assert_eq!(fw_socket_open(fw_socket { id: 0 }), FW_RESULT_INVALID_HANDLE);
}

fn hide_injected_panics() {
    // Hides thousands of injected panics; those of the tests themselves are still printed.
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().downcast_ref::<String>().is_some_and(|message| message.contains("fault point")) {
            shown(panic);
        }
    }));
}

/// Runs the tests one at a time: the points and the library are global.
fn exclusive() -> MutexGuard<'static, ()> {
    static EXCLUSIVE: Mutex<()> = Mutex::new(());
    EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn panic_at_every_point_is_contained() {
    let _exclusive = exclusive();
    hide_injected_panics();
    let servers = Servers::start();
    let mut injected = 0;
    let mut reached = Vec::new();
    // Warm-up: the first connection of a process opens files that stay open.
    run(&servers, Mode::Poll, fault::POINTS[0], usize::MAX);
    let before = descriptors();
    for mode in [Mode::Poll, Mode::Pull] {
        for &point in fault::POINTS {
            run(&servers, mode, point, usize::MAX);
            let passes = fault::passes(point);
            if passes > 0 {
                reached.push(point);
            }
            // The number of a worker's turns differs by thousands between runs.
            let last = if point == "engine.serve" { passes.min(40) } else { passes };
            let mut chosen = vec![1, last / 2, last];
            chosen.retain(|nth| (1..=passes).contains(nth));
            chosen.dedup();
            let mut reported = 0;
            for nth in chosen {
                let outcome = run(&servers, mode, point, nth);
                // The last passes of a point on other threads may not occur in every run.
                let reports = reports(&outcome);
                // A worker without connections cannot report it; and a terminal event that could not be
                // queued is queued again.
                let unreportable = ["engine.serve", "net.http2", "engine.publish"];
                let reportable = outcome.in_time && !unreportable.contains(&point);
                assert!(!reportable || reports > 0, "{point}, pass {nth}, {mode:?}: not reported");
                reported += usize::from(reports > 0);
                injected += usize::from(outcome.in_time);
                // Sockets that share a connection or a worker fail together.
                let mut affected: Vec<&str> = outcome.errors.iter().map(|(name, ..)| *name).collect();
                affected.dedup_by(|one, other| (*one, *other) == ("shared", "shared"));
                let is_contained = affected.len() <= 1 || point == "engine.serve";
                assert!(is_contained, "{point}, pass {nth}, {mode:?}: {:?}", outcome.errors);
            }
            assert!(passes == 0 || reported > 0, "{point}, {mode:?}: no panic was reported");
        }
    }
    for point in fault::POINTS {
        assert!(reached.contains(point), "no run passes {point}");
    }
    println!("{injected} panics at {} points", fault::POINTS.len());
    let deadline = Instant::now() + TIMEOUT;
    while descriptors() > before {
        assert!(Instant::now() < deadline, "{} descriptors, {before} before", descriptors());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Counts how often a run has reported the panic.
fn reports(outcome: &Outcome) -> usize {
    outcome.errors.len() + outcome.internal + usize::from(outcome.last_error.contains("fault point"))
}

/// The callback of a socket that has no connection to end waits for the thread that takes another socket's event.
#[test]
fn waiting_threads_are_woken_before_a_socket_without_connection_ends() {
    let _exclusive = exclusive();
    hide_injected_panics();
    let server = EchoServer::start();
    let client = Socket::create(&server.url("/")).unwrap();
    client.open().unwrap();
    let next_event = |client: &Socket| loop {
        if let Some(event) = client.next_event().unwrap() {
            break event.kind;
        }
        std::thread::yield_now();
    };
    assert!(matches!(next_event(&client), EventKind::Open));

    // Stops the worker, so that it finds the commands of the other two at once.
    let brake = Socket::create(&server.url("/")).unwrap();
    brake.set_dispatch(Dispatch::Worker).unwrap();
    let ((enter, entered), (release, released)) = (channel(), channel::<()>());
    let released = Mutex::new(released);
    let stop = move |_: &Socket| {
        enter.send(()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(TIMEOUT);
    };
    brake.on_open(Some(Arc::new(stop))).unwrap();
    brake.open().unwrap();
    entered.recv_timeout(TIMEOUT).unwrap();

    let other = Socket::create(&server.url("/")).unwrap();
    other.set_dispatch(Dispatch::Worker).unwrap();
    let ((taken, was_taken), (report, reported)) = (channel::<()>(), channel());
    let was_taken = Mutex::new(was_taken);
    let wait_in_callback = move |_: &Socket, _: &Error| {
        report.send(was_taken.lock().unwrap().recv_timeout(TIMEOUT)).unwrap();
    };
    other.on_error(Some(Arc::new(wait_in_callback))).unwrap();
    fault::arm("engine.commands", 2);
    client.abort().unwrap();
    other.open().unwrap();
    let game = std::thread::spawn(move || {
        // Longer than the callback waits.
        assert!(wait(2 * TIMEOUT));
        assert!(matches!(next_event(&client), EventKind::Closed { .. }));
        let _ = taken.send(());
    });
    // Time must pass until the thread waits.
    std::thread::sleep(Duration::from_millis(100));
    release.send(()).unwrap();
    assert_eq!(reported.recv(), Ok(Ok(())), "the event was taken in time");
    assert!(!fault::disarm());
    game.join().unwrap();
    framewire::shutdown(TIMEOUT).unwrap();
}
