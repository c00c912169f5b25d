//! GDScript: each block is a script of a project with the addon, and one run of Godot loads them all.

use super::{Block, Generated, frame};
use crate::files;
use crate::godot;
use crate::run::scratch;
use crate::schedule::{Problem, Tested};

pub fn check(blocks: &[&Block]) -> Tested {
    let engine = godot::Godot::find_or_install().map_err(Problem::Missing)?;
    let project = scratch("blocks")?.join(format!("godot-{}", std::process::id()));
    godot::lay_out_empty(&project, &frame("project.godot")?)?;
    let scripts: Vec<Generated> = blocks.iter().map(|block| script(block)).collect();
    for (index, script) in scripts.iter().enumerate() {
        files::write(project.join(file_name(index)), &script.text)?;
    }
    files::write(project.join("load_all.gd"), frame("load_all.gd")?)?;
    let mut run = engine.command(&project);
    let output = run.args(["--script", "res://load_all.gd", "--", &blocks.len().to_string()]).output();
    let output = output.map_err(|error| format!("Godot: {error}"))?;
    files::remove_folder(&project)?;
    let mut text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for (index, script) in scripts.iter().enumerate() {
        text = script.translate(&text, &format!("res://{}", file_name(index)));
    }
    let done = format!("{} scripts loaded, 0 failed", blocks.len());
    if output.status.success() && text.contains(&done) { Ok(()) } else { Err(text.into()) }
}

fn file_name(index: usize) -> String {
    format!("block_{index}.gd")
}

/// Returns the script for a block.
fn script(block: &Block) -> Generated {
    let mut generated = Generated::default();
    let code = &block.code;
    if code.lines().any(|line| line.starts_with("extends ") || line.starts_with("class_name ")) {
        generated.code(block, 0, code, "");
        return generated;
    }
    let chunks = chunks(code);
    // Beside functions, variables are members.
    let has_functions = chunks.iter().any(|(_, text)| head(text).contains("func "));
    let is_member = |text: &str| {
        let head = head(text);
        let first = head.split(' ').next().unwrap_or_default();
        head.starts_with('@')
            || ["func", "static", "signal", "const", "enum", "class"].contains(&first)
            || (has_functions && first == "var")
    };
    generated.frame("extends Node");
    // What the block declares itself.
    let declares = |name: &str| {
        code.lines().any(|line| line.trim_start_matches("@onready ").starts_with(&format!("var {name}")))
    };
    for (name, declaration) in [
        ("socket", "var socket := FramewireSocket.new()"),
        ("text", "var text := \"\""),
        ("data", "var data := PackedByteArray()"),
        ("size", "var size := 0"),
    ] {
        if !declares(name) {
            generated.frame(declaration);
        }
    }
    for (line, text) in chunks.iter().filter(|(_, text)| is_member(text)) {
        generated.code(block, *line, text, "");
    }
    generated.frame("func _block() -> void:\n\tpass");
    for (line, text) in chunks.iter().filter(|(_, text)| !is_member(text)) {
        generated.code(block, *line, text, "\t");
    }
    generated
}

/// Splits code at the lines that are not indented; returns the number of the first line of each part.
fn chunks(code: &str) -> Vec<(usize, String)> {
    let mut chunks: Vec<(usize, String)> = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let starts = !line.is_empty() && !line.starts_with(['\t', ' ', ')', ']', '}']);
        // An annotation or a comment belongs to the next line.
        let is_open = chunks.last().is_some_and(|(_, text)| head(text).is_empty());
        match chunks.last_mut() {
            Some((_, text)) if !starts || is_open => text.push_str(&format!("{line}\n")),
            _ => chunks.push((index, format!("{line}\n"))),
        }
    }
    chunks
}

/// Returns the first line that is neither empty, nor a comment or an annotation alone.
fn head(text: &str) -> &str {
    let is_code = |line: &&str| {
        !line.is_empty() && !line.starts_with('#') && (!line.starts_with('@') || line.contains(' '))
    };
    text.lines().find(is_code).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_put_into_a_function_and_members_are_not() {
        let code = "var a := 1\n\n# b\nfunc b() -> void:\n\tpass\n\na += 1\n".to_owned();
        let block =
            Block { file: "a.md".into(), line: 5, language: "gdscript".into(), mode: String::new(), code };
        let script = script(&block);
        assert!(
            script.text.contains(
                "\nvar a := 1\n\n# b\nfunc b() -> void:\n\tpass\n\nfunc _block() -> void:\n\tpass\n\ta += 1\n"
            ),
            "{}",
            script.text
        );
        assert_eq!(script.places.last().unwrap().as_deref(), Some("a.md:11"));
    }
}
