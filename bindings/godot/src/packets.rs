//! Sending messages, and reading packets.

use framewire::{CallError, Code, Socket};

use crate::gdextension::utility::{bytes_to_var, var_to_bytes};
use crate::gdextension::{Array, GodotError, PackedByteArray, Preset, Variant};
use crate::members::methods;
use crate::socket::FramewireSocket;

methods! {
    METHODS:
    /// Queues a copy of a message for sending, by default as binary. Returns `FAILED` if the socket is not
    /// open, `ERR_OUT_OF_MEMORY` if `outbound_buffer_size` is reached, or `ERR_INVALID_PARAMETER` if a text
    /// is not valid UTF-8. If this does not return `OK`, nothing was queued.
    method send(message, write_mode = Preset::Int(1)) => FramewireSocket::send;

    /// Sends a text message. Returns the same values as `send()`.
    method send_text(message) => FramewireSocket::send_text;

    /// Sends a ping with a payload of at most 125 bytes. The pong is emitted as `pong_received`.
    method ping(data = Preset::EmptyBytes) => FramewireSocket::ping;

    /// Sends a binary message. Returns the same values as `send()`.
    method put_packet(buffer) => FramewireSocket::put_packet;

    /// Sends a value as a binary message, in Godot's binary serialization format. Returns `ERR_INVALID_PARAMETER` if it
    /// cannot be encoded, `ERR_OUT_OF_MEMORY` above `encode_buffer_max_size`, and otherwise the same values as `send()`.
    method put_var(var, full_objects = Preset::Bool(false)) => FramewireSocket::put_var;

    /// Returns the number of queued packets. Messages whose signal is connected are not queued.
    reader get_available_packet_count() => FramewireSocket::get_available_packet_count;

    /// Dequeues the oldest packet. If there is none, returns an empty array, and `get_packet_error()`
    /// returns `ERR_UNAVAILABLE`.
    method get_packet() => FramewireSocket::get_packet;

    /// Dequeues all packets, oldest first: a `PackedByteArray` for each binary message and a `String` for
    /// each text message. A `String` ends before the first U+0000 of the text, and does not contain a byte order
    /// mark at its start; `get_packet()` returns all bytes.
    method get_packets() => FramewireSocket::get_packets;

    /// Returns the result of the last `get_packet()`, `get_packets()` or `get_var()`.
    reader get_packet_error() => FramewireSocket::get_packet_error;

    /// Returns whether the last packet dequeued was text.
    reader was_string_packet() => FramewireSocket::was_string_packet;

    /// Dequeues the oldest packet and decodes it from Godot's binary serialization format. Allow objects
    /// only from servers you trust: they can contain code.
    method get_var(allow_objects = Preset::Bool(false)) => FramewireSocket::get_var;

    /// Returns the number of payload bytes queued for sending.
    query get_current_outbound_buffered_amount() => FramewireSocket::get_current_outbound_buffered_amount;
}

impl FramewireSocket {
    pub fn send(&self, message: PackedByteArray, write_mode: i64) -> GodotError {
        let bytes = message.as_slice();
        let sent = match write_mode {
            Self::WRITE_MODE_BINARY => self.state().with_socket(|socket| socket.send_binary(bytes)),
            Self::WRITE_MODE_TEXT => match std::str::from_utf8(bytes) {
                Ok(text) => self.state().with_socket(|socket| socket.send_text(text)),
                Err(_) => Err(CallError::new(Code::InvalidUtf8, "the text is not UTF-8; nothing was sent")),
            },
            _ => Err(CallError::argument("write_mode must be WRITE_MODE_TEXT or WRITE_MODE_BINARY")),
        };
        self.report("send", sent)
    }

    pub fn send_text(&self, message: String) -> GodotError {
        let sent = self.state().with_socket(|socket| socket.send_text(&message));
        self.report("send_text", sent)
    }

    fn ping(&self, data: PackedByteArray) -> GodotError {
        let sent = self.state().with_socket(|socket| socket.ping(data.as_slice()));
        self.report("ping", sent)
    }

    fn put_packet(&self, buffer: PackedByteArray) -> GodotError {
        self.send(buffer, Self::WRITE_MODE_BINARY)
    }

    fn put_var(&self, var: Variant, full_objects: bool) -> GodotError {
        let bytes = var_to_bytes(&var, full_objects);
        // Godot prints why.
        if bytes.as_slice().is_empty() {
            return self.report(
                "put_var",
                Err(CallError::argument("the value cannot be encoded; nothing was sent")),
            );
        }
        let limit = self.state().settings.encode_buffer_max_size;
        if i64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            let message =
                format!("the encoded value of {} bytes exceeds encode_buffer_max_size", bytes.len());
            return self.report("put_var", Err(CallError::new(Code::TooLarge, message)));
        }
        self.put_packet(bytes)
    }

    fn get_available_packet_count(&self) -> i64 {
        i64::try_from(self.packet_count()).unwrap_or(i64::MAX)
    }

    fn get_packet(&self) -> PackedByteArray {
        self.next_packet().unwrap_or_default()
    }

    fn next_packet(&self) -> Option<PackedByteArray> {
        let mut state = self.state();
        let connection = &mut state.connection;
        let packet = connection.packets.pop();
        connection.packet_error = if packet.is_some() { GodotError::OK } else { GodotError::ERR_UNAVAILABLE };
        packet
    }

    fn get_packets(&self) -> Array {
        let packets = self.state().connection.packets.read_all();
        let is_empty = packets.is_empty();
        let (array, was_text) = packets.into_array();
        let mut state = self.state();
        let connection = &mut state.connection;
        if is_empty {
            connection.packet_error = GodotError::ERR_UNAVAILABLE;
        } else {
            connection.packet_error = GodotError::OK;
            connection.packets.was_text = was_text;
        }
        array
    }

    fn get_packet_error(&self) -> GodotError {
        self.state().connection.packet_error
    }

    fn was_string_packet(&self) -> bool {
        self.state().connection.packets.was_text
    }

    fn get_var(&self, allow_objects: bool) -> Variant {
        match self.next_packet() {
            Some(packet) => bytes_to_var(&packet, allow_objects),
            None => Variant::nil(),
        }
    }

    fn get_current_outbound_buffered_amount(&self) -> i64 {
        let queued = self.state().query(Socket::buffered_amount).unwrap_or(0);
        i64::try_from(queued).unwrap_or(i64::MAX)
    }
}
