//! Notifications from many threads to a worker that sleeps while it has none.

use std::sync::Arc;

use super::{Harness, check, thread};
use crate::buffer::Segment;
use crate::clock::Instant;
use crate::engine::shared::inbox::NetworkChange;
use crate::sync::lock;

#[test]
fn notification_wakes_sleeping_worker() {
    check(|| {
        let harness = Harness::new(1);
        let sockets = [harness.socket(0), harness.socket(1)];
        let senders = [0, 0, 1].map(|number: usize| {
            let socket = sockets[number].clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    lock(&socket.to_worker).commands().user_pings.push_back(Segment::EMPTY);
                    socket.notify();
                }
            })
        });
        let (mut pings, mut entries) = ([0, 0], [0, 0]);
        while pings != [4, 2] {
            let (arrived, _) = harness.take_inbox();
            for socket in &arrived {
                let twice = arrived.iter().filter(|other| Arc::ptr_eq(other, socket)).count() > 1;
                assert!(!twice, "a socket is in the inbox once");
                entries[socket.id as usize] += 1;
                socket.take_notification();
                pings[socket.id as usize] +=
                    std::mem::take(&mut lock(&socket.to_worker).commands().user_pings).len();
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
        // A notification may be left whose content was processed with the previous one.
        let mut rest = Vec::new();
        harness.inbox.take(&mut rest);
        rest.iter().for_each(|socket| entries[socket.id as usize] += 1);
        assert!(entries[0] <= 4 && entries[1] <= 2, "at most one entry per notification");
    });
}

#[test]
fn sleeping_worker_is_woken_by_each_command() {
    check(|| {
        let harness = Harness::new(1);
        let (inbox, other, socket) = (harness.inbox.clone(), harness.inbox.clone(), harness.socket(0));
        let stopper = thread::spawn(move || inbox.stop(Instant::now()));
        let teller =
            thread::spawn(move || other.report(NetworkChange { suspended: Some(true), probe: true }));
        let sender = thread::spawn(move || socket.notify());
        let (mut entries, mut stops, mut change) = (0, 0, 0);
        while (entries, stops, change) != (1, 1, 1) {
            let (arrived, commands) = harness.take_inbox();
            entries += arrived.len();
            stops += usize::from(commands.stop.is_some());
            change += usize::from(commands.change.probe && commands.change.suspended == Some(true));
        }
        stopper.join().unwrap();
        teller.join().unwrap();
        sender.join().unwrap();
    });
}
