//! What runs programs of other systems and processors here, and how they are compiled.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::c::WARNINGS;
use crate::dist;
use crate::dist::targets::Target;
use crate::dist::tools::MINGW_GCC;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};

pub struct Emulator {
    pub name: &'static str,
    pub triple: &'static str,
    /// Programs that cannot run under it, and why.
    pub lacks: &'static [(&'static str, &'static str)],
}

pub const EMULATORS: &[Emulator] = &[
    Emulator { name: "qemu", triple: "aarch64-unknown-linux-gnu", lacks: &[] },
    Emulator { name: "wine", triple: "x86_64-pc-windows-gnu", lacks: &[] },
];

const ARM_GCC: &str = "aarch64-linux-gnu-gcc";
const QEMU: &str = "qemu-aarch64-static";

/// An emulator with the library that it is to load.
pub struct Runner {
    pub emulator: &'static Emulator,
    /// The library, and beside it the programs.
    folder: PathBuf,
}

impl Emulator {
    /// Installs what is missing and builds the library as it is shipped.
    pub fn prepare(&'static self) -> Outcome<Runner> {
        let folder = scratch("cross")?.join(self.triple);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let target = Target::find(self.triple)?;
        if self.is_wine() {
            ensure("wine", &["wine", "wine64"])?;
        } else {
            ensure(ARM_GCC, &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
            ensure(QEMU, &["qemu-user-static"])?;
        }
        let built = dist::library(target)?;
        crate::install::put(&built.shared, &folder, &target.shared_name(dist::targets::Library::C))?;
        if self.is_wine() {
            let import = built.shared.with_file_name("libframewire.dll.a");
            crate::install::put(&import, &folder, "libframewire.dll.a")?;
            random_numbers(&folder)?;
        }
        Ok(Runner { emulator: self, folder })
    }

    fn is_wine(&self) -> bool {
        self.name == "wine"
    }
}

impl Runner {
    pub fn compile(&self, source: &Path) -> Outcome<PathBuf> {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let is_wine = self.emulator.is_wine();
        let program = self.folder.join(if is_wine { format!("{name}.exe") } else { name.into_owned() });
        let mut cc = command(if is_wine { MINGW_GCC } else { ARM_GCC });
        cc.arg("-std=c11").args(WARNINGS).args(["-O1", "-g", "-D_GNU_SOURCE"]);
        if is_wine {
            // The C library of Windows does not know %zu, mingw's own does.
            cc.arg("-D__USE_MINGW_ANSI_STDIO=1");
        }
        for folder in ["include", "tests/c"] {
            cc.arg("-I").arg(root().join(folder));
        }
        cc.arg(source).arg("-o").arg(&program).arg("-L").arg(&self.folder).arg("-lframewire");
        if is_wine {
            cc.args(["-static-libgcc", "-Wl,-Bstatic", "-lpthread", "-Wl,-Bdynamic"]);
        } else {
            cc.args(["-lpthread", "-lm"]);
        }
        quietly(&mut cc)?;
        Ok(program)
    }

    /// Begins a command that runs the program.
    pub fn command(&self, program: &Path) -> Command {
        if self.emulator.is_wine() {
            let mut wine = command("wine");
            let prefix = root().join("target/tools/wine");
            // Its own chatter about what it lacks is not the program's.
            wine.env("WINEPREFIX", prefix).env("WINEDEBUG", "-all").env("WINEARCH", "win64");
            // Nothing is to be shown or installed when the prefix is made.
            wine.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
            wine.arg(program);
            return wine;
        }
        let mut qemu = command(QEMU);
        qemu.args(["-L", "/usr/aarch64-linux-gnu", "-E"]);
        qemu.arg(format!("LD_LIBRARY_PATH={}", self.folder.display()));
        qemu.arg(program);
        qemu
    }

    /// How programs there name a file of here.
    pub fn path(&self, file: &Path) -> String {
        let path = file.display().to_string();
        if self.emulator.is_wine() { format!("Z:{}", path.replace('/', "\\")) } else { path }
    }
}

/// wine 8 lacks the library that Rust's standard library takes its random numbers from since
/// Windows 7 is gone. This one lies beside the tests, and is never shipped.
fn random_numbers(folder: &Path) -> Outcome {
    let source = folder.join("bcryptprimitives.c");
    std::fs::write(&source, RANDOM_NUMBERS).map_err(|error| format!("{}: {error}", source.display()))?;
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
