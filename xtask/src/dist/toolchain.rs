//! The C compilers and linkers for phones: those of the NDK and of Xcode where they are installed, and otherwise zig,
//! with stubs in place of the system's libraries.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::targets::{System, Target};
use super::{android, ios, tools};
use crate::files;
use crate::run::{Outcome, command, quietly};

/// Programs that compile C and link for one target, and what they are called in records.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub maker: Maker,
    /// Name and version, such as "NDK 28.2.13676358".
    pub name: String,
    /// `None`: the build scripts and rustc find it themselves, as Xcode.
    pub cc: Option<PathBuf>,
    pub ar: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The folder of its programs.
    Ndk(PathBuf),
    Xcode,
    Zig,
}

impl Toolchain {
    pub fn of(target: &Target) -> Outcome<Self> {
        match target.system {
            System::Android => android::toolchain(target),
            System::Ios => ios::toolchain(target),
            _ => Err(format!("{} is not a target for phones", target.triple)),
        }
    }

    /// Sets it in the environment of cargo, for rustc, for build scripts that compile C, and for the linker.
    pub fn set(&self, cargo: &mut Command, triple: &str) {
        let lower = triple.replace('-', "_");
        if let Some(cc) = &self.cc {
            cargo.env(format!("CARGO_TARGET_{}_LINKER", lower.to_uppercase()), cc);
            cargo.env(format!("CC_{lower}"), cc);
        }
        if let Some(ar) = &self.ar {
            cargo.env(format!("AR_{lower}"), ar);
        }
    }
}

/// The folder with the program zig and its headers.
pub fn zig_folder() -> Outcome<PathBuf> {
    let python = tools::zig()?.join("bin/python");
    let find = "import ziglang, os; print(os.path.dirname(ziglang.__file__))";
    Ok(PathBuf::from(quietly(command(python).args(["-c", find]))?.trim()))
}

pub fn zig_name() -> Outcome<String> {
    Ok(format!("zig {}", quietly(command(zig_folder()?.join("zig")).arg("version"))?.trim()))
}

/// Writes a program that calls zig.
pub fn script(path: &Path, text: &str) -> Outcome {
    files::write(path, text)?;
    quietly(command("chmod").arg("+x").arg(path)).map(drop)
}

/// The program for static libraries.
pub fn zig_ar(folder: &Path) -> Outcome<PathBuf> {
    let ar = folder.join("ar");
    script(&ar, &format!("#!/bin/sh\nexec {} ar \"$@\"\n", zig_folder()?.join("zig").display()))?;
    Ok(ar)
}
