//! Godot: the extension's tests in the real engine, and its package.
//!
//! Godot comes from Debian, unpacked under `target/tools` and run by its own loader: nothing is
//! installed, and the machine's own C library does not matter.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// Builds the extension and runs its tests in Godot. `echo` is the built echo server.
pub fn test(root: &Path, echo: &Path) -> Result<(), String> {
    let library = build(root, false)?;
    let godot = Godot::find_or_install(&root.join("target/tools/godot"))?;
    println!("Godot {}", godot.version()?);
    let project = root.join("target/godot/tests");
    lay_out(root, "tests", &project, &library)?;
    let ca = project.join("ca.pem");
    let server = Echo::start(echo, &ca)?;

    let mut failures = Vec::new();
    for script in ["run.gd", "quit_while_open.gd", "reload.gd"] {
        let mut command = godot.command(&project);
        command.args(["--script", &format!("res://{script}")]);
        command.env("FRAMEWIRE_WS", &server.ws).env("FRAMEWIRE_WSS", &server.wss).env("FRAMEWIRE_CA", &ca);
        match run(command).and_then(|output| judge(&output)) {
            Ok(()) => {}
            Err(error) => failures.push(format!("{script}: {error}")),
        }
    }
    if let Err(error) = check_docs(&godot, &project) {
        failures.push(format!("class documentation: {error}"));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Lays out the addon with the library of this machine, and the demo project beside it, in
/// `target/godot/package`. Returns where.
pub fn package(root: &Path) -> Result<PathBuf, String> {
    let library = build(root, true)?;
    let package = root.join("target/godot/package");
    lay_out(root, "demo", &package, &library)?;
    // The list is the editor's own business in a user's project.
    remove(&package.join(".godot"))?;
    Ok(package)
}

fn build(root: &Path, release: bool) -> Result<PathBuf, String> {
    let crate_dir = root.join("bindings/godot");
    let target = root.join("target/godot/build");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&crate_dir).arg("build").arg("--target-dir").arg(&target);
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if !status.success() {
        return Err("the extension does not build".into());
    }
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
fn lay_out(root: &Path, from: &str, project: &Path, library: &Path) -> Result<(), String> {
    let binding = root.join("bindings/godot");
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

struct Godot {
    root: PathBuf,
    home: PathBuf,
}

impl Godot {
    fn find_or_install(folder: &Path) -> Result<Self, String> {
        let godot = Self { root: folder.join("root"), home: folder.join("home") };
        if !folder.join(".complete").exists() {
            println!("Godot is unpacked into {} (about 280 MB)", folder.display());
            install(folder).map_err(|error| {
                format!("Godot could not be installed, so its tests were not run: {error}")
            })?;
        }
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

    fn version(&self) -> Result<String, String> {
        let mut command = self.command(Path::new("."));
        command.arg("--version");
        Ok(run(command)?.text.trim().to_owned())
    }
}

/// Unpacks Debian's Godot and the libraries it needs, from the archive that this machine's own
/// apt uses.
fn install(folder: &Path) -> Result<(), String> {
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
    let archive = output(
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
        output(&mut command)
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

fn unpack(package: &Path, root: &Path) -> Result<(), String> {
    let mut data = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("dpkg-deb does not start: {error}"))?;
    let tar = data.stdout.take().ok_or("dpkg-deb has no output")?;
    output(
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

/// The whole output of a run, which is ended when it takes too long.
fn run(mut command: Command) -> Result<Run, String> {
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
fn judge(run: &Run) -> Result<(), String> {
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

/// Every method, property, constant and signal has a text in the editor's help.
fn check_docs(godot: &Godot, project: &Path) -> Result<(), String> {
    let folder = project.join("doc");
    create(&folder)?;
    let mut command = godot.command(project);
    command.arg("--doctool").arg(&folder).arg("--gdextension-docs");
    let output = run(command)?;
    let mut described = 0;
    for entry in read_dir(&folder.join("doc_classes")).or_else(|_| read_dir(&folder))? {
        let text = fs::read_to_string(&entry).map_err(|error| format!("{}: {error}", entry.display()))?;
        described += text.matches("<description>").count();
    }
    if described == 0 {
        return Err(format!("none was written\n{}", output.text));
    }
    println!("{described} descriptions in the class documentation");
    Ok(())
}

struct Echo {
    child: Child,
    ws: String,
    wss: String,
}

impl Echo {
    fn start(program: &Path, ca: &Path) -> Result<Self, String> {
        let mut child = Command::new(program)
            .arg("--ca-out")
            .arg(ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("the echo server has no output")?).lines();
        let mut line = || lines.next()?.ok();
        let (Some(ws), Some(wss)) = (line(), line()) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err("the echo server does not say where it listens".into());
        };
        Ok(Self { child, ws, wss })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ----------------------------------------------------------------------------------------- files

fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program} does not start: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn read_dir(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    create(to)?;
    for entry in read_dir(from)? {
        let Some(name) = entry.file_name() else { continue };
        if entry.is_dir() { copy_tree(&entry, &to.join(name))? } else { copy(&entry, &to.join(name))? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn create(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}
