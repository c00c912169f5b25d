//! What a finished library offers and what it asks for, read from the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use object::Object;

use super::targets::{GLIBC, System};
use crate::files;
use crate::run::{Outcome, command, quietly, root};

/// The functions of the header, out of `include/framewire.abi`.
pub fn declared() -> Outcome<BTreeSet<String>> {
    let path = root().join("include/framewire.abi");
    let facts = files::text(&path)?;
    let names = facts.lines().filter_map(|line| line.strip_prefix("function ")?.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

/// Whether a library exports just the header's functions, whatever the platform: none may be missing
/// on one of them, and what is not ours might clash with what a game brings.
pub fn exports_are_declared(system: System, library: &Path) -> Outcome {
    let wanted = declared()?;
    let mut exported = exported(library)?;
    if system == System::MacOs {
        // zig's linker there takes no list of exports and lets some of the standard library's names
        // through. They clash with nothing, as macOS looks for a name in the library that it was
        // linked from.
        let through: Vec<String> = exported.difference(&wanted).cloned().collect();
        if through.iter().any(|name| name.starts_with("fw_")) || through.len() > LET_THROUGH {
            return Err(format!("{}: exports {through:?} that are not in the header", library.display()));
        }
        exported.retain(|name| !through.contains(name));
    }
    same(&exported, &wanted).map_err(|problem| format!("{}: {problem}", library.display()))
}

/// As many names of others may be exported on macOS: more would mean that nothing was hidden.
const LET_THROUGH: usize = 8;

/// The same for names that something else has listed.
pub fn are_declared<'a>(names: impl Iterator<Item = &'a str>) -> Outcome {
    same(&names.map(str::to_owned).collect(), &declared()?)
}

fn same(exported: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Outcome {
    let missing: Vec<&String> = wanted.difference(exported).collect();
    let foreign: Vec<&String> = exported.difference(wanted).collect();
    if missing.is_empty() && foreign.is_empty() && !wanted.is_empty() {
        return Ok(());
    }
    Err(format!("misses {missing:?}; exports {foreign:?} that are not in the header"))
}

/// What a library exports, as C calls it.
pub fn exported(library: &Path) -> Outcome<BTreeSet<String>> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", library.display());
    let bytes = fs::read(library).map_err(|error| wrong(&error))?;
    let file = object::File::parse(&*bytes).map_err(|error| wrong(&error))?;
    let is_macos = file.format() == object::BinaryFormat::MachO;
    let exports = file.exports().map_err(|error| wrong(&error))?;
    let names = exports.iter().map(|export| String::from_utf8_lossy(export.name()).into_owned());
    // There every name of C begins with an underscore.
    Ok(names.map(|name| name.strip_prefix('_').filter(|_| is_macos).unwrap_or(&name).to_owned()).collect())
}

/// The libraries that have to be there at run time, and for Linux the newest symbol version of the
/// C library that is asked for.
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
        System::Windows | System::MacOs => imported(library),
    }
}

/// The check behind "needs no newer glibc than …".
pub fn glibc_is_old_enough(library: &Path) -> Outcome {
    let newest = newest_glibc(library)?;
    if newest <= GLIBC {
        return Ok(());
    }
    Err(format!(
        "{}: asks for glibc {}.{}, and may for {}.{} at most",
        library.display(),
        newest.0,
        newest.1,
        GLIBC.0,
        GLIBC.1
    ))
}

fn newest_glibc(library: &Path) -> Outcome<(u32, u32)> {
    let versions = quietly(command("readelf").args(["-W", "--version-info"]).arg(library))?;
    newest_in(&versions).ok_or_else(|| format!("{}: no version of glibc is asked for", library.display()))
}

/// Of `0x0010:   Name: GLIBC_2.17  Flags: none  Version: 8`, the highest.
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
    fn what_is_missing_and_what_is_foreign_are_both_named() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let wanted = set(&["fw_a", "fw_b"]);
        assert_eq!(same(&wanted, &wanted), Ok(()));
        let problem = same(&set(&["fw_a", "rust_c"]), &wanted).unwrap_err();
        assert!(problem.contains("misses [\"fw_b\"]") && problem.contains("exports [\"rust_c\"]"));
        assert!(same(&set(&[]), &set(&[])).is_err(), "nothing at all is no proof");
    }

    #[test]
    fn the_header_declares_functions() {
        let declared = declared().unwrap();
        assert!(declared.contains("fw_poll") && declared.len() > 50);
    }
}
