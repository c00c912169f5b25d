//! Tests a build that panics on demand, and that a release build does not.

use std::path::Path;

use crate::c::{self, Build};
use crate::files;
use crate::run::{Outcome, build_test_program, command, run, shared_library};

/// The panic message of `src/fault.rs`.
const MESSAGE: &[u8] = b"framewire fault point";

/// Panics in each module in turn.
pub fn test() -> Outcome {
    let program = build_test_program("faults", Some("framewire_faults"))?;
    run(command(&program).arg("--nocapture"))?;
    // Finding the message in the program shows that the search works.
    if !contains_message(&program)? {
        return Err("the build that panics on demand does not contain its message".into());
    }
    if contains_message(&c::library(Build::Release)?.join(shared_library("framewire")))? {
        return Err("the release build contains fault points".into());
    }
    Ok(())
}

fn contains_message(library: &Path) -> Outcome<bool> {
    let bytes = files::bytes(library)?;
    Ok(bytes.windows(MESSAGE.len()).any(|window| window == MESSAGE))
}
