//! Python packages, installed from PyPI into environments under `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{Outcome, ensure, may_install, quietly, scratch};

/// Makes sure that an environment has these packages (`name==version`), and returns its folder.
pub fn environment(name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    ensure("python3", &["python3", "python3-venv"])?;
    let folder = scratch(&format!("tools/{name}"))?;
    let python = folder.join("bin/python");
    let checks = packages.iter().map(|package| {
        let (name, version) = package.split_once("==").unwrap_or((package, ""));
        format!("assert m.version({name:?}) == {version:?}")
    });
    let checks: Vec<String> =
        ["import importlib.metadata as m".to_owned()].into_iter().chain(checks).collect();
    if quietly(Command::new(&python).args(["-c", &checks.join("; ")])).is_ok() {
        return Ok(folder);
    }
    let (shown, list) = (folder.display(), packages.join(" "));
    may_install(&list, &format!("python3 -m venv {shown} && {shown}/bin/pip install {list}"))?;
    println!("installing {list} into {shown}");
    if !python.exists() {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    quietly(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    Ok(folder)
}
