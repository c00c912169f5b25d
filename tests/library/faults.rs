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
use std::sync::{Mutex, MutexGuard, PoisonError};
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
use framewire_servers::certs::{Demands, server_config};
use framewire_servers::http2::{Behaviour, Http2Server};
use framewire_servers::{Authority, EchoServer, Scripted};

/// A wait that takes longer fails the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Large enough to be compressed, sent in fragments, and received in a block of its own.
const LARGE: usize = 150_000;

/// How the game gets events.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
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
            // What was compressed comes back as it was sent, and so can be decompressed.
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
    /// Opens that were accepted.
    tried: AtomicUsize,
}

impl Player {
    fn handle(&self) -> fw_socket {
        fw_socket { id: self.socket }
    }

    fn errors(&self) -> MutexGuard<'_, Vec<(u32, String)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &fw_error) {
        // SAFETY: an error event's message is terminated, and lives until the event ends.
        let message = unsafe { CStr::from_ptr(error.message) }.to_string_lossy().into_owned();
        self.errors().push((error.kind as u32, message));
        self.ends.fetch_add(1, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ends.load(Ordering::SeqCst) == self.tried.load(Ordering::SeqCst)
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

struct Game {
    way: Way,
    players: Vec<Box<Player>>,
    /// Calls that returned `FW_RESULT_INTERNAL`.
    internal: usize,
    tls: fw_tls,
}

impl Game {
    /// Repeats a call if it failed because of the panic; any other failure is wrong.
    fn call(&mut self, what: &str, call: impl Fn() -> fw_result) -> fw_result {
        let mut result = call();
        if result == FW_RESULT_INTERNAL {
            self.internal += 1;
            result = call();
        }
        // What ended with an error is closed, and what the fault ends is about to be.
        assert!(matches!(result, FW_RESULT_OK | FW_RESULT_INVALID_STATE), "{what} gave {result:?}");
        result
    }

    fn join(&mut self, name: &'static str, url: &str, worker: bool) -> usize {
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
        self.players[index].tried.fetch_add(1, Ordering::SeqCst);
        self.until("an open connection or an end", |player| {
            // The state as well: an open event may be what the panic has taken.
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
            // SAFETY: as many bytes as said.
            let text = || unsafe { fw_socket_send_text(socket, BYTES.as_ptr().cast(), len) };
            sent += usize::from(self.call("send_text", text) == FW_RESULT_OK);
            // SAFETY: as above.
            let binary = || unsafe { fw_socket_send_binary(socket, BYTES.as_ptr().cast(), len) };
            sent += usize::from(self.call("send_binary", binary) == FW_RESULT_OK);
        }
        let players = &raw const self.players;
        self.until("the echo or an end", |_| {
            // SAFETY: nobody changes the list meanwhile.
            let player = unsafe { &(&*players)[index] };
            player.echoes.load(Ordering::SeqCst) == before + sent || player.has_ended()
        });
    }

    /// Delivers events until the condition holds for every player.
    #[track_caller]
    fn until(&mut self, what: &str, holds: impl Fn(&Player) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !self.players.iter().all(|player| holds(player)) {
            self.deliver();
            if Instant::now() > deadline {
                let wanting = self.players.iter().find(|player| !holds(player));
                let wanting = wanting.map(|player| (player.name, player.ends.load(Ordering::SeqCst)));
                panic!("timed out waiting for {what} of {wanting:?}");
            }
            fw_wait(1);
        }
    }

    fn deliver(&mut self) {
        if self.way == Way::Poll {
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
struct Played {
    /// Whether the panic came while it could be reported: after the terminal event, the rest of a connection
    /// may fail silently.
    in_time: bool,
    internal: usize,
    errors: Vec<(&'static str, u32, String)>,
    /// What this thread's last failure says: functions without a result answer there.
    last_error: String,
}

/// Sockets open, echo and close, with a panic at the `nth` pass of `point` on the way.
fn play(servers: &Servers, way: Way, point: &'static str, nth: usize) -> Played {
    let mut game = Game { way, players: Vec::new(), internal: 0, tls: fw_tls { id: 0 } };
    // Shown when the test fails.
    println!("{point}, pass {nth}, {way:?}");
    forget_last_error();
    fault::arm(point, nth);
    let tls = &raw mut game.tls;
    // SAFETY: a place to write to, and a text.
    unsafe {
        game.call("fw_tls_create", || fw_tls_create(tls));
        let tls = game.tls;
        game.call("ca", || fw_tls_add_ca_pem(tls, servers.ca.as_ptr().cast(), servers.ca.len()));
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
        let index = game.join(name, url, *worker);
        game.open(index);
    }
    for index in 0..urls.len() {
        if !game.players[index].has_ended() {
            game.echo(index);
        }
    }
    game.players
        .iter()
        .for_each(|player| assert!(player.ends.load(Ordering::SeqCst) <= 1, "{}", player.name));
    // Those that it hit can be opened again, and all go on.
    for index in 0..urls.len() {
        if game.players[index].has_ended() {
            game.open(index);
        }
        if !game.players[index].has_ended() {
            game.echo(index);
        }
    }
    let in_time = fault::passes(point) >= nth;
    for index in 0..urls.len() {
        if !game.players[index].has_ended() {
            let socket = game.players[index].handle();
            // SAFETY: NULL is no reason.
            game.call("fw_socket_close", || unsafe { fw_socket_close(socket, 1000, std::ptr::null()) });
        }
    }
    game.until("the end", Player::has_ended);
    for player in &game.players {
        let socket = player.handle();
        let mut result = fw_socket_destroy(socket);
        if result == FW_RESULT_INTERNAL {
            game.internal += 1;
            result = fw_socket_destroy(socket);
        }
        assert_eq!(result, FW_RESULT_OK);
    }
    let tls = game.tls;
    game.call("fw_tls_destroy", || fw_tls_destroy(tls));
    game.call("fw_shutdown", || fw_shutdown(PATIENCE.as_millis() as u32));
    fault::disarm();
    game.look_around();
    let errors = game.players.iter().flat_map(|player| {
        player.errors().iter().map(|(kind, text)| (player.name, *kind, text.clone())).collect::<Vec<_>>()
    });
    Played { in_time, internal: game.internal, errors: errors.collect(), last_error: last_error() }
}

impl Game {
    /// Checks that everything ended once and nothing leaked.
    fn look_around(&self) {
        for player in &self.players {
            let (ends, tried) = (player.ends.load(Ordering::SeqCst), player.tried.load(Ordering::SeqCst));
            assert_eq!(ends, tried, "one end for each open of {} (worker: {})", player.name, player.worker);
            assert_eq!(player.finalized.load(Ordering::SeqCst), 1, "the finalizer of {}", player.name);
        }
        let mut pool = MaybeUninit::<fw_pool_stats>::zeroed();
        // SAFETY: a place to write to; all zero is a valid one.
        let pool = unsafe {
            fw_pool_stats_init(pool.as_mut_ptr(), size_of::<fw_pool_stats>());
            fw_buffer_pool_stats(pool.as_mut_ptr());
            pool.assume_init()
        };
        assert_eq!((pool.blocks_in_use, pool.leases), (0, 0), "payloads are left");
        let deadline = Instant::now() + PATIENCE;
        while own_threads() > 0 {
            assert!(Instant::now() < deadline, "a thread is left");
            std::thread::sleep(Duration::from_micros(300));
        }
    }
}

fn own_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("framewire-")).count()
}

/// Sockets of this process; the servers' ends go a little later than the client's.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn last_error() -> String {
    let mut buffer = [0u8; 512];
    // SAFETY: as many bytes as said.
    unsafe { fw_last_error(buffer.as_mut_ptr().cast(), buffer.len()) };
    CStr::from_bytes_until_nul(&buffer).unwrap().to_string_lossy().into_owned()
}

fn forget_last_error() {
    // A refusal of another kind takes the place.
    assert_eq!(fw_socket_open(fw_socket { id: 0 }), FW_RESULT_INVALID_HANDLE);
}

fn quiet_panics() {
    // Thousands are asked for; those of the tests themselves are still shown.
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().downcast_ref::<String>().is_some_and(|words| words.contains("fault point")) {
            shown(panic);
        }
    }));
}

#[test]
fn panic_at_every_point_is_contained() {
    quiet_panics();
    let servers = Servers::start();
    let mut tried = 0;
    let mut met = Vec::new();
    // Once for what stays: the first connection of a process opens files of its own.
    play(&servers, Way::Poll, fault::POINTS[0], usize::MAX);
    let before = descriptors();
    for way in [Way::Poll, Way::Pull] {
        for &point in fault::POINTS {
            play(&servers, way, point, usize::MAX);
            let passes = fault::passes(point);
            if passes > 0 {
                met.push(point);
            }
            // A worker's rounds differ by thousands from game to game.
            let last = if point == "engine.serve" { passes.min(40) } else { passes };
            let mut chosen = vec![1, last / 2, last];
            chosen.retain(|nth| (1..=passes).contains(nth));
            chosen.dedup();
            let mut told = 0;
            for nth in chosen {
                let played = play(&servers, way, point, nth);
                // Of a point on other threads the last passes may not come every time.
                let answers = answers(&played);
                // A worker without connections cannot report it; and a terminal event that could not be
                // queued is queued again.
                let quiet = ["engine.serve", "net.http2", "engine.publish"];
                let reportable = played.in_time && !quiet.contains(&point);
                assert!(!reportable || answers > 0, "{point}, pass {nth}, {way:?}: no answer");
                told += usize::from(answers > 0);
                tried += usize::from(played.in_time);
                // Those that share one connection lose it together; those of a worker have that worker.
                let mut hit: Vec<&str> = played.errors.iter().map(|(name, ..)| *name).collect();
                hit.dedup_by(|one, other| (*one, *other) == ("shared", "shared"));
                let alone = hit.len() <= 1 || point == "engine.serve";
                assert!(alone, "{point}, pass {nth}, {way:?}: {:?}", played.errors);
            }
            assert!(passes == 0 || told > 0, "{point}, {way:?}: no panic was reported");
        }
    }
    for point in fault::POINTS {
        assert!(met.contains(point), "no game passes {point}");
    }
    println!("{tried} panics at {} points", fault::POINTS.len());
    let deadline = Instant::now() + PATIENCE;
    while descriptors() > before {
        assert!(Instant::now() < deadline, "{} descriptors, {before} before", descriptors());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In how many ways a run has reported the panic.
fn answers(played: &Played) -> usize {
    played.errors.len() + played.internal + usize::from(played.last_error.contains("fault point"))
}
