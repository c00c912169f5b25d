//! Sending: copied into the queue, or handed over. Never waits for the network.

use crate::buffer::Segment;
use crate::engine::shared::commands::MAX_WAITING_PINGS;
use crate::engine::shared::random;
use crate::engine::shared::socket::Socket;
use crate::engine::shared::state::State;
use crate::error::{CallError, Code};
use crate::fault;
use crate::limits::{MAX_CONTROL_PAYLOAD, MAX_MESSAGE_SIZE_CEILING};
use crate::session::MessageType;
use crate::sync::lock;
use crate::wire::utf8;
use std::sync::atomic::Ordering;

/// What is special about one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// Send it as it is, though compression was agreed on: for what is compressed already.
    pub uncompressed: bool,
}

impl Socket {
    pub fn send_text(&self, text: &str) -> Result<(), CallError> {
        self.send_text_with(text, SendFlags::default())
    }

    pub fn send_text_with(&self, text: &str, flags: SendFlags) -> Result<(), CallError> {
        self.send(MessageType::Text, text.as_bytes(), flags)
    }

    pub fn send_binary(&self, data: &[u8]) -> Result<(), CallError> {
        self.send_binary_with(data, SendFlags::default())
    }

    pub fn send_binary_with(&self, data: &[u8], flags: SendFlags) -> Result<(), CallError> {
        self.send(MessageType::Binary, data, flags)
    }

    /// Sends a segment as text, which is checked. The segment is gone whatever the result.
    pub fn send_text_segment(&self, segment: Segment) -> Result<(), CallError> {
        if !utf8::valid(segment.as_slice()) {
            return Err(CallError::new(Code::InvalidUtf8, "the text is not UTF-8; nothing was queued"));
        }
        self.send_segment(MessageType::Text, segment)
    }

    /// Sends a segment, masked where it lies if nobody else holds its block. The segment is gone
    /// whatever the result.
    pub fn send_binary_segment(&self, segment: Segment) -> Result<(), CallError> {
        self.send_segment(MessageType::Binary, segment)
    }

    /// A ping of the caller's own, of at most 125 bytes.
    pub fn ping(&self, payload: &[u8]) -> Result<(), CallError> {
        self.living()?;
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(CallError::new(
                Code::TooLarge,
                "a ping has at most 125 bytes (RFC 6455 section 5.5)",
            ));
        }
        let payload = Segment::copy_of(payload).map_err(|_| CallError::out_of_memory())?;
        let mut to_worker = lock(&self.0.to_worker);
        if self.0.state() != State::Open {
            return Err(CallError::state("the socket is not open"));
        }
        let waiting = &mut to_worker.commands().user_pings;
        if waiting.len() >= MAX_WAITING_PINGS {
            return Err(CallError::new(
                Code::WouldBlock,
                "too many pings wait to be sent; nothing was queued",
            ));
        }
        waiting.push_back(payload);
        drop(to_worker);
        self.0.notify();
        Ok(())
    }

    /// Payload bytes that were accepted and are not yet with the network.
    pub fn buffered_amount(&self) -> usize {
        self.0.buffered.load(Ordering::Relaxed)
    }

    /// Past it sends give `WouldBlock` and queue nothing. It may be exceeded by one message.
    pub fn set_max_buffered_amount(&self, bytes: usize) -> Result<(), CallError> {
        self.living()?;
        self.0.max_buffered.store(bytes.max(1), Ordering::Relaxed);
        Ok(())
    }

    fn send(&self, message_type: MessageType, payload: &[u8], flags: SendFlags) -> Result<(), CallError> {
        check_size(payload.len())?;
        fault::point("client.send");
        let push = |outbox: &mut crate::session::Outbox, fragment_size| {
            if flags.uncompressed {
                outbox.push_uncompressed(message_type, payload, fragment_size, &mut random::next_key)
            } else {
                outbox.push(message_type, payload, fragment_size, &mut random::next_key)
            }
        };
        self.living()?;
        self.0.send(push, payload.len())
    }

    fn send_segment(&self, message_type: MessageType, segment: Segment) -> Result<(), CallError> {
        let len = segment.len();
        check_size(len)?;
        let push = |outbox: &mut crate::session::Outbox, fragment_size| {
            outbox.push_segment(message_type, segment, fragment_size, &mut random::next_key)
        };
        self.living()?;
        self.0.send(push, len)
    }
}

fn check_size(len: usize) -> Result<(), CallError> {
    // Framing must fit beside the payload in one block.
    if len > MAX_MESSAGE_SIZE_CEILING / 2 {
        return Err(CallError::new(Code::TooLarge, "a message has at most 1 GiB"));
    }
    Ok(())
}
