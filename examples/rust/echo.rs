//! Connects to an echo server, sends a message and prints the echo:
//! `cargo run --example echo -- ws://127.0.0.1:9001/`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use framewire::{CallError, Socket, State, poll, shutdown, wait};

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        eprintln!("usage: echo URL");
        return ExitCode::from(2);
    };
    match run(&url) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(url: &str) -> Result<(), CallError> {
    let socket = Socket::create(url)?;
    socket.on_open(Some(Arc::new(|socket| {
        println!("open: {}", socket.url());
        let _ = socket.send_text("hello from Rust");
    })))?;
    socket.on_text(Some(Arc::new(|socket, text| {
        println!("text: {text}");
        let _ = socket.close(1000, "done");
    })))?;
    socket.on_closed(Some(Arc::new(|_, code, reason| println!("closed: {code} {reason}"))))?;
    socket.on_error(Some(Arc::new(|_, error| println!("error: {error}"))))?;
    socket.open()?;
    while socket.state() != State::Closed || framewire::pending() > 0 {
        wait(Duration::from_millis(100)); // a game renders a frame instead
        poll(0, 1000);
    }
    socket.destroy()?;
    shutdown(Duration::from_secs(2))
}
