//! The echo server as a program: `framewire-echo [--ws-port N] [--wss-port N] [--ca-out FILE]`.
//!
//! Prints its URLs (plain, TLS, plain with the extension `x-xor`, HTTP/2 over TLS), one per line, and exits at the end of its
//! standard input, so it never outlives the test that started it.

use std::io::{Read, Write};
use std::process::ExitCode;

use framewire_servers::certs::{Authority, Demands, server_config};
use framewire_servers::echo::LOOPBACK;
use framewire_servers::{Behaviour, EchoServer, Http2Server, xor};

fn main() -> ExitCode {
    let (mut ws_port, mut wss_port, mut ca_out) = (0, 0, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (argument.as_str(), value.parse()) {
            ("--ws-port", Ok(port)) => ws_port = port,
            ("--wss-port", Ok(port)) => wss_port = port,
            ("--ca-out", _) if !value.is_empty() => ca_out = Some(value),
            _ => {
                eprintln!("usage: framewire-echo [--ws-port N] [--wss-port N] [--ca-out FILE]");
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
    let plain = EchoServer::start_at(LOOPBACK, ws_port, None);
    let secure =
        EchoServer::start_at(LOOPBACK, wss_port, Some(server_config(&authority.good(), Demands::default())));
    let xor = xor::start();
    let demands = Demands { alpn: &["h2"], ..Demands::default() };
    let tls = Some(server_config(&authority.good(), demands));
    let http2 = Http2Server::start(Behaviour { tls, ..Behaviour::default() });
    println!("{}\n{}\n{}\n{}", plain.url("/"), secure.url("/"), xor.url(), http2.url("/"));
    let _ = std::io::stdout().flush();
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    ExitCode::SUCCESS
}
