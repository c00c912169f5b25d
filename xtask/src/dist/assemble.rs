//! `cargo xtask dist --assemble FOLDER`: merges what `dist` has written on several machines, each in a folder of
//! `FOLDER`, into `target/dist`: all archives, the packages for Unity, Godot and NuGet with every library, SHA256SUMS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{packages, sums};
use crate::install::package;
use crate::run::{Outcome, command, ensure, quietly, scratch};
use crate::{files, godot, nuget, unity};

/// An archive is the library of one target; this begins its name.
const ARCHIVE: &str = "framewire-";
const UNITY: &str = "com.framewire.websocket-";
const GODOT: &str = "framewire-godot-";

/// What was found, by the paths in the packages.
#[derive(Default)]
struct Parts {
    triples: Vec<String>,
    unity: BTreeMap<String, PathBuf>,
    godot: BTreeMap<String, PathBuf>,
}

pub fn run(folder: &Path) -> Outcome {
    let mut machines: Vec<PathBuf> = files::list(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    machines.sort();
    let mut parts = Parts::default();
    for machine in &machines {
        println!("{}", machine.display());
        parts.add(machine)?;
    }
    if parts.triples.is_empty() {
        return Err(format!("{} has no folders with archives", folder.display()));
    }
    let triples: Vec<&str> = parts.triples.iter().flat_map(|archive| targets_of(archive)).collect();
    write(&parts.unity, &parts.godot, &triples)
}

/// Writes the packages and the checksums.
pub fn write(
    for_unity: &BTreeMap<String, PathBuf>,
    for_godot: &BTreeMap<String, PathBuf>,
    triples: &[&str],
) -> Outcome {
    let version = package("version")?;
    let staging = scratch("dist-assemble/staging")?;
    let folder = staging.join("package");
    unity::lay_out(&folder, for_unity, triples)?;
    println!("{}", packages::tar(&folder, &format!("{UNITY}{version}.tgz"))?.display());
    let addons = staging.join("godot/addons");
    godot::lay_out_addon(&addons.join("framewire"), for_godot, triples)?;
    println!("{}", packages::zip(&addons, &format!("{GODOT}{version}.zip"))?.display());
    // Where the files are published from.
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    ensure("mcs", &["mono-mcs", "mono-runtime"])?;
    ensure("zip", &["zip"])?;
    println!("{}", nuget::pack(for_unity, triples)?.display());
    sums()
}

impl Parts {
    /// Adds the files of one machine.
    fn add(&mut self, machine: &Path) -> Outcome {
        let version = package("version")?;
        for file in files::list(machine)? {
            let name = files::name(&file);
            let unpacked = scratch("dist-assemble/parts")?.join(files::name(machine)).join(&name);
            if let Some(kind) = name.strip_prefix(UNITY) {
                expect(&file, kind, &format!("{version}.tgz"))?;
                files::remove_folder(&unpacked)?;
                files::create_folder(&unpacked)?;
                quietly(command("tar").arg("-xzf").arg(&file).arg("-C").arg(&unpacked))?;
                collect(&unpacked.join("package"), "Runtime/Plugins", &mut self.unity)?;
            } else if let Some(kind) = name.strip_prefix(GODOT) {
                expect(&file, kind, &format!("{version}.zip"))?;
                files::remove_folder(&unpacked)?;
                quietly(command("unzip").arg("-q").arg(&file).arg("-d").arg(&unpacked))?;
                collect(&unpacked.join("addons/framewire/bin"), "", &mut self.godot)?;
            } else if let Some(triple) = triple_of(&name, &version) {
                if self.triples.iter().any(|known| known == triple) {
                    return Err(format!("two machines have built {triple}"));
                }
                self.triples.push(triple.to_owned());
                files::copy(&file, scratch("dist")?.join(&name))?;
            }
        }
        Ok(())
    }
}

fn expect(file: &Path, found: &str, wanted: &str) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{} is of another version than {wanted}", file.display()))
}

/// `framewire-0.2.0-x86_64-pc-windows-msvc.zip` is of `x86_64-pc-windows-msvc`.
fn triple_of<'a>(name: &'a str, version: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(ARCHIVE)?.strip_prefix(version)?.strip_prefix('-')?;
    rest.strip_suffix(".tar.gz").or_else(|| rest.strip_suffix(".zip"))
}

/// The archive for iOS contains the libraries of devices and simulators.
fn targets_of(archive: &str) -> Vec<&str> {
    match archive {
        "ios" => vec!["aarch64-apple-ios", "aarch64-apple-ios-sim"],
        triple => vec![triple],
    }
}

/// Finds the libraries of a package: files, and folders of Apple's (`.xcframework`).
fn collect(package: &Path, within: &str, found: &mut BTreeMap<String, PathBuf>) -> Outcome {
    let start = package.join(within);
    if !start.exists() {
        return Ok(());
    }
    for path in files::list_all(&start, |_| false)? {
        let Ok(place) = path.strip_prefix(package) else { continue };
        if path.extension().is_some_and(|kind| kind == "meta") {
            continue;
        }
        let framework =
            place.ancestors().find(|one| one.extension().is_some_and(|kind| kind == "xcframework"));
        let place = framework.unwrap_or(place);
        let key = place.to_string_lossy().replace('\\', "/");
        let earlier = found.insert(key.clone(), package.join(place));
        // Which of the two is shipped must not depend on the order of the folders.
        if let Some(earlier) = earlier.filter(|earlier| *earlier != package.join(place)) {
            return Err(format!("{key} is in {} and in {}", earlier.display(), package.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_name_their_target() {
        assert_eq!(targets_of("ios"), ["aarch64-apple-ios", "aarch64-apple-ios-sim"]);
        let name = "framewire-0.2.0-x86_64-unknown-linux-gnu.tar.gz";
        assert_eq!(triple_of(name, "0.2.0"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(
            triple_of("framewire-0.2.0-x86_64-pc-windows-msvc.zip", "0.2.0"),
            Some("x86_64-pc-windows-msvc")
        );
        for other in
            ["framewire-0.1.0-x86_64-unknown-linux-gnu.tar.gz", "SHA256SUMS", "framewire-0.2.0.crate"]
        {
            assert_eq!(triple_of(other, "0.2.0"), None, "{other}");
        }
    }

    #[test]
    fn libraries_of_several_machines_are_merged_and_a_second_one_is_an_error() {
        let base = scratch("dist-assemble-test").unwrap();
        files::remove_folder(&base).unwrap();
        let file = |path: &str| {
            let file = base.join(path);
            files::create_folder(file.parent().unwrap()).unwrap();
            files::write(&file, path).unwrap();
        };
        file("one/Runtime/Plugins/linux/lib.so");
        file("one/Runtime/Plugins/linux/lib.so.meta");
        file("two/Runtime/Plugins/ios/lib.xcframework/Info.plist");
        file("two/Runtime/Plugins/ios/lib.xcframework/device/lib.a");
        file("three/Runtime/Plugins/linux/lib.so");
        let mut found = BTreeMap::new();
        for machine in ["one", "two", "empty"] {
            collect(&base.join(machine), "Runtime/Plugins", &mut found).unwrap();
        }
        let places: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(places, ["Runtime/Plugins/ios/lib.xcframework", "Runtime/Plugins/linux/lib.so"]);
        let problem = collect(&base.join("three"), "Runtime/Plugins", &mut found).unwrap_err();
        assert!(problem.starts_with("Runtime/Plugins/linux/lib.so is in "), "{problem}");
        files::remove_folder(&base).unwrap();
    }
}
