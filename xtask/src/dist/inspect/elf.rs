//! Checks a shared library for Android.

use std::collections::BTreeSet;

use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Sym};
use object::{Endianness, FileKind};

use crate::dist::system_names::SystemNames;
use crate::run::Outcome;

/// What a library has to be.
pub struct Wanted<'a> {
    pub machine: u16,
    pub soname: &'a str,
    pub api_level: u32,
    pub exports: &'a BTreeSet<String>,
    pub system: &'a SystemNames,
}

/// What a file says about itself.
#[derive(Debug, Default)]
pub struct Facts {
    machine: u16,
    is_64_bit: bool,
    soname: Option<String>,
    pub needed: Vec<String>,
    has_search_path: bool,
    segments: Vec<Segment>,
    has_text_relocations: bool,
    has_thread_local_segment: bool,
    has_packed_relocations: bool,
    has_sysv_hash: bool,
    api_level: Option<u32>,
    exported: BTreeSet<String>,
    /// Names, and whether the reference is weak.
    undefined: Vec<(String, bool)>,
}

/// A part of the file that is mapped into memory.
#[derive(Debug)]
struct Segment {
    address: u64,
    offset: u64,
    alignment: u64,
    is_writable: bool,
    is_executable: bool,
}

/// Google Play requires this alignment of 64-bit libraries, for devices with pages of 16 KiB.
const PAGE_64_BIT: u64 = 16 * 1024;
const PAGE_32_BIT: u64 = 4 * 1024;

impl Facts {
    pub fn read(bytes: &[u8]) -> Outcome<Self> {
        match FileKind::parse(bytes) {
            Ok(FileKind::Elf32) => Self::of::<elf::FileHeader32<Endianness>>(bytes),
            Ok(FileKind::Elf64) => Self::of::<elf::FileHeader64<Endianness>>(bytes),
            other => return Err(format!("is not an ELF file: {other:?}")),
        }
        .map_err(|error| error.to_string())
    }

    fn of<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<Self> {
        let header = Elf::parse(bytes)?;
        let endian = header.endian()?;
        let mut facts =
            Self { machine: header.e_machine(endian), is_64_bit: header.is_type_64(), ..Self::default() };
        for segment in header.program_headers(endian, bytes)? {
            match segment.p_type(endian) {
                elf::PT_LOAD => facts.segments.push(Segment {
                    address: segment.p_vaddr(endian).into(),
                    offset: segment.p_offset(endian).into(),
                    alignment: segment.p_align(endian).into(),
                    is_writable: segment.p_flags(endian) & elf::PF_W != 0,
                    is_executable: segment.p_flags(endian) & elf::PF_X != 0,
                }),
                elf::PT_TLS => facts.has_thread_local_segment = true,
                elf::PT_NOTE => {
                    let Some(mut notes) = segment.notes(endian, bytes)? else { continue };
                    while let Some(note) = notes.next()? {
                        if note.name() == b"Android" && note.n_type(endian) == 1 {
                            let level = note.desc().first_chunk().copied();
                            facts.api_level = level.map(u32::from_le_bytes);
                        }
                    }
                }
                _ => {}
            }
        }
        let sections = header.sections(endian, bytes)?;
        if let Some((entries, strings)) = sections.dynamic(endian, bytes)? {
            let strings = sections.strings(endian, bytes, strings)?;
            for entry in entries {
                let text =
                    || entry.string(endian, strings).map(|text| String::from_utf8_lossy(text).into_owned());
                let value: u64 = entry.d_val(endian).into();
                match entry.tag32(endian).unwrap_or_default() {
                    elf::DT_NEEDED => facts.needed.push(text()?),
                    elf::DT_SONAME => facts.soname = Some(text()?),
                    elf::DT_RPATH | elf::DT_RUNPATH => facts.has_search_path = true,
                    elf::DT_TEXTREL => facts.has_text_relocations = true,
                    elf::DT_FLAGS if value & u64::from(elf::DF_TEXTREL) != 0 => {
                        facts.has_text_relocations = true
                    }
                    elf::DT_HASH => facts.has_sysv_hash = true,
                    DT_RELR | DT_ANDROID_RELR => facts.has_packed_relocations = true,
                    _ => {}
                }
            }
        }
        let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM)?;
        for symbol in symbols.iter().skip(1) {
            let name = String::from_utf8_lossy(symbol.name(endian, symbols.strings())?).into_owned();
            if symbol.is_undefined(endian) {
                facts.undefined.push((name, symbol.st_bind() == elf::STB_WEAK));
            } else if !symbol.is_local() {
                facts.exported.insert(name);
            }
        }
        Ok(facts)
    }

    /// Fails unless Android can load the library, on the oldest and the newest system, and it exports and needs only
    /// what it should.
    pub fn check(&self, wanted: &Wanted) -> Outcome {
        let mut faults = Vec::new();
        let mut fault = |is_fault: bool, text: String| {
            if is_fault {
                faults.push(text);
            }
        };
        fault(
            self.machine != wanted.machine,
            format!("is for machine {}, not {}", self.machine, wanted.machine),
        );
        fault(
            self.soname.as_deref() != Some(wanted.soname),
            format!("has the SONAME {:?}, not {}", self.soname, wanted.soname),
        );
        for needed in &self.needed {
            let is_public = wanted.system.libraries().any(|library| library == needed);
            fault(!is_public, format!("needs {needed}, which is not a public library of Android"));
        }
        fault(self.needed.is_empty(), "needs no library, not even libc.so".into());
        let page = if self.is_64_bit { PAGE_64_BIT } else { PAGE_32_BIT };
        fault(self.segments.is_empty(), "has no segments".into());
        for segment in &self.segments {
            let is_aligned = segment.alignment.is_power_of_two()
                && segment.alignment >= page
                && segment.address % page == segment.offset % page;
            fault(
                !is_aligned,
                format!(
                    "has a segment at {:#x} that is aligned to {:#x}, not to pages of {page:#x} bytes",
                    segment.address, segment.alignment
                ),
            );
            fault(
                segment.is_writable && segment.is_executable,
                format!("has a segment at {:#x} that is writable and executable", segment.address),
            );
        }
        fault(self.has_text_relocations, "has relocations in code (TEXTREL), which Android rejects".into());
        fault(self.has_thread_local_segment, "has a TLS segment, which needs API level 29".into());
        fault(self.has_packed_relocations, "has RELR relocations, which need API level 28".into());
        fault(!self.has_sysv_hash, "has no DT_HASH: DT_GNU_HASH alone needs API level 23".into());
        fault(self.has_search_path, "has a search path for libraries".into());
        fault(
            self.api_level != Some(wanted.api_level),
            format!("is for API level {:?}, not {}", self.api_level, wanted.api_level),
        );
        let foreign: Vec<&String> = self.exported.difference(wanted.exports).collect();
        let missing: Vec<&String> = wanted.exports.difference(&self.exported).collect();
        fault(!foreign.is_empty(), format!("exports {foreign:?}"));
        fault(!missing.is_empty(), format!("does not export {missing:?}"));
        faults.extend(
            wanted.system.cover(self.undefined.iter().map(|(name, is_weak)| (name.as_str(), *is_weak))).err(),
        );
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }
}

const DT_RELR: u32 = 36;
const DT_ANDROID_RELR: u32 = 0x6fff_e000;

/// With the C compiler of this machine, because a file for its CPU differs from one for Android in nothing that is
/// checked here.
#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::files;
    use crate::run::{command, quietly, scratch};

    const LIBRARY: &str = "
        extern int malloc(int);
        extern int getrandom(int) __attribute__((weak));
        int fw_one(int x) { return getrandom ? getrandom(x) : malloc(x); }
        struct note { int owner, content, type; char name[8]; int level; };
        __attribute__((section(\".note.android.ident\"), aligned(4), used))
        static const struct note ident = { 8, 4, 1, \"Android\", 21 };\n";

    const GOOD: &[&str] =
        &["-Wl,-soname,libframewire.so", "-Wl,-z,max-page-size=16384", "-Wl,--hash-style=both"];

    fn cc(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let (from, to) = (folder.join(format!("{name}.c")), folder.join(name));
        files::write(&from, source).unwrap();
        let mut cc = command("cc");
        cc.current_dir(folder).args(["-shared", "-fPIC", "-nostdlib"]).arg(&from).arg("-o").arg(&to);
        quietly(cc.args(flags)).unwrap();
        to
    }

    /// Builds a library against a stub of libc.so, and returns what the check says.
    fn checked(test: &str, more_source: &str, flags: &[&str]) -> Outcome {
        let folder = scratch("xtask/inspect-elf").unwrap().join(test);
        files::create_folder(&folder).unwrap();
        let stub = "int malloc(int x) { return x; } int getrandom(int x) { return x; } int vanished(void) { return 1; }";
        cc(&folder, "libc.so", stub, &["-Wl,-soname,libc.so"]);
        cc(&folder, "libother.so", "int other(void) { return 1; }", &["-Wl,-soname,libother.so"]);
        let source = format!("{LIBRARY}{more_source}");
        let library = cc(&folder, "library.so", &source, &[flags, &["libc.so"]].concat());
        let system = SystemNames::parse("[libc.so]\nmalloc\ngetrandom weak\n[libm.so]\n").unwrap();
        let exports = BTreeSet::from(["fw_one".to_owned()]);
        let wanted = Wanted {
            machine: elf::EM_X86_64,
            soname: "libframewire.so",
            api_level: 21,
            exports: &exports,
            system: &system,
        };
        Facts::read(&files::bytes(library).unwrap())?.check(&wanted)
    }

    fn fault(test: &str, more_source: &str, more_flags: &[&str]) -> String {
        checked(test, more_source, &[GOOD, more_flags].concat()).unwrap_err()
    }

    #[test]
    fn library_for_android_is_accepted() {
        assert_eq!(checked("good", "", GOOD), Ok(()));
    }

    #[test]
    fn segments_for_small_pages_are_refused() {
        let problem = fault("pages", "", &["-Wl,-z,max-page-size=4096"]);
        assert!(problem.contains("aligned to 0x1000, not to pages of 0x4000"), "{problem}");
    }

    #[test]
    fn libraries_and_names_of_other_systems_are_refused() {
        let problem = fault("needed", "extern int other(void); int (*use)(void) = other;", &["libother.so"]);
        assert!(problem.contains("needs libother.so, which is not a public library"), "{problem}");
        let problem = fault(
            "name",
            "extern int vanished(void); static int (*used)(void) __attribute__((used)) = vanished;",
            &[],
        );
        assert!(problem.contains("not in the list: {\"vanished\"}"), "{problem}");
    }

    #[test]
    fn other_exports_and_names_are_refused() {
        let problem = fault("export", "int rust_begin_unwind(void) { return 1; }", &[]);
        assert_eq!(problem, "exports [\"rust_begin_unwind\"]");
        let problem = fault("soname", "", &["-Wl,-soname,libframewire.so.0.2"]);
        assert!(problem.contains("has the SONAME Some(\"libframewire.so.0.2\")"), "{problem}");
        let problem = fault("rpath", "", &["-Wl,-rpath,/tmp"]);
        assert_eq!(problem, "has a search path for libraries");
    }

    #[test]
    fn what_old_systems_cannot_load_is_refused() {
        let problem = fault("hash", "", &["-Wl,--hash-style=gnu"]);
        assert!(problem.contains("has no DT_HASH"), "{problem}");
        let problem = fault(
            "tls",
            "__thread int mine; int *fw_two(void) { return &mine; }",
            &["-Wl,--unresolved-symbols=ignore-all"],
        );
        assert!(problem.contains("has a TLS segment"), "{problem}");
        let level = fault(
            "textrel",
            "extern int malloc(int); __asm__(\".text\\n.quad malloc\\n\");",
            &["-Wl,-z,notext"],
        );
        assert!(level.contains("TEXTREL"), "{level}");
    }
}
