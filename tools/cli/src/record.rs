//! `framewire record`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use framewire::{CaptureOptions, EventKind, State};

use crate::connect::input::Input;
use crate::options::{ConnectionOptions, logged_error};
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
    check_file(&options.file)?;
    let max_file_bytes = options.max_file_size.map_or(0, |bytes| bytes as u64);
    let capture = CaptureOptions { max_file_bytes, include_secrets: options.include_secrets };
    let format = if options.json { Format::Json } else { Format::Plain };
    let mut session = options.connection.session(&options.url)?;
    session.socket.set_capture(&options.file, capture)?;
    session.open()?;
    let input = Input::new(session.socket.clone(), false);
    let (ended, end_of_input) = std::sync::mpsc::channel();
    let mut received = 0;
    let mut closes_at = None;
    let result = loop {
        let now = Instant::now();
        let is_full = options.count.is_some_and(|count| received >= count);
        let is_over = closes_at.is_some_and(|at| at <= now);
        if (is_full || is_over || end_of_input.try_recv().is_ok()) && session.socket.state() == State::Open {
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
                closes_at = options.duration.map(|duration| Instant::now() + duration);
                if options.lines && !input.is_started() {
                    input.read_pipe(ended.clone());
                }
            }
            EventKind::Text(_) | EventKind::Binary(_) => received += 1,
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
    result
}

/// Fails at once if the file cannot be created, which the library would log.
fn check_file(file: &Path) -> Result<(), Failure> {
    let problem = |error| Failure::usage(format_args!("{}: {error}", file.display()));
    let created = std::fs::File::create(file).and_then(|created| created.metadata()).map_err(problem)?;
    // The library creates it so that only the user can read it.
    if created.is_file() {
        std::fs::remove_file(file).map_err(problem)?;
    }
    Ok(())
}
