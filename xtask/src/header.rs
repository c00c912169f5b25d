//! `include/framewire.h` comes from the source.

use crate::run::{Outcome, root};

fn generate() -> Outcome<String> {
    let config = cbindgen::Config::from_root_or_default(root());
    let bindings = cbindgen::Builder::new()
        .with_crate(root())
        .with_config(config)
        .generate()
        .map_err(|error| format!("cbindgen: {error}"))?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).map_err(|error| format!("cbindgen wrote no text: {error}"))
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
