//! Fault injection: points at which a special build panics on demand, to test that panics are contained.
//!
//! Enabled by `--cfg framewire_faults` only; in every other build a point compiles to nothing.
//! `tests/library/faults.rs` triggers each point in turn.

/// The names of all points: module, then operation.
#[cfg(framewire_faults)]
pub const POINTS: &[&str] = &[
    "ffi.call",
    "ffi.callback",
    "client.create",
    "client.open",
    "client.send",
    "client.poll",
    "engine.launch",
    "engine.commands",
    "engine.serve",
    "engine.turn",
    "engine.publish",
    "engine.deliver",
    "engine.end",
    "session.request",
    "session.receive",
    "session.queue",
    "session.send",
    "net.resolve",
    "net.dial",
    "net.secure",
    "net.read",
    "net.write",
    "net.http2",
    "wire.url",
    "wire.response",
    "wire.frame",
    "wire.inflate",
    "wire.deflate",
    "wire.utf8",
    "buffer.take",
    "buffer.lease",
];

/// Panics if a panic was requested at this point.
#[cfg(not(framewire_faults))]
#[inline(always)]
pub(crate) fn point(_name: &'static str) {}

#[cfg(framewire_faults)]
pub(crate) use armed::point;
#[cfg(framewire_faults)]
pub use armed::{arm, disarm, passes};

#[cfg(framewire_faults)]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// The panic message. A test checks that release builds do not contain it.
    const WORDS: &str = "framewire fault point";

    struct State {
        /// The point, and how many passes remain before the panic.
        armed: Option<(&'static str, usize)>,
        passes: BTreeMap<&'static str, usize>,
    }

    static STATE: Mutex<State> = Mutex::new(State { armed: None, passes: BTreeMap::new() });

    /// Requests one panic at the `nth` pass from now.
    pub fn arm(name: &'static str, nth: usize) {
        assert!(super::POINTS.contains(&name) && nth > 0);
        let mut state = state();
        state.armed = Some((name, nth - 1));
        state.passes.clear();
    }

    /// Cancels a requested panic; returns whether there was one.
    pub fn disarm() -> bool {
        state().armed.take().is_some()
    }

    /// Returns how often a point was passed since the last [`arm`].
    pub fn passes(name: &str) -> usize {
        state().passes.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn point(name: &'static str) {
        debug_assert!(super::POINTS.contains(&name), "{name} is not in POINTS");
        let mut state = state();
        *state.passes.entry(name).or_default() += 1;
        match &mut state.armed {
            Some((armed, 0)) if *armed == name => state.armed = None,
            Some((armed, left)) if *armed == name => {
                *left -= 1;
                return;
            }
            _ => return,
        }
        drop(state);
        panic!("{WORDS} {name}");
    }

    fn state() -> MutexGuard<'static, State> {
        STATE.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
