//! Checks a static library for iOS, and hides its symbols.

use std::collections::BTreeSet;

use object::macho::{self, MachHeader64, Nlist64};
use object::read::archive::ArchiveFile;
use object::read::macho::{LoadCommandVariant, MachHeader, Nlist};
use object::{Endianness, Object, ObjectSection};

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
    /// The beginning of other names that are visible between the objects, and that no other library has.
    pub internal: &'a str,
    pub system: &'a SystemNames,
}

/// What the object files of an archive say about themselves.
#[derive(Debug, Default)]
pub struct Facts {
    objects: usize,
    built_for: BTreeSet<BuiltFor>,
    /// Names as in C, without the underscore that Mach-O adds.
    global: BTreeSet<String>,
    /// Visible to other objects, but not exported by an app.
    hidden: BTreeSet<String>,
    undefined: BTreeSet<String>,
}

/// What an object file is for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct BuiltFor {
    cpu: u32,
    platform: Option<u32>,
    minimum: Option<(u32, u32)>,
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
        let Self { global, hidden, undefined, .. } = &mut facts;
        undefined.retain(|name| !global.contains(name) && !hidden.contains(name));
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
                            let is_hidden = symbol.n_type() & macho::N_PEXT != 0;
                            let names = if is_hidden { &mut self.hidden } else { &mut self.global };
                            names.insert(name);
                        } else if symbol.is_undefined() && symbol.n_type() & macho::N_EXT != 0 {
                            self.undefined.insert(name);
                        }
                    }
                }
                _ => {}
            }
        }
        self.built_for.insert(BuiltFor { cpu: header.cputype(endian), platform, minimum });
        Ok(())
    }

    /// Fails unless an app for this platform can link the library together with any other.
    pub fn check(&self, wanted: &Wanted) -> Outcome {
        let mut faults = Vec::new();
        if self.objects == 0 {
            faults.push("contains no objects".into());
        }
        for BuiltFor { cpu, platform, minimum } in &self.built_for {
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
        let shared = self.hidden.iter().filter(|name| !name.starts_with(wanted.internal));
        let foreign: Vec<&String> = self.global.difference(wanted.exports).chain(shared).collect();
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

/// The global symbols that an object defines, by their names in the file, without those that begin with `kept`.
pub fn internal(object: &[u8], kept: &str) -> Outcome<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    each_symbol(object, |_, symbol, endian, name| {
        if is_global(symbol, endian) && !name.starts_with(kept.as_bytes()) {
            names.insert(name.to_vec());
        }
    })
    .map_err(|error| error.to_string())?;
    Ok(names)
}

/// Puts `prefix` before these names, in definitions and references, and hides the definitions: no other library has
/// such names, and an app does not export them. Returns the changed object; its code and unwind tables stay as they are.
///
/// A linker could merge the objects and make the names local instead. Without Xcode there is none that keeps the unwind
/// tables: zig loses them, and lld does not merge.
pub fn rename(object: &[u8], names: &BTreeSet<Vec<u8>>, prefix: &str) -> Outcome<Vec<u8>> {
    renamed(object, names, prefix).map_err(|error| error.to_string())
}

fn renamed(object: &[u8], names: &BTreeSet<Vec<u8>>, prefix: &str) -> object::Result<Vec<u8>> {
    let mut changed = object.to_vec();
    let table = symbol_table(object)?;
    // The names go to the end of the file, because nothing else can grow.
    let strings = table.stroff as usize..(table.stroff + table.strsize) as usize;
    let mut strings = object.get(strings).unwrap_or_default().to_vec();
    each_symbol(object, |place, symbol, endian, name| {
        if symbol.n_type() & macho::N_EXT == 0 || !names.contains(name) {
            return;
        }
        let at = strings.len() as u32;
        strings.extend(prefix.bytes().chain(name.iter().copied()).chain([0]));
        changed[place..place + 4].copy_from_slice(&at.to_le_bytes());
        if is_global(symbol, endian) {
            // The type is after the index of the name.
            changed[place + 4] |= macho::N_PEXT;
        }
    })?;
    changed.resize(changed.len().next_multiple_of(8), 0);
    let begin = changed.len() as u32;
    let size = strings.len() as u32;
    changed.extend(strings);
    changed.resize(changed.len().next_multiple_of(8), 0);
    for (place, value) in [(table.place + 16, begin), (table.place + 20, size)] {
        changed[place..place + 4].copy_from_slice(&value.to_le_bytes());
    }
    Ok(changed)
}

/// The load command `LC_SYMTAB`, and its place.
struct Table {
    place: usize,
    symoff: u32,
    stroff: u32,
    strsize: u32,
}

fn symbol_table(object: &[u8]) -> object::Result<Table> {
    let header = MachHeader64::<Endianness>::parse(object, 0)?;
    let endian = header.endian()?;
    let mut place = size_of::<MachHeader64<Endianness>>();
    let mut commands = header.load_commands(endian, object, 0)?;
    while let Some(command) = commands.next()? {
        if let LoadCommandVariant::Symtab(table) = command.variant()? {
            let [symoff, stroff, strsize] =
                [table.symoff, table.stroff, table.strsize].map(|value| value.get(endian));
            return Ok(Table { place, symoff, stroff, strsize });
        }
        place += command.cmdsize() as usize;
    }
    Ok(Table { place: 0, symoff: 0, stroff: 0, strsize: 0 })
}

/// Calls `visit` with the place, the symbol and the name of each symbol.
fn each_symbol(
    object: &[u8],
    mut visit: impl FnMut(usize, &Nlist64<Endianness>, Endianness, &[u8]),
) -> object::Result<()> {
    let header = MachHeader64::<Endianness>::parse(object, 0)?;
    let endian = header.endian()?;
    let first = symbol_table(object)?.symoff as usize;
    let mut commands = header.load_commands(endian, object, 0)?;
    while let Some(command) = commands.next()? {
        let LoadCommandVariant::Symtab(table) = command.variant()? else { continue };
        let symbols = table.symbols::<MachHeader64<Endianness>, _>(endian, object)?;
        for (at, symbol) in symbols.iter().enumerate() {
            let name = symbol.name(endian, symbols.strings())?;
            visit(first + at * size_of::<Nlist64<Endianness>>(), symbol, endian, name);
        }
    }
    Ok(())
}

/// The number of functions of a linked program that catch panics or run destructors while unwinding: those with an
/// entry for that in `__unwind_info`.
pub fn functions_that_catch(program: &[u8]) -> Outcome<u32> {
    let file = object::File::parse(program).map_err(|error| error.to_string())?;
    let section = file.section_by_name("__unwind_info").ok_or("the program has no __unwind_info")?;
    let data = section.data().map_err(|error| error.to_string())?;
    let word = |at: usize| -> Outcome<u32> {
        let bytes = data.get(at..).and_then(|rest| rest.first_chunk()).ok_or("__unwind_info is too short")?;
        Ok(u32::from_le_bytes(*bytes))
    };
    // The index has the place of the first such entry for each page of functions; its last entry has the end.
    let (index, count) = (word(20)? as usize, word(24)? as usize);
    let entry = |number: usize| word(index + number * 12 + 8);
    Ok((entry(count.saturating_sub(1))? - entry(0)?) / 8)
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
            internal: "fw_internal_",
            system: &SystemNames::parse("[libSystem]\nmalloc\n").unwrap(),
        };
        Facts::read(&archive(objects))?.check(&wanted)
    }

    const BOTH: [&str; 2] = ["fw_one", "fw_two"];

    #[test]
    fn library_for_ios_is_accepted() {
        assert_eq!(checked(&[object(macho::PLATFORM_IOS, 13, &BOTH, &["malloc"])]), Ok(()));
    }

    #[test]
    fn other_platforms_and_newer_systems_are_refused() {
        let problem = checked(&[object(macho::PLATFORM_IOSSIMULATOR, 13, &BOTH, &[])]).unwrap_err();
        assert_eq!(problem, "is for platform Some(7), not 2");
        let problem = checked(&[object(macho::PLATFORM_IOS, 15, &BOTH, &[])]).unwrap_err();
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
    }

    #[test]
    fn internal_names_get_a_prefix_in_definitions_and_references() {
        let one = object(macho::PLATFORM_IOS, 13, &["fw_one", "ring_core_add"], &["malloc"]);
        let two = object(macho::PLATFORM_IOS, 13, &["fw_two"], &["ring_core_add"]);
        let names = internal(&one, "_fw_").unwrap();
        assert_eq!(names, BTreeSet::from([b"_ring_core_add".to_vec()]));
        let changed = [one, two].map(|object| rename(&object, &names, "_fw_internal").unwrap());
        let facts = Facts::read(&archive(&changed)).unwrap();
        assert_eq!(facts.global, BTreeSet::from(BOTH.map(str::to_owned)));
        assert_eq!(facts.hidden, BTreeSet::from(["fw_internal_ring_core_add".to_owned()]));
        // The reference has the new name.
        assert_eq!(facts.undefined, BTreeSet::from(["malloc".to_owned()]));
        assert_eq!(checked(&changed), Ok(()));
    }
}
