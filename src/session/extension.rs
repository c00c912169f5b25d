//! The caller's extensions (RFC 6455 section 9), applied in the order in which they were added.
//!
//! ```text
//!   sending    message ──► first ──► second ──► … ──► permessage-deflate ──► frames
//!   receiving  message ◄── first ◄── second ◄── … ◄── permessage-deflate ◄── frames
//! ```
//!
//! Each extension uses reserved bits, which mark the messages that it has transformed; one without reserved
//! bits transforms every message. Two extensions that use the same bit cannot be negotiated together.
//!
//! An external extension is run by the program, outside of the library: its messages are sent with its reserved
//! bits, and received ones are delivered as they are, with their reserved bits.

use std::sync::Arc;

use super::MessageType;
use crate::buffer::Segment;
use crate::error::CallError;
use crate::wire::extensions::{ExtensionParams, parse_extensions};
use crate::wire::frame::RSV1;
use crate::wire::upgrade::UpgradeError;

/// Describes the payload that an extension gets: a whole message or a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// The type of the message.
    pub message_type: MessageType,
    /// Whether it begins the message.
    pub is_first: bool,
    /// Whether it ends the message.
    pub is_final: bool,
    /// The reserved bits of the message's first frame: RSV1 = 4, RSV2 = 2, RSV3 = 1.
    pub rsv: u8,
}

/// Your own WebSocket extension, for [`Socket::add_extension`](crate::Socket::add_extension).
///
/// Its methods run on worker threads, one call at a time for each connection. An error ends the connection.
pub trait Extension: Send + Sync {
    /// Returns the reserved bits that it uses: RSV1 = 4, RSV2 = 2, RSV3 = 1.
    fn rsv(&self) -> u8;
    /// Returns its element for `Sec-WebSocket-Extensions`, or `None` to not offer it on this connection.
    fn offer(&self) -> Option<String>;
    /// Called when the server accepted the extension with this element.
    fn accept(&self, element: &str) -> Result<(), String>;
    /// Returns the reserved bits to set for a message to send. If it uses reserved bits and returns 0, the
    /// message is sent unchanged.
    fn mark(&self, piece: Piece) -> Result<u8, String>;
    /// Encodes a whole message to send; `None` leaves it unchanged.
    fn encode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String>;
    /// Decodes a received message, or a fragment when fragments are delivered one by one; `None` leaves it
    /// unchanged.
    fn decode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String>;
    /// Returns whether the program encodes and decodes outside of the library: see [`ExternalExtension`].
    fn is_external(&self) -> bool {
        false
    }
}

/// An extension whose messages the program encodes and decodes itself, on a thread of its choice, for
/// [`Socket::add_extension`](crate::Socket::add_extension).
///
/// Encode a message, then send it with the reserved bits in [`SendFlags::rsv`](crate::SendFlags::rsv). A received
/// message that has any of the bits is delivered as an [`EventKind::Encoded`](crate::EventKind::Encoded), complete,
/// decompressed, and not validated as UTF-8. Extensions that are added before it do not see such messages.
#[derive(Clone, Debug)]
pub struct ExternalExtension {
    offer: String,
    rsv: u8,
}

impl ExternalExtension {
    /// Creates an extension with its element for `Sec-WebSocket-Extensions` and its reserved bits: RSV1 = 4,
    /// RSV2 = 2, RSV3 = 1; at least one.
    pub fn new(offer: &str, rsv: u8) -> Result<Self, CallError> {
        if !(1..=7).contains(&rsv) {
            return Err(CallError::argument("the reserved bits must be a combination of 4, 2 and 1"));
        }
        if offered_name(offer).is_none() {
            return Err(CallError::argument("the offer is not a valid element of Sec-WebSocket-Extensions"));
        }
        Ok(Self { offer: offer.to_owned(), rsv })
    }
}

impl Extension for ExternalExtension {
    fn rsv(&self) -> u8 {
        self.rsv
    }

    fn offer(&self) -> Option<String> {
        Some(self.offer.clone())
    }

    fn accept(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn mark(&self, _: Piece) -> Result<u8, String> {
        Ok(0)
    }

    fn encode(&self, _: Piece, _: &[u8]) -> Result<Option<Segment>, String> {
        Ok(None)
    }

    fn decode(&self, _: Piece, _: &[u8]) -> Result<Option<Segment>, String> {
        Ok(None)
    }

    fn is_external(&self) -> bool {
        true
    }
}

/// Returns the name in an offer, which may contain several sets of parameters.
pub fn offered_name(element: &str) -> Option<String> {
    let is_plain = element.bytes().all(|byte| (0x20..0x7F).contains(&byte));
    let offers = parse_extensions(element).ok().filter(|_| is_plain)?;
    let name = offers.first()?.name.clone();
    offers.iter().all(|offer| offer.name == name).then_some(name)
}

/// The negotiated extensions of one connection.
#[derive(Default)]
pub struct Chain {
    extensions: Vec<Arc<dyn Extension>>,
    rsv: u8,
    /// The reserved bits of external extensions.
    external: u8,
    /// One of them transforms messages without reserved bits.
    always: bool,
}

impl Chain {
    /// Adds the extension that the server accepted, if it is one of `offered`; returns whether it was.
    pub fn accept(
        &mut self,
        offered: &[(String, Arc<dyn Extension>)],
        response: &ExtensionParams,
        element: &str,
        deflate: bool,
    ) -> Result<bool, UpgradeError> {
        let Some((name, extension)) =
            offered.iter().find(|(name, _)| name.eq_ignore_ascii_case(&response.name))
        else {
            return Ok(false);
        };
        let failed = |problem: String| UpgradeError::Extension { name: name.clone(), problem };
        let taken = self.rsv | if deflate { RSV1 } else { 0 };
        if extension.rsv() & taken != 0 {
            return Err(failed("it uses a reserved bit that another extension uses".into()));
        }
        extension.accept(element).map_err(failed)?;
        self.rsv |= extension.rsv();
        self.external |= if extension.is_external() { extension.rsv() } else { 0 };
        self.always |= extension.rsv() == 0;
        self.extensions.push(extension.clone());
        Ok(true)
    }

    pub fn is_empty(&self) -> bool {
        self.extensions.is_empty()
    }

    pub fn rsv(&self) -> u8 {
        self.rsv
    }

    /// Returns the reserved bits of messages that the program decodes.
    pub fn external(&self) -> u8 {
        self.external
    }

    /// Returns whether messages without reserved bits are transformed too.
    pub fn is_always(&self) -> bool {
        self.always
    }

    /// Encodes an outgoing message; also returns its reserved bits. `rsv`: those that the program has set.
    pub fn encode(
        &self,
        message_type: MessageType,
        mut payload: Segment,
        rsv: u8,
    ) -> Result<(Segment, u8), String> {
        if rsv & !self.external != 0 {
            return Err("a message has reserved bits of an extension that the server has not accepted".into());
        }
        let mut piece = Piece { message_type, is_first: true, is_final: true, rsv };
        for extension in &self.extensions[self.after_external(rsv)..] {
            let own = extension.rsv();
            let mark = extension.mark(piece)?;
            if mark & !own != 0 {
                return Err("it set a reserved bit that it does not use".into());
            }
            if mark != 0 || own == 0 {
                piece.rsv |= mark;
                if let Some(changed) = extension.encode(piece, payload.as_slice())? {
                    payload = changed;
                }
            }
        }
        Ok((payload, piece.rsv))
    }

    /// Decodes a received message, or a fragment.
    pub fn decode(&self, piece: Piece, mut payload: Segment) -> Result<Segment, String> {
        for extension in self.extensions[self.after_external(piece.rsv)..].iter().rev() {
            let own = extension.rsv();
            if (own == 0 || piece.rsv & own != 0)
                && let Some(changed) = extension.decode(piece, payload.as_slice())?
            {
                payload = changed;
            }
        }
        Ok(payload)
    }

    /// Returns the index after the last external extension that has encoded a message with these reserved bits.
    fn after_external(&self, rsv: u8) -> usize {
        let is_encoder =
            |extension: &Arc<dyn Extension>| extension.is_external() && extension.rsv() & rsv != 0;
        self.extensions.iter().rposition(is_encoder).map_or(0, |index| index + 1)
    }
}
