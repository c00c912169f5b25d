//! `docs/unsafe.md`: every `unsafe` of the library with its reason, from the source.
//!
//! A block, an `impl` and an unsafe function of ours count; the types of C callbacks and exported
//! functions do not: what is unsafe about those is in the header.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Outcome, root};

const LIST: &str = "docs/unsafe.md";
/// The only rooms that may hold any: the operating system, C, and the memory of payloads.
const ROOMS: &[&str] = &["src/ffi/", "src/net/", "src/buffer/"];

const HEAD: &str = "\
# Every `unsafe` and its reason

Written by `cargo xtask unsafe` from the comments in the source, and compared with them by the tests. Only
three rooms may have any: `ffi` (what C hands over), `net` (what the operating system wants) and `buffer`
(the memory of payloads).

";

pub fn write() -> Outcome {
    let path = root().join(LIST);
    fs::write(&path, generate()?).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn check() -> Outcome {
    let path = root().join(LIST);
    let committed = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if committed == generate()? { Ok(()) } else { Err(format!("{LIST} is stale: run `cargo xtask unsafe`")) }
}

fn generate() -> Outcome<String> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files)?;
    files.sort();
    let mut list = HEAD.to_owned();
    let (mut count, mut faults) = (0, Vec::new());
    for file in files {
        let name = file.strip_prefix(root()).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(&file).map_err(|error| format!("{name}: {error}"))?;
        let found = find(&text);
        if found.is_empty() {
            continue;
        }
        if !ROOMS.iter().any(|room| name.starts_with(room)) {
            faults.push(format!("{name}: unsafe code outside of its rooms"));
        }
        let _ = write!(list, "## {name}\n\n| where | why it holds |\n| --- | --- |\n");
        for one in &found {
            if one.reason.is_empty() {
                faults.push(format!("{name}: `{}` says no reason", one.place));
            }
            let _ = writeln!(list, "| `{}` | {} |", one.place, one.reason.replace('|', "\\|"));
        }
        list.push('\n');
        count += found.len();
    }
    let _ = writeln!(list, "{count} in all.");
    if faults.is_empty() { Ok(list) } else { Err(faults.join("\n")) }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Tests call what C calls, which is all unsafe.
        if path.is_dir() && name != "tests" {
            collect(&path, files)?;
        } else if name.ends_with(".rs") && !name.contains("tests") {
            files.push(path);
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Unsafe {
    /// The function or the `impl` it is in.
    place: String,
    reason: String,
}

/// All in one file, up to its unit tests.
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
        // Attributes, and the statement that a block is the end of, stand between it and its reason.
        if line.is_empty() || line.ends_with([';', '}']) {
            comment.clear();
        }
    }
    found
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let words = ["pub", "pub(super)", "pub(crate)", "unsafe", "extern", "\"C\"", "const"];
    let is_item = before.split_whitespace().all(|word| words.contains(&word));
    let end = rest.find(['(', '<'])?;
    (is_item && end > 0).then(|| &rest[..end])
}

/// What follows the last mark, up to the end of the comment.
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
    fn types_of_functions_are_no_functions() {
        assert_eq!(function("pub unsafe extern \"C\" fn fw_poll(max: u32) -> usize {"), Some("fw_poll"));
        assert_eq!(
            function("pub type fw_free_fn = Option<unsafe extern \"C\" fn(user: *mut c_void)>;"),
            None
        );
    }
}
