//! The opening handshake over HTTP/1.1 (RFC 6455 section 4) or HTTP/2 (RFC 8441): one request and its
//! response. Over HTTP/2 the caller transfers the heads of both.
//!
//! ```text
//!   request sent ── 1xx ──► (skipped) ── valid 101 ──► upgraded
//!        │                      └── invalid 101 ──► refused
//!        └── other status ──► reads the first KiB of the body ──► refused
//! ```

use super::inbound::Inbound;
use crate::error::{Error, ErrorKind, Phase};
use crate::limits::MAX_INTERIM_RESPONSES;
use crate::wire::response::{Head, ResponseHead, is_worth_parsing, parse_response};
use crate::wire::response_body::{BodyDecoder, body_framing};
use crate::wire::upgrade::{
    Accepted, UpgradeError, UpgradeRequest, check_response, check_response_http2, key_from,
};

pub struct Handshake {
    request: UpgradeRequest,
    transport: Transport,
    interim_responses: usize,
    /// Bytes of the head that were searched for its end.
    scanned: usize,
    refusal: Option<Refusal>,
}

enum Transport {
    Http1 {
        key: String,
    },
    /// With the head of the response, until it is processed.
    Http2 {
        head: Option<ResponseHead>,
    },
}

struct Refusal {
    error: Error,
    head: ResponseHead,
    body: BodyDecoder,
}

/// The progress of the handshake.
pub enum HandshakeStep {
    NeedMore,
    Upgraded { accepted: Accepted, head: ResponseHead },
    Refused { error: Error, head: Option<ResponseHead>, body: Vec<u8> },
}

impl Handshake {
    pub fn new(request: UpgradeRequest, nonce: [u8; 16]) -> Self {
        Self::with_transport(Transport::Http1 { key: key_from(nonce) }, request)
    }

    pub fn over_http2(request: UpgradeRequest) -> Self {
        Self::with_transport(Transport::Http2 { head: None }, request)
    }

    fn with_transport(transport: Transport, request: UpgradeRequest) -> Self {
        Self { request, transport, interim_responses: 0, scanned: 0, refusal: None }
    }

    /// Returns the bytes of the request; none over HTTP/2.
    pub fn request_bytes(&self) -> Vec<u8> {
        crate::fault::point("session.request");
        let mut bytes = Vec::new();
        if let Transport::Http1 { key } = &self.transport {
            self.request.encode_http1(key, &mut bytes);
        }
        bytes
    }

    /// Returns whether [`head_received`](Self::head_received) must still be called.
    pub fn awaits_head(&self) -> bool {
        matches!(self.transport, Transport::Http2 { head: None }) && self.refusal.is_none()
    }

    /// Stores the head of the response over HTTP/2.
    pub fn head_received(&mut self, head: ResponseHead) {
        if let Transport::Http2 { head: received } = &mut self.transport {
            *received = Some(head);
        }
    }

    /// Returns whether the handshake was refused and only the body is pending.
    pub fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Processes the received bytes.
    pub fn advance(&mut self, inbound: &mut Inbound) -> HandshakeStep {
        loop {
            if self.refusal.is_some() {
                return self.read_body(inbound);
            }
            if let Transport::Http2 { head } = &mut self.transport {
                let Some(head) = head.take() else { return HandshakeStep::NeedMore };
                let checked = check_response_http2(&head, &self.request);
                if let Some(step) = self.finish_head(checked, head) {
                    return step;
                }
                continue;
            }
            let unread = inbound.unread();
            if !is_worth_parsing(unread, self.scanned) {
                self.scanned = unread.len();
                inbound.expect_head();
                return HandshakeStep::NeedMore;
            }
            match parse_response(unread) {
                Ok(Head::Incomplete) => {
                    self.scanned = unread.len();
                    inbound.expect_head();
                    return HandshakeStep::NeedMore;
                }
                Ok(Head::Interim { consumed }) => {
                    inbound.consume(consumed);
                    self.scanned = 0;
                    self.interim_responses += 1;
                    if self.interim_responses > MAX_INTERIM_RESPONSES {
                        let message = "the server sent too many interim (1xx) responses";
                        return refused(Error::new(ErrorKind::Http, Phase::Upgrade, message));
                    }
                }
                Ok(Head::Final { head, consumed }) => {
                    inbound.consume(consumed);
                    let key = match &self.transport {
                        Transport::Http1 { key } => key.as_str(),
                        // Handled above.
                        Transport::Http2 { .. } => "",
                    };
                    let checked = check_response(&head, &self.request, key);
                    if let Some(step) = self.finish_head(checked, head) {
                        return step;
                    }
                }
                Err(error) => return refused(error.into()),
            }
        }
    }

    /// Returns the result of an accepted handshake, or stores the refusal and continues with its body.
    fn finish_head(
        &mut self,
        checked: Result<Accepted, UpgradeError>,
        mut head: ResponseHead,
    ) -> Option<HandshakeStep> {
        match checked {
            Ok(accepted) => {
                // Only used for refusals.
                head.reason = String::new();
                Some(HandshakeStep::Upgraded { accepted, head })
            }
            Err(error) => {
                let body = BodyDecoder::new(body_framing(&head));
                let error = Error::from(error).with_http_status(head.status);
                self.refusal = Some(Refusal { error, head, body });
                None
            }
        }
    }

    /// Ends the handshake: at the end of the stream, or at the deadline. Returns the refusal, if there is
    /// one.
    pub fn finish(&mut self) -> Option<HandshakeStep> {
        let Refusal { error, head, body } = self.refusal.take()?;
        Some(HandshakeStep::Refused { error, head: Some(head), body: body.body().to_vec() })
    }

    fn read_body(&mut self, inbound: &mut Inbound) -> HandshakeStep {
        let Some(refusal) = &mut self.refusal else { return HandshakeStep::NeedMore };
        let unread = inbound.unread();
        let (done, count) = (refusal.body.feed(unread), unread.len());
        inbound.consume(count);
        if !done {
            return HandshakeStep::NeedMore;
        }
        self.finish().unwrap_or(HandshakeStep::NeedMore)
    }
}

fn refused(error: Error) -> HandshakeStep {
    HandshakeStep::Refused { error, head: None, body: Vec::new() }
}
