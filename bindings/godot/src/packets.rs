//! Sending, and the packets of `get_packet`.

use framewire::{CallError, Code, Socket};
use godot::global::{
    Error as GodotError, bytes_to_var, bytes_to_var_with_objects, var_to_bytes, var_to_bytes_with_objects,
};
use godot::prelude::*;

use crate::inbox::Packet;
use crate::socket::FramewireSocket;

#[godot_api(secondary)]
impl FramewireSocket {
    /// Sends a message, by default as binary. It is copied; the call never waits. Returns
    /// `FAILED` if the socket is not open, `ERR_OUT_OF_MEMORY` if `outbound_buffer_size` is used
    /// up, `ERR_INVALID_PARAMETER` if the text is not UTF-8: then nothing was queued.
    #[func]
    pub fn send(&mut self, message: PackedByteArray, #[opt(default = 1)] write_mode: i64) -> GodotError {
        let sent = match write_mode {
            Self::WRITE_MODE_BINARY => self.with_socket(|socket| socket.send_binary(message.as_slice())),
            Self::WRITE_MODE_TEXT => match std::str::from_utf8(message.as_slice()) {
                Ok(text) => self.with_socket(|socket| socket.send_text(text)),
                Err(_) => Err(CallError::new(Code::InvalidUtf8, "the text is not UTF-8; nothing was sent")),
            },
            _ => Err(CallError::argument("write_mode is WRITE_MODE_TEXT or WRITE_MODE_BINARY")),
        };
        self.answer("send", sent)
    }

    /// Sends a text message. Returns as `send()`.
    #[func]
    pub fn send_text(&mut self, message: GString) -> GodotError {
        let sent = self.with_socket(|socket| socket.send_text(&message.to_string()));
        self.answer("send_text", sent)
    }

    /// Sends a ping of your own, with at most 125 bytes; the answer comes as `pong_received`.
    #[func]
    pub fn ping(&mut self, #[opt(default = &PackedByteArray::new())] data: PackedByteArray) -> GodotError {
        let sent = self.with_socket(|socket| socket.ping(data.as_slice()));
        self.answer("ping", sent)
    }

    /// Sends a binary message. Returns as `send()`.
    #[func]
    pub fn put_packet(&mut self, buffer: PackedByteArray) -> GodotError {
        self.send(buffer, Self::WRITE_MODE_BINARY)
    }

    /// Sends a value as a binary message in Godot's own encoding.
    #[func]
    pub fn put_var(&mut self, var: Variant, #[opt(default = false)] full_objects: bool) -> GodotError {
        let bytes = if full_objects { var_to_bytes_with_objects(&var) } else { var_to_bytes(&var) };
        if i64::try_from(bytes.len()).is_ok_and(|length| length > self.encode_buffer_max_size) {
            let message =
                format!("the value takes {} bytes, encode_buffer_max_size allows fewer", bytes.len());
            return self.answer("put_var", Err(CallError::new(Code::TooLarge, message)));
        }
        self.put_packet(bytes)
    }

    /// How many packets wait. Messages whose signal is connected never come here.
    #[func]
    pub fn get_available_packet_count(&self) -> i64 {
        i64::try_from(self.link.inbox.len()).unwrap_or(i64::MAX)
    }

    /// Takes the oldest packet; empty if there is none, and `get_packet_error()` then is not `OK`.
    #[func]
    pub fn get_packet(&mut self) -> PackedByteArray {
        let Some(Packet { bytes, is_text }) = self.link.inbox.pop() else {
            self.link.packet_error = GodotError::ERR_UNAVAILABLE;
            return PackedByteArray::new();
        };
        self.link.packet_error = GodotError::OK;
        self.link.was_text = is_text;
        bytes
    }

    /// How the last `get_packet()` or `get_var()` went.
    #[func]
    pub fn get_packet_error(&self) -> GodotError {
        self.link.packet_error
    }

    /// Whether the packet taken last was text.
    #[func]
    pub fn was_string_packet(&self) -> bool {
        self.link.was_text
    }

    /// Takes the oldest packet as a value in Godot's own encoding. Allow objects only from
    /// servers you trust: they can contain code.
    #[func]
    pub fn get_var(&mut self, #[opt(default = false)] allow_objects: bool) -> Variant {
        let bytes = self.get_packet();
        if self.link.packet_error != GodotError::OK {
            return Variant::nil();
        }
        if allow_objects { bytes_to_var_with_objects(&bytes) } else { bytes_to_var(&bytes) }
    }

    /// Bytes that were accepted for sending and are not yet with the network.
    #[func]
    pub fn get_current_outbound_buffered_amount(&self) -> i64 {
        let waiting = self.link.socket.as_ref().map_or(0, Socket::buffered_amount);
        i64::try_from(waiting).unwrap_or(i64::MAX)
    }

    fn with_socket(&self, act: impl FnOnce(&Socket) -> Result<(), CallError>) -> Result<(), CallError> {
        match &self.link.socket {
            Some(socket) => act(socket),
            None => Err(CallError::state("the socket is not open")),
        }
    }
}
