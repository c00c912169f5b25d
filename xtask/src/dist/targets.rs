//! The targets of a release, and how each is built on x86-64 Linux.

use std::path::PathBuf;
use std::process::Command;

use super::toolchain::Toolchain;
use super::tools::{self, Tools};
use super::{android, ios};
use crate::run::{Outcome, command, quietly, root, scratch};

/// The newest version of glibc that may be required: that of CentOS 7 and the oldest Steam runtimes.
pub const GLIBC: (u32, u32) = (2, 17);
/// The first macOS that runs on ARM.
const MACOS: &str = "11.0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Linux,
    Windows,
    MacOs,
    Android,
    Ios,
}

#[derive(Debug)]
pub struct Target {
    pub triple: &'static str,
    pub system: System,
    /// Uses the standard library of the toolchain; the others need one from elsewhere.
    is_native: bool,
    /// The path of the library in the Unity package, if it is there.
    pub unity: Option<&'static str>,
    /// The folder in the Godot addon.
    pub godot: &'static str,
}

pub const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-unknown-linux-gnu",
        system: System::Linux,
        is_native: true,
        unity: Some("Runtime/Plugins/linux-x86_64/libframewire.so"),
        godot: "linux.x86_64",
    },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        system: System::Linux,
        is_native: false,
        unity: Some("Runtime/Plugins/linux-arm64/libframewire.so"),
        godot: "linux.arm64",
    },
    Target {
        triple: "x86_64-pc-windows-gnu",
        system: System::Windows,
        is_native: false,
        unity: Some("Runtime/Plugins/windows-x86_64/framewire.dll"),
        godot: "windows.x86_64",
    },
    // Both macOS targets share a universal library.
    Target {
        triple: "aarch64-apple-darwin",
        system: System::MacOs,
        is_native: false,
        unity: Some("Runtime/Plugins/macos/libframewire.dylib"),
        godot: "macos",
    },
    Target {
        triple: "x86_64-apple-darwin",
        system: System::MacOs,
        is_native: false,
        unity: Some("Runtime/Plugins/macos/libframewire.dylib"),
        godot: "macos",
    },
    Target {
        triple: "aarch64-linux-android",
        system: System::Android,
        is_native: false,
        unity: Some("Runtime/Plugins/android-arm64/libframewire.so"),
        godot: "android.arm64",
    },
    Target {
        triple: "armv7-linux-androideabi",
        system: System::Android,
        is_native: false,
        unity: Some("Runtime/Plugins/android-armv7/libframewire.so"),
        godot: "android.arm32",
    },
    Target {
        triple: "x86_64-linux-android",
        system: System::Android,
        is_native: false,
        unity: Some("Runtime/Plugins/android-x86_64/libframewire.so"),
        godot: "android.x86_64",
    },
    Target {
        triple: "aarch64-apple-ios",
        system: System::Ios,
        is_native: false,
        unity: Some("Runtime/Plugins/ios/libframewire.a"),
        godot: "ios",
    },
    // The same CPU as the device, so both cannot be in one file: an xcframework contains two.
    Target {
        triple: "aarch64-apple-ios-sim",
        system: System::Ios,
        is_native: false,
        unity: None,
        godot: "ios",
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
    /// The file that packages contain: the shared library, or for iOS the static one.
    pub library: PathBuf,
    /// The static library as cargo built it; `None` for the Godot extension.
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

    /// The file name of the library in packages.
    pub fn library_name(&self, library: Library) -> String {
        let name = match library {
            Library::C => "framewire",
            Library::Godot => "framewire_godot",
        };
        match self.system {
            System::Linux | System::Android => format!("lib{name}.so"),
            System::Windows => format!("{name}.dll"),
            System::MacOs => format!("lib{name}.dylib"),
            System::Ios => format!("lib{name}.a"),
        }
    }

    /// The size of pointers.
    pub fn pointer_bytes(&self) -> usize {
        if self.triple.starts_with("armv7") { 4 } else { 8 }
    }

    pub fn is_phone(&self) -> bool {
        matches!(self.system, System::Android | System::Ios)
    }

    /// Names what compiles the C code and links, with its version.
    pub fn built_by(&self) -> Outcome<String> {
        match self.system {
            System::Android | System::Ios => Ok(Toolchain::of(self)?.name),
            System::Linux | System::MacOs => super::toolchain::zig_name(),
            System::Windows => {
                let version = quietly(command(tools::MINGW_GCC).arg("-dumpfullversion"))?;
                Ok(format!("mingw-w64 gcc {}", version.trim()))
            }
        }
    }

    /// Installs the tools for this target, or returns why that is not possible.
    pub fn tools(&self) -> Outcome<Tools> {
        let is_installed = self.is_native || self.is_phone() && tools::has_std(self.triple);
        let rustc = if is_installed { None } else { Some(tools::rustc()?) };
        let zig = match self.system {
            System::Android | System::Ios => None,
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
            Library::C => build.args(["--package", "framewire"]),
            Library::Godot => build.current_dir(root().join("bindings/godot")),
        };
        build.args(match (self.system, library) {
            (System::Ios, _) => ["--crate-type", "staticlib"],
            (_, Library::C) => ["--crate-type", "cdylib,staticlib"],
            (_, Library::Godot) => ["--crate-type", "cdylib"],
        });
        build.args(["--", "--print", "native-static-libs"]);
        let name = self.library_name(library);
        match self.system {
            System::MacOs => {
                build.arg(format!("-Clink-arg=-Wl,-install_name,@rpath/{name}"));
                // Stripped by the linker, because rustc would call a tool of Apple.
                build.arg("-Clink-arg=-Wl,-S").arg("-Clink-arg=-Wl,-x");
            }
            System::Linux | System::Windows => drop(build.arg("-Cstrip=symbols")),
            System::Android => drop(build.arg("-Cstrip=symbols").args(android::link_options(&name))),
            System::Ios => {}
        }
        let output = build.output().map_err(|error| format!("{build:?}: {error}"))?;
        let printed = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{}: {}\n{printed}", self.triple, output.status));
        }
        let system_libraries = crate::install::system_libraries(&printed).unwrap_or_default();
        let release = folder.join(self.triple).join("release");
        let archive = (library == Library::C).then(|| release.join("libframewire.a"));
        Ok(Built { library: release.join(name), archive, system_libraries })
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
            System::Android | System::Ios => {
                cargo.args(["--target", self.triple]);
                if tools.rustc.is_some() {
                    cargo.args(tools::STD_FROM_SOURCE).env("RUSTC_BOOTSTRAP", "1");
                }
                let toolchain = Toolchain::of(self)?;
                toolchain.set(&mut cargo, self.triple);
                if self.system == System::Ios {
                    ios::set(self, &toolchain, &mut cargo)?;
                }
            }
        }
        Ok(cargo)
    }
}
