//! Collects the licences of all crates in a library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;
use crate::run::{Outcome, cargo, quietly};

/// Licence texts with their packages: many packages have the same text.
pub struct Licences {
    packages: BTreeSet<String>,
    texts: BTreeMap<String, BTreeSet<String>>,
}

/// Collects the licences of all crates that the package in `folder` links on any of the targets, or on this
/// machine if there are none.
pub fn of(folder: &Path, targets: &[&str]) -> Outcome<Licences> {
    let folders = unpacked(folder)?;
    let mut licences = Licences { packages: BTreeSet::new(), texts: BTreeMap::new() };
    let mut trees: Vec<Command> = Vec::new();
    for target in targets {
        let mut tree = cargo();
        tree.args(["tree", "--target", target]);
        trees.push(tree);
    }
    if targets.is_empty() {
        let mut tree = cargo();
        tree.arg("tree");
        trees.push(tree);
    }
    for mut tree in trees {
        tree.current_dir(folder).args(["--edges", "normal,no-proc-macro", "--prefix", "none"]);
        for line in quietly(tree.args(["--format", "{p}|{l}"]))?.lines() {
            let Some((package, licence)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
            let mut words = package.split_whitespace();
            let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
            let version = version.trim_start_matches('v');
            if name.starts_with("framewire") {
                continue;
            }
            let folder = folders
                .get(&(name.to_owned(), version.to_owned()))
                .ok_or_else(|| format!("cargo metadata does not list {name} {version}"))?;
            licences.add(&format!("{name} {version}"), licence, folder)?;
        }
    }
    Ok(licences)
}

impl Licences {
    fn add(&mut self, package: &str, licence: &str, folder: &Path) -> Outcome {
        if !self.packages.insert(format!("{package}: {licence}")) {
            return Ok(());
        }
        let texts = texts(folder)?;
        if texts.is_empty() && !licence.split([' ', '/']).any(|word| TEXTS_WITHOUT_HOLDER.contains(&word)) {
            return Err(format!("{package} ({licence}) has no licence file in {}", folder.display()));
        }
        for text in texts {
            self.texts.entry(text).or_default().insert(package.to_owned());
        }
        Ok(())
    }

    /// Returns one line for each package, then each text once.
    pub fn text(&self) -> String {
        let mut all = String::new();
        for package in &self.packages {
            all += &format!("- {package}\n");
        }
        all += STANDARD_LIBRARY;
        for (text, packages) in &self.texts {
            let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
            all += &format!("\n## {}\n\n```\n{}\n```\n", packages.join(", "), text.trim_end());
        }
        all
    }
}

/// Licences whose text names no copyright holder, so that the copy of another package is enough.
const TEXTS_WITHOUT_HOLDER: &[&str] = &["Apache-2.0", "CDLA-Permissive-2.0"];

const STANDARD_LIBRARY: &str = "- the Rust standard library, copyright The Rust Project Developers: \
                                MIT OR Apache-2.0\n";

/// Returns the source folder of each package, by name and version.
pub fn unpacked(folder: &Path) -> Outcome<BTreeMap<(String, String), PathBuf>> {
    let metadata = quietly(cargo().current_dir(folder).args(["metadata", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let place = |package: &serde_json::Value| {
        let word = |key: &str| package[key].as_str().map(str::to_owned);
        let folder = Path::new(&word("manifest_path")?).parent()?.to_owned();
        Some(((word("name")?, word("version")?), folder))
    };
    Ok(packages.iter().filter_map(place).collect())
}

fn texts(folder: &Path) -> Outcome<Vec<String>> {
    let is_licence = |path: &PathBuf| {
        let name = files::name(path).to_uppercase();
        path.is_file()
            && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
                .iter()
                .any(|start| name.starts_with(start))
    };
    let texts =
        files::list(folder)?.into_iter().filter(is_licence).filter_map(|path| fs::read_to_string(path).ok());
    Ok(texts.collect())
}
