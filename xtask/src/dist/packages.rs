//! Creates the archives, and the packages for Unity, Godot and NuGet with the libraries of all targets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::targets::{Library, System, Target};
use super::{Shipped, ios};
use crate::files;
use crate::install::package;
use crate::run::{Outcome, command, ensure, quietly, scratch};
use crate::{godot as godot_binding, nuget as nuget_binding, unity as unity_binding, web};

/// Creates a `.tgz` for Unity's package manager: everything under `package/`.
pub fn unity(shipped: &[Shipped], web: Option<&Path>) -> Outcome<PathBuf> {
    let mut libraries = by_place(shipped, |one| one.target.unity.map(str::to_owned), |one| &one.library)?;
    let mut targets = triples(shipped);
    if let Some(built) = web {
        libraries.extend(unity_binding::of_browsers(built));
        targets.push(web::TARGET);
    }
    let folder = scratch("dist/staging")?.join("package");
    unity_binding::lay_out(&folder, &libraries, &targets)?;
    // In a folder whose files need no .meta file.
    files::write(folder.join("Documentation~/BUILT_BY.md"), built_by(shipped))?;
    tar(&folder, &format!("com.framewire.websocket-{}.tgz", package("version")?))
}

/// Creates the NuGet package.
pub fn nuget(shipped: &[Shipped]) -> Outcome<PathBuf> {
    ensure("mcs", &["mono-mcs", "mono-runtime"])?;
    let libraries = by_place(shipped, |one| one.target.unity.map(str::to_owned), |one| &one.library)?;
    nuget_binding::pack(&libraries, &triples(shipped))
}

/// Creates a `.zip` for Godot's asset library: `addons/framewire` at the top.
pub fn godot(shipped: &[Shipped]) -> Outcome<PathBuf> {
    let place = |one: &Shipped| {
        let name = one.target.library_name(Library::Godot);
        (one.target.system != System::Ios).then(|| format!("{}/{name}", one.target.godot))
    };
    let mut libraries = by_place(shipped, place, |one| &one.godot)?;
    let ios = shipped.iter().filter(|one| one.target.system == System::Ios);
    let ios: Vec<(&Target, PathBuf)> = ios.map(|one| (one.target, one.godot.clone())).collect();
    if !ios.is_empty() {
        let framework = scratch("dist/universal")?.join(GODOT_FRAMEWORK);
        ios::xcframework(&framework, &ios, &[])?;
        libraries.insert(format!("ios/{GODOT_FRAMEWORK}"), framework);
    }
    let folder = scratch("dist/staging")?.join("godot/addons");
    let addon = folder.join("framewire");
    godot_binding::lay_out_addon(&addon, &libraries, &triples(shipped))?;
    files::write(addon.join("BUILT_BY.md"), built_by(shipped))?;
    zip(&folder, &format!("framewire-godot-{}.zip", package("version")?))
}

/// The name in `framewire.gdextension`.
const GODOT_FRAMEWORK: &str = "libframewire_godot.xcframework";

fn built_by(shipped: &[Shipped]) -> String {
    let libraries: Vec<(&Target, &str)> =
        shipped.iter().map(|one| (one.target, one.built_by.as_str())).collect();
    super::built_text(&libraries)
}

fn triples(shipped: &[Shipped]) -> Vec<&'static str> {
    shipped.iter().map(|one| one.target.triple).collect()
}

/// Returns one file for each path in the package; targets without a path are left out. Libraries with the same path become a universal library.
fn by_place(
    shipped: &[Shipped],
    place: impl Fn(&Shipped) -> Option<String>,
    file: impl Fn(&Shipped) -> &PathBuf,
) -> Outcome<BTreeMap<String, PathBuf>> {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for one in shipped {
        if let Some(place) = place(one) {
            places.entry(place).or_default().push(file(one).clone());
        }
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
