//! From the library's queue to signals and packets, on the thread that polls.

use std::time::{Duration, Instant};

use framewire::{Error, EventKind, EventType};
use godot::classes::Object;
use godot::prelude::*;

use crate::answers;
use crate::inbox::Packet;
use crate::socket::{CLOSED, CLOSING, CONNECTING, FramewireSocket, OPEN};

/// What one call of `poll` may still do.
struct Turn {
    events: usize,
    ends: Option<Instant>,
}

impl Turn {
    /// What arrives during the call does not keep it for ever. 0 is no limit; a budget that is
    /// overdrawn takes one event, so that a slow game still moves on.
    fn new(budget_usec: i64) -> Self {
        let budget = u64::try_from(budget_usec).ok().filter(|budget| *budget > 0);
        let ends = budget.and_then(|budget| Instant::now().checked_add(Duration::from_micros(budget)));
        let most = if budget_usec < 0 { 1 } else { usize::MAX };
        Self { events: framewire::pending().min(most), ends }
    }

    fn spend(&mut self) -> bool {
        if self.events == 0 || self.ends.is_some_and(|ends| Instant::now() >= ends) {
            return false;
        }
        self.events -= 1;
        true
    }
}

pub fn poll(this: &Gd<FramewireSocket>, budget_usec: i64) {
    let mut this = this.clone();
    follow_fragment_listeners(&mut this);
    let mut turn = Turn::new(budget_usec);
    let held = this.bind_mut().begin_poll();
    if let Some(end) = held {
        deliver(&mut this, end);
    }
    while turn.spend() {
        let Some(event) = this.bind_mut().next_event() else { break };
        deliver(&mut this, event);
    }
}

fn deliver(this: &mut Gd<FramewireSocket>, event: EventKind) {
    match event {
        EventKind::Open => {
            this.bind_mut().has_opened();
            emit(this, "opened", &[]);
        }
        EventKind::Text(payload) => {
            if has_listener(this, "text_received") {
                // The library has checked it; were it not so, the marks for bad bytes would show it.
                let text = GString::from(&*String::from_utf8_lossy(payload.as_slice()));
                emit(this, "text_received", &[text.to_variant()]);
            } else {
                this.bind_mut().keep(payload.as_slice(), true);
            }
        }
        EventKind::Binary(payload) => {
            if has_listener(this, "binary_received") {
                let data = PackedByteArray::from(payload.as_slice());
                emit(this, "binary_received", &[data.to_variant()]);
            } else {
                this.bind_mut().keep(payload.as_slice(), false);
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
            this.bind_mut().is_reconnecting(&error);
            let delay = f64::from(delay_ms) / 1000.0;
            let reason = GString::from(&error.message).to_variant();
            emit(this, "reconnecting", &[i64::from(attempt).to_variant(), delay.to_variant(), reason]);
        }
        EventKind::Closed { code, reason } => {
            this.bind_mut().has_closed(code, &reason);
            emit(this, "closed", &[i64::from(code).to_variant(), GString::from(&*reason).to_variant()]);
        }
        EventKind::Error(error) => {
            this.bind_mut().has_failed(&error);
            let phase = GString::from(error.phase.name()).to_variant();
            let reason = GString::from(&error.message).to_variant();
            let status = i64::from(error.http_status).to_variant();
            emit(this, "failed", &[phase, status, reason, error.retriable.to_variant()]);
        }
        // Not asked for.
        _ => {}
    }
}

/// Whether somebody wants messages in pieces: then the library does not assemble them.
pub fn wants_fragments(socket: Gd<Object>, node: Option<InstanceId>) -> bool {
    emitters(socket, node).any(|emitter| is_listened_to(&emitter, "fragment_received"))
}

/// Who emits: the socket, and the node that polls it unless a handler has freed it.
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
        // A handler of the socket may have freed the node.
        if emitter.is_instance_valid() {
            emitter.emit_signal(signal, arguments);
        }
    }
}

fn has_listener(this: &Gd<FramewireSocket>, signal: &str) -> bool {
    emitters_of(this).any(|emitter| is_listened_to(&emitter, signal))
}

fn is_listened_to(emitter: &Gd<Object>, signal: &str) -> bool {
    !emitter.get_signal_connection_list(signal).is_empty()
}

fn follow_fragment_listeners(this: &mut Gd<FramewireSocket>) {
    let wanted = has_listener(this, "fragment_received");
    let mut socket = this.bind_mut();
    let link = &mut socket.link;
    if wanted != link.fragments
        && let Some(socket) = &link.socket
        && socket.enable_event(EventType::IncompleteFrame, wanted).is_ok()
    {
        link.fragments = wanted;
    }
}

impl FramewireSocket {
    /// Looks at what the script did since the last call. Returns the end of the connection, if it
    /// was held back and now is to be told.
    fn begin_poll(&mut self) -> Option<EventKind> {
        let full = self.is_full();
        let link = &mut self.link;
        let was_read = link.inbox.take_was_read();
        if full && !was_read && link.state == OPEN && !link.warned_of_full_inbox {
            link.warned_of_full_inbox = true;
            godot_warn!(
                "FramewireSocket: {} packets wait, and poll() takes no more until get_packet() is called",
                link.inbox.len()
            );
        }
        let being_read = was_read && !link.inbox.is_empty();
        if being_read && link.state == OPEN { None } else { link.held_end.take() }
    }

    fn is_full(&self) -> bool {
        self.link.inbox.is_full(self.max_queued_packets, self.inbound_buffer_size)
    }

    fn next_event(&mut self) -> Option<EventKind> {
        if self.link.held_end.is_some() || (self.is_full() && self.link.state != CLOSING) {
            return None;
        }
        let link = &mut self.link;
        let event = link.socket.as_ref()?.next_event().ok()??.kind;
        let is_end =
            matches!(event, EventKind::Closed { .. } | EventKind::Error(_) | EventKind::Reconnecting { .. });
        if is_end && link.state == OPEN && !link.inbox.is_empty() {
            link.held_end = Some(event);
            return None;
        }
        Some(event)
    }

    /// For `get_packet`. After `close()` nobody needs to read on, and a full queue must not keep
    /// the end away.
    fn keep(&mut self, bytes: &[u8], is_text: bool) {
        if !self.is_full() {
            self.link.inbox.push(Packet { bytes: PackedByteArray::from(bytes), is_text });
        }
    }

    fn has_opened(&mut self) {
        let link = &mut self.link;
        // A `close()` that came before stands.
        if link.state != CLOSING {
            link.state = OPEN;
        }
        link.protocol = link.socket.as_ref().map(|socket| socket.protocol()).unwrap_or_default();
    }

    fn is_reconnecting(&mut self, error: &Error) {
        let link = &mut self.link;
        if link.state != CLOSING {
            link.state = CONNECTING;
        }
        link.last_error = answers::describe(error);
    }

    fn has_closed(&mut self, code: u16, reason: &str) {
        let link = &mut self.link;
        link.state = CLOSED;
        // 1006 stands for no closing handshake, which `WebSocketPeer` calls -1.
        link.close_code = if code == 1006 { -1 } else { i64::from(code) };
        link.close_reason = reason.to_owned();
    }

    fn has_failed(&mut self, error: &Error) {
        let link = &mut self.link;
        link.state = CLOSED;
        link.close_code = -1;
        link.close_reason = error.message.clone();
        link.last_error = answers::describe(error);
    }
}
