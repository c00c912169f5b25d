//! Destruction of sockets and shutdown of the library while other threads use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Harness, check, publish, thread};
use crate::clock::Instant;
use crate::engine::library;
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::delivery;
use crate::engine::shared::ready_list;
use crate::engine::shared::socket::Shared;

fn count_finalizers(socket: &Shared, finalized: &Arc<AtomicUsize>) {
    let finalized = finalized.clone();
    let finalizer = move || {
        finalized.fetch_add(1, Ordering::SeqCst);
    };
    *socket.finalizer.lock().unwrap() = Some(Box::new(finalizer));
}

/// Plays the worker until it is stopped: finishes destroyed sockets and ignores the others.
fn work(harness: &Harness) {
    let mut stops = false;
    while !stops {
        let (sockets, commands) = harness.take_inbox();
        sockets.into_iter().for_each(Shared::worker_ended);
        stops = commands.stop.is_some();
    }
    harness.inbox.close().into_iter().for_each(Shared::worker_ended);
}

/// Does what `library::shutdown` does, without handles and joining threads.
fn shut_down(harness: &Harness) {
    harness.inbox.stop(Instant::now());
    harness.ready_list.stop();
}

fn close(harness: &Harness) {
    while harness.ready_list.is_delivering() {
        thread::yield_now();
    }
    delivery::close(&harness.ready_list);
}

#[test]
fn finalizer_runs_once_after_last_callback() {
    check(|| {
        let harness = Arc::new(Harness::new(1000));
        let socket = harness.socket(0);
        let (finalized, running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        count_finalizers(&socket, &finalized);
        let (after, inside) = (finalized.clone(), running);
        let closed = move |_: &crate::Socket, _: u16, _: &str| {
            inside.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            assert_eq!(after.load(Ordering::SeqCst), 0, "no callback after the finalizer");
        };
        crate::Socket(socket.clone()).on_closed(Some(Arc::new(closed))).unwrap();
        let worker = {
            let harness = harness.clone();
            thread::spawn(move || work(&harness))
        };
        let pollers = [(); 2].map(|()| {
            let ready_list = harness.ready_list.clone();
            thread::spawn(move || delivery::poll(&ready_list, 0, 0))
        });
        publish(&socket, &[0, 1]);
        library::destroy(&socket, DestroyMode::Discard);
        for poller in pollers {
            poller.join().unwrap();
        }
        harness.inbox.stop(Instant::now());
        worker.join().unwrap();
        delivery::poll(&harness.ready_list, 0, 0);
        assert_eq!(finalized.load(Ordering::SeqCst), 1);
        assert!(ready_list::idle());
    });
}

#[test]
fn shutdown_finalizes_all_sockets_and_delivers_nothing_afterwards() {
    check(|| {
        let harness = Arc::new(Harness::new(1000));
        let sockets = [harness.socket(0), harness.socket(1)];
        let (finalized, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for socket in &sockets {
            count_finalizers(socket, &finalized);
            let called = called.clone();
            let closed = move |_: &crate::Socket, _: u16, _: &str| {
                called.fetch_add(1, Ordering::SeqCst);
            };
            crate::Socket(socket.clone()).on_closed(Some(Arc::new(closed))).unwrap();
        }
        let worker = {
            let (harness, socket) = (harness.clone(), sockets[1].clone());
            thread::spawn(move || {
                publish(&socket, &[0, 1]);
                work(&harness);
            })
        };
        let poller = {
            let ready_list = harness.ready_list.clone();
            thread::spawn(move || {
                delivery::poll(&ready_list, 1, 0);
                delivery::poll(&ready_list, 0, 0);
            })
        };
        let consumer = {
            let socket = sockets[0].clone();
            thread::spawn(move || {
                drop((delivery::next_event_of(&socket), delivery::next_event(&socket.ready_list)))
            })
        };
        publish(&sockets[0], &[0, 1]);
        sockets.iter().for_each(|socket| library::destroy(socket, DestroyMode::Discard));
        shut_down(&harness);
        worker.join().unwrap();
        close(&harness);
        let before = called.load(Ordering::SeqCst);
        assert_eq!(finalized.load(Ordering::SeqCst), 2);
        poller.join().unwrap();
        consumer.join().unwrap();
        assert_eq!(called.load(Ordering::SeqCst), before, "no callback after shutdown");
        assert!(ready_list::idle());
        assert_eq!(finalized.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn socket_destroyed_during_shutdown_is_finalized_and_freed() {
    check(|| {
        let harness = Arc::new(Harness::new(1000));
        let socket = harness.socket(0);
        let finalized = Arc::new(AtomicUsize::new(0));
        count_finalizers(&socket, &finalized);
        let alive = Arc::downgrade(&socket);
        let worker = {
            let harness = harness.clone();
            thread::spawn(move || work(&harness))
        };
        let sender = {
            let socket = socket.clone();
            thread::spawn(move || socket.notify())
        };
        let destroyer = thread::spawn(move || library::destroy(&socket, DestroyMode::Discard));
        shut_down(&harness);
        worker.join().unwrap();
        close(&harness);
        sender.join().unwrap();
        destroyer.join().unwrap();
        assert_eq!(finalized.load(Ordering::SeqCst), 1);
        assert!(alive.upgrade().is_none(), "neither the inbox nor the ready_list keeps a reference");
        assert!(ready_list::idle());
    });
}

/// One that is accepted runs; nothing is left in the socket, which handles may keep.
#[test]
fn finalizer_and_callbacks_set_during_destruction_are_used_or_refused() {
    check(|| {
        let harness = Arc::new(Harness::new(1000));
        let socket = harness.socket(0);
        let (finalized, captured) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let worker = {
            let harness = harness.clone();
            thread::spawn(move || work(&harness))
        };
        let setter = {
            let (handle, finalized) = (crate::Socket(socket.clone()), finalized.clone());
            thread::spawn(move || {
                let finalizer = move || {
                    finalized.fetch_add(1, Ordering::SeqCst);
                };
                handle.set_finalizer(Some(Box::new(finalizer))).is_ok()
            })
        };
        let other_setter = {
            let (handle, captured) = (crate::Socket(socket.clone()), captured.clone());
            thread::spawn(move || {
                let closed = move |_: &crate::Socket, _: u16, _: &str| drop(captured.clone());
                drop(handle.on_closed(Some(Arc::new(closed))));
            })
        };
        library::destroy(&socket, DestroyMode::Discard);
        harness.inbox.stop(Instant::now());
        worker.join().unwrap();
        delivery::poll(&harness.ready_list, 0, 0);
        let is_accepted = setter.join().unwrap();
        other_setter.join().unwrap();
        assert_eq!(finalized.load(Ordering::SeqCst), usize::from(is_accepted));
        assert_eq!(Arc::strong_count(&captured), 1, "a callback is still there");
        assert!(ready_list::idle());
    });
}
