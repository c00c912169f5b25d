//! Compiles, runs or parses every fenced code block of the documentation.
//!
//! The first word after the fence is the language; a block without one is an error. The second word changes what is done:
//!
//! | fence | what is done |
//! | --- | --- |
//! | `c`, `cpp`, `csharp`, `gdscript`, `rust` | compiled; a fragment within a frame that declares `socket`, `text`, `data` and `size` |
//! | `sh` | parsed by bash |
//! | `sh run` | also run in the project's folder |
//! | `console` | the lines after `$ ` are parsed by bash; the others are output |
//! | `json`, `toml`, `cmake`, `js` | parsed |
//! | `c before` | nothing: code of another library, as in migration guides |
//! | `text` and the languages in [`UNCHECKED`] | nothing |
//!
//! Blocks are independent of each other. The frames are the files in `blocks/`.

mod c_family;
mod csharp;
mod gdscript;
mod parse;
mod rust;
mod syntax;

use std::collections::BTreeMap;

use crate::files;
use crate::run::{Outcome, root};
use crate::schedule::{Problem, Tested};

/// Languages without a checker here.
const UNCHECKED: &[&str] =
    &["text", "bat", "powershell", "swift", "kotlin", "java", "html", "xml", "yaml", "ini", "diff"];

/// A fenced code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The path in the project.
    file: String,
    /// The number of the first line of its code.
    line: usize,
    language: String,
    /// The second word after the fence, or nothing.
    mode: String,
    code: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

/// What was done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    Compiled,
    Run,
    Parsed,
    Before,
    Text,
}

impl Done {
    fn name(self) -> &'static str {
        match self {
            Done::Compiled => "compiled",
            Done::Run => "run",
            Done::Parsed => "syntax-checked",
            Done::Before => "before",
            Done::Text => "text",
        }
    }
}

/// Checks all blocks, and that each checker rejects a wrong one.
pub fn step() -> Tested {
    let mut blocks = Vec::new();
    for file in pages()? {
        blocks.extend(blocks_of(&file, &files::text(&file)?)?);
    }
    if blocks.is_empty() {
        return Err("the documentation has no code blocks".to_owned().into());
    }
    let (counts, missing) = check(&blocks)?;
    planted_faults_are_found(&missing)?;
    print(&counts, blocks.len());
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(Problem::Missing(format!("not all blocks were checked: {}", missing.join("; ")))),
    }
}

/// Returns the paths of the pages, sorted.
fn pages() -> Outcome<Vec<String>> {
    let mut pages = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for folder in ["docs", "examples", "bindings", "packaging"] {
        let found = files::list_all(folder, |name| ["target", "node_modules", "Tests~"].contains(&name))?;
        pages.extend(found.iter().map(|path| files::in_project(path)).filter(|path| path.ends_with(".md")));
    }
    pages.sort();
    Ok(pages)
}

/// Finds the blocks of a page.
fn blocks_of(file: &str, text: &str) -> Outcome<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let indentation = line.len() - line.trim_start().len();
        let Some(words) = line.trim_start().strip_prefix("```") else { continue };
        let mut words = words.trim().split([' ', ',']).filter(|word| !word.is_empty());
        let place = format!("{file}:{}", number + 1);
        // Without one, it is reported together with all other faults.
        let language = words.next().unwrap_or_default();
        let mode = words.next().unwrap_or_default().to_owned();
        let mut code = String::new();
        loop {
            let (_, line) = lines.next().ok_or(format!("{place}: the block does not end"))?;
            if line.trim() == "```" {
                break;
            }
            // A block within a list is indented.
            let own = line.len() - line.trim_start().len();
            code.push_str(&line[indentation.min(own)..]);
            code.push('\n');
        }
        let (file, language) = (file.to_owned(), language.to_owned());
        blocks.push(Block { file, line: number + 2, language, mode, code });
    }
    Ok(blocks)
}

type Counts = BTreeMap<(String, Done), usize>;

/// Checks blocks. Returns how many of which language were checked how, and the tools that are missing.
fn check(blocks: &[Block]) -> Outcome<(Counts, Vec<String>)> {
    let mut counts = Counts::new();
    let mut faults = Vec::new();
    let mut of_language: BTreeMap<&str, Vec<&Block>> = BTreeMap::new();
    for block in blocks {
        let done = match (block.language.as_str(), block.mode.as_str()) {
            (_, "before") => Done::Before,
            (language, "") if UNCHECKED.contains(&language) => Done::Text,
            ("sh", "run") => Done::Run,
            ("sh" | "console" | "json" | "toml" | "cmake" | "js", "") => Done::Parsed,
            ("c" | "cpp" | "csharp" | "gdscript" | "rust", "") => Done::Compiled,
            ("", _) => {
                faults.push(format!("{}: the block has no language; use `text` for output", block.place()));
                continue;
            }
            (language, mode) => {
                faults.push(format!("{}: unknown language `{language} {mode}`", block.place()));
                continue;
            }
        };
        *counts.entry((block.language.clone(), done)).or_default() += 1;
        if !matches!(done, Done::Before | Done::Text) {
            of_language.entry(&block.language).or_default().push(block);
        }
    }
    let mut missing = Vec::new();
    for (language, blocks) in of_language {
        let checked = match language {
            "c" => c_family::check_c(&blocks),
            "cpp" => c_family::check_cpp(&blocks),
            "csharp" => csharp::check(&blocks),
            "gdscript" => gdscript::check(&blocks),
            "rust" => rust::check(&blocks),
            "sh" => parse::shell(&blocks),
            "console" => parse::console(&blocks),
            "json" => parse::json(&blocks),
            "toml" => parse::toml(&blocks),
            "cmake" => parse::cmake(&blocks),
            _ => parse::javascript(&blocks),
        };
        match checked {
            Ok(()) => {}
            Err(Problem::Missing(tool)) => missing.push(format!("{language}: {tool}")),
            Err(Problem::Failed(problem)) => faults.push(problem),
        }
    }
    if faults.is_empty() { Ok((counts, missing)) } else { Err(faults.join("\n")) }
}

/// A wrong block of each language, each at line 3 of its page.
const PLANTED: &[(&str, &str)] = &[
    ("c", "fw_socket_open(socket, 1);"),
    ("cpp", "socket->no_such_function();"),
    ("csharp", "socket.NoSuchMethod();"),
    ("gdscript", "var number: int = \"text\""),
    ("rust", "socket.no_such_function();"),
    ("sh", "if true; do"),
    ("console", "$ echo 'a"),
    ("json", "{\"a\": }"),
    ("toml", "a = = 1"),
    ("cmake", "find_package(framewire"),
    ("js", "let = ;"),
];

/// A checker that accepts a wrong block checks nothing.
fn planted_faults_are_found(missing: &[String]) -> Outcome {
    for (language, code) in PLANTED {
        if missing.iter().any(|tool| tool.starts_with(&format!("{language}:"))) {
            continue;
        }
        planted_fault_is_found(language, code)?;
    }
    Ok(())
}

fn planted_fault_is_found(language: &str, code: &str) -> Outcome {
    let page = format!("planted\n```{language}\n{code}\n```\n");
    match check(&blocks_of("planted.md", &page)?) {
        Err(problem) if problem.contains("planted.md:3") => Ok(()),
        Err(problem) => Err(format!("a wrong block of {language} was reported at another place:\n{problem}")),
        // Its tool is missing.
        Ok((_, missing)) if !missing.is_empty() => Ok(()),
        Ok(_) => Err(format!("a wrong block of {language} was accepted: {code}")),
    }
}

/// Prints how many blocks of each language were checked how.
fn print(counts: &Counts, total: usize) {
    let languages: std::collections::BTreeSet<&String> =
        counts.keys().map(|(language, _)| language).collect();
    for language in languages {
        let of_language = counts.iter().filter(|((of, _), _)| of == language);
        let parts: Vec<String> =
            of_language.map(|((_, done), count)| format!("{count} {}", done.name())).collect();
        println!("{language:>10}: {}", parts.join(", "));
    }
    println!("{total:>10}  code blocks");
}

/// A generated file that knows where its lines come from, for compilers without a `#line` directive.
#[derive(Default)]
struct Generated {
    text: String,
    /// The place of each line in the documentation; nothing for lines of the frame.
    places: Vec<Option<String>>,
}

impl Generated {
    fn frame(&mut self, text: &str) {
        for line in text.lines() {
            self.push(line, None);
        }
    }

    /// Adds lines of a block, the first of which is this many lines below the block's first.
    fn code(&mut self, block: &Block, offset: usize, text: &str, indentation: &str) {
        for (index, line) in text.lines().enumerate() {
            let line_number = block.line + offset + index;
            let text = if line.is_empty() { String::new() } else { format!("{indentation}{line}") };
            self.push(&text, Some(format!("{}:{line_number}", block.file)));
        }
    }

    fn push(&mut self, line: &str, place: Option<String>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.places.push(place);
    }

    /// Replaces `NAME:LINE` in the output of a compiler by the place in the documentation.
    fn translate(&self, output: &str, name: &str) -> String {
        let mut translated = String::new();
        let mut rest = output;
        let prefix = format!("{name}:");
        while let Some(at) = rest.find(&prefix) {
            let after = &rest[at + prefix.len()..];
            let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
            let line: usize = after[..digits].parse().unwrap_or(0);
            let place = line.checked_sub(1).and_then(|index| self.places.get(index)).cloned().flatten();
            translated.push_str(&rest[..at]);
            translated.push_str(&place.unwrap_or_else(|| format!("{prefix}{}", &after[..digits])));
            rest = &after[digits..];
        }
        translated + rest
    }
}

/// Returns the text of a frame in `blocks/`.
fn frame(name: &str) -> Outcome<String> {
    files::text(root().join("xtask/src/blocks/frames").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_a_language_a_mode_and_their_place() {
        let page = "# A\n```c before\nint a;\n```\n- b\n  ```sh\n  make\n    x\n  ```\n";
        let blocks = blocks_of("a.md", page).unwrap();
        let found: Vec<(usize, &str, &str, &str)> =
            blocks.iter().map(|block| (block.line, &*block.language, &*block.mode, &*block.code)).collect();
        assert_eq!(found, [(3, "c", "before", "int a;\n"), (7, "sh", "", "make\n  x\n")]);
    }

    #[test]
    fn block_without_language_or_end_is_an_error() {
        let blocks = blocks_of("a.md", "\n```\nx\n```\n").unwrap();
        assert!(check(&blocks).unwrap_err().contains("a.md:3: the block has no language"));
        assert!(blocks_of("a.md", "```c\nx\n").unwrap_err().contains("a.md:1"));
    }

    #[test]
    fn unknown_language_is_an_error() {
        let blocks = blocks_of("a.md", "```fortran\n```\n").unwrap();
        assert!(check(&blocks).unwrap_err().contains("a.md:2"));
    }

    #[test]
    fn planted_faults_are_found_without_installing_anything() {
        for (language, code) in PLANTED.iter().filter(|(language, _)| ["c", "sh", "json"].contains(language))
        {
            planted_fault_is_found(language, code).unwrap();
        }
    }

    #[test]
    fn shell_blocks_are_run_only_if_they_say_so() {
        let checked = |fence: &str| check(&blocks_of("a.md", &format!("```{fence}\nexit 3\n```\n")).unwrap());
        let (counts, _) = checked("sh").unwrap();
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(("sh".to_owned(), Done::Parsed), 1)]);
        assert!(checked("sh run").unwrap_err().contains("a.md:2"));
    }

    #[test]
    fn lines_of_a_generated_file_are_translated() {
        let mut generated = Generated::default();
        generated.frame("fn a() {\n");
        let block = &blocks_of("a.md", "\n\n```rust\nb\nc\n```\n").unwrap()[0];
        generated.code(block, 0, &block.code, "    ");
        generated.frame("}");
        assert_eq!(generated.text, "fn a() {\n    b\n    c\n}\n");
        assert_eq!(generated.translate("x.rs:3:5, x.rs:1:1", "x.rs"), "a.md:5:5, x.rs:1:1");
    }
}
