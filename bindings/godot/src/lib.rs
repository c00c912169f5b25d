//! Framewire for Godot 4, as a GDExtension over the Rust façade.
//!
//! ```text
//!   script ──methods──> FramewireSocket ──> framewire::Socket      (worker threads)
//!          <──signals── poll() <──takes many events at once──┘
//!   FramewireNode: polls its socket in each frame, within a time budget
//!   FramewireMultiplayerPeer: Godot's high-level multiplayer over a socket
//! ```
//!
//! Worker threads never call Godot. `poll()` dequeues events and emits signals on the thread that calls it.
//! The state of a socket is not locked while a signal is emitted, so a handler may call anything, including
//! `connect_to_url()`, `poll()` and freeing the node.
//!
//! Imports run one way: `gdextension` <- `members`, `errors`, `options`, `packet_queue`, `settings`, `tls`, `totals` <-
//! `log_lines`, `socket` <-
//! `capture`, `configure`, `events`, `lanes`, `link`, `packets`, `properties`, `signals`, `startup`, `status` <-
//! `polling` <- `connecting` <-
//! `socket_class` <- `node`, `multiplayer`. Unsafe code is only in `gdextension`.

#![deny(unsafe_code)]

mod capture;
mod class_docs;
mod configure;
mod connecting;
mod errors;
mod events;
mod gdextension;
mod lanes;
mod link;
mod log_lines;
mod members;
mod multiplayer;
mod node;
mod options;
mod packet_queue;
mod packets;
mod polling;
mod properties;
mod settings;
mod signals;
mod socket;
mod socket_class;
mod startup;
mod status;
mod tls;
mod totals;

use std::time::Duration;

use framewire::Code;

use gdextension::class::{load_docs, register, unregister};
use gdextension::entry::{Extension, entry_point};
use multiplayer::FramewireMultiplayerPeer;
use node::FramewireNode;
use socket::FramewireSocket;

/// The time to send queued messages and close frames when the game quits.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The additional time for threads that have not ended by then, as on a loaded machine.
const THREAD_TIMEOUT: Duration = Duration::from_secs(4);

static EXTENSION: Extension = Extension {
    register: || {
        register::<FramewireSocket>();
        register::<FramewireNode>();
        register::<FramewireMultiplayerPeer>();
        startup::declare_settings();
    },
    load_docs: || {
        load_docs(&class_docs::xml::<FramewireSocket>());
        load_docs(&class_docs::xml::<FramewireNode>());
        load_docs(&class_docs::xml::<FramewireMultiplayerPeer>());
    },
    unregister: || {
        unregister::<FramewireMultiplayerPeer>();
        unregister::<FramewireNode>();
        unregister::<FramewireSocket>();
        shut_down();
    },
};

entry_point!(framewire_godot_init, &EXTENSION);

/// Ends all threads: none may run the library's code when Godot unloads it, on quit or reload.
fn shut_down() {
    log_lines::stop();
    totals::clear();
    startup::stopped();
    let ended = match framewire::shutdown(DRAIN_TIMEOUT) {
        Err(error) if error.code == Code::TimedOut => framewire::shutdown(THREAD_TIMEOUT),
        ended => ended,
    };
    if let Err(error) = ended {
        gdextension::error(&format!("Framewire: {error}"));
    }
}
