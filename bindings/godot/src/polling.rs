//! Delivers events as signals and packets, on the thread that calls `poll()`.

use std::time::{Duration, Instant};

use framewire::{Error, EventKind, EventType};
use godot::classes::Object;
use godot::prelude::*;

use crate::errors;
use crate::packet_queue::Packet;
use crate::socket::{CLOSED, CLOSING, CONNECTING, FramewireSocket, OPEN};

#[godot_api(secondary)]
impl FramewireSocket {
    /// Processes the events since the last call: emits signals, queues packets and updates the state. Call
    /// it once per frame.
    #[func(gd_self)]
    pub fn poll(this: Gd<Self>) {
        poll(&this, 0);
    }

    /// Does the same as `poll()` within a time budget of `budget_usec` microseconds. Remaining events are
    /// processed at the next call. 0 is no limit. A negative budget, such as the rest of a frame that took
    /// too long, processes at most one event.
    #[func(gd_self)]
    pub fn poll_within(this: Gd<Self>, budget_usec: i64) {
        poll(&this, budget_usec);
    }
}

/// The events and the time that remain for one call.
struct Budget {
    events: usize,
    deadline: Option<Instant>,
}

impl Budget {
    /// Limits the events to those pending now, so that a fast server cannot keep the call from returning.
    /// With a negative budget one event is processed, so that a slow game still makes progress.
    fn new(budget_usec: i64) -> Self {
        let budget = u64::try_from(budget_usec).ok().filter(|budget| *budget > 0);
        let deadline = budget.and_then(|budget| Instant::now().checked_add(Duration::from_micros(budget)));
        let limit = if budget_usec < 0 { 1 } else { usize::MAX };
        Self { events: framewire::pending().min(limit), deadline }
    }

    fn take_event(&mut self) -> bool {
        if self.events == 0 || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        self.events -= 1;
        true
    }
}

pub fn poll(this: &Gd<FramewireSocket>, budget_usec: i64) {
    let mut this = this.clone();
    update_fragments_enabled(&mut this);
    let mut budget = Budget::new(budget_usec);
    let deferred = this.bind_mut().begin_poll();
    if let Some(end) = deferred {
        deliver(&mut this, end);
    }
    while budget.take_event() {
        let Some(event) = this.bind_mut().next_event() else { break };
        deliver(&mut this, event);
    }
}

fn deliver(this: &mut Gd<FramewireSocket>, event: EventKind) {
    match event {
        EventKind::Open => {
            this.bind_mut().set_open();
            emit(this, "opened", &[]);
        }
        EventKind::Text(payload) => {
            if has_connections(this, "text_received") {
                // The library has validated the UTF-8, so this replaces nothing.
                let text = GString::from(&*String::from_utf8_lossy(payload.as_slice()));
                emit(this, "text_received", &[text.to_variant()]);
            } else {
                this.bind_mut().queue_packet(payload.as_slice(), true);
            }
        }
        EventKind::Binary(payload) => {
            if has_connections(this, "binary_received") {
                let data = PackedByteArray::from(payload.as_slice());
                emit(this, "binary_received", &[data.to_variant()]);
            } else {
                this.bind_mut().queue_packet(payload.as_slice(), false);
            }
        }
        EventKind::IncompleteFrame(frame) => {
            let data = PackedByteArray::from(frame.payload.as_slice()).to_variant();
            let is_text = frame.opcode == framewire::MessageType::Text;
            let (first, last) = (frame.is_first.to_variant(), frame.is_final.to_variant());
            emit(this, "fragment_received", &[data, is_text.to_variant(), first, last]);
        }
        EventKind::Pong(payload) => {
            let data = PackedByteArray::from(payload.as_slice());
            emit(this, "pong_received", &[data.to_variant()]);
        }
        EventKind::Reconnecting { error, attempt, delay_ms } => {
            this.bind_mut().set_reconnecting(&error);
            let delay = f64::from(delay_ms) / 1000.0;
            let reason = GString::from(&error.message).to_variant();
            emit(this, "reconnecting", &[i64::from(attempt).to_variant(), delay.to_variant(), reason]);
        }
        EventKind::Closed { code, reason } => {
            this.bind_mut().set_closed(code, &reason);
            emit(this, "closed", &[i64::from(code).to_variant(), GString::from(&*reason).to_variant()]);
        }
        EventKind::Error(error) => {
            this.bind_mut().set_failed(&error);
            let phase = GString::from(error.phase.name()).to_variant();
            let reason = GString::from(&error.message).to_variant();
            let status = i64::from(error.http_status).to_variant();
            emit(this, "failed", &[phase, status, reason, error.retriable.to_variant()]);
        }
        // Events that the binding does not enable.
        _ => {}
    }
}

/// Returns whether `fragment_received` is connected: the library then delivers fragments.
pub fn wants_fragments(socket: Gd<Object>, node: Option<InstanceId>) -> bool {
    emitters(socket, node).any(|emitter| is_connected(&emitter, "fragment_received"))
}

/// Returns the objects that emit the signals: the socket, and its node unless a handler has freed it.
fn emitters(socket: Gd<Object>, node: Option<InstanceId>) -> impl Iterator<Item = Gd<Object>> {
    let node = node.and_then(|id| Gd::<Object>::try_from_instance_id(id).ok());
    [Some(socket), node].into_iter().flatten()
}

fn emitters_of(this: &Gd<FramewireSocket>) -> impl Iterator<Item = Gd<Object>> + use<> {
    let node = this.bind().node;
    emitters(this.clone().upcast(), node)
}

fn emit(this: &Gd<FramewireSocket>, signal: &str, arguments: &[Variant]) {
    for mut emitter in emitters_of(this) {
        // A handler of the socket's signal may have freed the node.
        if emitter.is_instance_valid() {
            emitter.emit_signal(signal, arguments);
        }
    }
}

fn has_connections(this: &Gd<FramewireSocket>, signal: &str) -> bool {
    emitters_of(this).any(|emitter| is_connected(&emitter, signal))
}

fn is_connected(emitter: &Gd<Object>, signal: &str) -> bool {
    !emitter.get_signal_connection_list(signal).is_empty()
}

fn update_fragments_enabled(this: &mut Gd<FramewireSocket>) {
    let enable = has_connections(this, "fragment_received");
    let mut socket = this.bind_mut();
    let connection = &mut socket.connection;
    if enable != connection.fragments_enabled
        && let Some(socket) = &connection.socket
        && socket.enable_event(EventType::IncompleteFrame, enable).is_ok()
    {
        connection.fragments_enabled = enable;
    }
}

impl FramewireSocket {
    /// Returns the deferred terminal event, if the script has stopped reading packets.
    fn begin_poll(&mut self) -> Option<EventKind> {
        let full = self.is_full();
        let connection = &mut self.connection;
        let was_read = connection.packets.take_was_read();
        if full && !was_read && connection.state == OPEN && !connection.warned_of_full_queue {
            connection.warned_of_full_queue = true;
            godot_warn!(
                "FramewireSocket: the queue is full ({} packets): poll() delivers no more messages until get_packet() is called",
                connection.packets.len()
            );
        }
        let being_read = was_read && !connection.packets.is_empty();
        if being_read && connection.state == OPEN { None } else { connection.deferred_end.take() }
    }

    fn is_full(&self) -> bool {
        self.connection.packets.is_full(self.max_queued_packets, self.inbound_buffer_size)
    }

    fn next_event(&mut self) -> Option<EventKind> {
        if self.connection.deferred_end.is_some() || (self.is_full() && self.connection.state != CLOSING) {
            return None;
        }
        let connection = &mut self.connection;
        let event = connection.socket.as_ref()?.next_event().ok()??.kind;
        let is_end =
            matches!(event, EventKind::Closed { .. } | EventKind::Error(_) | EventKind::Reconnecting { .. });
        if is_end && connection.state == OPEN && !connection.packets.is_empty() {
            connection.deferred_end = Some(event);
            return None;
        }
        Some(event)
    }

    /// Queues a packet. Drops it if the queue is full, which happens only after `close()`: a script that
    /// no longer reads must still get the terminal event.
    fn queue_packet(&mut self, bytes: &[u8], is_text: bool) {
        if !self.is_full() {
            self.connection.packets.push(Packet { bytes: PackedByteArray::from(bytes), is_text });
        }
    }

    fn set_open(&mut self) {
        let connection = &mut self.connection;
        // An earlier `close()` takes precedence.
        if connection.state != CLOSING {
            connection.state = OPEN;
        }
        connection.protocol = connection.socket.as_ref().map(|socket| socket.protocol()).unwrap_or_default();
    }

    fn set_reconnecting(&mut self, error: &Error) {
        let connection = &mut self.connection;
        if connection.state != CLOSING {
            connection.state = CONNECTING;
        }
        connection.last_error = errors::describe(error);
    }

    fn set_closed(&mut self, code: u16, reason: &str) {
        let connection = &mut self.connection;
        connection.state = CLOSED;
        // 1006 means no closing handshake, for which `WebSocketPeer` returns -1.
        connection.close_code = if code == 1006 { -1 } else { i64::from(code) };
        connection.close_reason = reason.to_owned();
    }

    fn set_failed(&mut self, error: &Error) {
        let connection = &mut self.connection;
        connection.state = CLOSED;
        connection.close_code = -1;
        connection.close_reason = error.message.clone();
        connection.last_error = errors::describe(error);
    }
}
