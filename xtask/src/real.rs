//! Tests against other servers, which are installed into `target/tools`.

pub mod http2;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::c::{self, Build};
use crate::files;
use crate::python;
use crate::run::{
    DEVELOPMENT, Outcome, build_unless_built, cargo, command, ensure, ensure_server, free_port, may_install,
    quietly, root, run, scratch,
};
use crate::schedule::{Problem, Tested};

const WEBSOCKETS: &str = "websockets==17.4";
const WS: &str = "ws@8.23.0";

/// A server that prints its port on its first line and ends at EOF of its standard input.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        let port =
            line.trim().parse().map_err(|_| format!("the server printed {line:?} instead of its port"))?;
        Ok(Self { child, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the C program against a server: text, small and large binary messages, a close with a reason.
fn echo_against(url: &str, ca: Option<&Path>) -> Outcome {
    let library = c::library(Build::Release)?;
    let program = c::compile(&root().join("tests/real/echo_client.c"), &library, Build::Release)?;
    let mut client = command(&program);
    client.arg(url);
    if let Some(ca) = ca {
        client.arg(ca);
    }
    run(&mut client)
}

pub fn python_websockets() -> Tested {
    let server = start_python().map_err(Problem::Missing)?;
    Ok(echo_against(&format!("ws://127.0.0.1:{}/", server.port), None)?)
}

fn start_python() -> Outcome<Server> {
    let python = python::environment("python", &[WEBSOCKETS])?.join("bin/python");
    Server::start(Command::new(python).arg("-u").arg(root().join("tests/real/websockets_echo.py")))
}

pub fn node() -> Tested {
    let server = start_node().map_err(Problem::Missing)?;
    Ok(echo_against(&format!("ws://127.0.0.1:{}/", server.port), None)?)
}

fn start_node() -> Outcome<Server> {
    ensure("node", &["nodejs", "npm"])?;
    let folder = scratch("tools/node")?;
    if !folder.join("node_modules/ws").exists() {
        may_install(WS, &format!("npm install --prefix {} {WS}", folder.display()))?;
        let mut npm = Command::new("npm");
        quietly(npm.args(["install", "--silent", "--prefer-offline", "--prefix"]).arg(&folder).arg(WS))?;
    }
    let script = root().join("tests/real/ws_echo.js");
    Server::start(Command::new("node").arg(script).env("NODE_PATH", folder.join("node_modules")))
}

pub fn nginx() -> Tested {
    let program = ensure_server("nginx", "nginx-light").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let front = start_nginx(&program, "nginx.conf", backend.port)?;
    Ok(echo_against(&format!("wss://localhost:{}/", front.port), Some(&front.ca))?)
}

fn start_nginx(program: &str, template: &str, backend: u16) -> Outcome<Front> {
    let place = Place::new("nginx")?;
    let config = place.configure(template, backend)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(&place.folder).arg("-c").arg(&config);
    Front::start(place, &mut command)
}

/// A server that listens with TLS on `port`, and in some tests without TLS on `clear`.
struct Front {
    child: Child,
    port: u16,
    clear: u16,
    ca: PathBuf,
}

/// The folder and ports of a server.
struct Place {
    folder: PathBuf,
    port: u16,
    clear: u16,
}

impl Place {
    /// Creates a folder with certificates, and finds two free ports.
    fn new(name: &str) -> Outcome<Self> {
        let folder = scratch(&format!("tools/{name}"))?;
        build_unless_built(cargo().args(DEVELOPMENT).arg("--quiet"))?;
        let certificates = root().join("target/debug/framewire-certs");
        quietly(Command::new(certificates).arg(&folder))?;
        Ok(Self { folder, port: free_port()?, clear: free_port()? })
    }

    /// Writes a configuration file from a template.
    fn configure(&self, template: &str, backend: u16) -> Outcome<PathBuf> {
        let template = root().join("tests/real").join(template);
        let text = files::text(&template)?;
        let text = text
            .replace("@FOLDER@", &self.folder.to_string_lossy())
            .replace("@PORT@", &self.port.to_string())
            .replace("@CLEAR@", &self.clear.to_string())
            .replace("@BACKEND@", &backend.to_string());
        let config = self.folder.join(template.file_name().unwrap_or_default());
        files::write(&config, text)?;
        Ok(config)
    }
}

impl Front {
    /// Starts the server and waits until it listens.
    fn start(place: Place, command: &mut Command) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let ca = place.folder.join("ca.pem");
        let front = Self { child, port: place.port, clear: place.clear, ca };
        for _ in 0..400 {
            if std::net::TcpStream::connect(("127.0.0.1", front.port)).is_ok() {
                return Ok(front);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Err(format!("{name} did not start listening within twenty seconds"))
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
