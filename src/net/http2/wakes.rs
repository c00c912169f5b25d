//! Who has something to do: what `h2`'s wakers become without a runtime.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Wake, Waker};

/// What was woken on one connection. Wakers must be `Send`, though here only one thread has any.
#[derive(Default)]
pub struct Wakes {
    connection: AtomicBool,
    streams: Mutex<Vec<Arc<StreamWake>>>,
}

/// The waker of one stream.
pub struct StreamWake {
    owner: u64,
    waits: AtomicBool,
    /// Weak, for while it is woken the list holds it in turn.
    wakes: Weak<Wakes>,
}

struct ConnectionWake(Arc<Wakes>);

impl Wakes {
    pub fn for_connection(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(ConnectionWake(self.clone())))
    }

    pub fn for_stream(self: &Arc<Self>, owner: u64) -> Waker {
        Waker::from(Arc::new(StreamWake {
            owner,
            waits: AtomicBool::new(false),
            wakes: Arc::downgrade(self),
        }))
    }

    pub fn wake_connection(&self) {
        self.connection.store(true, Ordering::Relaxed);
    }

    pub fn take_connection(&self) -> bool {
        self.connection.swap(false, Ordering::Relaxed)
    }

    /// The connection, or an owner that nobody was told of.
    pub fn any(&self) -> bool {
        self.connection.load(Ordering::Relaxed) || !self.streams().is_empty()
    }

    /// The owners of the streams that were woken since the last time, each once.
    pub fn take_owners(&self, owners: &mut Vec<u64>) {
        for wake in self.streams().drain(..) {
            wake.waits.store(false, Ordering::Relaxed);
            owners.push(wake.owner);
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<Arc<StreamWake>>> {
        // A list of counted references is whole between any two statements.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for ConnectionWake {
    fn wake(self: Arc<Self>) {
        self.0.wake_connection();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_connection();
    }
}

impl Wake for StreamWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(wakes) = self.wakes.upgrade()
            && !self.waits.swap(true, Ordering::Relaxed)
        {
            wakes.streams().push(self.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_named_once_until_it_was_told() {
        let wakes = Arc::new(Wakes::default());
        let (one, two) = (wakes.for_stream(1), wakes.for_stream(2));
        let connection = wakes.for_connection();
        assert!(!wakes.any());
        one.wake_by_ref();
        two.wake_by_ref();
        one.wake_by_ref();
        let mut owners = Vec::new();
        wakes.take_owners(&mut owners);
        assert_eq!(owners, [1, 2]);
        one.wake_by_ref();
        owners.clear();
        wakes.take_owners(&mut owners);
        assert_eq!(owners, [1]);
        assert!(!wakes.any() && !wakes.take_connection());
        connection.wake();
        assert!(wakes.any() && wakes.take_connection() && !wakes.any());
    }
}
