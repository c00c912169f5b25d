//! `framewire send`.

use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

use clap::Args;
use framewire::{CallError, Code, EventKind, Socket};

use crate::options::ConnectionOptions;
use crate::output::Failure;
use crate::report::Format;
use crate::session::{Next, end};
use crate::values::{hex, show, timeout};

/// How long a full send queue is waited for at a time.
const BACKPRESSURE: Duration = Duration::from_millis(5);
/// How often the progress of an upload is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Sends messages, and optionally waits for answers
///
/// Without MESSAGE, the standard input is one message. The command ends when the server has completed the closing
/// handshake, so success means that the server has received everything.
#[derive(Args)]
pub struct Options {
    /// URL of the server: ws://, wss://, http:// or https://.
    url: String,
    /// Messages to send; after `--` they may begin with a hyphen.
    #[arg(allow_negative_numbers = true)]
    message: Vec<String>,
    /// Sends binary messages: MESSAGE is hexadecimal, the standard input is sent as it is.
    #[arg(short, long)]
    binary: bool,
    /// Sends each line of the standard input as a message.
    #[arg(short, long, conflicts_with_all = ["binary", "message"])]
    lines: bool,
    /// Waits for this many messages, and prints them.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0)]
    count: u64,
    /// Time for each answer, without the upload; after it, the exit code is 3.
    #[arg(short, long, value_name = "TIME", value_parser = timeout, default_value = "10s")]
    timeout: Duration,
    /// Prints a JSON object for each event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
}

enum Message {
    Text(String),
    Binary(Vec<u8>),
}

impl Message {
    fn send(&self, socket: &Socket) -> Result<(), CallError> {
        match self {
            Message::Text(text) => socket.send_text(text),
            Message::Binary(bytes) => socket.send_binary(bytes),
        }
    }
}

pub fn run(options: Options) -> Result<(), Failure> {
    let messages = messages(&options)?;
    let format = if options.json { Format::Json } else { Format::Plain };
    let mut session = options.connection.session(&options.url)?;
    session.open()?;
    let mut answers = 0;
    let mut unsent = messages.iter().peekable();
    let mut waits_since = None;
    let mut buffered = 0;
    loop {
        while let Some(message) = unsent.peek().filter(|_| session.socket.is_open()) {
            match message.send(&session.socket) {
                Ok(()) => _ = unsent.next(),
                // Continues with the events, as a server may wait until its answers are read.
                Err(error) if error.code == Code::WouldBlock => break,
                Err(error) => return Err(Failure::connection(error)),
            }
            waits_since = Some(Instant::now());
        }
        if unsent.peek().is_none() && answers >= options.count {
            break;
        }
        let before = std::mem::replace(&mut buffered, session.socket.buffered_amount());
        if buffered < before && waits_since.is_some() {
            // The time for an answer does not include the upload.
            waits_since = Some(Instant::now());
        }
        let deadline = match (waits_since, unsent.peek()) {
            (None, _) => None,
            (Some(_), Some(_)) => Some(Instant::now() + BACKPRESSURE),
            (Some(since), None) if buffered > 0 => Some((since + options.timeout).min(Instant::now() + TICK)),
            (Some(since), None) => Some(since + options.timeout),
        };
        let Next::Event(event) = session.next(deadline) else {
            if waits_since.is_some_and(|since| since.elapsed() < options.timeout) {
                continue;
            }
            // Leaves without waiting for a server that does not answer.
            let _ = session.socket.abort();
            let time = show(options.timeout);
            return Err(Failure::no_answer(format_args!(
                "{answers} of {} answers within {time}",
                options.count
            )));
        };
        let elapsed = matches!(event, EventKind::Open).then(|| session.started.elapsed());
        if options.json || matches!(event, EventKind::Text(_) | EventKind::Binary(_)) {
            format.print(&session.socket, &event, elapsed);
        }
        match &event {
            EventKind::Text(_) | EventKind::Binary(_) => {
                answers += 1;
                waits_since = Some(Instant::now());
            }
            event => {
                if let Some(ended) = end(event) {
                    ended?;
                    return Err(Failure::no_answer(format_args!(
                        "the connection was closed after {answers} of {} answers",
                        options.count
                    )));
                }
            }
        }
    }
    let socket = session.socket.clone();
    session.close(1000, "", |event| {
        if options.json {
            format.print(&socket, event, None);
        }
    })
}

fn messages(options: &Options) -> Result<Vec<Message>, Failure> {
    let input =
        |error: std::io::Error| Failure::usage(format_args!("the standard input cannot be read: {error}"));
    if options.lines {
        let lines = std::io::stdin().lock().lines();
        return lines.map(|line| Ok(Message::Text(line.map_err(input)?))).collect();
    }
    if options.message.is_empty() {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(input)?;
        if options.binary {
            return Ok(vec![Message::Binary(bytes)]);
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::usage("the standard input is not UTF-8; use --binary to send it as it is")
        })?;
        // The line end of `echo` is not part of the message.
        let text =
            text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text);
        return Ok(vec![Message::Text(text.to_owned())]);
    }
    let given = options.message.iter();
    match options.binary {
        true => given.map(|digits| Ok(Message::Binary(hex(digits).map_err(Failure::usage)?))).collect(),
        false => Ok(given.map(|text| Message::Text(text.clone())).collect()),
    }
}
