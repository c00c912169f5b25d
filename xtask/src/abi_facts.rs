//! `include/framewire.abi`: what programs that were built with the header rely on.
//!
//! Functions, numbers and the layout of structs, for 64 and 32 bits, a line each. New lines may come;
//! one that changes or goes breaks programs, and is refused as long as the version promises the same.

use std::collections::BTreeMap;
use std::fs;

use crate::run::{Outcome, command, quietly, root, scratch};

const FACTS: &str = "include/framewire.abi";
const HEADER: &str = "include/framewire.h";

/// Only sizes are asked for, so that no C library for the other width is needed.
const WIDTHS: &[(&str, &str)] = &[("64-bit", "-m64"), ("32-bit", "-m32")];

pub fn write() -> Outcome {
    let path = root().join(FACTS);
    let facts = generate()?;
    if let Ok(committed) = fs::read_to_string(&path) {
        let broken = broken(&committed, &facts);
        if promise(&committed) == promise(&facts) && !broken.is_empty() {
            return Err(format!("this breaks programs, and {NEEDED}:\n{}", broken.join("\n")));
        }
    }
    fs::write(&path, facts).map_err(|error| format!("{}: {error}", path.display()))
}

/// Compares the facts, and the header's functions with what the library exports.
pub fn check() -> Outcome {
    let committed = fs::read_to_string(root().join(FACTS)).map_err(|error| format!("{FACTS}: {error}"))?;
    if committed != generate()? {
        return Err(format!("{FACTS} is stale: run `cargo xtask abi`"));
    }
    let library = crate::c::library(crate::c::Build::Release)?.join("libframewire.so");
    let listed = quietly(command("nm").args(["-D", "--defined-only"]).arg(&library))?;
    let exported: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    are_all_functions(&exported)?;
    println!("{} functions, and the library exports nothing else", exported.len());
    Ok(())
}

/// Fails unless these are the names of all functions of the header.
pub fn are_all_functions(found: &[&str]) -> Outcome {
    let facts = fs::read_to_string(root().join(FACTS)).map_err(|error| format!("{FACTS}: {error}"))?;
    let mut declared: Vec<&str> =
        facts.lines().filter_map(|line| line.strip_prefix("function ")?.split(' ').next()).collect();
    declared.sort_unstable();
    let mut found = found.to_vec();
    found.sort_unstable();
    if declared == found {
        return Ok(());
    }
    Err(format!("the header declares {declared:?}\nand these were found {found:?}"))
}

const NEEDED: &str = "needs a new major version, or, while that is 0, a new minor one";

/// The part of the version that programs built with it look for in the library's name: it has to
/// change when they break.
fn promise(facts: &str) -> Option<String> {
    let version = facts.lines().next()?.strip_prefix("version ")?;
    let mut numbers = version.split('.');
    match numbers.next()? {
        "0" => Some(format!("0.{}", numbers.next()?)),
        major => Some(major.to_owned()),
    }
}

/// The lines of `old` that `new` lacks.
fn broken<'a>(old: &'a str, new: &str) -> Vec<&'a str> {
    let facts = old.lines().filter(|line| !line.is_empty() && !line.starts_with("version "));
    facts.filter(|line| !new.lines().any(|other| other == *line)).collect()
}

fn generate() -> Outcome<String> {
    let text = fs::read_to_string(root().join(HEADER)).map_err(|error| format!("{HEADER}: {error}"))?;
    let header = Header::parse(&text);
    let mut facts = format!("version {}\n\n", header.version);
    for line in header.functions.iter().chain(&header.values) {
        facts += line;
        facts.push('\n');
    }
    for (name, flag) in WIDTHS {
        facts.push('\n');
        let sizes = sizes(&header, flag)?;
        for (record, fields) in &header.structs {
            facts += &format!("{name} {record}: {} bytes\n", sizes[&format!("size_{record}")]);
            for field in fields {
                let (size, offset) =
                    (sizes[&format!("size_{record}__{field}")], sizes[&format!("offset_{record}__{field}")]);
                facts += &format!("{name} {record}.{field}: {size} bytes at {offset}\n");
            }
        }
    }
    Ok(facts)
}

/// By the sizes of arrays in an object file, which nothing has to run for.
fn sizes(header: &Header, flag: &str) -> Outcome<BTreeMap<String, usize>> {
    let mut source = "#include \"framewire.h\"\n".to_owned();
    // One more than what is asked for, as no array may be empty.
    for (record, fields) in &header.structs {
        source += &format!("char size_{record}[sizeof({record}) + 1];\n");
        for field in fields {
            source += &format!("char size_{record}__{field}[sizeof((({record} *)0)->{field}) + 1];\n");
            source += &format!("char offset_{record}__{field}[offsetof({record}, {field}) + 1];\n");
        }
    }
    let folder = scratch("abi")?;
    let (file, object) = (folder.join("facts.c"), folder.join("facts.o"));
    fs::write(&file, source).map_err(|error| error.to_string())?;
    let mut cc = command("cc");
    cc.args([flag, "-std=c11", "-ffreestanding", "-fno-common", "-c", "-I"]).arg(root().join("include"));
    quietly(cc.arg(&file).arg("-o").arg(&object))?;
    let listed = quietly(command("nm").args(["-S", "-t", "d"]).arg(&object))?;
    let parse = |line: &str| -> Option<(String, usize)> {
        let mut words = line.split_whitespace().skip(1);
        let size: usize = words.next()?.parse().ok()?;
        Some((words.nth(1)?.to_owned(), size - 1))
    };
    Ok(listed.lines().filter_map(parse).collect())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Header {
    version: String,
    functions: Vec<String>,
    values: Vec<String>,
    structs: Vec<(String, Vec<String>)>,
}

impl Header {
    /// Reads what cbindgen wrote.
    fn parse(text: &str) -> Self {
        let code: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
        let mut header = Header::default();
        let macros = ["MAJOR", "MINOR", "PATCH"].map(|part| {
            let start = format!("#define FW_VERSION_{part} ");
            code.iter().find_map(|line| line.strip_prefix(start.as_str())).unwrap_or("?")
        });
        header.version = macros.join(".");
        for line in &code {
            // Enumerators, each on its own line.
            if let Some((name, number)) = line.trim_end_matches(',').split_once(" = ")
                && name.starts_with("FW_")
            {
                header.values.push(format!("value {name} {number}"));
            }
        }
        let all = code.join(" ");
        for part in all.split("typedef struct ").skip(1) {
            let Some((name, rest)) = part.split_once(" {") else { continue };
            let body = rest.split('}').next().unwrap_or_default();
            let fields = body.split(';').filter_map(field).collect();
            header.structs.push((name.to_owned(), fields));
        }
        let declarations = all.split_once("extern \"C\" {").map_or("", |(_, rest)| rest);
        for declaration in declarations.split(';') {
            let words: Vec<&str> = declaration.split_whitespace().collect();
            let declaration = words.join(" ").replace("#endif // __cplusplus ", "");
            let Some((before, parameters)) = declaration.split_once('(') else { continue };
            let start = before.rfind([' ', '*']).map_or(0, |at| at + 1);
            let (result, name) = before.split_at(start);
            header.functions.push(format!("function {name} ({parameters} -> {}", result.trim()));
        }
        header
    }
}

/// The name in `uint32_t struct_size` or in `void (*callback)(int)`.
fn field(declaration: &str) -> Option<String> {
    let declaration = declaration.trim();
    let name = match declaration.split_once("(*") {
        Some((_, rest)) => rest.split(')').next()?,
        None => declaration.rsplit([' ', '*']).next()?.split('[').next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "#define FW_VERSION_MAJOR 1\n#define FW_VERSION_MINOR 2\n#define FW_VERSION_PATCH 3\n\
        enum fw_kind {\n  /// none\n  FW_KIND_NONE = 0,\n  FW_KIND_ONE = 1,\n};\n\
        typedef struct fw_pair {\n  uint32_t a;\n  const char *b;\n  uint8_t c[4];\n  void (*d)(int);\n} fw_pair;\n\
        extern \"C\" {\n#endif // __cplusplus\n/// Adds; or not.\nfw_kind fw_add(struct fw_pair pair,\n \
        size_t n);\nconst char *fw_name(void);\n}\n";

    #[test]
    fn a_header_is_taken_apart() {
        let header = Header::parse(TEXT);
        assert_eq!(header.version, "1.2.3");
        assert_eq!(header.values, ["value FW_KIND_NONE 0", "value FW_KIND_ONE 1"]);
        let fields = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(header.structs, [("fw_pair".to_owned(), fields)]);
        assert_eq!(
            header.functions,
            [
                "function fw_add (struct fw_pair pair, size_t n) -> fw_kind",
                "function fw_name (void) -> const char *"
            ]
        );
    }

    #[test]
    fn a_patch_is_not_enough_for_a_break() {
        let promise = |version: &str| promise(&format!("version {version}\n\nvalue A 1\n"));
        assert_eq!(promise("0.1.0"), promise("0.1.1"));
        assert_ne!(promise("0.1.1"), promise("0.2.0"));
        assert_eq!(promise("1.1.0"), promise("1.2.0"));
        assert_ne!(promise("1.2.0"), promise("2.0.0"));
    }

    #[test]
    fn only_what_changes_or_goes_breaks_programs() {
        let old = "version 1\n\nvalue A 1\nvalue B 2\n";
        assert!(broken(old, "version 1\n\nvalue A 1\nvalue B 2\nvalue C 3\n").is_empty());
        assert_eq!(broken(old, "version 2\n\nvalue A 1\nvalue B 3\n"), ["value B 2"]);
    }
}
