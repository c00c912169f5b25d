//! Reconnects with exponential backoff, and refreshes the access token when the server rejects it:
//! `cargo run --example token_refresh -- ws://127.0.0.1:9001/token`.
//!
//! The library retries failures that may be temporary. A rejected token is none: the retry ends with an error that has
//! the HTTP status 401. The program then gets a new token and opens the socket again.
//!
//! At the message "expire", the test server drops the connection and rejects the token from then on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use framewire::{EventKind, EventType, Reconnect, Socket, next_event, shutdown, wait};

const MAX_REFRESHES: u32 = 5;

#[derive(Default)]
struct Tokens {
    current: String,
    refreshes: u32,
}

impl Tokens {
    /// A game asks its login server here, over HTTPS.
    fn refresh(&mut self) {
        self.refreshes += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.current = format!("rust-{now}-{}", self.refreshes);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or("ws://127.0.0.1:9001/token".into());
    let socket = Socket::create(&url)?;
    socket.set_reconnect(Some(Reconnect { max_delay: Duration::from_secs(5), ..Reconnect::default() }))?;
    socket.enable_event(EventType::Request, true)?;
    let mut tokens = Tokens::default();
    tokens.refresh();
    let mut connections = 0;
    socket.open()?;
    'game: loop {
        wait(Duration::from_millis(16)); // a game renders a frame instead
        while let Some(event) = next_event() {
            match event.kind {
                // Before each connection attempt, also before retries. The attempt goes on when the request is dropped.
                EventKind::Request(request) => {
                    request.set_header("Authorization", &format!("Bearer {}", tokens.current))?;
                }
                EventKind::Open => {
                    println!("open, token {}", tokens.refreshes);
                    connections += 1;
                    socket.send_text(if connections == 1 { "expire" } else { "hello" })?;
                }
                EventKind::Text(text) => {
                    println!("text: {}", String::from_utf8_lossy(text.as_slice()));
                    socket.close(1000, "done")?;
                }
                EventKind::Reconnecting { error, attempt, delay_ms } => {
                    println!("retry {attempt} in {delay_ms} ms: {error}");
                }
                EventKind::Error(error) if error.http_status == 401 && tokens.refreshes < MAX_REFRESHES => {
                    println!("error: {error}");
                    tokens.refresh();
                    socket.open()?;
                }
                EventKind::Error(error) => return Err(error.to_string().into()),
                EventKind::Closed { .. } => break 'game,
                _ => {}
            }
        }
    }
    shutdown(Duration::from_secs(2))?;
    if (connections, tokens.refreshes) != (2, 2) {
        return Err(format!("{connections} connections with {} tokens", tokens.refreshes).into());
    }
    Ok(())
}
