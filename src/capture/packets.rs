//! TCP segments in IPv4 (RFC 791, RFC 9293) and IPv6 packets (RFC 8200).

use std::net::{IpAddr, SocketAddr};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// The largest payload of a segment: an IPv4 packet of 65,535 bytes without its headers.
pub const MAX_PAYLOAD: usize = 65_495;

const TCP: u8 = 6;
const TTL: u8 = 64;
const TCP_HEADER: usize = 20;
/// Maximum segment size, then a window scale of 14, so that a viewer does not report a full window.
const SYN_OPTIONS: [u8; 8] = [2, 4, 0xff, 0xd7, 3, 3, 14, 0];

/// A segment of a TCP connection.
pub struct Segment<'a> {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// Replaces the contents of `out` by the packet. IPv6 if one of the addresses is.
    pub fn write(&self, out: &mut Vec<u8>) {
        let options: &[u8] = if self.flags & SYN != 0 { &SYN_OPTIONS } else { &[] };
        let tcp_len = TCP_HEADER + options.len() + self.payload.len();
        out.clear();
        let mut pseudo = u32::from(TCP) + tcp_len as u32;
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let len = ((20 + tcp_len) as u16).to_be_bytes();
                // Version and header length, type of service, length, identification, "don't fragment".
                out.extend_from_slice(&[0x45, 0, len[0], len[1], 0, 0, 0x40, 0, TTL, TCP, 0, 0]);
                out.extend_from_slice(&from.octets());
                out.extend_from_slice(&to.octets());
                let checksum = finish(sum(out)).to_be_bytes();
                out[10..12].copy_from_slice(&checksum);
                pseudo += sum(&from.octets()) + sum(&to.octets());
            }
            (from, to) => {
                let (from, to) = (octets(from), octets(to));
                let len = (tcp_len as u16).to_be_bytes();
                out.extend_from_slice(&[0x60, 0, 0, 0, len[0], len[1], TCP, TTL]);
                out.extend_from_slice(&from);
                out.extend_from_slice(&to);
                pseudo += sum(&from) + sum(&to);
            }
        }
        let start = out.len();
        out.extend_from_slice(&self.from.port().to_be_bytes());
        out.extend_from_slice(&self.to.port().to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.acknowledged.to_be_bytes());
        let header_words = (TCP_HEADER + options.len()) as u8 / 4;
        // The largest window, a checksum that follows, no urgent data.
        out.extend_from_slice(&[header_words << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        out.extend_from_slice(options);
        out.extend_from_slice(self.payload);
        let checksum = finish(pseudo + sum(&out[start..])).to_be_bytes();
        out[start + 16..start + 18].copy_from_slice(&checksum);
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The sum of 16-bit words for a checksum (RFC 1071). At most 64 KiB, so it does not overflow.
fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    words + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

fn finish(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(from: &str, to: &str, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let mut out = vec![1];
        Segment { from, to, sequence: 0x0102_0304, acknowledged: 5, flags, payload }.write(&mut out);
        out
    }

    /// The checksum over data that contains its checksum is 0.
    fn check(packet: &[u8], header: usize, addresses: &[u8]) {
        let len = (packet.len() - header) as u32;
        assert_eq!(finish(6 + len + sum(addresses) + sum(&packet[header..])), 0);
    }

    #[test]
    fn ipv4_packets_have_valid_checksums_and_lengths() {
        for payload in [&b""[..], b"a", b"ab", &[0xff; MAX_PAYLOAD]] {
            let packet = written("10.0.0.1:1000", "192.0.2.7:80", ACK | PSH, payload);
            assert_eq!(packet.len(), 40 + payload.len());
            assert_eq!(packet[2..4], (packet.len() as u16).to_be_bytes());
            assert_eq!(finish(sum(&packet[..20])), 0);
            check(&packet, 20, &packet[12..20]);
            assert_eq!(packet[20..33], [3, 232, 0, 80, 1, 2, 3, 4, 0, 0, 0, 5, 0x50]);
        }
    }

    #[test]
    fn ipv6_packets_have_valid_checksums_and_lengths() {
        for payload in [&b""[..], b"abc", &[0xff; MAX_PAYLOAD]] {
            let packet = written("[2001:db8::1]:1000", "[::1]:80", ACK, payload);
            assert_eq!(packet.len(), 60 + payload.len());
            assert_eq!(packet[4..6], ((packet.len() - 40) as u16).to_be_bytes());
            check(&packet, 40, &packet[8..40]);
        }
    }

    #[test]
    fn first_segment_has_options() {
        let packet = written("10.0.0.1:1000", "192.0.2.7:80", SYN, b"");
        assert_eq!((packet.len(), packet[32]), (48, 0x70));
        check(&packet, 20, &packet[12..20]);
    }
}
