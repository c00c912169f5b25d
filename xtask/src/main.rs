//! The project's commands: `cargo xtask <command>`.

mod abi;
mod abi_facts;
mod autobahn;
mod bench;
mod blocks;
mod c;
mod c_tests;
mod captures;
mod check_platforms;
mod chromium;
mod claims;
mod cmake;
mod cpp;
mod cross;
mod debian;
mod demo;
mod dist;
mod docs;
mod dotnet;
mod examples;
mod faults;
mod files;
mod format;
mod fuzz;
mod godot;
mod guarantees;
mod har;
mod header;
mod imports;
mod install;
mod java;
mod models;
mod network;
mod nightly;
mod nuget;
mod packaging;
mod pictures;
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
mod state_sync;
mod supply;
mod test;
mod unity;
mod unreal;
mod unsafe_list;
mod web;
mod workflows;

use std::process::ExitCode;

use schedule::{Problem, Tested};

const USAGE: &str = "\
cargo xtask <command>

Tests
  demo               builds the library and a C game, and plays against a local echo server
  demo --link        plays a C game over a simulated link, with and without lanes: draws docs/images/lanes.svg
  demo web           builds the C game and the SDL2 latency graph for browsers, starts an echo server and a page server,
                     and prints the URLs
  test               quick tests: a few minutes, needs only Rust and a C compiler, installs nothing
  test --all         all tests, as CI runs them; skips those whose tools are missing and prints how to install
                     them. With --install it installs missing tools first
  test WORD...       the steps whose names contain one of the words
  nightly [WORD...]  long-running steps: dist, emulators, supply chain, an hour of fuzzing for each target
  autobahn [--full]  the Autobahn testsuite: the cases of every change, or all
  hostile --minutes N
                     random calls of the C ABI: plain, under AddressSanitizer, under valgrind
  soak [--minutes N] 200 connections that open, send, fail and reconnect, for 30 minutes
  fuzz [--seconds N] [TARGET...]
                     each fuzz target for 20 seconds of CPU time, or N
  fuzz --coverage    lines and regions of src/wire and src/session that the corpora execute (cargo-llvm-cov)
  fuzz --minimize [TARGET...]
                     adds new inputs to the corpora and drops those that add no coverage
  bench [--runs N] [--keep] [WORD...]
                     compares Framewire with other libraries; --show prints the last results, --svg FILE
                     draws them
  bench godot        compares the Godot extension with WebSocketPeer, in Godot
  bench web          compares a page with emscripten's WebSocket API and with JavaScript alone, in Chromium
  bench scale        one process with 1 to 50,000 connections: writes the table and the diagram of docs/scale.md
  bench lanes        latency of urgent messages with and without lanes: writes the table of docs/lanes.md
  bench sizes        writes the library size with each set of features to docs/platforms.md
  bench unity|c++ [--runs N] [WORD...]
                     compares a binding with its alternatives

Generated files
  header [--check]   writes include/framewire.h, or compares it
  abi                writes include/framewire.abi: functions, constants and struct layouts
  unsafe             writes docs/unsafe.md
  platforms          writes the tables of docs/platforms.md from recorded results
  pictures           draws the pictures of the command line in docs/images
  format             formats the C and C++ sources with clang-format
  web table          writes the table of functions in docs/browser.md
  docs               builds the manual as a site (mdBook, from PyPI) and prints where it is
  unity-meta         writes the .meta files of new files in the Unity package

Analysis
  workflows          checks .github/workflows: syntax, security, and that every command in them exists
  map                prints which module of src imports which, and circles between files
  profiles           size and speed of the library with other build settings
  deny               licences, sources, duplicates and advisories of the dependencies (cargo-deny)
  sbom               list of all dependencies in target/sbom (cargo-cyclonedx)
  oldest             type check with the minimum Rust version
  semver REVISION    changes of the Rust API since a Git revision that the version does not allow
                     (cargo-semver-checks)
  check-platforms [TARGET...]
                     type check for platforms that cannot be linked here

Packages
  install --prefix DIR
                     installs headers, libraries, pkg-config and CMake files
  web                builds the library for browsers into target/web/framewire
  package unity [--webgl]
                     writes the package for Unity's package manager; --webgl adds the library for browsers
  package godot      writes the Godot addon into its demo project
  package nuget      writes the NuGet package with the library for this machine to target/dist
  dist [TARGET...]   writes release archives for each target, and the Unity, Godot and NuGet packages, to target/dist
  dist --native [TARGET...]
                     the same with the compiler of this machine: MSVC on Windows, Xcode on macOS
  dist --assemble FOLDER
                     merges what dist has written on several machines, each in a folder of FOLDER
  upm REMOTE         commits the Unity package of target/dist to the branch upm of a Git repository
  version            prints the version of the library
  crate              checks that the crate can be published (cargo publish --dry-run)
  cross-test [native|qemu|wine|android|browsers]
                     runs the release libraries for Windows and ARM under an emulator, the Android code on Linux, the
                     library for browsers in Node and Chromium
  reproducible       builds a release in two folders and compares the bytes
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["demo"] => demo::run(),
        ["demo", "--link"] => demo::run_over_link(),
        ["demo", "web"] => demo::run_web(),
        ["test", only @ ..] => test::main(only),
        ["bench", arguments @ ..] => bench::run(arguments),
        ["fuzz", words @ ..] => fuzz::main(words),
        ["hostile", "--minutes", minutes] => hostile(minutes),
        ["soak", words @ ..] => soak::main(words),
        ["format"] => format::format(),
        ["pictures"] => pictures::write(),
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
        ["semver", revision] => alone(supply::semver(revision)),
        ["reproducible"] => alone(reproducible::step()),
        ["install", "--prefix", prefix] => install::install(prefix.as_ref()),
        ["package", "unity"] => unity::package(false).map(|folder| println!("{}", folder.display())),
        ["package", "unity", "--webgl"] => {
            unity::package(true).map(|folder| println!("{}", folder.display()))
        }
        ["package", "godot"] => godot::package(),
        ["package", "nuget"] => nuget::package().map(|file| println!("{}", file.display())),
        ["dist", "--native", only @ ..] => dist::native::run(only),
        ["dist", "--assemble", folder] => dist::assemble::run(folder.as_ref()),
        ["dist", only @ ..] => dist::run(only),
        ["upm", remote] => unity::branch::publish(remote),
        ["crate"] => alone(supply::crate_can_be_published()),
        ["workflows"] => alone(workflows::check()),
        ["version"] => install::package("version").map(|version| println!("{version}")),
        ["cross-test", only @ ..] => cross::run(only),
        ["check-platforms", only @ ..] => check_platforms::run(only),
        ["nightly", only @ ..] => nightly::run(only),
        // `test` and `nightly` start one process for each step.
        ["step", name] => match test::STEPS.iter().chain(nightly::STEPS).find(|step| step.name == *name) {
            Some(step) => return schedule::run_one(step),
            None => Err(format!("unknown step: {name}")),
        },
        ["profiles"] => profiles::measure(),
        ["platforms"] => platforms::write(),
        ["web"] => web::main(),
        ["web", "table"] => web::write_table(),
        ["docs"] => docs::main(),
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
    let minutes: f32 = minutes.parse().map_err(|_| format!("{minutes} is not a number of minutes"))?;
    c_tests::hostile((minutes * 60.0) as u32)
}

/// Runs a step as a command.
fn alone(tested: Tested) -> run::Outcome {
    tested.map_err(|problem| match problem {
        Problem::Failed(problem) => problem,
        Problem::Missing(reason) => format!("skipped: {reason}"),
    })
}
