//! The queue that a send finds by handle, while the socket is destroyed and another one takes its place.

use std::sync::Arc;

use super::{Harness, check, settings, thread};
use crate::engine::shared::queues::{HasHandle, Queue, Queues};
use crate::engine::shared::sockets;
use crate::sync::lock;

struct Owner {
    id: u64,
    queue: Queue<Owner>,
}

impl HasHandle for Owner {
    fn id(&self) -> u64 {
        self.id
    }
}

fn create(queues: &'static Queues<Owner>, id: u64) -> Arc<Owner> {
    let owner = Arc::new(Owner { id, queue: queues.claim() });
    queues.publish(&owner, &owner.queue);
    owner
}

/// Both handles have the slot 0.
const EARLIER: u64 = 1 << 24;
const LATER: u64 = 2 << 24;

#[test]
fn send_reaches_the_socket_of_its_handle_or_none() {
    check(|| {
        let queues: &Queues<Owner> = Box::leak(Box::new(Queues::new()));
        let earlier = create(queues, EARLIER);
        let sender = thread::spawn(move || {
            for id in [EARLIER, LATER] {
                queues.with(id, |owner, to_worker| {
                    assert_eq!(owner.id, id);
                    // A mark, which the other socket's queue must not have.
                    to_worker.commands().marker_reached = id;
                });
            }
        });
        earlier.queue.withdraw();
        drop(earlier);
        let later = create(queues, LATER);
        sender.join().unwrap();
        let mark = lock(&later.queue).commands.as_ref().map(|commands| commands.marker_reached);
        assert!(mark.is_none_or(|mark| mark == LATER));
        later.queue.withdraw();
    });
}

#[test]
fn socket_that_is_created_during_a_shutdown_is_found_by_both_ways_or_neither() {
    check(|| {
        let harness = Harness::new(1000);
        let (ready_list, inbox) = (harness.ready_list.clone(), harness.inbox.clone());
        let creator = thread::spawn(move || sockets::insert(ready_list, inbox, settings()).unwrap().0.id);
        sockets::remove_all();
        let id = creator.join().unwrap();
        let has_queue = sockets::with_queue(id, |socket, _| assert_eq!(socket.id, id)).is_some();
        assert_eq!(has_queue, sockets::find(id).is_some());
        sockets::remove(id);
        assert!(sockets::with_queue(id, |_, _| ()).is_none());
    });
}
