//! Tests the Godot extension and the class of the Web export in Godot, counts the cost of the extension, and builds the addon.

mod engine;
pub mod web;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench;
use crate::dist::licences;
use crate::files;
use crate::run::{Echo, Outcome, cargo, root, run, scratch, shared_library};
use crate::schedule::{Problem, Tested};
pub use engine::Godot;

const ADDON: &str = "addons/framewire";
const EXTENSION: &str = "res://addons/framewire/framewire.gdextension";
/// The list of classes in scripts, which Godot writes when it imports a project.
const CLASSES: &str = "list=[{
\"base\": &\"RefCounted\",
\"class\": &\"Framewire\",
\"icon\": \"\",
\"is_abstract\": false,
\"is_tool\": false,
\"language\": &\"GDScript\",
\"path\": \"res://addons/framewire/framewire.gd\"
}]
";

/// Runs the tests as a step of `cargo xtask test`.
pub fn step(echo: &Echo) -> Tested {
    let godot = Godot::find_or_install().map_err(Problem::Missing)?;
    test(&godot, echo)?;
    Ok(count(&godot)?)
}

/// Checks the limits of allocations and system calls per message, which a debug build does not change.
fn count(godot: &Godot) -> Outcome {
    if let Err(problem) = bench::prepare_counts() {
        println!("allocations and system calls are not counted: {problem}");
        return Ok(());
    }
    bench::godot::count(godot, &lay_out_bench(false)?)
}

/// Builds the extension and runs its tests in Godot, and the same tests without the extension, as in the Web export.
pub fn test(godot: &Godot, echo: &Echo) -> Outcome {
    let library = build(false)?;
    println!("Godot {}", godot.version()?);
    let project = scratch("godot")?.join("tests");
    lay_out("tests", &project, Some(&library))?;
    let without_extension = scratch("godot")?.join("tests-without-extension");
    lay_out("tests", &without_extension, None)?;

    let mut failures = Vec::new();
    let runs = [
        (&project, "run.tscn"),
        (&without_extension, "run.tscn"),
        (&project, "quit_while_open.gd"),
        (&project, "reload.gd"),
    ];
    for (project, file) in runs {
        let mut command = godot.command(project);
        if file.ends_with(".gd") {
            command.args(["--script", &format!("res://{file}")]);
        }
        command.env("FRAMEWIRE_WS", &echo.ws).env("FRAMEWIRE_WSS", &echo.wss).env("FRAMEWIRE_CA", &echo.ca);
        if let Err(problem) = finish(command).and_then(|run| check_run(&run)) {
            failures.push(format!("{file} in {}: {problem}", files::name(project)));
        }
    }
    let mut editor = godot.command(&project);
    editor.arg("--editor").env("FRAMEWIRE_WS", &echo.ws);
    if let Err(problem) = finish(editor).and_then(|run| check_run(&run)) {
        failures.push(format!("reload in the editor: {problem}"));
    }
    if let Err(problem) = check_docs(godot, &project) {
        failures.push(format!("class documentation: {problem}"));
    }
    if let Err(problem) = check_script_docs(godot, &without_extension) {
        failures.push(format!("documentation of the scripts: {problem}"));
    }
    for library in [Some(library.as_path()), None] {
        if let Err(problem) = check_demo(godot, library, echo) {
            let which = if library.is_some() { "the demo" } else { "the demo without the extension" };
            failures.push(format!("{which}: {problem}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// `cargo xtask package godot`: builds the demo project with the addon and the library for this machine in
/// `target/godot/package`.
pub fn package() -> Outcome {
    let library = build(true)?;
    let package = scratch("godot")?.join("package");
    lay_out("demo", &package, Some(&library))?;
    // The editor creates that folder in a user's project.
    files::remove_folder(package.join(".godot"))?;
    println!("{}: copy addons/framewire into your project, or open the folder as a demo", package.display());
    Ok(())
}

/// Creates the project of the benchmarks.
pub fn lay_out_bench(release: bool) -> Outcome<PathBuf> {
    let library = build(release)?;
    let project = scratch("godot")?.join("bench");
    lay_out_from(&root().join("benches/godot"), &project, Some(&library))?;
    Ok(project)
}

/// Creates a project with the addon and nothing else, for scripts of users.
pub fn lay_out_empty(project: &Path, settings: &str) -> Outcome {
    let library = build(false)?;
    let source = scratch("godot")?.join("empty");
    files::create_folder(&source)?;
    files::write(source.join("project.godot"), settings)?;
    lay_out_from(&source, project, Some(&library))
}

/// Builds the addon with these libraries, by their paths under `bin`, and the licences of their dependencies on
/// these targets.
pub fn lay_out_addon(addon: &Path, libraries: &BTreeMap<String, PathBuf>, targets: &[&str]) -> Outcome {
    let binding = root().join("bindings/godot");
    files::remove_folder(addon)?;
    copy_tree(&binding.join(ADDON), addon)?;
    let places: Vec<&str> = libraries.keys().map(String::as_str).collect();
    keep_entries(&addon.join("framewire.gdextension"), &places)?;
    for (place, library) in libraries {
        let to = addon.join("bin").join(place);
        // An xcframework is a folder.
        if library.is_dir() { copy_tree(library, &to)? } else { files::copy(library, &to)? }
    }
    let intro = "# Third-party licences\n\nThe libraries in `bin` contain these packages:\n\n";
    let licences = licences::of(&binding, targets)?.text();
    files::write(addon.join("THIRD_PARTY_LICENSES.md"), format!("{intro}{licences}"))
}

/// Removes the libraries that an addon does not contain from the list that Godot reads: Godot then says which platform
/// has no library, and does not fail to find a file. `places` are paths in `bin`.
fn keep_entries(extension: &Path, places: &[&str]) -> Outcome {
    let listed = files::text(extension)?;
    if let Some(unknown) = places.iter().find(|place| !listed.contains(&format!("\"bin/{place}\""))) {
        return Err(format!("{} does not list bin/{unknown}", extension.display()));
    }
    files::write(extension, entries_of(&listed, places))
}

fn entries_of(listed: &str, places: &[&str]) -> String {
    let is_kept = |line: &&str| match line.split_once("= \"bin/") {
        Some((_, place)) => places.contains(&place.trim_end_matches('"')),
        None => true,
    };
    listed.lines().filter(is_kept).fold(String::new(), |text, line| text + line + "\n")
}

fn build(release: bool) -> Outcome<PathBuf> {
    let target = scratch("godot")?.join("build");
    let mut build = cargo();
    build.current_dir(root().join("bindings/godot")).args(["build", "--quiet", "--target-dir"]).arg(&target);
    if release {
        build.arg("--release");
    }
    run(&mut build)?;
    Ok(target.join(if release { "release" } else { "debug" }).join(library_name()))
}

fn library_name() -> String {
    shared_library("framewire_godot")
}

/// Returns the folder of this machine's library in the `.gdextension` file.
fn library_folder() -> String {
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    match std::env::consts::OS {
        "macos" => "macos".into(),
        os => format!("{os}.{arch}"),
    }
}

/// Copies a project from `bindings/godot/<from>`, and adds the addon. Without a library it has no extension, which is
/// what the Web export sees.
fn lay_out(from: &str, project: &Path, library: Option<&Path>) -> Outcome {
    lay_out_from(&root().join("bindings/godot").join(from), project, library)
}

fn lay_out_from(from: &Path, project: &Path, library: Option<&Path>) -> Outcome {
    files::remove_folder(project)?;
    copy_tree(from, project)?;
    copy_tree(&root().join("bindings/godot").join(ADDON), &project.join(ADDON))?;
    let godot = project.join(".godot");
    files::create_folder(&godot)?;
    // Godot writes these lists when it imports a project, and crashes while it exits from the first
    // import with an extension (godotengine/godot#111048). With the lists there, no import is needed.
    files::write(godot.join("global_script_class_cache.cfg"), CLASSES)?;
    let Some(library) = library else {
        return files::remove(project.join(EXTENSION.trim_start_matches("res://")));
    };
    let place = format!("{}/{}", library_folder(), library_name());
    keep_entries(&project.join(ADDON).join("framewire.gdextension"), &[&place])?;
    files::copy(library, project.join(ADDON).join("bin").join(place))?;
    files::write(godot.join("extension_list.cfg"), EXTENSION)
}

struct Run {
    status: Option<i32>,
    text: String,
}

/// Runs the engine to its end; `timeout` kills it if it takes too long.
fn finish(mut command: Command) -> Outcome<Run> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Run { status: output.status.code(), text: text(&output.stdout) + &text(&output.stderr) })
}

/// Checks that the tests passed and Godot exited without panics and leaks. Most errors that Godot prints are
/// provoked by tests, so they are shown only on failure.
fn check_run(run: &Run) -> Outcome {
    let verdict = run.text.lines().rev().find(|line| line.ends_with(" failed")).unwrap_or("no result");
    println!("{verdict}");
    let passed = verdict.ends_with(" 0 failed") && !format!(" {verdict}").ends_with(" 0 passed, 0 failed");
    let problem = ["panic", "uncaught exception", "SCRIPT ERROR", "leaked", "still in use", "doc file"]
        .iter()
        .find_map(|word| run.text.lines().find(|line| line.contains(word)));
    match problem {
        None if passed && run.status == Some(0) => Ok(()),
        Some(line) if passed => Err(format!("found: {line}\n{}", run.text)),
        _ => Err(format!("{verdict}, exit status {:?}\n{}", run.status, run.text)),
    }
}

/// Checks that the demo connects, sends and receives. Without the extension, the editor imports it first, as in a project
/// of a user.
fn check_demo(godot: &Godot, library: Option<&Path>, echo: &Echo) -> Outcome {
    let name = if library.is_some() { "demo" } else { "demo-without-extension" };
    let project = scratch("godot")?.join(name);
    lay_out("demo", &project, library)?;
    files::copy(root().join("bindings/godot/tests/run_demo.gd"), project.join("run_demo.gd"))?;
    if library.is_none() {
        files::remove_folder(project.join(".godot"))?;
        let mut import = godot.command(&project);
        import.arg("--import");
        check_quiet(&finish(import)?)?;
    }
    let mut command = godot.command(&project);
    command.args(["--script", "res://run_demo.gd"]).env("FRAMEWIRE_WS", &echo.ws);
    let run = finish(command)?;
    check_quiet(&run)?;
    check_run(&run)
}

fn check_quiet(run: &Run) -> Outcome {
    if run.status == Some(0) && !run.text.contains("ERROR") {
        return Ok(());
    }
    Err(format!("exit status {:?}\n{}", run.status, run.text))
}

/// Checks that every member that scripts can use has documentation. Godot lists the members; it shows the
/// documentation only in the editor, so a test of the binding writes it.
fn check_docs(godot: &Godot, project: &Path) -> Outcome {
    let folder = project.join("doc");
    files::create_folder(&folder)?;
    let mut command = godot.command(project);
    command.arg("--doctool").arg(&folder).arg("--gdextension-docs");
    let run = finish(command)?;
    let mut tests = cargo();
    tests.current_dir(root().join("bindings/godot")).args(["test", "--quiet", "--target-dir"]);
    crate::run::run(tests.arg(scratch("godot")?.join("build")).env("FRAMEWIRE_CLASS_DOCS", &folder))?;
    let mut described = 0;
    for class in ["FramewireSocket", "FramewireNode", "FramewireMultiplayerPeer"] {
        let file = folder.join(format!("doc_classes/{class}.xml"));
        let texts = files::text(folder.join(format!("{class}.xml")))?;
        let listed = fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}\n{}", file.display(), run.text))?;
        for line in listed.lines().map(str::trim) {
            let is_member =
                ["<method ", "<member ", "<signal ", "<constant "].iter().any(|tag| line.starts_with(tag));
            let Some(end) = line.match_indices('"').nth(1).filter(|_| is_member) else { continue };
            let tag = &line[..=end.0];
            if !texts.contains(tag) {
                return Err(format!("{class}: {tag}> is not documented"));
            }
            described += 1;
        }
    }
    println!("{described} members are documented");
    if described > 60 { Ok(()) } else { Err("too few members were found".into()) }
}

/// Checks that every public member of the scripts has documentation, but for accessors of properties.
fn check_script_docs(godot: &Godot, project: &Path) -> Outcome {
    let folder = project.join("script_doc");
    files::create_folder(&folder)?;
    let mut command = godot.command(project);
    command.arg("--doctool").arg(&folder).args(["--gdscript-docs", "res://addons/framewire"]);
    let run = finish(command)?;
    let mut described = 0;
    for class in ["Framewire", "addons--framewire--web--settings.gd", "addons--framewire--web--socket.gd"] {
        let file = folder.join(format!("{class}.xml"));
        let listed = fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}\n{}", file.display(), run.text))?;
        for member in listed.split("\n\t\t<").skip(1) {
            let kind = member.split(' ').next().unwrap_or_default();
            let name = member.split('"').nth(1).unwrap_or_default();
            let is_method_of_settings = kind == "method" && class.ends_with("settings.gd");
            let is_accessor = is_method_of_settings && (name.starts_with("get_") || name.starts_with("set_"));
            let is_of_enum = member.contains("enum=\"_");
            if !["method", "member", "signal", "constant"].contains(&kind)
                || name.starts_with('_')
                || is_of_enum
            {
                continue;
            }
            let text = member.split("<description>").last().unwrap_or(member);
            let has_text =
                text.lines().skip(1).any(|line| !line.trim().is_empty() && !line.trim().starts_with('<'));
            if !has_text && !is_accessor {
                return Err(format!("{class}: {kind} {name} is not documented"));
            }
            described += 1;
        }
    }
    println!("{described} members of scripts are documented");
    if described > 80 { Ok(()) } else { Err("too few members were found".into()) }
}

fn copy_tree(from: &Path, to: &Path) -> Outcome {
    for file in files::list_all(from, |_| false)? {
        files::copy(&file, to.join(file.strip_prefix(from).unwrap_or(&file)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> String {
        files::text(root().join("bindings/godot").join(ADDON).join(name)).unwrap()
    }

    #[test]
    fn addon_lists_only_libraries_that_it_contains() {
        let listed = source("framewire.gdextension");
        let kept =
            entries_of(&listed, &["android.arm64/libframewire_godot.so", "macos/libframewire_godot.dylib"]);
        let libraries: Vec<&str> = kept.lines().filter(|line| line.contains("bin/")).collect();
        assert_eq!(libraries.len(), 2, "{kept}");
        assert!(libraries.iter().any(|line| line.starts_with("android.arm64 = ")), "{kept}");
        // The rest of the file stays.
        for line in listed.lines().filter(|line| !line.contains("bin/")) {
            assert!(kept.contains(line));
        }
    }

    #[test]
    fn message_about_a_missing_library_names_files_and_targets_that_exist() {
        let (script, listed) = (source("framewire.gd"), source("framewire.gdextension"));
        let mut found = 0;
        for line in script.lines().filter(|line| line.starts_with("\t\"") && line.contains("\": [\"")) {
            let words: Vec<&str> = line.split('"').collect();
            assert!(listed.contains(&format!("\"bin/{}\"", words[3])), "{line}");
            for triple in words[5].split(' ') {
                let target = crate::dist::targets::Target::find(triple).unwrap();
                assert!(words[3].starts_with(&format!("{}/", target.godot)), "{line}");
            }
            found += 1;
        }
        assert_eq!(found, 9);
    }

    #[test]
    fn addon_contains_scripts_of_web_export() {
        let addon = scratch("godot").unwrap().join("addon-test");
        // As in `lay_out_addon`, which also lists the licences of packages that have to be downloaded.
        files::remove_folder(&addon).unwrap();
        copy_tree(&root().join("bindings/godot").join(ADDON), &addon).unwrap();
        for file in [
            "framewire.gd",
            "web/socket.gd",
            "web/settings.gd",
            "web/url.gd",
            "web/message_queue.gd",
            "web/lanes.gd",
        ] {
            assert!(addon.join(file).exists() && addon.join(format!("{file}.uid")).exists(), "{file}");
        }
    }
}
