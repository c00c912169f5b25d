//! Starting and stopping the library, without leaks.
//!
//! The library is global to the process, so the tests run one at a time.

#[path = "../common/mod.rs"]
mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::{Client, Seen, TIMEOUT, exclusive, wait_until};
use framewire::{
    CaptureOptions, Code, Config, Dispatch, EventType, HttpVersion, LinkConditions, LogLevel, Socket, State,
    end_capture, init, network_changed, next_event, pending, poll, pool_stats, set_capture, set_link,
    set_log, shutdown, wait,
};
use framewire_servers::{EchoServer, Scripted};

fn stop() {
    shutdown(TIMEOUT).unwrap();
}

/// Names of this process's threads that belong to the library.
fn own_threads() -> Vec<String> {
    let mut names = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end meanwhile.
        if let Ok(name) = std::fs::read_to_string(task.unwrap().path().join("comm"))
            && name.starts_with("framewire-")
        {
            names.push(name);
        }
    }
    names
}

/// A joined thread is listed a little longer: the system wakes the joining thread before it removes the other
/// from its list.
#[track_caller]
fn assert_no_threads() {
    wait_until("the end of every thread", || own_threads().is_empty());
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn init_is_refused_while_the_library_runs() {
    let _exclusive = exclusive();
    stop();
    init(Config::default()).unwrap();
    assert_eq!(init(Config::default()).unwrap_err().code, Code::InvalidState);
    stop();
    // The first socket starts it, too.
    let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
    assert_eq!(init(Config::default()).unwrap_err().code, Code::InvalidState);
    stop();
    assert_eq!(socket.state(), State::Unknown);
    init(Config { worker_threads: 3, ..Config::default() }).unwrap();
    stop();
    let too_many = Config { worker_threads: 10_000, ..Config::default() };
    assert_eq!(init(too_many).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn stopped_library_rejects_every_call_safely() {
    let _exclusive = exclusive();
    let socket = Socket::create("ws://127.0.0.1:1/").unwrap();
    stop();
    stop();
    assert_eq!((poll(0, 0), pending(), wait(Duration::ZERO)), (0, 0, false));
    assert!(next_event().is_none());
    assert_eq!(socket.open().unwrap_err().code, Code::InvalidHandle);
    assert_eq!(socket.send_text("x").unwrap_err().code, Code::InvalidHandle);
    assert_eq!(socket.destroy().unwrap_err().code, Code::InvalidHandle);
    assert_eq!(Socket::from_id(socket.id()).unwrap_err().code, Code::InvalidHandle);
    assert_no_threads();
}

#[test]
fn shutdown_in_a_callback_is_refused() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    for dispatch in [Dispatch::Poll, Dispatch::Worker] {
        let client = Client::new(&echo.url("/"));
        client.set_dispatch(dispatch).unwrap();
        let (report, reported) = mpsc::channel();
        let own = report.clone();
        client
            .on_open(Some(Arc::new(move |_| {
                let _ = own.send(shutdown(TIMEOUT).map_err(|e| e.code));
            })))
            .unwrap();
        client
            .set_finalizer(Some(Box::new(move || {
                let _ = report.send(shutdown(TIMEOUT).map_err(|e| e.code));
            })))
            .unwrap();
        client.open().unwrap();
        wait_until("the open event", || {
            poll(0, 0);
            match reported.try_recv() {
                Ok(result) => {
                    assert_eq!(result, Err(Code::InvalidState));
                    true
                }
                Err(_) => false,
            }
        });
        client.send_text("still open").unwrap();
        client.destroy().unwrap();
        stop();
        assert_eq!(reported.try_recv(), Ok(Err(Code::InvalidState)), "from the finalizer");
    }
}

/// It would wait for the thread on which it was called.
#[test]
fn shutdown_in_the_log_and_on_threads_of_the_library_is_refused() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    let results = Arc::new(Mutex::new(Vec::new()));
    let attempt = |what: &'static str| {
        let results = results.clone();
        move || {
            let result = shutdown(TIMEOUT).map_err(|error| error.code);
            results.lock().unwrap().push((what, result));
        }
    };
    init(Config {
        thread_started: Some(Arc::new(attempt("started"))),
        thread_stopped: Some(Arc::new(attempt("stopped"))),
        ..Config::default()
    })
    .unwrap();
    let log = attempt("log");
    set_log(LogLevel::Debug, Some(Arc::new(move |_, _, _, _| log())));
    let client = Client::opened(&echo.url("/"));
    client.send_text("the library runs").unwrap();
    assert_eq!(client.next(), Seen::Text("the library runs".into()));
    stop();
    set_log(LogLevel::Off, None);
    let results = results.lock().unwrap();
    assert!(results.iter().all(|(_, result)| *result == Err(Code::InvalidState)), "{results:?}");
    for what in ["started", "stopped", "log"] {
        assert!(results.iter().any(|(seen, _)| *seen == what), "no call of {what}");
    }
}

#[test]
fn shutdown_does_not_wait_for_a_held_request() {
    let _exclusive = exclusive();
    let server = Scripted::start(|mut peer| {
        peer.wait_for_end();
    });
    let client = Client::new(&server.url());
    client.enable_event(EventType::Request, true).unwrap();
    let finalized = Arc::new(AtomicUsize::new(0));
    let own = finalized.clone();
    client
        .set_finalizer(Some(Box::new(move || {
            own.fetch_add(1, Ordering::SeqCst);
        })))
        .unwrap();
    client.open().unwrap();
    let mut held = None;
    wait_until("the request", || {
        held = next_event();
        held.is_some()
    });
    stop();
    assert_eq!(finalized.load(Ordering::SeqCst), 1);
    // Releasing it after the shutdown is safe.
    drop(held);
    assert_no_threads();
}

#[test]
fn restarts_leak_no_threads_descriptors_or_blocks() {
    let _exclusive = exclusive();
    stop();
    let before = descriptors();
    let server = Scripted::start(|mut peer| match peer.number % 4 {
        // Silent before the upgrade; silent after it; sending endlessly; closing.
        0 => {
            peer.wait_for_end();
        }
        1 => {
            peer.accept_upgrade();
            peer.wait_for_end();
        }
        2 => {
            peer.accept_upgrade();
            for _ in 0..20_000 {
                peer.send_frame(0x82, &[1; 1000]);
            }
        }
        _ => {
            peer.accept_upgrade();
            peer.send_close(1000, "");
            peer.wait_for_end();
        }
    });
    let (by_address, by_name) = (server.url(), format!("ws://localhost:{}/", server.port()));
    for round in 0..50 {
        let finalized = Arc::new(AtomicUsize::new(0));
        for number in 0..8 {
            let socket = Socket::create(if number % 2 == 0 { &by_address } else { &by_name }).unwrap();
            let own = finalized.clone();
            socket
                .set_finalizer(Some(Box::new(move || {
                    own.fetch_add(1, Ordering::SeqCst);
                })))
                .unwrap();
            if number > 4 {
                socket.set_dispatch(Dispatch::Worker).unwrap();
            }
            if number < 7 {
                socket.open().unwrap();
            }
            if number == 3 {
                socket.destroy().unwrap();
            }
        }
        // Stops in whatever phase the sockets are.
        if round % 3 == 0 {
            wait_until("some event", || pending() > 0);
        }
        stop();
        assert_eq!(finalized.load(Ordering::SeqCst), 8, "round {round}");
        assert_no_threads();
        assert_eq!(pending(), 0);
        let stats = pool_stats();
        assert_eq!(
            (stats.blocks_in_use, stats.blocks_free, stats.leases),
            (0, 0, 0),
            "round {round}: {stats:?}"
        );
    }
    drop(server);
    assert_eq!(descriptors(), before);
}

#[test]
fn sockets_created_during_shutdown_are_finalized_or_refused() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    let url = echo.url("/");
    let (created, finalized) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let socket = match Socket::create(&url) {
                        Ok(socket) => socket,
                        Err(refused) => {
                            assert_eq!(refused.code, Code::ShutDown);
                            std::thread::yield_now();
                            continue;
                        }
                    };
                    let own = finalized.clone();
                    let count: Box<dyn FnOnce() + Send> = Box::new(move || {
                        own.fetch_add(1, Ordering::SeqCst);
                    });
                    match socket.set_finalizer(Some(count)) {
                        Ok(()) => created.fetch_add(1, Ordering::SeqCst),
                        Err(refused) => {
                            assert_eq!(refused.code, Code::InvalidHandle);
                            continue;
                        }
                    };
                    let _ = socket.open();
                    let _ = socket.send_text("x");
                    poll(4, 0);
                }
            });
        }
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(2));
            stop();
        }
        done.store(true, Ordering::SeqCst);
    });
    stop();
    assert_eq!(finalized.load(Ordering::SeqCst), created.load(Ordering::SeqCst));
    assert!(created.load(Ordering::SeqCst) > 0);
    assert_no_threads();
}

#[test]
fn shutdown_times_out_on_a_blocked_callback() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    let client = Client::new(&echo.url("/"));
    client.set_dispatch(Dispatch::Worker).unwrap();
    let (entered, inside) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    client
        .on_open(Some(Arc::new(move |_| {
            entered.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        })))
        .unwrap();
    client.open().unwrap();
    inside.recv().unwrap();
    assert_eq!(shutdown(Duration::from_millis(20)).unwrap_err().code, Code::TimedOut);
    assert_eq!(Socket::create("ws://127.0.0.1:1/").unwrap_err().code, Code::ShutDown);
    release.send(()).unwrap();
    stop();
    assert_no_threads();
}

#[test]
fn recent_lookup_is_used_again_until_a_failure_or_a_network_change() {
    let _exclusive = exclusive();
    let echo = EchoServer::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // A lookup takes another thread, so never 0 microseconds.
    let looks_up = || {
        let client = Client::opened(&format!("ws://localhost:{}/", echo.port()));
        client.stats().resolve_us > 0
    };
    assert!(looks_up());
    assert!(!looks_up());
    assert!(matches!(Client::opening(&format!("ws://localhost:{closed}/")).end(), Seen::Error(_)));
    assert!(looks_up());
    assert!(!looks_up());
    network_changed();
    assert!(looks_up());
    stop();
}

#[test]
fn thread_hooks_run_first_and_last_on_each_thread() {
    let _exclusive = exclusive();
    stop();
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = |counter: &Arc<AtomicUsize>| -> Option<Arc<dyn Fn() + Send + Sync>> {
        let counter = counter.clone();
        Some(Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        }))
    };
    init(Config {
        worker_threads: 2,
        thread_started: count(&started),
        thread_stopped: count(&stopped),
        ..Config::default()
    })
    .unwrap();
    let echo = EchoServer::start();
    let client = Client::opening(&format!("ws://localhost:{}/", echo.port()));
    assert_eq!(client.next(), Seen::Open);
    // Two workers, of which one may start late, and the resolver threads that were started.
    wait_until("the threads run", || started.load(Ordering::SeqCst) >= 3);
    assert_eq!(stopped.load(Ordering::SeqCst), 0);
    stop();
    assert_eq!(started.load(Ordering::SeqCst), stopped.load(Ordering::SeqCst));
}

/// A socket that opens may move to another worker, and a new one takes the settings of all sockets.
#[test]
fn settings_of_all_sockets_can_change_while_sockets_are_created_and_opened() {
    let _guard = exclusive();
    init(Config { worker_threads: 4, ..Config::default() }).unwrap();
    let file = std::path::Path::new("/dev/null");
    let keep_going = |rounds: u32, act: &dyn Fn(u32)| (0..rounds).for_each(act);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            keep_going(4000, &|round| {
                set_link((round % 2 == 0).then(LinkConditions::default)).unwrap();
                match round % 2 {
                    0 => set_capture(file, CaptureOptions::default()).unwrap(),
                    _ => end_capture(),
                }
            });
        });
        for _ in 0..4 {
            scope.spawn(|| {
                keep_going(2000, &|_| {
                    // Sockets that may share a connection move to the worker of the first one.
                    let client = Client::new("wss://127.0.0.1:1/");
                    client.set_http_version(HttpVersion::Http2).unwrap();
                    client.open().unwrap();
                });
            });
        }
    });
    set_link(None).unwrap();
    stop();
    assert_no_threads();
}

/// Sockets can be keys of maps, and everything that a program keeps can be shown.
#[test]
fn handles_are_equal_and_can_be_shown() {
    let _exclusive = exclusive();
    let (one, two) = (Socket::create("ws://h/").unwrap(), Socket::create("ws://h/?token=secret").unwrap());
    assert_eq!(one, one.clone());
    assert_ne!(one, two);
    assert_eq!(std::collections::HashSet::from([one.clone(), two.clone(), one]).len(), 2);
    let shown = format!("{two:?} {:?} {:?}", Config::default(), framewire::Segment::copy_of(b"secret"));
    assert!(shown.contains("worker_threads: 0") && shown.contains("len: 6"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
}
