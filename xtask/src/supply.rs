//! Checks the dependencies: licences, sources, advisories, minimum Rust version; writes the SBOM; compares the
//! Rust API with an earlier version.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::files;
use crate::run::{Outcome, cargo, command, may_install, quietly, root, run, scratch};
use crate::schedule::{Problem, Tested};
use crate::snapshot;

const CARGO_DENY: &str = "0.20.2";
const CARGO_CYCLONEDX: &str = "0.5.9";
const CARGO_SEMVER_CHECKS: &str = "0.51.0";

const SBOM: &str = "target/sbom/framewire.cdx.json";

/// Checks licences, sources, duplicates and bans with deny.toml, and advisories if their database can be
/// downloaded.
pub fn deny() -> Tested {
    install("cargo-deny", CARGO_DENY).map_err(Problem::Missing)?;
    let deny = |arguments: &[&str]| {
        let mut deny = tool("cargo-deny");
        deny.args(arguments);
        deny
    };
    // Bans apply to the library, licences and sources to the tests too.
    run(&mut deny(&["--exclude-dev", "check", "bans"]))?;
    run(&mut deny(&["--workspace", "check", "licenses", "sources"]))?;
    match quietly(&mut deny(&["--workspace", "check", "advisories"])) {
        // The database is a git repository, which a build machine may not reach.
        Err(problem) if problem.contains("failed to fetch advisory database") => Err(Problem::Missing(
            "licences, bans and sources are ok; advisories were NOT checked, because the RustSec database \
             cannot be downloaded"
                .into(),
        )),
        checked => Ok(checked.map(drop)?),
    }
}

/// Fails if the Rust API has changed since a Git revision in a way that the version number does not allow.
pub fn semver(revision: &str) -> Tested {
    install("cargo-semver-checks", CARGO_SEMVER_CHECKS).map_err(Problem::Missing)?;
    let mut check = tool("cargo-semver-checks");
    // Without `internals`, which is not part of the API.
    check.args(["semver-checks", "--package", "framewire", "--default-features", "--baseline-rev", revision]);
    Ok(run(&mut check)?)
}

/// Checks that no dependency needs a newer compiler than `rust-version` of Cargo.toml.
pub fn compilers_of_dependencies() -> Outcome {
    check_rust_versions_of_dependencies(&rust_version()?)
}

/// Checks the library with the compiler of `rust-version`.
pub fn oldest_compiler() -> Tested {
    let oldest = rust_version()?;
    let toolchain = format!("+{oldest}");
    let own = |arguments: &[&str]| {
        let mut own = Command::new("cargo");
        own.arg(&toolchain).args(arguments).current_dir(root());
        for set_by_cargo in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
            own.env_remove(set_by_cargo);
        }
        own
    };
    if quietly(&mut own(&["--version"])).is_err() {
        return Err(Problem::Missing(format!(
            "Rust {oldest} is not installed: \
             rustup toolchain install {oldest} --profile minimal"
        )));
    }
    let folder = root().join("target/oldest");
    let build = ["check", "--locked", "--package", "framewire", "--lib"];
    run(own(&build).env("CARGO_TARGET_DIR", &folder))?;
    Ok(run(own(&build).arg("--no-default-features").env("CARGO_TARGET_DIR", &folder))?)
}

/// Packs the crate as for publication and builds it from the package.
pub fn crate_can_be_published() -> Tested {
    let mut publish = cargo();
    // The working copy as it is: nothing is uploaded.
    publish.args(["publish", "--dry-run", "--locked", "--allow-dirty", "--package", "framewire"]);
    run(publish.arg("--quiet").env("CARGO_TARGET_DIR", root().join("target/crate")))?;
    let listed = quietly(cargo().args(["package", "--list", "--allow-dirty", "--package", "framewire"]))?;
    for needed in
        ["src/lib.rs", "include/framewire.h", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"]
    {
        if !listed.lines().any(|line| line == needed) {
            return Err(format!("the package of the crate does not contain {needed}").into());
        }
    }
    println!("{} files", listed.lines().count());
    // Tests and tools are not for its users.
    match listed.lines().find(|line| line.starts_with("tests/") || line.starts_with("xtask/")) {
        Some(line) => Err(format!("the package of the crate contains {line}").into()),
        None => Ok(()),
    }
}

fn rust_version() -> Outcome<String> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let own = packages.iter().find(|package| package["name"] == "framewire");
    let version = own.and_then(|package| package["rust_version"].as_str());
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml does not state a rust-version".into())
}

fn check_rust_versions_of_dependencies(oldest: &str) -> Outcome {
    let metadata = metadata(&["--locked"])?;
    let own: BTreeSet<String> = dependencies()?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut newer = Vec::new();
    let mut checked = 0;
    for package in packages {
        let name = format!("{} v{}", text(&package["name"]), text(&package["version"]));
        if !own.contains(&name) {
            continue;
        }
        checked += 1;
        let wants = text(&package["rust_version"]);
        if numbers(wants) > numbers(oldest) {
            newer.push(format!("{name} needs Rust {wants}"));
        }
    }
    println!("Rust {oldest}: {checked} packages checked");
    if checked < own.len() {
        return Err(format!("only {checked} of {} packages were found", own.len()));
    }
    if newer.is_empty() {
        return Ok(());
    }
    Err(format!("rust-version is {oldest}, but {}", newer.join(", ")))
}

/// Parses a version: `1.88` equals `1.88.0`.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// Writes the SBOM in CycloneDX format.
pub fn sbom() -> Tested {
    install("cargo-cyclonedx", CARGO_CYCLONEDX).map_err(Problem::Missing)?;
    // It writes next to each Cargo.toml, so it gets a copy of the tree.
    let copy = scratch("sbom")?.join("source");
    snapshot::of_the_tree(&copy)?;
    let mut cyclonedx = tool("cargo-cyclonedx");
    cyclonedx.arg("cyclonedx").arg("--manifest-path").arg(copy.join("Cargo.toml"));
    cyclonedx.args(["--format", "json", "--spec-version", "1.5", "--target", "all", "--quiet"]);
    cyclonedx.args(["--override-filename", "framewire.cdx"]);
    quietly(cyclonedx.env("SOURCE_DATE_EPOCH", "0"))?;
    let text = files::text(copy.join("framewire.cdx.json"))?;
    let list: Value = serde_json::from_str(&text).map_err(|error| format!("the SBOM: {error}"))?;
    let listed = listed(&list)?;
    let missing: Vec<String> = dependencies()?.into_iter().filter(|name| !listed.contains(name)).collect();
    if !missing.is_empty() {
        return Err(format!("the SBOM does not list {}", missing.join(", ")).into());
    }
    files::write(root().join(SBOM), &text)?;
    println!("{SBOM}: {} packages", listed.len());
    Ok(())
}

/// Returns `name vVERSION` of the library and each component of the SBOM.
fn listed(list: &Value) -> Outcome<BTreeSet<String>> {
    if list["bomFormat"] != "CycloneDX" {
        return Err("the SBOM is not in CycloneDX format".into());
    }
    let components = list["components"].as_array().ok_or("the SBOM has no components")?;
    let all = components.iter().chain([&list["metadata"]["component"]]);
    Ok(all.map(|one| format!("{} v{}", text(&one["name"]), text(&one["version"]))).collect())
}

/// Returns `name vVERSION` of the library and its dependencies on all platforms.
fn dependencies() -> Outcome<BTreeSet<String>> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", "framewire", "--edges", "normal", "--target", "all"]);
    let lines = quietly(tree.args(["--prefix", "none", "--format", "{p}"]))?;
    let names: BTreeSet<String> = lines.lines().filter_map(name_and_version).collect();
    if names.len() < 2 { Err("cargo tree lists no dependencies".into()) } else { Ok(names) }
}

/// Returns the first two words of `ring v0.17.14 (*)`.
fn name_and_version(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

fn metadata(more: &[&str]) -> Outcome<Value> {
    let text = quietly(cargo().args(["metadata", "--format-version", "1"]).args(more))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns a command for a tool that [`install`] has installed.
pub fn tool(name: &str) -> Command {
    command(folder(name).join("bin").join(name))
}

fn folder(name: &str) -> PathBuf {
    root().join("target/tools").join(name)
}

/// Installs a tool with cargo into `target/tools`, in this version.
pub fn install(name: &str, version: &str) -> Outcome {
    // Some accept `--version` only after their subcommand.
    let subcommand = name.trim_start_matches("cargo-");
    let known =
        quietly(tool(name).arg("--version")).or_else(|_| quietly(tool(name).args([subcommand, "--version"])));
    if known.is_ok_and(|known| known.contains(version)) {
        return Ok(());
    }
    may_install(
        &format!("{name} {version}"),
        &format!("cargo install {name} --locked --version {version} --root {}", folder(name).display()),
    )?;
    println!("installing {name} {version}");
    let mut install = cargo();
    install.args(["install", name, "--quiet", "--locked", "--version", version, "--root"]).arg(folder(name));
    quietly(&mut install).map(drop).map_err(|problem| {
        let line = problem.lines().find(|line| line.contains("error")).unwrap_or(&problem);
        format!("{name} {version} cannot be installed: {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.9") < numbers("1.88"));
        assert_eq!(numbers("1.88"), numbers("1.88.0"));
        assert!(numbers("1.88.1") > numbers("1.88"));
        assert_eq!(numbers(""), [0; 3]);
    }

    #[test]
    fn sbom_lists_the_library_and_its_dependencies() {
        let list = serde_json::json!({
            "bomFormat": "CycloneDX",
            "metadata": { "component": { "name": "framewire", "version": "1.0.0" } },
            "components": [{ "name": "ring", "version": "0.17.14" }],
        });
        let names: Vec<String> = listed(&list).unwrap().into_iter().collect();
        assert_eq!(names, ["framewire v1.0.0", "ring v0.17.14"]);
        assert_eq!(name_and_version("ring v0.17.14 (*)").as_deref(), Some("ring v0.17.14"));
        assert!(listed(&serde_json::json!({ "components": [] })).is_err());
    }
}
