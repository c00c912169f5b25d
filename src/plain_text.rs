//! Checks that user messages contain no debug output of Rust types, in texts and in the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Panics if `text` contains what looks like a Rust identifier or value.
pub fn check(text: &str) {
    /// Proper names in mixed case.
    const NAMES: &[&str] = &[
        "ChaCha20",
        "basicConstraints",
        "nameConstraints",
        "pathLenConstraint",
        "serverAuth",
        "subjectAltName",
        "brainpool",
    ];
    let mut rest = text.to_owned();
    for name in NAMES {
        rest = rest.replace(name, "");
    }
    let letters = rest.as_bytes();
    let is_camel =
        letters.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let is_value =
        ["{", "}", "Some(", "None", "Ok(", "Err(", "(\"", "[]"].iter().any(|part| rest.contains(part));
    // A path, not an IPv6 address.
    let is_path = ["std::", "rustls::", "webpki::", "::Error", "io::"].iter().any(|part| rest.contains(part));
    assert!(!is_camel && !is_value && !is_path, "debug text in: {text}");
}

/// Sources that may use debug formatting, and why it is not visible to users.
const ALLOWED: &[(&str, &str)] = &[
    ("src/engine/shared/socket.rs", "the implementation of Debug"),
    ("src/net/tls/humanize.rs", "identifiers are converted to words first"),
    ("src/wire/deflate/deflater.rs", "a debug assertion"),
];

#[test]
fn user_messages_do_not_use_debug_formatting() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut files) = (Vec::new(), 0);
    for folder in ["src", "bindings"] {
        for path in sources(&root.join(folder)) {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap();
            // Unit tests are at the end of a file.
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            files += 1;
            for (at, line) in code.lines().enumerate() {
                if line.contains(concat!(":", "?}")) || line.contains("dbg!(") {
                    found.push((name.clone(), at + 1));
                }
            }
        }
    }
    assert!(files > 100, "{files} sources");
    let is_allowed = |name: &str| ALLOWED.iter().any(|(allowed, _)| *allowed == name);
    let wrong: Vec<_> = found.iter().filter(|(name, _)| !is_allowed(name)).collect();
    assert!(wrong.is_empty(), "debug formatting: {wrong:?}");
    for (allowed, _) in ALLOWED {
        assert!(found.iter().any(|(name, _)| name == allowed), "{allowed} is no longer needed in ALLOWED");
    }
}

/// Returns the Rust sources below `folder`, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let is_for_tests = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        ["tests", "models", "target", "plain_text"].contains(&name) || name.ends_with("_tests")
    };
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if is_for_tests(&path) {
            continue;
        }
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
    all
}

#[test]
fn debug_output_is_detected() {
    for text in [
        "refused: CaUsedAsEndEntity",
        "Os { code: 2 }",
        "kind: Some(1)",
        "missing MissingData(\"x\")",
        "std::io::Error",
    ] {
        assert!(std::panic::catch_unwind(|| check(text)).is_err(), "{text}");
    }
    check("the certificate has no subjectAltName (alert 40, handshake_failure); AES-GCM, ChaCha20-Poly1305");
}
