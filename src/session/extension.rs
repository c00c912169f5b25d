//! Extensions of the caller's own (RFC 6455 section 9), in the order in which they were added.
//!
//! ```text
//!   sending    message ─> first ─> second ─> … ─> permessage-deflate ─> frames
//!   receiving  message <─ first <─ second <─ … <─ permessage-deflate <─ frames
//! ```
//!
//! Each owns some of the reserved bits, which mark the messages that it has changed; one that owns
//! none changes every message. Two that own the same bit cannot be agreed on together.

use std::sync::Arc;

use super::MessageType;
use crate::buffer::Segment;
use crate::wire::extensions::ExtensionParams;
use crate::wire::frame::RSV1;
use crate::wire::upgrade::UpgradeError;

/// Describes the payload that an extension gets: a whole message or a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One extension. Called on worker threads, one call at a time for a connection.
pub trait Extension: Send + Sync {
    /// The reserved bits that it owns.
    fn rsv(&self) -> u8;
    /// Its element for `Sec-WebSocket-Extensions`, unless it does not want to be offered now.
    fn offer(&self) -> Option<String>;
    /// The server has accepted it, with this element. An error ends the attempt.
    fn accept(&self, element: &str) -> Result<(), String>;
    /// The reserved bits to set for a message that is to be sent; none leaves it as it is.
    fn mark(&self, piece: Piece) -> Result<u8, String>;
    /// A whole message on its way out; none is no change.
    fn encode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String>;
    /// A whole message on its way in, or a fragment where fragments are passed on one by one.
    fn decode(&self, piece: Piece, payload: &[u8]) -> Result<Option<Segment>, String>;
}

/// The extensions that were agreed on for one connection.
#[derive(Default)]
pub struct Chain {
    extensions: Vec<Arc<dyn Extension>>,
    rsv: u8,
    /// One of them changes messages that nothing marks.
    always: bool,
}

impl Chain {
    /// Adds what the server accepted, if one of `offered` is meant. Whether one was.
    pub fn agree(
        &mut self,
        offered: &[(String, Arc<dyn Extension>)],
        answer: &ExtensionParams,
        element: &str,
        deflate: bool,
    ) -> Result<bool, UpgradeError> {
        let Some((name, extension)) =
            offered.iter().find(|(name, _)| name.eq_ignore_ascii_case(&answer.name))
        else {
            return Ok(false);
        };
        let failed = |problem: String| UpgradeError::Extension { name: name.clone(), problem };
        let taken = self.rsv | if deflate { RSV1 } else { 0 };
        if extension.rsv() & taken != 0 {
            return Err(failed("it owns a reserved bit that another extension owns already".into()));
        }
        extension.accept(element).map_err(failed)?;
        self.rsv |= extension.rsv();
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

    /// Whether messages without reserved bits are changed too.
    pub fn is_always(&self) -> bool {
        self.always
    }

    /// A message on its way out; also the reserved bits that mark it.
    pub fn encode(&self, message_type: MessageType, mut payload: Segment) -> Result<(Segment, u8), String> {
        let mut piece = Piece { message_type, is_first: true, is_final: true, rsv: 0 };
        for extension in &self.extensions {
            let own = extension.rsv();
            let mark = extension.mark(piece)?;
            if mark & !own != 0 {
                return Err("it set a reserved bit that it does not own".into());
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

    /// A message, or a fragment, on its way in.
    pub fn decode(&self, piece: Piece, mut payload: Segment) -> Result<Segment, String> {
        for extension in self.extensions.iter().rev() {
            let own = extension.rsv();
            if (own == 0 || piece.rsv & own != 0)
                && let Some(changed) = extension.decode(piece, payload.as_slice())?
            {
                payload = changed;
            }
        }
        Ok(payload)
    }
}
