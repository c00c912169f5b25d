//! One player: a connection that exchanges messages, fails and reconnects.
//!
//! ```text
//!   Closed ──open──> Connecting ──> Playing ──"count"──> Counting ──counts equal──> Closing ──> Closed
//!     ^                  ^             │                    │                          │
//!     │                  └─reconnecting┴────────────────────┤                          │
//!     └────────────────────────error────────────────────────┴──────────────────────────┘
//! ```

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use framewire::{
    Code, Content, Error, EventKind, Lane, LinkConditions, LinkCut, MessageType, Outcome as SendOutcome,
    Phase, Reconnect, SendOptions, Socket, Tls,
};

use framewire_servers::unreliable::heading;

use super::Outcome;

/// Longer than the sum of all timeouts set here, on a busy machine.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The round of state messages: the server ignores messages of other rounds, unless they are the first.
const STATE_ROUND: u64 = u64::MAX;
const STATE_LANE: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    Connecting,
    Playing,
    Counting,
    Closing,
}

pub struct Player {
    socket: Socket,
    random: u64,
    stage: Stage,
    since: Instant,
    /// When the next action of this stage is due, and when to stop sending messages.
    next: Instant,
    until: Instant,
    sent: u64,
    received: u64,
    is_last_round: bool,
    /// Sends with lanes, keys, times to live and tags, over a simulated link that fails at random.
    has_lanes: bool,
    last_tag: u64,
    /// Of accepted messages whose outcome was not reported.
    tags: HashSet<u64>,
    tally: Tally,
}

/// The totals of all players.
#[derive(Default)]
pub struct Tally {
    opened: u64,
    messages: u64,
    verified: u64,
    verified_messages: u64,
    reconnects: u64,
    /// Errors before the connection was open, and after.
    failed_connects: u64,
    lost: u64,
    /// Messages with a tag, and those of each outcome.
    tags: u64,
    outcomes: [u64; OUTCOMES.len()],
    /// Times that a link was cut.
    cuts: u64,
}

const OUTCOMES: [SendOutcome; 4] =
    [SendOutcome::Sent, SendOutcome::Expired, SendOutcome::Replaced, SendOutcome::Lost];

impl Player {
    pub fn new(number: u64, url: &str, tls: &Tls, reconnects: bool, has_lanes: bool) -> Outcome<Self> {
        let create = || {
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
            if has_lanes {
                let state = Lane { max_bytes: 4_000, ..Lane::default() };
                socket.set_lanes(&[Lane { priority: 1, ..Lane::default() }, state])?;
            }
            Ok(socket)
        };
        let socket = create().map_err(|error: framewire::CallError| error.to_string())?;
        let now = Instant::now();
        Ok(Self {
            socket,
            random: number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            stage: Stage::Closed,
            since: now,
            next: now,
            until: now,
            sent: 0,
            received: 0,
            is_last_round: false,
            has_lanes,
            last_tag: 0,
            tags: HashSet::new(),
            tally: Tally::default(),
        })
    }

    pub fn id(&self) -> u64 {
        self.socket.id()
    }

    pub fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Makes this connection the last one.
    pub fn finish(&mut self) {
        self.is_last_round = true;
        self.until = Instant::now();
    }

    pub fn destroy(self, total: &mut Tally) -> Outcome {
        total.add(&self.tally);
        self.socket.destroy().map_err(|error| error.to_string())
    }

    // ------------------------------------------------------------------ actions

    pub fn run(&mut self, now: Instant) -> Outcome {
        match self.stage {
            Stage::Closed if now >= self.next && !self.is_last_round => {
                self.socket.open().map_err(|error| self.failure(&format!("open: {error}")))?;
                self.enter(Stage::Connecting, now);
            }
            Stage::Playing if now >= self.until && self.sent > 0 => {
                let command = format!("count {}", self.tally.opened);
                if self.try_send(|socket| socket.send_text(&command))? {
                    self.enter(Stage::Counting, now);
                }
            }
            Stage::Playing if now >= self.next => {
                self.next = now + Duration::from_millis(self.below(120));
                let max = [64, 64, 2_000, 40_000][self.below(4) as usize];
                let size = 16 + self.below(max);
                let mut message = vec![0; size as usize];
                message[..8].copy_from_slice(&self.sent.to_be_bytes());
                message[8..16].copy_from_slice(&self.tally.opened.to_be_bytes());
                if self.has_lanes {
                    self.change_link()?;
                    self.send_state()?;
                }
                if self.send_message(&message)? {
                    self.sent += 1;
                }
            }
            Stage::Connecting if self.is_last_round && now >= self.next => {
                // The number of its retries is not limited.
                self.close(now)?;
            }
            Stage::Closed => {}
            _ if now.saturating_duration_since(self.since) > STUCK_AFTER => {
                return Err(self.failure("the player is stuck"));
            }
            _ => {}
        }
        Ok(())
    }

    fn send_message(&mut self, message: &[u8]) -> Outcome<bool> {
        if !self.has_lanes {
            return self.try_send(|socket| socket.send_binary(message));
        }
        self.send_tagged(message, SendOptions::default())
    }

    /// Sends the state of one of three objects, which is outdated soon.
    fn send_state(&mut self) -> Outcome {
        let mut state = [0; 200];
        state[..8].copy_from_slice(&1u64.to_be_bytes());
        state[8..16].copy_from_slice(&STATE_ROUND.to_be_bytes());
        for _ in 0..self.below(4) {
            let time_to_live = Some(Duration::from_millis(1 + self.below(50)));
            let key = self.below(4);
            self.send_tagged(
                &state,
                SendOptions { lane: STATE_LANE, key, time_to_live, ..SendOptions::default() },
            )?;
        }
        Ok(())
    }

    fn send_tagged(&mut self, message: &[u8], options: SendOptions) -> Outcome<bool> {
        let tag = self.last_tag + 1;
        let options = SendOptions { tag, ..options };
        let send =
            |socket: &Socket| socket.send_message(MessageType::Binary, Content::Bytes(message), options);
        let is_accepted = self.try_send(send)?;
        if is_accepted {
            self.last_tag = tag;
            self.tags.insert(tag);
            self.tally.tags += 1;
        }
        Ok(is_accepted)
    }

    /// Makes the link slow, fast, or cuts it.
    fn change_link(&mut self) -> Outcome {
        let slow = LinkConditions {
            seed: self.last_tag as u32,
            out_delay: Duration::from_millis(self.below(20)),
            out_jitter: Duration::from_millis(self.below(10)),
            out_bytes_per_second: 200_000,
            ..LinkConditions::default()
        };
        let link = match self.below(40) {
            0..4 => Some(slow),
            4..8 => None,
            cut @ 8..12 => {
                self.tally.cuts += 1;
                let cuts = [LinkCut::Stall, LinkCut::HalfOpen, LinkCut::Reset, LinkCut::End];
                Some(LinkConditions { cut: cuts[cut as usize - 8], ..slow })
            }
            _ => return Ok(()),
        };
        self.socket.set_link(link).map_err(|error| self.failure(&error.to_string()))
    }

    /// Returns whether the send was accepted. The connection may have ended before its event was delivered.
    fn try_send(&self, send: impl FnOnce(&Socket) -> Result<(), framewire::CallError>) -> Outcome<bool> {
        match send(&self.socket) {
            Ok(()) => Ok(true),
            // A full lane of states accepts no more.
            Err(error) if matches!(error.code, Code::InvalidState | Code::WouldBlock) => Ok(false),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    /// Closes the socket. Its connection may have ended before its terminal event was delivered.
    fn close(&mut self, now: Instant) -> Outcome {
        match self.socket.close(1000, "") {
            Err(error) if error.code != Code::InvalidState => Err(self.failure(&format!("close: {error}"))),
            _ => {
                self.enter(Stage::Closing, now);
                Ok(())
            }
        }
    }

    // ------------------------------------------------------------------ events

    pub fn handle_event(&mut self, event: EventKind, now: Instant) -> Outcome {
        match (event, self.stage) {
            (EventKind::Open, Stage::Connecting) => {
                self.tally.opened += 1;
                (self.sent, self.received) = (0, 0);
                self.until = now + Duration::from_millis(self.below(6_000));
                self.enter(Stage::Playing, now);
            }
            // Queued before the close.
            (EventKind::Open, Stage::Closing) => {}
            (EventKind::Binary(payload), Stage::Playing | Stage::Counting) => {
                match heading(payload.as_slice()) {
                    // Sent before the reconnect was processed.
                    Some((_, round)) if round < self.tally.opened => return Ok(()),
                    Some((number, _)) if number == self.received && number < self.sent => {}
                    other => return Err(self.failure(&format!("unexpected message {other:?}"))),
                }
                self.received += 1;
                self.tally.messages += 1;
            }
            (EventKind::Text(payload), Stage::Counting) => {
                let expected = format!("{0} {0}", self.sent);
                if payload.as_slice() != expected.as_bytes() || self.received != self.sent {
                    let counts = String::from_utf8_lossy(payload.as_slice()).into_owned();
                    return Err(self.failure(&format!("the counts of the server differ: {counts}")));
                }
                self.tally.verified += 1;
                self.tally.verified_messages += self.sent;
                self.close(now)?;
            }
            (EventKind::Sent { tag, outcome }, stage) if stage != Stage::Closed => {
                if !self.tags.remove(&tag) {
                    return Err(self.failure(&format!("an outcome of tag {tag}, which has none left")));
                }
                let which = OUTCOMES.iter().position(|known| *known == outcome);
                let which = which.ok_or_else(|| self.failure("an unknown outcome"))?;
                self.tally.outcomes[which] += 1;
            }
            (EventKind::Pong(_), Stage::Playing | Stage::Counting | Stage::Closing) => {}
            (EventKind::Reconnecting { error, .. }, Stage::Connecting | Stage::Playing | Stage::Counting) => {
                self.failed(&error)?;
                self.tally.reconnects += 1;
                self.enter(Stage::Connecting, now);
            }
            // Lost before the close was sent.
            (EventKind::Reconnecting { .. }, Stage::Closing) => {}
            (
                EventKind::Error(error),
                Stage::Connecting | Stage::Playing | Stage::Counting | Stage::Closing,
            ) => {
                self.failed(&error)?;
                self.closed(now)?;
            }
            // 1006: lost while closing, or cancelled while connecting.
            (EventKind::Closed { code: 1000 | 1006, .. }, Stage::Closing) => self.closed(now)?,
            (event, _) => return Err(self.failure(&format!("unexpected event: {}", describe(&event)))),
        }
        Ok(())
    }

    fn failed(&mut self, error: &Error) -> Outcome {
        if !error.retriable {
            return Err(self.failure(&format!("a permanent error: {error}")));
        }
        let counter = match error.phase {
            Phase::Open | Phase::Closing => &mut self.tally.lost,
            _ => &mut self.tally.failed_connects,
        };
        *counter += 1;
        self.mend_link()
    }

    /// The next connection must not be cut at once.
    fn mend_link(&self) -> Outcome {
        if self.has_lanes {
            self.socket.set_link(None).map_err(|error| self.failure(&error.to_string()))
        } else {
            Ok(())
        }
    }

    fn closed(&mut self, now: Instant) -> Outcome {
        if !self.tags.is_empty() {
            return Err(self.failure(&format!("{} tags without an outcome before the end", self.tags.len())));
        }
        self.next = now + Duration::from_millis(self.below(300));
        self.enter(Stage::Closed, now);
        self.mend_link()
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
    fn failure(&self, what: &str) -> String {
        format!(
            "{what}, in {:?} for {:?}; {} sent, {} received; {}",
            self.stage,
            self.since.elapsed(),
            self.sent,
            self.received,
            self.socket.url()
        )
    }
}

fn describe(event: &EventKind) -> String {
    match event {
        EventKind::Open => "open".to_owned(),
        EventKind::Text(text) => format!("the text {}", String::from_utf8_lossy(text.as_slice())),
        EventKind::Binary(payload) => format!("{} bytes", payload.len()),
        EventKind::Closed { code, reason } => format!("closed {code} {reason}"),
        EventKind::Error(error) | EventKind::Reconnecting { error, .. } => error.to_string(),
        _ => "another event".to_owned(),
    }
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.opened += other.opened;
        self.messages += other.messages;
        self.verified += other.verified;
        self.verified_messages += other.verified_messages;
        self.reconnects += other.reconnects;
        self.failed_connects += other.failed_connects;
        self.lost += other.lost;
        self.tags += other.tags;
        self.cuts += other.cuts;
        for (total, count) in self.outcomes.iter_mut().zip(other.outcomes) {
            *total += count;
        }
    }

    /// Checks that every case occurred.
    pub fn check(&self) -> Outcome {
        if self.outcomes.iter().sum::<u64>() != self.tags {
            return Err("the outcomes do not equal the tags".to_owned());
        }
        let all = [
            self.opened,
            self.verified_messages,
            self.reconnects,
            self.failed_connects,
            self.lost,
            self.cuts,
        ];
        if all.iter().chain(&self.outcomes).any(|count| *count == 0) {
            Err("not every case occurred".to_owned())
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections opened, {} failed to connect, {} lost; {} reconnects; {} messages echoed; {} \
             connections closed regularly, with {} messages counted by both sides; {} links cut; {} tags: {} sent, \
             {} expired, {} replaced, {} lost",
            self.opened,
            self.failed_connects,
            self.lost,
            self.reconnects,
            self.messages,
            self.verified,
            self.verified_messages,
            self.cuts,
            self.tags,
            self.outcomes[0],
            self.outcomes[1],
            self.outcomes[2],
            self.outcomes[3]
        )
    }
}
