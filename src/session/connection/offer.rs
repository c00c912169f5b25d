//! The offer of extensions, and the negotiated ones.

use std::sync::Arc;

use super::super::extension::{Chain, Extension, offered_name};
use super::super::inbound::Payload;
use crate::buffer::Segment;
use crate::logging::{self, LogLevel};
use crate::wire::deflate::DeflateConfig;
use crate::wire::upgrade::UpgradeRequest;
use crate::wire::utf8::Utf8Stream;

/// What was offered.
pub(super) struct Offer {
    pub(super) compression: Option<DeflateConfig>,
    /// By name.
    pub(super) extensions: Vec<(String, Arc<dyn Extension>)>,
}

impl Offer {
    /// Builds the offer and adds it to the request.
    pub(super) fn make(
        compression: Option<&DeflateConfig>,
        offered: &[Arc<dyn Extension>],
        request: &mut UpgradeRequest,
    ) -> Self {
        let mut elements = Vec::new();
        let mut extensions = Vec::new();
        for extension in offered {
            let Some(element) = extension.offer() else { continue };
            let Some(name) = offered_name(&element) else {
                let message = "the offer of an extension is not a valid element of Sec-WebSocket-Extensions and is omitted";
                logging::note(LogLevel::Warn, format_args!("{message} (RFC 6455 section 9.1)"));
                continue;
            };
            extensions.push((name, extension.clone()));
            elements.push(element);
        }
        elements.extend(compression.map(DeflateConfig::offer));
        request.extensions = (!elements.is_empty()).then(|| elements.join(", "));
        Self { compression: compression.cloned(), extensions }
    }
}

/// The negotiated extensions, for received messages.
pub(super) struct Extended {
    pub(super) chain: Arc<Chain>,
    pub(super) max_message_size: usize,
    /// The last decoded payload.
    pub(super) decoded: Segment,
    /// Validates decoded text.
    pub(super) utf8: Utf8Stream,
}

impl Extended {
    /// Returns the reserved bits of messages that the program decodes.
    pub(super) fn external(extended: &Option<Box<Extended>>) -> u8 {
        extended.as_ref().map_or(0, |extended| extended.chain.external())
    }

    pub(super) fn decoded(extended: &Option<Box<Extended>>) -> Payload<'_> {
        Payload::of(extended.as_ref().map_or(&Segment::EMPTY, |extended| &extended.decoded))
    }
}
