//! Locks without threads, for browsers.
//!
//! Those of the standard library do nothing with emscripten: `try_lock` always succeeds. It must fail while a callback
//! runs inside the lock that it asks for.

use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::Duration;

use super::atomic::{AtomicBool, Ordering};

/// A lock of the standard library, and whether it is held.
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    held: AtomicBool,
    inner: std::sync::Mutex<T>,
}

pub struct MutexGuard<'a, T: ?Sized> {
    held: &'a AtomicBool,
    inner: std::sync::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), inner: std::sync::Mutex::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// # Panics
    /// If the lock is held: the caller would wait for itself.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        assert!(!self.held.swap(true, Ordering::Relaxed), "a lock is taken twice");
        Ok(self.guard())
    }

    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.held.swap(true, Ordering::Relaxed) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.guard())
    }

    fn guard(&self) -> MutexGuard<'_, T> {
        // A panic ends the program, so no lock is poisoned.
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { held: &self.held, inner }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.held.store(false, Ordering::Relaxed);
    }
}

/// Nothing can wait, and nothing else runs that could wake it.
pub struct Condvar(());

impl Condvar {
    pub const fn new() -> Self {
        Self(())
    }

    pub fn notify_all(&self) {}

    /// Returns at once. The second value is there for the shape of the standard library's.
    pub fn wait_timeout<G>(&self, guard: G, _timeout: Duration) -> LockResult<(G, ())> {
        Ok((guard, ()))
    }
}
