//! Extensions: the offer, the negotiated result, and decoding of received messages.

use std::sync::Arc;

use super::super::MessageType;
use super::super::extension::{Chain, Extension, Piece};
use super::super::inbound::Payload;
use super::{Rest, Session, SessionEvent, Settings};
use crate::buffer::Segment;
use crate::error::{Error, ErrorKind};
use crate::logging::{self, LogLevel};
use crate::wire::deflate::{DeflateConfig, Deflater, EXTENSION_NAME, Inflater};
use crate::wire::extensions::{ExtensionParams, parse_extensions};
use crate::wire::frame::RSV1;
use crate::wire::upgrade::{UpgradeError, UpgradeRequest};
use crate::wire::utf8::Utf8Stream;
use crate::wire::violation::Violation;

pub(super) struct Offer {
    compression: Option<DeflateConfig>,
    /// By name.
    extensions: Vec<(String, Arc<dyn Extension>)>,
}

impl Offer {
    /// Builds the offer and adds it to the request.
    pub(super) fn make(settings: &Settings, request: &mut UpgradeRequest) -> Self {
        let mut elements = Vec::new();
        let mut extensions = Vec::new();
        for extension in &settings.extensions {
            let Some(element) = extension.offer() else { continue };
            let Some(name) = offered_name(&element) else {
                let message = "the offer of an extension is not a valid element of Sec-WebSocket-Extensions and is omitted";
                logging::note(LogLevel::Warn, format_args!("{message} (RFC 6455 section 9.1)"));
                continue;
            };
            extensions.push((name, extension.clone()));
            elements.push(element);
        }
        elements.extend(settings.compression.as_ref().map(DeflateConfig::offer));
        request.extensions = (!elements.is_empty()).then(|| elements.join(", "));
        Self { compression: settings.compression.clone(), extensions }
    }
}

/// Returns the name in an offer, which may contain several sets of parameters.
fn offered_name(element: &str) -> Option<String> {
    let is_plain = element.bytes().all(|byte| (0x20..0x7F).contains(&byte));
    let offers = parse_extensions(element).ok().filter(|_| is_plain)?;
    let name = offers.first()?.name.clone();
    offers.iter().all(|offer| offer.name == name).then_some(name)
}

pub(super) struct Extended {
    chain: Arc<Chain>,
    max_message_size: usize,
    /// The last decoded payload.
    pub(super) decoded: Segment,
    /// Validates decoded text.
    utf8: Utf8Stream,
}

impl Extended {
    pub(super) fn decoded(extended: &Option<Box<Extended>>) -> Payload<'_> {
        Payload::of(extended.as_ref().map_or(&Segment::EMPTY, |extended| &extended.decoded))
    }
}

impl Session {
    /// Applies the extensions that the server accepted.
    pub(super) fn agree(&mut self, extensions: &str) -> Result<(), UpgradeError> {
        let Some(offer) = self.offer.take() else { return Ok(()) };
        let mut chain = Chain::default();
        let mut deflate = false;
        for answer in parse_extensions(extensions)? {
            if chain.agree(&offer.extensions, &answer, &element(&answer), deflate)? {
                continue;
            }
            if let Some(config) = &offer.compression
                && answer.name.eq_ignore_ascii_case(EXTENSION_NAME)
            {
                if chain.rsv() & RSV1 != 0 {
                    let problem = "another extension owns its reserved bit".to_owned();
                    return Err(UpgradeError::Extension { name: EXTENSION_NAME.to_owned(), problem });
                }
                let params = config.accept(&answer)?;
                self.inbound.set_inflater(Box::new(Inflater::new(&params)));
                self.rest.sending.set_deflater(Box::new(Deflater::new(&params, config.level)));
                self.treatment.compress_from =
                    Some(u32::try_from(config.min_size_to_compress).unwrap_or(u32::MAX));
                deflate = true;
            }
        }
        if !chain.is_empty() {
            self.treatment.extended = true;
            self.inbound.set_extensions(chain.rsv(), chain.is_always());
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
        if piece.message_type == MessageType::Text {
            let fed = extended.utf8.feed(extended.decoded.as_slice());
            let checked = if piece.is_final { fed.and_then(|()| extended.utf8.finish()) } else { fed };
            checked.map_err(|violation| self.violated(violation))?;
        }
        Ok(())
    }
}

/// Formats an element of the server's response.
fn element(answer: &ExtensionParams) -> String {
    let mut text = answer.name.clone();
    for (name, value) in &answer.params {
        text.push_str("; ");
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}
