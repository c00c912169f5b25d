//! Generates `include/framewire.h` from the source.

use crate::files;
use crate::run::{Outcome, cargo, command, ensure, quietly, root, scratch};
use crate::schedule::{Problem, Tested};

/// Runs `xtask/header`, a separate package because cbindgen takes long to build, and post-processes what
/// it prints.
fn generate() -> Outcome<String> {
    let mut header = cargo();
    let header = quietly(header.args(["run", "--quiet", "--package", "framewire-header", "--"]).arg(root()))?;
    let header = with_linkage_macros(&with_enum_macros(&header)?);
    Ok(within_guard(&with_short_comments(&header)))
}

/// Replaces the preprocessor lines that cbindgen writes for each enum with FW_ENUM and FW_ENUM_TYPE, which
/// cbindgen.toml defines once.
fn with_enum_macros(header: &str) -> Outcome<String> {
    const UNDERLYING_TYPE: &str = "\n#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L\n  : uint32_t\n\
                                   #endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L\n {\n";
    const TYPEDEF: [&str; 3] = [
        "#ifndef __cplusplus\n#if __STDC_VERSION__ >= 202311L\ntypedef enum ",
        ";\n#else\ntypedef uint32_t ",
        ";\n#endif // __STDC_VERSION__ >= 202311L\n#endif // __cplusplus\n",
    ];
    let mut rest = header.replace(UNDERLYING_TYPE, " FW_ENUM {\n");
    let enums = rest.matches(" FW_ENUM {\n").count();
    let mut short = String::new();
    for _ in 0..enums {
        let typedef = rest.split_once(TYPEDEF[0]).and_then(|(before, after)| {
            let (name, after) = after.split_once(TYPEDEF[1])?;
            let name = name.rsplit(' ').next()?;
            let after = after.strip_prefix(name)?.strip_prefix(TYPEDEF[2])?;
            Some((format!("{before}FW_ENUM_TYPE({name});\n"), after.to_owned()))
        });
        let (before, after) = typedef.ok_or("cbindgen writes enums in an unknown way")?;
        short += &before;
        rest = after;
    }
    Ok(short + &rest)
}

/// The longest line of declarations and comments.
const LINE_LENGTH: usize = 100;

/// Adds FW_API to functions and FW_CALL to callback types, and wraps their parameters. cbindgen can only do
/// the former, and puts each parameter on a separate line.
fn with_linkage_macros(header: &str) -> String {
    let mut whole = String::new();
    let mut are_functions = false;
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let is_callback = line.starts_with("typedef ") && line.contains("(*fw_");
        let is_function = are_functions && line.starts_with(|first: char| first.is_ascii_lowercase());
        if is_callback || is_function {
            let mut declaration = line.to_owned();
            while !declaration.ends_with(");") {
                let Some(next) = lines.next() else { break };
                declaration = format!("{declaration} {}", next.trim_start());
            }
            let declaration = match is_callback {
                true => declaration.replacen("(*fw_", "(FW_CALL *fw_", 1),
                false => format!("FW_API {declaration}"),
            };
            whole += &wrapped(&declaration);
        } else {
            whole += line;
        }
        whole.push('\n');
        are_functions = match line {
            "extern \"C\" {" => true,
            _ => are_functions && !line.starts_with('}'),
        };
    }
    whole
}

/// Wraps a declaration after commas, with later lines aligned to the first parameter.
fn wrapped(declaration: &str) -> String {
    let list = declaration.rfind('(').map_or(0, |at| at + 1);
    let mut text = String::new();
    let mut length = 0;
    for (index, parameter) in declaration.split_inclusive(", ").enumerate() {
        if index > 0 && length + parameter.trim_end().len() > LINE_LENGTH {
            text.truncate(text.trim_end().len());
            text += &format!("\n{:list$}", "");
            length = list;
        }
        text += parameter;
        length += parameter.len();
    }
    text
}

/// Moves the comments of members to the end of their lines where that makes the type shorter, and removes
/// the empty line before the first tag of a comment.
fn with_short_comments(header: &str) -> String {
    let mut whole = String::new();
    let mut lines = header.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "///" && lines.peek().is_some_and(|next| next.starts_with("/// \\")) {
            continue;
        }
        whole += line;
        whole.push('\n');
        let is_type =
            line.ends_with(" FW_ENUM {") || line.starts_with("typedef struct ") && line.ends_with('{');
        if is_type {
            let members: Vec<&str> =
                std::iter::from_fn(|| lines.next_if(|line| !line.starts_with('}'))).collect();
            let trailing = with_trailing_comments(&members).filter(|short| short.len() < members.len());
            for member in trailing.unwrap_or_else(|| members.into_iter().map(str::to_owned).collect()) {
                whole += &member;
                whole.push('\n');
            }
        }
    }
    whole
}

/// The members of a type with aligned comments behind them, unless a comment has more than one paragraph.
fn with_trailing_comments(members: &[&str]) -> Option<Vec<String>> {
    let declarations = || members.iter().filter(|line| !line.trim_start().starts_with("///"));
    let column = declarations().map(|line| line.len()).max()? + 1;
    let (mut lines, mut words) = (Vec::new(), Vec::new());
    for member in members {
        if let Some(comment) = member.trim_start().strip_prefix("///") {
            if comment.trim().is_empty() {
                return None;
            }
            words.extend(comment.split_whitespace());
            continue;
        }
        let mut line = format!("{member:column$}///<");
        for word in words.drain(..) {
            if line.len() + 1 + word.len() > LINE_LENGTH {
                lines.push(std::mem::replace(&mut line, format!("{:column$}///<", "")));
            }
            line = format!("{line} {word}");
        }
        lines.push(line);
    }
    Some(lines)
}

/// Moves the end of the include guard behind cbindgen's trailer.
fn within_guard(header: &str) -> String {
    const END: &str = "\n#endif  /* FRAMEWIRE_H */\n";
    header.replacen(END, "", 1) + END
}

pub fn write() -> Outcome {
    let path = root().join("include/framewire.h");
    files::write(&path, generate()?)
}

pub fn check() -> Outcome {
    let path = root().join("include/framewire.h");
    let committed = files::text(&path)?;
    let generated = generate()?;
    if committed == generated {
        return Ok(());
    }
    let line = committed.lines().zip(generated.lines()).take_while(|(old, new)| old == new).count() + 1;
    Err(format!("include/framewire.h is out of date from line {line} on: run `cargo xtask header`"))
}

/// Runs Doxygen over the header; docs/Doxyfile makes every warning an error.
pub fn doxygen() -> Tested {
    ensure("doxygen", &["doxygen"]).map_err(Problem::Missing)?;
    scratch("doxygen")?;
    quietly(command("doxygen").arg("docs/Doxyfile"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_use_two_macros() {
        let boilerplate = "enum fw_a\n#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L\n  : uint32_t\n\
                           #endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L\n {\n    FW_A_B = 0,\n};\n\
                           #ifndef __cplusplus\n#if __STDC_VERSION__ >= 202311L\ntypedef enum fw_a fw_a;\n#else\n\
                           typedef uint32_t fw_a;\n#endif // __STDC_VERSION__ >= 202311L\n#endif // __cplusplus\n";
        let short = "enum fw_a FW_ENUM {\n    FW_A_B = 0,\n};\nFW_ENUM_TYPE(fw_a);\n";
        let twice = |text: &str| format!("int b;\n{text}\n{}int d;\n", text.replace("fw_a", "fw_c"));
        assert_eq!(with_enum_macros(&twice(boilerplate)).as_deref(), Ok(twice(short).as_str()));
        assert!(with_enum_macros(&boilerplate.replace("typedef uint32_t", "typedef uint64_t")).is_err());
    }

    #[test]
    fn functions_and_callback_types_get_their_macros_and_nothing_else_changes() {
        let header = "typedef void (*fw_a_fn)(int a,\n                        int b);\n\
                      typedef struct fw_b {\n    fw_a_fn a;\n} fw_b;\n\n\
                      extern \"C\" {\n#endif\n\n/// Not (*fw_this).\nvoid fw_c(void);\nvoid *fw_d(int a,\n           int b);\n\
                      void fw_e(void);\n}\ninline int fw_f(void) {\n";
        let expected = header
            .replace("(*fw_a_fn)", "(FW_CALL *fw_a_fn)")
            .replace(",\n                        int b", ", int b")
            .replace("\nvoid", "\nFW_API void")
            .replace(",\n           int b", ", int b");
        assert_eq!(with_linkage_macros(header), expected);
    }

    #[test]
    fn comments_of_members_are_moved_behind_them_where_that_is_shorter() {
        let long = "x".repeat(60);
        let header = format!(
            "/// Says.\n///\n/// More.\n///\n/// \\returns 0.\nint fw_a(void);\n\
             enum fw_b FW_ENUM {{\n    /// One.\n    FW_B_C = 0,\n    /// {long} {long}\n    FW_B_LONG = 1,\n}};\n\
             typedef struct fw_d {{\n    /// {long}\n    /// {long}\n    int {long};\n}} fw_d;\n"
        );
        let expected = format!(
            "/// Says.\n///\n/// More.\n/// \\returns 0.\nint fw_a(void);\n\
             enum fw_b FW_ENUM {{\n    FW_B_C = 0,    ///< One.\n    FW_B_LONG = 1, ///< {long}\n\
             \x20                  ///< {long}\n}};\n\
             typedef struct fw_d {{\n    /// {long}\n    /// {long}\n    int {long};\n}} fw_d;\n"
        );
        assert_eq!(with_short_comments(&header), expected);
    }

    #[test]
    fn long_declarations_are_wrapped_between_parameters() {
        let parameter = "int number_of_twenty";
        let declaration =
            format!("void fw_longer({parameter}, {parameter}, {parameter}, {parameter}, int z);");
        let expected = format!(
            "void fw_longer({parameter}, {parameter}, {parameter},\n               {parameter}, int z);"
        );
        assert_eq!(wrapped(&declaration), expected);
        assert!(expected.lines().all(|line| line.len() <= LINE_LENGTH));
    }

    #[test]
    fn everything_is_inside_the_include_guard() {
        let header = "#ifndef FRAMEWIRE_H\nint a;\n\n#endif  /* FRAMEWIRE_H */\n\nint b;\n";
        let expected = "#ifndef FRAMEWIRE_H\nint a;\n\nint b;\n\n#endif  /* FRAMEWIRE_H */\n";
        assert_eq!(within_guard(header), expected);
    }
}
