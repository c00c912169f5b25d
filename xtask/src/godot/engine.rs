//! The engine itself: Debian's Godot, unpacked into a folder and run by its own loader. Nothing is
//! installed, and the machine's own C library does not matter.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::finish;
use crate::debian::unpack;
use crate::files;
use crate::run::{Outcome, WITH_INSTALL, may_install, quietly, scratch};

/// Debian's suite that has Godot 4.
const SUITE: &str = "forky";
/// Packages that a run without a window never opens: drivers, fonts, desktop data. Nearly half of
/// what would be unpacked.
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
/// The engine, unpacked.
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

    /// Run by the loader it came with, with a home of its own.
    pub fn command(&self, project: &Path) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let path = format!("{0}:{0}/pulseaudio", libraries.display());
        let mut command = Command::new(self.root.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(path).arg(self.root.join("usr/bin/godot"));
        command.args(["--headless", "--path"]).arg(project).env("HOME", &self.home);
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command
    }

    pub fn version(&self) -> Outcome<String> {
        let mut command = self.command(Path::new("."));
        command.arg("--version");
        Ok(finish(command)?.text.trim().to_owned())
    }
}

/// Unpacks Debian's Godot and the libraries it needs, from the archive that this machine's own
/// apt uses.
fn install(folder: &Path) -> Outcome {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err("this needs Linux on x86-64".into());
    }
    files::remove_folder(folder)?;
    let apt = folder.join("apt");
    for part in ["etc/preferences.d", "sources.d", "state/lists/partial", "cache/archives/partial"] {
        files::create_folder(apt.join(part))?;
    }
    files::create_folder(folder.join("root"))?;
    files::write(apt.join("status"), "")?;
    let archive = quietly(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let archive = archive
        .lines()
        .map(|line| line.trim_end_matches('/'))
        .find(|line| line.ends_with("/debian"))
        .ok_or("apt knows no Debian archive; `apt-get update` first")?;
    let source = format!(
        "Types: deb\nURIs: {archive}\nSuites: {SUITE}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    );
    files::write(apt.join("sources.d/debian.sources"), &source)?;

    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(apt.join("cache/archives")).args(["-q", "-y"]);
        for (option, value) in [
            ("Dir::Etc", "etc"),
            ("Dir::Etc::sourceparts", "sources.d"),
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o").arg(format!("{option}={}", apt.join(value).display()));
        }
        for option in [
            "Dir::Etc::sourcelist=/dev/null",
            "Debug::NoLocking=1",
            "APT::Sandbox::User=root",
            "APT::Architecture=amd64",
            "APT::Architectures::=amd64",
            "APT::Install-Recommends=false",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            // Archive mirrors lag behind, which is no risk to a test tool.
            "Acquire::Check-Valid-Until=false",
            "Acquire::Retries=3",
        ] {
            command.args(["-o", option]);
        }
        command.args(arguments);
        quietly(&mut command)
    };
    apt_get(&["update"])?;
    // Against an empty status file that is everything, the C library included.
    let uris = apt_get(&["--print-uris", "install", "godot"])?;
    let packages: Vec<&str> = uris
        .lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| line.split(' ').nth(1)?.split('_').next())
        .filter(|package| !UNUSED.iter().any(|unused| package.starts_with(unused)))
        .collect();
    let mut download = vec!["download"];
    download.extend(packages);
    apt_get(&download)?;
    for entry in files::list(apt.join("cache/archives"))? {
        if entry.extension().is_some_and(|extension| extension == "deb") {
            unpack(&entry, &folder.join("root"))?;
        }
    }
    files::remove_folder(&apt)?;
    files::write(folder.join(".complete"), SUITE)
}
