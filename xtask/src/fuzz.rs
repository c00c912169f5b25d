//! `cargo xtask fuzz`: runs the targets in `fuzz/`, each for a limited CPU time.
//!
//! New inputs are saved in `target/fuzz`, not in the committed corpora, so a run does not change the repository.

/// Shared with the targets, which are in another workspace.
#[path = "../../fuzz/src/corpus.rs"]
mod corpus;
mod process;

use std::path::{Path, PathBuf};
use std::process::Command;

use self::process::Ended;
use crate::files;
use crate::run::{Outcome, ensure, quietly, root, run, run_in_view, scratch};
use crate::schedule::{Problem, Tested};
use crate::supply;

/// CPU seconds for each target by default: enough to find obvious regressions.
const SECONDS: u32 = 20;
const CARGO_FUZZ: &str = "0.13.2";
const CARGO_LLVM_COV: &str = "0.9.1";

/// Runs `[--seconds N] [TARGET…]`, `--minimize [TARGET…]` or `--coverage`.
pub fn main(words: &[&str]) -> Outcome {
    let (seconds, wanted) = match words {
        ["--coverage"] => return coverage(),
        ["--minimize", wanted @ ..] => (None, wanted),
        ["--seconds", count, wanted @ ..] => {
            (Some(count.parse().map_err(|_| format!("{count} is not a number of seconds"))?), wanted)
        }
        wanted => (Some(SECONDS), wanted),
    };
    let known = targets()?;
    if let Some(unknown) = wanted.iter().find(|word| !known.iter().any(|name| name == *word)) {
        return Err(format!("{unknown} is not one of {}", known.join(", ")));
    }
    tools()?;
    let mut chosen = known.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str()));
    run(nightly().args(["fuzz", "build"]))?;
    match seconds {
        Some(seconds) => fuzz(chosen, seconds),
        None => chosen.try_for_each(|target| minimize(target)),
    }
}

pub fn step() -> Tested {
    tools().map_err(Problem::Missing)?;
    Ok(main(&[])?)
}

/// Matches the files that are not in `src/wire` and `src/session`.
const OTHER_FILES: &str =
    r"/(\.cargo|rustc|fuzz|tests|tools)/|src/(buffer|client|engine|net)/|src/[a-z]*\.rs";

/// Prints how much of `src/wire` and `src/session` the corpora execute.
fn coverage() -> Outcome {
    supply::install("cargo-llvm-cov", CARGO_LLVM_COV)?;
    let mut report = supply::tool("cargo-llvm-cov");
    report.current_dir(root().join("fuzz")).args(["llvm-cov", "--test", "corpora"]);
    // The library is not a member of this workspace, and so would be neither instrumented nor reported.
    report.args(["--no-rustc-wrapper", "--no-default-ignore-filename-regex"]);
    report.args(["--ignore-filename-regex", OTHER_FILES]);
    if std::env::var_os("LLVM_COV").is_none() {
        ensure("llvm-cov-19", &["llvm-19"])?;
        report.env("LLVM_COV", "llvm-cov-19").env("LLVM_PROFDATA", "llvm-profdata-19");
    }
    run_in_view(&mut report)
}

/// Returns the names of the programs in `fuzz/fuzz_targets`.
fn targets() -> Outcome<Vec<String>> {
    let stem = |path: PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    Ok(files::list("fuzz/fuzz_targets")?.into_iter().filter_map(stem).collect())
}

/// Installs the nightly compiler, which has the sanitizers, and cargo-fuzz.
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

/// Creates a command for cargo of the nightly toolchain.
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
    let failed: Vec<String> = targets.filter_map(|target| fuzz_one(target, seconds).err()).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n\n")) }
}

fn fuzz_one(target: &str, seconds: u32) -> Outcome {
    let artifacts = root().join("fuzz/artifacts").join(target);
    files::create_folder(&artifacts)?;
    // Without cargo-fuzz, to read the CPU time of the process.
    let mut command = Command::new(program(target)?);
    command.arg(found(target)?).arg(unpacked(target)?).args([
        "-rss_limit_mb=2048",
        // Wall clock time, for busy machines.
        "-timeout=300",
        "-print_final_stats=1",
        &format!("-artifact_prefix={}/", artifacts.display()),
    ]);
    if let Some(dictionary) = dictionary(target) {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let log = scratch("fuzz")?.join(format!("{target}.log"));
    let ended =
        process::run_for(seconds, &mut command, &log).map_err(|problem| format!("{target}: {problem}"))?;
    if ended.status.success() {
        println!("{target}: {}", figures(&ended));
        return Ok(());
    }
    let text = ended.output;
    // From the error on; before it are libFuzzer's status lines.
    let start = text.find("panicked at").or_else(|| text.find("ERROR:")).unwrap_or(0);
    let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let shown: String = text[line..].chars().take(6000).collect();
    let input = text.split("Test unit written to ").nth(1).and_then(|rest| rest.lines().next());
    let reproduce = match input {
        Some(input) => format!("to reproduce: cargo +nightly fuzz run {target} {input}"),
        None => "no input was saved".to_owned(),
    };
    Err(format!("{target}: {}\n{shown}\n{reproduce}", ended.status))
}

/// Returns the folder for new inputs of a target.
fn found(target: &str) -> Outcome<PathBuf> {
    scratch(&format!("fuzz/{target}"))
}

fn packed(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target).with_extension("txt")
}

/// Unpacks the corpus into a folder with a file for each input, as libFuzzer reads it.
fn unpacked(target: &str) -> Outcome<PathBuf> {
    let folder = emptied(&format!("fuzz/corpora/{target}"))?;
    let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = packed(target);
    let text = std::fs::read_to_string(&file).map_err(|error| failed(&file, &error))?;
    for (at, input) in corpus::read(&text).map_err(|error| failed(&file, &error))?.iter().enumerate() {
        let path = folder.join(at.to_string());
        std::fs::write(&path, input).map_err(|error| failed(&path, &error))?;
    }
    Ok(folder)
}

/// Replaces the corpus by the smallest set of its inputs and new ones with the same coverage.
fn minimize(target: &str) -> Outcome {
    let (least, before) = (emptied(&format!("fuzz/least/{target}"))?, unpacked(target)?);
    let mut merge = Command::new(program(target)?);
    merge.arg("-set_cover_merge=1").arg(&least).arg(before).arg(found(target)?);
    quietly(&mut merge)?;
    let inputs = files::list(&least)?.into_iter().map(files::bytes).collect::<Outcome<Vec<_>>>()?;
    println!("{target}: {} inputs", inputs.len());
    let file = packed(target);
    files::write(&file, corpus::write(inputs))
}

/// Creates an empty folder.
fn emptied(name: &str) -> Outcome<PathBuf> {
    files::remove_folder(Path::new("target").join(name))?;
    scratch(name)
}

fn program(target: &str) -> Outcome<PathBuf> {
    Ok(root().join("fuzz/target").join(host()?).join("release").join(target))
}

/// Returns the target triple of the nightly compiler, which is part of the path of its programs.
fn host() -> Outcome<String> {
    let mut rustc = Command::new("rustc");
    quietly(rustc.args(["+nightly", "--print", "host-tuple"])).map(|host| host.trim().to_owned())
}

/// Formats the result of a run; coverage counts edges, features are libFuzzer's finer measure.
fn figures(ended: &Ended) -> String {
    let text = &ended.output;
    let inputs = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let inputs = inputs.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    let last =
        |name| text.rsplit_once(name).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?");
    let (used, elapsed) = (ended.used.as_secs_f64(), ended.elapsed.as_secs_f64());
    format!(
        "{inputs} inputs in {used:.0} s of CPU time ({elapsed:.0} s elapsed), {:.0}/s, coverage {}, features {}",
        inputs as f64 / used.max(0.01),
        last(" cov: "),
        last(" ft: "),
    )
}

/// Returns the dictionary of a target, if it has one.
fn dictionary(target: &str) -> Option<PathBuf> {
    let format = if target == "compare" { "frames" } else { target };
    let path = root().join("fuzz/dictionaries").join(format).with_extension("dict");
    path.exists().then_some(path)
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| line.contains("error")).or(text.lines().next()).unwrap_or_default()
}
