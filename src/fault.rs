//! Places at which a build made for it panics on demand, to prove that no panic gets far.
//!
//! Only `--cfg framewire_faults` makes them: in every other build a point is nothing at all.
//! `tests/library/faults.rs` panics at each in turn.

/// Where a panic can be asked for: the room, then what it is doing there.
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
    "session.ask",
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

/// Panics if a panic was asked for here.
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

    /// What the panic says; a release has no such words in it, which a test looks for.
    const WORDS: &str = "framewire fault point";

    struct State {
        /// The point, and how many passes are still let through.
        armed: Option<(&'static str, usize)>,
        passes: BTreeMap<&'static str, usize>,
    }

    static STATE: Mutex<State> = Mutex::new(State { armed: None, passes: BTreeMap::new() });

    /// The `nth` pass from now on panics, once.
    pub fn arm(name: &'static str, nth: usize) {
        assert!(super::POINTS.contains(&name) && nth > 0);
        let mut state = state();
        state.armed = Some((name, nth - 1));
        state.passes.clear();
    }

    /// Whether a panic was asked for that has not come.
    pub fn disarm() -> bool {
        state().armed.take().is_some()
    }

    /// Passes of a point since the last [`arm`].
    pub fn passes(name: &str) -> usize {
        state().passes.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn point(name: &'static str) {
        debug_assert!(super::POINTS.contains(&name), "{name} stands in no list");
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
