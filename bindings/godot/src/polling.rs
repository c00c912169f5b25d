//! Delivers events as signals and packets, on the thread that calls `poll()`.

use std::time::{Duration, Instant};

use framewire::{CallError, EventKind, Outcome, Request};

use crate::errors;
use crate::events::{Begin, Next, Unconnected, Wanted};
use crate::gdextension::{
    Dictionary, GodotError, Name, Reference, Variant, VariantType, emit_by_id, has_connections_by_id, warning,
};
use crate::log_lines;
use crate::members::methods;
use crate::packet_queue::Message;
use crate::signals::{
    BINARY_RECEIVED, CLOSED, FAILED, FRAGMENT_RECEIVED, LOGGED, OPENED, PACKETS_RECEIVED, PONG_RECEIVED,
    RECONNECTING, REQUEST_CREATED, SENT, TEXT_RECEIVED,
};
use crate::socket::FramewireSocket;

methods! {
    METHODS:
    /// Processes the events since the last call: emits signals, queues packets and updates the state. Call
    /// it once per frame.
    method poll() => |socket: &FramewireSocket| poll(socket, 0);

    /// Does the same as `poll()` within a time budget of `budget_usec` microseconds. Remaining events are
    /// processed at the next call. 0 is no limit. A negative budget, such as the rest of a frame that took
    /// too long, processes at most one event.
    method poll_within(budget_usec) => |socket: &FramewireSocket, budget: i64| poll(socket, budget);
}

/// Reading the clock costs about as much as queueing a message.
const MESSAGES_PER_CLOCK: usize = 16;

/// The events and the time that remain for one call.
struct Budget {
    events: usize,
    deadline: Option<Instant>,
    until_clock: usize,
}

impl Budget {
    /// Limits the events to those pending now, so that a fast server cannot keep the call from returning.
    /// With a negative budget one event is processed, so that a slow game still makes progress.
    fn new(budget_usec: i64, pending: usize) -> Self {
        let budget = u64::try_from(budget_usec).ok().filter(|budget| *budget > 0);
        let deadline = budget.and_then(|budget| Instant::now().checked_add(Duration::from_micros(budget)));
        let limit = if budget_usec < 0 { 1 } else { usize::MAX };
        Self { events: pending.min(limit), deadline, until_clock: 0 }
    }

    /// Returns the number of events that may be processed before the next call.
    fn events(&mut self) -> usize {
        if let Some(deadline) = self.deadline
            && self.until_clock == 0
        {
            if Instant::now() >= deadline {
                self.events = 0;
            }
            self.until_clock = MESSAGES_PER_CLOCK;
        }
        self.events
    }

    fn spend(&mut self, events: usize) {
        self.events = self.events.saturating_sub(events);
        self.until_clock = self.until_clock.saturating_sub(events);
    }

    /// A script has run, for any length of time.
    fn check_clock(&mut self) {
        self.until_clock = 0;
    }
}

/// One call of `poll()`. The state is not locked while a signal is emitted.
struct Poll<'a> {
    socket: &'a FramewireSocket,
    /// Keeps the object alive: a handler may drop the last other reference to it.
    object: Reference,
    budget: Budget,
    /// Whether `text_received` and `binary_received` are unconnected, once it is known. Only scripts connect
    /// signals, so it holds until one has run.
    unconnected: Option<Unconnected>,
    /// That of the connection of the last event taken.
    generation: u64,
}

pub fn poll(socket: &FramewireSocket, budget_usec: i64) {
    if !log_lines::is_empty() {
        emit_log_lines(socket);
    }
    let wanted = wanted(socket);
    let (Begin { deferred_end, dropped, warn_of_packets }, pending, generation) = {
        let mut state = socket.state();
        state.enable_events(wanted);
        (state.begin_poll(), state.pending(), state.generation)
    };
    if pending == 0 && deferred_end.is_none() && dropped == 0 && socket.packet_count() == 0 {
        return;
    }
    let Some(object) = socket.base.reference() else { return };
    if let Some(count) = warn_of_packets {
        warning(&format!(
            "FramewireSocket: the queue is full ({count} packets): poll() delivers no more messages until get_packet() is called"
        ));
    }
    let budget = Budget::new(budget_usec, pending);
    let mut poll = Poll { socket, object, budget, unconnected: None, generation };
    poll.deliver_dropped(dropped);
    if let Some(end) = deferred_end {
        poll.deliver(end);
    }
    poll.run();
}

/// Returns which events the library delivers because their signals are connected.
pub fn wanted(socket: &FramewireSocket) -> Wanted {
    Wanted {
        fragments: is_connected(socket, &FRAGMENT_RECEIVED),
        requests: is_connected(socket, &REQUEST_CREATED),
    }
}

fn emit_log_lines(socket: &FramewireSocket) {
    let Some(object) = socket.base.reference() else { return };
    let connected = is_connected(socket, &LOGGED);
    let id = socket.state().connection.socket.as_ref().map(framewire::Socket::id);
    let lines = log_lines::take(id, connected);
    if !connected {
        return;
    }
    for line in lines {
        let level = Variant::new(i64::from(line.level as u32));
        let arguments = [level, Variant::new(&*line.message), Variant::new(&*line.context)];
        object.emit(&LOGGED, &arguments);
        let node = socket.node();
        if node != 0 {
            emit_by_id(node, &LOGGED, &arguments);
        }
    }
}

impl Poll<'_> {
    fn run(&mut self) {
        loop {
            match self.next() {
                Next::Event(event) => self.deliver(event),
                Next::Message(message) => self.deliver_message(message),
                Next::AskForSignals => self.ask_for_signals(),
                Next::Queued(_) => {}
                Next::End(event) => {
                    self.emit_packets();
                    if !self.is_current() {
                        continue;
                    }
                    let now = self.socket.state().defer_end(event);
                    match now {
                        Some(event) => self.deliver(event),
                        None => break,
                    }
                }
                Next::Full if self.emit_packets() => {}
                Next::Full | Next::None => break,
            }
        }
        self.emit_packets();
    }

    /// Returns the next event that needs Godot, and queues the messages before it.
    fn next(&mut self) -> Next {
        let mut state = self.socket.state();
        self.generation = state.generation;
        loop {
            let limit = self.budget.events();
            if limit == 0 {
                return Next::None;
            }
            let next = state.next(self.unconnected, limit);
            match next {
                Next::Queued(count) => {
                    self.budget.spend(count);
                    continue;
                }
                Next::Event(_) | Next::End(_) | Next::Message(_) => self.budget.spend(1),
                Next::AskForSignals | Next::Full | Next::None => {}
            }
            return next;
        }
    }

    fn ask_for_signals(&mut self) {
        self.unconnected = Some(Unconnected {
            text: !is_connected(self.socket, &TEXT_RECEIVED),
            binary: !is_connected(self.socket, &BINARY_RECEIVED),
        });
    }

    /// Returns whether no handler has dropped the connection of the last event, and perhaps connected again, since it
    /// was taken.
    fn is_current(&self) -> bool {
        self.socket.state().generation == self.generation
    }

    /// Delivers the last events of connections that the script has dropped.
    fn deliver_dropped(&mut self, count: usize) {
        for _ in 0..count {
            let next = self.socket.state().dropped.pop_front();
            match next {
                Some(EventKind::Closed { code, reason }) => {
                    // Those that were received before.
                    self.emit_packets();
                    let mut state = self.socket.state();
                    // The script may have connected again.
                    if state.connection.state == FramewireSocket::STATE_CLOSED {
                        state.set_closed(code, &reason);
                    }
                    drop(state);
                    self.emit_closed(code, &reason);
                }
                Some(event) => self.deliver(event),
                None => break,
            }
        }
    }

    fn emit_closed(&mut self, code: u16, reason: &str) {
        self.emit(&CLOSED, &[Variant::new(i64::from(code)), Variant::new(reason)]);
    }

    fn deliver_outcome(&mut self, tag: u64, outcome: Outcome) {
        let outcome = i64::from(outcome as u32);
        self.emit(&SENT, &[Variant::new(tag.cast_signed()), Variant::new(outcome)]);
    }

    /// Emits the signal of a message, or queues it as a packet if nothing is connected.
    fn deliver_message(&mut self, message: Message) {
        let signal = if message.is_text { &TEXT_RECEIVED } else { &BINARY_RECEIVED };
        if self.emit(signal, std::slice::from_ref(&message.value)) {
            return;
        }
        let unconnected = self.unconnected.get_or_insert_default();
        if message.is_text {
            unconnected.text = true;
        } else {
            unconnected.binary = true;
        }
        self.socket.state().queue_packet(message.into_packet());
    }

    fn deliver(&mut self, event: EventKind) {
        match event {
            EventKind::Text(payload) => self.deliver_message(Message::new(payload.as_slice(), true)),
            EventKind::Binary(payload) => self.deliver_message(Message::new(payload.as_slice(), false)),
            // Does not divide the packets of a frame: it has no place among the messages received.
            EventKind::Sent { tag, outcome } => self.deliver_outcome(tag, outcome),
            event => {
                // In the order in which they were received.
                self.emit_packets();
                if self.is_current() {
                    self.deliver_other(event);
                }
            }
        }
    }

    fn deliver_other(&mut self, event: EventKind) {
        match event {
            EventKind::Open => {
                self.socket.state().set_open();
                self.emit(&OPENED, &[]);
            }
            EventKind::IncompleteFrame(frame) => {
                let data = Variant::new(frame.payload.as_slice());
                let is_text = frame.opcode == framewire::MessageType::Text;
                let shape = [is_text, frame.is_first, frame.is_final].map(Variant::new);
                let [is_text, is_first, is_final] = shape;
                self.emit(&FRAGMENT_RECEIVED, &[data, is_text, is_first, is_final]);
            }
            EventKind::Request(request) => self.deliver_request(&request),
            EventKind::Pong(payload) => {
                self.emit(&PONG_RECEIVED, &[Variant::new(payload.as_slice())]);
            }
            EventKind::Reconnecting { mut error, attempt, delay_ms } => {
                errors::name_properties(&mut error.message);
                self.socket.state().set_reconnecting(&error);
                let delay = f64::from(delay_ms) / 1000.0;
                let reason = Variant::new(error.message.as_str());
                let arguments = [Variant::new(i64::from(attempt)), Variant::new(delay), reason];
                self.emit(&RECONNECTING, &arguments);
            }
            EventKind::Closed { code, reason } => {
                self.socket.state().set_closed(code, &reason);
                self.emit_closed(code, &reason);
            }
            EventKind::Error(mut error) => {
                errors::name_properties(&mut error.message);
                self.socket.state().set_failed(&error);
                let phase = Variant::new(error.phase.name());
                let status = Variant::new(i64::from(error.http_status));
                let reason = Variant::new(error.message.as_str());
                self.emit(&FAILED, &[phase, status, reason, Variant::new(error.retriable)]);
            }
            // Messages, and events that the binding does not enable.
            _ => {}
        }
    }

    /// Emits an upgrade request, and applies the header fields that handlers have added. The connection continues when
    /// the event is dropped.
    fn deliver_request(&mut self, request: &Request) {
        let mut description = Dictionary::default();
        description.set("url", request.url().as_str());
        description.set("http_version", i64::from(request.http_version()));
        description.set("attempt", i64::from(request.attempt()));
        description.set("headers", Dictionary::default());
        // A copy is a reference to the same dictionary.
        self.emit(&REQUEST_CREATED, &[Variant::new(description.clone())]);
        let headers = description.to_vec().into_iter().find_map(|(name, value)| {
            (name.get::<String>().is_ok_and(|name| name == "headers")).then_some(value)
        });
        let headers = match headers {
            Some(headers) if headers.is(VariantType::Dictionary) => {
                headers.get::<Dictionary>().unwrap_or_default()
            }
            _ => {
                let error =
                    CallError::argument("headers is not a Dictionary any more; add to the one that is there");
                self.socket.report("request_created", Err(error));
                return;
            }
        };
        for (name, value) in headers.to_vec() {
            let applied = match (name.get::<String>(), value.get::<String>()) {
                (Ok(name), _) if value.is(VariantType::Nil) => request.remove_header(&name),
                (Ok(name), Ok(value)) => request.set_header(&name, &value),
                _ => Err(CallError::argument("names and values of header fields must be Strings")),
            };
            self.socket.report("request_created", applied);
        }
    }

    /// Emits all queued packets as one signal, if it is connected. Returns whether it was emitted.
    fn emit_packets(&mut self) -> bool {
        if self.socket.packet_count() == 0 || !is_connected(self.socket, &PACKETS_RECEIVED) {
            return false;
        }
        let packets = self.socket.state().connection.packets.take_all();
        self.emit(&PACKETS_RECEIVED, &[Variant::new(packets.into_array().0)])
    }

    /// Emits a signal of the socket and of its node, unless a handler has freed the node. Returns whether
    /// something is connected to it.
    fn emit(&mut self, signal: &'static Name, arguments: &[Variant]) -> bool {
        let of_socket = self.object.emit(signal, arguments);
        let node = self.socket.node();
        let of_node =
            if node == 0 { GodotError::ERR_UNAVAILABLE } else { emit_by_id(node, signal, arguments) };
        let connected = match (of_socket, of_node) {
            (GodotError::ERR_UNAVAILABLE, GodotError::ERR_UNAVAILABLE) => return false,
            (GodotError::OK, _) | (_, GodotError::OK) => true,
            // The object blocks its signals, or a handler could not be called.
            _ => is_connected(self.socket, signal),
        };
        self.unconnected = Some(Unconnected::default());
        self.budget.check_clock();
        connected
    }
}

/// Returns whether something is connected to a signal of the socket or of its node.
fn is_connected(socket: &FramewireSocket, signal: &'static Name) -> bool {
    let node = socket.node();
    socket.base.has_connections(signal) || node != 0 && has_connections_by_id(node, signal)
}
