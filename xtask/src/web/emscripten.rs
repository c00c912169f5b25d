//! The emscripten that is installed, and those of other Debian releases, unpacked into `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{self, Apt};
use crate::files;
use crate::run::{Outcome, WITH_INSTALL, command, may_install, quietly, root, scratch};

/// Debian releases: with the oldest emscripten, one between Unity's versions, and the newest.
pub const RELEASES: &[&str] = &["bullseye", "trixie", "forky"];

/// Where Debian puts modules that emcc needs, in case the Node in the path is another one.
pub const NODE_MODULES: &str = "/usr/share/nodejs";

/// Runs a command in the root folder `$1`, where the project's folder `$2` and the devices are visible. Old versions
/// count their processes in /dev/shm, which has to be a file system of its own.
const INSIDE: &str = "set -e; root=$1 project=$2; shift 2
mkdir -p \"$root$project\" \"$root/dev/shm\" \"$root/proc\" \"$root/tmp\"
mount --rbind /dev \"$root/dev\"
mount --rbind /proc \"$root/proc\"
mount --bind \"$project\" \"$root$project\"
exec chroot \"$root\" env -i HOME=/tmp PATH=/usr/bin:/bin NODE_PATH=\"$NODE_PATH\" sh -c 'cd \"$1\" && shift && exec \"$@\"' sh \"$project\" \"$@\"";

/// An installation of emscripten.
pub enum Emscripten {
    Installed,
    /// The root folder of an unpacked Debian release.
    Unpacked(PathBuf),
}

impl Emscripten {
    /// Unpacks the emscripten of a Debian release, unless it is there.
    pub fn of_release(release: &str) -> Outcome<Self> {
        let folder = scratch("tools")?.join(format!("emscripten-{release}"));
        if !folder.join(".complete").exists() {
            may_install("emscripten", WITH_INSTALL)?;
            println!("the emscripten of {release} is unpacked into {} (up to 2 GB)", folder.display());
            unpack(release, &folder).map_err(|problem| {
                format!("the emscripten of {release} could not be installed: {problem}")
            })?;
        }
        Ok(Self::Unpacked(folder.join("root")))
    }

    /// Creates a command that compiles C in the project's folder.
    pub fn emcc(&self) -> Command {
        let mut emcc = match self {
            Self::Installed => command("emcc"),
            Self::Unpacked(folder) => {
                let mut inside = command("unshare");
                inside.args([
                    "--mount",
                    "--map-root-user",
                    "--propagation",
                    "private",
                    "sh",
                    "-c",
                    INSIDE,
                    "sh",
                ]);
                inside.arg(folder).arg(root()).arg("emcc");
                inside
            }
        };
        emcc.env("NODE_PATH", NODE_MODULES);
        emcc
    }

    pub fn version(&self) -> Outcome<String> {
        let text = quietly(self.emcc().arg("--version"))?;
        text.lines()
            .next()
            .into_iter()
            .flat_map(str::split_whitespace)
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .map(str::to_owned)
            .ok_or_else(|| format!("emcc names no version: {text}"))
    }
}

fn unpack(release: &str, folder: &Path) -> Outcome {
    files::remove_folder(folder)?;
    let source = format!("URIs: {}\nSuites: {release}\n", debian::archive()?);
    // Mirrors lag behind, and old releases have no new lists, which is no risk to a test tool.
    let options = &["APT::Architecture=amd64", "Acquire::Check-Valid-Until=false"];
    let apt = Apt::new(&folder.join("apt"), &[source], options)?;
    let packages = apt.with_dependencies(&["emscripten", "bash", "coreutils", "sed"])?;
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let root = folder.join("root");
    // Packages have files in both; in a Debian system the former are links.
    for name in ["bin", "lib", "lib64", "sbin"] {
        files::create_folder(root.join("usr").join(name))?;
        let link = format!("usr/{name}");
        quietly(Command::new("ln").arg("-sfn").arg(link).arg(root.join(name)))?;
    }
    apt.unpack(&packages, &root)?;
    // Of the package dash, which a Debian system has without anybody's asking.
    quietly(Command::new("ln").arg("-sfn").arg("bash").arg(root.join("usr/bin/sh")))?;
    // Old versions only write their settings when they run for the first time.
    quietly(Emscripten::Unpacked(root).emcc().arg("--version"))?;
    files::write(folder.join(".complete"), release)
}
