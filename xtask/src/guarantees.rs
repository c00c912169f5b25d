//! Checks that the tests named in `GUARANTEES.md` exist.

use crate::files;
use crate::run::Outcome;

pub fn check() -> Outcome {
    let guarantees = files::text("GUARANTEES.md")?;
    let tests: Vec<&str> = named_tests(&guarantees).collect();
    let missing: Vec<&str> = tests.iter().copied().filter(|test| !exists(test)).collect();
    println!("{} tests", tests.len());
    match missing.as_slice() {
        [] if tests.is_empty() => Err("GUARANTEES.md names no tests".into()),
        [] => Ok(()),
        missing => Err(format!("GUARANTEES.md names tests that do not exist: {}", missing.join(", "))),
    }
}

/// Finds paths of tests in backticks.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        ["tests/", "src/", "xtask/", "bindings/"].iter().any(|folder| word.starts_with(folder))
    })
}

/// Returns whether a test exists: `file::function`, or a whole file.
pub fn exists(proof: &str) -> bool {
    let (file, test) = proof.split_once("::").unwrap_or((proof, ""));
    let Ok(text) = files::text(file) else { return false };
    let declares = |keyword| text.contains(&format!("{keyword} {test}("));
    // In Rust and GDScript.
    test.is_empty() || declares("fn") || declares("func")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_paths_in_backticks() {
        let text = "| `fw_poll` keeps to it | `tests/a.rs::b`, `src/c.rs::d` |";
        assert_eq!(named_tests(text).collect::<Vec<_>>(), ["tests/a.rs::b", "src/c.rs::d"]);
        assert!(exists("tests/c/pull.c") && exists("tests/messages/delivery.rs::pending_is_exact"));
        assert!(!exists("tests/messages/delivery.rs::no_such_test") && !exists("tests/no_such_file.c"));
    }
}
