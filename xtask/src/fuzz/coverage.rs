//! `cargo xtask fuzz --coverage`: how much of `src/wire` and `src/session` the corpora execute.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Outcome, cargo, command, ensure, has, quietly, root, scratch, test_program_of};

/// What is counted, of the sources.
const FOLDERS: [&str; 2] = ["src/wire", "src/session"];
/// The oldest LLVM that reads what the compiler writes today, and its package.
const OLDEST_LLVM: u32 = 19;
const NEWEST_LLVM: u32 = 29;

#[derive(Clone, Copy, Default)]
struct Counts {
    lines: (u64, u64),
    regions: (u64, u64),
}

impl Counts {
    fn add(&mut self, other: Counts) {
        for (sum, other) in [(&mut self.lines, other.lines), (&mut self.regions, other.regions)] {
            *sum = (sum.0 + other.0, sum.1 + other.1);
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |(covered, all): (u64, u64)| 100.0 * covered as f64 / all.max(1) as f64;
        let ((lines, all_lines), (regions, all_regions)) = (self.lines, self.regions);
        write!(
            f,
            "{lines} of {all_lines} | {:.1} % | {regions} of {all_regions} | {:.1} %",
            percent(self.lines),
            percent(self.regions)
        )
    }
}

/// Plays the corpora as `tests/fuzz_corpora.rs` does, and prints what was executed, by file and
/// by folder.
pub fn report() -> Outcome {
    let (profdata, cov) = llvm()?;
    let folder = scratch("coverage")?;
    let mut build = cargo();
    build.current_dir(root().join("fuzz"));
    build.env("RUSTFLAGS", "-Cinstrument-coverage").env("CARGO_TARGET_DIR", &folder);
    // Build scripts and macros are instrumented too, and of no interest.
    build.env("LLVM_PROFILE_FILE", folder.join("build.profraw"));
    let program = test_program_of(&mut build, "corpora")?;
    let (raw, merged) = (folder.join("corpora.profraw"), folder.join("corpora.profdata"));
    quietly(command(&program).env("LLVM_PROFILE_FILE", &raw))?;
    quietly(Command::new(profdata).arg("merge").arg(&raw).arg("-o").arg(&merged))?;
    let mut export = command(&cov);
    export.args(["export", "-summary-only", "-instr-profile"]).arg(&merged).arg(&program);
    let json = quietly(export.args(FOLDERS.map(|folder| root().join(folder))))?;
    let files = parse(&json, &root())?;
    let mut folders: BTreeMap<String, Counts> = BTreeMap::new();
    println!("| | lines | | regions | |\n| --- | --- | --- | --- | --- |");
    for (file, counts) in &files {
        println!("| `{file}` | {counts} |");
        // `src/wire/mod.rs` belongs to `src/wire`, and to nothing below it.
        let parent = Path::new(file).parent().unwrap_or(Path::new("")).display().to_string();
        folders.entry(parent).or_default().add(*counts);
    }
    for (folder, counts) in &folders {
        println!("| **{folder}** | {counts} |");
    }
    for folder in FOLDERS {
        let mut all = Counts::default();
        folders.iter().filter(|(name, _)| name.starts_with(folder)).for_each(|(_, counts)| all.add(*counts));
        println!("| **{folder}, with what is below** | {all} |");
    }
    let [cov, merged, program] = [&cov, &merged, &program].map(|path| path.display());
    println!("line by line: {cov} show -instr-profile {merged} {program} FILE");
    Ok(())
}

fn parse(json: &str, root: &Path) -> Outcome<BTreeMap<String, Counts>> {
    let report: serde_json::Value =
        serde_json::from_str(json).map_err(|error| format!("llvm-cov wrote no JSON: {error}"))?;
    let files = report["data"][0]["files"].as_array().ok_or("llvm-cov reported no files")?;
    let mut all = BTreeMap::new();
    for file in files {
        let name = file["filename"].as_str().ok_or("a file has no name")?;
        let name = Path::new(name).strip_prefix(root).unwrap_or(Path::new(name));
        let count = |what: &str| {
            let summary = &file["summary"][what];
            summary["covered"]
                .as_u64()
                .zip(summary["count"].as_u64())
                .ok_or(format!("{name:?} has no {what}"))
        };
        let counts = Counts { lines: count("lines")?, regions: count("regions")? };
        all.insert(name.display().to_string(), counts);
    }
    if all.is_empty() { Err("nothing was covered".into()) } else { Ok(all) }
}

/// `llvm-profdata` and `llvm-cov`: those of the compiler where they are installed (`rustup
/// component add llvm-tools`), or the system's.
fn llvm() -> Outcome<(PathBuf, PathBuf)> {
    let libraries = quietly(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let own = Path::new(libraries.trim()).with_file_name("bin");
    let (profdata, cov) = (own.join("llvm-profdata"), own.join("llvm-cov"));
    if profdata.exists() && cov.exists() {
        return Ok((profdata, cov));
    }
    let version = (OLDEST_LLVM..=NEWEST_LLVM).find(|version| has(&format!("llvm-cov-{version}")));
    let version = version.unwrap_or(OLDEST_LLVM);
    ensure(&format!("llvm-cov-{version}"), &[&format!("llvm-{version}")])?;
    Ok((format!("llvm-profdata-{version}").into(), format!("llvm-cov-{version}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_file() {
        let json = r#"{"data":[{"files":[{"filename":"/p/src/wire/frame.rs","summary":{
            "lines":{"count":10,"covered":7,"percent":70},"regions":{"count":4,"covered":1}}}]}]}"#;
        let files = parse(json, Path::new("/p")).unwrap();
        assert_eq!(files["src/wire/frame.rs"].to_string(), "7 of 10 | 70.0 % | 1 of 4 | 25.0 %");
        for broken in ["", "{}", r#"{"data":[{"files":[]}]}"#, r#"{"data":[{"files":[{"filename":"f"}]}]}"#] {
            assert!(parse(broken, Path::new("/p")).is_err(), "{broken}");
        }
    }
}
