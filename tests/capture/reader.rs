//! Reads the pcapng files of the library, and checks each packet.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;

#[derive(Clone, Debug)]
pub struct Packet {
    pub nanoseconds: u64,
    pub is_inbound: bool,
    pub comments: Vec<String>,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub payload: Vec<u8>,
}

/// A TCP connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub packets: Vec<Packet>,
}

#[derive(Debug)]
pub struct File {
    pub comment: String,
    pub connections: Vec<Connection>,
    /// Packets, and those that were dropped. None until the file is complete.
    pub statistics: Option<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub first_byte: u8,
    pub is_masked: bool,
    pub payload: Vec<u8>,
}

/// Returns whether the capture of this file has ended.
pub fn is_complete(path: &Path) -> bool {
    let Ok(bytes) = std::fs::read(path) else { return false };
    let mut at = 0;
    while at + 8 <= bytes.len() {
        let len = u32_at(&bytes, at + 4);
        if u32_at(&bytes, at) == 5 && at + len == bytes.len() {
            return true;
        }
        at += len.max(12);
    }
    false
}

pub fn read(path: &Path) -> File {
    parse(&std::fs::read(path).unwrap())
}

pub fn parse(mut bytes: &[u8]) -> File {
    let mut file = File { comment: String::new(), connections: Vec::new(), statistics: None };
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        let (kind, len) = (u32_at(bytes, 0), u32_at(bytes, 4));
        assert!(len.is_multiple_of(4) && u32_at(bytes, len - 4) == len);
        assert!(file.statistics.is_none(), "nothing follows the statistics");
        let body = &bytes[8..len - 4];
        match kind {
            0x0a0d_0d0a => file.comment = text(&options(&body[16..])[0].1),
            1 => {
                assert_eq!(body[..2], [101, 0], "raw IP");
                assert!(options(&body[8..]).contains(&(9, vec![9])), "nanoseconds");
            }
            6 => file.add(packet(body)),
            5 => {
                let options = options(&body[12..]);
                let number = |code| {
                    let (_, value) = options.iter().find(|(own, _)| *own == code).unwrap();
                    u64::from_le_bytes(value[..].try_into().unwrap())
                };
                file.statistics = Some((number(4), number(5)));
            }
            other => panic!("block {other}"),
        }
        kinds.push(kind);
        bytes = &bytes[len..];
    }
    assert_eq!(kinds[..2], [0x0a0d_0d0a, 1]);
    file
}

impl File {
    fn add(&mut self, packet: Packet) {
        let (client, server) =
            if packet.is_inbound { (packet.to, packet.from) } else { (packet.from, packet.to) };
        if packet.flags == SYN {
            let is_new = self.connections.iter().all(|connection| connection.client != client);
            assert!(is_new, "each connection has a port of its own");
            self.connections.push(Connection { client, server, packets: Vec::new() });
        }
        let connection = self
            .connections
            .iter_mut()
            .find(|connection| (connection.client, connection.server) == (client, server))
            .expect("a connection begins with a SYN");
        connection.packets.push(packet);
    }

    pub fn all_comments(&self) -> String {
        let packets = self.connections.iter().flat_map(|connection| &connection.packets);
        packets.flat_map(|packet| packet.comments.clone()).collect::<Vec<_>>().join("\n")
    }
}

impl Connection {
    /// The bytes of one direction, and how many are missing between packets.
    pub fn bytes(&self, is_inbound: bool) -> (Vec<u8>, u64) {
        let (mut bytes, mut missing, mut next) = (Vec::new(), 0, None);
        for packet in self.packets.iter().filter(|packet| packet.is_inbound == is_inbound) {
            let expected = *next.get_or_insert(packet.sequence);
            missing += u64::from(packet.sequence.wrapping_sub(expected));
            bytes.extend_from_slice(&packet.payload);
            let control = u32::from(packet.flags & (SYN | FIN) != 0);
            next = Some(packet.sequence.wrapping_add(packet.payload.len() as u32 + control));
        }
        (bytes, missing)
    }

    /// The head and the frames of one direction, without the masks. Fails if something is missing.
    pub fn frames(&self, is_inbound: bool) -> (String, Vec<Frame>) {
        let (bytes, missing) = self.bytes(is_inbound);
        assert_eq!(missing, 0);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        (String::from_utf8(bytes[..end].to_vec()).unwrap(), frames(&bytes[end..]))
    }

    pub fn flags(&self) -> Vec<u8> {
        self.packets.iter().map(|packet| packet.flags).collect()
    }
}

pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let is_masked = bytes[1] & 128 != 0;
        let (len, mut at) = match bytes[1] & 127 {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize, 10),
            len => (usize::from(len), 2),
        };
        let key = if is_masked { &bytes[at..at + 4] } else { &[0; 4] };
        at += if is_masked { 4 } else { 0 };
        let payload = bytes[at..at + len].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        frames.push(Frame { first_byte: bytes[0], is_masked, payload: payload.collect() });
        bytes = &bytes[at + len..];
    }
    frames
}

fn packet(body: &[u8]) -> Packet {
    assert_eq!(u32_at(body, 0), 0, "the only interface");
    let len = u32_at(body, 12);
    assert_eq!(u32_at(body, 16), len, "not cut");
    let ip = &body[20..20 + len];
    let options = options(&body[20 + len.next_multiple_of(4)..]);
    let flags = options.iter().find(|(code, _)| *code == 2).map(|(_, value)| value[0]);
    let comments = options.iter().filter(|(code, _)| *code == 1).map(|(_, comment)| text(comment));
    let (from, to, tcp): (IpAddr, IpAddr, &[u8]) = if ip[0] >> 4 == 4 {
        assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), len);
        assert_eq!(sum(&[&ip[..20]]), 0xffff, "the checksum of the header");
        let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
        (address(12).into(), address(16).into(), &ip[20..])
    } else {
        assert_eq!(usize::from(u16::from_be_bytes([ip[4], ip[5]])), len - 40);
        let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
        (address(8).into(), address(24).into(), &ip[40..])
    };
    let addresses = if from.is_ipv4() { &ip[12..20] } else { &ip[8..40] };
    let pseudo = [&[0, 6][..], &(tcp.len() as u32).to_be_bytes()].concat();
    assert_eq!(sum(&[addresses, &pseudo, tcp]), 0xffff, "the checksum of TCP");
    let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    Packet {
        nanoseconds: (u32_at(body, 4) as u64) << 32 | u32_at(body, 8) as u64,
        is_inbound: flags.expect("a direction") == 1,
        comments: comments.collect(),
        from: SocketAddr::new(from, port(0)),
        to: SocketAddr::new(to, port(2)),
        sequence: u32::from_be_bytes(tcp[4..8].try_into().unwrap()),
        acknowledged: u32::from_be_bytes(tcp[8..12].try_into().unwrap()),
        flags: tcp[13],
        payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
    }
}

fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut options = Vec::new();
    loop {
        let (code, len) =
            (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            assert_eq!(bytes.len(), 4, "nothing follows the last option");
            return options;
        }
        let len = usize::from(len);
        options.push((code, bytes[4..4 + len].to_vec()));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
}

fn sum(parts: &[&[u8]]) -> u32 {
    let mut sum = 0;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    sum
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
