//! The Godot reference, from the declarations of the members in the extension's source, which also become the class
//! documentation in the editor. Types are those of the class of the Web export, which has the same members.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Page;
use crate::files;
use crate::run::Outcome;

const SOURCES: &str = "bindings/godot/src";
const TYPED: &str = "bindings/godot/addons/framewire/web/socket.gd";
const SCRIPT: &str = "bindings/godot/addons/framewire/framewire.gd";

/// Classes, and the files that only they are declared in.
const CLASSES: &[(&str, &str)] =
    &[("FramewireSocket", ""), ("FramewireNode", "node.rs"), ("FramewireMultiplayerPeer", "multiplayer.rs")];

pub fn page() -> Outcome<Page> {
    let signatures = signatures(&files::text(TYPED)?);
    let mut text = "# Godot\n\nGenerated from the source of the extension. The guide is the \
                    [manual of the addon](../bindings/godot/addons/framewire/README.md).\n"
        .to_owned();
    let functions = functions(&files::text(SCRIPT)?);
    let _ = writeln!(
        text,
        "\n## Framewire\n\nStatic functions for native builds and the Web export.\n{functions}"
    );
    let mut sources = Vec::new();
    for file in files::list(SOURCES)?.iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
    {
        sources.push((files::name(file), files::text(file)?));
    }
    for (class, own) in CLASSES {
        let about = sources.iter().find_map(|(_, source)| class_comment(source, class)).unwrap_or_default();
        let _ = writeln!(text, "\n## {class}\n\n{about}");
        let mut count = 0;
        for macro_name in ["methods", "properties", "signals", "constants"] {
            let of_others = |file: &str| CLASSES.iter().any(|(_, other)| *other == file);
            let members: Vec<Member> = sources
                .iter()
                .filter(|(file, _)| if own.is_empty() { !of_others(file) } else { file == own })
                .flat_map(|(_, source)| members(source, macro_name))
                .collect();
            for member in &members {
                let signature = signatures.get(&member.name).filter(|_| macro_name == "methods");
                let code = signature.unwrap_or(&member.code);
                let _ = writeln!(
                    text,
                    "\n### {class}.{}\n\n```gdscript\n{code}\n```\n\n{}",
                    member.name, member.comment
                );
            }
            count += members.len();
        }
        if count == 0 {
            return Err(format!("{class} has no members: {SOURCES} declares them in another way"));
        }
    }
    Ok(Page { path: "reference/godot.md".into(), title: "Godot", text })
}

struct Member {
    name: String,
    code: String,
    comment: String,
}

/// Returns the documented members in the blocks of a macro.
fn members(source: &str, macro_name: &str) -> Vec<Member> {
    let mut members = Vec::new();
    for block in source.split(&format!("\n{macro_name}! {{\n")).skip(1) {
        let block = block.split("\n}\n").next().unwrap_or_default();
        let mut comment = String::new();
        for line in block.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                comment = comment + text.trim() + "\n";
            } else if !comment.is_empty() && !line.is_empty() {
                let (name, code) = declaration(macro_name, line);
                members.push(Member { name, code, comment: comment.trim().to_owned() });
                comment.clear();
            }
        }
    }
    members
}

/// The name of a member, and how scripts would declare it.
fn declaration(macro_name: &str, line: &str) -> (String, String) {
    match macro_name {
        // `method send(message, write_mode = Preset::Int(1)) => FramewireSocket::send;`
        "methods" => {
            let line = line.split(" =>").next().unwrap_or_default();
            let (kind, rest) = line.split_once(' ').unwrap_or(("", line));
            let name = rest.split('(').next().unwrap_or_default();
            let rest = rest.replace("Preset::Null", "null").replace("Preset::EmptyDictionary", "{}");
            let prefix = if kind == "function" { "static func" } else { "func" };
            (name.to_owned(), format!("{prefix} {rest}"))
        }
        // `outbound_buffer_size: i64, set set_outbound_buffer_size(size);`
        "properties" => {
            let (name, rest) = line.trim_end_matches(';').split_once(':').unwrap_or((line, ""));
            let rust = rest.split(", set").next().unwrap_or_default().trim();
            let godot = match rust {
                "i64" => "int",
                "f64" => "float",
                "Vec<String>" => "PackedStringArray",
                other => other,
            };
            (name.to_owned(), format!("var {name}: {godot}"))
        }
        // `CLOSED(code: Int, reason: String);`
        "signals" => {
            let (name, arguments) = line.trim_end_matches(';').split_once('(').unwrap_or((line, ")"));
            let name = name.to_lowercase();
            let arguments = arguments.replace("Int", "int").replace("Float", "float").replace("Bool", "bool");
            (name.clone(), format!("signal {name}({arguments}"))
        }
        // `LOG_OFF = framewire::LogLevel::Off as i64;`
        _ => {
            let name = line.split(" =").next().unwrap_or_default();
            (name.to_owned(), format!("const {name}"))
        }
    }
}

/// The public functions of a script, by name, without the underscores of unused arguments.
fn signatures(script: &str) -> BTreeMap<String, String> {
    let lines = script.lines().filter(|line| line.starts_with("func ") || line.starts_with("static func "));
    lines
        .filter_map(|line| {
            let name = line.split("func ").nth(1)?.split('(').next()?;
            let code = line.trim_end_matches(':').replace("(_", "(").replace(", _", ", ");
            (!name.starts_with('_')).then(|| (name.to_owned(), code))
        })
        .collect()
}

/// The static functions of the script, with their comments.
fn functions(script: &str) -> String {
    let (mut text, mut comment) = (String::new(), String::new());
    for line in script.lines() {
        if let Some(part) = line.strip_prefix("##") {
            comment = comment + part.strip_prefix(' ').unwrap_or(part) + "\n";
        } else {
            if let Some(rest) = line.strip_prefix("static func ").filter(|rest| !rest.starts_with('_'))
                && let Some(name) = rest.split('(').next()
            {
                let code = line.trim_end_matches(':');
                let about = without_tags(&comment);
                let _ = writeln!(text, "\n### Framewire.{name}\n\n```gdscript\n{code}\n```\n\n{about}");
            }
            comment.clear();
        }
    }
    text
}

/// Turns the tags of Godot's comments into Markdown.
fn without_tags(comment: &str) -> String {
    let mut text = comment
        .replace("[codeblock]", "\n```gdscript")
        .replace("[/codeblock]", "```")
        .replace("[code]", "`")
        .replace("[/code]", "`")
        .replace("[br]", "\n");
    for tag in ["method", "member", "signal", "constant", "param"] {
        while let Some((before, rest)) = text.split_once(&format!("[{tag} ")) {
            let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
            text = format!("{before}`{name}`{after}");
        }
    }
    with_names_of_classes(text.trim())
}

/// Turns `[Name]` into code.
fn with_names_of_classes(text: &str) -> String {
    let mut parts = text.split('[');
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.chars().all(char::is_alphanumeric)
        };
        new += &match part.split_once(']') {
            Some((name, after)) if is_name(name) => format!("`{name}`{after}"),
            _ => format!("[{part}"),
        };
    }
    new
}

/// The comment of a class: `const DOC: &str = "\…";` in the file that implements the class.
fn class_comment(source: &str, class: &str) -> Option<String> {
    if !source.contains(&format!("const NAME: &'static str = \"{class}\";")) {
        return None;
    }
    let doc = source.split_once("const DOC: &str = \"\\\n")?.1.split_once("\";")?.0;
    Some(with_names_of_classes(&doc.replace("\\\"", "\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_with_comments_and_types() {
        let source = "\nmethods! {\n    METHODS:\n    /// Sends.\n    method send(message, mode = Preset::Null) => A::send;\n}\n\
                      \nproperties! {\n    A:\n    /// Limit.\n    size: i64, set set_size(size);\n}\n\
                      \nsignals! {\n    S:\n    /// Closed.\n    CLOSED(code: Int, reason: String);\n}\n";
        let of = |name: &str| {
            members(source, name).into_iter().map(|one| (one.name, one.code, one.comment)).collect::<Vec<_>>()
        };
        let one = |name: &str, code: &str, comment: &str| vec![(name.into(), code.into(), comment.into())];
        assert_eq!(of("methods"), one("send", "func send(message, mode = null)", "Sends."));
        assert_eq!(of("properties"), one("size", "var size: int", "Limit."));
        assert_eq!(of("signals"), one("closed", "signal closed(code: int, reason: String)", "Closed."));
    }

    #[test]
    fn tags_become_markdown() {
        let comment = "A [Peer], [method a] and [code]b[/code]: [codeblock]\nvar c := d[0]\n[/codeblock]\n";
        let expected = "A `Peer`, `a` and `b`: \n```gdscript\nvar c := d[0]\n```";
        assert_eq!(without_tags(comment), expected);
    }

    #[test]
    fn signatures_of_the_script_have_types() {
        let found =
            signatures("func ping(_data: PackedByteArray, _b: int) -> Error:\nfunc _hidden() -> void:\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found["ping"], "func ping(data: PackedByteArray, b: int) -> Error");
    }
}
