//! `cargo xtask test`: the quick tests; with `--all` everything, as CI runs it.

use crate::c;
use crate::c_tests::Tool;
use crate::run::{
    BUILT, DEVELOPMENT, Echo, INSTALL, Outcome, cargo, command, ensure, has, may_install, note_test_program,
    quietly, root, run, test_program,
};
use crate::schedule::{self, Problem, Step, Tested, Verdict};
use crate::{
    abi, abi_facts, autobahn, bench, blocks, c_tests, captures, check_platforms, claims, cmake, cpp, demo,
    docs, examples, faults, format, fuzz, godot, guarantees, har, header, imports, java, models, network,
    nuget, packaging, platform_rules, proxies, readme, real, soak, supply, unity, unreal, unsafe_list, web,
    workflows,
};

const BUILD: &str = "build of the library and its tests";
const SHIPPED: &str = "release build of the library";
const CMAKE: &str = "CMake: add_subdirectory, and the package it installs";
/// For steps that need the release library and the servers.
const BOTH: &[&str] = &[BUILD, SHIPPED];

/// In the order in which each lane starts them. Seconds are measured on two idle cores.
pub const STEPS: &[Step] = &[
    Step::new("a C compiler", 1, || ensure("cc", &["gcc", "libc6-dev"]).into()).quick(),
    Step::new("a C++ compiler", 1, || ensure("g++", &["g++"]).into()),
    Step::new("exported functions have no platform conditions", 1, || platform_rules::check().into()).quick(),
    Step::new("every promise in GUARANTEES.md has a test", 1, || guarantees::check().into()).quick(),
    Step::new("every claim that a feature is missing has a test", 1, || claims::check().into()).quick(),
    Step::new("imports follow the table in ARCHITECTURE.md", 1, || imports::check().into()).quick(),
    Step::new("every unsafe block has a reason", 1, || unsafe_list::check().into()).quick(),
    Step::new("docs/browser.md lists what differs", 1, || web::check_table().into()).quick(),
    Step::new("packaging: files for package managers", 1, || packaging::check().into()).quick(),
    Step::new("every function is tested from C", 1, || abi::every_function_is_tested().into()).quick(),
    Step::new("format of the C and C++ sources", 2, || format::check().into()),
    Step::new("the header compiles alone", 1, || c::header_alone().into()).quick(),
    Step::new(BUILD, 95, || build().into()).quick(),
    // Link-time optimisation uses one core, so this runs in parallel to the steps that compute.
    Step::new(SHIPPED, 90, || run(cargo().args(c::SHIPPED)).into()).waits(),
    Step::new("the header is up to date", 15, || header::check().into()).quick().after(&[BUILD]),
    Step::new("cargo test", 90, || cargo_test().into()).quick().after(&[BUILD]),
    Step::new("tests of xtask", 10, || run(cargo().args(["test", "--quiet", "--package", "xtask"])).into())
        .quick()
        .after(&[BUILD]),
    Step::new("command line", 60, || {
        run(cargo().args(["test", "--quiet", "--package", "framewire-cli"])).into()
    })
    .after(&[BUILD]),
    Step::new("examples in C and Rust", 25, || with_echo(examples::test)).quick().waits().after(BOTH),
    Step::new("examples in C++", 30, || with_echo(examples::test_cpp)).after(BOTH),
    Step::new("programs in the READMEs", 3, || with_echo(readme::test)).quick().waits().after(BOTH),
    Step::new("tests in C", 60, || c_tests::step(Tool::None).into()).quick().waits().after(BOTH),
    Step::new("demo", 5, || with_echo(|echo| demo::run_game(echo, c::usual()))).quick().waits().after(BOTH),
    Step::new("hostile servers: every fault in every phase, disconnect at every byte", 60, || {
        hostile_servers().into()
    })
    .quick()
    .waits()
    .after(&[BUILD]),
    Step::new("soak: 200 connections for two minutes", 125, || soak::short().into()).waits().after(BOTH),
    Step::new("network: dead addresses, dead links, slow links", 60, || network::step().into())
        .waits()
        .after(BOTH),
    Step::new("Autobahn", 240, || autobahn::step().into()).waits().after(BOTH),
    Step::new("docs: links and anchors", 5, || docs::check_links().into()).quick(),
    Step::new("docs: site in Chromium", 40, || docs::check_in_chromium().into())
        .waits()
        .after(&["docs: links and anchors"]),
    Step::new("docs: code blocks compile", 40, || blocks::step().into()).after(BOTH),
    Step::new("Doxygen: the header's comments are complete", 2, || header::doxygen().into()),
    Step::new("the ABI matches include/framewire.abi", 5, || abi_facts::check().into()).after(BOTH),
    Step::new("concurrency models", 120, || models::test().into()).after(BOTH),
    Step::new("a panic in each module", 40, || faults::test().into()).after(BOTH),
    Step::new("no warnings of rustc and clippy", 45, || clippy().into()).after(BOTH),
    Step::new("type check for Android, macOS and Windows", 240, || check_platforms::step().into())
        .after(BOTH),
    Step::new("the library builds without TLS and C", 10, || check_without(&["--no-default-features"]))
        .after(BOTH),
    Step::new("the library builds without HTTP/2", 10, || {
        check_without(&["--no-default-features", "--features", "capi,tls"])
    })
    .after(BOTH),
    Step::new("dependencies support the minimum Rust version", 2, || {
        supply::compilers_of_dependencies().into()
    })
    .after(BOTH),
    Step::new("workflows: syntax, security, commands", 60, || workflows::check().into()).after(BOTH),
    Step::new("tests in C, address sanitizer", 120, || c_tests::step(Tool::AddressSanitizer).into())
        .after(BOTH),
    Step::new("tests in C, valgrind", 120, || c_tests::step(Tool::Valgrind).into()).after(BOTH),
    Step::new("fuzzing", 240, || fuzz_step().into()).after(BOTH),
    Step::new("Godot", 150, || with_echo(godot::step)).after(BOTH),
    Step::new("Godot, Web export in Chromium", 90, || with_echo(godot::web::step)).after(BOTH),
    Step::new("Unity, in Mono and CoreCLR", 90, || with_tools(unity::tools(), unity::test)).after(BOTH),
    Step::new("Unity: ClientWebSocket in Mono and CoreCLR, compared", 75, || {
        with_tools_only(unity::tools(), unity::compare::test)
    })
    .waits()
    .after(BOTH),
    Step::new("Unreal: build rules", 2, || match unity::tools() {
        Ok(()) => unreal::test().into(),
        Err(reason) => Verdict::Skipped(reason),
    }),
    Step::new("NuGet package, restored and built by dotnet", 40, || with_tools(nuget::tools(), nuget::test))
        .after(BOTH),
    Step::new("C++, and the installed package", 120, || with_tools(cpp::tools(), cpp::test)).after(BOTH),
    Step::new(CMAKE, 100, || with_tools(cmake::tools(), cmake::test)).after(BOTH),
    // Shares the folder that the step before it builds in.
    Step::new("Conan: a package and a program that uses it", 60, || packaging::conan().into())
        .after(&[BUILD, SHIPPED, CMAKE]),
    Step::new("browsers: Node and Chromium", 180, || web::step().into()).after(BOTH),
    Step::new("captures, decoded by tshark", 10, || captures::step().into()).waits().after(BOTH),
    Step::new("HAR: Chromium's DevTools", 30, || har::step().into()).waits().after(BOTH),
    Step::new("Java: the authorities that Android trusts", 5, || java::step().into()).waits().after(BOTH),
    Step::new("Python websockets", 8, || real::python_websockets().into()).waits().after(BOTH),
    Step::new("Node ws", 8, || real::node().into()).waits().after(BOTH),
    Step::new("nginx as TLS proxy", 8, || real::nginx().into()).waits().after(BOTH),
    Step::new("HTTP/2: HAProxy", 5, || real::http2::haproxy().into()).waits().after(BOTH),
    Step::new("HTTP/2: nghttpx", 5, || real::http2::nghttpx().into()).waits().after(BOTH),
    Step::new("HTTP/2: Apache", 5, || real::http2::apache().into()).waits().after(BOTH),
    Step::new("HTTP/2: hypercorn", 8, || real::http2::hypercorn().into()).waits().after(BOTH),
    Step::new("HTTP/2: Node", 5, || real::http2::node().into()).waits().after(BOTH),
    Step::new("HTTP/2 without WebSockets: nginx", 5, || real::http2::nginx().into()).waits().after(BOTH),
    Step::new("HTTP/2 without WebSockets: Caddy", 5, || real::http2::caddy().into()).waits().after(BOTH),
    Step::new("squid, an HTTP proxy", 8, || with_echo(proxies::squid)).waits().after(BOTH),
    Step::new("tinyproxy, an HTTP proxy", 5, || with_echo(proxies::tinyproxy)).waits().after(BOTH),
    Step::new("microsocks, a SOCKS5 proxy", 5, || with_echo(proxies::microsocks)).waits().after(BOTH),
    Step::new("dante, a SOCKS5 proxy", 5, || with_echo(proxies::dante)).waits().after(BOTH),
    // Runs alone, because the counts need a server that is never slower than the client.
    Step::new("cost of a message, counted", 120, bench::counts::step).last(),
];

/// Runs the steps for `[--all] [--install] [WORD…]`; words select from all steps.
pub fn main(words: &[&str]) -> Outcome {
    if !has("cargo") {
        return Err("cargo is missing".into());
    }
    let (flags, words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with("--"));
    if let Some(unknown) = flags.iter().find(|flag| !["--all", "--install"].contains(flag)) {
        return Err(format!("{unknown} is not known; usage: cargo xtask test [--all] [--install] [WORD...]"));
    }
    let is_all = flags.contains(&"--all");
    let is_wanted = |step: &&Step| match words.as_slice() {
        [] => is_all || step.is_quick,
        words => words.iter().any(|word| step.name.contains(word)),
    };
    let steps: Vec<Step> = STEPS.iter().filter(is_wanted).copied().collect();
    println!("in {}", root().display());
    let mut environment = vec![(INSTALL, if flags.contains(&"--install") { "1" } else { "0" })];
    if is_all {
        environment.push((c::SHIPPED_ONLY, "1"));
    }
    // Later steps need not run cargo for what the first ones build, and so do not wait for its lock.
    let builds = |name| steps.iter().any(|step| step.name == name);
    if builds(BUILD) && (builds(SHIPPED) || steps.iter().all(|step| step.is_quick)) {
        environment.push((BUILT, "1"));
    }
    schedule::run(&steps, &environment)
}

const TESTED: [&str; 6] =
    ["--package", "framewire", "--package", "framewire-captures", "--package", "framewire-servers"];

/// Builds everything for the tests at once: another selection of packages would need other features of shared
/// crates, and build those again.
fn build() -> Outcome {
    run(cargo().args(["test", "--no-run"]).args(TESTED))?;
    run(cargo().args(DEVELOPMENT))?;
    for program in ["hostile_server", "java", "network", "soak", "tshark"] {
        note_test_program(program)?;
    }
    Ok(())
}

fn cargo_test() -> Outcome {
    run(cargo().args(["test", "--quiet"]).args(TESTED))
}

fn hostile_servers() -> Outcome {
    run(command(test_program("hostile_server")?).arg("--nocapture"))
}

fn clippy() -> Outcome {
    run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn check_without(features: &[&str]) -> Verdict {
    run(cargo().args(["check", "--quiet", "--package", "framewire"]).args(features)).into()
}

fn fuzz_step() -> Tested {
    let nightly = |arguments: &[&str]| {
        let mut look = command("cargo");
        look.arg("+nightly").args(arguments).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        quietly(&mut look).is_ok()
    };
    let own = root().join("target/tools/cargo-fuzz/bin/cargo-fuzz");
    if !nightly(&["--version"]) || !(own.exists() || nightly(&["fuzz", "--version"])) {
        let line = "rustup toolchain install nightly --profile minimal && cargo +nightly install cargo-fuzz";
        may_install("cargo-fuzz, or the nightly compiler that it needs,", line).map_err(Problem::Missing)?;
    }
    fuzz::step()
}

fn with_echo<T>(test: impl FnOnce(&Echo) -> Result<(), T>) -> Verdict
where
    Problem: From<T>,
{
    let run = || -> Tested { Ok(test(&Echo::start()?)?) };
    run().into()
}

/// The same after `tools` are installed.
fn with_tools(tools: Outcome, test: impl FnOnce(&Echo) -> Outcome) -> Verdict {
    match tools {
        Ok(()) => with_echo(test),
        Err(reason) => Verdict::Skipped(reason),
    }
}

/// Runs a test that needs no server after `tools` are installed.
fn with_tools_only(tools: Outcome, test: impl FnOnce() -> Outcome) -> Verdict {
    match tools {
        Ok(()) => test().into(),
        Err(reason) => Verdict::Skipped(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_names_are_unique_and_dependencies_come_first() {
        for (at, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..at].iter().all(|other| other.name != step.name), "{}", step.name);
            for before in step.after {
                assert!(
                    STEPS[..at].iter().any(|other| other.name == *before),
                    "{} after {before}",
                    step.name
                );
            }
        }
    }
}
