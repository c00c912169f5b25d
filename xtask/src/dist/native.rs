//! `cargo xtask dist --native [TARGET…]`: builds with the compiler and linker of this machine, as a release does on
//! Windows (MSVC) and macOS (Xcode). The result has the form of `dist`, so that `assemble` can merge both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::symbols;
use super::targets::System;
use crate::files;
use crate::install::{self, Names};
use crate::run::{Outcome, cargo, command, quietly, root, scratch};

/// The first macOS that runs on ARM.
const MACOS: &str = "11.0";

struct Target {
    triple: &'static str,
    system: System,
    /// The path in the Unity package, if Unity has such a player.
    unity: Option<&'static str>,
    /// The path in `bin` of the Godot addon.
    godot: &'static str,
}

const MACOS_UNITY: Option<&str> = Some("Runtime/Plugins/macos/libframewire.dylib");
const MACOS_GODOT: &str = "macos/libframewire_godot.dylib";

const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-pc-windows-msvc",
        system: System::Windows,
        unity: Some("Runtime/Plugins/windows-x86_64/framewire.dll"),
        godot: "windows.x86_64/framewire_godot.dll",
    },
    Target {
        triple: "aarch64-pc-windows-msvc",
        system: System::Windows,
        unity: None,
        godot: "windows.arm64/framewire_godot.dll",
    },
    // Both in one universal library.
    Target { triple: "aarch64-apple-darwin", system: System::MacOs, unity: MACOS_UNITY, godot: MACOS_GODOT },
    Target { triple: "x86_64-apple-darwin", system: System::MacOs, unity: MACOS_UNITY, godot: MACOS_GODOT },
    // Needs the glibc of this machine, so it is for tests and for distributions, not for a release.
    Target {
        triple: "x86_64-unknown-linux-gnu",
        system: System::Linux,
        unity: Some("Runtime/Plugins/linux-x86_64/libframewire.so"),
        godot: "linux.x86_64/libframewire_godot.so",
    },
];

/// Builds these targets, or all of this system.
pub fn run(only: &[&str]) -> Outcome {
    let targets = chosen(only)?;
    let (mut for_unity, mut for_godot) = (Places::default(), Places::default());
    for target in &targets {
        println!("\n---- {}", target.triple);
        let built = target.build("framewire", &root(), "cdylib,staticlib")?;
        let library = target.shared(&built, "framewire");
        symbols::exports_are_declared(target.system, &library)?;
        println!("needs {}", symbols::needs(target.system, &library)?);
        println!("{}", target.archive(&built)?.display());
        let extension = target.build("framewire-godot", &root().join("bindings/godot"), "cdylib")?;
        if let Some(place) = target.unity {
            for_unity.add(place, library);
        }
        for_godot.add(target.godot, target.shared(&extension, "framewire_godot"));
    }
    let triples: Vec<&str> = targets.iter().map(|target| target.triple).collect();
    super::assemble::write(&for_unity.universal()?, &for_godot.universal()?, &triples)
}

/// Whether this is a target of any system.
pub fn is_target(triple: &str) -> bool {
    TARGETS.iter().any(|target| target.triple == triple)
}

/// Builds for this machine and merges the result, as a release does with that of several machines.
pub fn step() -> Outcome {
    run(&[])?;
    let parts = scratch("dist-native/parts")?;
    files::remove_folder(&parts)?;
    let own = scratch("dist")?;
    let version = install::package("version")?;
    let names = [
        format!("com.framewire.websocket-{version}.tgz"),
        format!("framewire-godot-{version}.zip"),
        format!("framewire-{version}-x86_64-unknown-linux-gnu.tar.gz"),
    ];
    let mut before = Vec::new();
    for name in &names {
        before.push(files::bytes(own.join(name))?);
        files::copy(own.join(name), parts.join("this-machine").join(name))?;
    }
    super::assemble::run(&parts)?;
    for (name, before) in names.iter().zip(before) {
        // A zip contains times.
        if !name.ends_with(".zip") && files::bytes(own.join(name))? != before {
            return Err(format!("{name} of one machine is not the same after merging"));
        }
    }
    Ok(())
}

fn chosen(only: &[&str]) -> Outcome<Vec<&'static Target>> {
    let here = match std::env::consts::OS {
        "windows" => System::Windows,
        "macos" => System::MacOs,
        _ => System::Linux,
    };
    let own = |target: &&Target| target.system == here;
    let known: Vec<&Target> = TARGETS.iter().filter(own).collect();
    if let Some(unknown) = only.iter().find(|triple| !known.iter().any(|one| one.triple == **triple)) {
        let names: Vec<&str> = known.iter().map(|target| target.triple).collect();
        return Err(format!("{unknown} is not one of {} on this system", names.join(", ")));
    }
    Ok(known.into_iter().filter(|target| only.is_empty() || only.contains(&target.triple)).collect())
}

impl Target {
    /// Builds a package, and returns the folder of its libraries.
    fn build(&self, package: &str, folder: &Path, crate_types: &str) -> Outcome<PathBuf> {
        let output = scratch(&format!("dist-native/{package}"))?;
        let mut build = cargo();
        build.current_dir(folder).args(["rustc", "--release", "--locked", "--lib", "--package", package]);
        build.args(["--crate-type", crate_types, "--target", self.triple, "--target-dir"]).arg(&output);
        build.args(["--", "-Cstrip=symbols"]);
        match self.system {
            // Players need no redistributable of Visual C++.
            System::Windows => drop(build.env("RUSTFLAGS", "-C target-feature=+crt-static")),
            System::MacOs => {
                let name = self.file_name(&package.replace('-', "_"));
                build.env("MACOSX_DEPLOYMENT_TARGET", MACOS);
                build.arg(format!("-Clink-arg=-Wl,-install_name,@rpath/{name}"));
            }
            _ => {}
        }
        crate::run::run(&mut build)?;
        Ok(output.join(self.triple).join("release"))
    }

    fn file_name(&self, library: &str) -> String {
        match self.system {
            System::Windows => format!("{library}.dll"),
            System::MacOs => format!("lib{library}.dylib"),
            _ => format!("lib{library}.so"),
        }
    }

    fn shared(&self, built: &Path, library: &str) -> PathBuf {
        built.join(self.file_name(library))
    }

    fn archive(&self, built: &Path) -> Outcome<PathBuf> {
        let name = format!("framewire-{}-{}", install::package("version")?, self.triple);
        let folder = scratch("dist-native/staging")?.join(&name);
        files::remove_folder(&folder)?;
        install::headers(&folder)?;
        let (shared, lib) = (self.file_name("framewire"), folder.join("lib"));
        let names = Names { soname: format!("@rpath/{shared}"), shared: shared.clone(), pointer_bytes: 8 };
        if self.system == System::Windows {
            files::copy(built.join(&shared), folder.join("bin").join(&shared))?;
            files::copy(built.join("framewire.dll.lib"), lib.join("framewire.lib"))?;
            files::copy(built.join("framewire.lib"), lib.join("framewire_static.lib"))?;
            // What a program links in addition to the static library, see docs/platforms.md.
            let system = "kernel32 ntdll userenv ws2_32 dbghelp bcrypt crypt32 advapi32";
            install::write(&folder, super::PREFIX, &names, system, "framewire-targets-msvc.cmake")?;
        } else {
            files::copy(built.join(&shared), lib.join(&shared))?;
            files::copy(built.join("libframewire.a"), lib.join("libframewire.a"))?;
            install::write(&folder, super::PREFIX, &names, "", install::TARGETS)?;
        }
        super::texts(&folder, &[self.triple])?;
        match self.system {
            System::Windows => super::packages::zip(&folder, &format!("{name}.zip")),
            _ => super::packages::tar(&folder, &format!("{name}.tar.gz")),
        }
    }
}

/// Libraries by their paths in a package. Several with one path become a universal library of macOS.
#[derive(Default)]
struct Places(BTreeMap<&'static str, Vec<PathBuf>>);

impl Places {
    fn add(&mut self, place: &'static str, library: PathBuf) {
        self.0.entry(place).or_default().push(library);
    }

    fn universal(self) -> Outcome<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        for (place, parts) in self.0 {
            let file = match parts.as_slice() {
                [one] => one.clone(),
                _ => {
                    let name = Path::new(place).file_name().unwrap_or_default();
                    let file = scratch("dist-native/universal")?.join(name);
                    quietly(command("lipo").arg("-create").args(&parts).arg("-output").arg(&file))?;
                    file
                }
            };
            files.insert(place.to_owned(), file);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unity;

    #[test]
    fn targets_of_other_systems_are_refused_with_those_of_this_one() {
        let problem = chosen(&["wasm32-unknown-unknown"]).err().expect("no target of a system");
        assert!(problem.contains("is not one of "), "{problem}");
        assert!(!chosen(&[]).expect("this system").is_empty());
    }

    #[test]
    fn every_place_is_one_of_the_packages() {
        let listed = files::text("bindings/godot/addons/framewire/framewire.gdextension").unwrap();
        for target in TARGETS {
            assert!(listed.contains(&format!("\"bin/{}\"", target.godot)), "{}", target.godot);
            let is_plugin = |place| unity::meta::PLUGINS.iter().any(|plugin| plugin.path == place);
            assert!(target.unity.is_none_or(is_plugin), "{}", target.triple);
        }
    }
}
