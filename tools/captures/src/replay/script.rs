//! What the server of a session sends, and when.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::frames::{self, Assembler};
use crate::http::Response;
use crate::{Content, End, Message, Session, Side};

pub struct Script {
    /// From the request to the response.
    pub response_delay: Duration,
    pub steps: VecDeque<Step>,
    /// The recorded messages and close frame of the client, to compare.
    pub messages: Vec<Result<Message, String>>,
    pub close: Option<(u16, String)>,
    /// After how long each recorded ping of the client had its pong; `None` for never.
    pub pongs: Vec<Option<Duration>>,
}

pub struct Step {
    pub action: Action,
    /// What the client had sent before.
    pub needs: Needs,
    /// Since the previous step, or since the newest of what it needs, whichever was later.
    pub delay: Duration,
    /// Since the response.
    pub at: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub messages: usize,
    pub close: bool,
}

pub enum Action {
    Send {
        bytes: Vec<u8>,
        is_close: bool,
    },
    /// Sends a FIN.
    Finish,
    Reset,
}

impl Script {
    pub fn new(session: &Session) -> Self {
        let mut timeline =
            Timeline { steps: VecDeque::new(), session, newest: session.responded, needs: Needs::default() };
        let mut client = Assembler::new(Side::Client, session.compression);
        let (mut messages, mut pongs) = (Vec::new(), Vec::new());
        let mut unanswered: HashMap<&[u8], VecDeque<(usize, Duration)>> = HashMap::new();
        for record in &session.records {
            match (record.from, &record.content) {
                (Side::Client, Content::Frame(frame)) => {
                    if let Some(message) = client.add(frame, record.time) {
                        messages.push(message);
                        timeline.needs.messages = messages.len();
                        timeline.newest = record.time;
                    } else if frame.opcode == frames::CLOSE {
                        timeline.needs.close = true;
                        timeline.newest = record.time;
                    } else if frame.opcode == frames::PING {
                        let pings = unanswered.entry(&frame.payload).or_default();
                        pings.push_back((pongs.len(), record.time));
                        pongs.push(None);
                    }
                }
                // A violation of the protocol; the server's reaction to it is recorded.
                (Side::Client, Content::Bytes(_)) => {}
                (Side::Server, Content::Frame(frame)) => {
                    if frame.opcode == frames::PONG
                        && let Some((ping, time)) =
                            unanswered.get_mut(frame.payload.as_slice()).and_then(VecDeque::pop_front)
                    {
                        pongs[ping] = Some(record.time.saturating_sub(time));
                        continue;
                    }
                    let is_close = frame.opcode == frames::CLOSE;
                    timeline.add(Action::Send { bytes: frame.to_bytes(), is_close }, record.time);
                }
                (Side::Server, Content::Bytes(bytes)) => {
                    timeline.add(Action::Send { bytes: bytes.clone(), is_close: false }, record.time);
                }
            }
        }
        match (&session.response, session.end) {
            (Some(response), _) if response.status != 101 => {
                if !response.body.is_empty() {
                    let bytes = response.body.clone();
                    timeline.add(Action::Send { bytes, is_close: false }, session.responded);
                }
                timeline.add(Action::Finish, session.responded);
            }
            (_, End::Closed(Side::Server)) => timeline.add(Action::Finish, session.ended),
            (_, End::Reset(Side::Server)) => timeline.add(Action::Reset, session.ended),
            // The client ends the connection.
            (_, End::Open | End::Closed(Side::Client) | End::Reset(Side::Client)) => {}
        }
        let steps = timeline.steps;
        Self {
            response_delay: session.responded.saturating_sub(session.requested),
            steps,
            messages,
            close: session.close(Side::Client),
            pongs,
        }
    }
}

/// The steps so far.
struct Timeline<'a> {
    steps: VecDeque<Step>,
    session: &'a Session,
    /// Time of the newest step, message or close frame.
    newest: Duration,
    needs: Needs,
}

impl Timeline<'_> {
    fn add(&mut self, action: Action, time: Duration) {
        self.steps.push_back(Step {
            action,
            needs: self.needs,
            delay: time.saturating_sub(self.newest),
            at: time.saturating_sub(self.session.responded),
        });
        self.newest = time;
    }
}

/// Returns the head of the recorded response for another connection: with the accept value for its key, and
/// with redirects to the address of the replay.
pub fn head(response: &Response, accept: &str, address: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(response.head.len());
    let mut copied = 0;
    for ((name, value), range) in response.fields.iter().zip(&response.values) {
        let value = if name.eq_ignore_ascii_case("Sec-WebSocket-Accept") {
            accept.to_owned()
        } else if name.eq_ignore_ascii_case("Location")
            && let Some((_, rest)) = value.split_once("://")
        {
            let path = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
            format!("ws://{address}{path}")
        } else {
            continue;
        };
        head.extend_from_slice(&response.head[copied..range.start]);
        head.extend_from_slice(value.as_bytes());
        copied = range.end;
    }
    head.extend_from_slice(&response.head[copied..]);
    head
}
