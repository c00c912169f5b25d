//! Events from a worker to the threads that ask for them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{FOR_EVER, House, check, number_of, publish, thread};
use crate::engine::event::Letter;
use crate::engine::hub::{self, Hub};
use crate::engine::socket::{Farewell, Shared};
use crate::engine::{delivery, library, lock};

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
    let (seen, hub) = (seen.clone(), Arc::downgrade(&socket.hub));
    let closed = move |socket: &crate::Socket, code: u16, _: &str| {
        if seen.note(socket.id(), code) == events {
            hub.upgrade().unwrap().stop();
        }
    };
    socket.change_callbacks(|callbacks| callbacks.closed = Some(Arc::new(closed)));
}

fn poll_until_stopped(hub: &Arc<Hub>) -> usize {
    let mut ran = 0;
    while hub.begin_delivery().is_some() {
        hub::wait(Some(hub), FOR_EVER);
        ran += delivery::poll(hub, 0, 0);
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
            let hub = house.hub.clone();
            thread::spawn(move || poll_until_stopped(&hub))
        });
        publish(&sockets[0], &[0, 1]);
        publish(&sockets[1], &[0]);
        publish(&sockets[0], &[2]);
        publish(&sockets[1], &[1]);
        let ran: usize = pollers.into_iter().map(|poller| poller.join().unwrap()).sum();
        assert_eq!(ran, 5);
        assert_eq!(seen.of(0), [0, 1, 2]);
        assert_eq!(seen.of(1), [0, 1]);
        assert_eq!(hub::pending(), 0);
        house.hub.close();
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
        let (hub, of_one) = (house.hub.clone(), sockets[0].clone());
        let (left_to_call, left_to_take) = (left.clone(), left);
        let poller = thread::spawn(move || {
            while left_to_call.load(Ordering::SeqCst) > 0 {
                delivery::poll_one(&of_one, 1, 0);
                delivery::poll(&of_one.hub, 1, 0);
                thread::yield_now();
            }
        });
        let noted = taken.clone();
        let taker = thread::spawn(move || {
            while left_to_take.load(Ordering::SeqCst) > 0 {
                if let Some(event) = delivery::next_event(&hub) {
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
        assert_eq!(hub::pending(), 0);
    });
}

#[test]
fn two_who_take_leave_nothing_behind() {
    check(|| {
        let house = House::new(1000);
        let socket = house.socket(0);
        let takers = [(); 2].map(|()| {
            let hub = house.hub.clone();
            thread::spawn(move || [(); 2].map(|()| delivery::next_event(&hub).is_some()))
        });
        publish(&socket, &[0, 1]);
        publish(&socket, &[2]);
        let taken: Vec<bool> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
        let mut count = taken.into_iter().filter(|taken| *taken).count();
        while delivery::next_event(&house.hub).is_some() {
            count += 1;
        }
        assert_eq!((count, hub::pending()), (3, 0));
    });
}

#[test]
fn who_is_told_of_an_event_finds_it() {
    check(|| {
        let house = House::new(1000);
        let socket = house.socket(0);
        let hub = house.hub.clone();
        let taker = thread::spawn(move || {
            for number in 0..3 {
                assert!(hub::wait(Some(&hub), FOR_EVER));
                assert_eq!(delivery::next_event(&hub).map(|event| number_of(&event.kind)), Some(number));
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
        let hub = house.hub.clone();
        let taker = thread::spawn(move || {
            while delivery::next_event(&hub).is_none() {
                thread::yield_now()
            }
        });
        let watcher = thread::spawn(|| assert!(hub::pending() <= 2));
        publish(&socket, &[0, 1]);
        taker.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(hub::pending(), 1);
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
            let (hub, destroyed, seen) = (house.hub.clone(), destroyed.clone(), seen.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let (over, before) = (destroyed.load(Ordering::SeqCst), seen.of(0).len());
                    delivery::poll(&hub, 2, 0);
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
        library::destroy(&doomed, Farewell::Drop);
        // As all others here that are no part of the library, this one is not shuttle's: what it
        // says is true as soon as the call has returned.
        destroyed.store(true, Ordering::SeqCst);
        for thread in [worker, poller, taker] {
            thread.join().unwrap();
        }
        delivery::poll(&house.hub, 0, 0);
        assert!(seen.of(0).is_sorted());
        assert_eq!(seen.of(1), [0]);
        assert_eq!(hub::pending(), 0);
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
        let hub = house.hub.clone();
        // Widens the budget, so that a delivery goes on to the second event if that comes in time.
        publish(&house.socket(1), &[0]);
        let poller = thread::spawn(move || delivery::poll(&hub, 0, 0));
        register(&new);
        publish(&socket, &[1]);
        poller.join().unwrap();
        delivery::poll(&house.hub, 0, 0);
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
        let hub = house.hub.clone();
        let taker = thread::spawn(move || {
            for number in 0..EVENTS {
                // A second taker would find nothing now and then; there is just one.
                assert!(hub::wait(Some(&hub), FOR_EVER));
                assert_eq!(delivery::next_event(&hub).map(|event| number_of(&event.kind)), Some(number));
            }
        });
        for number in 0..EVENTS {
            while socket.mailbox.charge() >= house.hub.event_queue_bytes && socket.pause() {
                while house.letters().0.is_empty() {}
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
        const ATTEMPT: u64 = 7;
        let house = House::new(1000);
        let socket = house.socket(0);
        let seen = Seen::default();
        note_until(&seen, 3, &socket);
        let pollers = [(); 2].map(|()| {
            let hub = house.hub.clone();
            thread::spawn(move || poll_until_stopped(&hub))
        });
        publish(&socket, &[0, 1]);
        let mark = Letter::Mark { attempt: ATTEMPT };
        let charge = mark.charge();
        house.hub.publish(&socket, &mut vec![mark], charge);
        // A mark that is not told is found as a deadlock.
        while lock(&socket.to_worker).wish().caught_up != ATTEMPT {
            for socket in house.letters().0 {
                socket.take_notification();
            }
        }
        assert_eq!(seen.of(0), [0, 1]);
        publish(&socket, &[2]);
        let ran: usize = pollers.into_iter().map(|poller| poller.join().unwrap()).sum();
        assert_eq!((ran, seen.of(0).len()), (3, 3), "the game sees nothing of the mark");
        assert_eq!(hub::pending(), 0);
        house.hub.close();
    });
}
