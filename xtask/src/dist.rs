//! `cargo xtask dist [TARGET…]`: builds the release archives and packages in `target/dist`.
//!
//! ```text
//! framewire-0.2.0-<target>.tar.gz     headers, libraries, pkg-config and CMake files, licences
//! framewire-0.2.0-<target>.zip        the same for Windows
//! framewire-0.2.0-wasm32-unknown-emscripten.tar.gz    headers, static library and script for
//!                                                     browsers, pkg-config and CMake files
//! framewire-0.2.0-ios.zip             Framewire.xcframework, with the libraries for devices and simulators
//! com.framewire.websocket-0.2.0.tgz   the Unity package with every library that was built
//! framewire-godot-0.2.0.zip           the Godot addon, likewise
//! Framewire.0.2.0.nupkg               the NuGet package, likewise
//! SHA256SUMS
//! ```
//!
//! A target whose tools cannot be installed is skipped; the command builds the others, and fails. For Android and iOS the
//! NDK in `$ANDROID_NDK_HOME` and Xcode are used if they are there, and otherwise zig. Each archive and package says
//! what built its libraries.

pub mod android;
pub mod assemble;
mod inspect;
mod ios;
pub mod licences;
pub mod native;
mod packages;
mod symbols;
mod system_names;
pub mod targets;
mod toolchain;
pub mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::targets::{Built, Library, System, TARGETS, Target};
use crate::files;
use crate::install::{self, Names};
use crate::platforms::{self, Fact};
use crate::run::{Outcome, command, ensure, quietly, root, scratch};
use crate::web;

/// The entry point of the Godot extension, named in `framewire.gdextension`.
const GODOT_ENTRY: &str = "framewire_godot_init";

/// The checked and stripped libraries of one target.
pub struct Shipped {
    pub target: &'static Target,
    /// The shared library, or for iOS the static one.
    pub library: PathBuf,
    pub godot: PathBuf,
    pub built_by: String,
}

/// Builds for these targets, or for all.
pub fn run(only: &[&str]) -> Outcome {
    let (browser, only): (Vec<&str>, Vec<&str>) = only.iter().partition(|triple| **triple == web::TARGET);
    let for_browsers = !browser.is_empty() || only.is_empty();
    let targets: Vec<&'static Target> = if only.is_empty() && browser.is_empty() {
        TARGETS.iter().collect()
    } else {
        only.iter().map(|triple| Target::find(triple)).collect::<Outcome<_>>()?
    };
    ensure("zip", &["zip"])?;
    if targets.iter().any(|target| target.system == System::Linux) {
        ensure("patchelf", &["patchelf"])?;
        ensure("readelf", &["binutils"])?;
    }
    let mut problems = Vec::new();
    let mut shipped = Vec::new();
    for target in targets {
        println!("\n---- {}", target.triple);
        let started = Instant::now();
        match one(target) {
            Ok(one) => shipped.push(one),
            Err(problem) => {
                println!("{problem}");
                problems.push(format!("{}: {problem}", target.triple));
            }
        }
        println!("---- {}: {:.0} s", target.triple, started.elapsed().as_secs_f32());
    }
    let mut web = None;
    if for_browsers {
        match browsers() {
            Ok(built) => web = Some(built),
            Err(problem) => {
                println!("{problem}");
                problems.push(format!("{}: {problem}", web::TARGET));
            }
        }
    }
    for one in &shipped {
        // Again, after the other builds.
        check(one.target, Library::C, &one.library)?;
        check(one.target, Library::Godot, &one.godot)?;
    }
    if !shipped.is_empty() {
        let ios: Vec<&Shipped> = shipped.iter().filter(|one| one.target.system == System::Ios).collect();
        if !ios.is_empty() {
            println!("{}", ios_archive(&ios)?.display());
        }
        println!("{}", packages::unity(&shipped, web.as_deref())?.display());
        println!("{}", packages::godot(&shipped)?.display());
        println!("{}", packages::nuget(&shipped)?.display());
    }
    sums()?;
    if problems.is_empty() { Ok(()) } else { Err(format!("not built:\n{}", problems.join("\n"))) }
}

/// Builds the archive for browsers, and returns the folder of the library.
fn browsers() -> Outcome<PathBuf> {
    let built = web::build()?;
    let name = format!("framewire-{}-{}", install::package("version")?, web::TARGET);
    let folder = scratch("dist/staging")?.join(&name);
    files::remove_folder(&folder)?;
    web::lay_out(&built, &folder)?;
    files::copy("docs/browser.md", folder.join("README.md"))?;
    texts(&folder, &[web::TARGET])?;
    println!("{}", packages::tar(&folder, &format!("{name}.tar.gz"))?.display());
    platforms::record(&format!("dist {}", web::TARGET), &Fact::only("built"))?;
    Ok(built)
}

/// Builds the release library alone, for tests that run it.
pub fn library(target: &Target) -> Outcome<Built> {
    let mut built = target.build(Library::C)?;
    if target.system == System::Ios {
        built.library = ios::isolate(target, Library::C, &built.library)?;
    }
    check(target, Library::C, &built.library)?;
    println!(
        "{} functions; {} bytes; needs {}",
        symbols::declared()?.len(),
        size(&built.library)?,
        needs(target, &built.library)?
    );
    Ok(built)
}

fn one(target: &'static Target) -> Outcome<Shipped> {
    let built = library(target)?;
    let built_by = target.built_by()?;
    // The libraries for iOS get an archive for all together.
    let archive = match target.system {
        System::Ios => None,
        _ => Some(archive(target, &built, &built_by)?),
    };
    if let Some(archive) = &archive {
        println!("{}", archive.display());
    }
    let fact = Fact {
        verdict: "built".into(),
        built_by: Some(built_by.clone()),
        inspected: Some(inspected(target).into()),
        size: Some(size(&built.library)?),
        archive_size: archive.as_ref().map(|archive| size(archive)).transpose()?,
        needs: Some(needs(target, &built.library)?),
    };
    let record = || platforms::record(&format!("dist {}", target.triple), &fact);
    if target.system != System::Ios {
        record()?;
    }
    let mut godot = target.build(Library::Godot)?.library;
    if target.system == System::Ios {
        let unchanged = godot;
        godot = ios::isolate(target, Library::Godot, &unchanged)?;
        ios::link_with_another(target, &built.library, &unchanged)?;
        record()?;
    }
    check(target, Library::Godot, &godot)?;
    Ok(Shipped { target, library: built.library, godot, built_by })
}

/// Checks a library without running it.
fn check(target: &Target, library: Library, file: &Path) -> Outcome {
    match (target.system, library) {
        (System::Android, _) => return android::check(target, library, file),
        (System::Ios, _) => return ios::check(target, library, file),
        (_, Library::C) => symbols::exports_are_declared(target.system, file)?,
        (_, Library::Godot) if !symbols::exported(file)?.contains(GODOT_ENTRY) => {
            return Err(format!("{} has no {GODOT_ENTRY}", file.display()));
        }
        (_, Library::Godot) => {}
    }
    if target.system == System::Linux {
        symbols::glibc_is_old_enough(file)?;
    }
    Ok(())
}

/// What `check` compares.
fn inspected(target: &Target) -> &'static str {
    match target.system {
        System::Linux => "exports, oldest glibc",
        System::Windows | System::MacOs => "exports",
        System::Android => android::INSPECTED,
        System::Ios => ios::INSPECTED,
    }
}

/// What the library needs at run time.
fn needs(target: &Target, file: &Path) -> Outcome<String> {
    match target.system {
        System::Android => android::needs(file),
        System::Ios => ios::needs(target),
        system => symbols::needs(system, file),
    }
}

/// Creates the archive of one target.
fn archive(target: &Target, built: &Built, built_by: &str) -> Outcome<PathBuf> {
    let name = format!("framewire-{}-{}", install::package("version")?, target.triple);
    let folder = scratch("dist/staging")?.join(&name);
    files::remove_folder(&folder)?;
    install::headers(&folder)?;
    libraries(target, built, &folder)?;
    texts(&folder, &[target.triple])?;
    files::write(folder.join("BUILT_BY.md"), built_text(&[(target, built_by)]))?;
    match target.system {
        System::Windows => packages::zip(&folder, &format!("{name}.zip")),
        _ => packages::tar(&folder, &format!("{name}.tar.gz")),
    }
}

/// Creates the archive with the xcframework.
fn ios_archive(libraries: &[&Shipped]) -> Outcome<PathBuf> {
    let name = format!("framewire-{}-ios", install::package("version")?);
    let folder = scratch("dist/staging")?.join(&name);
    files::remove_folder(&folder)?;
    files::create_folder(&folder)?;
    let files: Vec<(&Target, PathBuf)> =
        libraries.iter().map(|one| (one.target, one.library.clone())).collect();
    let headers = install::HEADERS.map(|header| root().join(header));
    ios::xcframework(&folder.join("Framewire.xcframework"), &files, &headers)?;
    let triples: Vec<&str> = libraries.iter().map(|one| one.target.triple).collect();
    texts(&folder, &triples)?;
    let builders: Vec<(&Target, &str)> =
        libraries.iter().map(|one| (one.target, one.built_by.as_str())).collect();
    files::write(folder.join("BUILT_BY.md"), built_text(&builders))?;
    packages::zip(&folder, &format!("{name}.zip"))
}

/// Says what built the libraries of a package.
fn built_text(libraries: &[(&Target, &str)]) -> String {
    let mut text = "# What built these libraries\n\n| target | C compiler and linker | inspected |\n\
                    | --- | --- | --- |\n"
        .to_owned();
    for (target, built_by) in libraries {
        text += &format!("| `{}` | {built_by} | {} |\n", target.triple, inspected(target));
    }
    if libraries.iter().any(|(target, _)| target.is_phone()) {
        text += "\nThe libraries for Android and iOS were inspected from their files. They were not run on a device.\n";
    }
    text
}

/// Adds the licences and the changelog.
fn texts(folder: &Path, triples: &[&str]) -> Outcome {
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"] {
        files::copy(file, folder.join(file))?;
    }
    let licences = licences::of(&root(), triples)?.text();
    let intro = "# Third-party licences\n\nThe libraries contain these packages:\n\n";
    files::write(folder.join("THIRD_PARTY_LICENSES.md"), format!("{intro}{licences}"))
}

/// Relative to the `.pc` file, wherever a user unpacks the archive.
pub const PREFIX: &str = "${pcfiledir}/../..";

fn libraries(target: &Target, built: &Built, folder: &Path) -> Outcome {
    let static_library = slim_archive(target, built)?;
    let shared = target.library_name(Library::C);
    let pointer_bytes = target.pointer_bytes();
    let lib = folder.join("lib");
    match target.system {
        System::Android => {
            files::copy(&built.library, lib.join(&shared))?;
            files::copy(&static_library, lib.join("libframewire.a"))?;
            let names = Names { soname: shared.clone(), shared, pointer_bytes };
            install::write(folder, PREFIX, &names, &built.system_libraries, install::TARGETS)
        }
        System::Ios => Err("the library for iOS is in an xcframework".into()),
        System::Linux => {
            let names = install::names()?;
            let versioned = install::with_soname(&built.library, &names)?;
            // patchelf moves parts of the file.
            symbols::exports_are_declared(target.system, &versioned)?;
            let built = install::Built {
                versioned,
                plain: built.library.clone(),
                archive: static_library,
                system_libraries: built.system_libraries.clone(),
            };
            install::linux_libraries(folder, &names, &built)?;
            install::write(folder, PREFIX, &names, &built.system_libraries, install::TARGETS)
        }
        System::MacOs => {
            files::copy(&built.library, lib.join(&shared))?;
            files::copy(&static_library, lib.join("libframewire.a"))?;
            let names = Names { soname: format!("@rpath/{shared}"), shared, pointer_bytes };
            install::write(folder, PREFIX, &names, &built.system_libraries, install::TARGETS)
        }
        System::Windows => {
            files::copy(&built.library, folder.join("bin").join(&shared))?;
            files::copy(&static_library, lib.join("libframewire.a"))?;
            let gnu = built.library.with_file_name("libframewire.dll.a");
            files::copy(&gnu, lib.join("libframewire.dll.a"))?;
            msvc_import_library(&lib)?;
            let names = Names { soname: shared.clone(), shared, pointer_bytes };
            let targets = "framewire-targets-windows.cmake";
            install::write(folder, PREFIX, &names, &built.system_libraries, targets)
        }
    }
}

/// Writes the import library of the DLL for Microsoft's linker, from the names alone.
fn msvc_import_library(lib: &Path) -> Outcome {
    let mut definitions = "LIBRARY framewire.dll\nEXPORTS\n".to_owned();
    for name in symbols::declared()? {
        definitions += &format!("    {name}\n");
    }
    let file = lib.join("framewire.def");
    files::write(&file, &definitions)?;
    let zig = tools::zig()?;
    let mut dlltool = command(zig.join("bin/python"));
    dlltool.args(["-m", "ziglang", "dlltool", "-m", "i386:x86-64", "-d"]).arg(&file);
    quietly(dlltool.arg("-l").arg(lib.join("framewire.lib"))).map(drop)
}

/// Removes debug information and LTO bitcode from the static library. For Linux and Android, merges it into one object that
/// exports only the functions of the header: otherwise a program that links another static library written
/// in Rust would find the symbols of the standard library twice.
pub fn slim_archive(target: &Target, built: &Built) -> Outcome<PathBuf> {
    let archive = built.archive.as_ref().ok_or("there is no static library")?;
    let (tools, package) = match (target.system, target.triple.split('-').next()) {
        (System::Linux, Some("x86_64")) => ("", "binutils"),
        (System::Linux, _) => ("aarch64-linux-gnu-", "binutils-aarch64-linux-gnu"),
        (System::Windows, _) => ("x86_64-w64-mingw32-", "binutils-mingw-w64-x86-64"),
        // binutils do not support Mach-O.
        (System::MacOs | System::Ios, _) => return Ok(archive.clone()),
        (System::Android, _) => {
            let merged = android::merge(target, archive)?;
            symbols::are_declared(android::global(&merged)?.iter().map(String::as_str))?;
            return Ok(merged);
        }
    };
    let tool = |name: &str| format!("{tools}{name}");
    ensure(&tool("objcopy"), &[package])?;
    let folder = scratch("dist/slim")?.join(target.triple);
    files::create_folder(&folder)?;
    let slim = folder.join("libframewire.a");
    let mut objcopy = command(tool("objcopy"));
    objcopy.args(["--strip-debug", "--remove-section", ".llvmbc", "--remove-section", ".llvmcmd"]);
    quietly(objcopy.arg(archive).arg(&slim))?;
    if target.system == System::Windows {
        return Ok(slim);
    }
    let (whole, object) = (folder.join("whole.o"), folder.join("framewire.o"));
    let mut link = command(tool("ld"));
    // Without section groups, which the linker would merge with those of another library.
    link.args(["--relocatable", "--force-group-allocation", "--whole-archive"]).arg(&slim);
    quietly(link.arg("-o").arg(&whole))?;
    let mut hide = command(tool("objcopy"));
    hide.args(["--wildcard", "--keep-global-symbol=fw_*"]).arg(&whole).arg(&object);
    quietly(&mut hide)?;
    let listed = quietly(command(tool("nm")).args(["--extern-only", "--defined-only"]).arg(&object))?;
    symbols::are_declared(listed.lines().filter_map(|line| line.split(' ').nth(2)))?;
    files::remove(&slim)?;
    quietly(command(tool("ar")).arg("rcsD").arg(&slim).arg(&object))?;
    Ok(slim)
}

/// Writes the checksums of all archives, including those of earlier runs for other targets.
fn sums() -> Outcome {
    let folder = scratch("dist")?;
    let files: Vec<String> = files::list(&folder)?
        .into_iter()
        .filter(|path| path.is_file())
        .map(|path| files::name(&path))
        .filter(|name| [".tgz", ".tar.gz", ".zip", ".nupkg"].iter().any(|kind| name.contains(kind)))
        .collect();
    if files.is_empty() {
        return Ok(());
    }
    let sums = quietly(command("sha256sum").current_dir(&folder).args(&files))?;
    print!("{sums}");
    files::write(folder.join("SHA256SUMS"), &sums)
}

fn size(file: &Path) -> Outcome<u64> {
    fs::metadata(file).map(|data| data.len()).map_err(|error| format!("{}: {error}", file.display()))
}
