//! Send functions. They queue messages and never block.

use crate::buffer::{OutOfMemory, Segment};
use crate::capabilities::{Capability, require};
use crate::clock::Instant;
use crate::engine::library;
use crate::engine::shared::commands::MAX_WAITING_PINGS;
use crate::engine::shared::random;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::sockets;
use crate::engine::shared::state::State;
use crate::error::{CallError, Code};
use crate::fault;
use crate::limits::{MAX_CONTROL_PAYLOAD, MAX_MESSAGE_SIZE_CEILING};
use crate::session::lanes::{Lane, LaneStats, Waiting};
use crate::session::{MessageType, Outbox};
use crate::sync::lock;
use crate::wire::utf8;
use std::time::Duration;

/// Options of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// Sends the message uncompressed even if compression was negotiated: for data that is compressed
    /// already.
    pub uncompressed: bool,
    /// The reserved bits of a message that the program has encoded: RSV1 = 4, RSV2 = 2, RSV3 = 1; else 0. They must
    /// belong to an [`ExternalExtension`](crate::ExternalExtension) of the socket. If the server has not accepted it,
    /// the message ends the connection with [`ErrorKind::Extension`](crate::ErrorKind::Extension).
    pub rsv: u8,
}

/// The payload of a message.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// Is copied.
    Bytes(&'a [u8]),
    /// Is taken over, and masked in place if no other segment refers to the same block.
    Segment(Segment),
}

/// How a message is queued, for [`Socket::send_message`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Options of the message itself.
    pub flags: SendFlags,
    /// The lane, from 0; see [`Socket::set_lanes`].
    pub lane: u32,
    /// If not 0, takes the place of the waiting message with the same key in this lane, which is dropped. The place
    /// stays the same, so that a key that is replaced often is not delayed.
    pub key: u64,
    /// Drops the message if it has not begun by then. The worker checks this about as exactly as its other timers.
    pub time_to_live: Option<Duration>,
    /// If not 0, [`on_sent`](Socket::on_sent) reports once what became of the message, before the terminal event.
    pub tag: u64,
}

/// What a longer time to live is taken for, as no message waits for that long: a hundred years.
const MAX_TIME_TO_LIVE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Socket {
    /// Queues a text message. The text is copied once, and masked in the same pass.
    ///
    /// Returns [`InvalidState`](Code::InvalidState) unless the socket is open (or connecting with
    /// [`Reconnect::queue_sends`](crate::Reconnect::queue_sends)), [`WouldBlock`](Code::WouldBlock) when the
    /// send queue is at its limit (see [`set_max_buffered_amount`](Socket::set_max_buffered_amount)) and
    /// [`TooLarge`](Code::TooLarge) above 1 GiB.
    pub fn send_text(&self, text: &str) -> Result<(), CallError> {
        self.send_text_with(text, SendFlags::default())
    }

    /// Queues a text message with options. Otherwise like [`send_text`](Socket::send_text).
    pub fn send_text_with(&self, text: &str, flags: SendFlags) -> Result<(), CallError> {
        self.send(MessageType::Text, text.as_bytes(), flags)
    }

    /// Queues a binary message. Copies `data` once; results as for [`send_text`](Socket::send_text).
    ///
    /// Above 64 KiB, [`send_binary_segment`](Socket::send_binary_segment) avoids the copy.
    pub fn send_binary(&self, data: &[u8]) -> Result<(), CallError> {
        self.send_binary_with(data, SendFlags::default())
    }

    /// Queues a binary message with options. Otherwise like [`send_binary`](Socket::send_binary).
    pub fn send_binary_with(&self, data: &[u8], flags: SendFlags) -> Result<(), CallError> {
        self.send(MessageType::Binary, data, flags)
    }

    /// Queues a segment as a text message without a copy. Consumes the segment even on failure.
    ///
    /// Returns [`InvalidUtf8`](Code::InvalidUtf8) if it is not UTF-8; other results as for
    /// [`send_text`](Socket::send_text).
    pub fn send_text_segment(&self, segment: Segment) -> Result<(), CallError> {
        if !utf8::valid(segment.as_slice()) {
            return Err(CallError::new(Code::InvalidUtf8, "the text is not UTF-8; nothing was queued"));
        }
        self.send_segment(MessageType::Text, segment)
    }

    /// Queues a segment as a binary message without a copy. Consumes the segment even on failure.
    ///
    /// The payload is masked in place if no other segment refers to the same block, else copied when it is
    /// sent. Results as for [`send_text`](Socket::send_text).
    pub fn send_binary_segment(&self, segment: Segment) -> Result<(), CallError> {
        self.send_segment(MessageType::Binary, segment)
    }

    /// Sends a ping with a payload of at most 125 bytes. The pong runs [`on_pong`](Socket::on_pong).
    ///
    /// Returns [`WouldBlock`](Code::WouldBlock) when 16 pings are queued.
    ///
    /// Needs [`Capability::Ping`].
    pub fn ping(&self, payload: &[u8]) -> Result<(), CallError> {
        require(Capability::Ping)?;
        self.check_not_destroyed()?;
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(CallError::new(
                Code::TooLarge,
                "a ping payload must be at most 125 bytes (RFC 6455 section 5.5)",
            ));
        }
        let payload = Segment::copy_of(payload).map_err(|_| CallError::out_of_memory())?;
        let mut to_worker = lock(&self.0.to_worker);
        if self.0.state() != State::Open {
            return Err(CallError::state("the socket is not open: pings can be sent after the event open"));
        }
        let waiting = &mut to_worker.commands().user_pings;
        if waiting.len() >= MAX_WAITING_PINGS {
            return Err(CallError::new(Code::WouldBlock, "too many pings are queued; this one was not"));
        }
        waiting.push_back(payload);
        drop(to_worker);
        self.0.notify();
        Ok(())
    }

    /// Returns how many payload bytes are queued and not yet handed to the network.
    pub fn buffered_amount(&self) -> usize {
        library::drive();
        self.0.buffered.get()
    }

    /// Sets the limit of the send queue in bytes (default 64 MiB). Takes effect at any time.
    ///
    /// Once the queue has reached it, sends return [`WouldBlock`](Code::WouldBlock) and queue nothing. One
    /// message may exceed it.
    pub fn set_max_buffered_amount(&self, bytes: usize) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        self.0.set_max_buffered(bytes.max(1));
        Ok(())
    }

    /// Queues a message with options, in a lane of the socket.
    ///
    /// From the first call on, or from [`set_lanes`](Socket::set_lanes), all messages of the socket wait in its lanes
    /// until they begin: until their first byte is prepared for the network. At most 16 KiB are prepared ahead, so a
    /// message of a lane with a lower priority number overtakes all but these. A message that has begun is completed
    /// first (RFC 6455 section 5.4), so send large data in parts.
    ///
    /// Returns [`InvalidArgument`](Code::InvalidArgument) for a lane that the socket does not have,
    /// [`InvalidUtf8`](Code::InvalidUtf8) for a text that is not UTF-8, [`WouldBlock`](Code::WouldBlock) also if the
    /// lane is at its limit, 65,536 messages wait, or the event queue has no room for the outcome of a message with a
    /// tag; other results as for [`send_text`](Socket::send_text). A segment is consumed even on failure.
    pub fn send_message(
        &self,
        message_type: MessageType,
        content: Content<'_>,
        options: SendOptions,
    ) -> Result<(), CallError> {
        let bytes = match &content {
            Content::Bytes(bytes) => bytes,
            Content::Segment(segment) => segment.as_slice(),
        };
        check_size(bytes.len())?;
        self.check_rsv(options.flags)?;
        if message_type == MessageType::Text && options.flags.rsv == 0 && !utf8::valid(bytes) {
            return Err(CallError::new(Code::InvalidUtf8, "the text is not UTF-8; nothing was queued"));
        }
        self.check_not_destroyed()?;
        fault::point("client.send");
        let payload = match content {
            Content::Bytes(bytes) => Segment::copy_of(bytes).map_err(|_| CallError::out_of_memory())?,
            Content::Segment(segment) => segment,
        };
        let queued = Instant::now();
        let message = Waiting {
            message_type,
            fragment_size: self.0.fragment_size(),
            uncompressed: options.flags.uncompressed,
            rsv: options.flags.rsv,
            payload,
            key: options.key,
            tag: options.tag,
            expires: options.time_to_live.map(|time| queued + time.min(MAX_TIME_TO_LIVE)),
            queued,
        };
        self.0.send_in_lane(options.lane as usize, message)
    }

    /// Sets the lanes of the socket, at most 8; none is the same as one with the defaults. Takes effect at any time.
    ///
    /// All other send functions use lane 0. Waiting messages stay in their lanes; a lane that has any cannot be removed
    /// ([`InvalidState`](Code::InvalidState)). Lanes of equal priority share the connection by weight, counted in bytes
    /// with frame headers; an idle lane earns no credit.
    pub fn set_lanes(&self, lanes: &[Lane]) -> Result<(), CallError> {
        self.check_not_destroyed()?;
        self.0.set_lanes(lanes)
    }

    /// Returns the counts of a lane, over all connections of the socket.
    ///
    /// Returns [`InvalidArgument`](Code::InvalidArgument) for a lane that the socket does not have.
    pub fn lane_stats(&self, lane: u32) -> Result<LaneStats, CallError> {
        self.check_not_destroyed()?;
        let to_worker = lock(&self.0.to_worker);
        let stats = match &to_worker.outbox.lanes {
            Some(lanes) => lanes.stats(lane as usize, Instant::now()),
            None => (lane == 0).then(LaneStats::default),
        };
        stats.ok_or_else(|| CallError::argument(format!("lane {lane} does not exist")))
    }

    fn send(&self, message_type: MessageType, payload: &[u8], flags: SendFlags) -> Result<(), CallError> {
        if self.0.uses_lanes() {
            let options = SendOptions { flags, ..SendOptions::default() };
            return self.send_message(message_type, Content::Bytes(payload), options);
        }
        check_size(payload.len())?;
        self.check_rsv(flags)?;
        fault::point("client.send");
        self.check_not_destroyed()?;
        self.0.send(push_to(message_type, payload, flags), payload.len())
    }

    /// Checks that the reserved bits belong to external extensions of the socket.
    fn check_rsv(&self, flags: SendFlags) -> Result<(), CallError> {
        if flags.rsv == 0 {
            return Ok(());
        }
        let settings = lock(&self.0.settings);
        let external = settings.extensions.iter().filter(|extension| extension.is_external());
        if flags.rsv & !external.fold(0, |bits, extension| bits | extension.rsv()) != 0 {
            return Err(CallError::argument("no external extension of the socket uses these reserved bits"));
        }
        Ok(())
    }

    fn send_segment(&self, message_type: MessageType, segment: Segment) -> Result<(), CallError> {
        if self.0.uses_lanes() {
            return self.send_message(message_type, Content::Segment(segment), SendOptions::default());
        }
        let len = segment.len();
        check_size(len)?;
        let push = |outbox: &mut Outbox, fragment_size| {
            outbox.push_segment(message_type, segment, fragment_size, &mut random::next_key)
        };
        self.check_not_destroyed()?;
        self.0.send(push, len)
    }
}

/// Sends a text message of the socket with this ID; see [`send`].
pub(crate) fn send_text(id: u64, text: &str, flags: SendFlags) -> Result<(), CallError> {
    send(id, MessageType::Text, text.as_bytes(), flags)
}

/// Sends a text message that the program has encoded, so that it is not UTF-8; see [`send`].
pub(crate) fn send_encoded_text(id: u64, data: &[u8], flags: SendFlags) -> Result<(), CallError> {
    send(id, MessageType::Text, data, flags)
}

/// Sends a binary message of the socket with this ID; see [`send`].
pub(crate) fn send_binary(id: u64, data: &[u8], flags: SendFlags) -> Result<(), CallError> {
    send(id, MessageType::Binary, data, flags)
}

/// Does the same as [`Socket::from_id`] and a send function of the socket. Usually takes no lock but that of the queue,
/// and no reference to the socket: locked instructions are the largest part of the cost of a small send.
fn send(id: u64, message_type: MessageType, payload: &[u8], flags: SendFlags) -> Result<(), CallError> {
    fault::point("client.send");
    if flags.rsv == 0 && check_size(payload.len()).is_ok() {
        let queued = sockets::with_queue(id, |socket, to_worker| {
            let queued = socket.try_send(to_worker, push_to(message_type, payload, flags), payload.len())?;
            // The worker is notified, or a failure is reported, without the lock.
            let after = !matches!(queued, Ok(false));
            Some((queued, after.then(|| socket.clone())))
        });
        match queued.flatten() {
            Some((Ok(_), None)) => return Ok(()),
            Some((Ok(_), Some(socket))) => {
                socket.notify();
                return Ok(());
            }
            Some((Err(failure), Some(socket))) => return Err(socket.report(failure)),
            // Waits for the lock, or returns why the message is rejected.
            Some((Err(_), None)) | None => {}
        }
    }
    Socket::from_id(id)?.send(message_type, payload, flags)
}

/// Returns what copies a message into the send queue.
fn push_to(
    message_type: MessageType,
    payload: &[u8],
    flags: SendFlags,
) -> impl FnOnce(&mut Outbox, usize) -> Result<(), OutOfMemory> {
    move |outbox, fragment_size| {
        if flags.rsv != 0 {
            outbox.push_encoded(message_type, payload, fragment_size, flags.uncompressed, flags.rsv)
        } else if flags.uncompressed {
            outbox.push_uncompressed(message_type, payload, fragment_size, &mut random::next_key)
        } else {
            outbox.push(message_type, payload, fragment_size, &mut random::next_key)
        }
    }
}

fn check_size(len: usize) -> Result<(), CallError> {
    // Framing must fit beside the payload in one block.
    if len > MAX_MESSAGE_SIZE_CEILING / 2 {
        return Err(CallError::new(Code::TooLarge, "the message must be less than 1 GiB"));
    }
    Ok(())
}
