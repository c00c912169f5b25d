//! Framewire for Godot 4, as a GDExtension over the Rust façade.
//!
//! ```text
//!   script ──methods──> FramewireSocket ──> framewire::Socket      (worker threads)
//!          <──signals── poll() <──pull, one event at a time──┘
//!   FramewireNode: a socket that polls itself in _process, within a budget
//! ```
//!
//! Nothing of Godot is ever touched by a worker: events are pulled, and signals emitted, inside
//! `poll()`, on the thread that calls it. No instance is bound while a signal is emitted, so a
//! handler may call anything, `connect_to_url`, `poll` and freeing the node included.

mod answers;
mod configure;
mod connecting;
mod facts;
mod inbox;
mod node;
mod packets;
mod polling;
mod socket;
mod tls;

use std::time::Duration;

use framewire::Code;
use godot::prelude::*;

/// For what is queued and the close frames: as long as a player may wait for a game to quit.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// For threads that a loaded machine does not let end in that time.
const THREAD_TIMEOUT: Duration = Duration::from_secs(4);

struct FramewireExtension;

#[gdextension]
unsafe impl ExtensionLibrary for FramewireExtension {
    fn on_stage_deinit(stage: InitStage) {
        // When the library is unloaded, by a quit or a reload, no thread may still run its code.
        if stage != InitStage::Scene {
            return;
        }
        let ended = match framewire::shutdown(DRAIN_TIMEOUT) {
            Err(error) if error.code == Code::TimedOut => framewire::shutdown(THREAD_TIMEOUT),
            ended => ended,
        };
        if let Err(error) = ended {
            godot_error!("Framewire: {error}");
        }
    }
}
