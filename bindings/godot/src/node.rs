//! The class `FramewireNode`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::gdextension::class::create_counted;
use crate::gdextension::{
    Base, Class, Dictionary, GodotError, Members, Method, Nullable, ObjectClass, PackedByteArray, Parameter,
    Preset, Property, Reference, TlsOptionsArgument, Variant,
};
use crate::members::{methods, properties, query};
use crate::polling;
use crate::signals;
use crate::socket::FramewireSocket;

methods! {
    METHODS:
    /// Starts connecting; see `FramewireSocket.connect_to_url()`.
    method connect_to_url(url, tls_client_options = Preset::Null) => FramewireNode::connect_to_url;

    /// Sends a message, by default as binary; see `FramewireSocket.send()`.
    method send(message, write_mode = Preset::Int(1)) =>
        |node: &FramewireNode, message: PackedByteArray, mode: i64| node.socket.send(message, mode);

    /// Sends a text message; see `FramewireSocket.send_text()`.
    method send_text(message) => |node: &FramewireNode, message: String| node.socket.send_text(message);

    /// Sends a message with delivery options; see `FramewireSocket.send_message()`.
    method send_message(message, options = Preset::EmptyDictionary) =>
        |node: &FramewireNode, message: Variant, options: Dictionary| node.socket.send_message(message, options);

    /// Starts the closing handshake; see `FramewireSocket.close()`.
    method close(code = Preset::Int(1000), reason = Preset::Text("")) =>
        |node: &FramewireNode, code: i64, reason: String| node.socket.close(code, reason);

    /// Returns the state, one of the `STATE_*` constants of `FramewireSocket`.
    query get_ready_state() => |node: &FramewireNode| node.socket.get_ready_state();
}

properties! {
    FramewireNode:
    /// The URL for `connect_on_ready`.
    url: String;
    /// Connects to `url` when the node is ready.
    connect_on_ready: bool;
    /// Calls `FramewireSocket.suspend()` when the app is paused, and `resume()` when it is resumed, once for all
    /// nodes, or when the last node that was in the tree leaves it meanwhile. On by default.
    automatic_suspend: bool;
    /// The time budget per frame for delivering events, in microseconds. Remaining events are delivered in
    /// the next frame. 0 is no limit; a negative budget delivers at most one event.
    poll_budget_usec: i64;
}

const SOCKET: &[Property] = &[Property {
    name: "socket",
    doc: "The socket, with its settings, packets and status.",
    parameter: Parameter::object(FramewireSocket::NAME),
    getter: "get_socket",
    setter: "",
}];

const GET_SOCKET: &[Method] = &[Method::new("get_socket", query, FramewireNode::get_socket, &[], "")];

pub struct FramewireNode {
    base: Base,
    settings: Mutex<Settings>,
    /// Keeps the object of the socket alive.
    object: Reference,
    socket: Arc<FramewireSocket>,
    /// Whether this node is one of `SUSPENDED`.
    has_suspended: AtomicBool,
}

struct Settings {
    url: String,
    connect_on_ready: bool,
    automatic_suspend: bool,
    poll_budget_usec: i64,
}

/// Of `Node`.
const NOTIFICATION_EXIT_TREE: i32 = 11;
const NOTIFICATION_READY: i32 = 13;
const NOTIFICATION_INTERNAL_PROCESS: i32 = 25;
/// Of `MainLoop`.
const NOTIFICATION_APPLICATION_RESUMED: i32 = 2014;
const NOTIFICATION_APPLICATION_PAUSED: i32 = 2015;

/// The number of nodes that keep the library suspended.
static SUSPENDED: AtomicUsize = AtomicUsize::new(0);

pub struct SocketClass;

impl ObjectClass for SocketClass {
    const NAME: &'static str = FramewireSocket::NAME;
}

impl Class for FramewireNode {
    const NAME: &'static str = "FramewireNode";
    const PARENT: &'static str = "Node";
    const IS_RUNTIME: bool = true;
    const IS_COUNTED: bool = false;
    const IS_NOTIFIED: bool = true;
    const MEMBERS: &'static Members = &Members {
        doc: DOC,
        methods: &[METHODS, ACCESSORS, GET_SOCKET],
        // A script may override `_ready` and `_process`, so notifications take their place.
        virtuals: &[],
        properties: &[PROPERTIES, SOCKET],
        signals: signals::OF_NODE,
        constants: &[],
    };

    fn new(base: Base) -> Self {
        let (object, socket) = create_counted::<FramewireSocket>();
        let settings = Settings {
            url: String::new(),
            connect_on_ready: false,
            automatic_suspend: true,
            poll_budget_usec: 2000,
        };
        Self { base, settings: Mutex::new(settings), object, socket, has_suspended: AtomicBool::new(false) }
    }

    fn base(&self) -> &Base {
        &self.base
    }

    fn notification(&self, what: i32) {
        match what {
            NOTIFICATION_READY => self.ready(),
            NOTIFICATION_INTERNAL_PROCESS => self.process(),
            NOTIFICATION_APPLICATION_PAUSED if self.settings(|settings| settings.automatic_suspend) => {
                self.suspend();
            }
            // A node outside of the tree is not notified that the app has resumed.
            NOTIFICATION_APPLICATION_RESUMED | NOTIFICATION_EXIT_TREE => self.resume(),
            _ => {}
        }
    }
}

impl FramewireNode {
    fn settings<T>(&self, access: impl FnOnce(&mut Settings) -> T) -> T {
        access(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs after `_ready` of a script.
    fn ready(&self) {
        self.base.set_process_internal(true);
        let (connects, url) = self.settings(|settings| (settings.connect_on_ready, settings.url.clone()));
        if connects {
            self.connect_to_url(url, None.into());
        }
    }

    /// A handler may free the node. Its memory remains until this returns.
    fn process(&self) {
        let budget = self.settings(|settings| settings.poll_budget_usec);
        self.socket.set_node(self.base.instance_id());
        polling::poll(&self.socket, budget);
    }

    /// Every node in the tree does this when the app is paused; the first one acts for all.
    fn suspend(&self) {
        if !self.has_suspended.swap(true, Ordering::Relaxed) && SUSPENDED.fetch_add(1, Ordering::Relaxed) == 0
        {
            framewire::suspend();
        }
    }

    /// The last one acts for all.
    fn resume(&self) {
        if self.has_suspended.swap(false, Ordering::Relaxed) && SUSPENDED.fetch_sub(1, Ordering::Relaxed) == 1
        {
            framewire::resume();
        }
    }

    fn connect_to_url(&self, url: String, options: TlsOptionsArgument) -> GodotError {
        self.socket.set_node(self.base.instance_id());
        self.socket.connect_to_url(url, options)
    }

    fn get_socket(&self) -> Nullable<SocketClass> {
        Some(self.object.clone()).into()
    }
}

impl Drop for FramewireNode {
    fn drop(&mut self) {
        self.resume();
    }
}

const DOC: &str = "\
A node that polls its `FramewireSocket` every frame, within a time budget.

Add it to a scene, connect its signals, and call `connect_to_url()` or set `url` and `connect_on_ready`. Use its
`socket` for everything else.

It polls in internal processing (`set_process_internal()`), so a script on it may override `_ready` and `_process`. It
connects after `_ready`. It does not poll while the tree is paused, unless its `process_mode` allows it. No message is
lost meanwhile: events are queued, and a full queue applies backpressure to the server.";
