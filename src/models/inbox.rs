//! Letters from many threads to a worker that sleeps when it has none.

use std::sync::Arc;
use std::time::Instant;

use super::{House, check, thread};
use crate::buffer::Segment;
use crate::engine::shared::inbox::NetworkChange;
use crate::sync::lock;

#[test]
fn no_letter_waits_for_a_worker_that_sleeps() {
    check(|| {
        let house = House::new(1);
        let sockets = [house.socket(0), house.socket(1)];
        let senders = [0, 0, 1].map(|number: usize| {
            let socket = sockets[number].clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    lock(&socket.to_worker).commands().user_pings.push_back(Segment::EMPTY);
                    socket.notify();
                }
            })
        });
        let (mut pings, mut letters) = ([0, 0], [0, 0]);
        while pings != [4, 2] {
            let (arrived, _) = house.read_inbox();
            for socket in &arrived {
                let twice = arrived.iter().filter(|other| Arc::ptr_eq(other, socket)).count() > 1;
                assert!(!twice, "a socket lies in the inbox once");
                letters[socket.id as usize] += 1;
                socket.take_notification();
                pings[socket.id as usize] +=
                    std::mem::take(&mut lock(&socket.to_worker).commands().user_pings).len();
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        // A letter may still lie there whose content was seen with the one before.
        let mut rest = Vec::new();
        house.inbox.take(&mut rest);
        rest.iter().for_each(|socket| letters[socket.id as usize] += 1);
        assert!(letters[0] <= 4 && letters[1] <= 2, "as often as it was notified, at most");
    });
}

#[test]
fn a_worker_that_sleeps_is_woken_by_orders_and_hears_each() {
    check(|| {
        let house = House::new(1);
        let (inbox, other, socket) = (house.inbox.clone(), house.inbox.clone(), house.socket(0));
        let stopper = thread::spawn(move || inbox.stop(Instant::now()));
        let teller =
            thread::spawn(move || other.report(NetworkChange { suspended: Some(true), probe: true }));
        let sender = thread::spawn(move || socket.notify());
        let (mut letters, mut stops, mut change) = (0, 0, 0);
        while (letters, stops, change) != (1, 1, 1) {
            let (arrived, commands) = house.read_inbox();
            letters += arrived.len();
            stops += usize::from(commands.stop.is_some());
            change += usize::from(commands.change.probe && commands.change.suspended == Some(true));
        }
        stopper.join().unwrap();
        teller.join().unwrap();
        sender.join().unwrap();
    });
}
