//! Takes events from the library, and applies them to the state of the socket. Runs no code of scripts.

use framewire::{Error, EventBatch, EventKind, EventType, MessageType};

use crate::errors::LastError;
use crate::packet_queue::{Message, Queued};
use crate::socket::{CLOSED, CLOSING, CONNECTING, Connection, OPEN, State};

/// The most events other than small messages that are taken from the library at once, and the payload after which
/// no more are taken.
const MOST_EVENTS: usize = 256;
const ENOUGH_BYTES: usize = 256 * 1024;

/// What a poll starts with.
pub struct Begin {
    /// The deferred terminal event, if the script has stopped reading packets.
    pub deferred_end: Option<EventKind>,
    /// The number of events of dropped connections to deliver first.
    pub dropped: usize,
    /// The number of packets in a full queue of which the script has not been warned.
    pub warn_of_packets: Option<usize>,
}

/// Events that are enabled while something is connected to their signals.
#[derive(Clone, Copy)]
pub struct Wanted {
    pub fragments: bool,
    pub requests: bool,
}

/// Whether nothing is connected to the signals of messages.
#[derive(Clone, Copy, Default)]
pub struct Unconnected {
    pub text: bool,
    pub binary: bool,
}

pub enum Next {
    Event(EventKind),
    /// The terminal event, which is deferred if packets remain.
    End(EventKind),
    /// A message whose signal may be connected.
    Message(Message),
    /// Messages were queued as packets, or dropped: how many.
    Queued(usize),
    /// Messages follow, and it is not known whether their signals are connected.
    AskForSignals,
    /// The queue of packets is full.
    Full,
    None,
}

impl State {
    pub fn begin_poll(&mut self) -> Begin {
        let full = self.room().is_full();
        let connection = &mut self.connection;
        let was_read = connection.packets.take_was_read();
        connection.packets.copy_unread();
        let warns = full && !was_read && connection.state == OPEN && !connection.warned_of_full_queue;
        connection.warned_of_full_queue |= warns;
        let being_read = was_read && !connection.packets.is_empty() && connection.state == OPEN;
        Begin {
            deferred_end: if being_read { None } else { connection.deferred_end.take() },
            dropped: self.dropped.len(),
            warn_of_packets: warns.then(|| self.connection.packets.len()),
        }
    }

    /// Delivers fragments as events of their own, or assembles them, and upgrade requests before they are sent.
    pub fn enable_events(&mut self, wanted: Wanted) {
        let connection = &mut self.connection;
        let Some(socket) = &connection.socket else { return };
        for (enabled, enable, event) in [
            (&mut connection.fragments_enabled, wanted.fragments, EventType::IncompleteFrame),
            (&mut connection.requests_enabled, wanted.requests, EventType::Request),
        ] {
            if *enabled != enable && socket.enable_event(event, enable).is_ok() {
                *enabled = enable;
            }
        }
    }

    /// Returns the number of events that can be processed, possibly of other sockets.
    pub fn pending(&self) -> usize {
        let count = |event: &EventBatch| match event {
            EventBatch::Messages(messages) => messages.count(),
            _ => 1,
        };
        framewire::pending() + self.connection.events.iter().map(count).sum::<usize>()
    }

    /// Returns what comes next, of which at most `limit` events are processed now. Messages without a connected
    /// signal are queued as packets.
    pub fn next(&mut self, unconnected: Option<Unconnected>, limit: usize) -> Next {
        // Nothing follows before they are delivered.
        if self.connection.deferred_end.is_some() || !self.dropped.is_empty() {
            return Next::None;
        }
        let room = self.room();
        if room.is_full() && self.connection.state != CLOSING {
            return Next::Full;
        }
        if self.connection.events.is_empty() {
            self.take_events(limit);
        }
        let connection = &mut self.connection;
        let Some(EventBatch::Messages(messages)) = connection.events.front_mut() else {
            return self.next_event(unconnected);
        };
        let Some(unconnected) = unconnected else { return Next::AskForSignals };
        let next = if unconnected.text && unconnected.binary {
            let (packets, bytes) =
                if room.is_full() { (limit, usize::MAX) } else { (limit.min(room.packets), room.bytes) };
            let queued = messages.split_to(packets, bytes);
            let count = queued.count();
            // A full queue drops messages, as in `queue_packet`.
            if !room.is_full() {
                connection.packets.push(Queued::Messages(queued));
            }
            Next::Queued(count)
        } else if let Some((message_type, payload)) = messages.next() {
            let is_text = message_type == MessageType::Text;
            let is_unconnected = if is_text { unconnected.text } else { unconnected.binary };
            if !is_unconnected {
                Next::Message(Message::new(payload, is_text))
            } else {
                if !room.is_full() {
                    connection.packets.push(Queued::copy_of(payload, is_text));
                }
                Next::Queued(1)
            }
        } else {
            Next::Queued(0)
        };
        if messages.count() == 0 {
            connection.events.pop_front();
        }
        next
    }

    fn next_event(&mut self, unconnected: Option<Unconnected>) -> Next {
        let Some(EventBatch::Event(event)) = self.connection.events.pop_front() else { return Next::None };
        match event {
            EventKind::Closed { .. } | EventKind::Error(_) | EventKind::Reconnecting { .. } => {
                Next::End(event)
            }
            EventKind::Text(payload) if unconnected.is_some_and(|unconnected| unconnected.text) => {
                self.queue_packet(Queued::Message { payload, is_text: true });
                Next::Queued(1)
            }
            EventKind::Binary(payload) if unconnected.is_some_and(|unconnected| unconnected.binary) => {
                self.queue_packet(Queued::Message { payload, is_text: false });
                Next::Queued(1)
            }
            EventKind::Sent { tag, .. } => {
                self.connection.settle(tag);
                Next::Event(event)
            }
            event => Next::Event(event),
        }
    }

    /// Takes several events for one round of locks in the library.
    fn take_events(&mut self, limit: usize) {
        let Connection { socket: Some(socket), events, .. } = &mut self.connection else { return };
        let mut bytes = 0;
        // Fails for a destroyed socket, which has no events.
        let _ = socket.next_event_batches(limit, |event| {
            bytes += match &event {
                EventBatch::Messages(messages) => messages.payload_len(),
                EventBatch::Event(EventKind::Text(payload) | EventKind::Binary(payload)) => payload.len(),
                _ => 0,
            };
            events.push_back(event);
            bytes < ENOUGH_BYTES && events.len() < MOST_EVENTS
        });
    }

    /// Defers the terminal event while packets can be read that came before it. Returns it otherwise.
    pub fn defer_end(&mut self, event: EventKind) -> Option<EventKind> {
        let connection = &mut self.connection;
        if connection.state == OPEN && !connection.packets.is_empty() {
            connection.deferred_end = Some(event);
            return None;
        }
        Some(event)
    }

    pub fn set_open(&mut self) {
        let connection = &mut self.connection;
        // An earlier `close()` takes precedence.
        if connection.state != CLOSING {
            connection.state = OPEN;
        }
        connection.protocol = connection.socket.as_ref().map(|socket| socket.protocol()).unwrap_or_default();
    }

    pub fn set_reconnecting(&mut self, error: &Error) {
        let connection = &mut self.connection;
        if connection.state != CLOSING {
            connection.state = CONNECTING;
        }
        connection.last_error = LastError::Connection(Box::new(error.clone()));
    }

    pub fn set_closed(&mut self, code: u16, reason: &str) {
        let connection = &mut self.connection;
        connection.state = CLOSED;
        // 1006 means no closing handshake, for which `WebSocketPeer` returns -1.
        connection.close_code = if code == 1006 { -1 } else { i64::from(code) };
        connection.close_reason = reason.to_owned();
    }

    pub fn set_failed(&mut self, error: &Error) {
        let connection = &mut self.connection;
        connection.state = CLOSED;
        connection.close_code = -1;
        connection.close_reason = error.message.clone();
        connection.last_error = LastError::Connection(Box::new(error.clone()));
    }
}
