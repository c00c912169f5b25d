//! C and C++.

use std::fmt::Write;
use std::path::Path;

use super::syntax::{Chunk, chunks, has_main, is_function};
use super::{Block, frame};
use crate::files;
use crate::run::{Outcome, command, ensure, quietly, root, scratch};
use crate::schedule::{Problem, Tested};

/// A fragment need not use what it declares.
const WARNINGS: &[&str] = &["-Wall", "-Werror", "-Wno-unused", "-Wno-unused-result"];

/// Compiles each block alone.
pub fn check_c(blocks: &[&Block]) -> Tested {
    ensure("cc", &["gcc", "libc6-dev"]).map_err(Problem::Missing)?;
    let source = source("block.c")?;
    let mut faults = Vec::new();
    for block in blocks {
        let text = if is_program(&block.code) {
            directive(block, 0) + &block.code
        } else {
            let (declarations, statements) = split(block);
            let (returns, last) = returns(&statements);
            format!(
                "{}{declarations}static {returns} block(void)\n{{\n    {{\n{statements}    }}\n    {last}\n}}\n",
                frame("frame.c")?
            )
        };
        faults.extend(compiles("cc", "c99", &source, &text).err());
    }
    finished(faults)
}

/// Compiles programs alone, and all fragments together: the headers of the standard library take longer than the rest.
pub fn check_cpp(blocks: &[&Block]) -> Tested {
    ensure("g++", &["g++"]).map_err(Problem::Missing)?;
    let source = source("block.cpp")?;
    let mut faults = Vec::new();
    let mut plain = Unit::new("frame.cpp", false)?;
    let mut coroutines = Unit::new("coroutine.cpp", true)?;
    for block in blocks {
        let is_coroutine = ["co_await", "framewire_coroutines.hpp", "framewire::Task"]
            .iter()
            .any(|word| block.code.contains(word));
        if is_program(&block.code) {
            let standard = if is_coroutine { "c++20" } else { "c++17" };
            faults.extend(compiles("g++", standard, &source, &(directive(block, 0) + &block.code)).err());
        } else {
            if is_coroutine { &mut coroutines } else { &mut plain }.add(block);
        }
    }
    faults.extend(plain.compiles("c++17", &source).err());
    faults.extend(coroutines.compiles("c++20", &source).err());
    finished(faults)
}

/// Returns what a function with these statements returns, and its last statement.
fn returns(statements: &str) -> (&'static str, &'static str) {
    let has = |text: &str| statements.lines().any(|line| line.trim_start().starts_with(text));
    if has("return;") && !has("return ") { ("void", "") } else { ("int", "return 0;") }
}

/// Fragments of C++, each in a namespace of its own.
struct Unit {
    frame: String,
    is_coroutine: bool,
    includes: String,
    namespaces: String,
    count: usize,
}

impl Unit {
    fn new(name: &str, is_coroutine: bool) -> Outcome<Self> {
        let (includes, namespaces) = (String::new(), String::new());
        Ok(Self { frame: frame(name)?, is_coroutine, includes, namespaces, count: 0 })
    }

    fn add(&mut self, block: &Block) {
        for (index, line) in block.code.lines().enumerate().filter(|(_, line)| line.starts_with("#include")) {
            let _ = writeln!(self.includes, "{}{line}", directive(block, index));
        }
        let code: String = block
            .code
            .lines()
            .map(|line| if line.starts_with("#include") { "\n".into() } else { format!("{line}\n") })
            .collect();
        let (declarations, statements) = split(&Block { code, ..block.clone() });
        let (returns, last) =
            if self.is_coroutine { ("framewire::Task<>", "co_return;") } else { returns(&statements) };
        self.count += 1;
        let _ = write!(
            self.namespaces,
            "namespace block_{} {{\n{declarations}\n{returns} block()\n{{\n    {{\n{statements}    }}\n    {last}\n}}\n}}\n",
            self.count
        );
    }

    fn compiles(&self, standard: &str, source: &Path) -> Outcome {
        if self.count == 0 {
            return Ok(());
        }
        let text = format!("{}{}#line 1 \"frame\"\n{}", self.frame, self.includes, self.namespaces);
        compiles("g++", standard, source, &text)
    }
}

fn is_program(code: &str) -> bool {
    has_main(code) && code.contains("#include")
}

/// Returns the declarations and the statements of a fragment, each with its place.
fn split(block: &Block) -> (String, String) {
    let (mut declarations, mut statements) = (String::new(), String::new());
    for chunk in chunks(&block.code) {
        let is_declared = is_declaration(&chunk) || block.language == "c" && is_prototype(&chunk);
        let to = if is_declared { &mut declarations } else { &mut statements };
        let _ = writeln!(to, "{}{}", directive(block, chunk.line), chunk.text.trim_end());
    }
    (declarations, statements)
}

fn is_declaration(chunk: &Chunk<'_>) -> bool {
    let head = chunk.head();
    let first = head.split([' ', '<', '(']).next().unwrap_or_default();
    let is_type = ["struct", "class", "union", "enum"].contains(&first)
        && chunk.text.contains('{')
        && !head.contains('=');
    head.starts_with('#')
        || is_type
        || ["static", "typedef", "template", "namespace", "extern", "constexpr", "inline"].contains(&first)
        || (first == "using" && !head.contains("namespace"))
        || is_function(chunk)
}

/// Returns whether a chunk of C declares a function. In C++, this may be a variable.
fn is_prototype(chunk: &Chunk<'_>) -> bool {
    let head = chunk.head();
    let Some((name, _)) = head.split_once('(') else { return false };
    let is_declared = name.split([' ', '*']).filter(|word| !word.is_empty()).count() >= 2;
    is_declared && head.contains(");") && !name.contains(['=', '.', '>']) && !name.starts_with("return ")
}

/// The compiler reports the place of the block.
fn directive(block: &Block, offset: usize) -> String {
    format!("#line {} \"{}\"\n", block.line + offset, block.file)
}

fn source(name: &str) -> Outcome<std::path::PathBuf> {
    // Steps and tests may run at the same time.
    Ok(scratch("blocks")?.join(format!("{}-{name}", std::process::id())))
}

fn compiles(compiler: &str, standard: &str, source: &Path, text: &str) -> Outcome {
    files::write(source, text)?;
    let mut check = command(compiler);
    check.arg(format!("-std={standard}")).args(WARNINGS).args(["-fsyntax-only", "-D_GNU_SOURCE"]);
    for folder in ["include", "bindings/cpp/include", "xtask/src/blocks/frames"] {
        check.arg("-I").arg(root().join(folder));
    }
    let checked = quietly(check.arg(source)).map(drop);
    files::remove(source)?;
    checked
}

fn finished(faults: Vec<String>) -> Tested {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}
