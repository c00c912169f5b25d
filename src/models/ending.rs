//! The end of sockets, and of the library, while others still use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::{House, check, publish, thread};
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

/// Plays the worker until it is told to stop: destroyed sockets are finished, the rest is left.
fn work(house: &House) {
    let mut stops = false;
    while !stops {
        let (sockets, commands) = house.read_inbox();
        sockets.into_iter().for_each(Shared::worker_ended);
        stops = commands.stop.is_some();
    }
    house.inbox.close().into_iter().for_each(Shared::worker_ended);
}

/// What `library::shutdown` does, less the handles and the joining of threads.
fn shut_down(house: &House) {
    house.inbox.stop(Instant::now());
    house.ready_list.stop();
}

fn close(house: &House) {
    while house.ready_list.is_delivering() {
        thread::yield_now();
    }
    delivery::close(&house.ready_list);
}

#[test]
fn a_finalizer_runs_once_after_the_last_callback() {
    check(|| {
        let house = Arc::new(House::new(1000));
        let socket = house.socket(0);
        let (finalized, running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        count_finalizers(&socket, &finalized);
        let (after, inside) = (finalized.clone(), running);
        let closed = move |_: &crate::Socket, _: u16, _: &str| {
            inside.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            assert_eq!(after.load(Ordering::SeqCst), 0, "no callback after the finalizer");
        };
        socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
        let worker = {
            let house = house.clone();
            thread::spawn(move || work(&house))
        };
        let pollers = [(); 2].map(|()| {
            let ready_list = house.ready_list.clone();
            thread::spawn(move || delivery::poll(&ready_list, 0, 0))
        });
        publish(&socket, &[0, 1]);
        library::destroy(&socket, DestroyMode::Discard);
        for poller in pollers {
            poller.join().unwrap();
        }
        house.inbox.stop(Instant::now());
        worker.join().unwrap();
        delivery::poll(&house.ready_list, 0, 0);
        assert_eq!(finalized.load(Ordering::SeqCst), 1);
        assert!(ready_list::idle());
    });
}

#[test]
fn a_library_that_stops_finalizes_everything_and_leaves_nothing_to_deliver() {
    check(|| {
        let house = Arc::new(House::new(1000));
        let sockets = [house.socket(0), house.socket(1)];
        let (finalized, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for socket in &sockets {
            count_finalizers(socket, &finalized);
            let called = called.clone();
            let closed = move |_: &crate::Socket, _: u16, _: &str| {
                called.fetch_add(1, Ordering::SeqCst);
            };
            socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
        }
        let worker = {
            let (house, socket) = (house.clone(), sockets[1].clone());
            thread::spawn(move || {
                publish(&socket, &[0, 1]);
                work(&house);
            })
        };
        let poller = {
            let ready_list = house.ready_list.clone();
            thread::spawn(move || {
                delivery::poll(&ready_list, 1, 0);
                delivery::poll(&ready_list, 0, 0);
            })
        };
        let taker = {
            let socket = sockets[0].clone();
            thread::spawn(move || {
                drop((delivery::next_event_of(&socket), delivery::next_event(&socket.ready_list)))
            })
        };
        publish(&sockets[0], &[0, 1]);
        sockets.iter().for_each(|socket| library::destroy(socket, DestroyMode::Discard));
        shut_down(&house);
        worker.join().unwrap();
        close(&house);
        let before = called.load(Ordering::SeqCst);
        assert_eq!(finalized.load(Ordering::SeqCst), 2);
        poller.join().unwrap();
        taker.join().unwrap();
        assert_eq!(called.load(Ordering::SeqCst), before, "no callback after the end");
        assert!(ready_list::idle());
        assert_eq!(finalized.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_socket_that_is_destroyed_while_the_library_stops_is_finalized_and_freed() {
    check(|| {
        let house = Arc::new(House::new(1000));
        let socket = house.socket(0);
        let finalized = Arc::new(AtomicUsize::new(0));
        count_finalizers(&socket, &finalized);
        let alive = Arc::downgrade(&socket);
        let worker = {
            let house = house.clone();
            thread::spawn(move || work(&house))
        };
        let sender = {
            let socket = socket.clone();
            thread::spawn(move || socket.notify())
        };
        let destroyer = thread::spawn(move || library::destroy(&socket, DestroyMode::Discard));
        shut_down(&house);
        worker.join().unwrap();
        close(&house);
        sender.join().unwrap();
        destroyer.join().unwrap();
        assert_eq!(finalized.load(Ordering::SeqCst), 1);
        assert!(alive.upgrade().is_none(), "neither the inbox nor the ready_list holds on to it");
        assert!(ready_list::idle());
    });
}
