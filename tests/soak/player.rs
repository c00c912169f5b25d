//! One player: a connection that plays, fails and comes back.
//!
//! ```text
//!   Away ──open──> Connecting ──> Playing ──"count"──> Asked ──the counts agree──> Leaving ──> Away
//!    ^                 ^             │                   │                            │
//!    │                 └─reconnecting┴───────────────────┤                            │
//!    └───────────────────────error───────────────────────┴────────────────────────────┘
//! ```

use std::fmt;
use std::time::{Duration, Instant};

use framewire::{Code, Error, EventKind, Phase, Reconnect, Socket, Tls};

use framewire_servers::unreliable::heading;

use super::Outcome;

/// Longer than all timeouts that are set here together, on a busy machine.
const STUCK: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Away,
    Connecting,
    Playing,
    Asked,
    Leaving,
}

pub struct Player {
    socket: Socket,
    random: u64,
    stage: Stage,
    since: Instant,
    /// When the next action of this stage is due, and when playing ends.
    next: Instant,
    until: Instant,
    sent: u64,
    came: u64,
    is_last_round: bool,
    tally: Tally,
}

/// The totals of all players.
#[derive(Default)]
pub struct Tally {
    opened: u64,
    messages: u64,
    agreed: u64,
    agreed_messages: u64,
    tried_again: u64,
    /// Errors before the connection was open, and after.
    not_made: u64,
    lost: u64,
}

impl Player {
    pub fn new(number: u64, url: &str, tls: &Tls, reconnects: bool) -> Outcome<Self> {
        let make = || {
            let socket = Socket::create(url)?;
            if url.starts_with("wss:") {
                socket.set_tls(Some(tls))?;
            }
            socket.set_connect_timeout(5_000)?;
            socket.set_close_timeout(3_000)?;
            socket.set_ping_frequency(500)?;
            socket.set_close_after_no_message(2_000)?;
            socket.set_start_ping_thread(true)?;
            if reconnects {
                let (min_delay, max_delay) = (Duration::from_millis(5), Duration::from_millis(200));
                socket.set_reconnect(Some(Reconnect { min_delay, max_delay, ..Reconnect::default() }))?;
            }
            Ok(socket)
        };
        let socket = make().map_err(|error: framewire::CallError| error.to_string())?;
        let now = Instant::now();
        Ok(Self {
            socket,
            random: number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            stage: Stage::Away,
            since: now,
            next: now,
            until: now,
            sent: 0,
            came: 0,
            is_last_round: false,
            tally: Tally::default(),
        })
    }

    pub fn id(&self) -> u64 {
        self.socket.id()
    }

    pub fn is_away(&self) -> bool {
        self.stage == Stage::Away
    }

    /// Makes this connection the last one.
    pub fn last_round(&mut self) {
        self.is_last_round = true;
        self.until = Instant::now();
    }

    pub fn leave(self, total: &mut Tally) -> Outcome {
        total.add(&self.tally);
        self.socket.destroy().map_err(|error| error.to_string())
    }

    // ------------------------------------------------------------------ actions

    pub fn act(&mut self, now: Instant) -> Outcome {
        match self.stage {
            Stage::Away if now >= self.next && !self.is_last_round => {
                self.socket.open().map_err(|error| self.odd(&format!("open: {error}")))?;
                self.enter(Stage::Connecting, now);
            }
            Stage::Playing if now >= self.until && self.sent > 0 => {
                let question = format!("count {}", self.tally.opened);
                if self.say(|socket| socket.send_text(&question))? {
                    self.enter(Stage::Asked, now);
                }
            }
            Stage::Playing if now >= self.next => {
                self.next = now + Duration::from_millis(self.below(120));
                let most = [64, 64, 2_000, 40_000][self.below(4) as usize];
                let size = 16 + self.below(most);
                let mut message = vec![0; size as usize];
                message[..8].copy_from_slice(&self.sent.to_be_bytes());
                message[8..16].copy_from_slice(&self.tally.opened.to_be_bytes());
                if self.say(|socket| socket.send_binary(&message))? {
                    self.sent += 1;
                }
            }
            Stage::Connecting if self.is_last_round && now >= self.next => {
                // Its retries have no limit.
                self.socket.close(1000, "").map_err(|error| self.odd(&format!("close: {error}")))?;
                self.enter(Stage::Leaving, now);
            }
            Stage::Away => {}
            _ if now.saturating_duration_since(self.since) > STUCK => return Err(self.odd("it is stuck")),
            _ => {}
        }
        Ok(())
    }

    /// Returns whether it was accepted. The connection may have ended without an event yet.
    fn say(&self, send: impl FnOnce(&Socket) -> Result<(), framewire::CallError>) -> Outcome<bool> {
        match send(&self.socket) {
            Ok(()) => Ok(true),
            Err(error) if error.code == Code::InvalidState => Ok(false),
            Err(error) => Err(self.odd(&error.to_string())),
        }
    }

    // ------------------------------------------------------------------ events

    pub fn hear(&mut self, event: EventKind, now: Instant) -> Outcome {
        match (event, self.stage) {
            (EventKind::Open, Stage::Connecting) => {
                self.tally.opened += 1;
                (self.sent, self.came) = (0, 0);
                self.until = now + Duration::from_millis(self.below(6_000));
                self.enter(Stage::Playing, now);
            }
            // Sent before we left.
            (EventKind::Open, Stage::Leaving) => {}
            (EventKind::Binary(payload), Stage::Playing | Stage::Asked) => {
                match heading(payload.as_slice()) {
                    // Sent before we noticed the reconnect.
                    Some((_, round)) if round < self.tally.opened => return Ok(()),
                    Some((number, _)) if number == self.came && number < self.sent => {}
                    other => return Err(self.odd(&format!("message {other:?} came"))),
                }
                self.came += 1;
                self.tally.messages += 1;
            }
            (EventKind::Text(payload), Stage::Asked) => {
                let agreed = format!("{0} {0}", self.sent);
                if payload.as_slice() != agreed.as_bytes() || self.came != self.sent {
                    let counts = String::from_utf8_lossy(payload.as_slice()).into_owned();
                    return Err(self.odd(&format!("the server has counted {counts}")));
                }
                self.tally.agreed += 1;
                self.tally.agreed_messages += self.sent;
                self.socket.close(1000, "").or_else(too_late).map_err(|error| self.odd(&error))?;
                self.enter(Stage::Leaving, now);
            }
            (EventKind::Pong(_), Stage::Playing | Stage::Asked | Stage::Leaving) => {}
            (EventKind::Reconnecting { error, .. }, Stage::Connecting | Stage::Playing | Stage::Asked) => {
                self.failed(&error)?;
                self.tally.tried_again += 1;
                self.enter(Stage::Connecting, now);
            }
            // Lost before the close was sent.
            (EventKind::Reconnecting { .. }, Stage::Leaving) => {}
            (EventKind::Error(error), Stage::Connecting | Stage::Playing | Stage::Asked | Stage::Leaving) => {
                self.failed(&error)?;
                self.away(now);
            }
            // 1006: lost while closing, or cancelled while connecting.
            (EventKind::Closed { code: 1000 | 1006, .. }, Stage::Leaving) => self.away(now),
            (event, _) => return Err(self.odd(&format!("an event that cannot be: {}", named(&event)))),
        }
        Ok(())
    }

    fn failed(&mut self, error: &Error) -> Outcome {
        if !error.retriable {
            return Err(self.odd(&format!("the error is final: {error}")));
        }
        let counter = match error.phase {
            Phase::Open | Phase::Closing => &mut self.tally.lost,
            _ => &mut self.tally.not_made,
        };
        *counter += 1;
        Ok(())
    }

    fn away(&mut self, now: Instant) {
        self.next = now + Duration::from_millis(self.below(300));
        self.enter(Stage::Away, now);
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        (self.stage, self.since) = (stage, now);
    }

    /// Marsaglia's xorshift.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % bound
    }

    /// Describes an unexpected event.
    fn odd(&self, what: &str) -> String {
        format!(
            "{what}, in {:?} for {:?}; {} sent, {} came; {}",
            self.stage,
            self.since.elapsed(),
            self.sent,
            self.came,
            self.socket.url()
        )
    }
}

fn named(event: &EventKind) -> String {
    match event {
        EventKind::Open => "open".to_owned(),
        EventKind::Text(text) => format!("the text {}", String::from_utf8_lossy(text.as_slice())),
        EventKind::Binary(payload) => format!("{} bytes", payload.len()),
        EventKind::Closed { code, reason } => format!("closed {code} {reason}"),
        EventKind::Error(error) | EventKind::Reconnecting { error, .. } => error.to_string(),
        _ => "none of those".to_owned(),
    }
}

/// Accepts an error of a connection that has ended, whose event follows.
fn too_late(error: framewire::CallError) -> Result<(), String> {
    if error.code == Code::InvalidState { Ok(()) } else { Err(error.to_string()) }
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.opened += other.opened;
        self.messages += other.messages;
        self.agreed += other.agreed;
        self.agreed_messages += other.agreed_messages;
        self.tried_again += other.tried_again;
        self.not_made += other.not_made;
        self.lost += other.lost;
    }

    /// Checks that every case occurred.
    pub fn check(&self) -> Outcome {
        let all = [self.opened, self.agreed_messages, self.tried_again, self.not_made, self.lost];
        if all.contains(&0) { Err("not everything has happened".to_owned()) } else { Ok(()) }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections opened, {} failed before, {} after; {} tries by themselves; {} messages came \
             back; {} connections lived to the end, and both ends counted {} messages on them",
            self.opened,
            self.not_made,
            self.lost,
            self.tried_again,
            self.messages,
            self.agreed,
            self.agreed_messages
        )
    }
}
