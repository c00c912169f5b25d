//! `framewire connect`.
//!
//! ```text
//! input thread: lines of the terminal or the pipe ──► socket ──► events ──► main thread: output
//! ```

pub mod input;
mod terminal;

use std::io::IsTerminal;
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

use clap::Args;
use framewire::EventKind;

use crate::options::ConnectionOptions;
use crate::output::{Failure, json};
use crate::report::{Format, as_json, for_people};
use crate::session::{Next, end};
use crate::values::duration;
use input::Input;
use terminal::Terminal;

/// How often the end of the input is looked for.
const TICK: Duration = Duration::from_millis(20);

/// Connects and sends each line of the input
///
/// Received text is printed as it is, binary messages as a hexadecimal preview. Lines that begin with a slash are
/// commands, see /help; two slashes send one. In a pipe, messages go to the standard output and everything else to the
/// standard error output.
#[derive(Args)]
#[command(after_help = input::HELP)]
pub struct Options {
    /// URL of the server: ws://, wss://, http:// or https://.
    url: String,
    /// Sends lines that begin with a slash too.
    #[arg(long)]
    raw: bool,
    /// Continues to receive for this time after the end of a pipe.
    #[arg(short, long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    wait: Duration,
    /// Prints a JSON object for each event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let format = Format::choose(options.json);
    let mut session = options.connection.session(&options.url)?;
    let input = Input::new(session.socket.clone(), options.raw);
    let mut terminal = None;
    let (at_end, end_of_input) = mpsc::channel();
    let mut closes_at = None;
    session.open()?;
    loop {
        let Next::Event(event) = session.next(Some(Instant::now() + TICK)) else {
            if closes_at.is_none()
                && end_of_input.try_recv() != Err(TryRecvError::Empty)
                && terminal.is_none()
            {
                closes_at = Some(Instant::now() + options.wait);
            }
            if closes_at.is_some_and(|at| at <= Instant::now()) {
                // Fails if the connection is closing already.
                let _ = session.socket.close(1000, "");
                closes_at = None;
            }
            continue;
        };
        let elapsed = match &event {
            EventKind::Open => Some(session.started.elapsed()),
            EventKind::Pong(payload) => input.round_trip(payload.as_slice()),
            _ => None,
        };
        let ended = match &event {
            // The code is the one that was typed.
            EventKind::Closed { .. } if input.has_closed() => Some(Ok(())),
            event => end(event),
        };
        if ended.is_some() {
            // The last line appears where the prompt was.
            terminal = None;
        }
        match &mut terminal {
            None => format.print(&session.socket, &event, elapsed),
            Some(_) if options.json => json(&as_json(&session.socket, &event, elapsed)),
            Some(terminal) => {
                for_people(&session.socket, &event, elapsed)
                    .into_iter()
                    .for_each(|text| Terminal::print(terminal, text));
            }
        }
        if let Some(ended) = ended {
            // It is printed already, except in a pipe.
            return ended.and_then(|()| input.result()).map_err(|failure| match format {
                Format::Plain => failure,
                _ => Failure::printed(failure.code),
            });
        }
        if matches!(event, EventKind::Open)
            && closes_at.is_none()
            && terminal.is_none()
            && !input.is_started()
        {
            match std::io::stdin().is_terminal() && !options.json {
                true => terminal = Some(Terminal::start(input.clone())?),
                false => input.read_pipe(at_end.clone()),
            }
        }
    }
}
