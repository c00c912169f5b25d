//! Tests against HTTP/2 servers: with RFC 8441, with and without TLS; and without RFC 8441, where the library
//! falls back to HTTP/1.1.

use std::process::Command;

use super::{Front, Place, start_nginx, start_node, start_python};
use crate::c::{self, Build};
use crate::files;
use crate::python;
use crate::run::{Outcome, command, ensure_server, root, run, scratch};
use crate::schedule::{Problem, Tested};

const HYPERCORN: &str = "hypercorn==0.18.0";

/// Numbers of `fw_http`; as a result, 0 is the error event.
const AUTO: u32 = 0;
const ONE: u32 = 1;
const TWO: u32 = 2;
const ERROR: u32 = 0;

/// Sockets opened at the same time.
const SOCKETS: u32 = 24;
/// Apache processes this many streams of a connection at a time.
const SOCKETS_OF_APACHE: u32 = 6;

/// Runs the C program.
fn client(front: &Front, url: &str, asked: u32, expected: u32, sockets: u32) -> Outcome {
    let library = c::library(Build::Release)?;
    let program = c::compile(&root().join("tests/real/http2_client.c"), &library, Build::Release)?;
    let mut client = command(&program);
    client.arg(url);
    if url.starts_with("wss:") {
        client.arg(&front.ca)
    } else {
        client.arg("-")
    };
    run(client.args([asked, expected, sockets].map(|number| number.to_string())))
}

fn secure(front: &Front, asked: u32, expected: u32, sockets: u32) -> Outcome {
    client(front, &format!("wss://localhost:{}/", front.port), asked, expected, sockets)
}

/// Tests a server that supports WebSockets over HTTP/2.
fn with_websockets(front: &Front, sockets: u32) -> Tested {
    secure(front, AUTO, 2, sockets)?;
    secure(front, ONE, 1, sockets)?;
    Ok(client(front, &format!("ws://127.0.0.1:{}/", front.clear), TWO, 2, sockets)?)
}

/// Tests a server that does not.
fn without_websockets(front: &Front) -> Tested {
    secure(front, AUTO, 1, SOCKETS)?;
    Ok(secure(front, TWO, ERROR, SOCKETS)?)
}

pub fn haproxy() -> Tested {
    let program = ensure_server("haproxy", "haproxy").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let place = Place::new("haproxy")?;
    let read = |name| files::text(place.folder.join(name));
    let both = format!("{}{}", read("good.pem")?, read("good.key")?);
    files::write(place.folder.join("both.pem"), both)?;
    let config = place.configure("http2/haproxy.cfg", backend.port)?;
    let front = Front::start(place, Command::new(&program).arg("-db").arg("-f").arg(config))?;
    with_websockets(&front, SOCKETS)
}

pub fn nghttpx() -> Tested {
    let program = ensure_server("nghttpx", "nghttp2-proxy").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let place = Place::new("nghttpx")?;
    let config = place.configure("http2/nghttpx.conf", backend.port)?;
    let front = Front::start(place, Command::new(&program).arg(format!("--conf={}", config.display())))?;
    with_websockets(&front, SOCKETS)
}

pub fn apache() -> Tested {
    let program = ensure_server("apache2", "apache2-bin").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let place = Place::new("apache")?;
    let config = place.configure("http2/apache.conf", backend.port)?;
    // As one process, so that ending it leaves no children.
    let front = Front::start(place, Command::new(&program).arg("-X").arg("-f").arg(config))?;
    with_websockets(&front, SOCKETS_OF_APACHE)
}

pub fn hypercorn() -> Tested {
    let environment = python::environment("hypercorn-python", &[HYPERCORN]).map_err(Problem::Missing)?;
    let python = environment.join("bin/python");
    let place = Place::new("hypercorn")?;
    let file = |name: &str| place.folder.join(name);
    let mut command = Command::new(&python);
    // Without worker processes, which would survive.
    command.args(["-m", "hypercorn", "--workers", "0", "--log-level", "error"]);
    command.arg("--certfile").arg(file("good.pem")).arg("--keyfile").arg(file("good.key"));
    command.arg("--bind").arg(format!("127.0.0.1:{}", place.port));
    command.arg("--insecure-bind").arg(format!("127.0.0.1:{}", place.clear));
    command.arg("asgi_echo:app").current_dir(root().join("tests/real/http2"));
    let front = Front::start(place, command.env("PYTHONDONTWRITEBYTECODE", "1"))?;
    with_websockets(&front, SOCKETS)
}

pub fn node() -> Tested {
    // Installs the packages that are needed here too.
    drop(start_node().map_err(Problem::Missing)?);
    let place = Place::new("node-http2")?;
    let mut command = Command::new("node");
    command.arg(root().join("tests/real/http2/node_echo.js")).arg(&place.folder);
    command.arg(place.port.to_string()).arg(place.clear.to_string());
    command.env("NODE_PATH", scratch("tools/node")?.join("node_modules"));
    let front = Front::start(place, &mut command)?;
    with_websockets(&front, SOCKETS)
}

pub fn nginx() -> Tested {
    let program = ensure_server("nginx", "nginx-light").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    without_websockets(&start_nginx(&program, "http2/nginx.conf", backend.port)?)
}

pub fn caddy() -> Tested {
    let program = ensure_server("caddy", "caddy").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let place = Place::new("caddy")?;
    let config = place.configure("http2/Caddyfile", backend.port)?;
    let mut command = Command::new(&program);
    command.arg("run").arg("--config").arg(&config).args(["--adapter", "caddyfile"]);
    // It saves state in its home folder.
    for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, &place.folder);
    }
    let front = Front::start(place, command.stderr(std::process::Stdio::null()))?;
    without_websockets(&front)
}
