//! The class `FramewireNode`.

use godot::classes::{INode, Node};
use godot::global::Error as GodotError;
use godot::prelude::*;

use crate::polling;
use crate::socket::FramewireSocket;
use crate::tls::OptionalTlsOptions;

/// A node that polls its `FramewireSocket` every frame, within a time budget.
///
/// Add it to a scene, connect its signals, and call `connect_to_url()` or set `url` and
/// `connect_on_ready`. Use its `socket` for everything else.
///
/// It polls in `_process`, so it does not poll while the tree is paused, unless its `process_mode` allows
/// it. No message is lost meanwhile: events are queued, and a full queue applies backpressure to the server.
#[derive(GodotClass)]
#[class(init, base = Node)]
pub struct FramewireNode {
    /// The URL for `connect_on_ready`.
    #[export]
    url: GString,
    /// Connects to `url` when the node is ready.
    #[export]
    connect_on_ready: bool,
    /// The time budget per frame for delivering events, in microseconds. Remaining events are delivered in
    /// the next frame. 0 is no limit; a negative budget delivers at most one event.
    #[export]
    #[init(val = 2000)]
    poll_budget_usec: i64,
    /// The socket, with its settings, packets and status.
    #[var(no_set)]
    #[init(val = FramewireSocket::new_gd())]
    socket: Gd<FramewireSocket>,
    base: Base<Node>,
}

#[godot_api]
impl INode for FramewireNode {
    #[func(gd_self)]
    fn ready(this: Gd<Self>) {
        let (connects, url) = {
            let node = this.bind();
            (node.connect_on_ready, node.url.clone())
        };
        if connects {
            Self::connect_to_url(this, url, OptionalTlsOptions::default());
        }
    }

    #[func(gd_self)]
    fn process(this: Gd<Self>, _delta: f64) {
        let (mut socket, budget) = {
            let node = this.bind();
            (node.socket.clone(), node.poll_budget_usec)
        };
        socket.bind_mut().node = Some(this.instance_id());
        // A handler may free the node from here on.
        drop(this);
        polling::poll(&socket, budget);
    }
}

#[godot_api]
impl FramewireNode {
    /// Emitted when the connection is open; see `FramewireSocket.opened`.
    #[signal]
    pub fn opened();
    /// Emitted when a text message was received; see `FramewireSocket.text_received`.
    #[signal]
    pub fn text_received(text: GString);
    /// Emitted when a binary message was received; see `FramewireSocket.binary_received`.
    #[signal]
    pub fn binary_received(data: PackedByteArray);
    /// Emitted when a fragment was received; see `FramewireSocket.fragment_received`.
    #[signal]
    pub fn fragment_received(data: PackedByteArray, is_text: bool, is_first: bool, is_final: bool);
    /// Emitted when a pong was received; see `FramewireSocket.pong_received`.
    #[signal]
    pub fn pong_received(data: PackedByteArray);
    /// Emitted before a retry; see `FramewireSocket.reconnecting`.
    #[signal]
    pub fn reconnecting(attempt: i64, delay: f64, reason: GString);
    /// Emitted when the connection was closed; see `FramewireSocket.closed`.
    #[signal]
    pub fn closed(code: i64, reason: GString);
    /// Emitted when the connection failed; see `FramewireSocket.failed`.
    #[signal]
    pub fn failed(phase: GString, status: i64, reason: GString, retriable: bool);

    /// Starts connecting; see `FramewireSocket.connect_to_url()`.
    #[func(gd_self)]
    pub fn connect_to_url(
        this: Gd<Self>,
        url: GString,
        #[opt(default = OptionalTlsOptions::default())] tls_client_options: OptionalTlsOptions,
    ) -> GodotError {
        let mut socket = this.bind().socket.clone();
        let mut socket = socket.bind_mut();
        socket.node = Some(this.instance_id());
        socket.connect_to_url(url, tls_client_options)
    }

    /// Sends a message, by default as binary; see `FramewireSocket.send()`.
    #[func]
    pub fn send(&mut self, message: PackedByteArray, #[opt(default = 1)] write_mode: i64) -> GodotError {
        self.socket.bind_mut().send(message, write_mode)
    }

    /// Sends a text message; see `FramewireSocket.send_text()`.
    #[func]
    pub fn send_text(&mut self, message: GString) -> GodotError {
        self.socket.bind_mut().send_text(message)
    }

    /// Starts the closing handshake; see `FramewireSocket.close()`.
    #[func]
    pub fn close(&mut self, #[opt(default = 1000)] code: i64, #[opt(default = "")] reason: GString) {
        self.socket.bind_mut().close(code, reason);
    }

    /// Returns the state, one of the `STATE_*` constants of `FramewireSocket`.
    #[func]
    pub fn get_ready_state(&self) -> i64 {
        self.socket.bind().get_ready_state()
    }
}
