//! Events from a worker to the threads that ask for them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{FOR_EVER, House, check, number_of, publish, thread};
use crate::engine::library;
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::delivery;
use crate::engine::shared::event_queue::QueuedEvent;
use crate::engine::shared::ready_list;
use crate::engine::shared::socket::{ReadyList, Shared};
use crate::sync::lock;

/// Which socket's event, and its number, as they were seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u64, u16)>>>);

impl Seen {
    /// Returns how many have been seen, this one included.
    fn note(&self, socket: u64, number: u16) -> usize {
        let mut seen = self.0.lock().unwrap();
        seen.push((socket, number));
        seen.len()
    }

    fn of(&self, socket: u64) -> Vec<u16> {
        self.0.lock().unwrap().iter().filter(|seen| seen.0 == socket).map(|seen| seen.1).collect()
    }
}

/// The library is stopped when the last event is seen: a thread that is not woken for an event, or
/// for the stop, is found as a deadlock.
fn note_until(seen: &Seen, events: usize, socket: &Arc<Shared>) {
    let (seen, ready_list) = (seen.clone(), Arc::downgrade(&socket.ready_list));
    let closed = move |socket: &crate::Socket, code: u16, _: &str| {
        if seen.note(socket.id(), code) == events {
            ready_list.upgrade().unwrap().stop();
        }
    };
    socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
}

fn poll_until_stopped(ready_list: &Arc<ReadyList>) -> usize {
    let mut ran = 0;
    while ready_list.begin_delivery().is_some() {
        ready_list::wait(Some(ready_list), FOR_EVER);
        ran += delivery::poll(ready_list, 0, 0);
        thread::yield_now();
    }
    ran
}

#[test]
fn events_come_once_and_in_the_order_of_their_socket() {
    check(|| {
        let house = House::new(1000);
        let sockets = [house.socket(0), house.socket(1)];
        let seen = Seen::default();
        sockets.iter().for_each(|socket| note_until(&seen, 5, socket));
        let pollers = [(); 2].map(|()| {
            let ready_list = house.ready_list.clone();
            thread::spawn(move || poll_until_stopped(&ready_list))
        });
        publish(&sockets[0], &[0, 1]);
        publish(&sockets[1], &[0]);
        publish(&sockets[0], &[2]);
        publish(&sockets[1], &[1]);
        let ran: usize = pollers.into_iter().map(|poller| poller.join().unwrap()).sum();
        assert_eq!(ran, 5);
        assert_eq!(seen.of(0), [0, 1, 2]);
        assert_eq!(seen.of(1), [0, 1]);
        assert_eq!(ready_list::pending(), 0);
        delivery::close(&house.ready_list);
    });
}

#[test]
fn those_who_call_and_those_who_take_share_the_events() {
    check(|| {
        let house = House::new(1000);
        let sockets = [house.socket(0), house.socket(1)];
        let (called, taken) = (Seen::default(), Seen::default());
        let left = Arc::new(AtomicUsize::new(4));
        for socket in &sockets {
            let (called, left) = (called.clone(), left.clone());
            let closed = move |socket: &crate::Socket, code: u16, _: &str| {
                called.note(socket.id(), code);
                left.fetch_sub(1, Ordering::SeqCst);
            };
            socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
        }
        let (ready_list, of_one) = (house.ready_list.clone(), sockets[0].clone());
        let (left_to_call, left_to_take) = (left.clone(), left);
        let poller = thread::spawn(move || {
            while left_to_call.load(Ordering::SeqCst) > 0 {
                delivery::poll_one(&of_one, 1, 0);
                delivery::poll(&of_one.ready_list, 1, 0);
                thread::yield_now();
            }
        });
        let noted = taken.clone();
        let taker = thread::spawn(move || {
            while left_to_take.load(Ordering::SeqCst) > 0 {
                if let Some(event) = delivery::next_event(&ready_list) {
                    noted.note(event.socket.id(), number_of(&event.kind));
                    left_to_take.fetch_sub(1, Ordering::SeqCst);
                }
                thread::yield_now();
            }
        });
        publish(&sockets[0], &[0, 1]);
        publish(&sockets[1], &[0]);
        publish(&sockets[0], &[2]);
        poller.join().unwrap();
        taker.join().unwrap();
        for (socket, all) in [(0, vec![0, 1, 2]), (1, vec![0])] {
            assert!(called.of(socket).is_sorted(), "in order for those who call");
            assert!(taken.of(socket).is_sorted(), "in order for those who take");
            let mut both = [called.of(socket), taken.of(socket)].concat();
            both.sort_unstable();
            assert_eq!(both, all);
        }
        assert_eq!(ready_list::pending(), 0);
    });
}

#[test]
fn two_who_take_leave_nothing_behind() {
    check(|| {
        let house = House::new(1000);
        let socket = house.socket(0);
        let takers = [(); 2].map(|()| {
            let ready_list = house.ready_list.clone();
            thread::spawn(move || [(); 2].map(|()| delivery::next_event(&ready_list).is_some()))
        });
        publish(&socket, &[0, 1]);
        publish(&socket, &[2]);
        let taken: Vec<bool> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
        let mut count = taken.into_iter().filter(|taken| *taken).count();
        while delivery::next_event(&house.ready_list).is_some() {
            count += 1;
        }
        assert_eq!((count, ready_list::pending()), (3, 0));
    });
}

#[test]
fn who_is_told_of_an_event_finds_it() {
    check(|| {
        let house = House::new(1000);
        let socket = house.socket(0);
        let ready_list = house.ready_list.clone();
        let taker = thread::spawn(move || {
            for number in 0..3 {
                assert!(ready_list::wait(Some(&ready_list), FOR_EVER));
                assert_eq!(
                    delivery::next_event(&ready_list).map(|event| number_of(&event.kind)),
                    Some(number)
                );
            }
        });
        publish(&socket, &[0, 1]);
        publish(&socket, &[2]);
        taker.join().unwrap();
    });
}

#[test]
fn what_waits_is_never_overcounted() {
    check(|| {
        let house = House::new(1000);
        let socket = house.socket(0);
        let ready_list = house.ready_list.clone();
        let taker = thread::spawn(move || {
            while delivery::next_event(&ready_list).is_none() {
                thread::yield_now()
            }
        });
        let watcher = thread::spawn(|| assert!(ready_list::pending() <= 2));
        publish(&socket, &[0, 1]);
        taker.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(ready_list::pending(), 1);
    });
}

#[test]
fn no_delivery_that_begins_after_destroy_has_an_event() {
    check(|| {
        let house = House::new(1000);
        let (doomed, other) = (house.socket(0), house.socket(1));
        let (destroyed, seen) = (Arc::new(AtomicBool::new(false)), Seen::default());
        for socket in [&doomed, &other] {
            let seen = seen.clone();
            let closed = move |socket: &crate::Socket, code: u16, _: &str| {
                seen.note(socket.id(), code);
            };
            socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
        }
        let worker = {
            let (doomed, other) = (doomed.clone(), other.clone());
            thread::spawn(move || {
                publish(&doomed, &[0, 1]);
                publish(&other, &[0]);
                publish(&doomed, &[2]);
            })
        };
        let poller = {
            let (ready_list, destroyed, seen) = (house.ready_list.clone(), destroyed.clone(), seen.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let (over, before) = (destroyed.load(Ordering::SeqCst), seen.of(0).len());
                    delivery::poll(&ready_list, 2, 0);
                    assert!(!over || seen.of(0).len() == before);
                }
            })
        };
        let taker = {
            let (doomed, destroyed) = (doomed.clone(), destroyed.clone());
            thread::spawn(move || {
                let over = destroyed.load(Ordering::SeqCst);
                assert!(delivery::next_event_of(&doomed).is_none() || !over);
            })
        };
        library::destroy(&doomed, DestroyMode::Discard);
        // As all others here that are no part of the library, this one is not shuttle's: what it
        // says is true as soon as the call has returned.
        destroyed.store(true, Ordering::SeqCst);
        for thread in [worker, poller, taker] {
            thread.join().unwrap();
        }
        delivery::poll(&house.ready_list, 0, 0);
        assert!(seen.of(0).is_sorted());
        assert_eq!(seen.of(1), [0]);
        assert_eq!(ready_list::pending(), 0);
    });
}

#[test]
fn a_callback_that_was_replaced_sees_nothing_that_came_later() {
    check(|| {
        let house = House::new(1000);
        let socket = house.socket(0);
        let (old, new) = (Seen::default(), Seen::default());
        let register = |seen: &Seen| {
            let seen = seen.clone();
            let closed = move |socket: &crate::Socket, code: u16, _: &str| {
                seen.note(socket.id(), code);
            };
            socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
        };
        register(&old);
        publish(&socket, &[0]);
        let ready_list = house.ready_list.clone();
        // Widens the budget, so that a delivery goes on to the second event if that comes in time.
        publish(&house.socket(1), &[0]);
        let poller = thread::spawn(move || delivery::poll(&ready_list, 0, 0));
        register(&new);
        publish(&socket, &[1]);
        poller.join().unwrap();
        delivery::poll(&house.ready_list, 0, 0);
        assert!(!old.of(0).contains(&1));
        assert!(new.of(0).contains(&1));
    });
}

#[test]
fn reading_that_stopped_goes_on() {
    check(|| {
        const EVENTS: u16 = 7;
        let house = House::new(2);
        let socket = house.socket(0);
        let ready_list = house.ready_list.clone();
        let taker = thread::spawn(move || {
            for number in 0..EVENTS {
                // A second taker would find nothing now and then; there is just one.
                assert!(ready_list::wait(Some(&ready_list), FOR_EVER));
                assert_eq!(
                    delivery::next_event(&ready_list).map(|event| number_of(&event.kind)),
                    Some(number)
                );
            }
        });
        for number in 0..EVENTS {
            while socket.event_queue.charge() >= house.ready_list.event_queue_bytes && socket.pause() {
                while house.read_inbox().0.is_empty() {}
                socket.take_notification();
            }
            publish(&socket, &[number]);
        }
        taker.join().unwrap();
    });
}

#[test]
fn a_mark_is_told_to_the_worker_when_what_came_before_it_was_seen() {
    check(|| {
        const CONNECTION: u64 = 7;
        let house = House::new(1000);
        let socket = house.socket(0);
        let seen = Seen::default();
        note_until(&seen, 3, &socket);
        let pollers = [(); 2].map(|()| {
            let ready_list = house.ready_list.clone();
            thread::spawn(move || poll_until_stopped(&ready_list))
        });
        publish(&socket, &[0, 1]);
        let mark = QueuedEvent::Marker { connection: CONNECTION };
        let charge = mark.charge();
        socket.publish(&mut vec![mark], charge);
        // A mark that is not told is found as a deadlock.
        while lock(&socket.to_worker).commands().marker_reached != CONNECTION {
            for socket in house.read_inbox().0 {
                socket.take_notification();
            }
        }
        assert_eq!(seen.of(0), [0, 1]);
        publish(&socket, &[2]);
        let ran: usize = pollers.into_iter().map(|poller| poller.join().unwrap()).sum();
        assert_eq!((ran, seen.of(0).len()), (3, 3), "the game sees nothing of the mark");
        assert_eq!(ready_list::pending(), 0);
        delivery::close(&house.ready_list);
    });
}
