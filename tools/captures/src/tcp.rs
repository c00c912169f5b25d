//! TCP connections: segments in order, retransmissions removed, gaps found.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};

use crate::pcapng::Packet;

/// Link types (the registry of tcpdump.org). Captures of the loopback interface are NULL on macOS and
/// Windows, and Ethernet on Linux.
const NULL: i32 = 0;
const ETHERNET: i32 = 1;
const RAW: i32 = 101;
const IPV4: i32 = 228;
const IPV6: i32 = 229;

/// Who sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

#[derive(Default)]
pub struct Connections {
    pub list: Vec<Connection>,
    /// The newest connection of two addresses, the lower one first.
    newest: HashMap<(SocketAddr, SocketAddr), usize>,
    /// Packets of other link types, and the first of these.
    pub unsupported: Option<(i32, usize)>,
    /// Connections whose start was not captured.
    pub without_start: usize,
}

pub struct Connection {
    pub client: SocketAddr,
    pub server: SocketAddr,
    /// Time of the first packet.
    pub started: Duration,
    pub from_client: Stream,
    pub from_server: Stream,
    pub end: Option<Ending>,
    pub comments: Vec<Comment>,
}

/// The first FIN or RST.
pub struct Ending {
    pub by: Side,
    pub is_reset: bool,
    pub time: Duration,
}

pub struct Comment {
    pub side: Side,
    /// Bytes that the side sent before the packet of the comment.
    pub position: usize,
    pub text: String,
}

/// What one side sent.
#[derive(Default)]
pub struct Stream {
    /// Sequence number of the first byte.
    first: Option<u32>,
    /// Contiguous bytes.
    pub data: Vec<u8>,
    /// Where the bytes of each packet start in `data`.
    pub arrivals: Vec<Arrival>,
    /// Segments after a gap, by position.
    early: BTreeMap<usize, Vec<u8>>,
}

#[derive(Clone, Copy)]
pub struct Arrival {
    pub position: usize,
    pub time: Duration,
    pub packet: usize,
}

impl Connections {
    pub fn add(&mut self, packet: Packet) {
        let sliced = match packet.link_type {
            RAW | IPV4 | IPV6 => LaxSlicedPacket::from_ip(packet.data).ok(),
            ETHERNET => LaxSlicedPacket::from_ethernet(packet.data).ok(),
            // Four bytes of the address family.
            NULL => packet.data.get(4..).and_then(|data| LaxSlicedPacket::from_ip(data).ok()),
            other => {
                self.unsupported.get_or_insert((other, 0)).1 += 1;
                return;
            }
        };
        let Some(LaxSlicedPacket { net: Some(net), transport: Some(TransportSlice::Tcp(segment)), .. }) =
            sliced
        else {
            return;
        };
        let (source, destination) = match net {
            LaxNetSlice::Ipv4(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            LaxNetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            _ => return,
        };
        let source = SocketAddr::new(source, segment.source_port());
        let destination = SocketAddr::new(destination, segment.destination_port());
        let Some(connection) = self.connection(source, destination, &segment, packet.time) else { return };
        connection.add(source, &segment, packet);
    }

    /// Finds the connection of a segment, or creates it.
    fn connection(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        segment: &TcpSlice,
        time: Duration,
    ) -> Option<&mut Connection> {
        let key = (source.min(destination), source.max(destination));
        let known = self.newest.get(&key).copied();
        let is_request = segment.payload().starts_with(b"GET ");
        let (client, server) = match (segment.syn(), segment.ack()) {
            // A port that is used again starts a new connection; a repeated SYN does not.
            (true, false) => {
                let first = segment.sequence_number().wrapping_add(1);
                if let Some(index) = known
                    && self.list[index].stream(source).first.is_none_or(|known| known == first)
                {
                    return self.list.get_mut(index);
                }
                (source, destination)
            }
            _ if known.is_some() => return self.list.get_mut(known?),
            (true, true) => (destination, source),
            (false, _) if is_request => (source, destination),
            (false, _) => {
                self.without_start += usize::from(!segment.payload().is_empty());
                return None;
            }
        };
        self.newest.insert(key, self.list.len());
        self.list.push(Connection {
            client,
            server,
            started: time,
            from_client: Stream::default(),
            from_server: Stream::default(),
            end: None,
            comments: Vec::new(),
        });
        self.list.last_mut()
    }
}

impl Connection {
    fn stream(&self, source: SocketAddr) -> &Stream {
        if source == self.client { &self.from_client } else { &self.from_server }
    }

    fn add(&mut self, source: SocketAddr, segment: &TcpSlice, packet: Packet) {
        let (side, stream) = if source == self.client {
            (Side::Client, &mut self.from_client)
        } else {
            (Side::Server, &mut self.from_server)
        };
        let first = segment.sequence_number().wrapping_add(u32::from(segment.syn()));
        let position = stream.position(first);
        for text in packet.comments {
            self.comments.push(Comment { side, position: position.unwrap_or(0), text });
        }
        if let Some(position) = position {
            stream.add(position, segment.payload(), packet.time, packet.number);
            if segment.fin() {
                stream.ends_at(position + segment.payload().len());
            }
        }
        if (segment.fin() || segment.rst()) && self.end.is_none() {
            self.end = Some(Ending { by: side, is_reset: segment.rst(), time: packet.time });
        }
    }
}

impl Stream {
    /// Returns the position of a sequence number. `None` if it lies before the first byte, as that of a
    /// keepalive probe.
    fn position(&mut self, sequence: u32) -> Option<usize> {
        let first = *self.first.get_or_insert(sequence);
        // Sequence numbers wrap around; the distance to the newest byte is less than half of their range.
        let newest = first.wrapping_add(self.data.len() as u32);
        let distance = sequence.wrapping_sub(newest) as i32;
        self.data.len().checked_add_signed(distance as isize)
    }

    fn add(&mut self, position: usize, bytes: &[u8], time: Duration, packet: usize) {
        if bytes.is_empty() {
            return;
        }
        if position > self.data.len() {
            let early = self.early.entry(position).or_default();
            if early.len() < bytes.len() {
                *early = bytes.to_vec();
            }
            return;
        }
        self.append(position, bytes, time, packet);
        while let Some(entry) = self.early.first_entry()
            && *entry.key() <= self.data.len()
        {
            let (position, bytes) = entry.remove_entry();
            self.append(position, &bytes, time, packet);
        }
    }

    /// A FIN after bytes that were not captured shows that they are missing.
    fn ends_at(&mut self, position: usize) {
        if position > self.data.len() {
            self.early.entry(position).or_default();
        }
    }

    /// Appends what is new of a segment that does not start after a gap.
    fn append(&mut self, position: usize, bytes: &[u8], time: Duration, packet: usize) {
        let Some(new) = bytes.get(self.data.len() - position..).filter(|new| !new.is_empty()) else { return };
        self.arrivals.push(Arrival { position: self.data.len(), time, packet });
        self.data.extend_from_slice(new);
    }

    /// Returns how many bytes are missing before the next captured one.
    pub fn gap(&self) -> Option<usize> {
        self.early.first_key_value().map(|(position, _)| position - self.data.len())
    }

    /// Returns when the byte before this position arrived.
    pub fn arrival(&self, end: usize) -> Option<Arrival> {
        let after = self.arrivals.partition_point(|arrival| arrival.position < end);
        self.arrivals.get(after.checked_sub(1)?).copied()
    }
}
