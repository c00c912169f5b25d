//! The targets of a release, and how each is built on x86-64 Linux.

use std::path::PathBuf;
use std::process::Command;

use super::tools::{self, Tools};
use crate::run::{Outcome, command, root, scratch};

/// The newest version of glibc that may be required: that of CentOS 7 and the oldest Steam runtimes.
pub const GLIBC: (u32, u32) = (2, 17);
/// The first macOS that runs on ARM.
const MACOS: &str = "11.0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Linux,
    Windows,
    MacOs,
}

#[derive(Debug)]
pub struct Target {
    pub triple: &'static str,
    pub system: System,
    /// Uses the standard library of the toolchain; the others need one from elsewhere.
    is_native: bool,
    /// The path of the library in the Unity package.
    pub unity: &'static str,
    /// The folder in the Godot addon.
    pub godot: &'static str,
}

pub const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-unknown-linux-gnu",
        system: System::Linux,
        is_native: true,
        unity: "Runtime/Plugins/linux-x86_64/libframewire.so",
        godot: "linux.x86_64",
    },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        system: System::Linux,
        is_native: false,
        unity: "Runtime/Plugins/linux-arm64/libframewire.so",
        godot: "linux.arm64",
    },
    Target {
        triple: "x86_64-pc-windows-gnu",
        system: System::Windows,
        is_native: false,
        unity: "Runtime/Plugins/windows-x86_64/framewire.dll",
        godot: "windows.x86_64",
    },
    // Both macOS targets share a universal library.
    Target {
        triple: "aarch64-apple-darwin",
        system: System::MacOs,
        is_native: false,
        unity: "Runtime/Plugins/macos/libframewire.dylib",
        godot: "macos",
    },
    Target {
        triple: "x86_64-apple-darwin",
        system: System::MacOs,
        is_native: false,
        unity: "Runtime/Plugins/macos/libframewire.dylib",
        godot: "macos",
    },
];

/// The library with the C ABI, or the Godot extension.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Library {
    C,
    Godot,
}

/// The output of a build.
pub struct Built {
    pub shared: PathBuf,
    /// `None` for the Godot extension.
    pub archive: Option<PathBuf>,
    /// What a program links in addition to the static library, such as `-lm -lc`.
    pub system_libraries: String,
}

impl Target {
    pub fn find(triple: &str) -> Outcome<&'static Target> {
        TARGETS.iter().find(|target| target.triple == triple).ok_or_else(|| {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.triple).collect();
            format!("{triple} is not one of {}", known.join(", "))
        })
    }

    pub fn shared_name(&self, library: Library) -> String {
        let name = match library {
            Library::C => "framewire",
            Library::Godot => "framewire_godot",
        };
        match self.system {
            System::Linux => format!("lib{name}.so"),
            System::Windows => format!("{name}.dll"),
            System::MacOs => format!("lib{name}.dylib"),
        }
    }

    /// Installs the tools for this target, or returns why that is not possible.
    pub fn tools(&self) -> Outcome<Tools> {
        let rustc = if self.is_native { None } else { Some(tools::rustc()?) };
        let zig = match self.system {
            System::Linux | System::MacOs => Some(tools::zig()?),
            System::Windows => {
                tools::mingw()?;
                None
            }
        };
        Ok(Tools { rustc, zig })
    }

    pub fn build(&self, library: Library) -> Outcome<Built> {
        // In separate folders: the Godot extension depends on the library without the C functions, which would
        // overwrite the other one.
        let folder = scratch(match library {
            Library::C => "dist/build",
            Library::Godot => "dist/build-godot",
        })?;
        let mut build = self.cargo(&self.tools()?, "rustc")?;
        build.args(["--release", "--lib", "--target-dir"]).arg(&folder);
        match library {
            Library::C => build.args(["--package", "framewire", "--crate-type", "cdylib,staticlib"]),
            Library::Godot => build.current_dir(root().join("bindings/godot")),
        };
        build.args(["--", "--print", "native-static-libs"]);
        match self.system {
            System::MacOs => {
                let name = self.shared_name(library);
                build.arg(format!("-Clink-arg=-Wl,-install_name,@rpath/{name}"));
                // Stripped by the linker, because rustc would call a tool of Apple.
                build.arg("-Clink-arg=-Wl,-S").arg("-Clink-arg=-Wl,-x");
            }
            System::Linux | System::Windows => drop(build.arg("-Cstrip=symbols")),
        }
        let output = build.output().map_err(|error| format!("{build:?}: {error}"))?;
        let printed = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{}: {}\n{printed}", self.triple, output.status));
        }
        let system_libraries = crate::install::system_libraries(&printed).unwrap_or_default();
        let release = folder.join(self.triple).join("release");
        let archive = (library == Library::C).then(|| release.join("libframewire.a"));
        Ok(Built { shared: release.join(self.shared_name(library)), archive, system_libraries })
    }

    /// Creates a cargo command that compiles and links for this target.
    fn cargo(&self, tools: &Tools, subcommand: &str) -> Outcome<Command> {
        let mut cargo = match &tools.zig {
            Some(zig) => {
                let mut cargo = command(zig.join("bin/cargo-zigbuild"));
                let path = std::env::var("PATH").unwrap_or_default();
                cargo.arg(subcommand).env("PATH", format!("{}:{path}", zig.join("bin").display()));
                cargo
            }
            None => {
                let mut cargo = crate::run::cargo();
                cargo.arg(subcommand);
                cargo
            }
        };
        if let Some(rustc) = &tools.rustc {
            cargo.env("RUSTC", rustc);
        }
        match self.system {
            System::Linux => {
                cargo.args(["--target", &format!("{}.{}.{}", self.triple, GLIBC.0, GLIBC.1)]);
            }
            System::Windows => {
                cargo.args(["--target", self.triple]).args(tools::STD_FROM_SOURCE);
                cargo
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", tools::MINGW_GCC)
                    .env("CC_x86_64_pc_windows_gnu", tools::MINGW_GCC);
            }
            System::MacOs => {
                cargo.args(["--target", self.triple]).args(tools::STD_FROM_SOURCE);
                let flags = format!("-Lframework={}", tools::frameworks()?.display());
                let variable = self.triple.to_uppercase().replace('-', "_");
                cargo
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("MACOSX_DEPLOYMENT_TARGET", MACOS)
                    .env("CARGO_PROFILE_RELEASE_STRIP", "none")
                    .env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), flags);
            }
        }
        Ok(cargo)
    }
}
