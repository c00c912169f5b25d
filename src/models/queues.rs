//! The queue that a send finds by handle, while the socket is destroyed and another one takes its place.

use std::sync::Arc;

use super::{check, thread};
use crate::engine::shared::queues::{HasHandle, Queue, Queues};
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
