//! Sends "hello" to an echo server and prints the echo: `cargo run --example hello -- ws://127.0.0.1:9001/`.

use std::time::Duration;

use framewire::{EventKind, Socket, next_event, shutdown, wait};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:9001/".into());
    let socket = Socket::create(&url)?;
    socket.open()?; // returns at once
    'game: loop {
        wait(Duration::from_millis(16)); // a game renders a frame instead
        while let Some(event) = next_event() {
            match event.kind {
                EventKind::Open => socket.send_text("hello")?,
                EventKind::Text(text) => {
                    println!("{}", String::from_utf8_lossy(text.as_slice()));
                    socket.close(1000, "done")?;
                }
                EventKind::Closed { .. } => break 'game,
                EventKind::Error(error) => return Err(error.to_string().into()), // what failed, and where
                _ => {}
            }
        }
    }
    shutdown(Duration::from_secs(2))?;
    Ok(())
}
