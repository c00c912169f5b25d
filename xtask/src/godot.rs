//! Godot: the extension's tests in the real engine, and its package.
//!
//! Godot comes from Debian, unpacked under `target/tools` and run by its own loader: nothing is
//! installed, and the machine's own C library does not matter.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Echo, Outcome, cargo, quietly, root, run, scratch};
use crate::test::Verdict;

/// Debian's suite that has Godot 4.
const SUITE: &str = "forky";
/// Packages that a run without a window never opens: drivers, fonts, desktop data. A third of the
/// closure, and more than half of its size.
const UNUSED: &[&str] = &[
    "libllvm", "libz3-4", "mesa-libgallium", "libdrm-amdgpu", "libdrm-intel", "libdrm-common", "libhwloc",
    "libtbbbind", "libtbbmalloc", "x11-common", "fonts-", "debconf", "sysvinit-utils", "pci.ids", "xkb-data",
    "libx11-data", "libsensors", "fontconfig-config", "isa-support", "sse",
];
/// For one run of the engine, of which the longest takes ten seconds.
const RUN_TIMEOUT: Duration = Duration::from_secs(180);
const ADDON: &str = "addons/framewire";
const EXTENSION: &str = "res://addons/framewire/framewire.gdextension";

/// The tests, as a step of `cargo xtask test`.
pub fn step(echo: &Echo) -> Verdict {
    match Godot::find_or_install() {
        Ok(godot) => test(&godot, echo).into(),
        Err(reason) => Verdict::Skipped(reason),
    }
}

/// Builds the extension and runs its tests in Godot.
pub fn test(godot: &Godot, echo: &Echo) -> Outcome {
    let library = build(false)?;
    println!("Godot {}", godot.version()?);
    let project = scratch("godot")?.join("tests");
    lay_out("tests", &project, &library)?;

    let mut failures = Vec::new();
    for script in ["run.gd", "quit_while_open.gd", "reload.gd"] {
        let mut command = godot.command(&project);
        command.args(["--script", &format!("res://{script}")]);
        command.env("FRAMEWIRE_WS", &echo.ws).env("FRAMEWIRE_WSS", &echo.wss).env("FRAMEWIRE_CA", &echo.ca);
        if let Err(problem) = finish(command).and_then(|run| judge(&run)) {
            failures.push(format!("{script}: {problem}"));
        }
    }
    if let Err(problem) = check_docs(godot, &project, &library) {
        failures.push(format!("class documentation: {problem}"));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// `cargo xtask package godot`: the demo project with the addon in it, and in that the library of
/// this machine, in `target/godot/package`.
pub fn package() -> Outcome {
    let library = build(true)?;
    let package = scratch("godot")?.join("package");
    lay_out("demo", &package, &library)?;
    // That folder is the editor's own business in a user's project.
    remove(&package.join(".godot"))?;
    println!("{}: copy addons/framewire into your project, or open the folder as a demo", package.display());
    Ok(())
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
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    format!("{prefix}framewire_godot{suffix}")
}

/// Where the `.gdextension` file expects this machine's library.
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

/// A project from `bindings/godot/<from>` with the addon in it.
fn lay_out(from: &str, project: &Path, library: &Path) -> Outcome {
    let binding = root().join("bindings/godot");
    remove(project)?;
    copy_tree(&binding.join(from), project)?;
    copy_tree(&binding.join(ADDON), &project.join(ADDON))?;
    let bin = project.join(ADDON).join("bin").join(library_folder());
    create(&bin)?;
    copy(library, &bin.join(library_name()))?;
    // Godot writes this list when it imports a project, and crashes while it exits from the first
    // import with an extension (godotengine/godot#111048). With the list there, no import is needed.
    create(&project.join(".godot"))?;
    write(&project.join(".godot/extension_list.cfg"), EXTENSION)
}

// ------------------------------------------------------------------------------------ the engine

/// The engine, unpacked.
pub struct Godot {
    root: PathBuf,
    home: PathBuf,
}

impl Godot {
    fn find_or_install() -> Outcome<Self> {
        let folder = scratch("tools")?.join("godot");
        if !folder.join(".complete").exists() {
            println!("Godot is unpacked into {} (about 280 MB)", folder.display());
            install(&folder).map_err(|problem| format!("Godot could not be installed: {problem}"))?;
        }
        let godot = Self { root: folder.join("root"), home: folder.join("home") };
        create(&godot.home)?;
        Ok(godot)
    }

    /// Run by the loader it came with, with a home of its own.
    fn command(&self, project: &Path) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let path = format!("{0}:{0}/pulseaudio", libraries.display());
        let mut command = Command::new(self.root.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(path).arg(self.root.join("usr/bin/godot"));
        command.args(["--headless", "--path"]).arg(project).env("HOME", &self.home);
        for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(name);
        }
        command
    }

    fn version(&self) -> Outcome<String> {
        let mut command = self.command(Path::new("."));
        command.arg("--version");
        Ok(finish(command)?.text.trim().to_owned())
    }
}

/// Unpacks Debian's Godot and the libraries it needs, from the archive that this machine's own
/// apt uses.
fn install(folder: &Path) -> Outcome {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err("this needs Linux on x86-64".into());
    }
    remove(folder)?;
    let apt = folder.join("apt");
    for part in ["etc/preferences.d", "sources.d", "state/lists/partial", "cache/archives/partial"] {
        create(&apt.join(part))?;
    }
    create(&folder.join("root"))?;
    write(&apt.join("status"), "")?;
    let archive = quietly(
        Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]),
    )?;
    let archive = archive
        .lines()
        .map(|line| line.trim_end_matches('/'))
        .find(|line| line.ends_with("/debian"))
        .ok_or("apt knows no Debian archive; `apt-get update` first")?;
    let source = format!(
        "Types: deb\nURIs: {archive}\nSuites: {SUITE}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    );
    write(&apt.join("sources.d/debian.sources"), &source)?;

    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(apt.join("cache/archives")).args(["-q", "-y"]);
        for (option, value) in [
            ("Dir::Etc", "etc"),
            ("Dir::Etc::sourceparts", "sources.d"),
            ("Dir::State", "state"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", "cache"),
        ] {
            command.arg("-o").arg(format!("{option}={}", apt.join(value).display()));
        }
        for option in [
            "Dir::Etc::sourcelist=/dev/null",
            "Debug::NoLocking=1",
            "APT::Sandbox::User=root",
            "APT::Architecture=amd64",
            "APT::Architectures::=amd64",
            "APT::Install-Recommends=false",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            // Archive mirrors lag behind, which is no risk to a test tool.
            "Acquire::Check-Valid-Until=false",
            "Acquire::Retries=3",
        ] {
            command.args(["-o", option]);
        }
        command.args(arguments);
        quietly(&mut command)
    };
    apt_get(&["update"])?;
    // Against an empty status file that is everything, the C library included.
    let uris = apt_get(&["--print-uris", "install", "godot"])?;
    let packages: Vec<&str> = uris
        .lines()
        .filter(|line| line.starts_with('\''))
        .filter_map(|line| line.split(' ').nth(1)?.split('_').next())
        .filter(|package| !UNUSED.iter().any(|unused| package.starts_with(unused)))
        .collect();
    let mut download = vec!["download"];
    download.extend(packages);
    apt_get(&download)?;
    for entry in read_dir(&apt.join("cache/archives"))? {
        if entry.extension().is_some_and(|extension| extension == "deb") {
            unpack(&entry, &folder.join("root"))?;
        }
    }
    remove(&apt)?;
    write(&folder.join(".complete"), SUITE)
}

fn unpack(package: &Path, root: &Path) -> Outcome {
    let mut data = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("dpkg-deb does not start: {error}"))?;
    let tar = data.stdout.take().ok_or("dpkg-deb has no output")?;
    quietly(
        Command::new("tar")
            .args(["-x", "--keep-directory-symlink", "--exclude=./usr/share/doc", "--exclude=./usr/share/locale"])
            .arg("-C")
            .arg(root)
            .stdin(tar),
    )?;
    let status = data.wait().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{} does not unpack", package.display())) }
}

// ----------------------------------------------------------------------------- runs and verdicts

struct Run {
    status: Option<i32>,
    text: String,
}

/// Runs to the end, which comes by force when it takes too long.
fn finish(mut command: Command) -> Outcome<Run> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
    let readers = [
        child.stdout.take().map(|pipe| read_all(Box::new(pipe))),
        child.stderr.take().map(|pipe| read_all(Box::new(pipe))),
    ];
    let ends = Instant::now() + RUN_TIMEOUT;
    let mut in_time = true;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status.code();
        }
        if in_time && Instant::now() > ends {
            in_time = false;
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut text = String::new();
    for reader in readers.into_iter().flatten() {
        text.push_str(&reader.join().unwrap_or_default());
    }
    if in_time { Ok(Run { status, text }) } else { Err(format!("it took longer than {RUN_TIMEOUT:?}\n{text}")) }
}

fn read_all(mut pipe: Box<dyn Read + Send>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A run counts when it says so and exits cleanly, and nothing panicked or leaked on the way.
fn judge(run: &Run) -> Outcome {
    print!("{}", run.text);
    let verdict = run.text.lines().rev().find(|line| line.ends_with(" failed"));
    if run.status != Some(0) {
        return Err(format!("exit status {:?}", run.status));
    }
    match verdict {
        Some(line) if line.ends_with(" 0 failed") && !line.starts_with("0 ") => {}
        _ => return Err("no verdict, or no test passed".into()),
    }
    for trouble in ["panic", "SCRIPT ERROR", "leaked", "still in use", "ObjectDB"] {
        if let Some(line) = run.text.lines().find(|line| line.contains(trouble)) {
            return Err(format!("it said: {line}"));
        }
    }
    Ok(())
}

/// Everything that scripts can use has its text in the library, for the editor's help. What there
/// is, Godot lists; the texts it shows only in the editor.
fn check_docs(godot: &Godot, project: &Path, library: &Path) -> Outcome {
    let folder = project.join("doc");
    create(&folder)?;
    let mut command = godot.command(project);
    command.arg("--doctool").arg(&folder).arg("--gdextension-docs");
    let run = finish(command)?;
    let texts = fs::read(library).map_err(|error| format!("{}: {error}", library.display()))?;
    let texts = String::from_utf8_lossy(&texts);
    let mut described = 0;
    for class in ["FramewireSocket", "FramewireNode"] {
        let file = folder.join(format!("doc_classes/{class}.xml"));
        let listed = fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}\n{}", file.display(), run.text))?;
        for line in listed.lines().map(str::trim) {
            let is_member = ["<method ", "<member ", "<signal ", "<constant "].iter().any(|tag| line.starts_with(tag));
            let Some(end) = line.match_indices('"').nth(1).filter(|_| is_member) else { continue };
            let tag = &line[..=end.0];
            // gdext writes methods and signals over several lines.
            if !texts.contains(tag) {
                return Err(format!("{class}: {tag}> has none"));
            }
            described += 1;
        }
    }
    println!("{described} members are documented");
    if described > 60 { Ok(()) } else { Err("that is too few".into()) }
}

// ----------------------------------------------------------------------------------------- files

fn read_dir(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn copy_tree(from: &Path, to: &Path) -> Outcome {
    create(to)?;
    for entry in read_dir(from)? {
        let Some(name) = entry.file_name() else { continue };
        if entry.is_dir() { copy_tree(&entry, &to.join(name))? } else { copy(&entry, &to.join(name))? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Outcome {
    fs::copy(from, to).map(drop).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn create(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn write(file: &Path, text: &str) -> Outcome {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
