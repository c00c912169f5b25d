//! Sending messages, and reading packets.

use framewire::{CallError, Code, Socket};
use godot::global::{
    Error as GodotError, bytes_to_var, bytes_to_var_with_objects, var_to_bytes, var_to_bytes_with_objects,
};
use godot::prelude::*;

use crate::packet_queue::Packet;
use crate::socket::FramewireSocket;

#[godot_api(secondary)]
impl FramewireSocket {
    /// Queues a copy of a message for sending, by default as binary. Returns `FAILED` if the socket is not
    /// open, `ERR_OUT_OF_MEMORY` if `outbound_buffer_size` is reached, or `ERR_INVALID_PARAMETER` if a text
    /// is not valid UTF-8. If this does not return `OK`, nothing was queued.
    #[func]
    pub fn send(&mut self, message: PackedByteArray, #[opt(default = 1)] write_mode: i64) -> GodotError {
        let sent = match write_mode {
            Self::WRITE_MODE_BINARY => self.with_socket(|socket| socket.send_binary(message.as_slice())),
            Self::WRITE_MODE_TEXT => match std::str::from_utf8(message.as_slice()) {
                Ok(text) => self.with_socket(|socket| socket.send_text(text)),
                Err(_) => Err(CallError::new(Code::InvalidUtf8, "the text is not UTF-8; nothing was sent")),
            },
            _ => Err(CallError::argument("write_mode must be WRITE_MODE_TEXT or WRITE_MODE_BINARY")),
        };
        self.report("send", sent)
    }

    /// Sends a text message. Returns the same values as `send()`.
    #[func]
    pub fn send_text(&mut self, message: GString) -> GodotError {
        let sent = self.with_socket(|socket| socket.send_text(&message.to_string()));
        self.report("send_text", sent)
    }

    /// Sends a ping with a payload of at most 125 bytes. The pong is emitted as `pong_received`.
    #[func]
    pub fn ping(&mut self, #[opt(default = &PackedByteArray::new())] data: PackedByteArray) -> GodotError {
        let sent = self.with_socket(|socket| socket.ping(data.as_slice()));
        self.report("ping", sent)
    }

    /// Sends a binary message. Returns the same values as `send()`.
    #[func]
    pub fn put_packet(&mut self, buffer: PackedByteArray) -> GodotError {
        self.send(buffer, Self::WRITE_MODE_BINARY)
    }

    /// Sends a value as a binary message, in Godot's binary serialization format.
    #[func]
    pub fn put_var(&mut self, var: Variant, #[opt(default = false)] full_objects: bool) -> GodotError {
        let bytes = if full_objects { var_to_bytes_with_objects(&var) } else { var_to_bytes(&var) };
        if i64::try_from(bytes.len()).is_ok_and(|length| length > self.encode_buffer_max_size) {
            let message =
                format!("the encoded value of {} bytes exceeds encode_buffer_max_size", bytes.len());
            return self.report("put_var", Err(CallError::new(Code::TooLarge, message)));
        }
        self.put_packet(bytes)
    }

    /// Returns the number of queued packets. Messages whose signal is connected are not queued.
    #[func]
    pub fn get_available_packet_count(&self) -> i64 {
        i64::try_from(self.connection.packets.len()).unwrap_or(i64::MAX)
    }

    /// Dequeues the oldest packet. If there is none, returns an empty array, and `get_packet_error()`
    /// returns `ERR_UNAVAILABLE`.
    #[func]
    pub fn get_packet(&mut self) -> PackedByteArray {
        let Some(Packet { bytes, is_text }) = self.connection.packets.pop() else {
            self.connection.packet_error = GodotError::ERR_UNAVAILABLE;
            return PackedByteArray::new();
        };
        self.connection.packet_error = GodotError::OK;
        self.connection.was_text = is_text;
        bytes
    }

    /// Returns the result of the last `get_packet()` or `get_var()`.
    #[func]
    pub fn get_packet_error(&self) -> GodotError {
        self.connection.packet_error
    }

    /// Returns whether the last packet dequeued was text.
    #[func]
    pub fn was_string_packet(&self) -> bool {
        self.connection.was_text
    }

    /// Dequeues the oldest packet and decodes it from Godot's binary serialization format. Allow objects
    /// only from servers you trust: they can contain code.
    #[func]
    pub fn get_var(&mut self, #[opt(default = false)] allow_objects: bool) -> Variant {
        let bytes = self.get_packet();
        if self.connection.packet_error != GodotError::OK {
            return Variant::nil();
        }
        if allow_objects { bytes_to_var_with_objects(&bytes) } else { bytes_to_var(&bytes) }
    }

    /// Returns the number of payload bytes queued for sending.
    #[func]
    pub fn get_current_outbound_buffered_amount(&self) -> i64 {
        let queued = self.connection.socket.as_ref().map_or(0, Socket::buffered_amount);
        i64::try_from(queued).unwrap_or(i64::MAX)
    }

    fn with_socket(&self, call: impl FnOnce(&Socket) -> Result<(), CallError>) -> Result<(), CallError> {
        match &self.connection.socket {
            Some(socket) => call(socket),
            None => Err(CallError::state("the socket is not open")),
        }
    }
}
