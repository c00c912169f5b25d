//! Installs the tools to build for other systems, into `target/tools`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::licences;
use crate::debian::{self, Apt};
use crate::files;
use crate::python;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};

pub struct Tools {
    /// A compiler with standard libraries of other targets.
    pub rustc: Option<PathBuf>,
    /// The Python environment with zig and cargo-zigbuild.
    pub zig: Option<PathBuf>,
}

pub const MINGW_GCC: &str = "x86_64-w64-mingw32-gcc";

/// For targets whose standard library is in no package.
pub const STD_FROM_SOURCE: &[&str] = &["-Z", "build-std=std,panic_unwind"];

const ZIG: &[&str] = &["ziglang==0.17.1", "cargo-zigbuild==0.24.0"];

/// Installs zig (about 440 MB), and returns the folder of its Python environment.
pub fn zig() -> Outcome<PathBuf> {
    python::environment("zig", ZIG)
}

pub fn mingw() -> Outcome {
    ensure(MINGW_GCC, &["gcc-mingw-w64-x86-64-win32"])
}

/// Whether the compiler of this machine has the standard library of a target (`rustup target add`).
pub fn has_std(triple: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", triple]);
    quietly(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).exists())
}

/// Unpacks Debian's rustc-web, which has the standard library for ARM, and its source for all other targets.
pub fn rustc() -> Outcome<PathBuf> {
    let folder = scratch("tools")?.join("cross-rust");
    let rustc = folder.join("rustc");
    if quietly(Command::new(&rustc).arg("-V")).is_err() {
        println!("a compiler for other targets is unpacked into {} (about 1 GB)", folder.display());
        unpack_rust(&folder).map_err(|problem| format!("Debian's rustc-web: {problem}"))?;
        quietly(Command::new(&rustc).arg("-V"))?;
    }
    Ok(rustc)
}

fn unpack_rust(folder: &Path) -> Outcome {
    files::remove_folder(folder)?;
    let archives = debian::archives()?;
    let source = |(archive, suite): &(String, String)| {
        format!("URIs: {archive}\nSuites: {suite}\nArchitectures: amd64 arm64\n")
    };
    let sources: Vec<String> = archives.iter().map(source).collect();
    let apt = Apt::new(&folder.join("apt"), &sources, &["APT::Architectures::=arm64"])?;
    let depends = apt.cache(&["depends", "libstd-rust-web-dev"])?;
    let std = dependency(&depends, "libstd-rust-web-")?;
    let depends = apt.cache(&["depends", std])?;
    let llvm = dependency(&depends, "libllvm")?;
    let arm = "libstd-rust-web-dev:arm64";
    let root = folder.join("root");
    apt.unpack(&["rustc-web", "libstd-rust-web-dev", arm, "rust-web-src", std, llvm], &root)?;
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={0}/usr/lib/x86_64-linux-gnu exec {0}/usr/bin/rustc \"$@\"\n",
        root.display()
    );
    files::write(folder.join("rustc"), script)?;
    quietly(command("chmod").arg("+x").arg(folder.join("rustc"))).map(drop)
}

/// Finds a dependency by the beginning of its name.
fn dependency<'a>(depends: &'a str, beginning: &str) -> Outcome<&'a str> {
    let mut names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names
        .find(|name| name.starts_with(beginning))
        .ok_or_else(|| format!("no dependency begins with {beginning}"))
}

/// Writes text stubs (`.tbd`) of the two macOS frameworks that verify certificates: zig has stubs of the C
/// library only, and a linker needs only names and symbols.
pub fn frameworks() -> Outcome<PathBuf> {
    let folder = scratch("tools/frameworks")?;
    let packages = licences::unpacked(&root())?;
    for (name, package) in FRAMEWORKS {
        let framework = folder.join(format!("{name}.framework"));
        files::create_folder(&framework)?;
        let ((_, version), source) =
            packages
                .iter()
                .find(|((package_name, _), _)| package_name == package)
                .ok_or_else(|| format!("no crate uses {package}, which declares the symbols of {name}"))?;
        let symbols = foreign_symbols(&source.join("src"))?;
        if symbols.is_empty() {
            return Err(format!("{package} {version} declares no symbols"));
        }
        let text = format!(
            "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
             install-name: '/System/Library/Frameworks/{name}.framework/Versions/A/{name}'\n\
             exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n    symbols: [ {} ]\n...\n",
            symbols.into_iter().collect::<Vec<_>>().join(", ")
        );
        files::write(framework.join(format!("{name}.tbd")), &text)?;
    }
    Ok(folder)
}

/// Frameworks, and the crates that declare their symbols.
const FRAMEWORKS: &[(&str, &str)] =
    &[("CoreFoundation", "core-foundation-sys"), ("Security", "security-framework-sys")];

/// Finds the functions and variables that a crate declares, by their names in the linker.
fn foreign_symbols(folder: &Path) -> Outcome<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for file in files::list(folder)? {
        let text = files::text(&file)?;
        for line in text.lines().map(str::trim) {
            let declared = line.strip_prefix("pub fn ").or_else(|| line.strip_prefix("pub static "));
            let name = declared.and_then(|rest| rest.split(['(', ':', '<']).next()).map(str::trim);
            // Or in the table of a macro: `Rust name => symbol`.
            let listed = line.trim_end_matches(',').split_once(" => ").map(|(_, there)| there);
            let listed = listed.filter(|there| there.starts_with('k') && !there.contains(' '));
            found.extend(name.or(listed).map(|name| format!("_{name}")));
        }
    }
    Ok(found)
}
