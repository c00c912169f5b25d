//! The session: handshake, messages, control frames, closing handshake, timeouts.
//!
//! ```text
//!   Handshake ── 101 ──► Open ── close frame queued ──► Closing ── close frame received, or timeout ──► Done
//!      │                  ├── close frame of the peer, echoed ───────────────────────────────────────────▲
//!      └── refused        └── violation (reported by a close frame), ping timeout, connection lost ───────▲
//! ```
//!
//! The terminal event is returned once, on the transition to `Done`; later input is discarded.

mod negotiation;
mod offer;
mod timeouts;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use self::offer::{Extended, Offer};
use super::MessageType;
use super::extension::{Extension, Piece};
use super::handshake::{Handshake, HandshakeStep};
use super::inbound::{Inbound, Item, Payload, ReceiveError, Scratch};
use super::keepalive::{Keepalive, PingSettings};
use super::outbox::MessageEncoding;
use super::sending::Sending;
use crate::buffer::{OutOfMemory, Segment};
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{MAX_CONTROL_PAYLOAD, RESPONSE_BODY_TIMEOUT};
use crate::on_demand::OnDemand;
use crate::wire::close::{encode_close, parse_close};
use crate::wire::deflate::DeflateConfig;
use crate::wire::response::ResponseHead;
use crate::wire::upgrade::{Accepted, ExtendedConnect, UpgradeRequest};
use crate::wire::violation::Violation;

/// Close code of a connection that ended without a closing handshake; never sent (RFC 6455 section 7.4.1).
pub const ABNORMAL_CLOSURE: u16 = 1006;
/// Close code of an endpoint that is going away.
const GOING_AWAY: u16 = 1001;
/// Close code for a close frame without one; never sent.
pub const NO_STATUS: u16 = 1005;

#[derive(Clone)]
pub struct Settings {
    pub max_message_size: usize,
    pub close_timeout: Duration,
    pub pings: PingSettings,
    pub compression: Option<DeflateConfig>,
    /// The caller's extensions, in order.
    pub extensions: Vec<Arc<dyn Extension>>,
}

pub struct Session {
    inbound: Inbound,
    /// The offered extensions, until the server responds.
    offer: Option<Box<Offer>>,
    /// How messages to send are encoded, as negotiated.
    encoding: MessageEncoding,
    /// Everything except the received bytes, which events borrow.
    rest: Rest,
}

struct Rest {
    /// The caller's extensions, if any were negotiated.
    extended: Option<Box<Extended>>,
    state: State,
    sending: OnDemand<Sending>,
    keepalive: Keepalive,
    /// In milliseconds.
    close_timeout: u32,
    /// The deadline for the closing handshake, or for the body of a refusal.
    deadline: Option<Instant>,
    /// The start of the current write turn.
    turn: Option<Instant>,
    /// Since when the write is stalled.
    stalled_since: Option<Instant>,
    close_sent: bool,
    pings_sent: u64,
    pongs_received: u64,
}

enum State {
    Handshake(Box<Handshake>),
    Open,
    Closing,
    Done,
}

/// An event of the session.
pub enum SessionEvent<'a> {
    /// Nothing until more bytes arrive.
    Idle,
    /// Progress without an event: call again.
    Progress,
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
    /// A complete message that the program decodes.
    Encoded {
        message_type: MessageType,
        rsv: u8,
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
    /// Creates a session that starts with the upgrade request over HTTP/1.1.
    pub fn new(
        settings: &Settings,
        mut request: UpgradeRequest,
        nonce: [u8; 16],
    ) -> Result<Self, OutOfMemory> {
        let offer = Offer::make(settings.compression.as_ref(), &settings.extensions, &mut request);
        Self::begin(settings, offer, Handshake::new(request, nonce))
    }

    /// Creates a session on an HTTP/2 stream; the caller sends the returned request.
    pub fn over_http2(
        settings: &Settings,
        mut request: UpgradeRequest,
    ) -> Result<(Self, ExtendedConnect), OutOfMemory> {
        let offer = Offer::make(settings.compression.as_ref(), &settings.extensions, &mut request);
        let connect = request.extended_connect();
        Ok((Self::begin(settings, offer, Handshake::over_http2(request))?, connect))
    }

    fn begin(settings: &Settings, offer: Offer, handshake: Handshake) -> Result<Self, OutOfMemory> {
        let mut sending = OnDemand::<Sending>::default();
        sending.push_raw(&handshake.request_bytes())?;
        let rest = Rest {
            extended: None,
            state: State::Handshake(Box::new(handshake)),
            sending,
            keepalive: Keepalive::new(settings.pings),
            close_timeout: settings.close_timeout.as_millis().try_into().unwrap_or(u32::MAX),
            deadline: None,
            turn: None,
            stalled_since: None,
            close_sent: false,
            pings_sent: 0,
            pongs_received: 0,
        };
        let inbound = Inbound::new(settings.max_message_size);
        Ok(Self { inbound, offer: Some(Box::new(offer)), encoding: MessageEncoding::default(), rest })
    }

    /// Aligns keepalive pings to multiples of their frequency after this time.
    pub fn align_pings(&mut self, epoch: Instant) {
        self.rest.keepalive.align(epoch);
    }

    // ------------------------------------------------------------------ receiving

    /// Returns the buffers for the next read, in order.
    pub fn targets<'a>(&'a mut self, scratch: &'a mut Scratch) -> Result<[&'a mut [u8]; 2], OutOfMemory> {
        self.inbound.targets(scratch)
    }

    /// Processes `count` bytes that were read into the targets.
    pub fn received(&mut self, count: usize, scratch: &mut Scratch, now: Instant) {
        crate::fault::point("session.receive");
        self.inbound.received(count, scratch);
        self.rest.keepalive.received(now);
    }

    /// Returns the next event in the received bytes. `stream`: see [`Inbound::next`].
    #[inline]
    pub fn next(&mut self, stream: bool, now: Instant) -> SessionEvent<'_> {
        match &mut self.rest.state {
            State::Open | State::Closing => {}
            State::Handshake(_) => return self.advance_handshake(now),
            State::Done => {
                // Further input is discarded.
                self.inbound.abandon();
                return SessionEvent::Idle;
            }
        }
        match self.inbound.next(stream) {
            Ok(Item::NeedMore) => SessionEvent::Idle,
            Ok(Item::Message { message_type, rsv, payload }) => {
                if self.encoding.extended {
                    let piece = Piece { message_type, is_first: true, is_final: true, rsv };
                    if let Err(event) = self.rest.decode(piece, payload.segment()) {
                        return event;
                    }
                    let payload = Extended::decoded(&self.rest.extended);
                    return match rsv & Extended::external(&self.rest.extended) {
                        0 => SessionEvent::Message { message_type, payload },
                        rsv => SessionEvent::Encoded { message_type, rsv, payload },
                    };
                }
                SessionEvent::Message { message_type, payload }
            }
            Ok(Item::Fragment { message_type, is_first, is_final, rsv, payload }) => {
                if self.encoding.extended {
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
                // RFC 6455 section 5.5.2. Not sent after our own close frame.
                self.rest.sending.pong(payload.bytes());
                SessionEvent::Progress
            }
            Ok(Item::Pong(payload)) => {
                self.rest.pongs_received += 1;
                self.rest.keepalive.pong(payload.bytes(), now);
                SessionEvent::Pong(payload)
            }
            Ok(Item::Close(payload)) => match parse_close(payload.bytes()) {
                Ok(close) => {
                    let (code, reason) =
                        close.map_or((NO_STATUS, String::new()), |(code, reason)| (code, reason.to_owned()));
                    self.rest.echo_close(code, reason)
                }
                Err(violation) => self.rest.violated(violation),
            },
            Err(ReceiveError::Violation(violation)) => self.rest.violated(violation),
            Err(ReceiveError::OutOfMemory) => self.rest.out_of_memory(),
        }
    }

    /// Releases memory that an idle connection does not need.
    pub fn settle(&mut self, scratch: &mut Scratch) {
        if self.rest.sending.is_unused() {
            self.rest.sending.clear();
        }
        if let Some(extended) = &mut self.rest.extended {
            extended.decoded = Segment::EMPTY;
        }
        if self.is_done() {
            self.inbound.abandon();
        }
        self.inbound.settle(scratch);
    }

    /// Processes the end of the stream, or its loss with `error`.
    pub fn ended(&mut self, error: Option<Error>) -> SessionEvent<'static> {
        match self.rest.abandon() {
            State::Handshake(mut handshake) => match handshake.finish() {
                Some(step) => refused(step),
                None => SessionEvent::Failed(error.unwrap_or_else(|| {
                    let message =
                        "the server ended the connection before it responded to the upgrade request";
                    Error::new(ErrorKind::Reset, Phase::Upgrade, message)
                })),
            },
            State::Open => SessionEvent::Failed(error.unwrap_or_else(|| {
                let message = "the server ended the connection without a closing handshake";
                Error::new(ErrorKind::Reset, Phase::Open, message)
            })),
            State::Closing => SessionEvent::Closed {
                code: ABNORMAL_CLOSURE,
                reason: "the connection ended before the server responded to the close frame".to_owned(),
            },
            State::Done => SessionEvent::Idle,
        }
    }

    /// Returns whether [`head_received`](Self::head_received) must still be called, over HTTP/2.
    #[inline]
    pub fn awaits_head(&self) -> bool {
        matches!(&self.rest.state, State::Handshake(handshake) if handshake.awaits_head())
    }

    /// Processes the head of the response, over HTTP/2.
    pub fn head_received(&mut self, head: ResponseHead) {
        if let State::Handshake(handshake) = &mut self.rest.state {
            handshake.head_received(head);
        }
    }

    // ------------------------------------------------------------------ state

    pub fn is_done(&self) -> bool {
        matches!(self.rest.state, State::Done)
    }

    /// Returns whether our close frame was written.
    pub fn close_sent(&self) -> bool {
        self.rest.close_sent
    }

    pub fn phase(&self) -> Phase {
        self.rest.phase()
    }

    pub fn latency(&self) -> Option<Duration> {
        self.rest.keepalive.latency()
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

    /// Returns the frames that the outbox does not count: control frames, and those of transformed messages.
    pub fn extra_frames_sent(&self) -> u64 {
        self.rest.sending.extra_frames
    }

    /// Returns the payload bytes of sent compressed messages, before and after compression.
    pub fn compression(&self) -> (u64, u64) {
        (self.rest.sending.payload_before_compression, self.rest.sending.payload_after_compression)
    }

    /// Returns the capacity of all receive buffers.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.inbound.held_bytes()
    }

    /// Returns the memory of the send queues, without payloads.
    #[cfg(test)]
    pub fn queue_bytes(&self) -> usize {
        self.rest.sending.queue_bytes()
    }

    // ------------------------------------------------------------------ private

    fn advance_handshake(&mut self, now: Instant) -> SessionEvent<'_> {
        let State::Handshake(handshake) = &mut self.rest.state else { return SessionEvent::Idle };
        match handshake.advance(&mut self.inbound) {
            HandshakeStep::NeedMore => {
                if handshake.is_refused() {
                    self.rest.deadline.get_or_insert(now + RESPONSE_BODY_TIMEOUT);
                }
                SessionEvent::Idle
            }
            HandshakeStep::Upgraded { accepted, head } => {
                if let Err(error) = self.apply_extensions(&accepted.extensions) {
                    self.rest.state = State::Done;
                    return SessionEvent::Refused { error: error.into(), head: Some(head), body: Vec::new() };
                }
                self.rest.state = State::Open;
                self.rest.keepalive.start(now);
                SessionEvent::Opened { accepted, head }
            }
            step @ HandshakeStep::Refused { .. } => {
                self.rest.abandon();
                refused(step)
            }
        }
    }

    /// Returns how messages to send are encoded, as negotiated.
    pub fn message_encoding(&self) -> MessageEncoding {
        self.encoding
    }
}

impl Rest {
    fn phase(&self) -> Phase {
        match self.state {
            State::Handshake(_) => Phase::Upgrade,
            State::Open => Phase::Open,
            State::Closing | State::Done => Phase::Closing,
        }
    }

    fn close_timeout(&self) -> Duration {
        Duration::from_millis(self.close_timeout.into())
    }

    /// Replies to a close frame by echoing its code (RFC 6455 section 5.5.1). Drops queued data, as the peer
    /// does not read it.
    fn echo_close(&mut self, code: u16, reason: String) -> SessionEvent<'static> {
        if !self.close_sent {
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
        let error = Error::new(ErrorKind::Internal, self.phase(), "out of memory while receiving a message");
        self.fail(1011, error)
    }

    /// Fails the connection (RFC 6455 section 7.1.7): sends a close frame with the reason after queued data,
    /// which may respond to messages that preceded the violation.
    fn fail(&mut self, code: u16, error: Error) -> SessionEvent<'static> {
        if !self.close_sent {
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

    /// Ends the session when the connection is lost; returns the previous state.
    fn abandon(&mut self) -> State {
        let state = std::mem::replace(&mut self.state, State::Done);
        (self.deadline, self.stalled_since) = (None, None);
        if let Some(sending) = self.sending.allocated() {
            sending.abandon();
        }
        state
    }
}

fn refused(step: HandshakeStep) -> SessionEvent<'static> {
    match step {
        HandshakeStep::Refused { error, head, body } => SessionEvent::Refused { error, head, body },
        HandshakeStep::NeedMore | HandshakeStep::Upgraded { .. } => SessionEvent::Idle,
    }
}
