//! Takes events from the library, and applies them to the state of the socket. Does not call Godot.

use framewire::{Error, EventKind};

use crate::errors::LastError;
use crate::packet_queue::Packet;
use crate::socket::{CLOSED, CLOSING, CONNECTING, Connection, OPEN, State};

/// The most events taken from the library at once, and the payload after which no more are taken.
const MOST_EVENTS: usize = 256;
const ENOUGH_BYTES: usize = 256 * 1024;

/// What a poll starts with.
pub struct Begin {
    /// The deferred terminal event, if the script has stopped reading packets.
    pub deferred_end: Option<EventKind>,
    /// The number of packets in a full queue of which the script has not been warned.
    pub warn_of_packets: Option<usize>,
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
    /// The queue of packets is full.
    Full,
    None,
}

impl State {
    pub fn begin_poll(&mut self) -> Begin {
        let full = self.is_full();
        let connection = &mut self.connection;
        let was_read = connection.packets.take_was_read();
        connection.packets.copy_unread();
        let warns = full && !was_read && connection.state == OPEN && !connection.warned_of_full_queue;
        connection.warned_of_full_queue |= warns;
        let being_read = was_read && !connection.packets.is_empty() && connection.state == OPEN;
        Begin {
            deferred_end: if being_read { None } else { connection.deferred_end.take() },
            warn_of_packets: warns.then(|| connection.packets.len()),
        }
    }

    /// Returns the number of events that can be processed, possibly of other sockets.
    pub fn pending(&self) -> usize {
        framewire::pending() + self.connection.events.len()
    }

    /// Returns the next event, of which at most `limit` are processed now.
    pub fn next_event(&mut self, limit: usize) -> Next {
        if self.connection.deferred_end.is_some() {
            return Next::None;
        }
        if self.is_full() && self.connection.state != CLOSING {
            return Next::Full;
        }
        if self.connection.events.is_empty() {
            self.take_events(Unconnected::default(), limit);
        }
        let connection = &mut self.connection;
        let Some(event) = connection.events.pop_front() else { return Next::None };
        let is_end =
            matches!(event, EventKind::Closed { .. } | EventKind::Error(_) | EventKind::Reconnecting { .. });
        if is_end { Next::End(event) } else { Next::Event(event) }
    }

    /// Queues the next messages that need no signal, at most `limit`. Returns how many.
    pub fn queue_messages(&mut self, unconnected: Unconnected, limit: usize) -> usize {
        let waits = self.connection.deferred_end.is_some() || !self.connection.events.is_empty();
        if waits || self.is_full() { 0 } else { self.take_events(unconnected, limit) }
    }

    /// Takes several events for one round of locks in the library. Messages that need no signal are queued as
    /// packets while there is room. Returns how many were queued.
    fn take_events(&mut self, unconnected: Unconnected, limit: usize) -> usize {
        let (max_packets, max_bytes) = (self.settings.max_queued_packets, self.settings.inbound_buffer_size);
        let Connection { socket: Some(socket), events, packets, .. } = &mut self.connection else { return 0 };
        let (mut bytes, mut queued) = (0, 0);
        // Fails for a destroyed socket, which has no events.
        let _ = socket.next_event_kinds(limit.min(MOST_EVENTS), |event| {
            let direct = events.is_empty() && !packets.is_full(max_packets, max_bytes);
            match event {
                EventKind::Text(payload) if direct && unconnected.text => {
                    bytes += payload.len();
                    packets.push(Packet::new(payload, true));
                    queued += 1;
                }
                EventKind::Binary(payload) if direct && unconnected.binary => {
                    bytes += payload.len();
                    packets.push(Packet::new(payload, false));
                    queued += 1;
                }
                event => {
                    if let EventKind::Text(payload) | EventKind::Binary(payload) = &event {
                        bytes += payload.len();
                    }
                    events.push_back(event);
                }
            }
            bytes < ENOUGH_BYTES
        });
        queued
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
