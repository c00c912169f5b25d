//! A chat in the terminal: sends what you type, and prints what everyone says.
//!
//! ```text
//! chat "ws://127.0.0.1:9001/chat?name=ana"              sends the lines of the standard input
//! chat "ws://127.0.0.1:9001/chat?name=bo" hello bye     sends these lines, and leaves
//! ```
//!
//! Callbacks run on a worker thread (`Dispatch::Worker`), because the main thread blocks while it reads a line.

use std::io::BufRead;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;

use framewire::{CallError, Dispatch, Socket, shutdown};

/// What the main thread waits for.
enum Change {
    Opened,
    Closed(u16),
    Failed(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((url, lines)) = arguments.split_first() else {
        eprintln!("usage: chat URL [LINE...]");
        return ExitCode::from(2);
    };
    match chat(url, lines) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether the chat was left properly, after all lines.
fn chat(url: &str, lines: &[String]) -> Result<bool, CallError> {
    let socket = Socket::create(url)?;
    let (changes, changed) = channel();
    let received = Arc::new(AtomicUsize::new(0));

    let opened = changes.clone();
    socket.on_open(Some(Arc::new(move |_| drop(opened.send(Change::Opened)))))?;
    let count = received.clone();
    socket.on_text(Some(Arc::new(move |_, text| {
        println!("{text}");
        count.fetch_add(1, SeqCst);
    })))?;
    let closed = changes.clone();
    socket.on_closed(Some(Arc::new(move |_, code, _| drop(closed.send(Change::Closed(code))))))?;
    socket.on_error(Some(Arc::new(move |_, error| drop(changes.send(Change::Failed(error.to_string()))))))?;
    socket.set_dispatch(Dispatch::Worker)?; // before open
    socket.open()?;

    let mut sent = 0;
    if let Ok(Change::Opened) = changed.recv() {
        let typed = std::io::stdin().lock().lines().map_while(Result::ok);
        let lines: &mut dyn Iterator<Item = String> =
            if lines.is_empty() { &mut { typed } } else { &mut lines.iter().cloned() };
        for line in lines {
            if socket.send_text(&line).is_err() {
                break; // the connection has ended
            }
            sent += 1;
        }
        let _ = socket.close(1000, "left"); // after everything that was sent
    }
    let end = changed.recv();
    shutdown(Duration::from_secs(2))?;
    if let Ok(Change::Failed(error)) = &end {
        eprintln!("{error}");
    }
    // The server sends one's own lines back, too.
    Ok(matches!(end, Ok(Change::Closed(1000))) && received.load(SeqCst) >= sent)
}
