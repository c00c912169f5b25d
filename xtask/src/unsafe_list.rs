//! Generates `docs/unsafe.md`: every `unsafe` block and `unsafe impl` of the library with its reason.
//!
//! Exported functions and the types of C callbacks are not listed: the header documents what callers
//! have to guarantee for those.

use std::fmt::Write;

use crate::files;
use crate::run::Outcome;

const LIST: &str = "docs/unsafe.md";

const HEAD: &str = "\
# Unsafe code

Lists every `unsafe` block and `unsafe impl` of the library with its `SAFETY` comment. Generated from the source by
`cargo xtask unsafe`; a test fails if this page is out of date. Only these modules contain unsafe code: `ffi` (pointers
from C), `net` (operating system calls), `buffer` (payload memory), and in browsers `engine::browser` and `clock` (calls
of JavaScript). In all others the compiler rejects it (`#![deny(unsafe_code)]`).

";

pub fn write() -> Outcome {
    files::write(LIST, generate()?)
}

pub fn check() -> Outcome {
    if files::text(LIST)? == generate()? {
        Ok(())
    } else {
        Err(format!("{LIST} is out of date: run `cargo xtask unsafe`"))
    }
}

fn generate() -> Outcome<String> {
    // Tests call the C ABI, so all of their calls are unsafe.
    let files =
        files::list_all("src", |name| name == "tests" || (name.ends_with(".rs") && name.contains("tests")))?;
    let mut list = HEAD.to_owned();
    let (mut count, mut faults) = (0, Vec::new());
    for file in files {
        let name = files::in_project(&file);
        let text = files::text(&file)?;
        let found = find(&text);
        if found.is_empty() {
            continue;
        }
        let _ = write!(list, "## {name}\n\n| where | why it holds |\n| --- | --- |\n");
        for one in &found {
            if one.reason.is_empty() {
                faults.push(format!("{name}: `{}` has no SAFETY comment", one.place));
            }
            let _ = writeln!(list, "| `{}` | {} |", one.place, one.reason.replace('|', "\\|"));
        }
        list.push('\n');
        count += found.len();
    }
    let _ = writeln!(list, "{count} in all.");
    if faults.is_empty() { Ok(list) } else { Err(faults.join("\n")) }
}

#[derive(Debug, PartialEq, Eq)]
struct Unsafe {
    /// The function that contains the block, or the `impl` itself.
    place: String,
    reason: String,
}

/// Finds every `unsafe` of a file before its unit tests.
fn find(text: &str) -> Vec<Unsafe> {
    let mut found = Vec::new();
    let (mut place, mut comment) = (String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if line == "#[cfg(test)]" {
            break;
        }
        if let Some(rest) = line.strip_prefix("//") {
            let rest = rest.trim_start_matches(['/', '!']).trim();
            comment.push(' ');
            comment.push_str(rest);
            continue;
        }
        if let Some(name) = function(line) {
            name.clone_into(&mut place);
        }
        if line.starts_with("unsafe impl") {
            found.push(Unsafe {
                place: line.trim_end_matches([' ', '{', '}']).into(),
                reason: reason(&comment),
            });
        } else if line.contains("unsafe {") {
            found.push(Unsafe { place: place.clone(), reason: reason(&comment) });
        }
        // Attributes and the first part of a statement may stand between a block and its comment.
        if line.is_empty() || line.ends_with([';', '}']) {
            comment.clear();
        }
    }
    found
}

/// Returns the name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let words = ["pub", "pub(super)", "pub(crate)", "unsafe", "extern", "\"C\"", "const"];
    let is_item = before.split_whitespace().all(|word| words.contains(&word));
    let end = rest.find(['(', '<'])?;
    (is_item && end > 0).then(|| &rest[..end])
}

/// Returns the text after the last `SAFETY:`.
fn reason(comment: &str) -> String {
    comment.rsplit_once("SAFETY:").map(|(_, reason)| reason.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_impls_are_found_with_their_reasons() {
        let text = "\
            // SAFETY: it is sent\n// at once.\nunsafe impl Send for A {}\n\n\
            pub fn read(at: *const u8) -> u8 {\n// SAFETY: the caller's.\nlet x =\nunsafe { *at };\n\
            unsafe { *at }\n}\n#[cfg(test)]\nfn f() { unsafe { g() } }\n";
        let one = |place: &str, reason: &str| Unsafe { place: place.into(), reason: reason.into() };
        assert_eq!(
            find(text),
            [
                one("unsafe impl Send for A", "it is sent at once."),
                one("read", "the caller's."),
                one("read", "")
            ]
        );
    }

    #[test]
    fn function_types_are_not_functions() {
        assert_eq!(function("pub unsafe extern \"C\" fn fw_poll(max: u32) -> usize {"), Some("fw_poll"));
        assert_eq!(
            function("pub type fw_free_fn = Option<unsafe extern \"C\" fn(user: *mut c_void)>;"),
            None
        );
    }
}
