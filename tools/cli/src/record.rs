//! `framewire record`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use framewire::{CaptureOptions, EventKind, State};

use crate::connect::input::Input;
use crate::options::{ConnectionOptions, check_file, logged_error};
use crate::output::{Failure, status};
use crate::report::Format;
use crate::session::{Next, end};
use crate::values::{size, timeout};

/// How often the end of the input is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Captures a connection to a pcapng file for Wireshark
///
/// Prints received messages as `listen` does, and sends the lines of a pipe as `connect` does. Ends when the server
/// closes, with --duration, --count or Ctrl-C. The values of Authorization and Cookie fields are replaced in the file;
/// URLs and messages are not.
#[derive(Args)]
pub struct Options {
    /// URL of the server: ws://, wss://, http:// or https://.
    url: String,
    /// The file; one that exists is replaced.
    file: PathBuf,
    /// Closes the connection after this time.
    #[arg(short, long, value_name = "TIME", value_parser = timeout)]
    duration: Option<Duration>,
    /// Closes the connection after this many messages.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Sends each line of the standard input; lines that begin with a slash are the commands of `connect`.
    #[arg(short, long)]
    lines: bool,
    /// Ends the capture when the file has this size.
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_file_size: Option<usize>,
    /// Writes the values of Authorization, Proxy-Authorization, Cookie and Set-Cookie too.
    #[arg(long)]
    include_secrets: bool,
    /// Prints nothing but errors.
    #[arg(short, long)]
    quiet: bool,
    /// Prints a JSON object for each event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let max_file_bytes = options.max_file_size.map_or(0, |bytes| bytes as u64);
    let capture = CaptureOptions { max_file_bytes, include_secrets: options.include_secrets };
    let format = if options.json { Format::Json } else { Format::Plain };
    let mut session = options.connection.session(&options.url)?;
    check_file(&options.file)?;
    session.socket.set_capture(&options.file, capture)?;
    session.open()?;
    let input = Input::new(session.socket.clone(), false);
    let (ended, end_of_input) = std::sync::mpsc::channel();
    let mut received = 0;
    let mut closes_at = None;
    let (mut input_has_ended, mut was_cancelled) = (false, false);
    let result = loop {
        let now = Instant::now();
        let is_full = options.count.is_some_and(|count| received >= count);
        let is_over = closes_at.is_some_and(|at| at <= now);
        input_has_ended |= end_of_input.try_recv().is_ok();
        let state = session.socket.state();
        let closes = match state {
            State::Open => is_full || is_over || input_has_ended,
            // Lines that were sent while reconnecting are still queued.
            State::Connecting => is_full || is_over,
            _ => false,
        };
        if closes {
            was_cancelled = state == State::Connecting;
            // Fails if the connection has ended, which an event reports.
            let _ = session.socket.close(1000, "");
        }
        let Next::Event(event) = session.next(Some(now + TICK)) else { continue };
        let elapsed = match &event {
            EventKind::Open => Some(session.started.elapsed()),
            EventKind::Pong(payload) => input.round_trip(payload.as_slice()),
            _ => None,
        };
        if !options.quiet {
            format.print(&session.socket, &event, elapsed);
        }
        match &event {
            EventKind::Open => {
                if closes_at.is_none() {
                    closes_at = options.duration.map(|duration| Instant::now() + duration);
                }
                if options.lines && !input.is_started() {
                    input.read_pipe(ended.clone());
                }
            }
            EventKind::Text(_) | EventKind::Binary(_) => received += 1,
            EventKind::Closed { .. } if was_cancelled => break Ok(()),
            event => {
                if let Some(ended) = end(event) {
                    break ended;
                }
            }
        }
    };
    // Completes the file.
    session.socket.end_capture()?;
    framewire::shutdown(Duration::from_secs(5)).map_err(Failure::connection)?;
    if let Some(error) = logged_error() {
        return Err(Failure::connection(error));
    }
    if !options.quiet && !options.json {
        let bytes = std::fs::metadata(&options.file).map_or(0, |file| file.len());
        status(format_args!("{bytes} bytes in {}", options.file.display()));
    }
    result.and_then(|()| input.result())
}
