//! Where the queues to the workers are.
//!
//! The queues of the first sockets are in a table of fixed size, whose places are never freed. So a send finds the
//! queue of a handle with two loads, and the queue's own lock also protects the handle: half the locked instructions,
//! which are most of the cost of a small send. Further sockets own their queues, and are found in the table of sockets.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::commands::ToWorker;
use crate::handles::slot_of;
use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::{Mutex, array, const_fn, lock};

/// The bits of [`Queues::used`]. Games have few sockets.
const PLACES: usize = if cfg!(all(test, framewire_loom)) { 2 } else { 64 };

/// The table. `S` is what a socket's threads share.
pub struct Queues<S: 'static> {
    places: [Line<Mutex<Place<S>>>; PLACES],
    /// A bit for each place that a socket has.
    used: AtomicU64,
    /// For each slot of the table of sockets, the place of the socket that was last there. A stale one is noticed: the
    /// place knows its socket.
    by_slot: [AtomicU8; PLACES],
}

/// Begins a cache line, so that threads that send over different sockets do not slow each other down.
#[repr(align(64))]
struct Line<T>(T);

/// A queue, and the socket that [`Queues::with`] finds there.
pub struct Place<S> {
    socket: Option<Arc<S>>,
    to_worker: ToWorker,
}

/// The queue of one socket.
pub enum Queue<S: 'static> {
    Placed {
        place: &'static Mutex<Place<S>>,
        index: u8,
        used: &'static AtomicU64,
    },
    /// Not in a block of its own: of many sockets, nearly all own their queues.
    Own(Mutex<Place<S>>),
}

/// A socket with a handle.
pub trait HasHandle {
    fn id(&self) -> u64;
}

impl<S: HasHandle> Queues<S> {
    const_fn! {
        pub fn new() -> Self {
            Self {
                places: array![Line(Mutex::new(Place::new())); PLACES],
                used: AtomicU64::new(0),
                by_slot: array![AtomicU8::new(0); PLACES],
            }
        }
    }

    /// A queue for a new socket.
    pub fn claim(&'static self) -> Queue<S> {
        let first_free =
            |used: u64| self.places.get(used.trailing_ones() as usize).map(|_| used | (used + 1));
        // Acquire: a place was emptied before it was given back.
        let Ok(used) = self.used.fetch_update(Ordering::Acquire, Ordering::Relaxed, first_free) else {
            return Queue::own();
        };
        let index = used.trailing_ones() as u8;
        match self.places.get(usize::from(index)) {
            Some(Line(place)) => Queue::Placed { place, index, used: &self.used },
            None => Queue::own(),
        }
    }

    /// Lets [`with`](Self::with) find a socket with this queue.
    pub fn publish(&self, socket: &Arc<S>, queue: &Queue<S>) {
        if let Queue::Placed { place, index, .. } = queue
            && let Some(by_slot) = self.by_slot.get(slot_of(socket.id()))
        {
            lock(place).socket = Some(socket.clone());
            by_slot.store(*index, Ordering::Relaxed);
        }
    }

    /// Runs `access` with the socket of a handle and its locked queue, unless that would wait. It must be short.
    #[inline]
    pub fn with<R>(&self, id: u64, access: impl FnOnce(&Arc<S>, &mut ToWorker) -> R) -> Option<R> {
        let index = self.by_slot.get(slot_of(id))?.load(Ordering::Relaxed);
        let mut place = self.places.get(usize::from(index))?.0.try_lock().ok()?;
        match &mut *place {
            Place { socket: Some(socket), to_worker } if socket.id() == id => Some(access(socket, to_worker)),
            _ => None,
        }
    }
}

impl<S> Place<S> {
    const fn new() -> Self {
        Self { socket: None, to_worker: ToWorker::new() }
    }
}

impl<S> Deref for Place<S> {
    type Target = ToWorker;

    #[inline]
    fn deref(&self) -> &ToWorker {
        &self.to_worker
    }
}

impl<S> DerefMut for Place<S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut ToWorker {
        &mut self.to_worker
    }
}

impl<S> Queue<S> {
    pub fn own() -> Self {
        Self::Own(Mutex::new(Place::new()))
    }

    /// Lets [`Queues::with`] find the socket no longer.
    pub fn withdraw(&self) {
        let socket = lock(self).socket.take();
        // Without the lock: this may be the last reference.
        drop(socket);
    }
}

impl<S> Deref for Queue<S> {
    type Target = Mutex<Place<S>>;

    #[inline]
    fn deref(&self) -> &Mutex<Place<S>> {
        match self {
            Queue::Placed { place, .. } => place,
            Queue::Own(place) => place,
        }
    }
}

impl<S> Drop for Queue<S> {
    fn drop(&mut self) {
        if let Queue::Placed { place, index, used } = self {
            let left = std::mem::replace(&mut *lock(place), Place::new());
            drop(left);
            used.fetch_and(!(1 << *index), Ordering::Release);
        }
    }
}

#[cfg(all(test, not(any(shuttle, framewire_loom))))]
mod tests {
    use super::*;

    struct Handle(u64);

    impl HasHandle for Handle {
        fn id(&self) -> u64 {
            self.0
        }
    }

    fn table() -> &'static Queues<Handle> {
        Box::leak(Box::new(Queues::new()))
    }

    fn finds(queues: &Queues<Handle>, id: u64) -> bool {
        queues.with(id, |socket, _| assert_eq!(socket.0, id)).is_some()
    }

    #[test]
    fn socket_is_found_by_its_handle_until_it_is_withdrawn() {
        let queues = table();
        let (socket, queue) = (Arc::new(Handle(5 << 24 | 3)), queues.claim());
        assert!(!finds(queues, socket.0));
        queues.publish(&socket, &queue);
        assert!(finds(queues, socket.0));
        for other in [0, 3, 4 << 24 | 3, 5 << 24 | 4, u64::MAX] {
            assert!(!finds(queues, other));
        }
        let locked = lock(&queue);
        assert!(!finds(queues, socket.0), "it would wait");
        drop(locked);
        queue.withdraw();
        assert!(!finds(queues, socket.0));
        assert_eq!(Arc::strong_count(&socket), 1);
    }

    #[test]
    fn place_is_reused_empty() {
        let queues = table();
        let first = queues.claim();
        let address = std::ptr::from_ref(&*first);
        lock(&first).queues_while_connecting = true;
        drop(first);
        let second = queues.claim();
        assert_eq!(std::ptr::from_ref(&*second), address);
        assert!(!lock(&second).queues_while_connecting);
    }

    #[test]
    fn socket_in_the_slot_of_an_earlier_one_has_its_own_queue() {
        let queues = table();
        let (earlier, of_earlier) = (Arc::new(Handle(1 << 24)), queues.claim());
        queues.publish(&earlier, &of_earlier);
        of_earlier.withdraw();
        let (later, of_later) = (Arc::new(Handle(2 << 24)), queues.claim());
        queues.publish(&later, &of_later);
        lock(&of_earlier).queues_while_connecting = true;
        assert_eq!(queues.with(later.0, |_, queue| queue.queues_while_connecting), Some(false));
        assert!(!finds(queues, earlier.0));
    }

    #[test]
    fn further_sockets_own_their_queues() {
        let queues = table();
        let mut placed: Vec<Queue<Handle>> = (0..PLACES).map(|_| queues.claim()).collect();
        assert!(placed.iter().all(|queue| matches!(queue, Queue::Placed { .. })));
        let (socket, own) = (Arc::new(Handle(1 << 24)), queues.claim());
        assert!(matches!(own, Queue::Own(_)));
        queues.publish(&socket, &own);
        assert!(!finds(queues, socket.0));
        placed.remove(7);
        let again = queues.claim();
        // In a slot for which the table has no entry.
        let far = Arc::new(Handle(1 << 24 | 200));
        queues.publish(&far, &again);
        assert!(!finds(queues, far.0));
    }
}
