//! Sending: what is taken from the callers, written, moved to a successor, and dropped at the end.

use std::io::IoSlice;

use super::{GOING_AWAY, Session, SessionEvent, State};
use crate::clock::Instant;
use crate::error::{Error, ErrorKind};
use crate::limits::LANE_AHEAD;
use crate::session::MaskKeys;
use crate::session::lanes::Begun;
use crate::session::outbox::{Entry, Outbox};
use crate::session::sending::{MAX_SLICES, Unsent, Wrote};

impl Session {
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
                    self.rest.deadline = Some(now + self.rest.close_timeout());
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
            self.rest.deadline = self.rest.turn.map(|turn| turn + self.rest.close_timeout());
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
}
