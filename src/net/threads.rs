//! Threads: one way to start them and one way to wait for them, so that the host's hooks run on
//! each, and a panic ends a thread in the log rather than in silence.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::logging::{self, LogLevel};

/// Called on a library thread, without arguments and without locks held.
pub type ThreadHook = Arc<dyn Fn() + Send + Sync>;

/// What the host does on each thread of the library: tell a profiler, attach it to a VM.
#[derive(Clone, Default)]
pub struct ThreadHooks {
    /// First on the thread.
    pub started: Option<ThreadHook>,
    /// Last on the thread, even when its work panicked.
    pub stopped: Option<ThreadHook>,
}

/// Starts the thread `framewire-<name>`. Linux shows 15 bytes, so five are left for `name`.
pub fn spawn(
    name: &str,
    hooks: &ThreadHooks,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let name = format!("framewire-{name}");
    let hooks = hooks.clone();
    Builder::new().name(name.clone()).spawn(move || {
        if let Some(started) = hooks.started {
            guarded(&name, "start hook", || started());
        }
        guarded(&name, "work", body);
        if let Some(stopped) = hooks.stopped {
            guarded(&name, "stop hook", || stopped());
        }
    })
}

/// Joins every thread that ends before `deadline`. Those that did not stay in `threads`, and the
/// answer is false.
pub fn join_until(threads: &mut Vec<JoinHandle<()>>, deadline: Instant) -> bool {
    loop {
        let (ended, running) = threads.drain(..).partition::<Vec<_>, _>(JoinHandle::is_finished);
        *threads = running;
        for thread in ended {
            // Bodies are caught, so an `Err` cannot come; were it to, the thread is gone all the same.
            let _ = thread.join();
        }
        if threads.is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        // The standard library cannot wait for a thread with a deadline. This runs at shutdown only.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `body`; a panic ends in the log.
pub fn guarded(thread: &str, what: &str, body: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        logging::note(
            LogLevel::Error,
            format_args!("the {what} of thread {thread} panicked: {}", panic_text(&*panic)),
        );
    }
}

/// The words of a panic, where it has any.
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
    fn hooks_run_first_and_last_even_around_a_panic() {
        let (hooks, seen) = recording();
        let inside = seen.clone();
        let thread = spawn("t1", &hooks, move || {
            inside.lock().unwrap().push("work".to_owned());
            panic!("on purpose");
        });
        assert!(thread.unwrap().join().is_ok(), "the panic was caught");
        assert_eq!(*seen.lock().unwrap(), ["started framewire-t1", "work", "stopped framewire-t1"]);
    }

    #[test]
    fn joining_stops_at_the_deadline_and_keeps_what_still_runs() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let hooks = ThreadHooks::default();
        let mut threads = vec![
            spawn("quick", &hooks, || {}).unwrap(),
            spawn("slow", &hooks, move || {
                let _ = wait.recv();
            })
            .unwrap(),
        ];
        assert!(!join_until(&mut threads, Instant::now() + Duration::from_millis(5)));
        assert!(threads.iter().any(|thread| thread.thread().name() == Some("framewire-slow")));
        drop(release);
        assert!(join_until(&mut threads, Instant::now() + Duration::from_secs(10)));
        assert!(threads.is_empty());
    }
}
