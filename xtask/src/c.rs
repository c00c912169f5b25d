//! Builds the library for C programs, and the programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;
use crate::run::{DEVELOPMENT, Outcome, build_unless_built, cargo, command, has, quietly, root, scratch};

pub const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// How the library and a program are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Shares all dependencies with the build of the tests.
    Development,
    Release,
    /// The library and the program with AddressSanitizer; needs a nightly toolchain.
    Sanitized,
}

/// Set for the steps of `cargo xtask test --all`: C programs use the release build.
pub const SHIPPED_ONLY: &str = "FRAMEWIRE_XTASK_SHIPPED";

/// Returns the build for C programs that do not need a certain one.
pub fn usual() -> Build {
    if std::env::var_os(SHIPPED_ONLY).is_some() { Build::Release } else { Build::Development }
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the libraries as they are shipped, and names the system libraries of the static one. Without the
/// crate type for Rust programs, with which cargo would leave link-time optimisation out.
pub const SHIPPED: &[&str] = &[
    "rustc",
    "--release",
    "--quiet",
    "--package",
    "framewire",
    "--lib",
    "--crate-type",
    "cdylib,staticlib",
    "--",
    "--print",
    "native-static-libs",
];

/// Builds the shared library and returns its folder.
pub fn library(build: Build) -> Outcome<PathBuf> {
    match build {
        Build::Development => {
            build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
            Ok(root().join("target/debug"))
        }
        Build::Release => {
            build_unless_built(cargo().args(SHIPPED))?;
            Ok(root().join("target/release"))
        }
        Build::Sanitized => {
            let folder = scratch("sanitized")?;
            let mut build = Command::new("cargo");
            build
                .current_dir(root())
                .args(["+nightly", "build", "--quiet", "--package", "framewire", "--lib", "--target", TARGET])
                .arg("--target-dir")
                .arg(&folder)
                .env_remove("CARGO")
                .env_remove("RUSTC")
                .env_remove("RUSTUP_TOOLCHAIN")
                .env("RUSTFLAGS", "-Zsanitizer=address");
            quietly(&mut build)?;
            Ok(folder.join(TARGET).join("debug"))
        }
    }
}

/// Returns why AddressSanitizer cannot be used here, if so.
pub fn can_sanitize() -> Outcome {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Err("AddressSanitizer is only set up for x86-64 Linux".into());
    }
    quietly(Command::new("cargo").args(["+nightly", "--version"]).env_remove("RUSTUP_TOOLCHAIN"))
        .map(drop)
        .map_err(|_| "there is no nightly toolchain, which -Zsanitizer needs".into())
}

/// Compiles one C file against the header and the shared library in `library`.
pub fn compile(source: &Path, library: &Path, build: Build) -> Outcome<PathBuf> {
    let folder = scratch(match build {
        Build::Development => "c-development",
        Build::Release => "c",
        Build::Sanitized => "c-sanitized",
    })?;
    let program = folder.join(source.file_stem().unwrap_or_default());
    let mut cc = command("cc");
    cc.arg("-std=c11").args(WARNINGS).args(["-O1", "-g"]);
    if build == Build::Sanitized {
        cc.arg("-fsanitize=address");
    }
    cc.args(["-D_GNU_SOURCE", "-I"])
        .arg(root().join("include"))
        .arg("-I")
        .arg(root().join("tests/c"))
        .arg(source);
    // Renamed at the end, because another step may be running the old program.
    let fresh = program.with_extension(std::process::id().to_string());
    cc.arg("-o").arg(&fresh).arg("-L").arg(library).args(["-lframewire", "-lpthread", "-lm"]);
    // With DT_RPATH instead of DT_RUNPATH, because cargo sets LD_LIBRARY_PATH to folders with another build
    // of the library.
    cc.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", library.display()));
    quietly(&mut cc)?;
    std::fs::rename(&fresh, &program).map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(program)
}

/// Compiles the header alone, as C and C++, with each installed compiler.
pub fn header_alone() -> Outcome {
    let folder = scratch("c")?;
    for (compiler, language, standard) in [
        ("gcc", "c", "-std=c11"),
        ("g++", "c++", "-std=c++17"),
        ("clang", "c", "-std=c11"),
        ("clang++", "c++", "-std=c++17"),
    ] {
        if !has(compiler) {
            println!("{compiler}: not installed");
            continue;
        }
        let source = folder.join(if language == "c" { "alone.c" } else { "alone.cpp" });
        let text = "#include \"framewire.h\"\n#include \"framewire.h\"\nint main(void) { return fw_version() == FW_VERSION ? 0 : 1; }\n";
        files::write(&source, text)?;
        let mut check = command(compiler);
        check
            .arg(standard)
            .args(WARNINGS)
            .arg("-fsyntax-only")
            .arg("-I")
            .arg(root().join("include"))
            .arg(&source);
        quietly(&mut check)?;
        // As for a DLL on 32-bit Windows, with attributes of this compiler in the same places.
        check.args(["-m32", "-ffreestanding", "-D_WIN32", "-DFW_SHARED"]);
        check.arg("-D__declspec(x)=__attribute__((visibility(\"default\")))");
        quietly(check.arg("-D__cdecl=__attribute__((cdecl))"))?;
        println!("{compiler} {standard}: ok");
    }
    Ok(())
}

/// Returns the C files of a folder, sorted.
pub fn sources(folder: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = files::list(folder)?;
    found.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    Ok(found)
}
