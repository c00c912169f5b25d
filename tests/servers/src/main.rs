//! The echo server as a program: `framewire-echo [--ws-port N] [--wss-port N] [--ca-out FILE] [--replay CAPTURE]`.
//!
//! Prints its URLs (plain, TLS, plain with the extension `x-xor`, HTTP/2 over TLS, and that of a replay server if there is a
//! capture), one per line, and exits at the end of its standard input, so it never outlives the test that started it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use framewire_captures::{Options, Replay, read_file};
use framewire_servers::certs::{Authority, Demands, server_config};
use framewire_servers::echo::LOOPBACK;
use framewire_servers::{Behaviour, EchoServer, Http2Server, xor};

fn main() -> ExitCode {
    let (mut ws_port, mut wss_port, mut ca_out, mut capture) = (0, 0, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (argument.as_str(), value.parse()) {
            ("--ws-port", Ok(port)) => ws_port = port,
            ("--wss-port", Ok(port)) => wss_port = port,
            ("--ca-out", _) if !value.is_empty() => ca_out = Some(value),
            ("--replay", _) if !value.is_empty() => capture = Some(value),
            _ => {
                eprintln!(
                    "usage: framewire-echo [--ws-port N] [--wss-port N] [--ca-out FILE] [--replay CAPTURE]"
                );
                return ExitCode::from(2);
            }
        }
    }
    let authority = Authority::new("framewire test authority");
    if let Some(file) = ca_out
        && let Err(error) = std::fs::write(&file, authority.pem())
    {
        eprintln!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    for (option, port) in [("--ws-port", ws_port), ("--wss-port", wss_port)] {
        if let Err(error) = TcpListener::bind((LOOPBACK, port)) {
            eprintln!("port {port}: {error}; choose another one with {option}");
            return ExitCode::FAILURE;
        }
    }
    let plain = EchoServer::start_at(LOOPBACK, ws_port, None);
    let secure =
        EchoServer::start_at(LOOPBACK, wss_port, Some(server_config(&authority.good(), Demands::default())));
    let xor = xor::start();
    let demands = Demands { alpn: &["h2"], ..Demands::default() };
    let tls = Some(server_config(&authority.good(), demands));
    let http2 = Http2Server::start(Behaviour { tls, ..Behaviour::default() });
    println!("{}\n{}\n{}\n{}", plain.url("/"), secure.url("/"), xor.url(), http2.url("/"));
    let replay = match capture.map(|file| replay(&file)).transpose() {
        Ok(replay) => replay,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(replay) = &replay {
        println!("{}", replay.url());
    }
    let _ = std::io::stdout().flush();
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    ExitCode::SUCCESS
}

/// How often a capture is played.
const PLAYS: usize = 100;

/// Starts a server that plays captured sessions, without their delays.
fn replay(file: &str) -> Result<Replay, String> {
    let capture = read_file(file).map_err(|error| error.to_string())?;
    let options = Options { speed: 0.0, ..Options::default() };
    // Each is played once, and several programs connect one after the other.
    let sessions = std::iter::repeat_n(capture.sessions, PLAYS).flatten().collect();
    Replay::start(sessions, options).map_err(|error| format!("{file}: {error}"))
}
