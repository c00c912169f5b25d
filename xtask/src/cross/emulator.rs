//! Compiles programs for other systems and CPUs, and runs them under emulators.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::WARNINGS;
use crate::dist;
use crate::dist::targets::Target;
use crate::dist::tools::{self, MINGW_GCC};
use crate::files;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};

pub struct Emulator {
    /// What selects it on the command line.
    pub name: &'static str,
    /// What it is, in results.
    pub title: &'static str,
    pub triple: &'static str,
    kind: Kind,
    /// Programs that cannot run under it, with the reasons.
    pub unsupported: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Native,
    Qemu,
    Wine,
    /// The static library for Android, in programs for Linux.
    Android {
        qemu: bool,
    },
}

pub const EMULATORS: &[Emulator] = &[
    // No emulator: tests the release library for this machine, which other tests do not build.
    Emulator { name: "native", title: "native", triple: LINUX, kind: Kind::Native, unsupported: &[] },
    Emulator { name: "qemu", title: "QEMU", triple: LINUX_ARM, kind: Kind::Qemu, unsupported: &[] },
    Emulator {
        name: "wine",
        title: "Wine",
        triple: "x86_64-pc-windows-gnu",
        kind: Kind::Wine,
        unsupported: &[
            ("alloc_count", "a Windows DLL does not use the malloc of the program"),
            ("out_of_memory", "it uses fork, which Windows does not have"),
            ("shutdown", "it uses /proc and posix_memalign, which Windows does not have"),
        ],
    },
    Emulator {
        name: ANDROID,
        title: "Android code on Linux, QEMU",
        triple: "aarch64-linux-android",
        kind: Kind::Android { qemu: true },
        unsupported: &[],
    },
    Emulator {
        name: ANDROID,
        title: "Android code on Linux",
        triple: "x86_64-linux-android",
        kind: Kind::Android { qemu: false },
        unsupported: &[],
    },
];

pub const ANDROID: &str = "android";

/// Functions of Android's C library that differ from those of glibc: `tests/android/bionic.c` has them with the
/// prefix `bionic_`.
const DIFFERENT: &[&str] = &[
    "freeaddrinfo",
    "gai_strerror",
    "getaddrinfo",
    "pthread_attr_destroy",
    "pthread_attr_init",
    "pthread_attr_setstacksize",
    "pthread_create",
    "pthread_getspecific",
    "pthread_key_create",
    "pthread_key_delete",
    "pthread_setspecific",
    "strerror_r",
    "sysconf",
];

const LINUX: &str = "x86_64-unknown-linux-gnu";
const LINUX_ARM: &str = "aarch64-unknown-linux-gnu";

const ARM_GCC: &str = "aarch64-linux-gnu-gcc";
const QEMU: &str = "qemu-aarch64-static";

/// An emulator and the library that it loads.
pub struct Runner {
    pub emulator: &'static Emulator,
    /// Contains the library and the programs.
    folder: PathBuf,
    /// The static library of the release, and the system libraries that it needs.
    archive: PathBuf,
    libraries: String,
}

impl Emulator {
    /// Installs missing tools and builds the release library.
    pub fn prepare(&'static self) -> Outcome<Runner> {
        let folder = scratch("cross")?.join(self.triple);
        files::create_folder(&folder)?;
        let target = Target::find(self.triple)?;
        match self.kind {
            Kind::Native | Kind::Android { qemu: false } => ensure("cc", &["gcc", "libc6-dev"])?,
            Kind::Qemu | Kind::Android { qemu: true } => {
                ensure(ARM_GCC, &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
                ensure(QEMU, &["qemu-user-static"])?;
            }
            Kind::Wine => ensure("wine", &["wine", "wine64"])?,
        }
        let built = dist::library(target)?;
        if self.is_android() {
            let archive = for_linux(&dist::slim_archive(target, &built)?, &folder)?;
            return Ok(Runner { emulator: self, folder, archive, libraries: "-lgcc_eh -ldl".into() });
        }
        files::copy(&built.library, folder.join(target.library_name(dist::targets::Library::C)))?;
        if self.is_wine() {
            let import = built.library.with_file_name("libframewire.dll.a");
            files::copy(&import, folder.join("libframewire.dll.a"))?;
            random_numbers(&folder)?;
        }
        Ok(Runner {
            emulator: self,
            folder,
            archive: dist::slim_archive(target, &built)?,
            libraries: built.system_libraries,
        })
    }

    fn is_wine(&self) -> bool {
        self.kind == Kind::Wine
    }

    pub fn is_android(&self) -> bool {
        matches!(self.kind, Kind::Android { .. })
    }

    fn is_qemu(&self) -> bool {
        matches!(self.kind, Kind::Qemu | Kind::Android { qemu: true })
    }
}

/// Copies the static library for Android, and redirects its calls to `tests/android/bionic.c`.
fn for_linux(archive: &Path, folder: &Path) -> Outcome<PathBuf> {
    ensure("llvm-objcopy-19", &["llvm-19"])?;
    let redirected = folder.join("libframewire.a");
    let mut objcopy = command("llvm-objcopy-19");
    for name in DIFFERENT {
        objcopy.arg(format!("--redefine-sym={name}=bionic_{name}"));
    }
    quietly(objcopy.arg(archive).arg(&redirected))?;
    Ok(redirected)
}

impl Runner {
    /// Compiles with the shared library, or for Android, whose shared library only Android loads, with the static one.
    pub fn compile(&self, source: &Path) -> Outcome<PathBuf> {
        if self.emulator.is_android() {
            return self.compile_statically(source);
        }
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let (mut cc, program) = self.compiler(source, &name);
        cc.arg("-L").arg(&self.folder).arg("-lframewire");
        self.link(cc, program)
    }

    /// Compiles with the static library.
    pub fn compile_statically(&self, source: &Path) -> Outcome<PathBuf> {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let (mut cc, program) = self.compiler(source, &format!("{name}-static"));
        cc.arg(&self.archive).args(self.libraries.split_whitespace());
        self.link(cc, program)
    }

    /// Compiles a program with the static library and another one written in Rust, both loaded completely. `None` if the
    /// static library has more global symbols than its functions.
    pub fn compile_with_another(&self) -> Option<Outcome<PathBuf>> {
        (!self.emulator.is_wine()).then(|| {
            let triple = if self.emulator.is_qemu() { LINUX_ARM } else { LINUX };
            let rustc = if self.emulator.is_qemu() { tools::rustc()? } else { "rustc".into() };
            let another = self.folder.join("libother.a");
            let mut build = command(rustc);
            build
                .args(["--edition=2024", "--crate-type=staticlib", "-O", "--target", triple, "-o"])
                .arg(&another);
            quietly(build.arg("tests/two_libraries/other.rs"))?;
            let (mut cc, program) =
                self.compiler(&root().join("tests/two_libraries/main.c"), "two_libraries");
            cc.arg("-Wl,--whole-archive").arg(&self.archive).arg(another).arg("-Wl,--no-whole-archive");
            cc.args(self.libraries.split_whitespace()).args(["-lgcc_s", "-ldl"]);
            self.link(cc, program)
        })
    }

    fn compiler(&self, source: &Path, name: &str) -> (Command, PathBuf) {
        let (compiler, suffix) = match self.emulator.kind {
            _ if self.emulator.is_qemu() => (ARM_GCC, ""),
            Kind::Wine => (MINGW_GCC, ".exe"),
            _ => ("cc", ""),
        };
        let program = self.folder.join(format!("{name}{suffix}"));
        let mut cc = command(compiler);
        cc.arg("-std=c11").args(WARNINGS).args(["-O1", "-g", "-D_GNU_SOURCE"]);
        if self.emulator.is_wine() {
            // For %zu, which the C library of Windows does not support.
            cc.arg("-D__USE_MINGW_ANSI_STDIO=1");
        }
        for folder in ["include", "tests/c"] {
            cc.arg("-I").arg(root().join(folder));
        }
        cc.arg(source).arg("-o").arg(&program);
        if self.emulator.is_android() {
            cc.arg(root().join("tests/android/bionic.c"));
        }
        (cc, program)
    }

    fn link(&self, mut cc: Command, program: PathBuf) -> Outcome<PathBuf> {
        if self.emulator.is_wine() {
            cc.args(["-static-libgcc", "-Wl,-Bstatic", "-lpthread", "-Wl,-Bdynamic"]);
        } else {
            cc.args(["-lpthread", "-lm"]);
        }
        quietly(&mut cc)?;
        Ok(program)
    }

    /// Creates a command that runs the program.
    pub fn command(&self, program: &Path) -> Command {
        if self.emulator.is_wine() {
            let mut wine = command("wine");
            let prefix = root().join("target/tools/wine");
            // Without wine's own warnings.
            wine.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env("WINEARCH", "win64");
            // Shows and installs nothing when it creates the prefix.
            wine.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
            wine.arg(program);
            return wine;
        }
        if !self.emulator.is_qemu() {
            let mut native = command(program);
            native.env("LD_LIBRARY_PATH", &self.folder);
            return native;
        }
        let mut qemu = command(QEMU);
        qemu.args(["-L", "/usr/aarch64-linux-gnu", "-E"]);
        qemu.arg(format!("LD_LIBRARY_PATH={}", self.folder.display()));
        qemu.arg(program);
        qemu
    }

    /// Returns the path of a file as the programs see it.
    pub fn path(&self, file: &Path) -> String {
        let path = file.display().to_string();
        if self.emulator.is_wine() { format!("Z:{}", path.replace('/', "\\")) } else { path }
    }
}

/// Builds the DLL that Rust's standard library gets random numbers from, which wine 8 does not have. For these
/// tests only.
fn random_numbers(folder: &Path) -> Outcome {
    let source = folder.join("bcryptprimitives.c");
    files::write(&source, RANDOM_NUMBERS)?;
    let mut cc = command(MINGW_GCC);
    cc.args(["-shared", "-O1"]).arg(&source).arg("-o").arg(folder.join("bcryptprimitives.dll"));
    quietly(cc.arg("-ladvapi32")).map(drop)
}

const RANDOM_NUMBERS: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG len);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T len)
{
    return SystemFunction036(data, (ULONG)len);
}
";
