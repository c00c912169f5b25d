//! The C reference: a heading for each function, type and callback of `include/framewire.h`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Page;
use crate::files;
use crate::run::Outcome;

const OVERVIEW: &str = "reference/c/overview.md";
const FUNCTIONS: &str = "reference/c/functions.md";
const TYPES: &str = "reference/c/types.md";

pub struct Reference {
    pub pages: Vec<Page>,
    /// The link for each name, from the root of the book.
    pub names: BTreeMap<String, String>,
}

pub fn reference() -> Outcome<Reference> {
    of(&files::text("include/framewire.h")?)
}

fn of(header: &str) -> Outcome<Reference> {
    let (overview, declarations) = header
        .strip_prefix("/**\n")
        .and_then(|rest| rest.split_once(" */\n"))
        .ok_or("the header does not begin with a comment")?;
    let declarations = parse(declarations);
    let mut names = BTreeMap::new();
    for declaration in &declarations {
        let page = if declaration.is_function() { FUNCTIONS } else { TYPES };
        names.insert(declaration.name.clone(), format!("{page}#{}", declaration.anchor()));
        if let Kind::Enum = declaration.kind {
            for member in &declaration.members {
                let constant = member.code.split(' ').next().unwrap_or_default();
                names.insert(constant.to_owned(), format!("{page}#{constant}"));
            }
        }
    }
    let prose = Prose { names: &names };
    let pages = vec![
        Page { path: OVERVIEW.into(), title: "C: overview", text: prose.overview(overview) },
        Page {
            path: FUNCTIONS.into(),
            title: "C: functions",
            text: prose.page("C functions", declarations.iter().filter(|one| one.is_function())),
        },
        Page {
            path: TYPES.into(),
            title: "C: types",
            text: prose.page("C types", declarations.iter().filter(|one| !one.is_function())),
        },
    ];
    Ok(Reference { pages, names })
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Function,
    Callback,
    Enum,
    Struct,
    Macro,
}

struct Declaration {
    kind: Kind,
    name: String,
    /// The lines of the comment.
    comment: Vec<String>,
    /// Of a function, callback or macro.
    code: String,
    /// Of an enum or a struct.
    members: Vec<Member>,
}

impl Declaration {
    /// Anchors of headings are in lower case.
    fn anchor(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    fn is_function(&self) -> bool {
        self.kind == Kind::Function
    }
}

struct Member {
    code: String,
    comment: Vec<String>,
}

/// Finds the declarations with comments.
fn parse(header: &str) -> Vec<Declaration> {
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            continue;
        }
        let comment = std::mem::take(&mut comment);
        let first = |text: &str| text.split([' ', ';', '(']).next().unwrap_or_default().to_owned();
        let mut until = |end: &str| {
            let mut all = line.to_owned();
            while !all.ends_with(end) {
                let Some(next) = lines.next() else { break };
                all = all + "\n" + next;
            }
            all
        };
        let (kind, name, code, members) = if let Some(rest) = line.strip_prefix("enum ") {
            let body = until("};");
            (Kind::Enum, first(rest), String::new(), members(&body, ','))
        } else if let Some(rest) = line.strip_prefix("typedef struct ") {
            let name = first(rest);
            let body = until(&format!("}} {name};"));
            (Kind::Struct, name, String::new(), members(&body, ';'))
        } else if line.starts_with("typedef ") && line.contains("(FW_CALL *") {
            let name = line.split("(FW_CALL *").nth(1).and_then(|rest| rest.split(')').next());
            let name = name.unwrap_or_default().to_owned();
            (Kind::Callback, name, until(");"), Vec::new())
        } else if line.starts_with("FW_API ") {
            let code = until(");");
            let before = code.split('(').next().unwrap_or_default();
            let name = before.rsplit([' ', '*']).next().unwrap_or_default().to_owned();
            (Kind::Function, name, code.trim_start_matches("FW_API ").to_owned(), Vec::new())
        } else if let Some(rest) = line.strip_prefix("#define ").filter(|_| !comment.is_empty()) {
            (Kind::Macro, first(rest), line.to_owned(), Vec::new())
        } else {
            continue;
        };
        found.push(Declaration { kind, name, comment, code, members });
    }
    found
}

/// Parses the lines of an enum or a struct: comments are above a member or behind it.
fn members(body: &str, end: char) -> Vec<Member> {
    let (mut members, mut above): (Vec<Member>, Vec<String>) = (Vec::new(), Vec::new());
    let mut open = String::new();
    for line in body.lines().skip(1).filter(|line| !line.starts_with('}')) {
        let (code, behind) = match line.split_once("///<") {
            Some((code, behind)) => (code.trim(), Some(behind.trim().to_owned())),
            None => match line.trim().strip_prefix("///") {
                Some(text) => {
                    above.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
                    continue;
                }
                None => (line.trim(), None),
            },
        };
        if code.is_empty() {
            if let (Some(member), Some(behind)) = (members.last_mut(), behind) {
                member.comment.push(behind);
            }
            continue;
        }
        open = if open.is_empty() { code.to_owned() } else { format!("{open} {code}") };
        if let Some(code) = open.strip_suffix(end) {
            let comment = std::mem::take(&mut above).into_iter().chain(behind).collect();
            members.push(Member { code: code.to_owned(), comment });
            open.clear();
        } else {
            above.extend(behind);
        }
    }
    members
}

/// Writes comments as Markdown, with links for the names in them.
struct Prose<'a> {
    names: &'a BTreeMap<String, String>,
}

impl Prose<'_> {
    fn overview(&self, comment: &str) -> String {
        let mut text = "# C API\n\n".to_owned();
        for line in comment.lines() {
            let line = line.strip_prefix(" * ").or_else(|| line.strip_prefix(" *")).unwrap_or(line);
            if let Some(brief) = line.strip_prefix("\\brief ") {
                let _ = writeln!(text, "{}", self.line(brief));
            } else if line.starts_with("    ") || line.starts_with('#') {
                let _ = writeln!(text, "{line}");
            } else if !line.starts_with('\\') && !line.starts_with("Generated from") {
                let _ = writeln!(text, "{}", self.line(line));
            }
        }
        text
    }

    fn page<'a>(&self, title: &str, declarations: impl Iterator<Item = &'a Declaration>) -> String {
        let (mut list, mut text) = (String::new(), String::new());
        for one in declarations {
            let (name, brief) = (&one.name, self.cell(&first_paragraph(&one.comment)));
            let _ = writeln!(list, "| [`{name}`](#{}) | {brief} |", one.anchor());
            let _ = writeln!(text, "\n## {name}\n");
            if !one.code.is_empty() {
                let _ = writeln!(text, "```c\n{}\n```\n", one.code);
            }
            self.comment(&mut text, &one.comment, one.is_function());
            if !one.members.is_empty() {
                let kind = if one.kind == Kind::Enum { "constant" } else { "field" };
                let _ = writeln!(text, "\n| {kind} | |\n| --- | --- |");
            }
            for member in &one.members {
                let comment = self.cell(&member.comment.join(" "));
                let anchor = match one.kind {
                    Kind::Enum => {
                        format!("<a id=\"{}\"></a>", member.code.split(' ').next().unwrap_or_default())
                    }
                    _ => String::new(),
                };
                let _ = writeln!(text, "| {anchor}`{}` | {comment} |", member.code);
            }
        }
        format!("# {title}\n\nGenerated from `framewire.h`.\n\n| | |\n| --- | --- |\n{list}{text}")
    }

    fn comment(&self, text: &mut String, comment: &[String], is_function: bool) {
        let tags = comment.iter().position(|line| line.starts_with('\\')).unwrap_or(comment.len());
        let mut in_code = false;
        for line in &comment[..tags] {
            in_code ^= line.starts_with("```");
            let as_is = in_code || line.starts_with("```") || line.starts_with("    ");
            let _ = writeln!(text, "{}", if as_is { line.clone() } else { self.line(line) });
        }
        let (mut parameters, mut other, mut since) = (String::new(), String::new(), "0.1.0".to_owned());
        for tag in joined(&comment[tags..]) {
            let (kind, rest) = tag.split_once(' ').unwrap_or((&tag, ""));
            match kind {
                "\\param" => {
                    let (name, about) = rest.split_once(' ').unwrap_or((rest, ""));
                    let _ = writeln!(parameters, "| `{name}` | {} |", self.cell(about));
                }
                "\\returns" => {
                    let _ = writeln!(other, "\n**Returns** {}", self.line(rest));
                }
                "\\threadsafety" => {
                    let _ = writeln!(other, "\n**Thread safety** {}", self.line(rest));
                }
                "\\since" => since = rest.trim_end_matches('.').to_owned(),
                _ => {}
            }
        }
        if !parameters.is_empty() {
            let _ = writeln!(text, "\n| parameter | |\n| --- | --- |\n{}", parameters.trim_end());
        }
        *text += &other;
        if is_function {
            let _ = writeln!(text, "\n**Since** {since}");
        }
    }

    /// A line within a table.
    fn cell(&self, line: &str) -> String {
        self.line(line).replace('|', "\\|")
    }

    /// Escapes what Markdown would read as markup, and turns names into links.
    fn line(&self, line: &str) -> String {
        if line.contains("``") {
            return line.to_owned();
        }
        let mut text = String::new();
        for (index, part) in line.split('`').enumerate() {
            if index > 0 {
                text.push('`');
            }
            if index % 2 == 1 {
                text += part;
                continue;
            }
            let mut rest = part;
            while !rest.is_empty() {
                let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
                let word = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
                match self.names.get(&rest[..word]) {
                    Some(target) => {
                        // From reference/c to the root of the book.
                        let _ = write!(text, "[{}](../../{target})", &rest[..word]);
                    }
                    None => text += &rest[..word],
                }
                rest = &rest[word..];
                let Some(next) = rest.chars().next().filter(|next| !is_part(*next)) else { continue };
                match next {
                    '<' => text += "&lt;",
                    '*' | '[' | ']' => text.extend(['\\', next]),
                    _ => text.push(next),
                }
                rest = &rest[next.len_utf8()..];
            }
        }
        text
    }
}

fn first_paragraph(comment: &[String]) -> String {
    let lines = comment.iter().take_while(|line| !line.is_empty() && !line.starts_with('\\'));
    lines.cloned().collect::<Vec<_>>().join(" ")
}

/// One line for each tag.
fn joined(tags: &[String]) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in tags {
        match joined.last_mut() {
            Some(last) if !line.starts_with('\\') => *last = format!("{last} {}", line.trim()),
            _ => joined.push(line.clone()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/**\n * \\file a.h\n * \\brief About.\n *\n * ## Part\n *\n * Call fw_a.\n */\n\
        /// A result.\nenum fw_r FW_ENUM {\n    FW_R_OK = 0, ///< Fine,\n                 ///< or <so>.\n};\n\
        FW_ENUM_TYPE(fw_r);\n\n\
        /// Handles.\ntypedef struct fw_s {\n    /// The id.\n    uint64_t id;\n} fw_s;\n\n\
        /// Called.\ntypedef void (FW_CALL *fw_f)(int a,\n                             int b);\n\n\
        /// Does.\n///\n/// More than fw_s.\n/// \\param a One | two;\n///   three.\n/// \\returns FW_R_OK.\n\
        /// \\since 0.2.0\nFW_API fw_r *fw_a(int a);\n";

    #[test]
    fn every_declaration_has_a_heading_and_its_names_are_links() {
        let reference = of(HEADER).unwrap();
        let text = |path: &str| &reference.pages.iter().find(|page| page.path == path).unwrap().text;
        assert!(
            text(OVERVIEW).contains("About.\n\n## Part\n\nCall [fw_a](../../reference/c/functions.md#fw_a).")
        );
        let functions = text(FUNCTIONS);
        for part in [
            "## fw_a\n\n```c\nfw_r *fw_a(int a);\n```\n\nDoes.\n",
            "| `a` | One \\| two; three. |",
            "**Returns** [FW_R_OK](../../reference/c/types.md#FW_R_OK).",
            "**Since** 0.2.0",
        ] {
            assert!(functions.contains(part), "{part}\n{functions}");
        }
        let types = text(TYPES);
        for part in [
            "<a id=\"FW_R_OK\"></a>`FW_R_OK = 0` | Fine, or &lt;so>. |",
            "## fw_s\n",
            "| `uint64_t id` | The id. |",
            "## fw_f\n\n```c\ntypedef void",
        ] {
            assert!(types.contains(part), "{part}\n{types}");
        }
    }

    #[test]
    fn every_function_of_the_header_is_in_the_reference() {
        let reference = reference().unwrap();
        for name in crate::abi::names().unwrap() {
            assert!(reference.names.contains_key(&name), "{name}");
        }
    }
}
