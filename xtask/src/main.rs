//! The project's commands: `cargo xtask <command>`.

mod abi;
mod abi_facts;
mod autobahn;
mod bench;
mod c;
mod c_tests;
mod check_platforms;
mod claims;
mod cpp;
mod cross;
mod debian;
mod demo;
mod dist;
mod faults;
mod files;
mod fuzz;
mod godot;
mod guarantees;
mod header;
mod imports;
mod install;
mod models;
mod network;
mod nightly;
mod platform_rules;
mod platforms;
mod profiles;
mod proxies;
mod python;
mod readme;
mod real;
mod reproducible;
mod run;
mod schedule;
mod snapshot;
mod soak;
mod supply;
mod test;
mod unity;
mod unsafe_list;

use std::process::ExitCode;

use schedule::Verdict;

const USAGE: &str = "\
cargo xtask <command>

  demo               builds the library and the C game, starts an echo server, and plays
  test               the library through its C ABI and its Rust API against honest and hostile servers,
                     units, header and examples, in a few minutes; installs nothing
  test --all         everything, as CI runs it; what is missing is skipped, and the line that installs it
                     is printed. --install installs it
  test WORD...       the steps, of all, whose names contain one of the words
  bench [--runs N] [--keep] [WORD...]
                     measures Framewire beside its peers; --show prints what was measured last,
                     --svg FILE draws it
  fuzz [--seconds N] [TARGET...]
                     the fuzz targets, each for 20 seconds of processor time, or N
  fuzz --coverage    how much of src/wire and src/session the corpora execute
  fuzz --minimize [TARGET...]
                     writes the corpora anew, with what was found and without what adds nothing
  hostile --minutes N
                     a caller that knows no rules, so long: plain, sanitized, under valgrind
  soak [--minutes N] 200 connections that open, play, fail and come back, for 30 minutes
  header [--check]   writes include/framewire.h from the source, or compares it
  autobahn [--full]  the Autobahn testsuite against the C ABI: a part of it, or everything
  abi                writes include/framewire.abi: functions, numbers and layouts
  map                prints which module of src imports which, and circles between files
  unsafe             writes docs/unsafe.md from the source
  deny               licences, sources, duplicates and known faults of what the library is made of
  sbom               everything the library is made of, into target/sbom
  oldest             builds with the oldest compiler that Cargo.toml promises
  reproducible       builds a release in two places and compares the bytes
  install --prefix DIR
                     headers, libraries, pkg-config and CMake files under DIR
  package unity      lays out the package for Unity's package manager
  package godot      lays out the addon in its demo project
  dist [TARGET...]   what is shipped, in target/dist: an archive for each target, and the packages for
                     Unity and Godot with all libraries
  cross-test [wine|qemu]
                     what is shipped for Windows and for ARM, run by an emulator
  check-platforms [TARGET...]
                     type-checks the library for platforms whose tools are not here
  nightly [WORD...]  the long tests, of which the three above are
  profiles           size and speed of the library with other build settings
  platforms          writes the tables of docs/platforms.md and README.md from what the commands found
  unity-meta         writes the .meta files of the package's new files
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(),
        ["test", only @ ..] => test::main(only),
        ["bench", arguments @ ..] => bench::run(arguments),
        ["fuzz", words @ ..] => fuzz::main(words),
        ["hostile", "--minutes", minutes] => hostile(minutes),
        ["soak", words @ ..] => soak::main(words),
        ["header"] => header::write(),
        ["header", "--check"] => header::check(),
        ["autobahn"] => autobahn::run(false),
        ["autobahn", "--full"] => autobahn::run(true),
        ["map"] => imports::map(),
        ["abi"] => abi_facts::write(),
        ["unsafe"] => unsafe_list::write(),
        ["deny"] => alone(supply::deny()),
        ["sbom"] => alone(supply::sbom()),
        ["oldest"] => alone(supply::oldest_compiler()),
        ["reproducible"] => alone(reproducible::step()),
        ["install", "--prefix", prefix] => install::install(prefix.as_ref()),
        ["package", "unity"] => unity::package().map(|folder| println!("{}", folder.display())),
        ["package", "godot"] => godot::package(),
        ["dist", only @ ..] => dist::run(only),
        ["cross-test", only @ ..] => cross::run(only),
        ["check-platforms", only @ ..] => check_platforms::run(only),
        ["nightly", only @ ..] => nightly::run(only),
        // What `test` and `nightly` start for each of their steps.
        ["step", name] => match test::find(name).or_else(|| nightly::find(name)) {
            Some(step) => return schedule::run_one(step),
            None => Err(format!("there is no step {name}")),
        },
        ["profiles"] => profiles::measure(),
        ["platforms"] => platforms::write(),
        ["unity-meta"] => unity::write_metas(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn hostile(minutes: &str) -> run::Outcome {
    let minutes: f32 = minutes.parse().map_err(|_| format!("{minutes} is no number of minutes"))?;
    c_tests::hostile((minutes * 60.0) as u32)
}

/// A step that was asked for on its own.
fn alone(verdict: Verdict) -> run::Outcome {
    match verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed(problem) => Err(problem),
        Verdict::Skipped(reason) => Err(format!("skipped: {reason}")),
    }
}
