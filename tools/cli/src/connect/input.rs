//! Lines of the input: messages and commands.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use framewire::{CallError, Code, Socket, State};

use crate::interrupt;
use crate::output::{BAD, Failure, status};
use crate::values::hex;

pub const HELP: &str = "\
Commands:
  /ping [TEXT]            sends a ping; the time until the pong is printed
  /binary HEX             sends a binary message, such as /binary 00 ff 10
  /file PATH              sends a file as a binary message
  /close [CODE] [REASON]  closes the connection, with code 1000 by default
  /help                   prints this list
  //TEXT                  sends /TEXT";

/// Pings whose pong has not arrived.
const MAX_PINGS: usize = 64;
/// How long a full send queue is waited for at a time.
const BACKPRESSURE: Duration = Duration::from_millis(5);

/// Reads lines and acts on them. Clones share their state.
#[derive(Clone)]
pub struct Input {
    socket: Socket,
    is_raw: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_started: AtomicBool,
    has_closed: AtomicBool,
    has_failed: AtomicBool,
    number: AtomicU32,
    pings: Mutex<VecDeque<(Vec<u8>, Instant)>>,
}

impl Input {
    pub fn new(socket: Socket, is_raw: bool) -> Self {
        Self { socket, is_raw, shared: Arc::default() }
    }

    pub fn is_started(&self) -> bool {
        self.shared.is_started.load(Ordering::SeqCst)
    }

    /// Whether a command has closed the connection.
    pub fn has_closed(&self) -> bool {
        self.shared.has_closed.load(Ordering::SeqCst)
    }

    /// Fails if a line of a pipe could not be sent or its command failed, which is printed already.
    pub fn result(&self) -> Result<(), Failure> {
        match self.has_failed() {
            true => Err(Failure::printed(1)),
            false => Ok(()),
        }
    }

    fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::SeqCst)
    }

    pub fn start(&self) {
        self.shared.is_started.store(true, Ordering::SeqCst);
    }

    /// Reads the standard input on a thread until it ends, and reports that.
    pub fn read_pipe(&self, ended: Sender<()>) {
        self.start();
        let input = self.clone();
        thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut line = Vec::new();
            let mut number = 0u64;
            let failed = |number, problem: &dyn Display| {
                status(format_args!("{BAD}error:{BAD:#} line {number}: {problem}"));
                input.shared.has_failed.store(true, Ordering::SeqCst);
            };
            loop {
                number += 1;
                line.clear();
                match stdin.read_until(b'\n', &mut line) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        failed(number, &error);
                        break;
                    }
                }
                let Ok(text) = std::str::from_utf8(&line) else {
                    failed(number, &"not UTF-8, so it is not sent");
                    continue;
                };
                match input.act(text.trim_end_matches(['\r', '\n'])) {
                    Ok(None) => {}
                    Ok(Some(text)) => status(format_args!("{text}")),
                    // Ctrl-C has closed the connection.
                    Err(_) if interrupt::is_requested() => break,
                    Err(problem) => failed(number, &problem),
                }
                // The other lines cannot be sent either.
                if input.has_failed() && input.socket.state() == State::Closed {
                    break;
                }
            }
            // Fails if the connection has ended.
            let _ = ended.send(());
        });
    }

    /// Sends a line, or runs its command. Returns what there is to print.
    pub fn act(&self, line: &str) -> Result<Option<String>, String> {
        let command = match line.strip_prefix('/') {
            Some(command) if !self.is_raw => command,
            _ => return self.send(|socket| socket.send_text(line)),
        };
        if command.starts_with('/') {
            return self.send(|socket| socket.send_text(command));
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "ping" => self.ping(rest),
            "binary" => {
                let bytes = hex(rest)?;
                self.send(|socket| socket.send_binary(&bytes))
            }
            "file" => {
                let bytes = std::fs::read(rest).map_err(|error| format!("{rest}: {error}"))?;
                self.send(|socket| socket.send_binary(&bytes))
            }
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = match code {
                    "" => 1000,
                    code => code.parse().map_err(|_| format!("`{code}` is no close code"))?,
                };
                // Before the event can arrive.
                self.shared.has_closed.store(true, Ordering::SeqCst);
                let closed = self.send(|socket| socket.close(code, reason.trim()));
                self.shared.has_closed.store(closed.is_ok(), Ordering::SeqCst);
                closed
            }
            "help" => Ok(Some(HELP.to_owned())),
            _ => Err(format!("there is no command /{name}; /help lists them, //{name} sends /{name}")),
        }
    }

    /// Returns the time since the ping with this payload was sent.
    pub fn round_trip(&self, payload: &[u8]) -> Option<Duration> {
        let mut pings = self.pings();
        let position = pings.iter().position(|(sent, _)| sent == payload)?;
        pings.remove(position).map(|(_, sent)| sent.elapsed())
    }

    fn ping(&self, text: &str) -> Result<Option<String>, String> {
        let payload = match text {
            "" => format!("ping {}", self.shared.number.fetch_add(1, Ordering::Relaxed)),
            text => text.to_owned(),
        };
        let mut pings = self.pings();
        if pings.len() >= MAX_PINGS {
            pings.pop_front();
        }
        pings.push_back((payload.clone().into_bytes(), Instant::now()));
        drop(pings);
        self.send(|socket| socket.ping(payload.as_bytes()))
    }

    /// Calls a send function until the send queue has room.
    fn send(&self, send: impl Fn(&Socket) -> Result<(), CallError>) -> Result<Option<String>, String> {
        loop {
            match send(&self.socket) {
                Err(error) if error.code == Code::WouldBlock => thread::sleep(BACKPRESSURE),
                sent => return sent.map(|()| None).map_err(|error| error.to_string()),
            }
        }
    }

    fn pings(&self) -> std::sync::MutexGuard<'_, VecDeque<(Vec<u8>, Instant)>> {
        self.shared.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
