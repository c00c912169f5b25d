//! Extensions: applying the server's response, and decoding received messages.

use std::sync::Arc;

use super::super::MessageType;
use super::super::extension::{Chain, Piece};
use super::offer::Extended;
use super::{Rest, Session, SessionEvent};
use crate::buffer::Segment;
use crate::error::{Error, ErrorKind};
use crate::wire::deflate::{Deflater, EXTENSION_NAME, Inflater};
use crate::wire::extensions::{ExtensionParams, parse_extensions};
use crate::wire::frame::RSV1;
use crate::wire::upgrade::UpgradeError;
use crate::wire::utf8::Utf8Stream;
use crate::wire::violation::Violation;

impl Session {
    /// Applies the extensions that the server accepted.
    pub(super) fn apply_extensions(&mut self, extensions: &str) -> Result<(), UpgradeError> {
        let Some(offer) = self.offer.take() else { return Ok(()) };
        let mut chain = Chain::default();
        let mut deflate = false;
        for response in parse_extensions(extensions)? {
            if chain.accept(&offer.extensions, &response, &element(&response), deflate)? {
                continue;
            }
            if let Some(config) = &offer.compression
                && response.name.eq_ignore_ascii_case(EXTENSION_NAME)
            {
                if chain.rsv() & RSV1 != 0 {
                    let problem = "it uses a reserved bit that another extension uses".to_owned();
                    return Err(UpgradeError::Extension { name: EXTENSION_NAME.to_owned(), problem });
                }
                let params = config.accept(&response)?;
                self.inbound.set_inflater(Box::new(Inflater::new(&params)));
                self.rest.sending.set_deflater(Box::new(Deflater::new(&params, config.level)));
                self.encoding.compress_from =
                    Some(u32::try_from(config.min_size_to_compress).unwrap_or(u32::MAX));
                deflate = true;
            }
        }
        if !chain.is_empty() {
            self.encoding.extended = true;
            self.inbound.set_extensions(chain.rsv(), chain.external(), chain.is_always());
            let chain = Arc::new(chain);
            self.rest.sending.set_extensions(chain.clone());
            self.rest.extended = Some(Box::new(Extended {
                chain,
                max_message_size: self.inbound.max_message_size(),
                decoded: Segment::EMPTY,
                utf8: Utf8Stream::default(),
            }));
        }
        Ok(())
    }
}

impl Rest {
    /// Decodes a message, or a fragment, with the extensions.
    pub(super) fn decode(&mut self, piece: Piece, payload: Segment) -> Result<(), SessionEvent<'static>> {
        let Some(extended) = &mut self.extended else { return Ok(()) };
        match extended.chain.decode(piece, payload) {
            Ok(decoded) => extended.decoded = decoded,
            Err(problem) => {
                let message = format!("an extension failed on a received message: {problem}");
                return Err(self.fail(1011, Error::new(ErrorKind::Extension, self.phase(), message)));
            }
        }
        let limit = extended.max_message_size;
        if extended.decoded.len() > limit {
            return Err(self.violated(Violation::MessageTooLarge { limit }));
        }
        if piece.message_type == MessageType::Text && piece.rsv & extended.chain.external() == 0 {
            let fed = extended.utf8.feed(extended.decoded.as_slice());
            let checked = if piece.is_final { fed.and_then(|()| extended.utf8.finish()) } else { fed };
            checked.map_err(|violation| self.violated(violation))?;
        }
        Ok(())
    }
}

/// Formats an element of the server's response.
fn element(response: &ExtensionParams) -> String {
    let mut text = response.name.clone();
    for (name, value) in &response.params {
        text.push_str("; ");
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}
