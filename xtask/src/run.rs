//! Runs other programs; finds folders of the project.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::files;

/// The error is a message for the user.
pub type Outcome<T = ()> = Result<T, String>;

/// Returns the folder of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Creates a folder under `target`, for tools and builds.
pub fn scratch(name: &str) -> Outcome<PathBuf> {
    let folder = root().join("target").join(name);
    files::create_folder(&folder)?;
    Ok(folder)
}

/// Returns the file name of a shared library on this system.
pub fn shared_library(name: &str) -> String {
    format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Creates a command that runs in the project's folder.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

pub fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the library and the servers in one go. Each alone would want other features of the crates that
/// both use, and build those again; the tests need the library with `internals`, which is built once for all.
pub const DEVELOPMENT: &[&str] = &[
    "build",
    "--package",
    "framewire",
    "--package",
    "framewire-servers",
    "--features",
    "framewire/internals",
];

/// Set for steps that need not build, because steps before them have.
pub const BUILT: &str = "FRAMEWIRE_XTASK_BUILT";

/// Runs a build, unless a step before this one did: cargo would check everything again, and wait for other
/// builds.
pub fn build_unless_built(build: &mut Command) -> Outcome {
    if std::env::var_os(BUILT).is_some() { Ok(()) } else { run(build) }
}

/// Compiles the packages of this workspace with `--cfg NAME`, and shares all dependencies with other builds.
/// RUSTFLAGS would build those again.
pub fn with_cfg<'a>(cargo: &'a mut Command, name: &str) -> Outcome<&'a mut Command> {
    let wrapper = scratch("xtask")?.join(format!("rustc-{name}"));
    // Cargo distinguishes wrappers by their path.
    files::write(&wrapper, format!("#!/bin/sh\nexec \"$@\" --cfg {name}\n"))?;
    quietly(Command::new("chmod").arg("+x").arg(&wrapper))?;
    Ok(cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper))
}

/// Longer than any program takes on a slow machine, builds included.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// Builds a test of the library that `cargo test` does not run, and returns its program.
pub fn test_program(name: &str) -> Outcome<PathBuf> {
    if std::env::var_os(BUILT).is_some() {
        let noted = noted(name)?;
        return std::fs::read_to_string(&noted)
            .map(PathBuf::from)
            .map_err(|error| format!("{}: {error}", noted.display()));
    }
    build_test_program(name, None)
}

/// Builds such a test for later steps.
pub fn note_test_program(name: &str) -> Outcome {
    let noted = noted(name)?;
    let _ = std::fs::remove_file(&noted);
    let program = build_test_program(name, None)?;
    files::write(&noted, program.to_string_lossy().as_bytes())
}

fn noted(name: &str) -> Outcome<PathBuf> {
    Ok(scratch("xtask")?.join(format!("program-{name}")))
}

/// Builds such a test, with `--cfg CFG` if given.
pub fn build_test_program(name: &str, cfg: Option<&str>) -> Outcome<PathBuf> {
    let mut build = cargo();
    if let Some(cfg) = cfg {
        // In another folder, because each change of the flags builds everything again.
        build
            .env("RUSTFLAGS", format!("--cfg {cfg}"))
            .env("CARGO_TARGET_DIR", root().join("target").join(cfg));
    }
    test_program_of(&mut build, name)
}

/// Builds such a test with this cargo command.
pub fn test_program_of(cargo: &mut Command, name: &str) -> Outcome<PathBuf> {
    let mut build = cargo
        .args(["test", "--quiet", "--test", name, "--no-run", "--message-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    let output = build.stdout.take().ok_or("cargo has no output")?;
    // One line for each artifact. Programs of the package are built for its tests too.
    let own = format!("\"name\":\"{name}\"");
    let mut program = None;
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line.contains(&own)
            && let Some((_, rest)) = line.split_once("\"executable\":\"")
        {
            program = rest.split('"').next().map(PathBuf::from);
        }
    }
    let status = build.wait().map_err(|error| error.to_string())?;
    match program {
        Some(program) if status.success() => Ok(program),
        _ => Err(format!("the test {name} was not built: {status}")),
    }
}

/// Runs a command that prints to the terminal directly.
pub fn run_in_view(command: &mut Command) -> Outcome {
    let shown = show(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Runs a command and prints its output.
pub fn run(command: &mut Command) -> Outcome {
    run_within(LIMIT, command)
}

/// Runs a command, prints its output, and kills it after the limit.
pub fn run_within(limit: Duration, command: &mut Command) -> Outcome {
    let shown = show(command);
    let failed = |error: std::io::Error| format!("{shown}: {error}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let last = Arc::new(Mutex::new(VecDeque::new()));
    let readers = [
        child.stdout.take().map(|pipe| pass_on(pipe, std::io::stdout(), last.clone())),
        child.stderr.take().map(|pipe| pass_on(pipe, std::io::stderr(), last.clone())),
    ];
    let started = Instant::now();
    let verdict = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => break None,
            Some(status) => break Some(status.to_string()),
            None if started.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                break Some(format!("killed after {} s", limit.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // Programs that it has started may keep the pipes open, so this does not wait for EOF.
    let deadline = Instant::now() + Duration::from_secs(2);
    while readers.iter().flatten().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let Some(verdict) = verdict else { return Ok(()) };
    let last: Vec<String> = lock(&last).iter().cloned().collect();
    Err(format!("{shown}: {verdict}; the last lines of its output:\n{}", last.join("\n")))
}

/// Lines of output that are part of the error message.
const LAST_LINES: usize = 40;

/// Prints output line by line, and keeps the last lines.
fn pass_on(
    pipe: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    last: Arc<Mutex<VecDeque<String>>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let _ = to.write_all(&line).and_then(|()| to.flush());
            let mut last = lock(&last);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a command and returns its output, which is part of the error if it fails.
pub fn quietly(command: &mut Command) -> Outcome<String> {
    let shown = show(command);
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{shown}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Returns whether a program can be started.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The environment variable that forbids to install anything, if it is `0`.
pub const INSTALL: &str = "FRAMEWIRE_XTASK_INSTALL";

/// Fails if nothing may be installed, with the command that installs `what`. Called before every
/// installation.
pub fn may_install(what: &str, line: &str) -> Outcome {
    if std::env::var(INSTALL).is_ok_and(|value| value == "0") {
        return Err(format!("{what} is missing: {line}"));
    }
    Ok(())
}

/// Installs what needs more than one command.
pub const WITH_INSTALL: &str = "cargo xtask test --all --install";

/// Installs Debian packages if `program` is missing.
pub fn ensure(program: &str, packages: &[&str]) -> Outcome {
    if has(program) {
        return Ok(());
    }
    may_install(program, &format!("apt-get install {}", packages.join(" ")))?;
    if !has("apt-get") {
        return Err(format!(
            "{program} is missing and there is no apt-get to install {}",
            packages.join(" ")
        ));
    }
    static UPDATED: std::sync::Once = std::sync::Once::new();
    UPDATED.call_once(|| drop(quietly(Command::new("apt-get").args(["update", "-q"]))));
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600"])
        .args(packages);
    quietly(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    if has(program) {
        Ok(())
    } else {
        Err(format!("{program} is still missing after installing {}", packages.join(" ")))
    }
}

/// Installs a server if it is missing, and returns its program. Debian installs some into `/usr/sbin`, which is not
/// in the PATH of ordinary users.
pub fn ensure_server(program: &str, package: &str) -> Outcome<String> {
    let paths = [program.to_owned(), format!("/usr/sbin/{program}")];
    let find = || paths.iter().find(|path| has(path)).cloned();
    if let Some(found) = find() {
        return Ok(found);
    }
    let installed = ensure(program, &[package]);
    find().ok_or_else(|| installed.err().unwrap_or_default())
}

/// Finds a free port on loopback.
pub fn free_port() -> Outcome<u16> {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| error.to_string())
}

const CAPTURE: &str = "tests/captures/chat.pcapng";

/// The echo server of `tests/servers`; it ends when this value is dropped.
pub struct Echo {
    child: Child,
    pub ws: String,
    pub wss: String,
    /// Supports the extension `x-xor`.
    pub xor: String,
    /// Over TLS.
    pub http2: String,
    /// Plays the captured session [`CAPTURE`].
    pub replay: String,
    pub ca: PathBuf,
}

impl Echo {
    pub fn start() -> Outcome<Self> {
        build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
        // Commands run in parallel, and each server has its own certificate authority.
        let ca = scratch("demo")?.join(format!("ca-{}.pem", std::process::id()));
        let mut child = command(root().join("target/debug/framewire-echo"))
            .arg("--ca-out")
            .arg(&ca)
            .args(["--replay", CAPTURE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("framewire-echo: {error}"))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("framewire-echo has no output")?).lines();
        let mut line = || lines.next().and_then(Result::ok).ok_or("framewire-echo did not start");
        Ok(Self { ws: line()?, wss: line()?, xor: line()?, http2: line()?, replay: line()?, ca, child })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It ends at EOF of its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.ca);
    }
}
