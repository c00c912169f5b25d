//! Wakers for `h2` without an async runtime: they record which streams are ready.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Wake, Waker};

/// The ready set of one connection. Wakers must be `Send`, although only one thread uses them.
#[derive(Default)]
pub struct Wakers {
    connection: AtomicBool,
    streams: Mutex<Vec<Arc<StreamWaker>>>,
}

/// The waker of one stream.
pub struct StreamWaker {
    owner: u64,
    queued: AtomicBool,
    /// Weak, to avoid a reference cycle while the list holds this waker.
    wakers: Weak<Wakers>,
}

struct ConnectionWaker(Arc<Wakers>);

impl Wakers {
    pub fn for_connection(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(ConnectionWaker(self.clone())))
    }

    pub fn for_stream(self: &Arc<Self>, owner: u64) -> Waker {
        Waker::from(Arc::new(StreamWaker {
            owner,
            queued: AtomicBool::new(false),
            wakers: Arc::downgrade(self),
        }))
    }

    pub fn wake_connection(&self) {
        self.connection.store(true, Ordering::Relaxed);
    }

    pub fn take_connection(&self) -> bool {
        self.connection.swap(false, Ordering::Relaxed)
    }

    /// Returns whether the connection or any stream is woken.
    pub fn any(&self) -> bool {
        self.connection.load(Ordering::Relaxed) || !self.streams().is_empty()
    }

    /// Appends the owners of the streams that were woken since the last call, each once.
    pub fn take_owners(&self, owners: &mut Vec<u64>) {
        for wake in self.streams().drain(..) {
            wake.queued.store(false, Ordering::Relaxed);
            owners.push(wake.owner);
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<Arc<StreamWaker>>> {
        // A panic cannot leave the list in an inconsistent state.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake_connection();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_connection();
    }
}

impl Wake for StreamWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(wakers) = self.wakers.upgrade()
            && !self.queued.swap(true, Ordering::Relaxed)
        {
            wakers.streams().push(self.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn woken_owner_is_returned_once() {
        let wakers = Arc::new(Wakers::default());
        let (one, two) = (wakers.for_stream(1), wakers.for_stream(2));
        let connection = wakers.for_connection();
        assert!(!wakers.any());
        one.wake_by_ref();
        two.wake_by_ref();
        one.wake_by_ref();
        let mut owners = Vec::new();
        wakers.take_owners(&mut owners);
        assert_eq!(owners, [1, 2]);
        one.wake_by_ref();
        owners.clear();
        wakers.take_owners(&mut owners);
        assert_eq!(owners, [1]);
        assert!(!wakers.any() && !wakers.take_connection());
        connection.wake();
        assert!(wakers.any() && wakers.take_connection() && !wakers.any());
    }
}
