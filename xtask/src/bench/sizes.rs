//! `cargo xtask bench sizes`: builds the stripped shared library with each set of features, and writes the sizes to
//! docs/platforms.md.

use std::fmt::Write;

use crate::platforms::{self, megabytes};
use crate::run::{Outcome, cargo, run, scratch};

struct Set {
    features: &'static str,
    what: &'static str,
}

const SETS: &[Set] = &[
    Set { features: "capi,http2,tls", what: "`ws` and `wss`, HTTP/1.1 and HTTP/2 (the default)" },
    Set { features: "capi,tls", what: "`ws` and `wss`, HTTP/1.1 only" },
    Set { features: "capi,http2", what: "`ws` only, HTTP/1.1 and HTTP/2" },
    Set { features: "capi", what: "`ws` only, HTTP/1.1 only" },
];

pub fn run_all() -> Outcome {
    let mut table =
        "| features | connections | stripped size | difference |\n| --- | --- | ---: | ---: |\n".to_owned();
    let mut full = None;
    for Set { features, what } in SETS {
        let size = build(features)?;
        println!("{features}: {size} bytes");
        let less =
            full.map_or_else(String::new, |full: u64| format!("−{}", megabytes(full.saturating_sub(size))));
        full.get_or_insert(size);
        let _ = writeln!(table, "| `{features}` | {what} | {} | {less} |", megabytes(size));
    }
    platforms::replace("docs/platforms.md", "sizes", &table)
}

/// Returns the size in bytes.
fn build(features: &str) -> Outcome<u64> {
    let target = scratch("sizes")?;
    // As for releases. In a separate folder, because the other benchmarks use the library in target/release.
    run(cargo()
        .args(["rustc", "--release", "--quiet", "--package", "framewire", "--lib", "--crate-type", "cdylib"])
        .args(["--no-default-features", "--features", features, "--target-dir"])
        .arg(&target)
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols"))?;
    let file = target.join("release/libframewire.so");
    let size = std::fs::metadata(&file).map(|metadata| metadata.len());
    size.map_err(|error| format!("{}: {error}", file.display()))
}
