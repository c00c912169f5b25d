//! `framewire listen`.

use std::time::{Duration, Instant};

use clap::Args;
use framewire::EventKind;

use crate::interrupt;
use crate::options::ConnectionOptions;
use crate::output::{Failure, write_bytes};
use crate::report::Format;
use crate::session::{Next, end};
use crate::values::{show, timeout};

/// Prints received messages, one per line
#[derive(Args)]
pub struct Options {
    /// URL of the server: ws://, wss://, http:// or https://.
    url: String,
    /// Closes the connection after this many messages.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Ends with exit code 3 when no message arrives for this time.
    #[arg(short, long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Writes the payload of each message as it is, without a line end.
    #[arg(short, long, conflicts_with = "json")]
    binary: bool,
    /// Prints a JSON object for each event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

pub fn run(options: Options) -> Result<(), Failure> {
    let format = if options.json { Format::Json } else { Format::Plain };
    let mut session = options.connection.session(&options.url)?;
    session.open()?;
    let mut received = 0;
    let mut deadline = None;
    loop {
        let Next::Event(event) = session.next(deadline) else {
            let _ = session.socket.abort();
            let time = show(options.timeout.unwrap_or_default());
            return Err(Failure::no_answer(format_args!("no message for {time}; {received} before")));
        };
        let elapsed = matches!(event, EventKind::Open).then(|| session.started.elapsed());
        match &event {
            EventKind::Text(payload) | EventKind::Binary(payload) if options.binary => {
                write_bytes(payload.as_slice())
            }
            event => format.print(&session.socket, event, elapsed),
        }
        if let EventKind::Text(_) | EventKind::Binary(_) = event {
            received += 1;
            if options.count == Some(received) {
                let socket = session.socket.clone();
                return session.close(1000, "", |event| {
                    let is_message = matches!(event, EventKind::Text(_) | EventKind::Binary(_));
                    if options.json && !is_message {
                        format.print(&socket, event, None);
                    }
                });
            }
        }
        if let Some(ended) = end(&event) {
            ended?;
            return match options.count {
                Some(count) if received < count && !interrupt::is_requested() => Err(Failure::no_answer(
                    format_args!("the connection was closed after {received} of {count} messages"),
                )),
                _ => Ok(()),
            };
        }
        deadline = options.timeout.map(|timeout| Instant::now() + timeout);
        if !session.socket.is_open() {
            // The connect timeout applies.
            deadline = None;
        }
    }
}
