//! The C# reference: the public types and members of the Unity package, from their XML comments.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Page;
use crate::files;
use crate::run::Outcome;

/// The types of the package. `Native` declares the C ABI, and is internal.
const SOURCES: &[&str] = &["bindings/unity/Runtime", "bindings/unity/UniTask"];
const TYPES: &[&str] = &["class", "struct", "enum", "interface", "delegate"];

pub fn page() -> Outcome<Page> {
    let mut types = BTreeMap::new();
    for folder in SOURCES {
        for file in files::list_all(folder, |_| false)? {
            if file.extension().is_some_and(|kind| kind == "cs") {
                parse(&files::text(&file)?, &mut types);
            }
        }
    }
    // A part without a comment of its own is of a class that has one elsewhere.
    types.retain(|_, one| !one.text.is_empty() || !one.members.is_empty());
    let mut text =
        "# C#\n\nGenerated from the comments of the source: the namespace `Framewire`. The guide is the \
                    [manual of the package](../bindings/unity/Documentation~/framewire.md).\n"
            .to_owned();
    for (name, one) in &types {
        let _ = writeln!(text, "\n## {name}\n\n```csharp\n{}\n```\n\n{}", one.code, one.text.trim_end());
        for (member, code, about) in &one.members {
            let _ = writeln!(text, "\n### {name}.{member}\n\n```csharp\n{code}\n```\n\n{}", about.trim_end());
        }
    }
    Ok(Page { path: "reference/csharp.md".into(), title: "C#", text })
}

#[derive(Default)]
struct Type {
    code: String,
    text: String,
    /// Name, declaration and comment.
    members: Vec<(String, String, String)>,
}

/// Adds the public types of a source.
fn parse(source: &str, types: &mut BTreeMap<String, Type>) {
    // The types around a line: name, whether it is public, whether its members are, and its depth.
    let mut around: Vec<(String, bool, bool, i32)> = Vec::new();
    let (mut comment, mut depth) = (String::new(), 0);
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if let Some(text) = trimmed.strip_prefix("///") {
            comment = comment + text.trim() + "\n";
            continue;
        }
        if trimmed.is_empty()
            || trimmed.starts_with("//")
            || trimmed.starts_with('#')
            || trimmed.starts_with('[')
        {
            continue;
        }
        let mut code = trimmed.to_owned();
        let begins = |code: &str| code.starts_with("public ") || code.starts_with("internal ");
        while begins(&code) && !code.contains(['{', ';']) && !code.contains("=>") && is_open(&code) {
            let Some(next) = lines.next() else { break };
            let space = if code.ends_with('(') { "" } else { " " };
            code = code + space + next.trim();
        }
        let before = code.split('(').next().unwrap_or_default();
        let words: Vec<&str> = before.split([' ', '<', ':', ';']).collect();
        let kind =
            words.iter().position(|word| TYPES.contains(word)).filter(|_| begins(&code) || around.is_empty());
        let is_visible = around.iter().all(|(_, is_public, _, _)| *is_public);
        if let Some(at) = kind {
            let is_public = code.starts_with("public ");
            let name = match words[at] {
                "delegate" => before_parenthesis(&code),
                _ => words.get(at + 1).copied().unwrap_or_default().to_owned(),
            };
            if is_public && is_visible {
                let one = types.entry(name.clone()).or_default();
                if !comment.is_empty() {
                    one.text = markdown(&comment);
                    one.code = declaration(&code);
                } else if one.code.is_empty() {
                    one.code = declaration(&code);
                }
            }
            if words[at] != "delegate" {
                let all = ["enum", "interface"].contains(&words[at]);
                around.push((name, is_public, all, depth));
            }
        } else if let Some((name, _, all, at)) = around.last()
            && (code.starts_with("public ") || *all && !comment.is_empty())
            && is_visible
            && depth == at + 1
        {
            let member = member_name(&code);
            let text = (member, declaration(&code), markdown(&comment));
            types.entry(name.clone()).or_default().members.push(text);
        }
        comment.clear();
        depth += code.matches('{').count() as i32 - code.matches('}').count() as i32;
        while around.last().is_some_and(|(_, _, _, at)| depth <= *at) && code.contains('}') {
            around.pop();
        }
    }
}

/// Whether a declaration goes on in the next line.
fn is_open(code: &str) -> bool {
    code.matches('(').count() > code.matches(')').count() || code.ends_with(',') || code.ends_with(':')
}

/// The declaration without its body.
fn declaration(code: &str) -> String {
    let end = code.find(" {").or_else(|| code.find(" =>")).unwrap_or(code.len());
    let is_property = code.contains("get;");
    if is_property { code.to_owned() } else { code[..end].trim_end_matches([';', ',']).to_owned() }
}

fn before_parenthesis(code: &str) -> String {
    let before = code.split('(').next().unwrap_or_default();
    let name = before.rsplit(' ').next().unwrap_or_default();
    name.split('<').next().unwrap_or_default().to_owned()
}

fn member_name(code: &str) -> String {
    let declared = declaration(code);
    let declared = declared.split(" = ").next().unwrap_or_default().split('{').next().unwrap_or_default();
    if declared.contains('(') {
        return before_parenthesis(declared);
    }
    declared.trim().rsplit(' ').next().unwrap_or_default().to_owned()
}

/// Writes an XML comment as Markdown.
fn markdown(comment: &str) -> String {
    let mut text = String::new();
    for part in comment.replace("<para>", "\n\n").replace("</para>", "\n\n").split_inclusive('>') {
        let Some(at) = part.find('<') else {
            text += part;
            continue;
        };
        text += &part[..at];
        let tag = &part[at..];
        let value =
            |name: &str| tag.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        if let Some(target) = value("cref").filter(|_| tag.starts_with("<see")) {
            let _ = write!(text, "`{}`", target.split('(').next().unwrap_or_default());
        } else if tag.starts_with("<paramref") {
            let _ = write!(text, "`{}`", value("name").unwrap_or_default());
        } else if tag.starts_with("<c>") || tag.starts_with("</c>") {
            text.push('`');
        } else if tag.starts_with("<param ") {
            let _ = write!(text, "\n- `{}`: ", value("name").unwrap_or_default());
        } else if tag.starts_with("<exception") {
            let _ = write!(text, "\n- Throws `{}`: ", value("cref").unwrap_or_default());
        } else if tag.starts_with("<returns>") {
            text += "\n\nReturns: ";
        } else if tag.starts_with("<remarks>") {
            text += "\n\n";
        }
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    // Paragraphs have single empty lines between them, and lists are after an empty line.
    let (mut clean, mut was_list) = (String::new(), false);
    for line in text.lines() {
        let is_list = line.starts_with("- ");
        if is_list && !was_list {
            clean.push('\n');
        }
        if !line.is_empty() || !clean.ends_with("\n\n") {
            clean = clean + line + "\n";
        }
        was_list = is_list || was_list && !line.is_empty();
    }
    while clean.contains("\n\n\n") {
        clean = clean.replace("\n\n\n", "\n\n");
    }
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "namespace Framewire\n{\n    /// <summary>\n    /// A <see cref=\"Socket\"/>.\n    ///\n\
        \x20   /// <para>More.</para>\n    /// </summary>\n    public sealed class Socket : IDisposable\n    {\n\
        \x20       internal int Hidden;\n\n        /// <summary>Sends.</summary>\n\
        \x20       /// <param name=\"text\">The text.</param>\n        /// <returns>The <c>result</c>.</returns>\n\
        \x20       public int Send(\n            string text)\n        {\n            return 0;\n        }\n\n\
        \x20       /// <summary>The state.</summary>\n        public int State { get; private set; }\n    }\n\n\
        \x20   internal class Secret\n    {\n        /// <summary>No.</summary>\n        public int No;\n    }\n\n\
        \x20   /// <summary>Kinds.</summary>\n    public enum Kind : byte\n    {\n\
        \x20       /// <summary>One.</summary>\n        First = 1,\n    }\n\n\
        \x20   /// <summary>Handles.</summary>\n    public delegate void Handler(int a);\n}\n";

    #[test]
    fn public_types_and_members_are_found() {
        let mut types = BTreeMap::new();
        parse(SOURCE, &mut types);
        assert_eq!(types.keys().collect::<Vec<_>>(), ["Handler", "Kind", "Socket"]);
        let socket = &types["Socket"];
        assert_eq!(socket.text, "A `Socket`.\n\nMore.");
        assert_eq!(socket.code, "public sealed class Socket : IDisposable");
        let names: Vec<&str> = socket.members.iter().map(|member| member.0.as_str()).collect();
        assert_eq!(names, ["Send", "State"]);
        assert_eq!(socket.members[0].1, "public int Send(string text)");
        assert_eq!(socket.members[0].2, "Sends.\n\n- `text`: The text.\n\nReturns: The `result`.");
        assert_eq!(types["Kind"].members[0].0, "First");
    }
}
