//! Delivery of events from a worker to polling threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{FOREVER, Harness, check, number_of, publish, thread};
use crate::engine::library;
use crate::engine::shared::commands::DestroyMode;
use crate::engine::shared::delivery;
use crate::engine::shared::event_queue::QueuedEvent;
use crate::engine::shared::ready_list;
use crate::engine::shared::socket::{ReadyList, Shared};
use crate::sync::lock;

/// The recorded events: socket and number.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u64, u16)>>>);

impl Seen {
    /// Records an event; returns the number of recorded events.
    fn note(&self, socket: u64, number: u16) -> usize {
        let mut seen = self.0.lock().unwrap();
        seen.push((socket, number));
        seen.len()
    }

    fn of(&self, socket: u64) -> Vec<u16> {
        self.0.lock().unwrap().iter().filter(|seen| seen.0 == socket).map(|seen| seen.1).collect()
    }
}

/// Stops the library after the last event. A thread that is not woken for an event, or for the stop, is detected as a
/// deadlock.
fn note_until(seen: &Seen, events: usize, socket: &Arc<Shared>) {
    let (seen, ready_list) = (seen.clone(), Arc::downgrade(&socket.ready_list));
    let closed = move |socket: &crate::Socket, code: u16, _: &str| {
        if seen.note(socket.id(), code) == events {
            ready_list.upgrade().unwrap().stop();
        }
    };
    crate::Socket(socket.clone()).on_closed(Some(Arc::new(closed))).unwrap();
}

fn poll_until_stopped(ready_list: &Arc<ReadyList>) -> usize {
    let mut ran = 0;
    while ready_list.begin_delivery().is_some() {
        ready_list::wait(Some(ready_list), FOREVER);
        ran += delivery::poll(ready_list, 0, 0);
        thread::yield_now();
    }
    ran
}

#[test]
fn events_are_delivered_once_and_in_order() {
    check(|| {
        let harness = Harness::new(1000);
        let sockets = [harness.socket(0), harness.socket(1)];
        let seen = Seen::default();
        sockets.iter().for_each(|socket| note_until(&seen, 5, socket));
        let pollers = [(); 2].map(|()| {
            let ready_list = harness.ready_list.clone();
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
        delivery::close(&harness.ready_list);
    });
}

#[test]
fn poll_and_next_event_share_the_events() {
    check(|| {
        let harness = Harness::new(1000);
        let sockets = [harness.socket(0), harness.socket(1)];
        let (called, taken) = (Seen::default(), Seen::default());
        let left = Arc::new(AtomicUsize::new(4));
        for socket in &sockets {
            let (called, left) = (called.clone(), left.clone());
            let closed = move |socket: &crate::Socket, code: u16, _: &str| {
                called.note(socket.id(), code);
                left.fetch_sub(1, Ordering::SeqCst);
            };
            crate::Socket(socket.clone()).on_closed(Some(Arc::new(closed))).unwrap();
        }
        let (ready_list, of_one) = (harness.ready_list.clone(), sockets[0].clone());
        let (left_to_call, left_to_take) = (left.clone(), left);
        let poller = thread::spawn(move || {
            while left_to_call.load(Ordering::SeqCst) > 0 {
                delivery::poll_one(&of_one, 1, 0);
                delivery::poll(&of_one.ready_list, 1, 0);
                thread::yield_now();
            }
        });
        let noted = taken.clone();
        let consumer = thread::spawn(move || {
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
        consumer.join().unwrap();
        for (socket, all) in [(0, vec![0, 1, 2]), (1, vec![0])] {
            assert!(called.of(socket).is_sorted(), "in order for poll");
            assert!(taken.of(socket).is_sorted(), "in order for next_event");
            let mut both = [called.of(socket), taken.of(socket)].concat();
            both.sort_unstable();
            assert_eq!(both, all);
        }
        assert_eq!(ready_list::pending(), 0);
    });
}

#[test]
fn two_consumers_take_all_events() {
    check(|| {
        let harness = Harness::new(1000);
        let socket = harness.socket(0);
        let consumers = [(); 2].map(|()| {
            let ready_list = harness.ready_list.clone();
            thread::spawn(move || [(); 2].map(|()| delivery::next_event(&ready_list).is_some()))
        });
        publish(&socket, &[0, 1]);
        publish(&socket, &[2]);
        let taken: Vec<bool> = consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect();
        let mut count = taken.into_iter().filter(|taken| *taken).count();
        while delivery::next_event(&harness.ready_list).is_some() {
            count += 1;
        }
        assert_eq!((count, ready_list::pending()), (3, 0));
    });
}

#[test]
fn wait_returns_when_an_event_is_available() {
    check(|| {
        let harness = Harness::new(1000);
        let socket = harness.socket(0);
        let ready_list = harness.ready_list.clone();
        let consumer = thread::spawn(move || {
            for number in 0..3 {
                assert!(ready_list::wait(Some(&ready_list), FOREVER));
                assert_eq!(
                    delivery::next_event(&ready_list).map(|event| number_of(&event.kind)),
                    Some(number)
                );
            }
        });
        publish(&socket, &[0, 1]);
        publish(&socket, &[2]);
        consumer.join().unwrap();
    });
}

#[test]
fn pending_is_never_too_high() {
    check(|| {
        let harness = Harness::new(1000);
        let socket = harness.socket(0);
        let ready_list = harness.ready_list.clone();
        let consumer = thread::spawn(move || {
            while delivery::next_event(&ready_list).is_none() {
                thread::yield_now()
            }
        });
        let watcher = thread::spawn(|| assert!(ready_list::pending() <= 2));
        publish(&socket, &[0, 1]);
        consumer.join().unwrap();
        watcher.join().unwrap();
        assert_eq!(ready_list::pending(), 1);
    });
}

#[test]
fn no_event_is_delivered_after_destroy() {
    check(|| {
        let harness = Harness::new(1000);
        let (doomed, other) = (harness.socket(0), harness.socket(1));
        let (destroyed, seen) = (Arc::new(AtomicBool::new(false)), Seen::default());
        for socket in [&doomed, &other] {
            let seen = seen.clone();
            let closed = move |socket: &crate::Socket, code: u16, _: &str| {
                seen.note(socket.id(), code);
            };
            crate::Socket(socket.clone()).on_closed(Some(Arc::new(closed))).unwrap();
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
            let (ready_list, destroyed, seen) = (harness.ready_list.clone(), destroyed.clone(), seen.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    let (over, before) = (destroyed.load(Ordering::SeqCst), seen.of(0).len());
                    delivery::poll(&ready_list, 2, 0);
                    assert!(!over || seen.of(0).len() == before);
                }
            })
        };
        let consumer = {
            let (doomed, destroyed) = (doomed.clone(), destroyed.clone());
            thread::spawn(move || {
                let over = destroyed.load(Ordering::SeqCst);
                assert!(delivery::next_event_of(&doomed).is_none() || !over);
            })
        };
        library::destroy(&doomed, DestroyMode::Discard);
        // A standard atomic, not one of shuttle: it takes effect as soon as the call has returned.
        destroyed.store(true, Ordering::SeqCst);
        for thread in [worker, poller, consumer] {
            thread.join().unwrap();
        }
        delivery::poll(&harness.ready_list, 0, 0);
        assert!(seen.of(0).is_sorted());
        assert_eq!(seen.of(1), [0]);
        assert_eq!(ready_list::pending(), 0);
    });
}

#[test]
fn replaced_callback_gets_no_later_events() {
    check(|| {
        let harness = Harness::new(1000);
        let socket = harness.socket(0);
        let (old, new) = (Seen::default(), Seen::default());
        let register = |seen: &Seen| {
            let seen = seen.clone();
            let closed = move |socket: &crate::Socket, code: u16, _: &str| {
                seen.note(socket.id(), code);
            };
            crate::Socket(socket.clone()).on_closed(Some(Arc::new(closed))).unwrap();
        };
        register(&old);
        publish(&socket, &[0]);
        let ready_list = harness.ready_list.clone();
        // Extends the budget, so that a delivery includes the second event if it is published in time.
        publish(&harness.socket(1), &[0]);
        let poller = thread::spawn(move || delivery::poll(&ready_list, 0, 0));
        register(&new);
        publish(&socket, &[1]);
        poller.join().unwrap();
        delivery::poll(&harness.ready_list, 0, 0);
        assert!(!old.of(0).contains(&1));
        assert!(new.of(0).contains(&1));
    });
}

#[test]
fn paused_reading_resumes() {
    check(|| {
        const EVENTS: u16 = 7;
        let harness = Harness::new(2);
        let socket = harness.socket(0);
        let ready_list = harness.ready_list.clone();
        let consumer = thread::spawn(move || {
            for number in 0..EVENTS {
                // There is only one consumer, so an event must be available.
                assert!(ready_list::wait(Some(&ready_list), FOREVER));
                assert_eq!(
                    delivery::next_event(&ready_list).map(|event| number_of(&event.kind)),
                    Some(number)
                );
            }
        });
        for number in 0..EVENTS {
            while socket.event_queue.charge() >= harness.ready_list.event_queue_bytes && socket.pause() {
                while harness.take_inbox().0.is_empty() {}
                socket.take_notification();
            }
            publish(&socket, &[number]);
        }
        consumer.join().unwrap();
    });
}

#[test]
fn worker_is_notified_of_mark_after_earlier_events() {
    check(|| {
        const CONNECTION: u64 = 7;
        let harness = Harness::new(1000);
        let socket = harness.socket(0);
        let seen = Seen::default();
        note_until(&seen, 3, &socket);
        let pollers = [(); 2].map(|()| {
            let ready_list = harness.ready_list.clone();
            thread::spawn(move || poll_until_stopped(&ready_list))
        });
        publish(&socket, &[0, 1]);
        let mark = QueuedEvent::Marker { connection: CONNECTION };
        let charge = mark.charge();
        socket.publish(&mut vec![mark], charge);
        ready_list::wake_sleepers();
        // A missing notification is detected as a deadlock.
        while lock(&socket.to_worker).commands().marker_reached != CONNECTION {
            for socket in harness.take_inbox().0 {
                socket.take_notification();
            }
        }
        assert_eq!(seen.of(0), [0, 1]);
        publish(&socket, &[2]);
        let ran: usize = pollers.into_iter().map(|poller| poller.join().unwrap()).sum();
        assert_eq!((ran, seen.of(0).len()), (3, 3), "the mark is not delivered");
        assert_eq!(ready_list::pending(), 0);
        delivery::close(&harness.ready_list);
    });
}
