//! What the library is built from: licences, sources, known faults, the oldest compiler, and a list
//! of it all for whoever ships it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::files;
use crate::run::{Outcome, cargo, command, may_install, quietly, root, run, scratch};
use crate::schedule::Verdict;
use crate::snapshot;

/// Newer ones are taken in on purpose.
const CARGO_DENY: &str = "0.20.2";
const CARGO_CYCLONEDX: &str = "0.5.9";

/// Where `cargo xtask sbom` leaves its list.
const SBOM: &str = "target/sbom/framewire.cdx.json";

/// Licences, sources, duplicates and what is banned, by deny.toml; advisories where their database
/// can be reached.
pub fn deny() -> Verdict {
    if let Err(reason) = install("cargo-deny", CARGO_DENY) {
        return Verdict::Skipped(reason);
    }
    let deny = |arguments: &[&str]| {
        let mut deny = tool("cargo-deny");
        deny.args(arguments);
        deny
    };
    // What ships has nothing twice and nothing that is banned; the tests too are of known origin.
    let checked = run(&mut deny(&["--exclude-dev", "check", "bans"]))
        .and_then(|()| run(&mut deny(&["--workspace", "check", "licenses", "sources"])));
    if let Err(problem) = checked {
        return Verdict::Failed(problem);
    }
    match quietly(&mut deny(&["--workspace", "check", "advisories"])) {
        Ok(_) => Verdict::Passed,
        // It lies in a repository of its own and in no registry, so a build machine may not reach it.
        Err(problem) if problem.contains("failed to fetch advisory database") => Verdict::Skipped(
            "licences, bans and sources are in order; advisories were NOT checked, as the database of \
             RustSec cannot be fetched from here"
                .into(),
        ),
        Err(problem) => Verdict::Failed(problem),
    }
}

/// No dependency wants a newer compiler than Cargo.toml promises.
pub fn compilers_of_dependencies() -> Outcome {
    no_dependency_wants_more(&rust_version()?)
}

/// The oldest compiler that Cargo.toml promises builds the library.
pub fn oldest_compiler() -> Verdict {
    let oldest = match rust_version() {
        Ok(version) => version,
        Err(problem) => return Verdict::Failed(problem),
    };
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
        return Verdict::Skipped(format!(
            "nothing was built with Rust {oldest}, as it is not here: \
             rustup toolchain install {oldest} --profile minimal"
        ));
    }
    let folder = root().join("target/oldest");
    let build = ["check", "--locked", "--package", "framewire", "--lib"];
    run(own(&build).env("CARGO_TARGET_DIR", &folder))
        .and_then(|()| run(own(&build).arg("--no-default-features").env("CARGO_TARGET_DIR", &folder)))
        .into()
}

fn rust_version() -> Outcome<String> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let own = packages.iter().find(|package| package["name"] == "framewire");
    let version = own.and_then(|package| package["rust_version"].as_str());
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml does not state a rust-version".into())
}

fn no_dependency_wants_more(oldest: &str) -> Outcome {
    let metadata = metadata(&["--locked"])?;
    let own: BTreeSet<String> = dependencies()?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut wanting = Vec::new();
    let mut looked_at = 0;
    for package in packages {
        let name = format!("{} v{}", text(&package["name"]), text(&package["version"]));
        if !own.contains(&name) {
            continue;
        }
        looked_at += 1;
        let wants = text(&package["rust_version"]);
        if numbers(wants) > numbers(oldest) {
            wanting.push(format!("{name} wants Rust {wants}"));
        }
    }
    println!("Rust {oldest}: {looked_at} packages looked at");
    if looked_at < own.len() {
        return Err(format!("only {looked_at} of {} packages were found", own.len()));
    }
    if wanting.is_empty() {
        return Ok(());
    }
    Err(format!("Cargo.toml promises Rust {oldest}, but {}", wanting.join(", ")))
}

/// `1.88` and `1.88.0` alike.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// The list of everything in the library, in CycloneDX's format.
pub fn sbom() -> Verdict {
    if let Err(reason) = install("cargo-cyclonedx", CARGO_CYCLONEDX) {
        return Verdict::Skipped(reason);
    }
    write_sbom().into()
}

fn write_sbom() -> Outcome {
    // It writes beside each Cargo.toml, so it is given a copy of the tree.
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
        return Err(format!("the SBOM does not list {}", missing.join(", ")));
    }
    files::write(root().join(SBOM), &text)?;
    println!("{SBOM}: {} packages", listed.len());
    Ok(())
}

/// `name vVERSION` of the library and every component of the list.
fn listed(list: &Value) -> Outcome<BTreeSet<String>> {
    if list["bomFormat"] != "CycloneDX" {
        return Err("the SBOM is not in CycloneDX's format".into());
    }
    let components = list["components"].as_array().ok_or("the SBOM has no components")?;
    let all = components.iter().chain([&list["metadata"]["component"]]);
    Ok(all.map(|one| format!("{} v{}", text(&one["name"]), text(&one["version"]))).collect())
}

/// `name vVERSION` of everything that a program which uses the library contains, on any system.
fn dependencies() -> Outcome<BTreeSet<String>> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", "framewire", "--edges", "normal", "--target", "all"]);
    let lines = quietly(tree.args(["--prefix", "none", "--format", "{p}"]))?;
    let names: BTreeSet<String> = lines.lines().filter_map(name_and_version).collect();
    if names.len() < 2 { Err("cargo tree lists no dependencies".into()) } else { Ok(names) }
}

/// Of `ring v0.17.14 (*)` the first two words.
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

/// A tool of cargo's, in a folder of the project's own.
pub fn tool(name: &str) -> Command {
    command(folder(name).join("bin").join(name))
}

fn folder(name: &str) -> PathBuf {
    root().join("target/tools").join(name)
}

pub fn install(name: &str, version: &str) -> Outcome {
    // Some take it only behind the name of their subcommand.
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
        format!("{name} {version} cannot be installed here: {line}")
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
    fn a_list_names_the_library_and_its_parts() {
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
