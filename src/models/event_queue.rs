//! Events of one socket, taken by several threads.

use std::sync::Arc;

use super::{check, number_of, numbered, thread};
use crate::engine::shared::event_queue::EventQueue;
use crate::engine::shared::event_queue::QueuedEvent;

fn put(queue: &EventQueue, numbers: &[u16]) -> usize {
    let mut batch: Vec<QueuedEvent> = numbers.iter().map(|number| numbered(*number).into()).collect();
    let charge = batch.iter().map(QueuedEvent::charge).sum();
    queue.put(&mut batch, charge)
}

/// Takes all events, unless another thread is taking them.
fn take_all(queue: &EventQueue) -> Vec<u16> {
    let Some(mut delivery) = queue.reader() else { return Vec::new() };
    let mut numbers = Vec::new();
    while let Some(QueuedEvent::Event(event)) = delivery.next() {
        numbers.push(number_of(&event));
    }
    delivery.settle();
    numbers
}

#[test]
fn each_event_is_taken_once_and_in_order() {
    check(|| {
        let queue = Arc::new(EventQueue::default());
        let consumers = [(); 2].map(|()| {
            let queue = queue.clone();
            thread::spawn(move || take_all(&queue))
        });
        assert_eq!(put(&queue, &[0, 1]), 2);
        assert_eq!(put(&queue, &[2]), 1);
        let taken = consumers.map(|consumer| consumer.join().unwrap());
        let rest = take_all(&queue);
        assert!(taken.iter().chain([&rest]).all(|numbers| numbers.is_sorted()));
        let mut all = [taken.concat(), rest].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(queue.charge(), 0);
    });
}

#[test]
fn closed_queue_keeps_no_events_and_counts_all() {
    check(|| {
        let queue = Arc::new(EventQueue::default());
        let (producer, consumer) = (queue.clone(), queue.clone());
        let producer = thread::spawn(move || put(&producer, &[0]) + put(&producer, &[1]));
        let consumer = thread::spawn(move || {
            let mut delivery = consumer.reader()?;
            let event = delivery.next();
            // The delivering thread drops the rest if the socket is destroyed.
            let dropped = delivery.discard();
            Some(usize::from(event.is_some()) + dropped)
        });
        let dropped = queue.close();
        let (given, taken) = (producer.join().unwrap(), consumer.join().unwrap());
        assert_eq!(given, dropped + taken.unwrap_or(0), "each event is taken, dropped or rejected");
        assert_eq!(put(&queue, &[2]), 0);
        assert!(take_all(&queue).is_empty());
    });
}
