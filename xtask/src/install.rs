//! `cargo xtask install --prefix DIR`: headers, libraries, pkg-config and CMake files.
//!
//! ```text
//! include/framewire/   framewire.h  framewire.hpp  framewire_coroutines.hpp
//! lib/                 libframewire.so -> libframewire.so.0.2 -> libframewire.so.0.2.0  libframewire.a
//! lib/framewire/plugin/libframewire.so      no version in name or SONAME: what an engine loads
//! lib/pkgconfig/       framewire.pc
//! lib/cmake/framewire/ framewire-config.cmake  framewire-config-version.cmake  framewire-targets.cmake
//! ```
//!
//! Names, links, SONAME and the `.pc` file are those that cargo-c would choose.

use std::path::{Path, PathBuf};

use crate::c;
use crate::files;
use crate::run::{Outcome, cargo, command, ensure, quietly, root, scratch};
use crate::web;

/// The file name of the shared library, and its SONAME.
pub struct Names {
    /// `libframewire.so.0.2.0`
    pub shared: String,
    /// `libframewire.so.0.2`: before 1.0, each minor version may be incompatible.
    pub soname: String,
    /// The size of pointers of the target.
    pub pointer_bytes: usize,
}

pub fn names() -> Outcome<Names> {
    let [major, minor, _] = version()?;
    let version = package("version")?;
    let soname =
        if major == "0" { format!("libframewire.so.0.{minor}") } else { format!("libframewire.so.{major}") };
    Ok(Names { shared: format!("libframewire.so.{version}"), soname, pointer_bytes: size_of::<usize>() })
}

/// Builds the library and installs it under `prefix`, over an earlier installation.
pub fn install(prefix: &Path) -> Outcome {
    if cfg!(not(target_os = "linux")) {
        return Err("`install` supports Linux only; on other systems use the files in target/release".into());
    }
    let prefix = std::path::absolute(prefix).map_err(|error| format!("{}: {error}", prefix.display()))?;
    let names = names()?;
    let built = build(&names)?;
    headers(&prefix)?;
    linux_libraries(&prefix, &names, &built)?;
    write(&prefix, &prefix.display().to_string(), &names, &built.system_libraries, TARGETS)?;
    println!("installed in {}", prefix.display());
    Ok(())
}

/// The headers of every package.
pub const HEADERS: [&str; 3] = [
    "include/framewire.h",
    "bindings/cpp/include/framewire.hpp",
    "bindings/cpp/include/framewire_coroutines.hpp",
];

pub fn headers(prefix: &Path) -> Outcome {
    let include = prefix.join("include/framewire");
    for header in HEADERS {
        files::copy(header, include.join(Path::new(header).file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Installs the library files and links for Linux.
pub fn linux_libraries(prefix: &Path, names: &Names, built: &Built) -> Outcome {
    let lib = prefix.join("lib");
    files::copy(&built.versioned, lib.join(&names.shared))?;
    link(&names.shared, &lib.join(&names.soname))?;
    link(&names.soname, &lib.join("libframewire.so"))?;
    files::copy(&built.archive, lib.join("libframewire.a"))?;
    files::copy(&built.plain, lib.join("framewire/plugin").join("libframewire.so"))
}

pub struct Built {
    /// With a SONAME.
    pub versioned: PathBuf,
    /// Without one.
    pub plain: PathBuf,
    pub archive: PathBuf,
    /// What a program links in addition to the static library, such as `-lgcc_s -lm -lc`.
    pub system_libraries: String,
}

/// Takes the libraries of the usual release build, and sets the SONAME in a copy of the shared one.
fn build(names: &Names) -> Outcome<Built> {
    ensure("patchelf", &["patchelf"])?;
    // Cargo repeats what rustc printed if nothing has to be built.
    let output = cargo().args(c::SHIPPED).output().map_err(|error| format!("cargo rustc: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("cargo rustc: {}\n{printed}", output.status));
    }
    let system_libraries =
        system_libraries(&printed).ok_or("rustc did not print which libraries the static library needs")?;
    let release = root().join("target/release");
    let plain = release.join("libframewire.so");
    Ok(Built {
        versioned: with_soname(&plain, names)?,
        plain,
        archive: release.join("libframewire.a"),
        system_libraries,
    })
}

/// Copies a shared library for Linux under its versioned name, and sets its SONAME.
pub fn with_soname(library: &Path, names: &Names) -> Outcome<PathBuf> {
    let folder = scratch("soname")?;
    files::copy(library, folder.join(&names.shared))?;
    let versioned = folder.join(&names.shared);
    quietly(command("patchelf").args(["--set-soname", &names.soname]).arg(&versioned))?;
    Ok(versioned)
}

/// Finds the answer to `--print native-static-libs` in the output of rustc.
pub fn system_libraries(printed: &str) -> Option<String> {
    printed.lines().find_map(|line| line.split_once("native-static-libs:")).map(|(_, list)| once_each(list))
}

/// Keeps the last occurrence of each library, whose order counts for the linker.
fn once_each(libraries: &str) -> String {
    let words: Vec<&str> = libraries.split_whitespace().collect();
    let kept = words.iter().enumerate().filter(|(at, word)| !words[at + 1..].contains(word));
    kept.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

/// The CMake file with the paths of the libraries; Windows and browsers have others.
pub const TARGETS: &str = "framewire-targets.cmake";

/// Writes the files for pkg-config and CMake into `folder`; `prefix` is its path after the installation.
pub fn write(folder: &Path, prefix: &str, names: &Names, system_libraries: &str, targets: &str) -> Outcome {
    let values = [
        ("@PREFIX@", prefix.to_owned()),
        ("@SHARED@", names.shared.clone()),
        ("@SONAME@", names.soname.clone()),
        ("@POINTER_BYTES@", names.pointer_bytes.to_string()),
        ("@LIBS@", String::new()),
        ("@LIBS_PRIVATE@", system_libraries.to_owned()),
        ("@STATIC_LIBRARIES@", system_libraries.split(' ').collect::<Vec<_>>().join(";")),
    ];
    write_with(folder, &values, targets)
}

/// Writes them for emscripten.
pub fn write_for_browsers(folder: &Path, prefix: &str) -> Outcome {
    let values = [
        ("@PREFIX@", prefix.to_owned()),
        ("@POINTER_BYTES@", "4".to_owned()),
        ("@LIBS@", format!(" --js-library ${{libdir}}/{}", web::SCRIPT_NAME)),
        ("@LIBS_PRIVATE@", String::new()),
    ];
    write_with(folder, &values, "framewire-targets-emscripten.cmake")
}

fn write_with(folder: &Path, values: &[(&str, String)], targets: &str) -> Outcome {
    let [major, minor, _] = version()?;
    let common = [
        ("@VERSION@", package("version")?),
        ("@MAJOR@", major),
        ("@MINOR@", minor),
        ("@DESCRIPTION@", package("description")?),
    ];
    let cmake = folder.join("lib/cmake/framewire");
    for (template, folder, name) in [
        ("framewire.pc", &folder.join("lib/pkgconfig"), "framewire.pc"),
        ("framewire-config.cmake", &cmake, "framewire-config.cmake"),
        ("framewire-config-version.cmake", &cmake, "framewire-config-version.cmake"),
        (targets, &cmake, TARGETS),
    ] {
        let source = root().join("bindings/cpp/cmake").join(format!("{template}.in"));
        let mut text = files::text(&source)?;
        for (name, value) in values.iter().chain(&common) {
            text = text.replace(name, value);
        }
        // `@rpath` is part of library names on macOS.
        if let Some(at) = text.replace("@rpath/", "").find('@') {
            return Err(format!("{}: unknown name at byte {at}", source.display()));
        }
        files::create_folder(folder)?;
        files::write(folder.join(name), text)?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(to: &str, at: &Path) -> Outcome {
    files::remove(at)?;
    std::os::unix::fs::symlink(to, at).map_err(|error| format!("{}: {error}", at.display()))
}

#[cfg(not(unix))]
fn link(_to: &str, at: &Path) -> Outcome {
    Err(format!("{}: no symbolic links here", at.display()))
}

fn version() -> Outcome<[String; 3]> {
    let version = package("version")?;
    let numbers: Vec<String> = version.split(['.', '-']).take(3).map(str::to_owned).collect();
    numbers.try_into().map_err(|_| format!("{version} is not a version"))
}

/// Returns a value of `[package]` in Cargo.toml.
pub fn package(key: &str) -> Outcome<String> {
    let file = root().join("Cargo.toml");
    let text = files::text(&file)?;
    let lines = text.lines().skip_while(|line| *line != "[package]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .ok_or(format!("{}: no {key} in [package]", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_occurrence_of_a_library_is_kept() {
        assert_eq!(once_each(" -lgcc_s -lc -lm -lgcc_s -lc\n"), "-lm -lgcc_s -lc");
    }

    #[test]
    fn package_files_are_written_for_every_platform() {
        let folder = scratch("xtask/package-files").unwrap();
        let flags = || files::text(folder.join("lib/pkgconfig/framewire.pc")).unwrap();
        for targets in [TARGETS, "framewire-targets-windows.cmake"] {
            write(&folder, "/prefix", &names().unwrap(), "-lm", targets).unwrap();
            assert!(flags().contains("Libs: -L${libdir} -lframewire\n"));
        }
        write_for_browsers(&folder, "/prefix").unwrap();
        assert!(flags().contains("Libs: -L${libdir} -lframewire --js-library ${libdir}/framewire.jslib\n"));
    }

    #[test]
    fn names_contain_the_version_of_the_package() {
        let names = names().unwrap();
        assert_eq!(names.shared, format!("libframewire.so.{}", package("version").unwrap()));
        assert!(names.shared.starts_with(&format!("{}.", names.soname)));
    }
}
