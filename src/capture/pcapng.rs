//! Blocks of the pcapng file format (draft-ietf-opsawg-pcapng), in little-endian byte order.

use std::time::Duration;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// LINKTYPE_RAW: packets begin with an IPv4 or IPv6 header.
const RAW_IP: u16 = 101;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const SHB_APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TIME_RESOLUTION: u16 = 9;
const EPB_FLAGS: u16 = 2;
const ISB_RECEIVED: u16 = 4;
const ISB_DROPPED: u16 = 5;

/// Values of the option `epb_flags`.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// The longest text in an option.
const MAX_TEXT: usize = 4096;

/// A packet and its options.
pub struct Packet<'a> {
    /// Since 1970.
    pub time: Duration,
    pub is_inbound: bool,
    pub bytes: &'a [u8],
    pub comments: &'a [String],
}

/// Appends the header of the file.
pub fn begin(out: &mut Vec<u8>, comment: &str) {
    block(out, SECTION_HEADER, |out| {
        out.extend_from_slice(&BYTE_ORDER.to_le_bytes());
        // Version 1.0.
        out.extend_from_slice(&[1, 0, 0, 0]);
        // The length of the section is unknown.
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        text(out, OPTION_COMMENT, comment);
        text(out, SHB_APPLICATION, concat!("framewire ", env!("CARGO_PKG_VERSION")));
        option(out, OPTION_END, &[]);
    });
    block(out, INTERFACE_DESCRIPTION, |out| {
        out.extend_from_slice(&RAW_IP.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        // No limit for the length of packets.
        out.extend_from_slice(&0u32.to_le_bytes());
        text(out, IF_NAME, "framewire");
        // Nanoseconds.
        option(out, IF_TIME_RESOLUTION, &[9]);
        option(out, OPTION_END, &[]);
    });
}

/// Appends a packet.
pub fn packet(out: &mut Vec<u8>, packet: &Packet<'_>) {
    block(out, ENHANCED_PACKET, |out| {
        let len = packet.bytes.len() as u32;
        out.extend_from_slice(&0u32.to_le_bytes());
        timestamp(out, packet.time);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(packet.bytes);
        pad(out, packet.bytes.len());
        for comment in packet.comments {
            text(out, OPTION_COMMENT, comment);
        }
        let flags = if packet.is_inbound { INBOUND } else { OUTBOUND };
        option(out, EPB_FLAGS, &flags.to_le_bytes());
        option(out, OPTION_END, &[]);
    });
}

/// Appends the counts at the end of the file: of all packets, and of those that were not written.
pub fn statistics(out: &mut Vec<u8>, time: Duration, packets: u64, dropped: u64, comment: &str) {
    block(out, INTERFACE_STATISTICS, |out| {
        out.extend_from_slice(&0u32.to_le_bytes());
        timestamp(out, time);
        text(out, OPTION_COMMENT, comment);
        option(out, ISB_RECEIVED, &packets.to_le_bytes());
        option(out, ISB_DROPPED, &dropped.to_le_bytes());
        option(out, OPTION_END, &[]);
    });
}

/// Appends a block; `body` appends what is between its lengths.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = ((out.len() + 4 - start) as u32).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&len);
    out.extend_from_slice(&len);
}

/// The upper half comes first, whatever the byte order.
fn timestamp(out: &mut Vec<u8>, time: Duration) {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    out.extend_from_slice(&((time >> 32) as u32).to_le_bytes());
    out.extend_from_slice(&(time as u32).to_le_bytes());
}

fn text(out: &mut Vec<u8>, code: u16, text: &str) {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    option(out, code, &text.as_bytes()[..end]);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

fn pad(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&[0; 3][..len.wrapping_neg() & 3]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u32_at(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    /// The type and the body of each block.
    fn blocks(mut bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let len = u32_at(bytes, 4);
            assert_eq!(len % 4, 0, "blocks are padded");
            assert_eq!(u32_at(bytes, len - 4), len, "the length is at both ends");
            blocks.push((u32_at(bytes, 0), bytes[8..len - 4].to_vec()));
            bytes = &bytes[len..];
        }
        blocks
    }

    #[test]
    fn file_begins_with_section_and_raw_ip_interface() {
        let mut out = Vec::new();
        begin(&mut out, "x");
        let blocks = blocks(&out);
        assert_eq!(blocks.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [0x0a0d_0d0a, 1]);
        assert_eq!(blocks[0].1[..8], [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
        assert_eq!(blocks[1].1[..2], [101, 0]);
    }

    #[test]
    fn packet_has_time_lengths_and_options() {
        let mut out = Vec::new();
        let (time, comments) = (Duration::new(1, 7), ["five5".to_owned()]);
        packet(&mut out, &Packet { time, is_inbound: true, bytes: &[1, 2, 3, 4, 5], comments: &comments });
        let (kind, body) = blocks(&out).remove(0);
        assert_eq!(kind, 6);
        assert_eq!((u32_at(&body, 4), u32_at(&body, 8)), (0, 1_000_000_007));
        assert_eq!((u32_at(&body, 12), u32_at(&body, 16)), (5, 5));
        assert_eq!(body[20..28], [1, 2, 3, 4, 5, 0, 0, 0]);
        assert_eq!(body[28..40], *b"\x01\0\x05\0five5\0\0\0");
        assert_eq!(body[40..], [2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut out = Vec::new();
        statistics(&mut out, Duration::ZERO, 5, 2, &"ä".repeat(MAX_TEXT).replacen('ä', "a", 1));
        let (_, body) = blocks(&out).remove(0);
        assert_eq!(body[14..16], (MAX_TEXT as u16 - 1).to_le_bytes());
        assert_eq!(body[body.len() - 28..body.len() - 20], [4, 0, 8, 0, 5, 0, 0, 0]);
    }
}
