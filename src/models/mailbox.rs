//! Events of one socket, for more than one thread that asks.

use std::sync::Arc;

use super::{check, number_of, numbered, thread};
use crate::engine::event::Letter;
use crate::engine::mailbox::Mailbox;

fn put(mailbox: &Mailbox, numbers: &[u16]) -> usize {
    let mut batch: Vec<Letter> = numbers.iter().map(|number| numbered(*number).into()).collect();
    let charge = batch.iter().map(Letter::charge).sum();
    mailbox.put(&mut batch, charge)
}

/// Takes what is there, if nobody else does.
fn take_all(mailbox: &Mailbox) -> Vec<u16> {
    let Some(mut delivery) = mailbox.claim() else { return Vec::new() };
    let mut numbers = Vec::new();
    while let Some(Letter::Event(event)) = delivery.next() {
        numbers.push(number_of(&event));
    }
    delivery.settle();
    numbers
}

#[test]
fn each_event_is_taken_once_and_in_order() {
    check(|| {
        let mailbox = Arc::new(Mailbox::default());
        let takers = [(); 2].map(|()| {
            let mailbox = mailbox.clone();
            thread::spawn(move || take_all(&mailbox))
        });
        assert_eq!(put(&mailbox, &[0, 1]), 2);
        assert_eq!(put(&mailbox, &[2]), 1);
        let taken = takers.map(|taker| taker.join().unwrap());
        let rest = take_all(&mailbox);
        assert!(taken.iter().chain([&rest]).all(|numbers| numbers.is_sorted()));
        let mut all = [taken.concat(), rest].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(mailbox.charge(), 0);
    });
}

#[test]
fn what_is_shut_keeps_nothing_and_loses_count_of_nothing() {
    check(|| {
        let mailbox = Arc::new(Mailbox::default());
        let (giver, taker) = (mailbox.clone(), mailbox.clone());
        let giver = thread::spawn(move || put(&giver, &[0]) + put(&giver, &[1]));
        let taker = thread::spawn(move || {
            let mut delivery = taker.claim()?;
            let event = delivery.next();
            // Whoever delivers sees to what is left when the socket is gone.
            let dropped = delivery.discard();
            Some(usize::from(event.is_some()) + dropped)
        });
        let dropped = mailbox.shut();
        let (given, taken) = (giver.join().unwrap(), taker.join().unwrap());
        assert_eq!(given, dropped + taken.unwrap_or(0), "each event is taken, dropped or refused");
        assert_eq!(put(&mailbox, &[2]), 0);
        assert!(take_all(&mailbox).is_empty());
    });
}
