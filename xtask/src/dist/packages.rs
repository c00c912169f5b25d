//! Creates the archives, and the packages for Unity and Godot with the libraries of all targets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Shipped;
use super::targets::Library;
use crate::install::package;
use crate::run::{Outcome, command, ensure, quietly, scratch};
use crate::{godot as godot_binding, unity as unity_binding, web};

/// Creates a `.tgz` for Unity's package manager: everything under `package/`.
pub fn unity(shipped: &[Shipped], web: Option<&Path>) -> Outcome<PathBuf> {
    let mut libraries = by_place(shipped, |one| one.target.unity.to_owned(), |one| &one.shared)?;
    let mut targets = triples(shipped);
    if let Some(built) = web {
        libraries.extend(unity_binding::of_browsers(built));
        targets.push(web::TARGET);
    }
    let folder = scratch("dist/staging")?.join("package");
    unity_binding::lay_out(&folder, &libraries, &targets)?;
    tar(&folder, &format!("com.framewire.websocket-{}.tgz", package("version")?))
}

/// Creates a `.zip` for Godot's asset library: `addons/framewire` at the top.
pub fn godot(shipped: &[Shipped]) -> Outcome<PathBuf> {
    let place = |one: &Shipped| format!("{}/{}", one.target.godot, one.target.shared_name(Library::Godot));
    let libraries = by_place(shipped, place, |one| &one.godot)?;
    let folder = scratch("dist/staging")?.join("godot/addons");
    godot_binding::lay_out_addon(&folder.join("framewire"), &libraries, &triples(shipped))?;
    zip(&folder, &format!("framewire-godot-{}.zip", package("version")?))
}

fn triples(shipped: &[Shipped]) -> Vec<&'static str> {
    shipped.iter().map(|one| one.target.triple).collect()
}

/// Returns one file for each path in the package. Libraries with the same path become a universal library.
fn by_place(
    shipped: &[Shipped],
    place: impl Fn(&Shipped) -> String,
    file: impl Fn(&Shipped) -> &PathBuf,
) -> Outcome<BTreeMap<String, PathBuf>> {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for one in shipped {
        places.entry(place(one)).or_default().push(file(one).clone());
    }
    let mut files = BTreeMap::new();
    for (place, parts) in places {
        let file = match parts.as_slice() {
            [one] => one.clone(),
            _ => {
                let name = Path::new(&place).file_name().unwrap_or_default();
                let file = scratch("dist/universal")?.join(name);
                ensure("llvm-lipo-19", &["llvm-19"])?;
                quietly(command("llvm-lipo-19").arg("-create").args(&parts).arg("-output").arg(&file))?;
                file
            }
        };
        files.insert(place, file);
    }
    Ok(files)
}

/// Packs a folder; the same content gives the same bytes.
pub fn tar(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let archive = fresh(name)?;
    let (parent, last) = split(folder)?;
    if cfg!(not(target_os = "linux")) {
        // The tar of Windows and macOS, without the options for reproducible archives.
        quietly(command("tar").arg("-czf").arg(&archive).arg("-C").arg(parent).arg(last))?;
        return Ok(archive);
    }
    let mut tar = command("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    tar.args(["--use-compress-program", "gzip -9n", "--file"]).arg(&archive).arg("-C").arg(parent).arg(last);
    quietly(&mut tar)?;
    Ok(archive)
}

pub fn zip(folder: &Path, name: &str) -> Outcome<PathBuf> {
    let archive = fresh(name)?;
    let (parent, last) = split(folder)?;
    if cfg!(not(target_os = "linux")) {
        // The format follows from the name.
        quietly(command("tar").arg("-acf").arg(&archive).arg("-C").arg(parent).arg(last))?;
        return Ok(archive);
    }
    quietly(command("zip").current_dir(parent).args(["-q", "-X", "-9", "-r"]).arg(&archive).arg(last))?;
    Ok(archive)
}

fn fresh(name: &str) -> Outcome<PathBuf> {
    let archive = scratch("dist")?.join(name);
    let _ = fs::remove_file(&archive);
    Ok(archive)
}

fn split(folder: &Path) -> Outcome<(&Path, &std::ffi::OsStr)> {
    folder.parent().zip(folder.file_name()).ok_or_else(|| format!("{} has no name", folder.display()))
}
