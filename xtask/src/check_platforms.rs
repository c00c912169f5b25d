//! `cargo xtask check-platforms`: type-checks the library for platforms whose linkers and SDKs are not available
//! here. `docs/platforms.md` says how to build for each.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::dist::tools;
use crate::files;
use crate::platforms::{self, Fact};
use crate::run::{Outcome, cargo, command, quietly, scratch};

pub const TRIPLES: &[&str] = &[
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "i686-pc-windows-msvc",
    "x86_64-uwp-windows-msvc",
    "x86_64-unknown-linux-musl",
    "armv7-unknown-linux-gnueabihf",
    "x86_64-unknown-freebsd",
];

/// One target of each system with code of its own, for every change: nightly runs build most of them.
const SYSTEMS: &[&str] = &["aarch64-linux-android", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Targets for which the command line is checked too, which has code of its own for Windows.
const COMMAND_LINE: &[&str] = &["x86_64-pc-windows-msvc"];

/// Checks the library for Android, Apple's systems and Windows.
pub fn step() -> Outcome {
    let (rustc, compiler) = (tools::rustc()?, no_compiler()?);
    let failed =
        |triple: &&str| check(triple, LIBRARY, &rustc, &compiler).err().map(|why| format!("{triple}: {why}"));
    let problems: Vec<String> = SYSTEMS.iter().filter_map(failed).collect();
    println!("{} checked, {} failed", SYSTEMS.len() - problems.len(), problems.len());
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Checks these targets, or all.
pub fn run(only: &[&str]) -> Outcome {
    if let Some(unknown) = only.iter().find(|triple| !TRIPLES.contains(triple)) {
        return Err(format!("{unknown} is not one of {}", TRIPLES.join(", ")));
    }
    let rustc = tools::rustc()?;
    let compiler = no_compiler()?;
    let mut problems = Vec::new();
    for triple in TRIPLES.iter().filter(|triple| only.is_empty() || only.contains(*triple)) {
        let started = Instant::now();
        let mut checked = check(triple, LIBRARY, &rustc, &compiler);
        if checked.is_ok() && COMMAND_LINE.contains(triple) {
            checked = check(triple, &["framewire-cli", "--bins"], &rustc, &compiler);
        }
        let verdict = match checked {
            Ok(()) => "checked",
            Err(problem) => {
                println!("{problem}");
                problems.push(format!("{triple}: {problem}"));
                "fails"
            }
        };
        println!("{triple}: {verdict}, {:.0} s", started.elapsed().as_secs_f32());
        platforms::record(&format!("check-platforms {triple}"), &Fact::only(verdict))?;
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

const LIBRARY: &[&str] = &["framewire", "--lib"];

/// Checks a package. Checks the standard library from source too, because no package contains it for these targets.
fn check(triple: &str, package: &[&str], rustc: &Path, compiler: &Path) -> Outcome {
    let variable = triple.replace('-', "_");
    let folder = compiler.parent().unwrap_or(compiler).display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut check = cargo();
    check
        .args(["check", "--quiet", "--target", triple, "--package"])
        .args(package)
        .args(["-Z", "build-std=std,panic_abort", "--target-dir"])
        .arg(scratch("check-platforms")?)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", rustc)
        .env("RUSTFLAGS", "-D warnings")
        .env("PATH", path)
        .env(format!("CC_{variable}"), compiler)
        .env(format!("AR_{variable}"), compiler);
    quietly(&mut check).map(drop)
}

/// Creates a script in place of the C compiler and archiver that ring's build script calls: it writes empty
/// output files, which are never linked.
fn no_compiler() -> Outcome<PathBuf> {
    // For Windows on ARM, ring runs `clang` from the path, whatever compiler is set.
    let script = scratch("tools/no-compiler-bin")?.join("clang");
    files::write(&script, NO_COMPILER)?;
    quietly(command("chmod").arg("+x").arg(&script))?;
    Ok(script)
}

const NO_COMPILER: &str = "\
#!/bin/sh
previous=
for word; do
    case $word in
    *.a | *.lib) : > \"${word#-out:}\" ;;
    esac
    test \"$previous\" = -o && : > \"$word\"
    previous=$word
done
exit 0
";
