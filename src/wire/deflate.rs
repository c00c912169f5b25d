//! permessage-deflate (RFC 7692).
//!
//! ```text
//!   DeflateConfig ── offer ──► server ── response ──► DeflateParams
//!                                                     │      │
//!                                       sending: Deflater  Inflater: receiving
//! ```
//!
//! Both work in steps on slices of the caller, so that output is bounded whatever a small input expands to.

mod deflater;
mod inflater;

pub use deflater::Deflater;
pub use inflater::Inflater;

use super::extensions::ExtensionParams;
use super::upgrade_error::UpgradeError;
use crate::error::CallError;
use crate::limits;

pub const EXTENSION_NAME: &str = "permessage-deflate";

/// The end of every compressed message, which is not sent (sections 7.2.1 and 7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Parameters of permessage-deflate (RFC 7692).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeflateConfig {
    /// The compression level from 0 (stored) to 9 (smallest); default 6.
    pub level: u32,
    /// Compresses each sent message separately: less memory, worse compression (default off).
    pub client_no_context_takeover: bool,
    /// Requests that the server compresses each message separately (default off).
    pub server_no_context_takeover: bool,
    /// The window of sent messages as a power of two, 8 to 15 (default).
    pub client_max_window_bits: u8,
    /// The maximum window requested from the server, as a power of two, 8 to 15 (default).
    pub server_max_window_bits: u8,
    /// Messages shorter than this are sent uncompressed (default 256 bytes).
    pub min_size_to_compress: usize,
}

/// The negotiated parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    pub client_no_context_takeover: bool,
    pub server_no_context_takeover: bool,
    pub client_max_window_bits: u8,
    pub server_max_window_bits: u8,
}

/// The result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes consumed from the input.
    pub consumed: usize,
    /// Bytes written to the start of the output.
    pub produced: usize,
    pub status: Status,
}

/// What the next step needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// More input: all of it was consumed, and the output is not full.
    NeedsInput,
    /// More output space, with the rest of the input, which may be empty.
    NeedsOutput,
    /// Nothing: the message is complete.
    Done,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: limits::COMPRESSION_LEVEL,
            client_no_context_takeover: false,
            server_no_context_takeover: false,
            client_max_window_bits: MAX_WINDOW_BITS,
            server_max_window_bits: MAX_WINDOW_BITS,
            min_size_to_compress: limits::MIN_SIZE_TO_COMPRESS,
        }
    }
}

const MIN_WINDOW_BITS: u8 = 8;
const MAX_WINDOW_BITS: u8 = 15;

impl DeflateConfig {
    /// Checks that the values are within their ranges.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        let window = MIN_WINDOW_BITS..=MAX_WINDOW_BITS;
        if self.level > 9 {
            return Err(CallError::argument("the compression level must be 0 to 9"));
        }
        if !window.contains(&self.client_max_window_bits) || !window.contains(&self.server_max_window_bits) {
            return Err(CallError::argument("window bits must be 8 to 15 (RFC 7692 section 7.1.2)"));
        }
        Ok(())
    }

    /// The element for `Sec-WebSocket-Extensions` (section 7.1). `client_max_window_bits` is
    /// always there: it allows the server to limit our window, which costs us nothing.
    #[doc(hidden)]
    pub fn offer(&self) -> String {
        let mut offer = EXTENSION_NAME.to_owned();
        if self.client_no_context_takeover {
            offer.push_str("; client_no_context_takeover");
        }
        if self.server_no_context_takeover {
            offer.push_str("; server_no_context_takeover");
        }
        if self.server_max_window_bits < MAX_WINDOW_BITS {
            offer.push_str(&format!("; server_max_window_bits={}", self.server_max_window_bits));
        }
        offer.push_str("; client_max_window_bits");
        if self.client_max_window_bits < MAX_WINDOW_BITS {
            offer.push_str(&format!("={}", self.client_max_window_bits));
        }
        offer
    }

    /// Validates the server's response to the offer and returns the negotiated parameters.
    ///
    /// A response that omits what we requested is accepted: it only costs memory.
    #[doc(hidden)]
    pub fn accept(&self, response: &ExtensionParams) -> Result<DeflateParams, UpgradeError> {
        let refuse = |problem: String| Err(UpgradeError::extension(&response.name, problem));
        if response.name != EXTENSION_NAME {
            return refuse("it does not match the offer of permessage-deflate".into());
        }
        let mut negotiated = DeflateParams {
            client_no_context_takeover: self.client_no_context_takeover,
            server_no_context_takeover: false,
            client_max_window_bits: self.client_max_window_bits,
            server_max_window_bits: MAX_WINDOW_BITS,
        };
        for (at, (name, value)) in response.params.iter().enumerate() {
            if response.params[..at].iter().any(|(earlier, _)| earlier == name) {
                return refuse(format!("it repeats {name} (RFC 7692 section 7.1)"));
            }
            let (flag, window) = match name.as_str() {
                "client_no_context_takeover" => (Some(&mut negotiated.client_no_context_takeover), None),
                "server_no_context_takeover" => (Some(&mut negotiated.server_no_context_takeover), None),
                "client_max_window_bits" => {
                    (None, Some((&mut negotiated.client_max_window_bits, self.client_max_window_bits)))
                }
                "server_max_window_bits" => {
                    (None, Some((&mut negotiated.server_max_window_bits, self.server_max_window_bits)))
                }
                _ => return refuse(format!("unknown parameter {name} (RFC 7692 section 7.1)")),
            };
            match (flag, window, value) {
                (Some(flag), _, None) => *flag = true,
                (_, Some((bits, offered)), Some(text)) => match window_bits(text) {
                    Some(accepted) if accepted <= offered => *bits = accepted,
                    Some(_) => {
                        return refuse(format!(
                            "{name}={text} is more than was offered (RFC 7692 section 7.1.2)"
                        ));
                    }
                    None => {
                        return refuse(format!("{name}={text} must be 8 to 15 (RFC 7692 section 7.1.2)"));
                    }
                },
                (Some(_), _, Some(_)) => {
                    return refuse(format!("{name} must not have a value (RFC 7692 section 7.1.1)"));
                }
                _ => return refuse(format!("{name} must have a value (RFC 7692 section 7.1.2)")),
            }
        }
        Ok(negotiated)
    }
}

/// Parses a decimal number from 8 to 15 without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    (MIN_WINDOW_BITS..=MAX_WINDOW_BITS).find(|bits| bits.to_string() == text)
}

#[cfg(test)]
mod tests;
