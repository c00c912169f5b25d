//! The file format (draft-ietf-opsawg-pcapng): sections, interfaces and packets, in both byte orders.
//!
//! A file that ends inside a block, as after a crash, is read up to there. A block whose length is not
//! possible is an error, because nothing after it can be found.

use std::time::Duration;

use pcap_parser::pcapng::{
    Block, PcapNGOption, parse_block_be, parse_block_le, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le,
};
use pcap_parser::{BOM_MAGIC, EPB_MAGIC, IDB_MAGIC, ISB_MAGIC, OptionCode, SHB_MAGIC, SPB_MAGIC};

use crate::Error;

/// Type, length, and length again.
const MIN_BLOCK: usize = 12;
const NANOSECONDS: u128 = 1_000_000_000;

/// A captured packet.
pub struct Packet<'a> {
    /// From 1, as viewers count.
    pub number: usize,
    /// Since the Unix epoch.
    pub time: Duration,
    pub link_type: i32,
    pub data: &'a [u8],
    pub comments: Vec<String>,
}

struct Interface {
    link_type: i32,
    ticks_per_second: u128,
    offset_seconds: i64,
}

/// Passes each packet to `take`, in the order of the file. Returns warnings.
pub fn read_packets<'a>(bytes: &'a [u8], mut take: impl FnMut(Packet<'a>)) -> Result<Vec<String>, Error> {
    check_start(bytes)?;
    let mut warnings = Vec::new();
    let mut interfaces: Vec<Interface> = Vec::new();
    let (mut is_big_endian, mut number, mut time, mut dropped) = (false, 0, Duration::ZERO, 0u64);
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let Some(head) = rest.first_chunk::<MIN_BLOCK>() else {
            warnings.push(format!(
                "the file is cut off: it ends {} bytes into the block at byte {at}",
                rest.len()
            ));
            break;
        };
        let words = [&head[..4], &head[4..8], &head[8..]].map(|word| [word[0], word[1], word[2], word[3]]);
        // A section header reads the same in both orders; the word after its length says which one follows.
        if u32::from_le_bytes(words[0]) == SHB_MAGIC {
            is_big_endian = u32::from_be_bytes(words[2]) == BOM_MAGIC;
            if !is_big_endian && u32::from_le_bytes(words[2]) != BOM_MAGIC {
                return Err(Error::new(format!("the section header at byte {at} has no valid byte order")));
            }
            interfaces.clear();
        }
        let number_of =
            |word| if is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
        let (kind, length) = (number_of(words[0]), number_of(words[1]) as usize);
        if length < MIN_BLOCK || !length.is_multiple_of(4) {
            return Err(Error::new(format!("the block at byte {at} has the invalid length {length}")));
        }
        let Some(block) = rest.get(..length) else {
            warnings.push(format!(
                "the file is cut off: the block at byte {at} has {length} bytes, of which {} are there",
                rest.len()
            ));
            break;
        };
        let damaged = || Error::new(format!("the block at byte {at} is damaged"));
        if block[length - 4..] != words[1] {
            return Err(damaged());
        }
        match kind {
            SHB_MAGIC | EPB_MAGIC | SPB_MAGIC | ISB_MAGIC => {
                let parsed = if is_big_endian { parse_block_be(block) } else { parse_block_le(block) };
                match parsed.map_err(|_| damaged())?.1 {
                    Block::EnhancedPacket(packet) => {
                        number += 1;
                        let interface = interfaces.get(packet.if_id as usize).ok_or_else(|| {
                            Error::new(format!(
                                "packet {number} at byte {at} is of interface {}, which is not described",
                                packet.if_id
                            ))
                        })?;
                        time = interface.time(packet.ts_high, packet.ts_low);
                        let (link_type, comments) = (interface.link_type, comments(&packet.options));
                        // Not `packet_data()`, which borrows the block that was parsed.
                        let data = &packet.data[..packet.data.len().min(packet.caplen as usize)];
                        take(Packet { number, time, link_type, data, comments });
                    }
                    Block::SimplePacket(packet) => {
                        number += 1;
                        let Some(interface) = interfaces.first() else {
                            return Err(Error::new(format!(
                                "packet {number} at byte {at} comes before the description of its interface"
                            )));
                        };
                        let data = &packet.data[..packet.data.len().min(packet.origlen as usize)];
                        let (link_type, comments) = (interface.link_type, Vec::new());
                        // It has no time.
                        take(Packet { number, time, link_type, data, comments });
                    }
                    Block::InterfaceStatistics(statistics) => {
                        dropped = dropped.saturating_add(lost(&statistics.options, is_big_endian));
                    }
                    _ => {}
                }
            }
            IDB_MAGIC => {
                let parsed = if is_big_endian {
                    parse_interfacedescriptionblock_be(block)
                } else {
                    parse_interfacedescriptionblock_le(block)
                };
                let parsed = parsed.map_err(|_| damaged())?.1;
                let (resolution, offset_seconds) = time_options(&parsed.options, is_big_endian);
                let ticks_per_second = ticks_per_second(resolution).ok_or_else(|| {
                    Error::new(format!(
                        "the interface at byte {at} has the invalid time resolution {resolution:#04x}"
                    ))
                })?;
                interfaces.push(Interface { link_type: parsed.linktype.0, ticks_per_second, offset_seconds });
            }
            // Names, secrets, logs: of no use here.
            _ => {}
        }
        at += length;
    }
    if dropped > 0 {
        warnings.push(format!("{dropped} packets were dropped while the file was written"));
    }
    Ok(warnings)
}

/// Tells other formats from damaged files.
fn check_start(bytes: &[u8]) -> Result<(), Error> {
    let text = match bytes {
        [] => "the file is empty",
        [0x0A, 0x0D, 0x0D, 0x0A, ..] => return Ok(()),
        [0xA1, 0xB2, 0xC3, 0xD4, ..]
        | [0xD4, 0xC3, 0xB2, 0xA1, ..]
        | [0xA1, 0xB2, 0x3C, 0x4D, ..]
        | [0x4D, 0x3C, 0xB2, 0xA1, ..] => {
            "this is a pcap file, not pcapng: convert it with `editcap -F pcapng IN OUT`"
        }
        [0x1F, 0x8B, ..] => "the file is compressed with gzip: decompress it first",
        _ => "this is not a pcapng file: it does not start with a section header",
    };
    Err(Error::new(text))
}

impl Interface {
    fn time(&self, high: u32, low: u32) -> Duration {
        let ticks = u128::from(u64::from(high) << 32 | u64::from(low));
        let nanoseconds = ticks * NANOSECONDS / self.ticks_per_second;
        let seconds = (nanoseconds / NANOSECONDS) as u64;
        Duration::new(seconds.saturating_add_signed(self.offset_seconds), (nanoseconds % NANOSECONDS) as u32)
    }
}

/// Returns the option if_tsresol: a power of ten, or of two if the highest bit is set.
fn ticks_per_second(resolution: u8) -> Option<u128> {
    let exponent = u32::from(resolution & 0x7F);
    match resolution & 0x80 {
        0 => 10u128.checked_pow(exponent),
        _ => 2u128.checked_pow(exponent),
    }
}

/// Returns if_tsresol and if_tsoffset.
fn time_options(options: &[PcapNGOption], is_big_endian: bool) -> (u8, i64) {
    let value =
        |code| options.iter().find(|option| option.code == code).and_then(|option| option.as_bytes().ok());
    let resolution = value(OptionCode::IfTsresol).and_then(|value| value.first().copied());
    let offset = value(OptionCode::IfTsoffset).and_then(|value| value.try_into().ok());
    let offset =
        offset.map(|value| if is_big_endian { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) });
    // Microseconds are the default.
    (resolution.unwrap_or(6), offset.unwrap_or(0))
}

fn comments(options: &[PcapNGOption]) -> Vec<String> {
    let is_comment = |option: &&PcapNGOption| option.code == OptionCode::Comment;
    let texts = options.iter().filter(is_comment).filter_map(|option| option.as_bytes().ok());
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// Returns the packets that the interface or the operating system dropped.
fn lost(options: &[PcapNGOption], is_big_endian: bool) -> u64 {
    let counts =
        options.iter().filter(|option| [OptionCode::IsbIfDrop, OptionCode::IsbOsDrop].contains(&option.code));
    let counts = counts.filter_map(|option| option.as_bytes().ok()?.try_into().ok());
    let counts =
        counts.map(|count| if is_big_endian { u64::from_be_bytes(count) } else { u64::from_le_bytes(count) });
    counts.fold(0, u64::saturating_add)
}
