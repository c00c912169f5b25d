//! Streams a large file with bounded memory: `cargo run --example large_file -- ws://127.0.0.1:9001/ [FILE]`.
//!
//! Sends the file (by default this program) in parts. Stops reading while more than [`SEND_AHEAD`] bytes are queued
//! (backpressure). The server echoes every part; the program compares checksums.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::time::Duration;

use framewire::{EventKind, Socket, next_event, shutdown, wait};

const PART: usize = 64 * 1024;
const SEND_AHEAD: usize = 1024 * 1024;

/// Counts and checks a stream of bytes.
#[derive(Default)]
struct Digest {
    bytes: usize,
    hasher: DefaultHasher,
}

impl Digest {
    fn update(&mut self, data: &[u8]) {
        self.bytes += data.len();
        self.hasher.write(data);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("ws://127.0.0.1:9001/".into());
    let path = arguments.next().map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let mut file = File::open(path)?;
    let mut part = vec![0; PART];
    let (mut sent, mut received) = (Digest::default(), Digest::default());
    let mut is_complete = false;

    let socket = Socket::create(&url)?;
    socket.set_compression(None)?; // files are often compressed already
    socket.open()?;
    'game: loop {
        wait(Duration::from_millis(16)); // a game renders a frame instead
        while let Some(event) = next_event() {
            match event.kind {
                EventKind::Binary(data) => received.update(data.as_slice()),
                EventKind::Closed { .. } => break 'game,
                EventKind::Error(error) => return Err(error.to_string().into()),
                _ => {}
            }
        }
        while socket.is_open() && !is_complete && socket.buffered_amount() < SEND_AHEAD {
            let count = file.read(&mut part)?;
            is_complete = count == 0;
            if count > 0 {
                sent.update(&part[..count]);
                socket.send_binary(&part[..count])?;
            }
        }
        if is_complete && socket.is_open() && received.bytes == sent.bytes {
            socket.close(1000, "done")?;
        }
    }
    shutdown(Duration::from_secs(2))?;
    println!("{} bytes sent, {} received", sent.bytes, received.bytes);
    if received.hasher.finish() != sent.hasher.finish() {
        return Err("the echo differs".into());
    }
    Ok(())
}
