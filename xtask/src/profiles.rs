//! `cargo xtask profiles`: what the settings of the release profile cost and bring.

use std::path::{Path, PathBuf};

use crate::c::{self, Build};
use crate::files;
use crate::platforms::{self, Profile};
use crate::run::{Echo, Outcome, cargo, command, quietly, root, run, scratch};

/// `opt-level`, that of the crates which no message passes through, `lto`, `panic`; one codegen unit
/// in all.
const PROFILES: &[[&str; 4]] = &[
    ["2", "s", "fat", "unwind"],
    ["3", "s", "fat", "unwind"],
    ["3", "3", "fat", "unwind"],
    ["s", "s", "fat", "unwind"],
    ["2", "s", "thin", "unwind"],
    ["2", "s", "fat", "abort"],
];

/// Sizes of messages in bytes, and how many go there and back in one run.
const LOADS: &[(u32, u32)] = &[(128, 100_000), (64 * 1024, 4_000)];

/// Each is run as often, in turns, so that what the machine does meanwhile meets all; the best counts.
const RUNS: usize = 3;

pub fn measure() -> Outcome {
    let libraries: Vec<PathBuf> = PROFILES.iter().map(build).collect::<Outcome<_>>()?;
    let source = root().join("xtask/src/profiles/throughput.c");
    let first = libraries.first().ok_or("no profile")?;
    let program = c::compile(&source, first, Build::Release)?;
    let echo = Echo::start()?;
    let mut best = vec![vec![f64::INFINITY; LOADS.len()]; libraries.len()];
    for round in 1..=RUNS {
        for (at, library) in libraries.iter().enumerate() {
            for (load, (bytes, count)) in LOADS.iter().enumerate() {
                let found = client(&program, library, &echo.ws, *bytes, *count)?;
                best[at][load] = best[at][load].min(found);
            }
        }
        println!("round {round} of {RUNS}");
    }
    let mut profiles = Vec::new();
    for ((settings, library), nanoseconds) in PROFILES.iter().zip(&libraries).zip(&best) {
        let file = library.join("libframewire.so");
        let size = std::fs::metadata(&file).map_err(|error| error.to_string())?.len();
        println!("{settings:?}: {size} bytes, {nanoseconds:.0?} ns a message");
        profiles.push(Profile { settings: settings.join(" "), size, nanoseconds: nanoseconds.clone() });
    }
    platforms::record_profiles(&profiles)
}

/// Builds the shared library, stripped, and returns the folder it lies in.
fn build([level, others, lto, panic]: &[&str; 4]) -> Outcome<PathBuf> {
    println!("opt-level {level}, of others {others}, lto {lto}, panic {panic}");
    let target = scratch("profiles")?;
    // As a shared library alone: where a crate is made for Rust programs too, cargo leaves LTO out.
    run(cargo()
        .args(["rustc", "--release", "--quiet", "--package", "framewire", "--lib", "--crate-type", "cdylib"])
        .arg("--target-dir")
        .arg(&target)
        .arg("--config")
        .arg(format!("profile.release.package.\"*\".opt-level={}", toml(others)))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level)
        .env("CARGO_PROFILE_RELEASE_LTO", lto)
        .env("CARGO_PROFILE_RELEASE_PANIC", panic)
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols"))?;
    let folder = scratch(&format!("profiles/{level}-{others}-{lto}-{panic}"))?;
    files::copy(target.join("release/libframewire.so"), folder.join("libframewire.so"))?;
    Ok(folder)
}

/// A level as Cargo.toml has it: numbers bare, letters in quotes.
fn toml(level: &str) -> String {
    if level.parse::<u8>().is_ok() { level.to_owned() } else { format!("\"{level}\"") }
}

/// Nanoseconds of the client's processor time for a message there and back.
fn client(program: &Path, library: &Path, url: &str, bytes: u32, count: u32) -> Outcome<f64> {
    let mut client = command(program);
    // Before the folder that the program was linked with.
    client.env("LD_PRELOAD", library.join("libframewire.so"));
    let said = quietly(client.arg(url).arg(bytes.to_string()).arg(count.to_string()))?;
    said.trim().parse().map_err(|_| format!("{said:?} is no number"))
}
