//! Several Mach-O libraries in one file, as macOS loads it on either processor; what Apple's `lipo`
//! does. The format: mach-o/fat.h.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Outcome;

const FAT_MAGIC: u32 = 0xcafe_babe;
/// Parts begin at pages, of which ARM's are the largest: 16 KiB.
const PAGE_BITS: u32 = 14;

pub fn write(parts: &[PathBuf], to: &Path) -> Outcome {
    let parts: Vec<Vec<u8>> = parts
        .iter()
        .map(|part| fs::read(part).map_err(|error| format!("{}: {error}", part.display())))
        .collect::<Outcome<_>>()?;
    fs::write(to, join(&parts)?).map_err(|error| format!("{}: {error}", to.display()))
}

fn join(parts: &[Vec<u8>]) -> Outcome<Vec<u8>> {
    let number = |value: usize| u32::try_from(value).map_err(|_| "more than 4 GiB".to_owned());
    let page = 1_usize << PAGE_BITS;
    // The header's numbers are big-endian, whatever the parts are.
    let mut header = [FAT_MAGIC, number(parts.len())?].map(u32::to_be_bytes).concat();
    let mut body: Vec<u8> = Vec::new();
    for part in parts {
        // Processor and model stand behind the magic number of every part.
        let (Some([0xcf, 0xfa, 0xed, 0xfe]), Some(processor), Some(model)) =
            (part.first_chunk::<4>(), word(part, 4), word(part, 8))
        else {
            return Err("a part is no 64-bit Mach-O file".into());
        };
        let start = page + body.len();
        for field in [processor, model, number(start)?, number(part.len())?, PAGE_BITS] {
            header.extend(field.to_be_bytes());
        }
        body.extend(part);
        body.resize(body.len().next_multiple_of(page), 0);
    }
    header.resize(page, 0);
    header.extend(body);
    Ok(header)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::read::macho::FatArch as _;
    use object::read::macho::MachOFatFile32;

    #[test]
    fn the_parts_are_found_again() {
        let part = |processor: u32, len: usize| {
            let mut part = [0xfeed_facf_u32, processor, 3].map(u32::to_le_bytes).concat();
            part.resize(len, processor as u8);
            part
        };
        let parts = [part(0x0100_000c, 20_000), part(0x0100_0007, 100)];
        let joined = join(&parts).unwrap();
        let fat = MachOFatFile32::parse(&*joined).unwrap();
        let found: Vec<&[u8]> = fat.arches().iter().map(|arch| arch.data(&*joined).unwrap()).collect();
        assert_eq!(found, parts);
        assert!(fat.arches().iter().all(|arch| arch.offset() % (1 << PAGE_BITS) == 0));
        assert!(join(&[b"\x7fELF not this".to_vec()]).is_err());
    }
}
