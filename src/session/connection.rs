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

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use self::offer::{Extended, Offer};
use super::extension::{Extension, Piece};
use super::handshake::{Handshake, HandshakeStep};
use super::inbound::{Inbound, Item, Payload, ReceiveError, Scratch};
use super::keepalive::{Keepalive, PingSettings};
use super::lanes::Begun;
use super::outbox::{Entry, MessageEncoding, Outbox};
use super::sending::{MAX_SLICES, Sending, Unsent, Wrote};
use super::{MaskKeys, MessageType};
use crate::buffer::{OutOfMemory, Segment};
use crate::clock::Instant;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::{LANE_AHEAD, MAX_CONTROL_PAYLOAD, RESPONSE_BODY_TIMEOUT};
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
    close_timeout: Duration,
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
            close_timeout: settings.close_timeout,
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

    // ------------------------------------------------------------------ sending

    /// Takes the entries that callers have queued; starts a write turn. Of lanes it takes what begins now. Returns the
    /// payload bytes of messages that have expired.
    pub fn take_from(&mut self, outbox: &mut Outbox, now: Instant) -> usize {
        self.take_up_to(LANE_AHEAD, outbox, now)
    }

    /// Takes entries; of lanes until this many bytes are pending.
    fn take_up_to(&mut self, ahead: usize, outbox: &mut Outbox, now: Instant) -> usize {
        let mut dropped = 0;
        self.rest.turn = Some(now);
        match self.rest.state {
            State::Open | State::Closing => {
                if !outbox.is_empty() {
                    outbox.take(self.rest.sending.entries());
                }
                if outbox.lanes.is_some() {
                    let room = ahead.saturating_sub(self.rest.sending.pending());
                    dropped = outbox.take_from_lanes(self.rest.sending.lane_entries(), room, now);
                }
                if outbox.is_closed() && matches!(self.rest.state, State::Open) {
                    self.rest.state = State::Closing;
                    self.rest.deadline = Some(now + self.rest.close_timeout);
                }
            }
            // Entries queued before a pending close frame are still sent.
            State::Done if self.rest.sending.is_ending() => {
                outbox.take(self.rest.sending.entries());
                self.rest.sending.drop_close();
            }
            State::Handshake(_) | State::Done => {}
        }
        dropped
    }

    /// Whether [`take_from`](Self::take_from) takes messages.
    pub fn takes_messages(&self) -> bool {
        matches!(self.rest.state, State::Open | State::Closing)
    }

    /// Moves the messages of lanes that were written, or dropped, with whether they were written.
    #[inline]
    pub fn take_ended(&mut self, into: &mut Vec<(Begun, bool)>) {
        if let Some(sending) = self.rest.sending.allocated() {
            sending.take_ended(into);
        }
    }

    /// Counts the messages of lanes that are not written as dropped: the connection has ended.
    pub fn lose_messages(&mut self) {
        if let Some(sending) = self.rest.sending.allocated() {
            sending.lose_messages();
        }
    }

    /// Moves the messages of which nothing was prepared for the network to the session that replaces this
    /// one, in order. Returns the payload bytes that remain.
    pub fn move_unsent_to(&mut self, successor: &mut Session) -> usize {
        let mut entries = self.rest.sending.take_unprepared();
        let queued: usize = entries.iter().map(Entry::payload_len).sum();
        let (mut fits, mut lost) = (true, Vec::new());
        entries.retain(|entry| {
            match entry {
                // That of a lane's message follows it.
                Entry::End(begun) if !fits => lost.push(*begun),
                Entry::End(_) => {}
                entry => fits = entry.fits(successor.encoding),
            }
            fits
        });
        self.rest.sending.messages_dropped(&lost);
        let moved: usize = entries.iter().map(Entry::payload_len).sum();
        successor.rest.sending.entries().append(&mut entries);
        self.queued_payload() + queued - moved
    }

    /// Holds the close frame for a violation until [`release_close`](Self::release_close). Returns false if
    /// there is none.
    pub fn hold_close(&mut self) -> bool {
        self.rest.sending.hold_close()
    }

    /// Takes the queued entries for the last time, then releases the held close frame, which follows them.
    pub fn release_close(&mut self, outbox: &mut Outbox, now: Instant) {
        self.take_from(outbox, now);
        self.rest.sending.release_close();
    }

    pub fn has_to_write(&self) -> bool {
        !self.rest.sending.is_empty()
    }

    /// Prepares the next bytes to write.
    pub fn prepare(&mut self, keys: &mut impl MaskKeys) -> Result<(), Error> {
        crate::fault::point("session.send");
        self.rest.sending.prepare(keys).map_err(|unsent| match unsent {
            Unsent::OutOfMemory => {
                Error::new(ErrorKind::Internal, self.rest.phase(), "out of memory while sending")
            }
            Unsent::Extension(problem) => {
                let message = format!("an extension failed on an outgoing message: {problem}");
                Error::new(ErrorKind::Extension, self.rest.phase(), message)
            }
        })
    }

    /// Collects the prepared bytes for one vectored write; returns the number of slices.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        self.rest.sending.gather(slices)
    }

    /// Returns the messages of lanes that end within the next `count` bytes to write, with the positions of their ends.
    pub fn lane_messages_within(&self, count: usize) -> impl Iterator<Item = (usize, Begun)> {
        self.rest.sending.lane_messages_within(count)
    }

    /// Records that `count` bytes were written in the turn started by [`take_from`](Self::take_from). 0 means
    /// that a lower layer made progress with bytes that it had accepted before.
    pub fn wrote(&mut self, count: usize) -> Wrote {
        self.rest.stalled_since = None;
        let wrote = self.rest.sending.wrote(count);
        // The close timeout starts when the close frame is written, so data before it extends the deadline.
        if matches!(self.rest.state, State::Closing) && !self.rest.close_sent {
            self.rest.deadline = self.rest.turn.map(|turn| turn + self.rest.close_timeout);
        }
        self.rest.close_sent |= wrote.close;
        wrote
    }

    /// Records that the write would block.
    pub fn write_blocked(&mut self, now: Instant) {
        self.rest.stalled_since.get_or_insert(now);
    }

    /// Ends the session without further events: discards queued data and sends a close frame.
    pub fn discard_and_close(&mut self, outbox: &mut Outbox) {
        outbox.close();
        if !self.rest.close_sent && matches!(self.rest.state, State::Open | State::Closing) {
            self.rest.sending.close_now(&GOING_AWAY.to_be_bytes());
        }
        self.rest.sending.release_close();
        self.rest.finish();
    }

    /// Ends the session without further events: sends queued data, then a close frame.
    pub fn drain_and_close(&mut self, outbox: &mut Outbox, now: Instant) {
        self.take_up_to(usize::MAX, outbox, now);
        outbox.close();
        // The close frame of a violation that the game has not processed.
        self.rest.sending.release_close();
        if matches!(self.rest.state, State::Open) {
            self.rest.sending.close_last(&GOING_AWAY.to_be_bytes());
        }
        self.rest.finish();
    }

    /// Returns the caller's payload bytes that are not written yet.
    pub fn queued_payload(&self) -> usize {
        self.rest.sending.queued_payload()
    }

    /// Ends the handshake after a timeout; returns the refusal if its head was received.
    pub fn cancel_handshake(&mut self) -> SessionEvent<'static> {
        match &self.rest.state {
            State::Handshake(handshake) if handshake.is_refused() => self.rest.timed_out(),
            _ => SessionEvent::Idle,
        }
    }

    /// Sends a ping of the caller.
    pub fn ping(&mut self, payload: &[u8]) {
        if matches!(self.rest.state, State::Open) {
            self.rest.pings_sent += 1;
            self.rest.sending.ping(payload);
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
