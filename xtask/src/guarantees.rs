//! Every test that `GUARANTEES.md` names as a proof exists.

use crate::files;
use crate::run::Outcome;

pub fn check() -> Outcome {
    let promises = files::text("GUARANTEES.md")?;
    let proofs: Vec<&str> = proofs(&promises).collect();
    let missing: Vec<&str> = proofs.iter().copied().filter(|proof| !exists(proof)).collect();
    println!("{} proofs", proofs.len());
    match missing.as_slice() {
        [] if proofs.is_empty() => Err("GUARANTEES.md names no proof".into()),
        [] => Ok(()),
        missing => Err(format!("GUARANTEES.md names tests that are not there: {}", missing.join(", "))),
    }
}

/// What stands in backticks and begins like a path of a test's.
fn proofs(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| ["tests/", "src/", "xtask/"].iter().any(|folder| word.starts_with(folder)))
}

/// `file::test`, or a program in C.
pub fn exists(proof: &str) -> bool {
    let (file, test) = proof.split_once("::").unwrap_or((proof, ""));
    let Ok(text) = files::text(file) else { return false };
    test.is_empty() || text.contains(&format!("fn {test}("))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_paths_in_backticks() {
        let text = "| `fw_poll` keeps to it | `tests/a.rs::b`, `src/c.rs::d` |";
        assert_eq!(proofs(text).collect::<Vec<_>>(), ["tests/a.rs::b", "src/c.rs::d"]);
        assert!(exists("tests/c/pull.c") && exists("tests/messages/delivery.rs::pending_is_exact"));
        assert!(!exists("tests/messages/delivery.rs::no_such_test") && !exists("tests/no_such_file.c"));
    }
}
