//! The header lists exactly the exported functions, and its comments are complete and uniform.

use std::collections::BTreeSet;
use std::path::Path;

const HEADER: &str = include_str!("../../../include/framewire.h");

/// One function of the header: its comment and its declaration.
struct Function {
    comment: String,
    declaration: String,
}

impl Function {
    fn name(&self) -> &str {
        let before = self.declaration.split('(').next().unwrap();
        before.rsplit([' ', '*']).next().unwrap()
    }

    fn parameters(&self) -> Vec<&str> {
        let list = self.declaration.split_once('(').unwrap().1.rsplit_once(')').unwrap().0;
        list.split(',')
            .map(|parameter| parameter.trim().rsplit([' ', '*']).next().unwrap())
            .filter(|name| *name != "void")
            .collect()
    }
}

/// The declarations between `extern "C" {` and its end.
fn functions() -> Vec<Function> {
    let start = HEADER.find("extern \"C\" {").expect("the header has functions");
    let end = HEADER.find("#ifdef __cplusplus\n}").unwrap();
    let mut found = Vec::new();
    let (mut comment, mut declaration) = (String::new(), String::new());
    for line in HEADER[start..end].lines().skip(2) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text.strip_prefix(' ').unwrap_or(text));
            comment.push('\n');
        } else {
            declaration.push_str(line.strip_prefix("FW_API ").unwrap_or(line));
        }
        if declaration.ends_with(");") {
            found.push(Function {
                comment: std::mem::take(&mut comment),
                declaration: std::mem::take(&mut declaration),
            });
        }
    }
    found
}

/// The functions that the source exports, whether or not cbindgen finds them.
fn exported(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            exported(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let mut lines = source.lines();
            while let Some(line) = lines.next() {
                if line == "#[unsafe(no_mangle)]" {
                    let function = lines.next().and_then(|line| line.split_once(" fn ")).unwrap().1;
                    found.push(function.split('(').next().unwrap().to_owned());
                }
            }
        }
    }
}

#[test]
fn header_lists_exactly_the_exported_functions() {
    let mut source = Vec::new();
    exported(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
    let source: BTreeSet<String> = source.into_iter().collect();
    let header: BTreeSet<String> = functions().iter().map(|function| function.name().to_owned()).collect();
    assert!(source.len() > 80, "{} functions found in the source", source.len());
    assert_eq!(header, source, "run cargo xtask header");
    assert!(header.iter().all(|name| name.starts_with("fw_")));
}

#[test]
fn every_comment_has_its_tags_in_order() {
    // The only parameter needs no comment when it is the object that the function is about.
    let objects = ["socket", "tls", "request"];
    for function in functions() {
        let parameters = function.parameters();
        let mut wanted: Vec<String> = match parameters.as_slice() {
            [object] if objects.contains(object) => Vec::new(),
            _ => parameters.iter().map(|parameter| format!("\\param {parameter} ")).collect(),
        };
        if !function.declaration.starts_with("void fw_") {
            wanted.push("\\returns ".to_owned());
        }
        for optional in ["\\threadsafety ", "\\since 0."] {
            if function.comment.contains(optional) {
                wanted.push(optional.to_owned());
            }
        }
        let found: Vec<&str> = function.comment.lines().filter(|line| line.starts_with('\\')).collect();
        assert_eq!(found.len(), wanted.len(), "{}: {found:?} instead of {wanted:?}", function.name());
        for (line, tag) in found.iter().zip(&wanted) {
            assert!(line.starts_with(tag.as_str()), "{}: {line:?} instead of {tag:?}", function.name());
        }
        let first = function.comment.split("\n\n").next().unwrap().split("\n\\").next().unwrap();
        assert!(first.trim_end().ends_with('.'), "{}: begins with one sentence", function.name());
        assert_eq!(first.matches(". ").count(), 0, "{}: begins with one sentence", function.name());
    }
}

#[test]
fn functions_have_fw_api_and_callbacks_fw_call() {
    let (mut callbacks, mut functions_found) = (0, 0);
    for line in HEADER.lines() {
        functions_found += usize::from(line.starts_with("FW_API "));
        if line.starts_with("typedef ") && line.contains("(") {
            assert!(line.contains("(FW_CALL *fw_"), "{line}");
            callbacks += 1;
        }
    }
    assert_eq!(functions_found, functions().len());
    assert!(callbacks > 20, "{callbacks} callbacks");
    assert!(!HEADER.contains("(*"), "a function without its calling convention");
}

#[test]
fn returns_lists_only_results_that_exist() {
    for function in functions().iter().filter(|function| function.declaration.starts_with("fw_result ")) {
        let returns = function.comment.split("\\returns ").nth(1).unwrap();
        let returns = returns.split("\n\\").next().unwrap();
        assert!(returns.starts_with("OK"), "{}: {returns}", function.name());
        let is_result = |word: &&str| {
            word.len() > 3 && word.bytes().all(|b| b.is_ascii_uppercase() || b"_8".contains(&b))
        };
        for word in returns.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(is_result) {
            if !["NULL", "UTF", "PKCS"].contains(&word) {
                assert!(HEADER.contains(&format!("FW_RESULT_{word} = ")), "{}: {word}", function.name());
            }
        }
    }
}

#[test]
fn every_declared_name_has_the_prefix() {
    for line in HEADER.lines() {
        let mut words = line.split_whitespace().filter(|word| !["typedef", "struct", "enum"].contains(word));
        let declares = ["typedef ", "struct ", "enum "].iter().any(|start| line.starts_with(start));
        if declares && !line.contains("(FW_CALL *") {
            let name = words.next().unwrap();
            assert!(name.starts_with("fw_"), "{line}");
        }
        assert!(line.is_ascii(), "some compilers read headers in the user's code page: {line}");
        assert!(line.len() <= 110, "{line}");
    }
}
