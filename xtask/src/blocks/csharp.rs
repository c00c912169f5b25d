//! C#: all blocks are namespaces of one assembly, compiled against the Unity package and stubs of Unity.

use std::fmt::Write;

use super::syntax::{Chunk, chunks, is_function};
use super::{Block, frame};
use crate::files;
use crate::run::{Outcome, scratch};
use crate::schedule::{Problem, Tested};
use crate::unity;

/// Newer than the language of `mcs`.
const UNKNOWN: &str = "await foreach";

pub fn check(blocks: &[&Block]) -> Tested {
    unity::tools().map_err(Problem::Missing)?;
    let folder = scratch("blocks")?.join(format!("csharp-{}", std::process::id()));
    files::create_folder(&folder)?;
    let checked = compile(&folder, blocks);
    files::remove_folder(&folder)?;
    checked.map_err(Problem::Failed)?;
    let skipped: Vec<String> =
        blocks.iter().filter(|block| block.code.contains(UNKNOWN)).map(|block| block.place()).collect();
    if !skipped.is_empty() {
        println!("not compiled, because mcs has no `{UNKNOWN}`: {}", skipped.join(", "));
    }
    Ok(())
}

fn compile(folder: &std::path::Path, blocks: &[&Block]) -> Outcome {
    unity::compile_for_users(folder)?;
    let mut text = frame("frame.cs")?;
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| !block.code.contains(UNKNOWN)) {
        text += &namespace(index, block);
    }
    let source = folder.join("Blocks.cs");
    files::write(&source, text)?;
    // A fragment need not use, assign or await what it declares.
    let relaxed = ["-warnaserror-", "-warn:0", "-target:library", "-r:UnityEngine.dll", "-r:Framewire.dll"];
    unity::mcs(folder, "Blocks.dll", &relaxed, &[source])
        .map_err(|problem| with_lines(&problem.replace(&format!("{}/", folder.display()), "")))
}

/// Returns the namespace for a block: its types, and a class with its members and statements.
fn namespace(index: usize, block: &Block) -> String {
    let (mut usings, mut types, mut members, mut statements) =
        (String::new(), String::new(), String::new(), String::new());
    for chunk in chunks(&block.code) {
        let to = match kind(&chunk) {
            Kind::Using => &mut usings,
            Kind::Type => &mut types,
            Kind::Member => &mut members,
            Kind::Statement => &mut statements,
        };
        let _ =
            writeln!(to, "#line {} \"{}\"\n{}", block.line + chunk.line, block.file, chunk.text.trim_end());
    }
    format!(
        "namespace Block{index}\n{{\n{usings}#line hidden\n{types}\nclass Fragment : Usual\n{{\n{members}\n\
         async System.Threading.Tasks.Task Block()\n{{\n{statements}\n}}\n}}\n}}\n"
    )
}

enum Kind {
    Using,
    Type,
    Member,
    Statement,
}

fn kind(chunk: &Chunk<'_>) -> Kind {
    let code: String = chunk.text.lines().map(|line| super::syntax::without_literals(line) + "\n").collect();
    let before = code.split(['{', '=', ';', '(']).next().unwrap_or_default();
    let words: Vec<&str> = before.split_whitespace().filter(|word| !word.starts_with('[')).collect();
    let has = |names: &[&str]| words.iter().any(|word| names.contains(word));
    if words.first() == Some(&"using") && !code.trim_start().starts_with("using (") && !code.contains('(') {
        Kind::Using
    } else if has(&["class", "struct", "interface", "enum", "namespace"]) {
        Kind::Type
    } else if has(&["public", "private", "protected", "internal", "static", "override", "readonly"])
        || (is_function(chunk) && !code.trim_start().starts_with("await"))
    {
        Kind::Member
    } else {
        Kind::Statement
    }
}

/// Writes `file(3,5)` as `file:3:5`.
fn with_lines(problem: &str) -> String {
    let line = |line: &str| {
        let (file, rest) = line.split_once(".md(")?;
        let (position, rest) = rest.split_once(')')?;
        Some(format!("{file}.md:{}{rest}", position.replace(',', ":")))
    };
    problem.lines().map(|text| line(text).unwrap_or_else(|| text.to_owned()) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usings_types_members_and_statements_are_separate() {
        let code = "using Framewire;\nusing (var a = b()) { }\n[Serializable]\npublic class A { }\nprivate int a;\n\
                    async Task Run()\n{\n}\nvar c = new A();\nc.Run(x => { });\n";
        let block = Block {
            file: "a.md".into(),
            line: 1,
            language: String::new(),
            mode: String::new(),
            code: code.into(),
        };
        let text = namespace(0, &block);
        let order = [
            "using Framewire",
            "class A",
            "private int a",
            "async Task Run",
            "Task Block()",
            "using (var",
            "new A()",
            "c.Run(",
        ];
        let places: Vec<usize> = order.iter().map(|word| text.find(word).expect(word)).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn places_have_the_form_of_other_compilers() {
        assert_eq!(with_lines("docs/a.md(3,5): error\nb(1,2)"), "docs/a.md:3:5: error\nb(1,2)\n");
    }
}
