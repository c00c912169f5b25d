//! `cargo xtask abi`: writes `include/framewire.abi`, which describes what compiled programs rely on.
//!
//! One line for each function, constant and field, for 64 and 32 bits. An incompatible change is refused unless
//! the version changes. Compatible changes:
//!
//! - a new function, constant or struct;
//! - a field appended to a struct that begins with `struct_size`;
//! - a field in place of the first `reserved` words of a struct.

use std::collections::{BTreeMap, BTreeSet};

use crate::files;
use crate::run::{Outcome, command, quietly, root, scratch};

const FACTS: &str = "include/framewire.abi";
const HEADER: &str = "include/framewire.h";

/// Only sizes are compiled, so no C library for 32 bits is needed.
const WIDTHS: &[(&str, &str)] = &[("64-bit", "-m64"), ("32-bit", "-m32")];

pub fn write() -> Outcome {
    let facts = generate()?;
    if let Ok(committed) = files::text(FACTS) {
        let broken = broken(&committed, &facts);
        if compatible_version(&committed) == compatible_version(&facts) && !broken.is_empty() {
            return Err(format!("incompatible change, which {NEEDED}:\n{}", broken.join("\n")));
        }
    }
    files::write(FACTS, facts)
}

/// Compares the file with the header, and the functions with the exports of the library.
pub fn check() -> Outcome {
    let committed = files::text(FACTS)?;
    if committed != generate()? {
        return Err(format!("{FACTS} is out of date: run `cargo xtask abi`"));
    }
    let library = crate::c::library(crate::c::Build::Release)?.join("libframewire.so");
    let listed = quietly(command("nm").args(["-D", "--defined-only"]).arg(&library))?;
    let exported: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    are_all_functions(&exported)?;
    println!("{} functions; the library exports nothing else", exported.len());
    Ok(())
}

/// Fails unless these are the functions of the header.
pub fn are_all_functions(found: &[&str]) -> Outcome {
    let facts = files::text(FACTS)?;
    let mut declared: Vec<&str> =
        facts.lines().filter_map(|line| line.strip_prefix("function ")?.split(' ').next()).collect();
    declared.sort_unstable();
    let mut found = found.to_vec();
    found.sort_unstable();
    if declared == found {
        return Ok(());
    }
    Err(format!("the header declares {declared:?}\nfound: {found:?}"))
}

const NEEDED: &str = "needs a new major version (a new minor version before 1.0)";

/// Returns the part of the version that is in the SONAME, and changes with every incompatible change.
fn compatible_version(facts: &str) -> Option<String> {
    let version = facts.lines().next()?.strip_prefix("version ")?;
    let mut numbers = version.split('.');
    match numbers.next()? {
        "0" => Some(format!("0.{}", numbers.next()?)),
        major => Some(major.to_owned()),
    }
}

/// Lists the changes that break programs built with `old`.
fn broken(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (Facts::parse(old), Facts::parse(new));
    let removed = old.lines.iter().filter(|line| !new.lines.contains(*line)).map(|line| line.to_string());
    let changed = old.structs.iter().filter_map(|(name, old)| {
        let problem = match new.structs.get(name) {
            Some(new) => old.problem(new)?,
            None => "it was removed".to_owned(),
        };
        Some(format!("{name}: {problem}"))
    });
    removed.chain(changed).collect()
}

/// The parsed file.
#[derive(Default)]
struct Facts<'a> {
    /// Functions and constants.
    lines: BTreeSet<&'a str>,
    /// By width and name.
    structs: BTreeMap<&'a str, Layout<'a>>,
}

#[derive(Default)]
struct Layout<'a> {
    size: usize,
    fields: BTreeMap<&'a str, Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    size: usize,
    offset: usize,
}

impl Field {
    fn end(self) -> usize {
        self.offset + self.size
    }
}

impl<'a> Facts<'a> {
    fn parse(text: &'a str) -> Self {
        let mut facts = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("version ")) {
            if facts.layout(line).is_none() {
                facts.lines.insert(line);
            }
        }
        facts
    }

    /// Takes a line such as `64-bit fw_frame: 48 bytes` or `64-bit fw_frame.opcode: 4 bytes at 0`.
    fn layout(&mut self, line: &'a str) -> Option<()> {
        let (what, numbers) = line.split_once(": ")?;
        let (size, offset) = numbers.split_once(" bytes")?;
        let size = size.parse().ok()?;
        match what.split_once('.') {
            Some((name, field)) => {
                let offset = offset.strip_prefix(" at ")?.parse().ok()?;
                self.structs.entry(name).or_default().fields.insert(field, Field { size, offset });
            }
            None => self.structs.entry(what).or_default().size = size,
        }
        Some(())
    }
}

impl Layout<'_> {
    /// Returns the words reserved for new fields, if the struct has no `struct_size`.
    fn reserved(&self) -> Option<Field> {
        self.fields.get("reserved").copied().filter(|_| !self.is_sized())
    }

    fn is_sized(&self) -> bool {
        self.fields.get("struct_size") == Some(&Field { size: 4, offset: 0 })
    }

    /// Returns why `new` is incompatible with this layout.
    fn problem(&self, new: &Self) -> Option<String> {
        let reserved = self.reserved();
        let is_reserved = |name: &str| reserved.is_some() && name == "reserved";
        // A single reserved word in the middle, such as reserved_32, may become a field as a whole.
        let takes_word = |name: &str, field: &Field| {
            let is_free = |(old, place): (&&str, &Field)| {
                old.starts_with("reserved_") && place == field && !new.fields.contains_key(old)
            };
            !self.fields.contains_key(name) && self.fields.iter().any(is_free)
        };
        let is_taken = |name: &str, field: &Field| {
            name.starts_with("reserved_")
                && new.fields.iter().any(|(new, place)| place == field && takes_word(new, place))
        };
        let kept = |(name, field): &(&&str, &Field)| !is_reserved(name) && !is_taken(name, field);
        for (name, field) in self.fields.iter().filter(kept) {
            if new.fields.get(name) != Some(field) {
                return Some(format!("{name} was changed or removed"));
            }
        }
        let added: Vec<(&str, Field)> = new
            .fields
            .iter()
            .filter(|(name, field)| {
                !self.fields.contains_key(*name) && !is_reserved(name) && !takes_word(name, field)
            })
            .map(|(name, field)| (*name, *field))
            .collect();
        if self.is_sized() {
            // Programs that do not know a field in former padding leave it uninitialized.
            let inside = added.iter().find(|(_, field)| field.offset < self.size);
            return match inside {
                Some((name, _)) => Some(format!("{name} was not added at the end")),
                None if added.is_empty() && new.size != self.size => Some("its size has changed".into()),
                None => None,
            };
        }
        if new.size != self.size {
            return Some("its size has changed and it has no struct_size".to_owned());
        }
        let Some(reserved) = reserved else {
            return added.first().map(|(name, _)| format!("{name} was added outside of the reserved words"));
        };
        // The remaining reserved words begin at a multiple of 8 bytes.
        let left = new.reserved().map_or(reserved.end(), |left| left.offset);
        let is_tail = new.reserved().is_none_or(|left| left.end() == reserved.end())
            && left >= reserved.offset
            && (left - reserved.offset).is_multiple_of(8);
        let strange = added.iter().find(|(_, field)| field.offset < reserved.offset || field.end() > left);
        match strange {
            Some((name, _)) => Some(format!("{name} was added outside of the reserved words")),
            None if !is_tail => Some("the remaining reserved words are not at the end".to_owned()),
            None if added.is_empty() && left != reserved.offset => Some("reserved words were removed".into()),
            None => None,
        }
    }
}

fn generate() -> Outcome<String> {
    let text = files::text(HEADER)?;
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

/// Reads sizes from the sizes of arrays in an object file, which need not run.
fn sizes(header: &Header, flag: &str) -> Outcome<BTreeMap<String, usize>> {
    let mut source = "#include \"framewire.h\"\n".to_owned();
    // One more than the value, because an array may not be empty.
    for (record, fields) in &header.structs {
        source += &format!("char size_{record}[sizeof({record}) + 1];\n");
        for field in fields {
            source += &format!("char size_{record}__{field}[sizeof((({record} *)0)->{field}) + 1];\n");
            source += &format!("char offset_{record}__{field}[offsetof({record}, {field}) + 1];\n");
        }
    }
    let folder = scratch("abi")?;
    let (file, object) = (folder.join("facts.c"), folder.join("facts.o"));
    files::write(&file, source)?;
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
    /// Reads the output of cbindgen.
    fn parse(text: &str) -> Self {
        let code = text.lines().filter_map(|line| line.split("///").next().map(str::trim));
        let code: Vec<&str> = code.filter(|line| !line.is_empty()).collect();
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
        let declarations = declarations.split(" }  // extern").next().unwrap_or_default();
        for declaration in declarations.split(';') {
            let words: Vec<&str> = declaration.split_whitespace().collect();
            let declaration = words.join(" ").replace("#endif // __cplusplus ", "");
            let Some((before, parameters)) = declaration.split_once('(') else { continue };
            let start = before.rfind([' ', '*']).map_or(0, |at| at + 1);
            let (result, name) = before.split_at(start);
            let result = result.strip_prefix("FW_API ").unwrap_or(result);
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
        enum fw_kind {\n  /// none\n  FW_KIND_NONE = 0,\n  FW_KIND_ONE = 1, ///< one; or = 2\n};\n\
        typedef struct fw_pair {\n  uint32_t a;\n  const char *b;\n  uint8_t c[4];\n  void (*d)(int);\n} fw_pair;\n\
        extern \"C\" {\n#endif // __cplusplus\n/// Adds; or not.\nFW_API fw_kind fw_add(struct fw_pair pair,\n \
        size_t n);\nconst char *fw_name(void);\n}\n";

    #[test]
    fn header_is_parsed_into_facts() {
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
    fn breaking_change_requires_more_than_a_patch_version() {
        let part = |version: &str| compatible_version(&format!("version {version}\n\nvalue A 1\n"));
        assert_eq!(part("0.1.0"), part("0.1.1"));
        assert_ne!(part("0.1.1"), part("0.2.0"));
        assert_eq!(part("1.1.0"), part("1.2.0"));
        assert_ne!(part("1.2.0"), part("2.0.0"));
    }

    #[test]
    fn changed_or_removed_declarations_are_breaking() {
        let old = "version 1\n\nvalue A 1\nvalue B 2\n";
        assert!(broken(old, "version 1\n\nvalue A 1\nvalue B 2\nvalue C 3\n").is_empty());
        assert_eq!(broken(old, "version 2\n\nvalue A 1\nvalue B 3\n"), ["value B 2"]);
        assert_eq!(broken(old, "version 2\n\nvalue B 2\n"), ["value A 1"]);
    }

    const SIZED: &str = "64-bit fw_a: 16 bytes\n64-bit fw_a.struct_size: 4 bytes at 0\n\
                         64-bit fw_a.one: 4 bytes at 4\n64-bit fw_a.two: 4 bytes at 8\n";
    const TAILED: &str = "64-bit fw_b: 24 bytes\n64-bit fw_b.one: 4 bytes at 0\n\
                          64-bit fw_b.reserved: 16 bytes at 8\n";
    const FROZEN: &str = "64-bit fw_c: 16 bytes\n64-bit fw_c.one: 4 bytes at 0\n\
                          64-bit fw_c.two: 8 bytes at 8\n";

    /// Returns whether a change of these lines is compatible: each replaces the line with the same name, adds one,
    /// or, with a minus, removes it.
    fn may_change(old: &str, changes: &[&str]) -> bool {
        let mut new: Vec<String> = old.lines().map(str::to_owned).collect();
        for change in changes {
            let what = |line: &str| line.trim_start_matches('-').split(": ").next().map(str::to_owned);
            new.retain(|line| what(line) != what(change));
            if !change.starts_with('-') {
                new.push((*change).to_owned());
            }
        }
        broken(old, &new.join("\n")).is_empty()
    }

    #[test]
    fn field_may_be_appended_to_a_sized_struct() {
        assert!(may_change(SIZED, &[]));
        assert!(may_change(SIZED, &["64-bit fw_a: 24 bytes", "64-bit fw_a.three: 8 bytes at 16"]));
        let two = ["64-bit fw_a.three: 4 bytes at 16", "64-bit fw_a.four: 4 bytes at 20"];
        assert!(may_change(SIZED, &[&["64-bit fw_a: 24 bytes"], &two[..]].concat()));
    }

    #[test]
    fn other_changes_of_a_sized_struct_are_refused() {
        // Into its padding, before others, in place of another, or not at all.
        assert!(!may_change(SIZED, &["64-bit fw_a.three: 4 bytes at 12"]));
        let shifted =
            ["64-bit fw_a: 24 bytes", "64-bit fw_a.zero: 8 bytes at 8", "64-bit fw_a.two: 4 bytes at 16"];
        assert!(!may_change(SIZED, &shifted));
        assert!(!may_change(SIZED, &["-64-bit fw_a.two", "64-bit fw_a.three: 4 bytes at 8"]));
        assert!(!may_change(SIZED, &["-64-bit fw_a.two"]));
        assert!(!may_change(SIZED, &["64-bit fw_a.two: 8 bytes at 8"]));
        assert!(!may_change(SIZED, &["64-bit fw_a.struct_size: 8 bytes at 0"]));
        assert!(!may_change(SIZED, &["64-bit fw_a: 32 bytes"]));
        assert!(!may_change(SIZED, &["64-bit fw_a: 8 bytes"]));
    }

    #[test]
    fn reserved_words_may_become_fields() {
        assert!(may_change(TAILED, &[]));
        let first = ["64-bit fw_b.two: 8 bytes at 8", "64-bit fw_b.reserved: 8 bytes at 16"];
        assert!(may_change(TAILED, &first));
        let half = ["64-bit fw_b.two: 4 bytes at 8", "64-bit fw_b.reserved: 8 bytes at 16"];
        assert!(may_change(TAILED, &half));
        let halves = [&half[..], &["64-bit fw_b.three: 4 bytes at 12"]].concat();
        assert!(may_change(TAILED, &halves));
        let all = ["64-bit fw_b.two: 16 bytes at 8", "-64-bit fw_b.reserved"];
        assert!(may_change(TAILED, &all));
    }

    #[test]
    fn single_reserved_word_may_become_a_field() {
        const PADDED: &str = "64-bit fw_b: 24 bytes\n64-bit fw_b.one: 4 bytes at 0\n\
                              64-bit fw_b.reserved_32: 4 bytes at 4\n64-bit fw_b.reserved: 16 bytes at 8\n";
        assert!(may_change(PADDED, &["-64-bit fw_b.reserved_32", "64-bit fw_b.two: 4 bytes at 4"]));
        assert!(!may_change(PADDED, &["-64-bit fw_b.reserved_32"]));
        assert!(!may_change(PADDED, &["64-bit fw_b.two: 4 bytes at 4"]));
        assert!(!may_change(PADDED, &["-64-bit fw_b.reserved_32", "64-bit fw_b.two: 2 bytes at 4"]));
        assert!(!may_change(PADDED, &["-64-bit fw_b.one", "64-bit fw_b.two: 4 bytes at 0"]));
    }

    #[test]
    fn other_changes_of_a_struct_with_reserved_words_are_refused() {
        let larger = ["64-bit fw_b: 32 bytes", "64-bit fw_b.two: 8 bytes at 24"];
        assert!(!may_change(TAILED, &larger));
        assert!(!may_change(TAILED, &["64-bit fw_b.two: 4 bytes at 4"]));
        assert!(!may_change(TAILED, &["-64-bit fw_b.reserved"]));
        assert!(!may_change(TAILED, &["64-bit fw_b.reserved: 8 bytes at 16"]));
        assert!(!may_change(
            TAILED,
            &["64-bit fw_b.reserved: 8 bytes at 8", "64-bit fw_b.two: 8 bytes at 16"]
        ));
        assert!(!may_change(
            TAILED,
            &["64-bit fw_b.reserved: 12 bytes at 12", "64-bit fw_b.two: 4 bytes at 8"]
        ));
        assert!(!may_change(TAILED, &["64-bit fw_b: 32 bytes", "64-bit fw_b.reserved: 24 bytes at 8"]));
        assert!(!may_change(TAILED, &["64-bit fw_b.one: 8 bytes at 0"]));
    }

    #[test]
    fn other_structs_are_frozen() {
        assert!(may_change(FROZEN, &[]));
        assert!(may_change(FROZEN, &["64-bit fw_d: 4 bytes", "64-bit fw_d.one: 4 bytes at 0"]));
        assert!(!may_change(FROZEN, &["64-bit fw_c.three: 4 bytes at 4"]));
        assert!(!may_change(FROZEN, &["64-bit fw_c: 24 bytes", "64-bit fw_c.three: 8 bytes at 16"]));
        assert!(!may_change(FROZEN, &["64-bit fw_c.two: 4 bytes at 8"]));
        assert!(!may_change(FROZEN, &["-64-bit fw_c", "-64-bit fw_c.one", "-64-bit fw_c.two"]));
    }
}
