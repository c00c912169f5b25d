//! Tests the networking of a game against a captured session, without its server.
//!
//! ```text
//! framewire replay tests/captures/chat.pcapng --speed 0 --strict       (prints its URL)
//! cargo run --example session_test -- URL
//! ```
//!
//! The replay server sends what the recorded server sent, compressed and in fragments, with its pings and its end. With
//! `--strict` it fails if the game does something else than the recorded client.
//!
//! The game is a chat: it says something after each message, sends a picture, and leaves. Here only its calls are tested;
//! a real test compares what the player sees.

use std::time::Duration;

use framewire::{Compression, EventKind, Socket, next_event, shutdown, wait};

const LINES: usize = 4;

/// The game under test.
#[derive(Debug, Default)]
struct Game {
    texts: Vec<String>,
    pictures: Vec<Vec<u8>>,
    close_code: u16,
}

impl Game {
    fn play(&mut self, url: &str) -> Result<(), Box<dyn std::error::Error>> {
        let socket = Socket::create(url)?;
        socket.add_protocol("chat.v1")?;
        socket.set_compression(Some(Compression { min_size_to_compress: 0, ..Compression::default() }))?;
        socket.open()?;
        loop {
            wait(Duration::from_millis(16)); // a game renders a frame instead
            while let Some(event) = next_event() {
                match event.kind {
                    EventKind::Text(text) => {
                        self.texts.push(String::from_utf8_lossy(text.as_slice()).into_owned());
                        self.answer(&socket)?;
                    }
                    EventKind::Binary(picture) => {
                        self.pictures.push(picture.as_slice().to_vec());
                        socket.close(1000, "bye")?;
                    }
                    EventKind::Closed { code, .. } => {
                        self.close_code = code;
                        return Ok(());
                    }
                    EventKind::Error(error) => return Err(error.to_string().into()),
                    _ => {}
                }
            }
        }
    }

    fn answer(&self, socket: &Socket) -> Result<(), framewire::CallError> {
        match self.texts.len() {
            count @ ..=LINES => socket
                .send_text(&format!("message {count} of a player who says the same words again and again")),
            _ => socket.send_binary(&[0, 1, 2, 3, 0xFE, 0xFF]),
        }
    }
}

/// The test.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: session_test URL")?;
    let mut game = Game::default();
    game.play(&url)?;
    assert!(game.texts[0].starts_with("welcome"), "{game:?}");
    assert_eq!(game.texts.len(), 1 + LINES);
    assert_eq!(game.pictures, [[3, 2, 1]]);
    assert_eq!(game.close_code, 1000);
    shutdown(Duration::from_secs(2))?;
    println!("ok");
    Ok(())
}
