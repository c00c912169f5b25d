//! A build that panics on demand, and the proof that no other build does.

use std::path::Path;

use crate::c::{self, Build};
use crate::run::{Outcome, cargo, root, run};

/// What `src/fault.rs` has its panics say.
const WORDS: &[u8] = b"framewire fault point";

/// A panic in each room in turn.
pub fn test() -> Outcome {
    // A folder of its own, as the flags would have everything built again each time.
    let folder = root().join("target/faults");
    let faulty = |command: &[&str]| {
        let mut faulty = cargo();
        faulty.args(command).args(["--quiet", "--package", "framewire"]);
        faulty.env("RUSTFLAGS", "--cfg framewire_faults").env("CARGO_TARGET_DIR", &folder);
        faulty
    };
    run(faulty(&["test", "--test", "faults"]).args(["--", "--nocapture"]))?;
    run(&mut faulty(&["build", "--lib"]))?;
    let name = format!("{}framewire{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    // That the words are found there shows that they can be.
    if !says_so(&folder.join("debug").join(&name))? {
        return Err("the build that panics on demand does not say so".into());
    }
    if says_so(&c::library(Build::Release)?.join(&name))? {
        return Err("a release has points in it at which it panics on demand".into());
    }
    Ok(())
}

fn says_so(library: &Path) -> Outcome<bool> {
    let bytes = std::fs::read(library).map_err(|error| format!("{}: {error}", library.display()))?;
    Ok(bytes.windows(WORDS.len()).any(|window| window == WORDS))
}
