//! One connection of a replay.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tungstenite::handshake::derive_accept_key;

use super::script::{self, Action, Needs, Script, Step};
use super::{Notice, Played, Shared};
use crate::frames::{self, Assembler, Frame};
use crate::http::Parsed;
use crate::{Message, Request, Session, Side};

/// Frames that are read ahead.
const AHEAD: usize = 256;
/// How long the client may take to disconnect after a FIN.
const CLOSE: Duration = Duration::from_secs(5);
/// A wait for a message of the client that takes longer is reported.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longer delays are cut to this.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes of a message that a difference shows.
const SHOWN: usize = 60;

/// What the client sent.
enum Input {
    Frame(Frame),
    Invalid(String),
    End,
}

/// Plays a session. `None` if the client sent no request, or no session is left.
pub fn play(stream: Arc<TcpStream>, shared: &Shared) -> Option<Played> {
    let (request, rest) = read_request(&stream)?;
    let index = shared.take(&request)?;
    let session = &shared.sessions[index];
    let (sender, inputs) = mpsc::sync_channel(AHEAD);
    let reading = stream.clone();
    let reader = std::thread::spawn(move || read(&reading, rest, &sender));
    let script = Script::new(session);
    let mut player = Player {
        stream: &stream,
        shared,
        session,
        inputs,
        assembler: Assembler::new(Side::Client, session.compression),
        played: Played { session: index, ..Played::default() },
        started: Instant::now(),
        last_sent: Instant::now(),
        arrivals: Vec::new(),
        closed: None,
        has_sent_close: false,
        pings: 0,
        pongs: Vec::new(),
        has_reported_wait: false,
        script,
    };
    player.notify(false, format!("{} connected to {}", peer(&stream), request.target));
    player.compare_requests(&request);
    let is_reset = player.run(&request);
    player.compare_ends();
    let text =
        format!("ended: {} frames sent, {} messages received", player.played.sent, player.played.received);
    player.notify(false, text);
    let Player { played, inputs, .. } = player;
    // Ends a reader that waits until its frames are taken.
    drop(inputs);
    // The socket is only closed when the reader has released it, too.
    let _ = stream.shutdown(if is_reset { Shutdown::Read } else { Shutdown::Both });
    let _ = reader.join();
    Some(played)
}

fn peer(stream: &TcpStream) -> String {
    stream.peer_addr().map_or_else(|_| "a client".to_owned(), |address| address.to_string())
}

/// Reads the request, and what was received after it.
fn read_request(mut stream: &TcpStream) -> Option<(Request, Vec<u8>)> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => received.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
        match Request::parse(&received) {
            Parsed::Head(request, end) => return Some((request, received.split_off(end))),
            Parsed::Incomplete => {}
            Parsed::Invalid => return None,
        }
    }
}

/// Reads frames until the client disconnects.
fn read(mut stream: &TcpStream, mut received: Vec<u8>, inputs: &SyncSender<Input>) {
    let mut buffer = vec![0; 64 << 10];
    let mut is_valid = true;
    loop {
        let mut start = 0;
        while is_valid && start < received.len() {
            let input = match Frame::parse(&received[start..]) {
                frames::Parsed::Frame(frame, length) => {
                    start += length;
                    Input::Frame(frame)
                }
                frames::Parsed::Incomplete => break,
                frames::Parsed::Invalid(problem) => {
                    is_valid = false;
                    Input::Invalid(problem)
                }
            };
            if inputs.send(input).is_err() {
                return;
            }
        }
        if is_valid {
            received.drain(..start);
        } else {
            received.clear();
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => received.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    let _ = inputs.send(Input::End);
}

struct Player<'a> {
    stream: &'a TcpStream,
    shared: &'a Shared,
    session: &'a Session,
    script: Script,
    inputs: Receiver<Input>,
    assembler: Assembler,
    played: Played,
    /// When the response was sent.
    started: Instant,
    /// When the newest step ran.
    last_sent: Instant,
    /// When each message of the client arrived.
    arrivals: Vec<Instant>,
    /// When the close frame of the client arrived, and its code and reason.
    closed: Option<(Instant, (u16, String))>,
    has_sent_close: bool,
    /// Pings of the client.
    pings: usize,
    /// Pongs to send.
    pongs: Vec<(Instant, Vec<u8>)>,
    has_reported_wait: bool,
}

impl Player<'_> {
    /// Plays until the connection ends. Returns whether it is to be reset.
    fn run(&mut self, request: &Request) -> bool {
        if !self.respond(request) {
            return false;
        }
        // Set after a FIN: the client is to disconnect by then.
        let mut deadline = None;
        loop {
            while let Ok(input) = self.inputs.try_recv() {
                if !self.take(input) {
                    return false;
                }
            }
            let now = Instant::now();
            self.send_pongs(now);
            if deadline.is_none()
                && self.is_due(now)
                && let Some(step) = self.script.steps.pop_front()
            {
                match step.action {
                    Action::Send { bytes, is_close } => {
                        self.has_sent_close |= is_close;
                        self.send(&bytes);
                        self.played.sent += 1;
                        self.last_sent = Instant::now();
                    }
                    Action::Finish => deadline = Some(self.finish()),
                    Action::Reset => {
                        let _ = SockRef::from(self.stream).set_linger(Some(Duration::ZERO));
                        return true;
                    }
                }
                continue;
            }
            let is_closed = self.has_sent_close && self.closed.is_some();
            if deadline.is_none() && is_closed && self.script.steps.is_empty() {
                deadline = Some(self.finish());
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return false;
            }
            let step = self.script.steps.front().filter(|_| deadline.is_none());
            let due = step.and_then(|step| self.due(step));
            let wake = due.into_iter().chain(deadline).chain(self.pongs.iter().map(|(due, _)| *due)).min();
            let left = wake.map_or(PATIENCE, |wake| wake.saturating_duration_since(now));
            match self.inputs.recv_timeout(left) {
                Ok(input) => {
                    if !self.take(input) {
                        return false;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) if wake.is_none() => self.report_wait(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Sends the recorded response. Returns false if the client disconnects before.
    fn respond(&mut self, request: &Request) -> bool {
        if let Some(response) = &self.session.response {
            let due = Instant::now() + self.scaled(self.script.response_delay);
            loop {
                match self.inputs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => break,
                    Ok(Input::End) | Err(RecvTimeoutError::Disconnected) => return false,
                    Ok(Input::Frame(_) | Input::Invalid(_)) => {
                        self.differ("the client sent bytes before the response".to_owned());
                    }
                }
            }
            let key = request.field("Sec-WebSocket-Key").unwrap_or_default();
            let accept = derive_accept_key(key.as_bytes());
            // The address that the client knows, also when the server listens on all.
            let address =
                self.stream.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
            self.send(&script::head(response, &accept, &address));
        }
        self.started = Instant::now();
        self.last_sent = self.started;
        true
    }

    fn is_due(&self, now: Instant) -> bool {
        self.script.steps.front().and_then(|step| self.due(step)).is_some_and(|due| due <= now)
    }

    /// Returns when to run a step; `None` while it waits for the client.
    fn due(&self, step: &Step) -> Option<Instant> {
        if self.shared.options.by_clock {
            return Some(self.started + self.scaled(step.at));
        }
        let Needs { messages, close } = step.needs;
        let closed = self.closed.as_ref().map(|(time, _)| *time);
        let mut after = self.last_sent;
        if close {
            after = after.max(closed?);
        }
        // A client that has closed sends no more messages.
        if let Some(newest) = messages.checked_sub(1) {
            after = after.max(self.arrivals.get(newest).copied().or(closed)?);
        }
        Some(after + self.scaled(step.delay))
    }

    /// Applies the speed to a recorded delay.
    fn scaled(&self, delay: Duration) -> Duration {
        let speed = self.shared.options.speed;
        if speed > 0.0 {
            Duration::try_from_secs_f64(delay.as_secs_f64() / speed).unwrap_or(LONGEST).min(LONGEST)
        } else {
            Duration::ZERO
        }
    }

    /// Does not fail if the client has disconnected: the reader reports that.
    fn send(&self, bytes: &[u8]) {
        let mut stream = self.stream;
        let _ = stream.write_all(bytes);
    }

    /// Sends a FIN. Returns how long the client has to disconnect.
    fn finish(&mut self) -> Instant {
        let _ = self.stream.shutdown(Shutdown::Write);
        Instant::now() + CLOSE
    }

    fn send_pongs(&mut self, now: Instant) {
        while let Some(at) = self.pongs.iter().position(|(due, _)| *due <= now) {
            let (_, payload) = self.pongs.remove(at);
            self.send(
                &Frame { is_final: true, opcode: frames::PONG, payload, ..Frame::default() }.to_bytes(),
            );
            self.played.sent += 1;
        }
    }

    /// Returns false when the client has disconnected.
    fn take(&mut self, input: Input) -> bool {
        match input {
            Input::Frame(frame) => self.take_frame(&frame),
            Input::Invalid(problem) => self.differ(format!("the client sent no valid frame: {problem}")),
            Input::End => return false,
        }
        true
    }

    fn take_frame(&mut self, frame: &Frame) {
        self.has_reported_wait = false;
        match frame.opcode {
            frames::PING => {
                // Each ping has its pong after the recorded time, or none; further pings have one at once if
                // the last recorded one had.
                let recorded = self.script.pongs.get(self.pings).or(self.script.pongs.last());
                let is_recorded = self.pings < self.script.pongs.len();
                self.pings += 1;
                let delay = match recorded {
                    Some(Some(delay)) if is_recorded => Some(self.scaled(*delay)),
                    Some(None) => None,
                    Some(Some(_)) | None => Some(Duration::ZERO),
                };
                if let Some(delay) = delay {
                    self.pongs.push((Instant::now() + delay, frame.payload.clone()));
                }
            }
            frames::PONG => {}
            frames::CLOSE => self.take_close(frame),
            _ => {
                if let Some(message) = self.assembler.add(frame, Duration::ZERO) {
                    self.arrivals.push(Instant::now());
                    self.played.received = self.arrivals.len();
                    self.compare_messages(&message);
                }
            }
        }
    }

    fn take_close(&mut self, frame: &Frame) {
        let (Some(close), None) = (frame.close(), &self.closed) else { return };
        if let Some(recorded) = &self.script.close
            && *recorded != close
        {
            self.differ(format!(
                "the client closed with {} {:?}, recorded was {} {:?}",
                close.0, close.1, recorded.0, recorded.1
            ));
        } else if self.script.close.is_none() {
            self.differ(format!("the client closed with {} {:?}, which is not recorded", close.0, close.1));
        }
        self.closed = Some((Instant::now(), close));
        // What the recorded server sent before the client closed is late now.
        let late = self.script.steps.iter().take_while(|step| !step.needs.close).count();
        let left_out = self.script.steps.drain(..late);
        self.played.left_out += left_out.filter(|step| matches!(step.action, Action::Send { .. })).count();
        if !self.has_sent_close && self.script.steps.is_empty() {
            // Completes the closing handshake.
            let reply = Frame { mask: None, rsv: 0, ..frame.clone() };
            self.send(&reply.to_bytes());
            self.has_sent_close = true;
            self.played.sent += 1;
        }
    }

    fn report_wait(&mut self) {
        let Some(step) = self.script.steps.front() else { return };
        if std::mem::replace(&mut self.has_reported_wait, true) {
            return;
        }
        let what = if step.needs.close {
            "the client's close frame".to_owned()
        } else {
            format!("message {} of the client", step.needs.messages)
        };
        self.notify(
            false,
            format!("waits for {what}, as recorded; to continue without it, play by the clock"),
        );
    }

    fn notify(&self, is_difference: bool, text: String) {
        (self.shared.on_notice)(&Notice { session: self.played.session, is_difference, text });
    }

    fn differ(&mut self, text: String) {
        self.notify(true, text.clone());
        self.played.differences.push(text);
    }

    fn compare_requests(&mut self, request: &Request) {
        let recorded = &self.session.request;
        let mut pairs = vec![("path", recorded.target.clone(), request.target.clone())];
        for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
            pairs.push((name, recorded.list(name), request.list(name)));
        }
        for (name, recorded, sent) in pairs {
            if recorded != sent {
                self.differ(format!("{name} of the request is {sent:?}, recorded was {recorded:?}"));
            }
        }
    }

    fn compare_messages(&mut self, message: &Result<Message, String>) {
        let number = self.arrivals.len();
        let text = match (message, self.script.messages.get(number - 1)) {
            (Ok(message), Some(Ok(recorded))) => {
                if (recorded.is_text, &recorded.payload) == (message.is_text, &message.payload) {
                    return;
                }
                let (sent, recorded) = (description(message), description(recorded));
                format!("message {number} of the client is {sent}, recorded was {recorded}")
            }
            (Ok(message), None) => {
                format!("message {number} of the client, {}, is not recorded", description(message))
            }
            (Err(problem), _) | (_, Some(Err(problem))) => {
                format!("message {number} of the client cannot be compared: {problem}")
            }
        };
        self.differ(text);
    }

    fn compare_ends(&mut self) {
        let (sent, recorded) = (self.arrivals.len(), self.script.messages.len());
        if sent < recorded {
            self.differ(format!("the client sent {sent} of {recorded} recorded messages"));
        }
        if self.closed.is_none()
            && let Some((code, reason)) = self.script.close.clone()
        {
            self.differ(format!("the client did not close, recorded was {code} {reason:?}"));
        }
        let left = self.script.steps.iter().filter(|step| matches!(step.action, Action::Send { .. })).count();
        self.played.left_out += left;
        if self.played.left_out > 0 {
            self.differ(format!("the client ended before {} frames were sent", self.played.left_out));
        }
    }
}

fn description(message: &Message) -> String {
    let bytes = &message.payload;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    let (kind, shown) = match message.is_text {
        true => ("text", format!("{:?}", String::from_utf8_lossy(shown))),
        false => ("binary", shown.iter().map(|byte| format!("{byte:02x}")).collect()),
    };
    format!("{kind} of {} bytes ({shown}{more})", bytes.len())
}
