//! Debian's packages, used without being installed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{Outcome, quietly};

/// Unpacks the files of a package into `root`, without its documentation and translations.
pub fn unpack(package: &Path, root: &Path) -> Outcome {
    let mut data = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("dpkg-deb does not start: {error}"))?;
    let tar = data.stdout.take().ok_or("dpkg-deb has no output")?;
    let mut extract = Command::new("tar");
    extract.args(["-x", "--keep-directory-symlink"]);
    extract.args(["--exclude=./usr/share/doc", "--exclude=./usr/share/locale", "-C"]).arg(root);
    quietly(extract.stdin(tar))?;
    let status = data.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{} does not unpack", package.display())) }
}
