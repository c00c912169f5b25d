//! Threads that tell the host when they start and stop.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::logging::{self, LogLevel};

/// Called on each thread of the library: first, and last. For profilers, and for virtual machines
/// that want to know their threads.
#[derive(Clone, Default)]
pub struct ThreadHooks {
    pub started: Option<Arc<dyn Fn() + Send + Sync>>,
    pub stopped: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Starts a thread. `stopped` is called even if the body panics.
pub fn spawn(
    name: &str,
    hooks: &ThreadHooks,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let hooks = hooks.clone();
    let label = name.to_owned();
    Builder::new().name(name.to_owned()).spawn(move || {
        if let Some(started) = &hooks.started {
            started();
        }
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            logging::write(LogLevel::Error, 0, "", format_args!("the thread {label} panicked and has ended"));
        }
        if let Some(stopped) = &hooks.stopped {
            stopped();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_hooks_run_around_the_body_even_when_it_panics() {
        let calls = Arc::new(AtomicU32::new(0));
        let (first, last) = (calls.clone(), calls.clone());
        let hooks = ThreadHooks {
            started: Some(Arc::new(move || assert_eq!(first.fetch_add(1, Ordering::SeqCst), 0))),
            stopped: Some(Arc::new(move || assert_eq!(last.fetch_add(1, Ordering::SeqCst), 1))),
        };
        spawn("framewire-test", &hooks, || panic!("on purpose")).unwrap().join().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}
