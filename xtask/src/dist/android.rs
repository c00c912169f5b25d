//! Builds for Android, with the NDK or without.
//!
//! zig compiles and links for Android, but brings no C library for it. In its place, it gets the headers of musl, which
//! do for the C code of ring, and stubs of the libraries that every Android has ([`SystemNames`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSymbol};

use super::inspect::elf::{Facts, Wanted};
use super::symbols;
use super::system_names::{Name, SystemNames};
use super::targets::{Library, Target};
use super::toolchain::{self, Maker, Toolchain};
use crate::files;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};

/// Android 5.0. The same on all CPUs, as the first with 64 bits.
pub const API_LEVEL: u32 = 21;

/// The committed list of what the library may use of the system.
const NAMES: &str = "xtask/phones/bionic-api21.txt";

/// Names of one CPU in the tools.
struct Cpu {
    triple: &'static str,
    zig: &'static str,
    /// The folder of musl's headers for it.
    headers: &'static str,
    /// The emulation of the linker.
    linker: &'static str,
    /// The beginning of the NDK's compiler.
    ndk: &'static str,
    machine: u16,
}

const CPUS: &[Cpu] = &[
    Cpu {
        triple: "aarch64-linux-android",
        zig: "aarch64-linux-android",
        headers: "aarch64-linux-musl",
        linker: "aarch64linux",
        ndk: "aarch64-linux-android",
        machine: object::elf::EM_AARCH64,
    },
    Cpu {
        triple: "armv7-linux-androideabi",
        zig: "arm-linux-androideabi",
        headers: "arm-linux-musl",
        linker: "armelf_linux_eabi",
        ndk: "armv7a-linux-androideabi",
        machine: object::elf::EM_ARM,
    },
    Cpu {
        triple: "x86_64-linux-android",
        zig: "x86_64-linux-android",
        headers: "x86_64-linux-musl",
        linker: "elf_x86_64",
        ndk: "x86_64-linux-android",
        machine: object::elf::EM_X86_64,
    },
];

fn cpu(target: &Target) -> Outcome<&'static Cpu> {
    CPUS.iter()
        .find(|cpu| cpu.triple == target.triple)
        .ok_or_else(|| format!("{} is no target for Android", target.triple))
}

/// The NDK in `$ANDROID_NDK_HOME`, or zig.
pub fn toolchain(target: &Target) -> Outcome<Toolchain> {
    match std::env::var_os("ANDROID_NDK_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => ndk(Path::new(&folder), cpu(target)?),
        None => zig(cpu(target)?),
    }
}

fn ndk(folder: &Path, cpu: &Cpu) -> Outcome<Toolchain> {
    let properties = files::text(folder.join("source.properties"))
        .map_err(|error| format!("$ANDROID_NDK_HOME is not an NDK: {error}"))?;
    let revision = properties
        .lines()
        .find_map(|line| line.strip_prefix("Pkg.Revision")?.trim().strip_prefix('='))
        .ok_or("the NDK's source.properties has no Pkg.Revision")?;
    let hosts = files::list(folder.join("toolchains/llvm/prebuilt"))?;
    let programs = hosts.first().ok_or("the NDK has no programs for any host")?.join("bin");
    let cc = programs.join(format!("{}{API_LEVEL}-clang", cpu.ndk));
    if !cc.exists() {
        return Err(format!("the NDK {} has no {}", revision.trim(), cc.display()));
    }
    let ar = programs.join("llvm-ar");
    Ok(Toolchain {
        maker: Maker::Ndk(programs),
        name: format!("NDK {}", revision.trim()),
        cc: Some(cc),
        ar: Some(ar),
    })
}

fn zig(cpu: &Cpu) -> Outcome<Toolchain> {
    let zig = toolchain::zig_folder()?;
    let folder = scratch("tools/android")?.join(cpu.triple);
    files::create_folder(&folder)?;
    let headers = zig.join("lib/libc/include");
    // The headers of the CPU first: those for all have other sizes.
    let paths = format!(
        "include_dir={0}/{1}\nsys_include_dir={0}/generic-musl\ncrt_dir={2}\ncc_dir={2}\nmsvc_lib_dir=\n\
         kernel32_lib_dir=\ndarwin_sdk_dir=\n",
        headers.display(),
        cpu.headers,
        folder.display()
    );
    files::write(folder.join("libc.txt"), paths)?;
    let target = format!("-target {}.{API_LEVEL}", cpu.zig);
    let cc = folder.join("cc");
    // zig takes the target by its own name, and does not know the names of CPUs that rustc gives to linkers.
    let text = format!(
        "#!/bin/bash\nlink=1\nfor word; do test \"$word\" = -c && link=; done\nwords=()\nfor word; do\n    \
         case $link$word in\n    --target=* | 1--target=* | 1-march=* | 1-mthumb) ;;\n    \
         *) words+=(\"$word\") ;;\n    esac\ndone\n\
         ZIG_LIBC={0}/libc.txt exec {1} cc {target} -L{0} \"${{words[@]}}\"\n",
        folder.display(),
        zig.join("zig").display()
    );
    toolchain::script(&cc, &text)?;
    let ar = toolchain::zig_ar(&folder)?;
    // What the linker puts first and last.
    let compile = |source: &Path, object: &str| {
        let mut zig = command(&cc);
        zig.arg(format!("-DAPI_LEVEL={API_LEVEL}")).args(["-fPIC", "-O2", "-c"]).arg(source);
        quietly(zig.arg("-o").arg(folder.join(object))).map(drop)
    };
    compile(&root().join("xtask/phones/crtbegin_so.c"), "crtbegin_so.o")?;
    let empty = folder.join("empty.c");
    files::write(&empty, "")?;
    compile(&empty, "crtend_so.o")?;
    for (library, names) in &SystemNames::read(NAMES)?.0 {
        stub(&zig, cpu, &cc, &folder, library, names)?;
    }
    Ok(Toolchain { maker: Maker::Zig, name: toolchain::zig_name()?, cc: Some(cc), ar: Some(ar) })
}

/// Writes a library that defines these names, as a linker sees it: with the version that bionic gives to them.
fn stub(zig: &Path, cpu: &Cpu, cc: &Path, folder: &Path, library: &str, names: &[Name]) -> Outcome {
    let file = |end: &str| folder.join(format!("{library}.{end}"));
    let version = if library == "liblog.so" { "LIBLOG" } else { "LIBC" };
    let mut assembly = ".text\n".to_owned();
    let mut exported = String::new();
    for Name { name, is_variable, .. } in names {
        let kind = if *is_variable { "object" } else { "function" };
        assembly += &format!(".globl {name}\n.type {name}, %{kind}\n{name}:\n.byte 0\n.size {name}, 1\n");
        exported += &format!(" {name};");
    }
    files::write(file("S"), assembly)?;
    let script =
        if exported.is_empty() { String::new() } else { format!("{version} {{ global:{exported} }};\n") };
    files::write(file("map"), script)?;
    quietly(command(cc).arg("-c").arg(file("S")).arg("-o").arg(file("o")))?;
    let mut link = command(zig.join("zig"));
    link.args(["ld.lld", "-m", cpu.linker, "-shared", "-soname", library, "--hash-style=both"]);
    if !exported.is_empty() {
        link.arg(format!("--version-script={}", file("map").display()));
    }
    quietly(link.arg("-o").arg(folder.join(library)).arg(file("o"))).map(drop)
}

/// The options for the linker of a shared library.
pub fn link_options(name: &str) -> [String; 4] {
    [
        format!("-soname,{name}"),
        "-z,max-page-size=16384".into(),
        "--hash-style=both".into(),
        "--no-undefined".into(),
    ]
    .map(|option| format!("-Clink-arg=-Wl,{option}"))
}

/// Checks the shared library from its file.
pub fn check(target: &Target, library: Library, file: &Path) -> Outcome {
    let exports = match library {
        Library::C => symbols::declared()?,
        Library::Godot => BTreeSet::from([super::GODOT_ENTRY.to_owned()]),
    };
    let wanted = Wanted {
        machine: cpu(target)?.machine,
        soname: &target.library_name(library),
        api_level: API_LEVEL,
        exports: &exports,
        system: &SystemNames::read(NAMES)?,
    };
    let facts = Facts::read(&files::bytes(file)?)?;
    facts.check(&wanted).map_err(|problem| format!("{}: {problem}", file.display()))
}

/// What the check proved, for records.
pub const INSPECTED: &str = "exports, SONAME, NEEDED, names of API 21, pages of 16 KiB (64-bit), no TEXTREL";

pub fn needs(file: &Path) -> Outcome<String> {
    Ok(format!("Android 5.0, API {API_LEVEL} ({})", Facts::read(&files::bytes(file)?)?.needed.join(", ")))
}

/// Merges a static library into one object in which only the functions of the header are global.
pub fn merge(target: &Target, archive: &Path) -> Outcome<PathBuf> {
    let folder = scratch("dist/slim")?.join(target.triple);
    files::create_folder(&folder)?;
    let toolchain = Toolchain::of(target)?;
    let (mut link, objcopy) = match &toolchain.maker {
        Maker::Ndk(programs) => (command(programs.join("ld.lld")), programs.join("llvm-objcopy")),
        _ => {
            ensure("llvm-objcopy-19", &["llvm-19"])?;
            let mut link = command(toolchain::zig_folder()?.join("zig"));
            link.arg("ld.lld");
            (link, "llvm-objcopy-19".into())
        }
    };
    let name = files::name(archive);
    let (whole, object, merged) = (folder.join("whole.o"), folder.join("framewire.o"), folder.join(name));
    link.args(["-m", cpu(target)?.linker, "--relocatable", "--force-group-allocation", "--whole-archive"]);
    quietly(link.arg(archive).arg("-o").arg(&whole))?;
    let mut hide = command(objcopy);
    hide.args(["--strip-debug", "--remove-section=.llvmbc", "--remove-section=.llvmcmd", "--wildcard"]);
    quietly(hide.arg("--keep-global-symbol=fw_*").arg(&whole).arg(&object))?;
    files::remove(&merged)?;
    let ar = toolchain.ar.ok_or("there is no ar")?;
    quietly(command(ar).arg("rcsD").arg(&merged).arg(&object))?;
    Ok(merged)
}

/// Lists the global names that a static library defines.
pub fn global(archive: &Path) -> Outcome<Vec<String>> {
    let bytes = files::bytes(archive)?;
    let wrong = |error: object::Error| format!("{}: {error}", archive.display());
    let mut names = Vec::new();
    for member in ArchiveFile::parse(&*bytes).map_err(wrong)?.members() {
        let member = member.and_then(|member| member.data(&*bytes)).map_err(wrong)?;
        let file = object::File::parse(member).map_err(wrong)?;
        let symbols = file.symbols().filter(|symbol| symbol.is_global() && !symbol.is_undefined());
        names.extend(symbols.filter_map(|symbol| symbol.name().ok().map(str::to_owned)));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndk_is_named_by_its_revision() {
        let folder = scratch("xtask/ndk").unwrap();
        let programs = folder.join("toolchains/llvm/prebuilt/linux-x86_64/bin");
        files::create_folder(&programs).unwrap();
        files::write(
            folder.join("source.properties"),
            "Pkg.Desc = Android NDK\nPkg.Revision = 28.2.13676358\n",
        )
        .unwrap();
        let cpu = |triple: &str| CPUS.iter().find(|cpu| cpu.triple == triple).unwrap();
        files::write(programs.join("armv7a-linux-androideabi21-clang"), "").unwrap();
        let found = ndk(&folder, cpu("armv7-linux-androideabi")).unwrap();
        assert_eq!((found.name.as_str(), found.maker), ("NDK 28.2.13676358", Maker::Ndk(programs.clone())));
        assert_eq!(found.ar, Some(programs.join("llvm-ar")));
        let problem = ndk(&folder, cpu("x86_64-linux-android")).unwrap_err();
        assert!(problem.contains("has no") && problem.contains("x86_64-linux-android21-clang"), "{problem}");
        assert!(ndk(&programs, cpu("x86_64-linux-android")).unwrap_err().contains("is not an NDK"));
    }
}
