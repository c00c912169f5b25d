//! Checks where the source depends on the platform: never in exported functions, elsewhere in few files.

use crate::files;
use crate::run::Outcome;

/// Every function exists on every platform, and returns `NOT_SUPPORTED` where it cannot work.
const EXPORTED: &str = "src/ffi";

/// The only files with conditions on the platform, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("src/net/options.rs", "socket options, keep-alive, signals and what readiness promises"),
    ("src/net/tls/roots.rs", "the system's root certificates, which Android has in folders"),
    ("src/net/android.rs", "the VM that only Android has"),
    ("src/net/watch.rs", "netlink, which only Linux and Android have"),
    ("src/net/dial.rs", "a test's silent address, which only Linux makes"),
    ("src/net/resolve.rs", "a test's interface number, which Linux shows in a file"),
    ("src/capabilities.rs", "what a browser lacks, and what only Android has"),
    ("src/capture.rs", "in a browser, no traffic to capture"),
    ("src/capture/writer.rs", "permissions of the file, which only Unix has"),
    ("src/clock.rs", "in a browser, its clocks"),
    ("src/engine.rs", "in a browser, its WebSocket instead of the modules below `library`"),
    ("src/engine/library.rs", "the same choice, where the workers are started"),
    ("src/net.rs", "in a browser, no network"),
    ("src/sync.rs", "in a browser, locks without threads"),
    ("src/ffi/tests/layout.rs", "sizes of structs with 64-bit pointers; the C compiler checks both widths"),
];

/// Conditions on the system, the CPU or the size of pointers.
const CONDITIONS: &[&str] = &["target_", "unix", "windows"];

pub fn check() -> Outcome {
    let mut faults = Vec::new();
    let mut exported = 0;
    for file in files::list_all("src", |_| false)? {
        let text = files::text(&file)?;
        let name = files::in_project(&file);
        exported += text.lines().filter(|line| *line == "#[unsafe(no_mangle)]").count();
        if !name.starts_with(EXPORTED) && text.contains("no_mangle") {
            faults.push(format!("{name}: only {EXPORTED} exports functions"));
        }
        let is_allowed = ALLOWED.iter().any(|(allowed, _)| *allowed == name);
        for (number, line) in conditions(&text) {
            if name.starts_with(EXPORTED) && !name.contains("/tests/") && line != "#[cfg(test)]" {
                faults.push(format!("{name}:{number}: {line}: exported functions must not have conditions"));
            } else if !is_allowed && CONDITIONS.iter().any(|condition| line.contains(condition)) {
                faults.push(format!(
                    "{name}:{number}: {line}: conditions on the platform are not allowed in this file"
                ));
            }
        }
    }
    println!("{exported} exported functions, {} files with conditions on the platform", ALLOWED.len());
    if exported == 0 {
        faults.push("no exported function was found".into());
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Finds the lines with a condition, numbered from 1.
fn conditions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.starts_with("//"));
    lines
        .filter(|(_, line)| ["cfg(", "cfg!(", "cfg_attr("].iter().any(|word| line.contains(word)))
        .map(|(at, line)| (at + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_found_in_attributes_and_expressions_but_not_in_comments() {
        let text =
            "// cfg(unix)\n#[cfg(windows)]\nfn a() {}\n    if cfg!(unix) {}\n#[cfg_attr(unix, inline)]\n";
        let found: Vec<usize> = conditions(text).map(|(number, _)| number).collect();
        assert_eq!(found, [2, 4, 5]);
    }
}
