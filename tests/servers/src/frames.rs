//! The server side of HTTP/2 (RFC 9113), frame by frame, for sequences that a correct server does not send.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::Peer;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Parameters of SETTINGS.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Error codes of RST_STREAM and GOAWAY.
pub const NO_ERROR: u32 = 0;
pub const REFUSED_STREAM: u32 = 7;

/// `:status: 200` in HPACK.
pub const STATUS_200: &[u8] = &[0x88];

/// A connection without TLS, of a client that uses HTTP/2 with prior knowledge.
pub struct FramePeer<'a> {
    stream: &'a TcpStream,
    /// Frames to send in one write.
    buffered: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl<'a> FramePeer<'a> {
    /// Reads the client's preface, or returns `None`.
    pub fn new(peer: &'a Peer) -> Option<Self> {
        let mut preface = [0; 24];
        let mut stream = peer.stream();
        stream.read_exact(&mut preface).ok()?;
        (preface == *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").then_some(Self { stream, buffered: None })
    }

    /// Sends a frame. Does not fail if the client has disconnected.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        match &mut self.buffered {
            Some(buffered) => buffered.extend(frame),
            None => drop(self.stream.write_all(&frame)),
        }
    }

    /// Sends the frames of `send_frames` in one write, so that the client reads them at once.
    pub fn at_once(&mut self, send_frames: impl FnOnce(&mut Self)) {
        self.buffered = Some(Vec::new());
        send_frames(self);
        let _ = self.stream.write_all(&self.buffered.take().unwrap_or_default());
    }

    pub fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.send(SETTINGS, 0, 0, &payload);
    }

    /// Sends SETTINGS that allow WebSockets, up to this many concurrent ones.
    pub fn websockets(&mut self, max: u32) {
        self.settings(&[(ENABLE_CONNECT_PROTOCOL, 1), (MAX_CONCURRENT_STREAMS, max)]);
    }

    pub fn respond(&mut self, stream: u32, block: &[u8]) {
        self.send(HEADERS, END_HEADERS, stream, block);
    }

    pub fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    pub fn go_away(&mut self, last_stream: u32, code: u32) {
        let payload = [last_stream.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload);
    }

    /// Reads the next frame, or returns `None` at the end.
    pub fn receive(&mut self) -> Option<Received> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Received { kind, flags, stream: u32::from_be_bytes(id) & 0x7FFF_FFFF, payload })
    }

    /// Waits for the next request and returns its stream; acknowledges other frames meanwhile.
    pub fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.receive()?;
            match frame.kind {
                HEADERS => return Some(frame.stream),
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload: &[u8] = if frame.kind == PING { &frame.payload } else { &[] };
                    self.send(frame.kind, ACK, 0, payload);
                }
                _ => {}
            }
        }
    }

    /// Accepts every request from now on, until the client disconnects.
    pub fn accept_all(&mut self) {
        while let Some(stream) = self.request() {
            self.respond(stream, STATUS_200);
        }
    }
}
