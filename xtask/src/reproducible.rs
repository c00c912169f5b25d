//! `cargo xtask reproducible`: builds a release in two folders and compares the bytes, so that anyone can
//! verify that a release was built from this source.

use std::path::{Path, PathBuf};

use crate::c::SHIPPED;
use crate::files;
use crate::format::in_git_checkout;
use crate::run::{Outcome, cargo, command, has, quietly, run, scratch, shared_library};
use crate::schedule::Tested;
use crate::snapshot;

pub fn step() -> Tested {
    in_git_checkout()?;
    let folder = scratch("reproducible")?;
    // Of different lengths, because the length of a path moves what follows it.
    let places = [folder.join("one"), folder.join("another/and/deeper")];
    let mut made = Vec::new();
    for place in &places {
        let library = build(place)?;
        let bytes = files::bytes(&library)?;
        println!("{}  {} bytes  {}", sha256(&library), bytes.len(), library.display());
        made.push(bytes);
    }
    if made[0].is_empty() || made[0] != made[1] {
        let differs = made[0].iter().zip(&made[1]).position(|(one, other)| one != other);
        return Err(format!("the two builds differ, first at byte {differs:?}").into());
    }
    Ok(())
}

/// Builds a release as in docs/releasing.md.
fn build(place: &Path) -> Outcome<PathBuf> {
    let source = place.join("source");
    snapshot::of_the_tree(&source)?;
    let cargo_home = cargo_home();
    // Panic messages contain the paths of the source and of the registry.
    let flags = format!(
        "--remap-path-prefix={}=/framewire --remap-path-prefix={}=/cargo",
        source.display(),
        cargo_home.display()
    );
    let mut build = cargo();
    build.arg("--locked").args(SHIPPED);
    build.current_dir(&source).env("RUSTFLAGS", flags).env("CARGO_TARGET_DIR", place.join("target"));
    run(&mut build)?;
    Ok(place.join("target/release").join(shared_library("framewire")))
}

fn cargo_home() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_default().join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// Returns the checksum to print; the comparison is by bytes.
fn sha256(file: &Path) -> String {
    let tool = if has("sha256sum") { vec!["sha256sum"] } else { vec!["shasum", "-a", "256"] };
    let output = quietly(command(tool[0]).args(&tool[1..]).arg(file)).unwrap_or_default();
    output.split_whitespace().next().unwrap_or("(no tool for SHA-256)").to_owned()
}
