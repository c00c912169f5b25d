//! Compares `FramewireClientWebSocket` with the `ClientWebSocket` of Mono and CoreCLR: one program runs on each, and what
//! it prints is the same, except for the lines in the list.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::{Bench, RUNTIME_CONFIG, Runtime, STANDARD_2_1, core_references, csharp, mcs, source};
use crate::bench::bindings;
use crate::files;
use crate::run::{Outcome, quietly};

const LIST: &str = "Documentation~/clientwebsocket-differences.txt";

pub fn test() -> Outcome {
    let bench = Bench::runtimes("unity-compare")?;
    let sources = csharp(&["Runtime", "Tests~/Compare", "Tests/Runtime/Support.cs", "Tests~/Shim/NUnit.cs"])?;
    let listed = listed(&files::text(source().join(LIST))?)?;
    let mut unused = listed.clone();
    let mut faults = Vec::new();
    for runtime in bench.runtimes.iter().filter(|runtime| runtime.name != "mono-boehm") {
        let mut options = vec!["-main:Program".to_owned(), STANDARD_2_1.to_owned()];
        let mut libraries = bench.folder.display().to_string();
        let name = if runtime.is_core { "CoreCLR" } else { "Mono" };
        if runtime.is_core {
            options.extend(core_references(&runtime.program)?);
            // ClientWebSocket computes a hash with it.
            libraries = format!("{libraries}:{}", bindings::openssl()?);
        }
        mcs(
            &runtime.folder,
            "compare.exe",
            &options.iter().map(String::as_str).collect::<Vec<_>>(),
            &sources,
        )?;
        files::write(runtime.folder.join("compare.runtimeconfig.json"), RUNTIME_CONFIG)?;
        let theirs = observations(runtime, "system", &libraries)?;
        let ours = observations(runtime, "framewire", &libraries)?;
        println!("{name}: {} observations", ours.len());
        for what in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            let of =
                |lines: &BTreeMap<String, String>| lines.get(what).map_or("-", String::as_str).to_owned();
            let (theirs, ours) = (of(&theirs), of(&ours));
            if theirs == ours {
                continue;
            }
            let lines = [name, "both"].map(|runtime| format!("{runtime} | {what} | {theirs} | {ours}"));
            match lines.iter().find(|line| listed.contains(*line)) {
                Some(line) => drop(unused.remove(line)),
                None => faults.push(lines[0].clone()),
            }
        }
    }
    if bench.runtimes.iter().any(|runtime| runtime.is_core) {
        faults.extend(unused.iter().map(|line| format!("listed, and does not occur: {line}")));
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{LIST} does not explain:\n{}", faults.join("\n"))) }
}

/// Returns the lines of the list, each of which has a comment above its block.
fn listed(text: &str) -> Outcome<BTreeSet<String>> {
    let mut lines = BTreeSet::new();
    let mut has_reason = false;
    for line in text.lines() {
        if line.is_empty() {
            has_reason = false;
        } else if line.starts_with('#') {
            has_reason = true;
        } else if !has_reason {
            return Err(format!("{LIST}: no reason for {line}"));
        } else {
            lines.insert(line.to_owned());
        }
    }
    Ok(lines)
}

/// Returns what the program has printed; a repeated observation gets a number.
fn observations(runtime: &Runtime, client: &str, libraries: &str) -> Outcome<BTreeMap<String, String>> {
    let mut program = Command::new("timeout");
    program
        .current_dir(&runtime.folder)
        .arg("240")
        .arg(&runtime.program)
        .args(["compare.exe", client])
        .env("LD_LIBRARY_PATH", libraries)
        .env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
    let mut found = BTreeMap::new();
    for line in quietly(&mut program)?.lines() {
        let (what, result) = line.split_once(" | ").ok_or_else(|| format!("{client}: {line}"))?;
        let mut name = what.to_owned();
        for number in 2.. {
            if !found.contains_key(&name) {
                break;
            }
            name = format!("{what} #{number}");
        }
        found.insert(name, result.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_needs_a_reason() {
        assert!(listed("# why\nboth | a: b | c | d\n").is_ok_and(|lines| lines.len() == 1));
        assert!(listed("# why\n\nboth | a: b | c | d\n").is_err());
        assert!(listed(&files::text(source().join(LIST)).unwrap_or_default()).is_ok());
    }
}
