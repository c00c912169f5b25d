//! `include/framewire.h` comes from the source.

use crate::run::{Outcome, cargo, quietly, root};

/// As `xtask/header` generates it, a package of its own because cbindgen takes long to build.
fn generate() -> Outcome<String> {
    let mut header = cargo();
    quietly(header.args(["run", "--quiet", "--package", "framewire-header", "--"]).arg(root()))
}

pub fn write() -> Outcome {
    let path = root().join("include/framewire.h");
    std::fs::write(&path, generate()?).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn check() -> Outcome {
    let path = root().join("include/framewire.h");
    let committed = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let generated = generate()?;
    if committed == generated {
        return Ok(());
    }
    let line = committed.lines().zip(generated.lines()).take_while(|(old, new)| old == new).count() + 1;
    Err(format!("include/framewire.h is stale from line {line} on: run `cargo xtask header`"))
}
