//! The mark of a thread that must not wait for the library to end: it runs the caller's code, or is the library's own.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether the library, or a callback, is running on this thread.
pub fn inside() -> bool {
    DEPTH.get() > 0
}

/// Marks this thread, until dropped.
pub struct Inside(());

impl Inside {
    pub fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Inside(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
