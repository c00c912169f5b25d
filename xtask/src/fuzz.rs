//! `cargo xtask fuzz`: the targets in `fuzz/`, each for a bounded time.
//!
//! What is found on the way is kept in `target/fuzz`, not in the committed corpora, so that a run
//! changes nothing in the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Outcome, quietly, root, run, scratch};
use crate::schedule::Verdict;

/// Seconds for each target where nobody says: enough for what a change breaks plainly.
const SECONDS: u32 = 20;
/// A newer one is taken in on purpose.
const CARGO_FUZZ: &str = "0.13.2";

/// `[--seconds N] [TARGET…]`
pub fn main(words: &[&str]) -> Outcome {
    let (seconds, wanted) = match words {
        ["--seconds", count, wanted @ ..] => {
            (count.parse().map_err(|_| format!("{count} is no number of seconds"))?, wanted)
        }
        wanted => (SECONDS, wanted),
    };
    let known = targets()?;
    if let Some(unknown) = wanted.iter().find(|word| !known.iter().any(|name| name == *word)) {
        return Err(format!("{unknown} is none of {}", known.join(", ")));
    }
    tools()?;
    let chosen = known.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str()));
    fuzz(chosen, seconds)
}

pub fn step() -> Verdict {
    match tools() {
        Ok(()) => targets().and_then(|all| fuzz(all.iter(), SECONDS)).into(),
        Err(reason) => Verdict::Skipped(reason),
    }
}

/// Every program in `fuzz/fuzz_targets`.
fn targets() -> Outcome<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let files = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = files.filter_map(|file| stem(file.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// The nightly compiler, which alone has the sanitizers, and cargo-fuzz.
fn tools() -> Outcome {
    if quietly(nightly().arg("--version")).is_err() {
        let mut install = Command::new("rustup");
        quietly(install.args(["toolchain", "install", "nightly", "--profile", "minimal"]))
            .map_err(|problem| format!("a nightly compiler is missing: {}", first_line(&problem)))?;
    }
    if quietly(nightly().args(["fuzz", "--version"])).is_err() {
        println!("installing cargo-fuzz {CARGO_FUZZ}");
        let mut install = nightly();
        install.args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ, "--root"]);
        quietly(install.arg(installed()?))
            .map_err(|problem| format!("cargo-fuzz is missing: {}", first_line(&problem)))?;
    }
    Ok(())
}

fn installed() -> Outcome<PathBuf> {
    scratch("tools/cargo-fuzz")
}

/// Cargo of the nightly compiler, whichever one runs this.
fn nightly() -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").current_dir(root());
    for set_by_cargo in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "CARGO_TARGET_DIR"] {
        command.env_remove(set_by_cargo);
    }
    let own = installed().map(|folder| folder.join("bin")).unwrap_or_default();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&others).chain([own]);
    if let Ok(path) = std::env::join_paths(path) {
        command.env("PATH", path);
    }
    command
}

fn fuzz<'a>(targets: impl Iterator<Item = &'a String>, seconds: u32) -> Outcome {
    run(nightly().args(["fuzz", "build"]))?;
    let failed: Vec<String> = targets.filter_map(|target| fuzz_one(target, seconds).err()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n\n")) }
}

fn fuzz_one(target: &str, seconds: u32) -> Outcome {
    let found = scratch(&format!("fuzz/{target}"))?;
    let corpus = root().join("fuzz/corpus").join(target);
    let mut command = nightly();
    command.args(["fuzz", "run", target]).arg(found).arg(corpus).args([
        "--",
        "-rss_limit_mb=2048",
        // Of the wall clock, on machines that are busy.
        "-timeout=300",
        "-print_final_stats=1",
        &format!("-max_total_time={seconds}"),
    ]);
    if let Some(dictionary) = dictionary(target) {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let output = command.output().map_err(|error| format!("cargo fuzz run {target}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let executed = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        println!("{target}: {} inputs in {seconds} s", executed.unwrap_or("?").trim());
        return Ok(());
    }
    // From what went wrong on; what came before are the corpus's small gains.
    let start = text.find("panicked at").or_else(|| text.find("ERROR:")).unwrap_or(0);
    let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let shown: String = text[line..].chars().take(6000).collect();
    let input = text.split("Test unit written to ").nth(1).and_then(|rest| rest.lines().next());
    let again = match input {
        Some(input) => format!("to see it again: cargo +nightly fuzz run {target} {input}"),
        None => "it left no input".to_owned(),
    };
    Err(format!("{target}: {}\n{shown}\n{again}", output.status))
}

/// The words of the formats that a target reads.
fn dictionary(target: &str) -> Option<PathBuf> {
    let path = root().join("fuzz/dictionaries").join(Path::new(target).with_extension("dict"));
    path.exists().then_some(path)
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| line.contains("error")).or(text.lines().next()).unwrap_or_default()
}
