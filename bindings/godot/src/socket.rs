//! The state of a `FramewireSocket`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use framewire::{CallError, EventBatch, EventKind, Socket};

use crate::errors::{self, LastError};
use crate::gdextension::{self, Base, GodotError};
use crate::packet_queue::{PacketQueue, Queued, Room};
use crate::settings::Settings;
use crate::tls::TlsCache;

/// How long a freed socket may continue to send queued messages.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

pub const CONNECTING: i64 = FramewireSocket::STATE_CONNECTING;
pub const OPEN: i64 = FramewireSocket::STATE_OPEN;
pub const CLOSING: i64 = FramewireSocket::STATE_CLOSING;
pub const CLOSED: i64 = FramewireSocket::STATE_CLOSED;

/// A socket as scripts see it. Its documentation for scripts is in `socket_class`.
pub struct FramewireSocket {
    pub(crate) base: Base,
    /// Never locked while Godot may run code of scripts: while a signal is emitted, an error is printed, or a
    /// reference to an object is dropped. So no thread waits for it long.
    state: Mutex<State>,
    /// The number of queued packets, which most scripts ask for once per packet. Written where the state is
    /// unlocked.
    packet_count: AtomicUsize,
    /// The ID of the node that polls this socket, whose signals are emitted too; 0 for none.
    node: AtomicU64,
}

/// The locked state.
pub struct StateGuard<'a> {
    state: MutexGuard<'a, State>,
    packet_count: &'a AtomicUsize,
}

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        self.packet_count.store(self.state.connection.packets.len(), Ordering::Relaxed);
    }
}

#[derive(Default)]
pub struct State {
    pub settings: Settings,
    pub authorization: Option<Authorization>,
    pub connection: Connection,
    /// Raised whenever the connection is replaced or dropped, so that a poll notices that a handler has done so.
    pub generation: u64,
    /// The last events of connections that the script has dropped, to be delivered first: the outcomes of messages, and
    /// the terminal event.
    pub dropped: VecDeque<EventKind>,
    pub tls_cache: TlsCache,
    pub context: BTreeMap<String, String>,
    /// The socket of the last connection, whose cookies the next one gets.
    pub previous: Option<Socket>,
}

pub enum Authorization {
    Basic { user: String, password: String },
    Bearer(String),
}

/// The connection as the script sees it, which is its state at the last `poll()`.
pub struct Connection {
    pub socket: Option<Socket>,
    /// Events taken from the library, to be delivered next.
    pub events: VecDeque<EventBatch>,
    pub state: i64,
    pub url: String,
    pub host: String,
    pub port: i64,
    pub protocol: String,
    pub close_code: i64,
    pub close_reason: String,
    pub last_error: LastError,
    pub packets: PacketQueue,
    pub packet_error: GodotError,
    /// How many messages with each tag have been accepted whose outcome has not been delivered.
    pub tags: BTreeMap<u64, usize>,
    /// The terminal event, deferred while a script reads the packets received before it.
    pub deferred_end: Option<EventKind>,
    /// Whether the event `IncompleteFrame` is enabled.
    pub fragments_enabled: bool,
    /// Whether the event `Request` is enabled.
    pub requests_enabled: bool,
    pub warned_of_full_queue: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            socket: None,
            events: VecDeque::new(),
            state: CLOSED,
            url: String::new(),
            host: String::new(),
            port: 0,
            protocol: String::new(),
            close_code: -1,
            close_reason: String::new(),
            last_error: LastError::None,
            packets: PacketQueue::default(),
            packet_error: GodotError::OK,
            tags: BTreeMap::new(),
            deferred_end: None,
            fragments_enabled: false,
            requests_enabled: false,
            warned_of_full_queue: false,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            // Sends what the script has queued. Fails after a shutdown, which has destroyed the socket.
            let _ = socket.destroy_when_sent(FLUSH_TIMEOUT);
        }
    }
}

impl Connection {
    /// Records the delivery of an outcome.
    pub fn settle(&mut self, tag: u64) {
        if let Some(count) = self.tags.get_mut(&tag) {
            *count -= 1;
            if *count == 0 {
                self.tags.remove(&tag);
            }
        }
    }
}

impl FramewireSocket {
    pub const STATE_CONNECTING: i64 = 0;
    pub const STATE_OPEN: i64 = 1;
    pub const STATE_CLOSING: i64 = 2;
    pub const STATE_CLOSED: i64 = 3;
    pub const WRITE_MODE_TEXT: i64 = 0;
    pub const WRITE_MODE_BINARY: i64 = 1;
    pub const TLS_ROOTS_WEBPKI: i64 = 0;
    pub const TLS_ROOTS_PLATFORM: i64 = 1;
    pub const TLS_ROOTS_NONE: i64 = 2;

    pub fn with_base(base: Base) -> Self {
        Self { base, state: Mutex::default(), packet_count: AtomicUsize::new(0), node: AtomicU64::new(0) }
    }

    pub fn node(&self) -> u64 {
        self.node.load(Ordering::Relaxed)
    }

    pub fn set_node(&self, id: u64) {
        self.node.store(id, Ordering::Relaxed);
    }

    pub fn state(&self) -> StateGuard<'_> {
        // A panic is reported where it happens. The state has no invariants that it could break.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        StateGuard { state, packet_count: &self.packet_count }
    }

    pub fn packet_count(&self) -> usize {
        self.packet_count.load(Ordering::Relaxed)
    }

    pub fn settings<T>(&self, access: impl FnOnce(&mut Settings) -> T) -> T {
        access(&mut self.state().settings)
    }

    /// Converts the result of a call to an error code, stores its message and prints it.
    pub fn report(&self, call: &str, result: Result<(), CallError>) -> GodotError {
        let Err(error) = result else { return GodotError::OK };
        let code = errors::code(&error);
        let mut message = error.message.into_owned();
        errors::name_properties(&mut message);
        self.state().connection.last_error = LastError::Call(message.clone());
        // A full send queue and a closed connection are normal at run time: not printed.
        if code != GodotError::ERR_OUT_OF_MEMORY && code != GodotError::FAILED {
            gdextension::error(&format!("FramewireSocket.{call}: {message}"));
        }
        code
    }
}

impl State {
    /// Returns how much more fits into the queue of packets.
    pub fn room(&self) -> Room {
        self.connection.packets.room(self.settings.max_queued_packets, self.settings.inbound_buffer_size)
    }

    /// Queues a packet. Drops it if the queue is full, which happens only after `close()`: a script that
    /// no longer reads must still get the terminal event.
    pub fn queue_packet(&mut self, packet: Queued) {
        if !self.room().is_full() {
            self.connection.packets.push(packet);
        }
    }

    pub fn with_socket(&self, call: impl FnOnce(&Socket) -> Result<(), CallError>) -> Result<(), CallError> {
        match &self.connection.socket {
            Some(socket) => call(socket),
            None => Err(CallError::state(
                "the socket is not open: call connect_to_url(), and send after the signal opened",
            )),
        }
    }

    pub fn query<T>(&self, query: impl FnOnce(&Socket) -> T) -> Option<T> {
        self.connection.socket.as_ref().map(query)
    }
}
