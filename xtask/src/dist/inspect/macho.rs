//! Checks a static library for iOS, and hides its symbols.

use std::collections::BTreeSet;

use object::macho::{self, MachHeader64, Nlist64};
use object::read::archive::ArchiveFile;
use object::read::macho::{LoadCommandVariant, MachHeader, Nlist};
use object::{Endianness, pod};

use crate::dist::system_names::SystemNames;
use crate::run::Outcome;

/// What a library has to be.
pub struct Wanted<'a> {
    pub cpu: u32,
    /// `PLATFORM_IOS` or `PLATFORM_IOSSIMULATOR`.
    pub platform: u32,
    /// The oldest system: major and minor version.
    pub minimum: (u32, u32),
    pub exports: &'a BTreeSet<String>,
    pub system: &'a SystemNames,
}

/// What the object files of an archive say about themselves.
#[derive(Debug, Default)]
pub struct Facts {
    objects: usize,
    /// Of each object: CPU, platform and oldest system.
    built_for: BTreeSet<(u32, Option<u32>, Option<(u32, u32)>)>,
    /// Names as in C, without the underscore that Mach-O adds.
    pub global: BTreeSet<String>,
    undefined: BTreeSet<String>,
}

/// The bytes of each object file in an archive.
pub fn members(archive: &[u8]) -> Outcome<Vec<&[u8]>> {
    let file = ArchiveFile::parse(archive).map_err(|error| error.to_string())?;
    let members = file.members().map(|member| member.and_then(|member| member.data(archive)));
    members.collect::<object::Result<_>>().map_err(|error| error.to_string())
}

impl Facts {
    pub fn read(archive: &[u8]) -> Outcome<Self> {
        let mut facts = Self::default();
        for member in members(archive)? {
            facts.add(member).map_err(|error| format!("object {}: {error}", facts.objects + 1))?;
        }
        let defined = facts.global.clone();
        facts.undefined.retain(|name| !defined.contains(name));
        Ok(facts)
    }

    fn add(&mut self, object: &[u8]) -> object::Result<()> {
        let header = MachHeader64::<Endianness>::parse(object, 0)?;
        let endian = header.endian()?;
        self.objects += 1;
        let (mut platform, mut minimum) = (None, None);
        let mut commands = header.load_commands(endian, object, 0)?;
        while let Some(command) = commands.next()? {
            match command.variant()? {
                LoadCommandVariant::BuildVersion(version) => {
                    let number = version.minos.get(endian);
                    platform = Some(version.platform.get(endian));
                    minimum = Some((number >> 16, number >> 8 & 0xff));
                }
                LoadCommandVariant::Symtab(table) => {
                    let symbols = table.symbols::<MachHeader64<Endianness>, _>(endian, object)?;
                    for symbol in symbols.iter().filter(|symbol| symbol.n_type() & macho::N_STAB == 0) {
                        let name =
                            String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into_owned();
                        let name = name.strip_prefix('_').unwrap_or(&name).to_owned();
                        if is_global(symbol, endian) {
                            self.global.insert(name);
                        } else if symbol.is_undefined() && symbol.n_type() & macho::N_EXT != 0 {
                            self.undefined.insert(name);
                        }
                    }
                }
                _ => {}
            }
        }
        self.built_for.insert((header.cputype(endian), platform, minimum));
        Ok(())
    }

    /// Fails unless an app for this platform can link the library together with any other.
    pub fn check(&self, wanted: &Wanted) -> Outcome {
        let mut faults = Vec::new();
        if self.objects != 1 {
            faults.push(format!("has {} objects instead of one, so internal names are global", self.objects));
        }
        for (cpu, platform, minimum) in &self.built_for {
            if *cpu != wanted.cpu {
                faults.push(format!("is for CPU {cpu:#x}, not {:#x}", wanted.cpu));
            }
            if *platform != Some(wanted.platform) {
                faults.push(format!("is for platform {platform:?}, not {}", wanted.platform));
            }
            if *minimum != Some(wanted.minimum) {
                faults.push(format!("needs version {minimum:?} of the system, not {:?}", wanted.minimum));
            }
        }
        let foreign: Vec<&String> = self.global.difference(wanted.exports).collect();
        let missing: Vec<&String> = wanted.exports.difference(&self.global).collect();
        if !foreign.is_empty() {
            faults.push(format!("has other global names: {foreign:?}"));
        }
        if !missing.is_empty() {
            faults.push(format!("does not define {missing:?}"));
        }
        faults.extend(wanted.system.cover(self.undefined.iter().map(|name| (name.as_str(), false))).err());
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

/// Whether the symbol is defined here and visible to other objects.
fn is_global(symbol: &Nlist64<Endianness>, endian: Endianness) -> bool {
    let kind = symbol.n_type();
    // A common symbol is undefined, with a size.
    let is_defined = !symbol.is_undefined() || symbol.n_value(endian) != 0;
    kind & macho::N_STAB == 0 && kind & macho::N_EXT != 0 && is_defined
}

/// Marks all global symbols whose name does not begin with `kept` as private: the linker that merges the objects
/// makes them local. Returns the changed object.
pub fn hide(object: &[u8], kept: &str) -> Outcome<Vec<u8>> {
    let mut changed = object.to_vec();
    for place in hidden(object, kept).map_err(|error| error.to_string())? {
        changed[place] |= macho::N_PEXT;
    }
    Ok(changed)
}

/// The places of the types of symbols to hide.
fn hidden(object: &[u8], kept: &str) -> object::Result<Vec<usize>> {
    let header = MachHeader64::<Endianness>::parse(object, 0)?;
    let endian = header.endian()?;
    let mut places = Vec::new();
    let mut commands = header.load_commands(endian, object, 0)?;
    while let Some(command) = commands.next()? {
        let LoadCommandVariant::Symtab(table) = command.variant()? else { continue };
        let symbols = table.symbols::<MachHeader64<Endianness>, _>(endian, object)?;
        for (at, symbol) in symbols.iter().enumerate() {
            if is_global(symbol, endian)
                && !symbol.name(endian, symbols.strings())?.starts_with(kept.as_bytes())
            {
                let size = pod::bytes_of(symbol).len();
                // The type is the byte after the 32-bit index of the name.
                places.push(table.symoff.get(endian) as usize + at * size + 4);
            }
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use object::write::{MachOBuildVersion, Object, StandardSection, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};

    use super::*;

    fn object(platform: u32, minimum: u32, defined: &[&str], undefined: &[&str]) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::MachO, Architecture::Aarch64, Endianness::Little);
        let mut version = MachOBuildVersion::default();
        (version.platform, version.minos, version.sdk) = (platform, minimum << 16, minimum << 16);
        object.set_macho_build_version(version);
        let code = object.section_id(StandardSection::Text);
        let symbol = |name: &str, section, scope| Symbol {
            name: name.into(),
            value: 0,
            size: 4,
            kind: SymbolKind::Text,
            scope,
            weak: false,
            section,
            flags: SymbolFlags::None,
        };
        for name in defined {
            let id = object.add_symbol(symbol(name, SymbolSection::Section(code), SymbolScope::Dynamic));
            object.add_symbol_data(id, code, &[0; 4], 4);
        }
        for name in undefined {
            object.add_symbol(symbol(name, SymbolSection::Undefined, SymbolScope::Unknown));
        }
        object.write().unwrap()
    }

    fn archive(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut archive = b"!<arch>\n".to_vec();
        for (number, object) in objects.iter().enumerate() {
            let name = format!("{number}.o/");
            archive.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, object.len()).bytes(),
            );
            archive.extend(object);
            archive.resize(archive.len().next_multiple_of(2), b'\n');
        }
        archive
    }

    fn checked(objects: &[Vec<u8>]) -> Outcome {
        let wanted = Wanted {
            cpu: macho::CPU_TYPE_ARM64,
            platform: macho::PLATFORM_IOS,
            minimum: (13, 0),
            exports: &BTreeSet::from(["fw_one".to_owned(), "fw_two".to_owned()]),
            system: &SystemNames::parse("[libSystem]\nmalloc\n").unwrap(),
        };
        Facts::read(&archive(objects))?.check(&wanted)
    }

    const BOTH: &[&str] = &["fw_one", "fw_two"];

    #[test]
    fn library_for_ios_is_accepted() {
        assert_eq!(checked(&[object(macho::PLATFORM_IOS, 13, BOTH, &["malloc"])]), Ok(()));
    }

    #[test]
    fn other_platforms_and_newer_systems_are_refused() {
        let problem = checked(&[object(macho::PLATFORM_IOSSIMULATOR, 13, BOTH, &[])]).unwrap_err();
        assert_eq!(problem, "is for platform Some(7), not 2");
        let problem = checked(&[object(macho::PLATFORM_IOS, 15, BOTH, &[])]).unwrap_err();
        assert_eq!(problem, "needs version Some((15, 0)) of the system, not (13, 0)");
    }

    #[test]
    fn other_global_names_are_refused() {
        let names = ["fw_one", "fw_two", "rust_eh_personality"];
        let problem = checked(&[object(macho::PLATFORM_IOS, 13, &names, &[])]).unwrap_err();
        assert_eq!(problem, "has other global names: [\"rust_eh_personality\"]");
        let problem = checked(&[object(macho::PLATFORM_IOS, 13, &["fw_one"], &["other"])]).unwrap_err();
        assert!(problem.contains("does not define [\"fw_two\"]"), "{problem}");
        assert!(problem.contains("not in the list: {\"other\"}"), "{problem}");
        let two = [
            object(macho::PLATFORM_IOS, 13, &["fw_one"], &[]),
            object(macho::PLATFORM_IOS, 13, &["fw_two"], &[]),
        ];
        assert!(checked(&two).unwrap_err().contains("has 2 objects"));
    }

    #[test]
    fn all_but_kept_symbols_are_hidden() {
        let names = ["fw_one", "ring_core_add"];
        let hidden = hide(&object(macho::PLATFORM_IOS, 13, &names, &["malloc"]), "_fw_").unwrap();
        let header = MachHeader64::<Endianness>::parse(&*hidden, 0).unwrap();
        let mut commands = header.load_commands(Endianness::Little, &*hidden, 0).unwrap();
        let mut kinds = Vec::new();
        while let Some(command) = commands.next().unwrap() {
            let LoadCommandVariant::Symtab(table) = command.variant().unwrap() else { continue };
            let symbols = table.symbols::<MachHeader64<Endianness>, _>(Endianness::Little, &*hidden).unwrap();
            for symbol in symbols.iter() {
                let name = symbol.name(Endianness::Little, symbols.strings()).unwrap();
                kinds
                    .push((String::from_utf8_lossy(name).into_owned(), symbol.n_type() & macho::N_PEXT != 0));
            }
        }
        kinds.sort();
        let expected = [("_fw_one", false), ("_malloc", false), ("_ring_core_add", true)];
        assert_eq!(kinds, expected.map(|(name, is_hidden)| (name.to_owned(), is_hidden)));
    }
}
