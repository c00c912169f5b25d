//! Reads exports and runtime dependencies from a library file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use object::Object;

use super::targets::{GLIBC, System};
use crate::files;
use crate::run::{Outcome, command, quietly, root};

/// Returns the functions of the header, from `include/framewire.abi`.
pub fn declared() -> Outcome<BTreeSet<String>> {
    let path = root().join("include/framewire.abi");
    let facts = files::text(&path)?;
    let names = facts.lines().filter_map(|line| line.strip_prefix("function ")?.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

/// Checks that a library exports exactly the functions of the header. Other symbols could conflict with those
/// of a game.
pub fn exports_are_declared(system: System, library: &Path) -> Outcome {
    let wanted = declared()?;
    let mut exported = exported(library)?;
    if system == System::MacOs {
        // zig's linker for macOS ignores the list of exports, so some symbols of the standard library are
        // exported. They cannot conflict, because macOS binds a symbol to the library it was linked with.
        let others: Vec<String> = exported.difference(&wanted).cloned().collect();
        if others.iter().any(|name| name.starts_with("fw_")) || others.len() > MAX_OTHERS {
            return Err(format!("{}: exports {others:?} that are not in the header", library.display()));
        }
        exported.retain(|name| !others.contains(name));
    }
    same(&exported, &wanted).map_err(|problem| format!("{}: {problem}", library.display()))
}

/// How many other symbols may be exported on macOS: more would mean that no symbol is hidden.
const MAX_OTHERS: usize = 8;

/// Checks names that another tool has listed.
pub fn are_declared<'a>(names: impl Iterator<Item = &'a str>) -> Outcome {
    same(&names.map(str::to_owned).collect(), &declared()?)
}

fn same(exported: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Outcome {
    let missing: Vec<&String> = wanted.difference(exported).collect();
    let foreign: Vec<&String> = exported.difference(wanted).collect();
    if missing.is_empty() && foreign.is_empty() && !wanted.is_empty() {
        return Ok(());
    }
    Err(format!("missing: {missing:?}; not in the header: {foreign:?}"))
}

/// Returns the exported symbols by their names in C.
pub fn exported(library: &Path) -> Outcome<BTreeSet<String>> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", library.display());
    let bytes = fs::read(library).map_err(|error| wrong(&error))?;
    let file = object::File::parse(&*bytes).map_err(|error| wrong(&error))?;
    let is_macos = file.format() == object::BinaryFormat::MachO;
    let exports = file.exports().map_err(|error| wrong(&error))?;
    let names = exports.iter().map(|export| String::from_utf8_lossy(export.name()).into_owned());
    // Mach-O adds an underscore to names of C.
    Ok(names.map(|name| name.strip_prefix('_').filter(|_| is_macos).unwrap_or(&name).to_owned()).collect())
}

/// Returns the libraries that are needed at run time, and on Linux the newest required version of glibc.
pub fn needs(system: System, library: &Path) -> Outcome<String> {
    match system {
        System::Linux => {
            let newest = newest_glibc(library)?;
            let dynamic = quietly(command("readelf").args(["-W", "-d"]).arg(library))?;
            let needed: Vec<&str> = dynamic
                .lines()
                .filter(|line| line.contains("(NEEDED)"))
                .filter_map(|line| line.split_once('[')?.1.strip_suffix(']'))
                .filter(|name| !name.starts_with("ld-linux"))
                .collect();
            Ok(format!("glibc {}.{} ({})", newest.0, newest.1, needed.join(", ")))
        }
        _ => imported(library),
    }
}

/// Checks that a library needs no newer glibc than `GLIBC`.
pub fn glibc_is_old_enough(library: &Path) -> Outcome {
    let newest = newest_glibc(library)?;
    if newest <= GLIBC {
        return Ok(());
    }
    Err(format!(
        "{}: needs glibc {}.{}, but {}.{} is the maximum",
        library.display(),
        newest.0,
        newest.1,
        GLIBC.0,
        GLIBC.1
    ))
}

fn newest_glibc(library: &Path) -> Outcome<(u32, u32)> {
    let versions = quietly(command("readelf").args(["-W", "--version-info"]).arg(library))?;
    newest_in(&versions).ok_or_else(|| format!("{}: needs no version of glibc", library.display()))
}

/// Finds the highest version in lines such as `0x0010:   Name: GLIBC_2.17  Flags: none  Version: 8`.
fn newest_in(versions: &str) -> Option<(u32, u32)> {
    let names = versions.lines().filter_map(|line| line.split_once("Name: GLIBC_")?.1.split(' ').next());
    let numbers = names.filter_map(|name| {
        let mut parts = name.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    numbers.max()
}

fn imported(library: &Path) -> Outcome<String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", library.display());
    let bytes = fs::read(library).map_err(|error| wrong(&error))?;
    let file = object::File::parse(&*bytes).map_err(|error| wrong(&error))?;
    let imports = file.imports().map_err(|error| wrong(&error))?;
    let libraries: BTreeSet<String> = imports
        .iter()
        .map(|import| String::from_utf8_lossy(import.library()).into_owned())
        .map(|path| path.rsplit('/').next().unwrap_or_default().to_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    Ok(libraries.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let text = "  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 8\n\
                    \x20 0x0020:   Name: GLIBC_2.17  Flags: none  Version: 7\n\
                    \x20 0x0030:   Name: GLIBC_2.2.5  Flags: none  Version: 6\n\
                    \x20 0x0040:   Name: GCC_3.0  Flags: none  Version: 5\n";
        assert_eq!(newest_in(text), Some((2, 17)));
        assert_eq!(newest_in("Name: GCC_3.0 "), None);
    }

    #[test]
    fn missing_and_additional_symbols_are_named() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let wanted = set(&["fw_a", "fw_b"]);
        assert_eq!(same(&wanted, &wanted), Ok(()));
        let problem = same(&set(&["fw_a", "rust_c"]), &wanted).unwrap_err();
        assert!(problem.contains("missing: [\"fw_b\"]") && problem.contains("header: [\"rust_c\"]"));
        assert!(same(&set(&[]), &set(&[])).is_err(), "empty lists prove nothing");
    }

    #[test]
    fn header_declares_functions() {
        let declared = declared().unwrap();
        assert!(declared.contains("fw_poll") && declared.len() > 50);
    }
}
