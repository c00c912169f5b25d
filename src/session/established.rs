//! The connection as its worker sees it: upgrade, messages, control frames, closing, deadlines.
//!
//! ```text
//!   Opening ──101──> Open ──our close is on its way──> Closing ──its answer, or time──> Done
//!      │              ├──the peer's close, answered────────────────────────────────────^
//!      └──refused     └──violation (a close frame says so), silence, loss ─────────────^
//! ```
//!
//! The terminal event is given once, on the way into `Done`; what comes afterwards is discarded.

mod agreement;
mod time;

use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::agreement::{Extended, Offer};
use super::extension::{Extension, Piece};
use super::inbound::{Inbound, Item, Payload, Scratch, Stuck};
use super::liveness::{Liveness, PingSettings};
use super::opening::{Opening, OpeningStep};
use super::outbox::{Outbox, Treatment};
use super::sending::{MAX_SLICES, Sending, Unsent, Wrote};
use super::{MaskKeys, MessageType};
use crate::buffer::{OutOfMemory, Segment};
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{MAX_CONTROL_PAYLOAD, RESPONSE_BODY_TIMEOUT};
use crate::wire::close::{encode_close, parse_close};
use crate::wire::deflate::DeflateConfig;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::{Accepted, ExtendedConnect, UpgradeRequest};
use crate::wire::violation::Violation;

/// Close code of a connection that ended without a closing handshake; never on the wire
/// (RFC 6455 section 7.4.1).
pub const ABNORMAL_CLOSURE: u16 = 1006;
/// Close code of an endpoint that goes away.
const GOING_AWAY: u16 = 1001;
/// Close code for a close frame that named none; never on the wire.
pub const NO_STATUS: u16 = 1005;

#[derive(Clone)]
pub struct Settings {
    pub max_message_size: usize,
    pub close_timeout: Duration,
    pub pings: PingSettings,
    pub compression: Option<DeflateConfig>,
    /// Extensions of the caller's own, in their order.
    pub extensions: Vec<Arc<dyn Extension>>,
}

pub struct Session {
    inbound: Inbound,
    /// What was offered, until it is answered.
    offer: Option<Box<Offer>>,
    /// What becomes of messages that are sent, as was agreed on.
    treatment: Treatment,
    /// Everything but the received bytes, which events point into.
    rest: Rest,
}

struct Rest {
    /// Extensions of the caller's own, if any were agreed on.
    extended: Option<Box<Extended>>,
    state: State,
    sending: Sending,
    liveness: Liveness,
    close_timeout: Duration,
    /// When the closing handshake, or the body of a refusal, has taken too long.
    deadline: Option<Instant>,
    /// When the worker last came to write.
    turn: Option<Instant>,
    /// Since when the network has taken nothing of what waits.
    stalled_since: Option<Instant>,
    close_is_out: bool,
    pings_sent: u64,
    pongs_received: u64,
}

enum State {
    Opening(Box<Opening>),
    Open,
    Closing,
    Done,
}

/// What the connection has to say.
pub enum SessionEvent<'a> {
    /// Nothing more, until more bytes come.
    Idle,
    /// Something was dealt with; ask again.
    Again,
    Opened {
        accepted: Accepted,
        head: ResponseHead,
    },
    Refused {
        error: Error,
        head: Option<ResponseHead>,
        body: Vec<u8>,
    },
    Message {
        message_type: MessageType,
        payload: Payload<'a>,
    },
    Fragment {
        message_type: MessageType,
        is_first: bool,
        is_final: bool,
        payload: Payload<'a>,
    },
    Pong(Payload<'a>),
    Closed {
        code: u16,
        reason: String,
    },
    Failed(Error),
}

impl Session {
    /// Begins with the upgrade request.
    pub fn new(
        settings: &Settings,
        mut request: UpgradeRequest,
        nonce: [u8; 16],
    ) -> Result<Self, OutOfMemory> {
        let offer = Offer::make(settings, &mut request);
        Self::begin(settings, offer, Opening::new(request, nonce))
    }

    /// Begins on a stream of HTTP/2, with a request that is sent outside of it.
    pub fn over_http2(
        settings: &Settings,
        mut request: UpgradeRequest,
    ) -> Result<(Self, ExtendedConnect), OutOfMemory> {
        let offer = Offer::make(settings, &mut request);
        let connect = request.extended_connect();
        Ok((Self::begin(settings, offer, Opening::over_http2(request))?, connect))
    }

    fn begin(settings: &Settings, offer: Offer, opening: Opening) -> Result<Self, OutOfMemory> {
        let mut sending = Sending::default();
        sending.push_raw(&opening.request_bytes())?;
        let rest = Rest {
            extended: None,
            state: State::Opening(Box::new(opening)),
            sending,
            liveness: Liveness::new(settings.pings),
            close_timeout: settings.close_timeout,
            deadline: None,
            turn: None,
            stalled_since: None,
            close_is_out: false,
            pings_sent: 0,
            pongs_received: 0,
        };
        let inbound = Inbound::new(settings.max_message_size);
        Ok(Self { inbound, offer: Some(Box::new(offer)), treatment: Treatment::default(), rest })
    }

    // ------------------------------------------------------------------ receiving

    /// Where the next bytes are to be read to, in this order.
    pub fn targets<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<[&'a mut [u8]; 2], OutOfMemory> {
        self.inbound.targets(scratch)
    }

    /// `count` bytes were read into the targets.
    pub fn received(&mut self, count: usize, scratch: &mut Scratch, now: Instant) {
        crate::fault::point("session.receive");
        self.inbound.received(count, scratch);
        self.rest.liveness.received(now);
    }

    /// What the received bytes hold next. `stream`: see [`Inbound::next`].
    #[inline]
    pub fn next(&mut self, stream: bool, now: Instant) -> SessionEvent<'_> {
        match &mut self.rest.state {
            State::Open | State::Closing => {}
            State::Opening(_) => return self.advance_opening(now),
            State::Done => {
                // Whatever the peer still says is of no interest to anybody.
                self.inbound.abandon();
                return SessionEvent::Idle;
            }
        }
        match self.inbound.next(stream) {
            Ok(Item::NeedMore) => SessionEvent::Idle,
            Ok(Item::Message { message_type, rsv, payload }) => {
                if self.treatment.extended {
                    let piece = Piece { message_type, is_first: true, is_final: true, rsv };
                    if let Err(event) = self.rest.decode(piece, payload.segment()) {
                        return event;
                    }
                    return SessionEvent::Message {
                        message_type,
                        payload: Extended::decoded(&self.rest.extended),
                    };
                }
                SessionEvent::Message { message_type, payload }
            }
            Ok(Item::Fragment { message_type, is_first, is_final, rsv, payload }) => {
                if self.treatment.extended {
                    let piece = Piece { message_type, is_first, is_final, rsv };
                    if let Err(event) = self.rest.decode(piece, payload.segment()) {
                        return event;
                    }
                    let payload = Extended::decoded(&self.rest.extended);
                    return SessionEvent::Fragment { message_type, is_first, is_final, payload };
                }
                SessionEvent::Fragment { message_type, is_first, is_final, payload }
            }
            Ok(Item::Ping(payload)) => {
                // RFC 6455 section 5.5.2. Behind our own close frame it is not sent any more.
                self.rest.sending.pong(payload.bytes());
                SessionEvent::Again
            }
            Ok(Item::Pong(payload)) => {
                self.rest.pongs_received += 1;
                self.rest.liveness.pong(payload.bytes(), now);
                SessionEvent::Pong(payload)
            }
            Ok(Item::Close(payload)) => match parse_close(payload.bytes()) {
                Ok(close) => {
                    let (code, reason) =
                        close.map_or((NO_STATUS, String::new()), |(code, reason)| (code, reason.to_owned()));
                    self.rest.answer_close(code, reason)
                }
                Err(violation) => self.rest.violated(violation),
            },
            Err(Stuck::Violation(violation)) => self.rest.violated(violation),
            Err(Stuck::OutOfMemory) => self.rest.out_of_memory(),
        }
    }

    /// Gives back what an idle connection does not need.
    pub fn settle(&mut self, scratch: &mut Scratch) {
        if let Some(extended) = &mut self.rest.extended {
            extended.decoded = Segment::EMPTY;
        }
        if self.is_done() {
            self.inbound.abandon();
        }
        self.inbound.settle(scratch);
    }

    /// The peer has ended its side of the stream, or the stream was lost with `error`.
    pub fn ended(&mut self, error: Option<Error>) -> SessionEvent<'static> {
        match self.rest.abandon() {
            State::Opening(mut opening) => match opening.finish() {
                Some(step) => refused(step),
                None => SessionEvent::Failed(error.unwrap_or_else(|| {
                    let message = "the server ended the connection before it answered the upgrade request";
                    Error::new(ErrorKind::Reset, Phase::Upgrade, message)
                })),
            },
            State::Open => SessionEvent::Failed(error.unwrap_or_else(|| {
                let message = "the server ended the connection without a closing handshake";
                Error::new(ErrorKind::Reset, Phase::Open, message)
            })),
            State::Closing => SessionEvent::Closed {
                code: ABNORMAL_CLOSURE,
                reason: "the connection ended before the server answered the close frame".to_owned(),
            },
            State::Done => SessionEvent::Idle,
        }
    }

    /// Over HTTP/2: the head of the answer is still to come, by [`answered`](Self::answered).
    #[inline]
    pub fn awaits_head(&self) -> bool {
        matches!(&self.rest.state, State::Opening(opening) if opening.awaits_head())
    }

    pub fn answered(&mut self, head: ResponseHead) {
        if let State::Opening(opening) = &mut self.rest.state {
            opening.answered(head);
        }
    }

    // ------------------------------------------------------------------ sending

    /// Takes over what callers have queued.
    pub fn take_from(&mut self, outbox: &mut Outbox, now: Instant) {
        self.rest.turn = Some(now);
        match self.rest.state {
            State::Open | State::Closing => {
                outbox.take(self.rest.sending.entries());
                if outbox.is_closed() && matches!(self.rest.state, State::Open) {
                    self.rest.state = State::Closing;
                    self.rest.deadline = Some(now + self.rest.close_timeout);
                }
            }
            // Only a close frame that waits for its turn lets more go before it.
            State::Done if self.rest.sending.is_ending() => {
                outbox.take(self.rest.sending.entries());
                self.rest.sending.drop_close();
            }
            State::Opening(_) | State::Done => {}
        }
    }

    /// A violation was found: the close frame that says so waits until [`last_words`](Self::last_words).
    /// False if there is no such close frame.
    pub fn hold_close(&mut self) -> bool {
        self.rest.sending.hold_close()
    }

    /// The same for the last time: after this only a close frame goes.
    pub fn last_words(&mut self, outbox: &mut Outbox, now: Instant) {
        self.take_from(outbox, now);
        self.rest.sending.release_close();
    }

    pub fn has_to_write(&self) -> bool {
        !self.rest.sending.is_empty()
    }

    /// Prepares the next bytes for the wire.
    pub fn prepare(&mut self, keys: &mut impl MaskKeys) -> Result<(), Error> {
        crate::fault::point("session.send");
        self.rest.sending.prepare(keys).map_err(|unsent| match unsent {
            Unsent::OutOfMemory => Error::new(
                ErrorKind::Internal,
                self.rest.phase(),
                "the allocator has no memory for what is to be sent",
            ),
            Unsent::Extension(problem) => {
                let message = format!("an extension failed on a message that was to be sent: {problem}");
                Error::new(ErrorKind::Extension, self.rest.phase(), message)
            }
        })
    }

    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        self.rest.sending.gather(slices)
    }

    /// The network took `count` bytes, in the turn that [`take_from`](Self::take_from) began. With
    /// a count of 0: what had been taken before and was stuck below has moved on.
    pub fn wrote(&mut self, count: usize) -> Wrote {
        self.rest.stalled_since = None;
        let wrote = self.rest.sending.wrote(count);
        // While what stands before the close frame moves, the peer cannot have answered it.
        if matches!(self.rest.state, State::Closing) && !self.rest.close_is_out {
            self.rest.deadline = self.rest.turn.map(|turn| turn + self.rest.close_timeout);
        }
        self.rest.close_is_out |= wrote.close;
        wrote
    }

    /// The network took nothing.
    pub fn write_blocked(&mut self, now: Instant) {
        self.rest.stalled_since.get_or_insert(now);
    }

    /// Nobody listens any more: what is queued is dropped, and a close frame says goodbye.
    pub fn leave(&mut self, outbox: &mut Outbox) {
        outbox.shut();
        if !self.rest.close_is_out && matches!(self.rest.state, State::Open | State::Closing) {
            self.rest.sending.close_now(&GOING_AWAY.to_be_bytes());
        }
        self.rest.sending.release_close();
        self.rest.finish();
    }

    /// Nobody listens any more, but what is queued is still sent, and a close frame says goodbye behind it.
    pub fn leave_when_sent(&mut self, outbox: &mut Outbox, now: Instant) {
        self.take_from(outbox, now);
        outbox.shut();
        // Of a violation that the game has not come to.
        self.rest.sending.release_close();
        if matches!(self.rest.state, State::Open) {
            self.rest.sending.close_last(&GOING_AWAY.to_be_bytes());
        }
        self.rest.finish();
    }

    /// Payload bytes of the caller's that the network has not taken.
    pub fn queued_payload(&self) -> usize {
        self.rest.sending.queued_payload()
    }

    /// The server took too long to answer the upgrade request. What it refused with, if it did.
    pub fn give_up_opening(&mut self) -> SessionEvent<'static> {
        match &self.rest.state {
            State::Opening(opening) if opening.is_refused() => self.rest.took_too_long(),
            _ => SessionEvent::Idle,
        }
    }

    /// A ping of the caller's own.
    pub fn ping(&mut self, payload: &[u8]) {
        if matches!(self.rest.state, State::Open) {
            self.rest.pings_sent += 1;
            self.rest.sending.ping(payload);
        }
    }

    // ------------------------------------------------------------------ facts

    pub fn is_done(&self) -> bool {
        matches!(self.rest.state, State::Done)
    }

    /// A close frame of ours is on the wire.
    pub fn close_is_out(&self) -> bool {
        self.rest.close_is_out
    }

    pub fn phase(&self) -> Phase {
        self.rest.phase()
    }

    pub fn latency(&self) -> Option<Duration> {
        self.rest.liveness.latency()
    }

    pub fn frames_received(&self) -> u64 {
        self.inbound.frames
    }

    pub fn messages_received(&self) -> u64 {
        self.inbound.messages
    }

    pub fn pings_sent(&self) -> u64 {
        self.rest.pings_sent
    }

    pub fn pongs_received(&self) -> u64 {
        self.rest.pongs_received
    }

    /// Frames that the outbox could not count: control frames, and those of changed messages.
    pub fn extra_frames_sent(&self) -> u64 {
        self.rest.sending.control_frames + self.rest.sending.changed_frames
    }

    /// Payload bytes of compressed messages that were sent, before and after.
    pub fn compression(&self) -> (u64, u64) {
        (self.rest.sending.payload_before_compression, self.rest.sending.payload_after_compression)
    }

    /// The capacity of all blocks that received bytes are held in.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.inbound.held_bytes()
    }

    /// Memory of the queues of what is to be written, without the payloads.
    #[cfg(test)]
    pub fn queue_bytes(&self) -> usize {
        self.rest.sending.queue_bytes()
    }

    // ------------------------------------------------------------------ within

    fn advance_opening(&mut self, now: Instant) -> SessionEvent<'_> {
        let State::Opening(opening) = &mut self.rest.state else { return SessionEvent::Idle };
        match opening.advance(&mut self.inbound) {
            OpeningStep::NeedMore => {
                if opening.is_refused() {
                    self.rest.deadline.get_or_insert(now + RESPONSE_BODY_TIMEOUT);
                }
                SessionEvent::Idle
            }
            OpeningStep::Upgraded { accepted, head } => {
                if let Err(error) = self.agree(&accepted.extensions) {
                    self.rest.state = State::Done;
                    return SessionEvent::Refused { error: error.into(), head: Some(head), body: Vec::new() };
                }
                self.rest.state = State::Open;
                self.rest.liveness.start(now);
                SessionEvent::Opened { accepted, head }
            }
            step @ OpeningStep::Refused { .. } => {
                self.rest.abandon();
                refused(step)
            }
        }
    }

    /// What becomes of messages that are sent.
    pub fn treatment(&self) -> Treatment {
        self.treatment
    }
}

impl Rest {
    fn phase(&self) -> Phase {
        match self.state {
            State::Opening(_) => Phase::Upgrade,
            State::Open => Phase::Open,
            State::Closing | State::Done => Phase::Closing,
        }
    }

    /// RFC 6455 section 5.5.1: the answer echoes the code. What was queued before is dropped, as
    /// the peer does not read it any more.
    fn answer_close(&mut self, code: u16, reason: String) -> SessionEvent<'static> {
        if !self.close_is_out {
            let echo = code.to_be_bytes();
            self.sending.close_now(if code == NO_STATUS { &[] } else { &echo });
        }
        self.finish();
        SessionEvent::Closed { code, reason }
    }

    fn violated(&mut self, violation: Violation) -> SessionEvent<'static> {
        let error = Error::new(violation.kind(), self.phase(), violation.text());
        self.fail(violation.close_code(), error)
    }

    fn out_of_memory(&mut self) -> SessionEvent<'static> {
        let error =
            Error::new(ErrorKind::Internal, self.phase(), "the allocator has no memory for a message");
        self.fail(1011, error)
    }

    /// Fails the connection from our side (RFC 6455 section 7.1.7), with a close frame that says
    /// why, behind what was queued: answers to messages that came before the violation.
    fn fail(&mut self, code: u16, error: Error) -> SessionEvent<'static> {
        if !self.close_is_out {
            let mut payload = [0; MAX_CONTROL_PAYLOAD];
            let len = encode_close(code, &error.message, &mut payload);
            self.sending.close_last(&payload[..len]);
        }
        self.finish();
        SessionEvent::Failed(error)
    }

    fn finish(&mut self) {
        self.state = State::Done;
        self.deadline = None;
    }

    /// Nobody is there to talk to any more. Returns how far it had come.
    fn abandon(&mut self) -> State {
        let state = std::mem::replace(&mut self.state, State::Done);
        (self.deadline, self.stalled_since) = (None, None);
        self.sending.abandon();
        state
    }
}

fn refused(step: OpeningStep) -> SessionEvent<'static> {
    match step {
        OpeningStep::Refused { error, head, body } => SessionEvent::Refused { error, head, body },
        OpeningStep::NeedMore | OpeningStep::Upgraded { .. } => SessionEvent::Idle,
    }
}
