//! Framewire for Godot 4, as a GDExtension over the Rust façade.
//!
//! ```text
//!   script ──methods──> FramewireSocket ──> framewire::Socket      (worker threads)
//!          <──signals── poll() <──pulls one event at a time──┘
//!   FramewireNode: polls its socket in _process, within a time budget
//! ```
//!
//! Worker threads never call Godot. `poll()` dequeues events and emits signals on the thread that calls it.
//! No instance is borrowed while a signal is emitted, so a handler may call anything, including
//! `connect_to_url()`, `poll()` and freeing the node.
//!
//! Imports run one way: `errors`, `packet_queue`, `tls` <- `socket` <- `configure`, `packets`, `status`,
//! `polling` <- `connecting` <- `node`.

mod configure;
mod connecting;
mod errors;
mod node;
mod packet_queue;
mod packets;
mod polling;
mod socket;
mod status;
mod tls;

use std::time::Duration;

use framewire::Code;
use godot::prelude::*;

/// The time to send queued messages and close frames when the game quits.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The additional time for threads that have not ended by then, as on a loaded machine.
const THREAD_TIMEOUT: Duration = Duration::from_secs(4);

struct FramewireExtension;

#[gdextension]
unsafe impl ExtensionLibrary for FramewireExtension {
    fn on_stage_deinit(stage: InitStage) {
        // No thread may run the library's code when Godot unloads it, on quit or reload.
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
