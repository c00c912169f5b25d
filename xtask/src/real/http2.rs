//! Tests against HTTP/2 servers: with RFC 8441, with and without TLS; and without RFC 8441, where the library
//! falls back to HTTP/1.1.

use std::process::Command;

use super::{Front, Place, Problem, start_nginx, start_node, start_python, verdict};
use crate::c::{self, Build};
use crate::files;
use crate::python;
use crate::run::{Outcome, command, ensure_server, root, run, scratch};
use crate::schedule::Verdict;

const HYPERCORN: &str = "hypercorn==0.18.0";

pub fn haproxy() -> Verdict {
    verdict(with_haproxy())
}

pub fn nghttpx() -> Verdict {
    verdict(with_nghttpx())
}

pub fn apache() -> Verdict {
    verdict(with_apache())
}

pub fn hypercorn() -> Verdict {
    verdict(with_hypercorn())
}

pub fn node() -> Verdict {
    verdict(with_node())
}

pub fn nginx() -> Verdict {
    verdict(without_nginx())
}

pub fn caddy() -> Verdict {
    verdict(without_caddy())
}

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
fn with_websockets(front: &Front, sockets: u32) -> Result<(), Problem> {
    let all = || {
        secure(front, AUTO, 2, sockets)?;
        secure(front, ONE, 1, sockets)?;
        client(front, &format!("ws://127.0.0.1:{}/", front.clear), TWO, 2, sockets)
    };
    all().map_err(Problem::Failed)
}

/// Tests a server that does not.
fn without_websockets(front: &Front) -> Result<(), Problem> {
    let error = |()| secure(front, TWO, ERROR, SOCKETS);
    secure(front, AUTO, 1, SOCKETS).and_then(error).map_err(Problem::Failed)
}

fn with_haproxy() -> Result<(), Problem> {
    let program = ensure_server("haproxy", "haproxy").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let start = || {
        let place = Place::new("haproxy")?;
        let read = |name| files::text(place.folder.join(name));
        let both = format!("{}{}", read("good.pem")?, read("good.key")?);
        files::write(place.folder.join("both.pem"), both)?;
        let config = place.configure("http2/haproxy.cfg", backend.port)?;
        Front::start(place, Command::new(&program).arg("-db").arg("-f").arg(config))
    };
    with_websockets(&start().map_err(Problem::Failed)?, SOCKETS)
}

fn with_nghttpx() -> Result<(), Problem> {
    let program = ensure_server("nghttpx", "nghttp2-proxy").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let start = || {
        let place = Place::new("nghttpx")?;
        let config = place.configure("http2/nghttpx.conf", backend.port)?;
        Front::start(place, Command::new(&program).arg(format!("--conf={}", config.display())))
    };
    with_websockets(&start().map_err(Problem::Failed)?, SOCKETS)
}

fn with_apache() -> Result<(), Problem> {
    let program = ensure_server("apache2", "apache2-bin").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let start = || {
        let place = Place::new("apache")?;
        let config = place.configure("http2/apache.conf", backend.port)?;
        // As one process, so that ending it leaves no children.
        Front::start(place, Command::new(&program).arg("-X").arg("-f").arg(config))
    };
    with_websockets(&start().map_err(Problem::Failed)?, SOCKETS_OF_APACHE)
}

fn with_hypercorn() -> Result<(), Problem> {
    let environment = python::environment("hypercorn-python", &[HYPERCORN]).map_err(Problem::Missing)?;
    let python = environment.join("bin/python");
    let start = || {
        let place = Place::new("hypercorn")?;
        let file = |name: &str| place.folder.join(name);
        let mut command = Command::new(&python);
        // Without worker processes, which would survive.
        command.args(["-m", "hypercorn", "--workers", "0", "--log-level", "error"]);
        command.arg("--certfile").arg(file("good.pem")).arg("--keyfile").arg(file("good.key"));
        command.arg("--bind").arg(format!("127.0.0.1:{}", place.port));
        command.arg("--insecure-bind").arg(format!("127.0.0.1:{}", place.clear));
        command.arg("asgi_echo:app").current_dir(root().join("tests/real/http2"));
        Front::start(place, command.env("PYTHONDONTWRITEBYTECODE", "1"))
    };
    with_websockets(&start().map_err(Problem::Failed)?, SOCKETS)
}

fn with_node() -> Result<(), Problem> {
    // Installs the packages that are needed here too.
    drop(start_node().map_err(Problem::Missing)?);
    let start = || {
        let place = Place::new("node-http2")?;
        let mut command = Command::new("node");
        command.arg(root().join("tests/real/http2/node_echo.js")).arg(&place.folder);
        command.arg(place.port.to_string()).arg(place.clear.to_string());
        command.env("NODE_PATH", scratch("tools/node")?.join("node_modules"));
        Front::start(place, &mut command)
    };
    with_websockets(&start().map_err(Problem::Failed)?, SOCKETS)
}

fn without_nginx() -> Result<(), Problem> {
    let program = ensure_server("nginx", "nginx-light").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    without_websockets(&start_nginx(&program, "http2/nginx.conf", backend.port).map_err(Problem::Failed)?)
}

fn without_caddy() -> Result<(), Problem> {
    let program = ensure_server("caddy", "caddy").map_err(Problem::Missing)?;
    let backend = start_python().map_err(Problem::Missing)?;
    let start = || {
        let place = Place::new("caddy")?;
        let config = place.configure("http2/Caddyfile", backend.port)?;
        let mut command = Command::new(&program);
        command.arg("run").arg("--config").arg(&config).args(["--adapter", "caddyfile"]);
        // It saves state in its home folder.
        for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, &place.folder);
        }
        Front::start(place, command.stderr(std::process::Stdio::null()))
    };
    without_websockets(&start().map_err(Problem::Failed)?)
}
