//! The node that polls itself.

use godot::classes::{INode, Node};
use godot::global::Error as GodotError;
use godot::prelude::*;

use crate::polling;
use crate::socket::FramewireSocket;
use crate::tls::OptionalTlsOptions;

/// A `FramewireSocket` that polls itself every frame, within a budget.
///
/// Add it to a scene, connect its signals, call `connect_to_url()` or set `url` and
/// `connect_on_ready`. Everything else is on its `socket`.
///
/// It polls in `_process`, so it rests while the tree is paused unless its `process_mode` says
/// otherwise; nothing is lost meanwhile, the server just has to wait once enough is waiting here.
#[derive(GodotClass)]
#[class(init, base = Node)]
pub struct FramewireNode {
    /// Where `connect_on_ready` connects to.
    #[export]
    url: GString,
    /// Connects to `url` when the node is ready.
    #[export]
    connect_on_ready: bool,
    /// How many microseconds of a frame the delivery of messages may take; what is left comes in
    /// the next frame. 0 for no limit, one event for a negative number.
    #[export]
    #[init(val = 2000)]
    poll_budget_usec: i64,
    /// The socket itself, for everything else: settings, packets, facts.
    #[var(no_set)]
    #[init(val = FramewireSocket::new_gd())]
    socket: Gd<FramewireSocket>,
    base: Base<Node>,
}

#[godot_api]
impl INode for FramewireNode {
    #[func(gd_self)]
    fn ready(this: Gd<Self>) {
        let (wanted, url) = {
            let node = this.bind();
            (node.connect_on_ready, node.url.clone())
        };
        if wanted {
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
        // From here on a handler may free the node.
        drop(this);
        polling::poll(&socket, budget);
    }
}

#[godot_api]
impl FramewireNode {
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn opened();
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn text_received(text: GString);
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn binary_received(data: PackedByteArray);
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn fragment_received(data: PackedByteArray, is_text: bool, is_first: bool, is_final: bool);
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn pong_received(data: PackedByteArray);
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn reconnecting(attempt: i64, delay: f64, reason: GString);
    /// As that of `FramewireSocket`.
    #[signal]
    pub fn closed(code: i64, reason: GString);
    /// As that of `FramewireSocket`.
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

    /// One of the `STATE_*` constants of `FramewireSocket`.
    #[func]
    pub fn get_ready_state(&self) -> i64 {
        self.socket.bind().get_ready_state()
    }
}
