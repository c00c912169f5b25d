//! Unpacks Debian's Godot into a folder, and runs it with its own loader and C library. Nothing is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{self, Apt};
use crate::files;
use crate::run::{Outcome, WITH_INSTALL, may_install, quietly, scratch};

/// For one run, of which the longest takes ten seconds.
const RUN_SECONDS: &str = "180";
/// Debian's suite that has Godot 4.
const SUITE: &str = "forky";
/// Packages that a run without a window does not need: drivers, fonts, desktop data. Nearly half of the size.
const UNUSED: &[&str] = &[
    "libllvm",
    "libz3-4",
    "mesa-libgallium",
    "libdrm-amdgpu",
    "libdrm-intel",
    "libdrm-common",
    "libhwloc",
    "libtbbbind",
    "libtbbmalloc",
    "x11-common",
    "fonts-",
    "debconf",
    "sysvinit-utils",
    "pci.ids",
    "xkb-data",
    "libx11-data",
    "libsensors",
    "fontconfig-config",
    "isa-support",
    "sse",
];

/// The unpacked engine.
pub struct Godot {
    root: PathBuf,
    home: PathBuf,
}

impl Godot {
    pub fn find_or_install() -> Outcome<Self> {
        let folder = scratch("tools")?.join("godot");
        if !folder.join(".complete").exists() {
            may_install("Godot", WITH_INSTALL)?;
            println!("Godot is unpacked into {} (about 280 MB)", folder.display());
            install(&folder).map_err(|problem| format!("Godot could not be installed: {problem}"))?;
        }
        let godot = Self { root: folder.join("root"), home: folder.join("home") };
        files::create_folder(&godot.home)?;
        Ok(godot)
    }

    /// Creates a command with the loader of its packages and its own home folder.
    pub fn command(&self, project: &Path) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let path = format!("{0}:{0}/pulseaudio", libraries.display());
        let mut command = Command::new("timeout");
        command.arg(RUN_SECONDS).arg(self.root.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(path).arg(self.root.join("usr/bin/godot"));
        command.args(["--headless", "--path"]).arg(project).env("HOME", &self.home);
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command
    }

    pub fn version(&self) -> Outcome<String> {
        Ok(quietly(self.command(Path::new(".")).arg("--version"))?.trim().to_owned())
    }
}

/// Unpacks Debian's Godot and the libraries it needs, from the archive that this machine's own apt uses.
fn install(folder: &Path) -> Outcome {
    files::remove_folder(folder)?;
    let source = format!("URIs: {}\nSuites: {SUITE}\n", debian::archive()?);
    // Mirrors lag behind, which is no risk to a test tool.
    let options = &["APT::Architecture=amd64", "Acquire::Check-Valid-Until=false"];
    let apt = Apt::new(&folder.join("apt"), &[source], options)?;
    let packages = apt.with_dependencies(&["godot"])?;
    let packages: Vec<&str> = packages
        .iter()
        .map(String::as_str)
        .filter(|package| !UNUSED.iter().any(|unused| package.starts_with(unused)))
        .collect();
    apt.unpack(&packages, &folder.join("root"))?;
    files::write(folder.join(".complete"), SUITE)
}
