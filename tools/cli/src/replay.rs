//! `framewire replay`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use framewire_captures::{Notice, Played, Replay, Session, read_file};
use serde_json::json;

use crate::interrupt;
use crate::output::{self, Failure, QUIET, STRONG, WARNING, line, status};
use crate::proxy::listen_address;
use crate::report::printable;

/// How often Ctrl-C is looked for.
const INTERVAL: Duration = Duration::from_millis(100);

/// Plays the server's side of a captured session
///
/// A server that sends what the captured server sent, at the captured times, once for each captured connection. A frame
/// that followed a message of the client waits for that message. Ends when all connections were played.
#[derive(Args)]
pub struct Options {
    /// Capture to play: a pcapng file of Framewire, Wireshark or tcpdump.
    file: PathBuf,
    /// Address to listen on: PORT (loopback only) or ADDRESS:PORT; port 0 selects a free one.
    #[arg(short, long, value_name = "ADDRESS", default_value = "0", value_parser = listen_address)]
    listen: SocketAddr,
    /// Speed: 2 plays twice as fast, 0 without delays.
    #[arg(short, long, value_name = "X", default_value_t = 1.0, value_parser = speed, allow_negative_numbers = true)]
    speed: f64,
    /// Sends each frame at its captured time, whatever the client has sent.
    #[arg(long)]
    by_clock: bool,
    /// Plays only the Nth connection of the capture.
    #[arg(long, value_name = "N")]
    session: Option<usize>,
    /// Ends with exit code 1 if the client did not send what the captured client sent.
    #[arg(long)]
    strict: bool,
    /// Prints a JSON object for each notice, and one for each connection at its end.
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let sessions = sessions(&options.file, options.session)?;
    let first = options.session.unwrap_or(1);
    let json = options.json;
    interrupt::install();
    let how = framewire_captures::Options { speed: options.speed, by_clock: options.by_clock };
    let on_notice = Box::new(move |notice: &Notice| print_notice(notice, first, json));
    let count = sessions.len();
    let replay = Replay::listen(options.listen, sessions, how, on_notice)
        .map_err(|error| Failure::connection(format_args!("{}: {error}", options.listen)))?;
    if json {
        output::json(&json!({
            "event": "listening", "address": replay.address().to_string(), "url": replay.url(), "sessions": count,
        }));
    } else {
        let connections = if count == 1 { "connection" } else { "connections" };
        line(format_args!(
            "listening on {STRONG}{}{STRONG:#} {QUIET}({count} {connections}){QUIET:#}",
            replay.url()
        ));
    }
    while !replay.wait(Some(INTERVAL)) {
        if interrupt::is_requested() {
            return Ok(());
        }
    }
    let played = replay.finish();
    if json {
        played.iter().for_each(|played| print_played(played, first));
    }
    let differences: usize = played.iter().map(|played| played.differences.len()).sum();
    match options.strict && differences > 0 {
        true => Err(Failure::connection(format_args!(
            "the client differs from the captured one: {differences} times"
        ))),
        false => Ok(()),
    }
}

/// Reads the connections of a capture, or the Nth one.
pub fn sessions(file: &Path, number: Option<usize>) -> Result<Vec<Session>, Failure> {
    let mut capture = read_file(file).map_err(Failure::usage)?;
    for warning in &capture.warnings {
        status(format_args!("{WARNING}warning:{WARNING:#} {}", printable(warning)));
    }
    let count = capture.sessions.len();
    if count == 0 {
        let problem = "no WebSocket connection was captured from its start";
        return Err(Failure::usage(format_args!("{}: {problem}", file.display())));
    }
    let Some(number) = number else { return Ok(capture.sessions) };
    if number == 0 || number > count {
        return Err(Failure::usage(format_args!("{}: there are connections 1 to {count}", file.display())));
    }
    Ok(vec![capture.sessions.remove(number - 1)])
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a speed is a number, such as 0.5".to_owned())?;
    match speed.is_finite() && speed >= 0.0 {
        true => Ok(speed),
        false => Err("a speed is 0 or more".to_owned()),
    }
}

fn print_notice(notice: &Notice, first: usize, json: bool) {
    let number = notice.session + first;
    if json {
        let event = if notice.is_difference { "difference" } else { "notice" };
        output::json(&json!({ "event": event, "session": number, "text": notice.text }));
    } else if notice.is_difference {
        line(format_args!(
            "{QUIET}{number}{QUIET:#} {WARNING}differs:{WARNING:#} {}",
            printable(&notice.text)
        ));
    } else {
        line(format_args!("{QUIET}{number}{QUIET:#} {}", printable(&notice.text)));
    }
}

fn print_played(played: &Played, first: usize) {
    output::json(&json!({
        "event": "played", "session": played.session + first, "sent": played.sent, "left_out": played.left_out,
        "received": played.received, "differences": played.differences,
    }));
}
