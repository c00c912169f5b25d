//! Builds captures for the tests, as other programs write them.

use std::net::SocketAddr;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader};
use flate2::{Compress, Compression, FlushCompress};

use crate::Side;
use crate::frames::Frame;

pub const REQUEST: &str = "GET /play?room=7 HTTP/1.1\r\nHost: game.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Protocol: chat, game.v2\r\nCookie: a=1; b=2\r\n\r\n";
pub const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: game.v2\r\n\r\n";
pub const COMPRESSED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n";

pub const RAW: u16 = 101;
pub const ETHERNET: u16 = 1;
pub const NULL: u16 = 0;

/// A pcapng file.
pub struct File {
    pub bytes: Vec<u8>,
    is_big_endian: bool,
    link_type: u16,
}

impl File {
    /// A section with an interface whose times are in milliseconds.
    pub fn new(link_type: u16, is_big_endian: bool) -> Self {
        let mut file = Self { bytes: Vec::new(), is_big_endian, link_type };
        file.section();
        file.interface(&[(9, vec![3])]);
        file
    }

    pub fn section(&mut self) {
        let body = [self.u32(0x1A2B_3C4D).as_slice(), &self.u16(1), &self.u16(0), &[0xFF; 8]].concat();
        self.block(0x0A0D_0D0A, &body);
    }

    pub fn interface(&mut self, options: &[(u16, Vec<u8>)]) {
        let body = [&self.u16(self.link_type)[..], &[0, 0], &self.u32(0), &self.options(options)].concat();
        self.block(1, &body);
    }

    /// An enhanced packet block.
    pub fn packet(&mut self, time_ms: u64, data: &[u8], comments: &[&str]) {
        let comments: Vec<_> = comments.iter().map(|text| (1, text.as_bytes().to_vec())).collect();
        let length = data.len() as u32;
        let mut body = Vec::new();
        for number in [0, (time_ms >> 32) as u32, time_ms as u32, length, length] {
            body.extend(self.u32(number));
        }
        body.extend(padded(data));
        body.extend(self.options(&comments));
        self.block(6, &body);
    }

    pub fn packets(&mut self, packets: &[Captured]) {
        for packet in packets {
            let link: &[u8] = match self.link_type {
                ETHERNET => &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00],
                NULL => &[2, 0, 0, 0],
                _ => &[],
            };
            let comments: Vec<&str> = packet.comments.iter().map(String::as_str).collect();
            self.packet(packet.time_ms, &[link, &packet.bytes].concat(), &comments);
        }
    }

    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let length = self.u32(body.len() as u32 + 12);
        let block = [&self.u32(kind)[..], &length, body, &length].concat();
        self.bytes.extend(block);
    }

    pub fn options(&self, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(self.u16(*code));
            bytes.extend(self.u16(value.len() as u16));
            bytes.extend(padded(value));
        }
        bytes.extend([0; 4]);
        bytes
    }

    pub fn u32(&self, number: u32) -> [u8; 4] {
        if self.is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub fn u16(&self, number: u16) -> [u8; 2] {
        if self.is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(4), 0);
    padded
}

#[derive(Clone)]
pub struct Captured {
    pub time_ms: u64,
    pub bytes: Vec<u8>,
    pub comments: Vec<String>,
}

/// A TCP connection, captured packet by packet, 10 ms apart.
pub struct Talk {
    client: SocketAddr,
    server: SocketAddr,
    /// Next sequence numbers.
    sequences: [u32; 2],
    pub time_ms: u64,
    pub packets: Vec<Captured>,
}

impl Talk {
    pub fn new(client: &str, server: &str) -> Self {
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        // The server's numbers wrap around.
        Self {
            client,
            server,
            sequences: [1000, u32::MAX - 200],
            time_ms: 1_700_000_000_000,
            packets: Vec::new(),
        }
    }

    /// A connection after its upgrade.
    pub fn opened(response: &str) -> Self {
        let mut talk = Self::new("192.0.2.1:50000", "192.0.2.2:80");
        talk.handshake();
        talk.send(Side::Client, REQUEST.as_bytes());
        talk.send(Side::Server, response.as_bytes());
        talk
    }

    pub fn handshake(&mut self) {
        self.segment(Side::Client, "S", b"");
        self.segment(Side::Server, "SA", b"");
        self.segment(Side::Client, "A", b"");
    }

    pub fn send(&mut self, from: Side, bytes: &[u8]) {
        self.segment(from, "A", bytes);
    }

    /// Sends a frame; those of the client are masked.
    pub fn frame(&mut self, from: Side, first_byte: u8, payload: &[u8]) {
        let bytes = frame(from, first_byte, payload);
        self.send(from, &bytes);
    }

    /// Counts bytes as sent that the capture lacks.
    pub fn lose(&mut self, from: Side, count: u32) {
        let sequence = &mut self.sequences[from as usize];
        *sequence = sequence.wrapping_add(count);
    }

    /// Captures a segment with these flags: S, A, F, R.
    pub fn segment(&mut self, from: Side, flags: &str, payload: &[u8]) {
        let sequence = self.sequences[from as usize];
        let other = self.sequences[1 - from as usize];
        let (source, destination) = match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        };
        let has = |flag| flags.contains(flag);
        let mut header = TcpHeader::new(source.port(), destination.port(), sequence, 65_535);
        (header.syn, header.ack, header.fin, header.rst) = (has('S'), has('A'), has('F'), has('R'));
        header.acknowledgment_number = if header.ack { other } else { 0 };
        let mut bytes = Vec::new();
        let length = payload.len() as u16 + 20;
        let builder: PacketBuilderStep<IpHeaders> = match (source, destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                let (source, destination) = (source.ip().octets(), destination.ip().octets());
                let ip = Ipv4Header::new(length, 64, IpNumber::TCP, source, destination).unwrap();
                PacketBuilder::ip(IpHeaders::Ipv4(ip, Default::default()))
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                let ip = Ipv6Header {
                    next_header: IpNumber::TCP,
                    hop_limit: 64,
                    payload_length: length,
                    source: source.ip().octets(),
                    destination: destination.ip().octets(),
                    ..Default::default()
                };
                PacketBuilder::ip(IpHeaders::Ipv6(ip, Default::default()))
            }
            _ => panic!("addresses of one version"),
        };
        builder.tcp_header(header).write(&mut bytes, payload).unwrap();
        self.packets.push(Captured { time_ms: self.time_ms, bytes, comments: Vec::new() });
        self.time_ms += 10;
        let counted = payload.len() as u32 + u32::from(has('S') || has('F'));
        self.lose(from, counted);
    }

    /// Adds a comment to the newest packet.
    pub fn comment(&mut self, text: &str) {
        self.packets.last_mut().unwrap().comments.push(text.to_owned());
    }

    pub fn file(&self) -> Vec<u8> {
        let mut file = File::new(RAW, false);
        file.packets(&self.packets);
        file.bytes
    }
}

pub fn frame(from: Side, first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mask = (from == Side::Client).then_some([0x12, 0x34, 0x56, 0x78]);
    let (is_final, rsv) = (first_byte & 0x80 != 0, first_byte >> 4 & 7);
    Frame { is_final, rsv, opcode: first_byte & 15, mask, payload: payload.to_vec() }.to_bytes()
}

/// Compresses a message as RFC 7692 says.
pub fn compressed(state: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 100);
    state.compress_vec(message, &mut bytes, FlushCompress::Sync).unwrap();
    assert!(bytes.ends_with(&[0, 0, 0xFF, 0xFF]));
    bytes.truncate(bytes.len() - 4);
    bytes
}

pub fn compressor() -> Compress {
    Compress::new(Compression::best(), false)
}
