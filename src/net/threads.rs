//! Starts and joins the library's threads: runs the host's hooks on each, and logs panics.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock::Instant;
use crate::inside::Inside;
use crate::logging::{self, LogLevel};

/// Called on a library thread without locks held.
pub type ThreadHook = Arc<dyn Fn() + Send + Sync>;

/// The host's hooks for library threads, for example to register them with a profiler or attach them to a VM.
#[derive(Clone, Default)]
pub struct ThreadHooks {
    /// Called first on the thread.
    pub started: Option<ThreadHook>,
    /// Called last on the thread, also after a panic.
    pub stopped: Option<ThreadHook>,
}

/// A group of threads that are joined together.
pub struct Threads {
    hooks: ThreadHooks,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub fn new(hooks: ThreadHooks) -> Self {
        Self { hooks, handles: Vec::new() }
    }

    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Starts the thread `framewire-<name>`. Linux shows 15 bytes, which leaves five for `name`.
    pub fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        // There is nothing to wait for.
        for ended in self.handles.extract_if(.., |handle| handle.is_finished()) {
            let _ = ended.join();
        }
        let hooks = self.hooks.clone();
        let name = format!("framewire-{name}");
        let handle = Builder::new().name(name.clone()).spawn(move || {
            let _inside = Inside::enter();
            if let Some(started) = hooks.started {
                guarded(&name, "start hook", || started());
            }
            guarded(&name, "work", body);
            if let Some(stopped) = hooks.stopped {
                guarded(&name, "stop hook", || stopped());
            }
        })?;
        self.handles.push(handle);
        Ok(())
    }

    /// Joins all threads that end before `deadline`. Returns false if some are left; can be called again.
    pub fn join(&mut self, deadline: Instant) -> bool {
        while let Some(handle) = self.handles.last() {
            if handle.is_finished() {
                // Panics are caught, so `join` does not fail; the thread has ended either way.
                let _ = self.handles.pop().map(JoinHandle::join);
            } else if Instant::now() >= deadline {
                return false;
            } else {
                // The standard library cannot join with a deadline, and a channel would allocate memory on
                // the caller's thread. This runs at shutdown only.
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        true
    }
}

/// Runs `body` and logs a panic.
pub fn guarded(thread: &str, what: &str, body: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        logging::note(
            LogLevel::Error,
            format_args!("the {what} of thread {thread} panicked: {}", panic_text(&*panic)),
        );
    }
}

/// Returns the message of a panic, if it has one.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const SOON: Duration = Duration::from_secs(20);

    fn recording() -> (ThreadHooks, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = |word: &'static str| -> Option<ThreadHook> {
            let seen = seen.clone();
            Some(Arc::new(move || {
                let thread = std::thread::current().name().unwrap_or("").to_owned();
                seen.lock().unwrap().push(format!("{word} {thread}"));
            }))
        };
        (ThreadHooks { started: hook("started"), stopped: hook("stopped") }, seen)
    }

    #[test]
    fn hooks_run_first_and_last_also_around_panic() {
        let (hooks, seen) = recording();
        let inside = seen.clone();
        let mut threads = Threads::new(hooks);
        let body = move || {
            inside.lock().unwrap().push("work".to_owned());
            panic!("on purpose");
        };
        threads.spawn("t1", body).unwrap();
        assert!(threads.join(Instant::now() + SOON), "the panic was caught");
        assert_eq!(*seen.lock().unwrap(), ["started framewire-t1", "work", "stopped framewire-t1"]);
    }

    #[test]
    fn join_stops_at_deadline_and_can_continue() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let mut threads = Threads::new(ThreadHooks::default());
        threads.spawn("quick", || {}).unwrap();
        let body = move || {
            let _ = wait.recv();
        };
        threads.spawn("slow", body).unwrap();
        assert!(!threads.join(Instant::now() + Duration::from_millis(5)));
        assert!(threads.count() > 0);
        drop(release);
        assert!(threads.join(Instant::now() + SOON));
        assert_eq!(threads.count(), 0);
        assert!(threads.join(Instant::now()), "no threads are left");
    }
}
