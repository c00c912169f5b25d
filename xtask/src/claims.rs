//! Checks that documentation does not call an existing feature missing: each phrase that may say so is listed
//! here, with a test that fails once the feature exists, or with the reason why it is no such claim.

use crate::files;
use crate::guarantees;
use crate::run::Outcome;

/// Compared without regard to case.
const PHRASES: &[&str] = &[
    "this version",
    "later version",
    "does not come",
    "not yet",
    "for later",
    "for now",
    "will be",
    "not implemented",
    "not supported",
    "unsupported",
    "does not compress",
    "planned",
    "currently",
    "at present",
    "coming soon",
    "some day",
    "todo",
    "fixme",
];

/// Files that users read.
const PLACES: &[&str] = &[
    "include",
    "docs",
    "examples",
    "bindings",
    "src/client",
    "README.md",
    "ARCHITECTURE.md",
    "GUARANTEES.md",
    "SECURITY.md",
];

const KINDS: &[&str] = &["h", "hpp", "md", "cs", "rs", "gd", "c", "cpp"];

/// Build output and tests.
const LEFT_OUT: &[&str] = &["target", "tests", "Tests", "Tests~", ".godot"];

enum Why {
    /// This test fails once the feature exists.
    Test(&'static str),
    /// The text does not say that a feature is missing.
    NoClaim(&'static str),
}
use Why::{NoClaim, Test};

/// Texts with such a phrase, and why they are allowed.
const KNOWN: &[(&str, Why)] = &[
    ("Reserved for later versions; 0.", Test("tests/c/pull.c")),
    ("a common name override is not supported", Test("bindings/godot/tests/tls.gd")),
    ("will be retried", NoClaim("what the event reconnecting tells")),
    ("not yet passed to the network", NoClaim("an amount of bytes")),
    ("concurrently", NoClaim("contains another word of the list")),
    ("not yet handed to the network", NoClaim("an amount of bytes")),
    ("unsupported_openssl_certificates", NoClaim("the name of a test")),
    ("UnsupportedData", NoClaim("the name of a close code")),
    ("UnsupportedProtocol", NoClaim("the name of a WebSocketError in .NET")),
    ("Not yet built in Unreal.", NoClaim("where the build rules were not tested")),
    ("later versions may add event types", NoClaim("why an example ignores what it does not know")),
];

pub fn check() -> Outcome {
    let is_left_out = |name: &str| LEFT_OUT.contains(&name);
    let mut files = Vec::new();
    for place in PLACES {
        files.extend(files::list_all(place, is_left_out)?);
    }
    files.retain(|file| file.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)));
    let mut used = vec![false; KNOWN.len()];
    let mut unknown = Vec::new();
    for file in &files {
        let text = files::text(file)?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| phrase_in(line).is_some()) {
            match KNOWN.iter().position(|(known, _)| line.contains(known)) {
                Some(at) => used[at] = true,
                None => unknown.push(format!("{}:{}: {}", file.display(), number + 1, line.trim())),
            }
        }
    }
    for ((text, why), used) in KNOWN.iter().zip(used) {
        if !used {
            unknown.push(format!("\"{text}\" is not in the documentation: remove it from the list"));
        }
        if let Test(test) = why
            && !guarantees::exists(test)
        {
            unknown.push(format!("\"{text}\" names a test that does not exist: {test}"));
        }
        if let NoClaim(reason) = why {
            println!("\"{text}\": {reason}");
        }
    }
    println!("{} files", files.len());
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!(
        "these lines may say that a feature is missing, and are not in the list of claims.rs:\n{}",
        unknown.join("\n")
    ))
}

fn phrase_in(line: &str) -> Option<&'static str> {
    let line = line.to_ascii_lowercase();
    PHRASES.iter().copied().find(|phrase| line.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_missing_features_are_found() {
        for stale in [
            "/// Reserved; does not come in this version.",
            "/// The same after compression: equal, as this version does not compress.",
            "Proxies are Not Yet supported.",
            "// TODO",
        ] {
            assert!(phrase_in(stale).is_some(), "{stale}");
            assert!(!KNOWN.iter().any(|(known, _)| stale.contains(known)), "{stale}");
        }
        assert_eq!(phrase_in("/// Sends a message."), None);
    }

    #[test]
    fn every_listed_text_contains_a_phrase() {
        for (text, _) in KNOWN {
            assert!(phrase_in(text).is_some(), "{text}");
        }
    }
}
