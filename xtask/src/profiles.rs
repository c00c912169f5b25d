//! `cargo xtask profiles`: measures size and speed with other settings of the release profile.

use std::path::{Path, PathBuf};

use crate::c::{self, Build};
use crate::files;
use crate::platforms::{self, Profile};
use crate::run::{Echo, Outcome, cargo, command, quietly, root, run, scratch};

/// `opt-level`, `opt-level` of crates outside the data path, `lto`, `panic`; with one codegen unit.
const PROFILES: &[[&str; 4]] = &[
    ["2", "s", "fat", "unwind"],
    ["3", "s", "fat", "unwind"],
    ["3", "3", "fat", "unwind"],
    ["s", "s", "fat", "unwind"],
    ["2", "s", "thin", "unwind"],
    ["2", "s", "fat", "abort"],
];

/// Message sizes in bytes, and echoed messages in one run.
const LOADS: &[(u32, u32)] = &[(128, 100_000), (64 * 1024, 4_000)];

/// Runs of each profile, in turns, so that other load affects all of them; the best run counts.
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

/// Builds the stripped shared library and returns its folder.
fn build([level, others, lto, panic]: &[&str; 4]) -> Outcome<PathBuf> {
    println!("opt-level {level}, of others {others}, lto {lto}, panic {panic}");
    let target = scratch("profiles")?;
    // Without an rlib, for which cargo would disable LTO.
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

/// Formats a level for Cargo.toml: numbers without, letters with quotes.
fn toml(level: &str) -> String {
    if level.parse::<u8>().is_ok() { level.to_owned() } else { format!("\"{level}\"") }
}

/// Returns the client's CPU time for an echoed message, in nanoseconds.
fn client(program: &Path, library: &Path, url: &str, bytes: u32, count: u32) -> Outcome<f64> {
    let mut client = command(program);
    // Overrides the library that the program was linked with.
    client.env("LD_PRELOAD", library.join("libframewire.so"));
    let printed = quietly(client.arg(url).arg(bytes.to_string()).arg(count.to_string()))?;
    printed.trim().parse().map_err(|_| format!("{printed:?} is not a number"))
}
