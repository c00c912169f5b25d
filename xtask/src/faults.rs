//! A build that panics on demand, and the proof that no other build does.

use std::path::Path;

use crate::c::{self, Build};
use crate::files;
use crate::run::{Outcome, build_test_program, command, run};

/// What `src/fault.rs` has its panics say.
const WORDS: &[u8] = b"framewire fault point";

/// A panic in each room in turn.
pub fn test() -> Outcome {
    let program = build_test_program("faults", Some("framewire_faults"))?;
    run(command(&program).arg("--nocapture"))?;
    let name = format!("{}framewire{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    // That the words are found there, where the library is linked in, shows that they can be.
    if !says_so(&program)? {
        return Err("the build that panics on demand does not say so".into());
    }
    if says_so(&c::library(Build::Release)?.join(&name))? {
        return Err("a release has points in it at which it panics on demand".into());
    }
    Ok(())
}

fn says_so(library: &Path) -> Outcome<bool> {
    let bytes = files::bytes(library)?;
    Ok(bytes.windows(WORDS.len()).any(|window| window == WORDS))
}
